"""What ended a run that nobody wished ended, as far as it can be seen."""

from __future__ import annotations

from datetime import timedelta

from domain.events import Cause
from domain.observation import Observation

# An engine that ends in order stops its containers first, each within 15 s (dockerd's default
# --shutdown-timeout); the rest is for a machine that boots in between.
ENGINE_RESTART = timedelta(seconds=60)


def unwished_cause(seen: Observation) -> Cause:
    """Return who or what ended the run: the kernel, the engine's own restart, or the app itself."""
    if seen.oom_killed:
        return Cause.OOM
    booted, started = seen.engine_started_at, seen.started_at
    if booted is not None and started is not None and started < booted:
        finished = seen.finished_at
        if finished is None or finished >= booted - ENGINE_RESTART:
            return Cause.ENGINE_RESTART
    return Cause.CRASH


def told_end(seen: Observation, cause: Cause) -> str:
    """Return the sentence that a user reads of it."""
    if cause is Cause.OOM:
        return "killed by the kernel: out of memory"
    if cause is Cause.ENGINE_RESTART:
        return "ended when the engine restarted"
    return f"exited with code {seen.exit_code}"
