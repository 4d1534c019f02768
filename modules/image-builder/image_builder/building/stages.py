"""A request's stages, and which of them its image needs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..layers.dockerfile import AnyLayer
from ..layers.models import Add, Arg, Copy, Run, Stage, Workdir
from .errors import InvalidRequestError


@dataclass(frozen=True)
class StagePlan:
    """One stage.

    Attributes:
        number: its number, from 0.
        stage: its first layer.
        layers: the others, each with its number in the request.
        on: number of the stage that it stands on; None when that is an image.
    """

    number: int
    stage: Stage
    layers: tuple[tuple[int, AnyLayer], ...]
    on: int | None

    @property
    def has_files(self) -> bool:
        """Whether it puts something into the file system."""
        return any(isinstance(layer, Copy | Add | Workdir) for _, layer in self.layers)


@dataclass(frozen=True)
class Plan:
    """What has to be made for a request.

    Attributes:
        arguments: the `arg` layers before the first stage.
        stages: all stages.
        needed: numbers of the stages that the image needs, the last one among them, in order.
    """

    arguments: tuple[Arg, ...]
    stages: tuple[StagePlan, ...]
    needed: tuple[int, ...]

    def stage_of(self, name: str, before: int) -> int | None:
        """The stage that `from_layer` means: by its alias or number, if it is one before this stage."""
        return _stage_of(self.stages[:before], name)

    def names_used(self, stage: StagePlan) -> list[str]:
        """What the `from_layer` of a stage's layers name, each once."""
        return list(
            dict.fromkeys(name for _, layer in stage.layers if (name := from_layer(layer)) is not None)
        )

    def looked_into(self) -> set[int]:
        """Numbers of the needed stages whose files are changed or copied from."""
        found = {number for number in self.needed if self.stages[number].has_files}
        for number in self.needed:
            stage = self.stages[number]
            for name in self.names_used(stage):
                used = self.stage_of(name, number)
                if used is not None:
                    found.add(used)
        return found

    @property
    def needs_files(self) -> bool:
        """Whether a stage that the image needs takes files from the request."""
        return any(
            (isinstance(layer, Copy) and layer.from_layer is None)
            or (isinstance(layer, Add) and not layer.is_remote)
            for number in self.needed
            for _, layer in self.stages[number].layers
        )

    @property
    def runs_commands(self) -> bool:
        """Whether a stage that the image needs runs a command."""
        return any(
            isinstance(layer, Run) for number in self.needed for _, layer in self.stages[number].layers
        )


def plan(layers: Sequence[AnyLayer]) -> Plan:
    """Take a request apart.

    Raises:
        InvalidRequestError: `from_layer` names the stage itself or a later one.
    """
    arguments = _before_first_stage(layers)
    stages: list[StagePlan] = []
    for number, layer in enumerate(layers):
        if isinstance(layer, Stage):
            on = None if layer.tag else _stage_of(stages, layer.base)
            stages.append(StagePlan(len(stages), layer, _until_next(layers, number + 1), on))
    needed: set[int] = set()
    waiting = [len(stages) - 1]
    while waiting:
        number = waiting.pop()
        if number not in needed:
            needed.add(number)
            waiting += _uses(stages, stages[number])
    return Plan(arguments, tuple(stages), tuple(sorted(needed)))


def _before_first_stage(layers: Iterable[AnyLayer]) -> tuple[Arg, ...]:
    found = []
    for layer in layers:
        if not isinstance(layer, Arg):
            break
        found.append(layer)
    return tuple(found)


def _until_next(layers: Sequence[AnyLayer], start: int) -> tuple[tuple[int, AnyLayer], ...]:
    found = []
    for number in range(start, len(layers)):
        if isinstance(layers[number], Stage):
            break
        found.append((number, layers[number]))
    return tuple(found)


def _uses(stages: Sequence[StagePlan], stage: StagePlan) -> list[int]:
    used = [] if stage.on is None else [stage.on]
    for number, layer in stage.layers:
        name = from_layer(layer)
        if name is None:
            continue
        found = _stage_of(stages[: stage.number], name)
        if found is not None:
            used.append(found)
        elif _stage_of(stages, name) is not None:
            raise InvalidRequestError(f"layers[{number}].from_layer: {name!r} is not a stage before this one")
    return used


def from_layer(layer: AnyLayer) -> str | None:
    """The stage or image that a layer takes files from."""
    if isinstance(layer, Copy):
        return layer.from_layer
    return getattr(layer.mount, "from_layer", None) if isinstance(layer, Run) else None


def _stage_of(stages: Sequence[StagePlan], name: str) -> int | None:
    for stage in stages:
        if stage.stage.alias and stage.stage.alias.lower() == name.lower():
            return stage.number
    return int(name) if name.isdigit() and int(name) < len(stages) else None


def images(stages: Plan) -> Mapping[str, str | None]:
    """Names of the images, beside the stages' bases, that needed stages take files from, and the platform."""
    found: dict[str, str | None] = {}
    for number in stages.needed:
        stage = stages.stages[number]
        for _, layer in stage.layers:
            name = from_layer(layer)
            if name is not None and stages.stage_of(name, number) is None:
                found[name] = stage.stage.platform
    return found
