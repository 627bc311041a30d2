"""The process of a call: under which wrapper it is started, and how it is ended.

`adapters.docker.cli_calls` tells what each part of the wrapper is for.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from python_on_whales import DockerClient

from adapters.docker.child_process import terminate_child

KILL_AFTER_SECONDS = 5

# What is left a moment after that is no child of `timeout` any more.
_SWEEP_SECONDS = 0.5

# A client that gets SIGTERM in the first milliseconds of its life may lose it: seen with CLI 28,
# 5 ms after its start. So a call that is to end is asked again, and killed while its worker, which
# has 5 s to end, is still there to record what became of it.
_ASK_AGAIN_SECONDS = (0.25, 0.75, 1.5)
_KILL_ENDING_SECONDS = 2.25

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

# What opens the database is no business of the client and its plugins.
_SECRETS = ("DATABASE_URL", "PGPASSWORD")


class WrappedProcess:
    """A process of the Docker CLI that is started once, with what `command` returns.

    Args:
        docker_host: where its engine is.
        pid_file: where it writes its pid; a mark beside it lets one that has not begun not begin,
            and a folder beside it holds what buildx writes.
        seconds: its time limit.
    """

    def __init__(self, docker_host: str, pid_file: Path, seconds: float) -> None:
        self._docker_host = docker_host
        self._pid_file = pid_file
        self._end_mark = pid_file.with_name(f"{pid_file.name}.end")
        self._buildx = pid_file.with_name(f"{pid_file.name}.buildx")
        self._seconds = seconds
        self._lock = threading.Lock()
        self._over = False
        self._ending = False
        self._timers: list[threading.Timer] = []

    def command(self, command: Sequence[str], *, merged: bool = False) -> list[str]:
        """Return what is to be started for `docker` with these arguments.

        Args:
            merged: whether its streams are to be one, in the order in which they were written.
        """
        wrapper = [
            *("setpriv", "--pdeathsig", "TERM"),
            *("sh", "-c", _MERGING_SCRIPT if merged else _SCRIPT),
            *(str(os.getpid()), str(self._pid_file)),
            *("timeout", "--signal=TERM", f"--kill-after={KILL_AFTER_SECONDS}"),
            *(f"{self._seconds:.3f}", "docker"),
        ]
        client = DockerClient(host=self._docker_host, client_call=wrapper)
        return [*(str(part) for part in client.client_config.docker_cmd), *command]

    @property
    def environment(self) -> dict[str, str]:
        """What is added to this process's own environment, or stands instead of it."""
        # buildx writes a file for each build, and removes none: in a folder that all calls share
        # they would fill the disk in the end.
        return dict.fromkeys(_SECRETS, "") | {"BUILDX_CONFIG": str(self._buildx)}

    @contextlib.contextmanager
    def swept(self) -> Iterator[None]:
        """Kill what outlives the CLI in its process group and holds its output open.

        `timeout` kills the CLI itself, but ends with it: a plugin that ignores SIGTERM stays.
        """
        self._later(self._seconds + KILL_AFTER_SECONDS + _SWEEP_SECONDS, self._sweep)
        try:
            yield
        finally:
            with self._lock:
                for timer in self._timers:
                    timer.cancel()

    def end(self) -> None:
        """Ask it to end, and see to it that it does; one that is over is left alone."""
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

    def finish(self) -> None:
        """Note that it is gone."""
        with self._lock:
            self._over = True
            self._pid_file.unlink(missing_ok=True)
            self._end_mark.unlink(missing_ok=True)
            shutil.rmtree(self._buildx, ignore_errors=True)

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

    def _ask_again(self, pid: int) -> None:
        with self._lock:
            if not self._over:
                terminate_child(pid)
