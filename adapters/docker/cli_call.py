"""One call of the Docker CLI, from its wrapper to what its end means."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from python_on_whales import DockerClient
from python_on_whales.exceptions import DockerException
from python_on_whales.utils import run, stream_stdout_and_stderr

from adapters.docker.child_process import terminate_child
from adapters.docker.error_classes import Gone, classified
from application.errors import EngineError, EngineUnreachable, OutcomeUnknown

KILL_AFTER_SECONDS = 5

# What is left a moment after that is no child of `timeout` any more.
_SWEEP_SECONDS = 0.5

# A client that gets SIGTERM in the first milliseconds of its life may lose it: seen with CLI 28,
# 5 ms after its start. So a call that is to end is asked again, and killed while its worker, which
# has 5 s to end, is still there to record what became of it.
_ASK_AGAIN_SECONDS = (0.25, 0.75, 1.5)
_KILL_ENDING_SECONDS = 2.25

# What GNU timeout answers when the limit was reached, and when `docker` cannot be run.
_TIMED_OUT = 124
_CANNOT_RUN = frozenset({126, 127})
# What the kernel and a shell answer for a signal.
_SIGNALLED = frozenset(
    {128 + signal.SIGTERM, 128 + signal.SIGKILL, -signal.SIGTERM, -signal.SIGKILL}
)

# $0 is the worker, $1 the pid file. PPID: the worker may have died before setpriv had its say.
_SCRIPT = """\
[ "$PPID" = "$0" ] || exit 143
echo $$ >"$1" || exit 126
[ ! -e "$1.end" ] || exit 143
shift
exec "$@"\
"""
# Streams in one: in the order in which they were written.
_MERGING_SCRIPT = f"{_SCRIPT} 2>&1"

# Docker's last words are among these; the rest of a stream is nobody's to keep.
_KEPT_LINES = 40
_KEPT_CHARACTERS = 8 * 1024


class CutOff(OutcomeUnknown):
    """The call reached its time limit."""


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
        self._docker_host = docker_host
        self._pid_file = pid_file
        self._end_mark = pid_file.with_name(f"{pid_file.name}.end")
        self._seconds = seconds
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._over = False
        self._ending = False
        self._classify: Callable[[str], EngineError] = classified
        self._timers: list[threading.Timer] = []
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
            environment: what is added to this process's own.
        """
        command = [*self._prefix(_SCRIPT), *command]
        with self._swept_after(self._seconds):
            return str(run(command, pass_fds=descriptors, env=dict(environment or {})))

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
    ) -> None:
        """Make the call and hand over each line that it writes, to whichever stream, as it comes.

        An error of `take` ends the call before it is raised.

        Args:
            classify: reads the last lines, should the call fail.
        """
        self._classify = classify
        with self._swept_after(self._seconds):
            self._hand_over(command, take)

    def _hand_over(self, command: Sequence[str], take: Callable[[str], None]) -> None:
        lines = iter(stream_stdout_and_stderr([*self._prefix(_MERGING_SCRIPT), *command]))
        try:
            for _, data in lines:
                line = data.decode(errors="replace").rstrip("\n")
                self._last_lines.append(_shortened(line))
                take(line)
        except DockerException:
            raise
        except BaseException:
            self._end()
            with contextlib.suppress(DockerException):
                for _ in lines:
                    pass
            raise

    def interrupt(self) -> None:
        """End it; a call that is over is left alone."""
        self.interrupted = True
        self._end()

    def finish(self) -> None:
        """Note that its process is gone."""
        with self._lock:
            self._over = True
            self._pid_file.unlink(missing_ok=True)
            self._end_mark.unlink(missing_ok=True)

    def meaning_of(self, error: Exception) -> EngineError:
        """Return what the end of the call means."""
        if not isinstance(error, DockerException):
            return OutcomeUnknown("the Docker client could not be run, or its answer not be read")
        if error.return_code == _TIMED_OUT or (
            error.return_code in _SIGNALLED and time.monotonic() - self._began >= self._seconds
        ):
            return CutOff(f"the engine did not answer within {self._seconds:g} seconds")
        if error.return_code in _CANNOT_RUN:
            return EngineUnreachable("the Docker client cannot be run")
        if error.return_code in _SIGNALLED:
            return OutcomeUnknown("the Docker client was killed")
        return self._classify("\n".join(self._last_lines) or error.stderr or "")

    def _prefix(self, script: str) -> list[str]:
        wrapper = [
            *("setpriv", "--pdeathsig", "TERM"),
            *("sh", "-c", script, str(os.getpid()), str(self._pid_file)),
            *("timeout", "--signal=TERM", f"--kill-after={KILL_AFTER_SECONDS}"),
            *(f"{self._seconds:.3f}", "docker"),
        ]
        client = DockerClient(host=self._docker_host, client_call=wrapper)
        return [str(part) for part in client.client_config.docker_cmd]

    @contextlib.contextmanager
    def _swept_after(self, seconds: float) -> Iterator[None]:
        """Kill what outlives the CLI in its process group and holds its output open.

        `timeout` kills the CLI itself, but ends with it: a plugin that ignores SIGTERM stays.
        """
        self._later(seconds + KILL_AFTER_SECONDS + _SWEEP_SECONDS, self._sweep)
        try:
            yield
        finally:
            with self._lock:
                for timer in self._timers:
                    timer.cancel()

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, act)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def _sweep(self) -> None:
        with self._lock:
            if self._over:
                return
            # The group bears the pid for as long as it has members: nobody else can have it.
            with contextlib.suppress(OSError, ValueError):
                os.killpg(int(self._pid_file.read_text()), signal.SIGKILL)

    def _end(self) -> None:
        with self._lock:
            if self._over:
                return
            with contextlib.suppress(OSError):
                self._end_mark.touch()
            try:
                pid = int(self._pid_file.read_text())
            except (OSError, ValueError):
                # Its shell has not written the pid yet, so it will see the mark.
                return
            if not self._ending:
                self._ending = True
                terminate_child(pid)
                for seconds in _ASK_AGAIN_SECONDS:
                    self._later(seconds, lambda: self._ask_again(pid))
                self._later(_KILL_ENDING_SECONDS, self._sweep)

    def _ask_again(self, pid: int) -> None:
        with self._lock:
            if not self._over:
                terminate_child(pid)


def _shortened(line: str) -> str:
    """Keep how an error begins and how it ends; between the two it may quote a whole step."""
    half = _KEPT_CHARACTERS // 2
    return line if len(line) <= 2 * half else f"{line[:half]} … {line[-half:]}"
