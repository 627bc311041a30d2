"""A server process that does not outlive the process that started it.

The child gets a session of its own, so that Ctrl-C on the terminal reaches only us and we end our
children in order. For the case that we die without a chance to (SIGKILL, a crash), a small guard
holds the reading end of a pipe: its end of file means that we are gone, and the guard ends the
child. A parent-death signal would not do: it fires when the *thread* that started the child ends.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from entrypoints.dev.folders import REPOSITORY

_GUARD = """
trap '' INT TERM HUP
read -r _ && exit 0
kill -s "$2" "$1" 2>/dev/null
turns=0
while kill -0 "$1" 2>/dev/null && [ $turns -lt 150 ]; do sleep 0.1; turns=$((turns + 1)); done
kill -s KILL "$1" 2>/dev/null
shift 2
[ $# -eq 0 ] || exec "$@"
"""


class ServerStartError(RuntimeError):
    """A server ended, or did not answer in time; the message holds the end of its log."""


class GuardedProcess:
    """A running child; make it with `start`, end it with `stop` or `kill`."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        guard: subprocess.Popen[bytes],
        log: Path,
        stop_signal: signal.Signals,
    ) -> None:
        self._child = child
        self._guard = guard
        self._log = log
        self._stop_signal = stop_signal

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        *,
        log: Path,
        stop_signal: signal.Signals = signal.SIGTERM,
        user: str | None = None,
        group: int | None = None,
        environment: Mapping[str, str] | None = None,
        then: Sequence[str] = (),
        claim: int | None = None,
    ) -> Self:
        """Start `argv`.

        Args:
            argv: The program and its arguments.
            log: File to which its output is appended.
            stop_signal: What asks this program to end in order.
            user: Run as this user, with no supplementary groups; only root can.
            group: Run as this group; only root can.
            environment: Its whole environment; ours without it.
            then: What the guard runs at last if we died, to clear what the child leaves behind.
            claim: File descriptor that the guard keeps open as long as it is there.
        """
        with log.open("ab") as output:
            child = subprocess.Popen(  # noqa: S603 - the programs are ours, no shell is involved
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=environment,
                user=user,
                group=group,
                extra_groups=None if user is None else [],
                start_new_session=True,
            )
        name = stop_signal.name.removeprefix("SIG")
        guard = subprocess.Popen(  # noqa: S603 - the script above
            ["/bin/sh", "-c", _GUARD, "guard", str(child.pid), name, *then],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=REPOSITORY,
            pass_fds=() if claim is None else (claim,),
            start_new_session=True,
        )
        return cls(child, guard, log, stop_signal)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def log(self) -> Path:
        return self._log

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the child ended, -n by signal n; None while it runs."""
        return self._child.poll()

    def wait_until(self, ready: Callable[[], bool], *, timeout_seconds: float) -> None:
        """Return as soon as `ready()` is true; end the child if that does not come.

        Raises:
            ServerStartError: the child ended, or was not ready in time.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            alive = self.alive  # asked first: a child may end well between the two questions
            if ready():
                return
            if not alive or time.monotonic() > deadline:
                what = "was not ready in time" if alive else "ended at its start"
                self.kill()
                raise ServerStartError(f"{self._child.args!r} {what}:\n{self._log_tail()}")
            time.sleep(0.05)

    def wait_until_end(self, *, timeout_seconds: float) -> None:
        """Wait for a child that ends by itself.

        Raises:
            ServerStartError: it failed, or was not done in time.
        """
        self.wait_until(lambda: self._child.poll() == 0, timeout_seconds=timeout_seconds)
        self.kill()

    def stop(self, *, timeout_seconds: float = 20) -> None:
        """End the child in order, by force after `timeout_seconds`. Idempotent."""
        if self.alive:
            self._child.send_signal(self._stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout_seconds)
        self.kill()

    def kill(self) -> None:
        """End the child by SIGKILL, as a crash would. Idempotent."""
        if self.alive:
            self._child.kill()
        self._child.wait()
        # Only now: had we died before, the guard would still have been there.
        if self._guard.stdin and not self._guard.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._guard.stdin.fileno(), b"\n")
            self._guard.stdin.close()
        self._guard.wait()

    def _log_tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(lines[-15:])
