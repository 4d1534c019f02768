"""The module's outputs: names that other modules depend on, and what they mean."""

from typing import Final

ENGINE_IMAGE: Final = "EngineImage"
GREETING_PARAMETER_NAME: Final = "GreetingParameterName"

OUTPUTS: Final[dict[str, str]] = {
    ENGINE_IMAGE: "The image under the name by which a container engine on this network finds it.",
    GREETING_PARAMETER_NAME: "Name of the SSM parameter that holds the greeting.",
}
