"""What is armed, from ORCHESTRATOR_FAILPOINTS: `reconcile.before-commit=kill@2,trace=/tmp/reached`.

Each entry is NAME=ACTION[@N]: at the Nth time that this process comes by, the first one without N.

    kill        SIGKILL: nothing is put in order
    hang        SIGSTOP: every connection stays open; SIGCONT lets it go on
    raise       an exception that nobody foresaw
    drop-reply  only after a call of the engine: it was carried out, its answer is lost

`trace=FILE` beside them appends the name of each place that is reached.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections import Counter
from enum import StrEnum
from pathlib import Path

from adapters.failpoints.names import ENGINE_REPLIES, NAMES
from application.errors import OutcomeUnknown

_TRACE = "trace="
_ENTRY = re.compile(r"(?P<name>[a-z.-]+)=(?P<action>[a-z-]+)(?:@(?P<turn>[1-9]\d{0,8}))?")


class UnknownFailpoint(ValueError):  # noqa: N818 - named by what is wrong
    """An entry names a place or an action that does not exist; the text quotes it."""


class FailpointRaised(Exception):  # noqa: N818 - named by what happened
    """What nobody foresaw, at the place that the text names."""


class Action(StrEnum):
    KILL = "kill"
    HANG = "hang"
    RAISE = "raise"
    DROP_REPLY = "drop-reply"


_SIGNALS = {Action.KILL: signal.SIGKILL, Action.HANG: signal.SIGSTOP}


class Failpoints:
    """The places of this process that are armed, and how often each was reached."""

    def __init__(self, armed: dict[tuple[str, int], Action], trace: Path | None = None) -> None:
        self._armed = armed
        self._trace = trace
        self._reached: Counter[str] = Counter()
        self._lock = threading.Lock()

    @classmethod
    def parse(cls, text: str) -> Failpoints | None:
        """Return what `text` arms, None for nothing.

        Raises:
            UnknownFailpoint: there is no such place or action.
        """
        armed: dict[tuple[str, int], Action] = {}
        trace = None
        for entry in filter(None, (part.strip() for part in text.split(","))):
            if entry.startswith(_TRACE):
                trace = Path(entry.removeprefix(_TRACE))
                continue
            name, turn, action = _parsed(entry)
            armed[name, turn] = action
        return cls(armed, trace) if armed or trace else None

    def reach(self, name: str) -> None:
        """Do what is armed here, if it is this place's turn."""
        with self._lock:
            self._reached[name] += 1
            action = self._armed.get((name, self._reached[name]))
            if self._trace is not None:
                with self._trace.open("a") as file:
                    file.write(f"{name}\n")
        if action is Action.RAISE:
            raise FailpointRaised(name)
        if action is Action.DROP_REPLY:
            raise OutcomeUnknown(f"the answer was lost at {name}")
        if action is not None:
            os.kill(os.getpid(), _SIGNALS[action])


def _parsed(entry: str) -> tuple[str, int, Action]:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise UnknownFailpoint(f"{entry!r} is not NAME={'|'.join(Action)}[@N]")
    name, action = match["name"], match["action"]
    if name not in NAMES:
        raise UnknownFailpoint(f"{entry!r}: there is no place {name}")
    if action not in set(Action):
        raise UnknownFailpoint(f"{entry!r}: the actions are {', '.join(Action)}")
    if action == Action.DROP_REPLY and name not in ENGINE_REPLIES:
        raise UnknownFailpoint(f"{entry!r}: only after a call of the engine is there a reply")
    return name, int(match["turn"] or 1), Action(action)
