"""One call of the Docker CLI, from its command to what its end means."""

from __future__ import annotations

import contextlib
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from python_on_whales.exceptions import DockerException
from python_on_whales.utils import run, stream_stdout_and_stderr

from adapters.docker.error_classes import Gone, classified
from adapters.docker.wrapped_process import WrappedProcess
from application.errors import EngineError, EngineUnreachable, OutcomeUnknown

# What GNU timeout answers when the limit was reached, and when `docker` cannot be run.
_TIMED_OUT = 124
_CANNOT_RUN = frozenset({126, 127})
# What the kernel and a shell answer for a signal.
_SIGNALLED = frozenset(
    {128 + signal.SIGTERM, 128 + signal.SIGKILL, -signal.SIGTERM, -signal.SIGKILL}
)

# Docker's last words are among these; the rest of a stream is nobody's to keep.
_KEPT_LINES = 40
_KEPT_CHARACTERS = 8 * 1024


class CutOff(OutcomeUnknown):
    """The call reached its time limit, or was cut off by who made it."""


class CliCall:
    """A call to be made once, by `answer` or by `stream`.

    Attributes:
        interrupted: it was ended on purpose, or will be as soon as it begins.
    """

    def __init__(
        self, docker_host: str, pid_file: Path, seconds: float, key: str | None = None
    ) -> None:
        self.key = key
        self.interrupted = False
        self._cut_off = False
        self._seconds = seconds
        self._process = WrappedProcess(docker_host, pid_file, seconds)
        self._began = time.monotonic()
        self._classify: Callable[[str], EngineError] = classified
        self._last_lines: deque[str] = deque(maxlen=_KEPT_LINES)

    def answer(
        self,
        command: Sequence[str],
        descriptors: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
    ) -> str:
        """Make the call and return what it writes to standard output.

        Args:
            descriptors: file descriptors that it inherits.
            environment: what is added to its own.
        """
        started = self._process.command(command)
        added = {**self._process.environment, **(environment or {})}
        with self._process.swept():
            return str(run(started, pass_fds=descriptors, env=added))

    def answer_of_many(self, command: Sequence[str]) -> str:
        """As `answer`, for a call about many: of those that are gone by now nothing is told."""
        try:
            return self.answer(command)
        except DockerException as exc:
            complaints = [line for line in (exc.stderr or "").splitlines() if line.strip()]
            gone = complaints and all(isinstance(classified(line), Gone) for line in complaints)
            if exc.return_code != 1 or not gone:
                raise
            return str(exc.stdout or "")

    def stream(
        self,
        command: Sequence[str],
        take: Callable[[str], None],
        classify: Callable[[str], EngineError] = classified,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Make the call and hand over each line that it writes, to whichever stream, as it comes.

        An error of `take` ends the call before it is raised.

        Args:
            classify: reads the last lines, should the call fail.
            environment: what is added to this process's own.
        """
        self._classify = classify
        with self._process.swept():
            self._hand_over(command, take, environment or {})

    def _hand_over(
        self,
        command: Sequence[str],
        take: Callable[[str], None],
        environment: Mapping[str, str],
    ) -> None:
        started = self._process.command(command, merged=True)
        added = {**self._process.environment, **environment}
        lines = iter(stream_stdout_and_stderr(started, env=added))
        try:
            for _, data in lines:
                line = data.decode(errors="replace").rstrip("\n")
                self._last_lines.append(_shortened(line))
                take(line)
        except DockerException:
            raise
        except BaseException:
            self._process.end()
            with contextlib.suppress(DockerException):
                for _ in lines:
                    pass
            raise

    def interrupt(self) -> None:
        """End it; a call that is over is left alone."""
        self.interrupted = True
        self._process.end()

    def cut_off(self) -> None:
        """End it as its time limit would; a call that is over is left alone."""
        self._cut_off = True
        self._process.end()

    def finish(self) -> None:
        """Note that its process is gone."""
        self._process.finish()

    def meaning_of(self, error: Exception) -> EngineError:
        """Return what the end of the call means."""
        if not isinstance(error, DockerException):
            return OutcomeUnknown("the Docker client could not be run, or its answer not be read")
        if (
            self._cut_off
            or error.return_code == _TIMED_OUT
            or (error.return_code in _SIGNALLED and time.monotonic() - self._began >= self._seconds)
        ):
            return CutOff(f"the engine did not answer within {self._seconds:g} seconds")
        if error.return_code in _CANNOT_RUN:
            return EngineUnreachable("the Docker client cannot be run")
        if error.return_code in _SIGNALLED:
            return OutcomeUnknown("the Docker client was killed")
        return self._classify("\n".join(self._last_lines) or error.stderr or "")


def _shortened(line: str) -> str:
    """Keep how an error begins and how it ends; between the two it may quote a whole step."""
    half = _KEPT_CHARACTERS // 2
    return line if len(line) <= 2 * half else f"{line[:half]} … {line[-half:]}"
