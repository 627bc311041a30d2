"""What the engine tells of our containers while it happens, by `docker events`.

It only nominates: the engine keeps 256 events and skips readers that are slow, so whoever follows
asks for a pass whenever a stream begins. A stream ends with its time limit, with the engine, or
with this worker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from adapters.docker import labels
from adapters.docker.cli_call import CutOff
from adapters.docker.cli_calls import CliCalls
from application.errors import EngineInterrupted

# Ends of runs, foreign starts, and removals; whatever else happens a pass finds.
_ACTIONS = ("die", "start", "destroy")
_GONE = "destroy"
_FORMAT = f'{{{{.Action}}}} {{{{index .Actor.Attributes "{labels.UID}"}}}}'

# A call without an end would be none that is bounded; the next one follows at once.
STREAM_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Sign:
    """Something happened to a container.

    Attributes:
        gone: whether it was removed.
    """

    uid: UUID
    gone: bool


class DockerEventStream:
    """The events of one installation's containers on one engine.

    Args:
        docker_host: where the engine is.
        installation_id: whose containers.
        scratch: a private folder for pid files.
    """

    def __init__(self, *, docker_host: str, installation_id: str, scratch: Path) -> None:
        self._calls = CliCalls(docker_host, scratch)
        self._installation_id = installation_id

    def follow(self, take: Callable[[Sign], None], seconds: float = STREAM_SECONDS) -> None:
        """Hand over each sign as it comes; return when the time is over or `close` was called.

        Raises:
            EngineError: the engine ended the stream, or could not be reached.
        """
        filters = [f"label={labels.INSTALLATION_ID}={self._installation_id}", "type=container"]
        filters += [f"event={action}" for action in _ACTIONS]
        command = ["events", "--format", _FORMAT]
        for each in filters:
            command += ["--filter", each]
        try:
            with self._calls.call(seconds) as call:
                call.stream(command, lambda line: _hand_over(line, take))
        except (CutOff, EngineInterrupted):
            return

    def close(self) -> None:
        """End the stream that is followed, and refuse others."""
        self._calls.interrupt_all()


def _hand_over(line: str, take: Callable[[Sign], None]) -> None:
    action, _, uid = line.partition(" ")
    if action not in _ACTIONS:
        return
    try:
        sign = Sign(UUID(uid), gone=action == _GONE)
    except ValueError:
        # A label that is not ours to read; the next pass sees it as a stranger.
        return
    take(sign)
