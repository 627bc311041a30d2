"""What the worker is told of TLS with its engine reaches the client, whatever it is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.docker.container_engine import DockerContainerEngine
from adapters.docker.event_stream import DockerEventStream
from application.errors import EngineError
from tests.unit.docker.shims import Shim, build_order, container_order

_TELLS = """\
for word in "$@"; do case $word in info|create|buildx|events) break ;; esac; done
echo "$word $DOCKER_TLS_VERIFY $DOCKER_CERT_PATH" >>"$TOLD"
exit 1
"""


def _follow(folder: Path) -> None:
    events = DockerEventStream(
        docker_host="tcp://10.0.0.7:2376", installation_id="test", scratch=folder / "events"
    )
    events.follow(lambda _: None)


@pytest.mark.parametrize(
    ("word", "call"),
    [
        ("info", lambda engine, _: engine.engine_id()),
        ("create", lambda engine, _: engine.create(container_order({"A": "1"}))),
        ("buildx", lambda engine, folder: engine.build(build_order(folder))),
        ("events", lambda _, folder: _follow(folder)),
    ],
)
def test_the_client_is_told_of_tls(
    shim: Shim,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    word: str,
    call: Callable[[DockerContainerEngine, Path], object],
) -> None:
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", "/certs/client")
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    engine = shim(_TELLS)

    with pytest.raises(EngineError):
        call(engine, tmp_path)

    assert (tmp_path / "told").read_text().splitlines()[0] == f"{word} 1 /certs/client"
