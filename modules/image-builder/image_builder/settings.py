"""The module's parameters."""

from pydantic import Field

from .shared.settings import CommonParameters

MAX_GREETING = 4096  # characters (Systems Manager user guide, standard parameters)


class Parameters(CommonParameters):
    """What a manifest can set."""

    greeting: str = Field(
        default="hello",
        min_length=1,
        max_length=MAX_GREETING,
        description="Text that the SSM parameter holds.",
    )
    image: str = Field(
        default="docker.io/library/debian:bookworm",
        min_length=1,
        description="Image whose name for a container engine is given as an output.",
    )
