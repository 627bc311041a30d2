"""Containers as Docker would show them, by the number of their run."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from domain.observation import Observation


def seen(container_id: int, run: int = 1, **changed: Any) -> Observation:
    """A container as Docker would show it, in its run number `run`."""
    observation = Observation(
        docker_id=f"{container_id:064x}",
        name=f"container-{container_id}",
        uid=None,
        installation_id=None,
        spec_hash=None,
        running=True,
        started_at=datetime(2026, 3, 1, 12, run // 60, run % 60, tzinfo=UTC),
        finished_at=None,
        exit_code=None,
        oom_killed=False,
        container_ip="172.17.0.2",
    )
    return replace(observation, **changed)


def ended(container_id: int, run: int = 1, *, exit_code: int = 0) -> Observation:
    """A container as Docker would show it after its run number `run`."""
    finished = datetime(2026, 3, 1, 12, run // 60, run % 60, 500_000, tzinfo=UTC)
    return seen(
        container_id,
        run,
        running=False,
        finished_at=finished,
        exit_code=exit_code,
        container_ip=None,
    )
