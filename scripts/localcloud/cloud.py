"""The commands of the local cloud, put together from its parts."""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from . import emulator, manifests, outputs, packages
from .datafiles import DataFiles
from .engine import SERVICE as ENGINE_SERVICE
from .engine import clean_up_engine, ensure_engine, find_engine, mounts_below
from .errors import LocalCloudError
from .image_builder import SERVICE as IMAGE_BUILDER_SERVICE
from .image_builder import ImageBuilder
from .internet import box
from .layout import Layout
from .manifests import Deployment
from .progress import Progress
from .project import Project
from .seedfarmer import SeedFarmer
from .services import Services
from .tools import Tools, ensure_tools

# gpg signs the stand-in for Amazon DCV.
BOX_PROGRAMS = ("docker-registry", "mmdebstrap", "gpg", "gpg-agent", "gpgconf")


@dataclass(frozen=True)
class Cloud:
    """One local cloud."""

    layout: Layout
    progress: Progress

    @cached_property
    def project(self) -> Project:
        """The project that this command works on."""
        return Project.at(self.layout.project_folder, self.layout.state)

    @property
    def services(self) -> Services:
        """The services that this cloud started."""
        return Services(self.layout.run, self.layout.logs)

    def apply(self, manifest: str, module_roles: bool, verbose: bool) -> outputs.Outputs:
        """Set up what is missing, deploy the manifest, and return every module's outputs."""
        deployment = self._stage(manifest, module_roles)
        tools = self._set_up()
        seedfarmer = self._seedfarmer(tools, verbose)
        self._data_files.taint_changed(seedfarmer, deployment)
        with self.progress.step(f"deploying {deployment.name}: seedfarmer apply {manifest} --local"):
            outcome = seedfarmer.run(["apply", manifest, "--local"], "seedfarmer-apply")
            # Also when a later module failed: what was built was built with these data files.
            self._data_files.remember(deployment, [build.build_id for build in outcome.succeeded])
            outcome.require_success()
        if not outcome.builds:
            self.progress.say(f"nothing to do: all {len(deployment.modules)} modules are up to date")
        found = self.outputs(manifest)
        engine = ensure_engine(self.layout, self.services, self.progress)
        self._image_builder.ensure(engine, self._key(deployment), found, self.progress)
        return found

    def outputs(self, manifest: str) -> outputs.Outputs:
        """Outputs of the modules of a deployed manifest.

        Raises:
            LocalCloudError: the emulator does not run, or nothing of the manifest is deployed.
        """
        self._require_emulator()
        deployment = manifests.load(self._manifest_folder(), manifest)
        found = outputs.read_outputs(self.layout, self.project.name, deployment)
        if not found:
            raise LocalCloudError(f"nothing of {manifest} is deployed; run ./scripts/local apply {manifest}")
        return found

    def destroy(self, manifest: str, verbose: bool) -> None:
        """Destroy the manifest's deployment; one that is not deployed is fine."""
        if not self.services.find(emulator.SERVICE):
            self.progress.say("the local cloud does not run, so nothing is deployed in it")
            return
        deployment = manifests.load(self._manifest_folder(), manifest)
        seedfarmer = self._seedfarmer(self._set_up(), verbose)
        with self.progress.step(f"destroying {deployment.name}"):
            self._image_builder.stop_of(find_engine(self.layout, self.services), self._key(deployment))
            seedfarmer.run(["destroy", deployment.name, "--local"], "seedfarmer-destroy").require_success()
        self._data_files.forget(deployment)

    def status(self) -> list[tuple[str, str]]:
        """What runs: (name, where it answers)."""
        found = [(service.name, service.listens) for service in self.services.running()]
        engine = find_engine(self.layout, self.services)
        if engine and not self.services.find(ENGINE_SERVICE):
            found.append(("container engine of the machine", engine.described))
        builder = self._image_builder.running(engine)
        if builder:
            found.append((IMAGE_BUILDER_SERVICE, f"{builder.address} ({builder.container})"))
        return found

    def down(self) -> list[str]:
        """End every process and remove every mount that this cloud made; return what was stopped."""
        # First, for the machine's own engine goes on without us.
        stopped = self._stop_image_builder() + self.services.stop_all() + clean_up_engine(self.layout)
        left = mounts_below(self.layout.state)
        if left:
            raise LocalCloudError(f"these mounts could not be removed: {', '.join(left)}")
        return stopped

    def docker(self, arguments: list[str]) -> int:
        """Run the cloud's engine; references to ECR's name are found on loopback."""
        engine = find_engine(self.layout, self.services)
        if engine is None:
            raise LocalCloudError("no container engine runs; start one with ./scripts/local apply")
        os.environ.update(engine.environment)
        local = f"127.0.0.1:{self.layout.emulator_port}"
        translated = [argument.replace(f"{self.layout.ecr_host}/", f"{local}/") for argument in arguments]
        os.execv(engine.program, [engine.program, *translated])  # noqa: S606  the user's own command

    @property
    def _image_builder(self) -> ImageBuilder:
        return ImageBuilder(self.layout)

    def _stop_image_builder(self) -> list[str]:
        stopped = self._image_builder.stop(find_engine(self.layout, self.services))
        return [IMAGE_BUILDER_SERVICE] if stopped else []

    def _key(self, deployment: Deployment) -> str:
        return f"{self.project.name}/{deployment.name}"

    @property
    def _data_files(self) -> DataFiles:
        name = self.project.name
        record = self.layout.state / f"data-files-{name}.json"
        return DataFiles(record, self.project.staged, self.layout.builds / name)

    def _stage(self, manifest: str, module_roles: bool) -> Deployment:
        """Copy the project, and read the manifest before anything else is touched."""
        packages.ensure_programs(["git"], self.progress)
        manifests.load(self.project.source, manifest)
        self.project.stage(module_roles)
        return manifests.load(self.project.staged, manifest)

    def _set_up(self) -> Tools:
        packages.ensure_programs([*BOX_PROGRAMS, "unshare", "setpriv"], self.progress)
        tools = ensure_tools(self.layout, self.progress)
        ensure_engine(self.layout, self.services, self.progress)
        self._start_box()
        emulator.ensure_emulator(self.layout, tools, self.services, self.progress)
        return tools

    def _start_box(self) -> None:
        with self.progress.step("internet in a box"):
            box.start(
                self.services,
                self.layout.state / "internet",
                self.layout.cache,
                self._box_ports,
                self.progress.say,
            )

    @property
    def _box_ports(self) -> box.Ports:
        return box.Ports(registry=self.layout.source_registry_port, charts=self.layout.charts_port)

    def _seedfarmer(self, tools: Tools, verbose: bool) -> SeedFarmer:
        """SeedFarmer with what the local manifests ask the environment for."""
        endpoints = {self.layout.ecr_host: self.layout.emulator_url, **box.endpoints(self._box_ports)}
        variables = {
            "LOCAL_REGISTRY_ENDPOINTS": json.dumps(endpoints, sort_keys=True),
            "LOCAL_IMAGE_BUILDER_ENDPOINT": self._image_builder.address,
            **box.variables(self.layout.cache, self._box_ports, self.progress.say),
        }
        return SeedFarmer(self.layout, self.project, tools, self.progress, variables, verbose)

    def _require_emulator(self) -> None:
        if not self.services.find(emulator.SERVICE):
            raise LocalCloudError("the local cloud does not run; start it with ./scripts/local apply")

    def _manifest_folder(self) -> Path:
        """The staged copy: what was deployed, whatever the user changed since."""
        return self.project.staged if self.project.staged.is_dir() else self.project.source
