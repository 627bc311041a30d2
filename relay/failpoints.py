"""Named places where a test lets the relay die or hang: ``RELAY_FAILPOINTS=after-acks=kill@3``.

Inert otherwise: an unarmed place costs a look into an empty dictionary. Several are separated by
commas; ``@3`` means the third time the place is reached, without it the first.

    before-fetch   the next statement would ask for pending rows
    after-fetch    rows are in memory, none of them is sent
    mid-produce    half of a batch is handed to the client
    after-acks     Kafka acknowledged, the rows are not deleted yet
    after-delete   the rows are gone, the process has not counted them
"""

import os
import re
import signal
from collections.abc import Mapping
from enum import StrEnum

VARIABLE = "RELAY_FAILPOINTS"

_ARMED = re.compile(r"(?P<place>[a-z-]+)=(?P<action>[a-z]+)(?:@(?P<turn>[1-9]\d{0,8}))?")


class Failpoint(StrEnum):
    BEFORE_FETCH = "before-fetch"
    AFTER_FETCH = "after-fetch"
    MID_PRODUCE = "mid-produce"
    AFTER_ACKS = "after-acks"
    AFTER_DELETE = "after-delete"


class Action(StrEnum):
    """What happens there: SIGKILL, or SIGSTOP, which keeps every connection open."""

    KILL = "kill"
    HANG = "hang"


_SIGNALS = {Action.KILL: signal.SIGKILL, Action.HANG: signal.SIGSTOP}
_armed: dict[Failpoint, tuple[int, Action]] = {}


class FailpointError(ValueError):
    """The variable names a place or an action that does not exist."""


def arm(environment: Mapping[str, str]) -> None:
    """Arm what the environment asks for, instead of what was armed before.

    Raises:
        FailpointError: In one line, beginning with the variable's name.
    """
    _armed.clear()
    for text in filter(None, environment.get(VARIABLE, "").split(",")):
        match = _ARMED.fullmatch(text.strip())
        try:
            if match is None:
                raise ValueError(text)  # noqa: TRY301 - malformed is told like unknown
            place, action = Failpoint(match["place"]), Action(match["action"])
        except ValueError as exc:
            known = f"{'|'.join(Failpoint)}={'|'.join(Action)}[@TURN]"
            raise FailpointError(f"{VARIABLE}: {text!r} is not {known}") from exc
        _armed[place] = (int(match["turn"] or 1), action)


def armed() -> list[str]:
    """Return what is armed, as it would be asked for."""
    return [f"{place}={action}@{turn}" for place, (turn, action) in _armed.items()]


def reach(place: Failpoint) -> None:
    """Do what is armed here, if it is this place's turn."""
    if place not in _armed:
        return
    turn, action = _armed[place]
    if turn > 1:
        _armed[place] = (turn - 1, action)
        return
    del _armed[place]
    os.kill(os.getpid(), _SIGNALS[action])
