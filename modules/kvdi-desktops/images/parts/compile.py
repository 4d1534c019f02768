"""Compiles the Python code that a start loads, so that it does not cost time in every container.

Written so that two builds agree: without times of files, which differ, and everything that the packages
compiled themselves has been removed before.
"""

import importlib
import py_compile
import sys
from pathlib import Path

PATHS = (
    "/usr/lib/kvdi-desktop",
    "/usr/lib/python3/dist-packages",
    f"/usr/lib/python3.{sys.version_info.minor}/site-packages",
)
# What brings in all that a start of each family needs.
LOADED = {
    "supervisord": ("kvdi_desktop.main", "kvdi_desktop.supervise", "supervisor.dispatchers"),
    "systemd": ("kvdi_desktop.main", "kvdi_desktop.systemd"),
}


def main() -> None:
    """Load what a start loads, and compile it."""
    sys.path.extend(PATHS)
    family = Path("/usr/share/kvdi-desktops/family").read_text(encoding="utf-8").strip()
    for name in LOADED[family]:
        importlib.import_module(name)
    for file in sorted({module.__file__ for module in list(sys.modules.values()) if _is_source(module)}):
        py_compile.compile(
            file, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )


def _is_source(module: object) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and file.endswith(".py") and file.startswith("/usr/lib/")


main()
