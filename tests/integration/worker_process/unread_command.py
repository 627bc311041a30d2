"""A worker's command whose reader has gone away."""

import os
import subprocess
import sys
from collections.abc import Mapping

from entrypoints.dev.service_processes import clean_environment

_BOUND_SECONDS = 60.0


def run_unread(name: str, settings: Mapping[str, str]) -> tuple[int, bytes]:
    """Run a command that nobody reads; returns its exit code and what it wrote to stderr.

    The reader is gone before it begins: one that goes later may come too late.
    """
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        ended = subprocess.run(
            [sys.executable, "-m", "entrypoints.worker", name],
            env=clean_environment(settings),
            stdout=nobody,
            stderr=subprocess.PIPE,
            timeout=_BOUND_SECONDS,
            check=False,
        )
    return ended.returncode, ended.stderr
