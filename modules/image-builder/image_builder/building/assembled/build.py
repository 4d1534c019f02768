"""From a plan to an assembled image."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..bases import Base
from ..errors import BaseUnavailableError, LimitExceededError
from ..stages import Plan, StagePlan
from ..stop import Stop
from ..times import image_time
from .archive_stream import BROKEN
from .assemble import AssembledImage, assemble
from .base_index import BaseIndex, read_layers
from .layer import write_layer
from .nodes import Node
from .runtime import Runtime
from .spool import Spool
from .stage import Materials, StageResult, apply
from .tree import Tree

_KNOWN = 8  # indexes of bases that are kept in memory


@dataclass
class Indexes:
    """What bases hold, for those that were looked into lately."""

    _known: OrderedDict[tuple[Path, ...], BaseIndex] = field(default_factory=OrderedDict)

    def of(self, base: Base, blobs: list[Path], most: int, stop: Stop) -> BaseIndex:
        """The index of a base, read when it is not known.

        Args:
            base: the base.
            blobs: its layers.
            most: entries that they may have together.
            stop: asked as the work gets on.

        Raises:
            BaseUnavailableError: its layers cannot be read.
            LimitExceededError: they hold too much.
        """
        key = tuple(blobs)  # named by what is in them
        if key not in self._known:
            try:
                self._known[key] = read_layers(blobs, most, stop)
            except LimitExceededError as error:
                raise LimitExceededError(f"base {base.reference}: {error}") from None
            except BROKEN as error:
                raise BaseUnavailableError(
                    f"base {base.reference}: a layer cannot be read ({type(error).__name__})"
                ) from None
        self._known.move_to_end(key)
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return self._known[key]


@dataclass(frozen=True)
class Workshop:
    """What a build works with.

    Attributes:
        spool: where content goes on its way.
        indexes: what is known of bases.
        folder: the build's own folder, where its layer is written.
        entries: entries that the layers of one base may have.
        stop: asked as the work gets on.
    """

    spool: Spool
    indexes: Indexes
    folder: Path
    entries: int
    stop: Stop


@dataclass(frozen=True)
class Inputs:
    """What a plan needs from outside.

    Attributes:
        files: files of the request, by path.
        fetched: files that came from URLs, by the number of their layer.
        bases: bases of stages that stand on an image, by number.
        images: images that files are taken from, by name.
        blobs: layers of all bases that have to be looked into, by the base's reference.
    """

    files: Mapping[str, Node]
    fetched: Mapping[int, Path]
    bases: Mapping[int, Base]
    images: Mapping[str, Base]
    blobs: Mapping[str, list[Path]]


def build_assembled(plan: Plan, inputs: Inputs, workshop: Workshop) -> AssembledImage:
    """Make an image, but for sending it anywhere; blocks while it reads and writes files.

    Args:
        plan: what to make.
        inputs: what it is made from.
        workshop: what to work with.

    Raises:
        BuildError: it cannot be made; the text names the layer.
    """
    arguments = _arguments(plan)
    made: dict[int, StageResult] = {}
    for number in plan.needed:
        made[number] = _stage(plan, plan.stages[number], made, inputs, workshop, arguments)
    last = plan.stages[plan.needed[-1]]
    return _image(plan, last, made[last.number], inputs, workshop)


def runtime_of(plan: Plan, bases: Mapping[int, Base]) -> Runtime:
    """The configuration of the image, without a look at any file."""
    made: dict[int, Runtime] = {}
    for number in plan.needed:
        stage = plan.stages[number]
        base = bases[root_of(plan, stage)]
        arguments = _arguments(plan)
        runtime = Runtime(base, arguments) if stage.on is None else made[stage.on].continued(base, arguments)
        for _, layer in stage.layers:
            runtime.apply(layer)
        made[number] = runtime
    return made[plan.needed[-1]]


def _arguments(plan: Plan) -> Mapping[str, str]:
    """Values of the arguments before the first stage."""
    runtime = Runtime(Base(None, {}), {})
    for argument in plan.arguments:
        runtime.apply(argument)
    return runtime.arguments


def root_of(plan: Plan, stage: StagePlan) -> int:
    """The number of the stage with the image on which a stage stands in the end."""
    while stage.on is not None:
        stage = plan.stages[stage.on]
    return stage.number


def _stage(
    plan: Plan,
    stage: StagePlan,
    made: Mapping[int, StageResult],
    inputs: Inputs,
    workshop: Workshop,
    arguments: Mapping[str, str],
) -> StageResult:
    base = inputs.bases[root_of(plan, stage)]
    if stage.on is not None:
        before = made[stage.on]
        runtime = before.runtime.continued(base, arguments)
        tree = None if before.tree is None else Tree(before.tree.base, dict(before.tree.changes))
    else:
        runtime, tree = Runtime(base, arguments), None
    if tree is None:
        tree = _tree(base, inputs, workshop)
    result = StageResult(runtime, tree, inputs.blobs.get(str(base.reference), []))
    sources = _sources(plan, stage, made, inputs, workshop)
    for number, layer in stage.layers:
        apply(result, layer, number, Materials(inputs.files, inputs.fetched, sources, workshop.spool))
    return result


def _tree(base: Base, inputs: Inputs, workshop: Workshop) -> Tree | None:
    """The file system of a base; None when nobody looks into it."""
    if base.reference is None:
        return Tree(BaseIndex())
    blobs = inputs.blobs.get(str(base.reference))
    return None if blobs is None else Tree(workshop.indexes.of(base, blobs, workshop.entries, workshop.stop))


def _sources(
    plan: Plan, stage: StagePlan, made: Mapping[int, StageResult], inputs: Inputs, workshop: Workshop
) -> dict[str, StageResult]:
    found: dict[str, StageResult] = {}
    for name in plan.names_used(stage):
        number = plan.stage_of(name, stage.number)
        if number is not None:
            found[name] = made[number]
        else:
            base = inputs.images[name]
            blobs = inputs.blobs.get(str(base.reference), [])
            found[name] = StageResult(Runtime(base, {}), _tree(base, inputs, workshop), blobs)
    return found


def _image(
    plan: Plan, last: StagePlan, result: StageResult, inputs: Inputs, workshop: Workshop
) -> AssembledImage:
    base = inputs.bases[root_of(plan, last)]
    time = image_time(base)
    changes = result.tree.changes if result.tree else {}
    target = workshop.folder / "layer.tar.gz"
    new = [write_layer(changes, target, time, workshop.stop)] if changes else []
    return assemble(base, result.runtime, [each for _, each in last.layers], new, time)
