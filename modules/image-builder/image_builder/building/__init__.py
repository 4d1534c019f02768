"""From a request to an image in a registry, in one of two ways with the same result.

`service` is the way in. `settings`, `errors` and `result` are what it is given and what it gives;
`bases` finds the images that a request stands on. `assembled` makes an image without running anything;
`commands` has buildah run the commands of one.
"""

from .errors import BuildError
from .result import BuildContext, BuildResult, Phase
from .service import Builder, build
from .settings import BuildSettings

__all__ = ["BuildContext", "BuildError", "BuildResult", "BuildSettings", "Builder", "Phase", "build"]
