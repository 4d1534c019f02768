"""The shape of the data files. README-DATAFILES.md explains every key."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from yarl import URL

from .mappings import DEFAULT
from .oci.reference import Reference

LITERAL = "(literal)"
LOCATED = "(located)"
"""Tags of the two kinds of `repository`; they show up in pydantic's locations and are no keys."""


class Entry(BaseModel):
    """A mapping of a data file: unknown keys are refused, and an empty key counts as absent."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_keys(cls, value: object) -> object:
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        return value


def _reference(value: str) -> str:
    Reference.parse(value)
    return value


def _mapping_target(value: str) -> str:
    host, slash, path = value.partition("/")
    _without_credentials(host)
    Reference(host, f"{path}{slash}x", "x")
    return value


def _without_credentials(host: str) -> None:
    """Checked before anything else, because other messages quote what is wrong."""
    if "@" in host:
        raise ValueError("must not hold credentials, a query or a fragment")


def _mapping_keys(mappings: Mapping[str, str]) -> Mapping[str, str]:
    for key in mappings:
        if key != DEFAULT and not _is_registry(key):
            raise ValueError(f"{key!r} is neither `{DEFAULT}` nor a registry's host as references have it")
    return mappings


def _is_registry(host: str) -> bool:
    try:
        return Reference.parse(f"{host}/x:1").registry == host
    except ValueError:
        return False


def _chart_repository(value: str) -> str:
    scheme, _, address = value.partition("://")
    _without_credentials((address or scheme).partition("/")[0])
    try:
        if scheme == "oci":
            Reference.parse(f"{address.rstrip('/')}/x:1")
            return value
        url = URL(value)
        usable = scheme in ("http", "https") and url.host and url.port
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"must be the URL of a chart repository (https://… or oci://…), not {value!r}")
    if url.user or url.password or url.query_string or url.fragment:
        raise ValueError("must not hold credentials, a query or a fragment")
    return value


def _without_lists(values: Mapping[str, object]) -> Mapping[str, object]:
    for key, value in values.items():
        if isinstance(value, list):
            raise ValueError(
                f"holds the list `{key}`: those who install the charts append lists to their own, so a "
                "list here would not replace anything"
            )
        if isinstance(value, dict):
            _without_lists(value)
    return values


Text = Annotated[str, Field(min_length=1)]
ValuePath = Annotated[str, Field(pattern=r"^[^.\s]+(\.[^.\s]+)*$")]
ImageReference = Annotated[str, AfterValidator(_reference)]
MappingTarget = Annotated[str, AfterValidator(_mapping_target)]
Mappings = Annotated[Mapping[str, MappingTarget], AfterValidator(_mapping_keys)]
ChartRepository = Annotated[str, AfterValidator(_chart_repository)]
ChartValues = Annotated[Mapping[str, Any], AfterValidator(_without_lists)]


class Located(Entry):
    """A text that stands in the chart: in its values, or in its metadata (`Chart.yaml`)."""

    location: Literal["values", "chart"]
    path: ValuePath
    subchart: Text | None = None


class LocatedTag(Located):
    """A tag in the chart; the chart's templates write `prefix` in front of it and `suffix` behind it."""

    prefix: str = ""
    suffix: str = ""


class LiteralRepository(Entry):
    """A repository that the chart composes itself, so that no value holds it."""

    name: Text


class Removal(Entry):
    """A value that has to be empty when the image is private: a digest, say."""

    path: ValuePath


def _repository_kind(value: object) -> str:
    return LITERAL if isinstance(value, dict) and "name" in value else LOCATED


Repository = Annotated[
    Annotated[LiteralRepository, Tag(LITERAL)] | Annotated[Located, Tag(LOCATED)],
    Discriminator(_repository_kind),
]


class ImageEntry(Entry):
    """Where a chart keeps the parts of one image's reference."""

    registry: Located | None = None
    repository: Repository
    tag: LocatedTag | None = None
    remove: Removal | None = None


class ChartEntry(Entry):
    """A workload's chart; what one data file leaves out, the other one has to say."""

    name: Text | None = None
    repository: ChartRepository | None = None
    version: Text | None = None
    subcharts: Sequence[Text] = ()
    images: Mapping[str, ImageEntry] = Field(default_factory=dict)
    values: ChartValues = Field(default_factory=dict)
    render_values: Mapping[str, Any] = Field(default_factory=dict)
    accepted_images: Mapping[Text, Text] = Field(default_factory=dict)


class ReplicationOverride(Entry):
    """What replaces parts of an image's reference; `skip`: this version's chart has no such image."""

    skip: bool = False
    tag: Text | None = None
    registry: Text | None = None
    repository: Text | None = None


class VersionedChartEntry(ChartEntry):
    """A workload in a version file."""

    skip: bool = False
    replication: Mapping[str, ReplicationOverride] = Field(default_factory=dict)


class Ami(Entry):
    """The machine image of the cluster's nodes; handed on to the inventory as it is."""

    version: Text


class DefaultFile(Entry):
    """`default.yaml`: the workloads and where their images are found."""

    charts: Mapping[str, ChartEntry] = Field(default_factory=dict)
    additional_images: Mapping[str, ImageReference] = Field(default_factory=dict)


class VersionFile(Entry):
    """`<eks-version>.yaml`: what one EKS version changes."""

    ami: Ami | None = None
    charts: Mapping[str, VersionedChartEntry] = Field(default_factory=dict)
    additional_images: Mapping[str, ImageReference] = Field(default_factory=dict)
    docker_mappings: Mappings = Field(default_factory=dict)
