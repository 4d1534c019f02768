"""Reading what a registry holds."""

import base64
import http.server
import threading
from collections.abc import Iterator

import pytest
from dcv_fakes import FakeRegistry
from dcv_image.shared.ecr import Login
from dcv_image.shared.errors import UserError
from dcv_image.shared_build.registry import Registry

LOGIN = Login("AWS", "canary")


def test_digest_and_labels_of_a_tag(registry: FakeRegistry) -> None:
    digest = registry.put("team/x:latest", {"a": "b"})

    found = Registry(registry.base_url, LOGIN).find("team/x", "latest")

    assert found is not None
    assert (found.digest, found.labels) == (digest, {"a": "b"})
    assert set(registry.logins) == {f"Basic {base64.b64encode(b'AWS:canary').decode()}"}


def test_a_path_in_the_endpoint_stands_before_the_repository(registry: FakeRegistry) -> None:
    registry.put("mirror/x:1", {})

    assert Registry(f"{registry.base_url}/mirror", LOGIN).find("x", "1") is not None


def test_a_missing_tag_is_no_error(registry: FakeRegistry) -> None:
    assert Registry(registry.base_url, LOGIN).find("x", "1") is None


def test_an_index_has_no_labels(registry: FakeRegistry) -> None:
    registry.manifests["x:1"] = b'{"manifests": []}'

    found = Registry(registry.base_url, LOGIN).find("x", "1")

    assert found is not None
    assert found.labels == {}


def test_a_registry_that_is_not_there_is_one_message_without_the_password() -> None:
    with pytest.raises(UserError, match="could not be read") as caught:
        Registry("http://127.0.0.1:9", LOGIN).find("x", "1")

    assert "canary" not in str(caught.value)


@pytest.fixture
def redirecting(registry: FakeRegistry) -> Iterator[str]:
    """A registry that sends every reader on to `registry`, as ECR does to its storage."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(307)
            self.send_header("Location", f"{registry.base_url}{self.path}")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_the_login_does_not_follow_a_redirect(redirecting: str, registry: FakeRegistry) -> None:
    registry.put("x:1", {"a": "b"})

    found = Registry(redirecting, LOGIN).find("x", "1")

    assert found is not None
    assert set(registry.logins) == {""}
