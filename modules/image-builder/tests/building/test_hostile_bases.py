"""Configurations and accounts of bases that are not what they should be."""

from typing import Any

import pytest
from image_builder.building.assembled.accounts import owner_of
from image_builder.building.bases import check_types
from image_builder.building.errors import InvalidRequestError

GOOD = {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": []}}


@pytest.mark.parametrize(
    "change",
    [
        {"config": []},
        {"config": None, "history": None},
        {"config": {"Env": None, "Labels": {"a": "b"}, "Cmd": ["sh"], "User": ""}, "history": [{}]},
    ],
)
def test_what_a_configuration_leaves_out_may_be_null(change: dict[str, Any]) -> None:
    check_types({**GOOD, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"config": ["PATH=/bin"]},
        {"config": "text"},
        {"config": {"Env": [1]}},
        {"config": {"Env": "PATH=/bin"}},
        {"config": {"Labels": ["a"]}},
        {"config": {"ExposedPorts": [80]}},
        {"config": {"User": 1000}},
        {"config": {"WorkingDir": ["/"]}},
        {"config": {"Shell": [None]}},
        {"history": [1]},
        {"history": {}},
        {"rootfs": {"diff_ids": "sha256"}},
        {"rootfs": {"diff_ids": [1]}},
    ],
)
def test_a_configuration_of_other_types_is_none(change: dict[str, Any]) -> None:
    with pytest.raises((TypeError, AttributeError)):
        check_types({**GOOD, **change})


@pytest.mark.parametrize(
    "line",
    ["app:x:1000:staff", "app:x:1000", "app:x:\u00b2:1", "app:x:1:9999999999", f"app:x:{'1' * 5000}:1"],
)
def test_a_line_that_is_none_of_passwd_is_passed_over(line: str) -> None:
    accounts = {"etc/passwd": f"{line}\napp:x:7:8::/:\n".encode()}

    assert owner_of("app", accounts) == (7, 8)
    assert owner_of("1000", {"etc/passwd": line.encode()}) == (1000, 1000)


@pytest.mark.parametrize("user", ["\u00b2", "1" * 5000, "4294967295", "none:1", "7:none"])
def test_what_is_no_account_is_refused(user: str) -> None:
    with pytest.raises(InvalidRequestError):
        owner_of(user, {})
