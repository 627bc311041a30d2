"""The service's own processes, started as an operator starts them: one command each."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Self

from entrypoints.dev.folders import REPOSITORY
from entrypoints.dev.guarded_process import GuardedProcess

_READY_TIMEOUT_SECONDS = 60.0

COMMANDS = {
    "api": ("-m", "entrypoints.http"),
    "worker": ("-m", "entrypoints.worker"),
    "relay": ("-m", "relay"),
}
_PORTS = {"api": "PORT", "worker": "WORKER_PORT", "relay": "RELAY_PORT"}


def clean_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with `settings`, able to import the project."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1", **settings}


def migrate(settings: Mapping[str, str]) -> None:
    """Run `python -m migrations`.

    Raises:
        subprocess.CalledProcessError: it failed; its output went to ours.
    """
    subprocess.run(
        [sys.executable, "-m", "migrations"],
        env=clean_environment(settings),
        cwd=REPOSITORY,
        check=True,
    )


class ServiceProcess:
    """One process of the service: api, worker or relay. A context manager.

    Args:
        name: which one.
        settings: its environment variables, with the port of its health endpoints.
        log: the file that its output is appended to.
        command: the arguments of Python that start it, unless they are the usual ones.
    """

    def __init__(
        self,
        name: str,
        settings: Mapping[str, str],
        log: Path,
        command: Sequence[str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._settings = dict(settings)
        self._command = command or COMMANDS[name]
        self._process: GuardedProcess | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where its HTTP port is."""
        return f"http://127.0.0.1:{self._settings[_PORTS[self.name]]}"

    @property
    def process(self) -> GuardedProcess | None:
        """What runs, or ended by itself; None before the start and after the stop."""
        return self._process

    @property
    def pid(self) -> int:
        """The running process's id."""
        assert self._process is not None, f"{self.name} does not run"  # noqa: S101 - our own use
        return self._process.pid

    def start(self, *, ready: bool = True) -> None:
        """Start it and return when it is ready, or alive if `ready` is false.

        Raises:
            ServerStartError: it ended, or was not ready in 60 s; with the end of its log.
        """
        self._process = GuardedProcess.start(
            [sys.executable, *self._command],
            log=self.log,
            environment=clean_environment(self._settings),
        )
        path = "/readyz" if ready else "/healthz"
        self._process.wait_until(
            lambda: self._answers(path), timeout_seconds=_READY_TIMEOUT_SECONDS
        )

    def stop(self) -> None:
        """End it by SIGTERM. Idempotent."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """End it by SIGKILL. Idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def _answers(self, path: str) -> bool:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(self.url + path, timeout=2) as answer,  # noqa: S310 - ours
        ):
            return bool(answer.status == HTTPStatus.OK)
        return False
