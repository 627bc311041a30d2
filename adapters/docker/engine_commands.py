"""How one engine is asked for anything, and for itself: its id, its version, an end of every call.

Nothing here knows leases or the database. Every call is idempotent where Docker allows it: what is
already as asked is success, what is gone cannot be removed again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from adapters.docker import labels
from adapters.docker.answered_time import Stopwatch, plain_stopwatch
from adapters.docker.build_log import MAX_BYTES
from adapters.docker.cli_calls import CliCalls
from adapters.docker.error_classes import classified
from adapters.docker.inspection import ENGINE_ID, checked_id
from application.engine_calls import CallLimits
from application.errors import EngineUnreachable, OutcomeUnknown

T = TypeVar("T")

_NO_ID = "no id: "
_ID_OR_WHY_NOT = f"{{{{.ID}}}}{{{{range .ServerErrors}}}}{_NO_ID}{{{{.}}}}{{{{end}}}}"

# Linux allows 2 MiB of arguments, of which an id takes 73 bytes.
_INSPECTED_AT_ONCE = 10_000


class EngineCommands:
    """The engine at DOCKER_HOST.

    Args:
        docker_host: where it is.
        installation_id: labels what is ours.
        publish_host_ip: the address that external ports are bound to on the engine.
        scratch: a private folder for pid files.
        limits: how long each call may take.
        max_build_log_bytes: how large the log of a build may become.
        start_stopwatch: starts to count for how long the engine answers.
    """

    def __init__(
        self,
        *,
        docker_host: str,
        installation_id: str,
        scratch: Path,
        publish_host_ip: str = "127.0.0.1",
        limits: CallLimits | None = None,
        max_build_log_bytes: int = MAX_BYTES,
        start_stopwatch: Callable[[], Stopwatch] = plain_stopwatch,
    ) -> None:
        self._calls = CliCalls(docker_host, scratch)
        self._installation_id = installation_id
        self._ours = f"label={labels.INSTALLATION_ID}={installation_id}"
        self._publish_host_ip = publish_host_ip
        self._limits = limits or CallLimits()
        self._max_build_log_bytes = max_build_log_bytes
        self._start_stopwatch = start_stopwatch

    @property
    def limits(self) -> CallLimits:
        return self._limits

    def engine_id(self) -> str:
        told = self._run(self._limits.inspect, ["info", "--format", _ID_OR_WHY_NOT])
        engine_id, _, why = told.partition(_NO_ID)
        if not engine_id.strip():
            # The client answers with its own half when the daemon does not, some with code 0.
            error = classified(why)
            unknown = isinstance(error, OutcomeUnknown)
            raise EngineUnreachable("the engine told no id") if unknown else error
        return checked_id(ENGINE_ID, engine_id.strip())

    def version(self) -> str:
        """Return the engine's version, for whoever reads the engines table."""
        return self._run(self._limits.inspect, ["version", "--format", "{{.Server.Version}}"])

    def interrupt_all(self) -> None:
        self._calls.interrupt_all()

    def _run(self, seconds: float, command: Sequence[str]) -> str:
        with self._calls.call(seconds) as call:
            return call.answer(command).strip()

    def _inspect_all(
        self, kind: str, ids: Sequence[str], read: Callable[[str], Sequence[T]]
    ) -> list[T]:
        """Inspect many in as few calls as can be; of those that are gone by now nothing is told."""
        found: list[T] = []
        for first in range(0, len(ids), _INSPECTED_AT_ONCE):
            command = [kind, "inspect", *ids[first : first + _INSPECTED_AT_ONCE]]
            with self._calls.call(self._limits.list) as call:
                found += read(call.answer_of_many(command))
        return found
