"""A relay that has just become the leader."""

import contextlib
import logging

import pytest

from relay.health import Role, Status
from relay.metrics import Metrics
from relay.process import RelayProcess
from relay.settings import Settings
from relay.shutdown import Shutdown

_SETTINGS = Settings(
    database_url="unused", kafka_bootstrap_servers="127.0.0.1:9", kafka_topic="ours"
)
_LOG = logging.getLogger("a client under test")


class Lock:
    """Nobody else has it."""

    def __init__(self, _session: object) -> None:
        """Of any session."""

    def try_acquire(self) -> bool:
        return True


def test_a_new_leader_is_not_ready_before_it_has_looked_for_its_topics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status = Status()
    status.database.say(None)
    status.broker.say(None)
    seen: list[tuple[Role, bool]] = []

    class NoTerm:
        """Sees what is told before the work begins, and does none."""

        def __init__(self, *_: object, **__: object) -> None:
            seen.append((status.role, status.ready))

        def serve(self) -> None:
            """Nothing to do."""

    monkeypatch.setattr("relay.process.open_session", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr("relay.process.require_tables", lambda _session: None)
    monkeypatch.setattr("relay.process.Leadership", Lock)
    monkeypatch.setattr("relay.process.Term", NoTerm)
    process = RelayProcess(
        _SETTINGS, shutdown=Shutdown(), status=status, metrics=Metrics(), client_log=_LOG
    )

    process._serve()

    assert seen == [(Role.LEADER, False)]
