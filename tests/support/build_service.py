"""The build service that `./scripts/local apply` starts, as a team uses it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from .local import LocalCloud, Run

# An answer ends with the job, and a job may wait for others.
ANSWER_SECONDS = 600


@dataclass(frozen=True)
class BuildService:
    """The service of one cloud.

    Attributes:
        password_file: where the first administrator's password is, as `apply` tells it.
    """

    cloud: LocalCloud
    password_file: Path

    @classmethod
    def of(cls, cloud: LocalCloud, applied: Run) -> "BuildService":
        """The one that an apply has named."""
        return cls(cloud, Path(applied.stderr.partition("password: cat ")[2].splitlines()[0]))

    def build(self, name: str, *layers: dict[str, Any], **request: Any) -> dict[str, Any]:  # noqa: ANN401
        """Have an image built; the job at its end, which is a good one."""
        address = self.cloud.outputs()["ImageBuilderEndpoint"]
        login = {"username": "admin", "password": self.password_file.read_text()}
        order = {"name": name, "tag": "1", "layers": list(layers), **request}
        with httpx.Client(base_url=address, timeout=ANSWER_SECONDS, trust_env=False) as http:
            assert http.post("/users/login", json=login).status_code == 200
            created = http.post("/jobs/images/create", json=order)
            assert created.status_code == 200, created.text
            job_id = created.json()["job_id"]
            log = http.get(f"/jobs/images/{job_id}/logs").text  # until the job has ended
            job: dict[str, Any] = http.get(f"/jobs/images/{job_id}/get").json()
        assert job["status"] == "DONE", f"{job}\n{log}"
        return job

    @property
    def containers(self) -> list[str]:
        """Names of its containers; the engine may have those of others."""
        port = f"127.0.0.1:{self.cloud.port_base}/"
        listed = self.cloud.must("docker", "ps", "--all", "--format", "{{.Names}} {{.Image}}").stdout
        return [line.split()[0] for line in listed.splitlines() if f" {port}airgap-image-builder" in line]
