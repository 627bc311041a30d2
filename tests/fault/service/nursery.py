"""A process that has imported everything and forks: its children live, and die, as real processes.

`python -m tests.fault.service.nursery` reads one JSON command a line, and answers each with a line:

    {"fork": {…}}        the id of a child that carries out the task (`mortal`)
    {"wait": ID}         how the child ended, or that it was stopped
    {"continue": ID}     SIGCONT

It has one thread, so its children inherit nobody's locks. They end with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from entrypoints.dev.service_processes import clean_environment

_KILLED = f"signal {signal.SIGKILL:d}"
_STOPPED = "stopped"
_ENDED = "exit 0"


class Nursery:
    """The test's side of it. A context manager.

    Args:
        log: what its children write to their streams is appended to.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fault.service.nursery"],
                env=clean_environment({}),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.communicate(timeout=30)

    def begin(self, task: Mapping[str, Any]) -> Child:
        """Let a child carry out a task."""
        return Child(self, int(self.ask({"fork": task})))

    def ask(self, command: Mapping[str, Any]) -> str:
        assert self._process is not None
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        print(json.dumps(command), file=stdin, flush=True)
        answer = stdout.readline().strip()
        assert answer, f"the nursery is gone:\n{self._log.read_text()[-4000:]}"
        return answer

    def last_words(self) -> str:
        return self._log.read_text()[-2000:]


@dataclass(slots=True)
class Child:
    """A process that carries out one task.

    Attributes:
        is_stopped: whether it was last seen so.
    """

    nursery: Nursery
    pid: int
    is_stopped: bool = False

    def expect_killed(self) -> None:
        self._expect(_KILLED)

    def expect_stopped(self) -> None:
        self._expect(_STOPPED)

    def expect_ended(self) -> None:
        self._expect(_ENDED)

    def go_on(self) -> None:
        self.nursery.ask({"continue": self.pid})
        self.is_stopped = False

    def _expect(self, end: str) -> None:
        seen = self.nursery.ask({"wait": self.pid})
        self.is_stopped = seen == _STOPPED
        assert seen == end, f"{seen} instead of {end}:\n{self.nursery.last_words()}"


def serve(commands: IO[str], answers: IO[str]) -> None:
    """Carry out commands until their stream ends, then end every child."""
    from tests.fault.service.mortal import carry_out  # noqa: PLC0415 - here alone: it is slow

    children: set[int] = set()
    for line in commands:
        command = json.loads(line)
        if task := command.get("fork"):
            pid = os.fork()
            if not pid:
                _live(lambda: carry_out(task))
            children.add(pid)
            answer = str(pid)
        elif pid := command.get("continue"):
            os.kill(pid, signal.SIGCONT)
            answer = "continued"
        else:
            answer = _awaited(command["wait"], children)
        print(answer, file=answers, flush=True)
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _live(task: Any) -> None:
    # Its streams are the log's: the nursery's own are for answers.
    os.dup2(2, 1)
    try:
        task()
    except BaseException:  # noqa: BLE001 - the end of a process
        traceback.print_exc()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)


def _awaited(pid: int, children: set[int]) -> str:
    _, status = os.waitpid(pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return _STOPPED
    children.discard(pid)
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"exit {os.WEXITSTATUS(status)}"


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
