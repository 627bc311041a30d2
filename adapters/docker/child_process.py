"""Signals to a child that a library has started: only its pid is known, and pids are used again."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def terminate_child(pid: int) -> None:
    """Send SIGTERM to a child of ours; another process that bears the pid by now is spared."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # The descriptor pins the process: what is found out now stays true until the signal.
        if _parent_of(pid) == os.getpid():
            signal.pidfd_send_signal(process, signal.SIGTERM)
    except (ProcessLookupError, FileNotFoundError):
        return
    finally:
        os.close(process)


def _parent_of(pid: int) -> int:
    # The program's name stands in parentheses and may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return int(fields[1])
