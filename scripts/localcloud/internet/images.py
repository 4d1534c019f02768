"""The images of the box, built once into an OCI layout in the cache folder."""

from __future__ import annotations

import asyncio
import hashlib
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from . import debian, layers, oci, recipes, trust
from .errors import InternetError
from .folders import filling
from .layers import Layer, Tree
from .oci import Descriptor, Layout
from .recipes import ARCHITECTURES, Ingredients, Recipe

Progress = Callable[[str], None]
_VARIANTS = {"arm64": {"variant": "v8"}}


def build_images(cache_dir: Path, progress: Progress) -> Layout:
    """Return the layout with all images, and build it first where the cache has none of this recipe."""
    folder = cache_dir / "images" / recipe_hash(trust.host_bundle())
    with filling(folder) as temporary:
        if temporary is not None:
            _build(temporary, progress)
    return Layout(folder)


def recipe_hash(host_bundle: bytes) -> str:
    """Return what the images depend on: the source of everything that makes them, and the trusted CAs."""
    sources = [Path(module.__file__ or "") for module in (debian, layers, oci, recipes, trust)]
    digest = hashlib.sha256(hashlib.sha256(host_bundle).digest())
    for source in [*sources, Path(__file__)]:
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _build(folder: Path, progress: Progress) -> None:
    layout = Layout(folder)
    archives = folder / "archives"
    archives.mkdir()
    progress(f"fetching Debian {debian.SUITE} packages (about half a minute)")
    _in_parallel_fetch(archives)
    with _ingredients(archives) as ingredients:
        for recipe in recipes.RECIPES:
            progress(f"building {recipe.references[0]}")
            index = _add_image(recipe, ingredients, layout)
            for reference in recipe.references:
                layout.refer(reference, index)
    for archive in archives.iterdir():
        archive.unlink()
    archives.rmdir()
    layout.save()


def _in_parallel_fetch(archives: Path) -> None:
    async def fetch_all() -> None:
        async with asyncio.TaskGroup() as group:
            for architecture in ARCHITECTURES:
                for kind, selections in (("base", recipes.BASES), ("programs", recipes.PROGRAMS)):
                    archive = archives / f"{kind}-{architecture}.tar"
                    group.create_task(debian.fetch(selections[architecture], archive))

    try:
        asyncio.run(fetch_all())
    except ExceptionGroup as failures:
        for failure in failures.exceptions:
            if isinstance(failure, InternetError):
                raise failure from None
        raise


@contextmanager
def _ingredients(archives: Path) -> Iterator[Mapping[str, Ingredients]]:
    """Yield what the recipes need for each architecture; file contents are read while it is open."""
    with ExitStack() as stack:

        def read(name: str) -> Tree:
            return layers.read_tar(stack.enter_context(tarfile.open(archives / f"{name}.tar")))

        bases = {architecture: read(f"base-{architecture}") for architecture in ARCHITECTURES}
        programs = {architecture: read(f"programs-{architecture}") for architecture in ARCHITECTURES}
        packaged = bases["amd64"]["etc/ssl/certs/ca-certificates.crt"].read()
        trusted = trust.trust(packaged, trust.host_bundle())
        for files in programs.values():
            recipes.check_versions(files)
        yield {
            architecture: Ingredients(bases[architecture], programs[architecture], trusted)
            for architecture in ARCHITECTURES
        }


def _add_image(recipe: Recipe, ingredients: Mapping[str, Ingredients], layout: Layout) -> Descriptor:
    manifests = []
    for architecture in ARCHITECTURES:
        manifest = _add_manifest(recipe, architecture, ingredients[architecture], layout)
        platform = {"architecture": architecture, "os": "linux", **_VARIANTS.get(architecture, {})}
        manifests.append(manifest.document(platform=platform))
    types = recipe.media_types
    index = {"schemaVersion": 2, "mediaType": types.index, "manifests": manifests}
    return layout.add(oci.canonical_json(index), types.index)


def _add_manifest(recipe: Recipe, architecture: str, ingredients: Ingredients, layout: Layout) -> Descriptor:
    types = recipe.media_types
    made = [layers.write_layer(make(ingredients), layout) for make in recipe.layers]
    config = layout.add(oci.canonical_json(_config(recipe, architecture, ingredients, made)), types.config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": types.manifest,
        "config": config.document(),
        "layers": [Descriptor(types.layer, layer.digest, layer.size).document() for layer in made],
    }
    return layout.add(oci.canonical_json(manifest), types.manifest)


def _config(recipe: Recipe, architecture: str, ingredients: Ingredients, made: list[Layer]) -> object:
    run = dict(recipe.config)
    env = run["Env"]
    run["Env"] = [*(env if isinstance(env, list) else []), *recipe.environment(ingredients)]
    return {
        "architecture": architecture,
        "os": "linux",
        **_VARIANTS.get(architecture, {}),
        "created": layers.CREATED,
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in made]},
        "history": [{"created": layers.CREATED, "created_by": name} for name in _names(recipe)],
    }


def _names(recipe: Recipe) -> list[str]:
    return [make.__name__.strip("_") for make in recipe.layers]
