"""What is installed is on record in the image, twice, and the same."""

from collections.abc import Callable

import pytest
from desktop_support import built_here
from desktops.pod import Pod
from records import assert_recorded

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("name", built_here())
def test_the_records_equal_what_is_installed(shared: Callable[[str], Pod], name: str) -> None:
    assert_recorded(shared(name))
