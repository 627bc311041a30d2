"""What is killed, and when."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Victim(Enum):
    """What is killed, by SIGKILL if nothing else is said.

    POSTGRES restarts in order, which ends its sessions; POSTGRES_CRASH at once, without a
    checkpoint.
    """

    API = "api"
    WORKER = "worker"
    ENGINE = "engine"
    POSTGRES = "postgres"
    POSTGRES_CRASH = "postgres crash"

    @property
    def loses_answers(self) -> bool:
        return self not in {Victim.WORKER, Victim.ENGINE}


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill.

    Attributes:
        at_once: not only when something is being done.
    """

    victim: Victim
    at_once: bool = False
