"""The worker's health port needs nobody's help to come up, and tells what is missing."""

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from entrypoints.worker.health import HealthServer


@pytest.fixture
def needs() -> dict[str, str | None]:
    return {"database": None, "engine": None}


@pytest.fixture
def url(needs: dict[str, str | None], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that came up while the name service failed everybody."""

    def unavailable(*_: object) -> None:
        raise AssertionError("the name service was asked")

    for name in ("getfqdn", "gethostbyaddr", "getnameinfo"):
        monkeypatch.setattr(socket, name, unavailable)
    listener = socket.create_server(("127.0.0.1", 0))
    server = HealthServer(listener, lambda: needs)
    server.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.close()


def test_it_answers_without_asking_the_name_service(url: str) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        with urllib.request.urlopen(url + path, timeout=5) as answer:
            assert answer.status == 200


def test_what_is_missing_is_told(url: str, needs: dict[str, str | None]) -> None:
    needs["engine"] = "nobody answers"

    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(url + "/readyz", timeout=5)

    with answer.value as body:
        assert body.code == 503
        assert b"nobody answers" in body.read()
