"""The outputs of a module's own work, handed to its CDK app.

`python -m PACKAGE apply` writes them, the stack puts them with its own into the CloudFormation
output `metadata`, and `seedfarmer metadata convert` makes that the module's metadata.
"""

import json
from collections.abc import Mapping
from pathlib import Path

OUTPUTS_FILE = Path("module-outputs.json")


def write_outputs(outputs: Mapping[str, str], path: Path = OUTPUTS_FILE) -> None:
    """Write the outputs for the CDK app that runs next, in the same folder."""
    path.write_text(json.dumps(dict(outputs), indent=2) + "\n", encoding="utf-8")


def read_outputs(path: Path = OUTPUTS_FILE) -> dict[str, str]:
    """The outputs of the deploy that ran before; empty on destroy, where none did."""
    if not path.exists():
        return {}
    outputs: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return outputs
