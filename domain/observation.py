"""What an engine tells of a container when it is asked afresh."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_OID, UUID, uuid5


@dataclass(frozen=True, slots=True)
class Observation:
    """One container as `inspect` showed it; unknown values are None.

    Attributes:
        docker_id: its full id in Docker.
        uid: the uid in its labels, None if it bears none.
        installation_id: the installation in its labels, None if it bears none.
        spec_hash: the hash of what it was created from, None if it bears none.
        started_at: Docker's StartedAt of the present or last run, None if it never ran.
        finished_at: Docker's FinishedAt of the last run, None while it runs or never ran.
        exit_code: of the last run, None while it runs or never ran.
        engine_started_at: when the engine itself started last, None if it was not asked.
    """

    docker_id: str
    name: str
    uid: UUID | None
    installation_id: str | None
    spec_hash: str | None
    running: bool
    started_at: datetime | None
    finished_at: datetime | None
    exit_code: int | None
    oom_killed: bool
    container_ip: str | None
    engine_started_at: datetime | None = None

    @property
    def run_id(self) -> UUID | None:
        """The run's id: the same for every observer, because a run is Docker id + StartedAt."""
        if self.started_at is None:
            return None
        return uuid5(NAMESPACE_OID, f"{self.docker_id}@{self.started_at.isoformat()}")
