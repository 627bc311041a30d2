"""What is armed, from ORCHESTRATOR_FAILPOINTS: `reconcile.before-commit=kill@2,trace=/tmp/reached`.

Each entry is NAME=ACTION[@N[/SINCE[@M]]]: at the Nth time that this process comes by, the first one
without N, counted from the Mth time that it has come by SINCE.

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
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from adapters.failpoints.names import ENGINE_REPLIES, NAMES
from application.errors import OutcomeUnknown

_TRACE = "trace="
_NUMBER = r"[1-9]\d{0,8}"
_ENTRY = re.compile(
    rf"(?P<name>[a-z.-]+)=(?P<action>[a-z-]+)(?:@(?P<turn>{_NUMBER}))?"
    rf"(?:/(?P<since>[a-z.-]+)(?:@(?P<since_turn>{_NUMBER}))?)?"
)


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


@dataclass(frozen=True, slots=True)
class _Armed:
    """What happens at a turn of a place.

    Attributes:
        since: the turn of another place that turns are counted from.
    """

    name: str
    turn: int
    action: Action
    since: tuple[str, int] | None


class Failpoints:
    """The places of this process that are armed, and how often each was reached."""

    def __init__(self, armed: Sequence[_Armed], trace: Path | None = None) -> None:
        self._armed = armed
        self._trace = trace
        self._reached: Counter[str] = Counter()
        # How often a place had been reached when its turns began to count.
        self._begun = {each: 0 for each in armed if each.since is None}
        self._lock = threading.Lock()

    @classmethod
    def parse(cls, text: str) -> Failpoints | None:
        """Return what `text` arms, None for nothing.

        Raises:
            UnknownFailpoint: there is no such place or action.
        """
        armed: list[_Armed] = []
        trace = None
        for entry in filter(None, (part.strip() for part in text.split(","))):
            if entry.startswith(_TRACE):
                trace = Path(entry.removeprefix(_TRACE))
                continue
            armed.append(_parsed(entry))
        return cls(armed, trace) if armed or trace else None

    def reach(self, name: str) -> None:
        """Do what is armed here, if it is this place's turn."""
        with self._lock:
            action = self._counted(name)
            if self._trace is not None:
                with self._trace.open("a") as file:
                    file.write(f"{name}\n")
        if action is Action.RAISE:
            raise FailpointRaised(name)
        if action is Action.DROP_REPLY:
            raise OutcomeUnknown(f"the answer was lost at {name}")
        if action is not None:
            os.kill(os.getpid(), _SIGNALS[action])

    def _counted(self, name: str) -> Action | None:
        self._reached[name] += 1
        reached, due = self._reached[name], None
        for each in self._armed:
            begun = self._begun.get(each)
            if begun is None and each.since == (name, reached):
                self._begun[each] = self._reached[each.name]
            elif begun is not None and each.name == name and reached - begun == each.turn:
                due = each.action
        return due


def _parsed(entry: str) -> _Armed:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        raise UnknownFailpoint(f"{entry!r} is not NAME={'|'.join(Action)}[@N[/SINCE[@M]]]")
    name, action, since = match["name"], match["action"], match["since"]
    for place in (name, since):
        if place is not None and place not in NAMES:
            raise UnknownFailpoint(f"{entry!r}: there is no place {place}")
    if action not in set(Action):
        raise UnknownFailpoint(f"{entry!r}: the actions are {', '.join(Action)}")
    if action == Action.DROP_REPLY and name not in ENGINE_REPLIES:
        raise UnknownFailpoint(f"{entry!r}: only after a call of the engine is there a reply")
    counted_from = None if since is None else (since, int(match["since_turn"] or 1))
    return _Armed(name, int(match["turn"] or 1), Action(action), counted_from)
