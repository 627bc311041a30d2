"""A process that is asked to end: told once, ended in time, no stranger's descriptor touched."""

import os
import signal
import subprocess
import sys
import time

import pytest

from entrypoints.dev.folders import REPOSITORY

_COUNTS_BYTES = """
import os, select, signal, socket, threading
from entrypoints.worker.termination import on_termination

asked = threading.Event()
on_termination(asked.set, last_resort_seconds=60)
os.kill(os.getpid(), signal.SIGTERM)
assert asked.wait(10)
strangers = [socket.socketpair() for _ in range(50)]
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
    os.kill(os.getpid(), number)
received = select.select([end for pair in strangers for end in pair], [], [], 0.5)[0]
print(len(received), flush=True)
os._exit(0)
"""

_NEVER_ENDS = """
import threading
from entrypoints.worker.termination import on_termination

on_termination({stop}, last_resort_seconds=0.5)
print("ready", flush=True)
while True:
    threading.Event().wait(60)
"""


def _python(program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_further_signals_reach_no_descriptor_of_somebody_else() -> None:
    with _python(_COUNTS_BYTES) as process:
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out.strip(), err) == (0, "0", "")


@pytest.mark.parametrize("stop", ["lambda: None", "threading.Event().wait", "lambda: 1 / 0"])
def test_a_process_that_does_not_end_by_itself_is_ended(stop: str) -> None:
    with _python(_NEVER_ENDS.format(stop=stop)) as process:
        assert process.stdout is not None
        process.stdout.readline()
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        seconds = time.monotonic() - asked

    assert process.returncode == 0
    assert 0.4 < seconds < 5
