"""`python -m tests.fault.lifecycle.fake_worker`: the worker's own process, over a fake engine.

Everything but the engine is what `python -m entrypoints.worker` runs, its commands as well. The
engine lives in the test (`DockerServer`), so it outlives a worker that is killed; its calls take
a while, as real ones do, so that a kill finds one under way. Ports are asked of it, too. There is
no stream of events: passes find what happens behind the service's back.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dependency_injector import providers

from application.bring_up_container import Verdict
from entrypoints.composition.worker import Worker
from entrypoints.worker.__main__ import main
from tests.contracts.fake_docker import FakeDocker
from tests.contracts.fake_engine import FakeContainerEngine
from tests.fault.service.remote_docker import remote_docker

ADDRESS, KEY = "FAKE_DOCKER_ADDRESS", "FAKE_DOCKER_KEY"
MODULE = "tests.fault.lifecycle.fake_worker"

_LONGEST_PAUSE_SECONDS = 0.15
_UNHURRIED = frozenset({"build", "tag", "remove_tag", "create", "start", "stop", "remove"})
_ASK_AGAIN_SECONDS = 0.05


class UnhurriedEngine(FakeContainerEngine):
    """Lets time pass before and after it acts."""

    @contextmanager
    def _call(self, kind: str, subject: str) -> Iterator[object]:  # type: ignore[override] # of a private class
        longest = _LONGEST_PAUSE_SECONDS if kind in _UNHURRIED else 0.0
        time.sleep(random.uniform(0, longest))
        with super()._call(kind, subject) as running:
            yield running
        time.sleep(random.uniform(0, longest))


class KnowingProber:
    """Asks the fake engine whether a port answers."""

    def __init__(self, docker: FakeDocker) -> None:
        self._docker = docker
        self._forgotten: dict[int, threading.Event] = {}

    def watch(
        self,
        key: int,
        address: tuple[str, int],
        deadline_monotonic: float,
        on_verdict: Callable[[int, Verdict], None],
    ) -> None:
        """Call back once: when the port answers, is refused for a second, or the time is over."""
        forgotten = self._forgotten[key] = threading.Event()
        arguments = (key, address[1], deadline_monotonic, on_verdict, forgotten)
        threading.Thread(target=self._wait, args=arguments, daemon=True).start()

    def forget(self, key: int) -> None:
        self._forgotten.pop(key, threading.Event()).set()

    def close(self) -> None:
        for key in list(self._forgotten):
            self.forget(key)

    def _wait(
        self,
        key: int,
        port: int,
        deadline: float,
        on_verdict: Callable[[int, Verdict], None],
        forgotten: threading.Event,
    ) -> None:
        refused_at = min(deadline, time.monotonic() + 1.0)
        while not forgotten.wait(_ASK_AGAIN_SECONDS):
            if self._docker.answers(port):
                on_verdict(key, Verdict.READY)
            elif time.monotonic() >= deadline:
                on_verdict(key, Verdict.TIMED_OUT)
            elif time.monotonic() >= refused_at:
                on_verdict(key, Verdict.REFUSED)
            else:
                continue
            return


class NoEvents:
    """A stream on which nothing is ever told."""

    def start(self) -> None: ...

    def close(self) -> None: ...


def _drive_the_fake() -> None:
    """Let every `Worker` of this process have the engine of the test."""
    docker = remote_docker(os.environ[ADDRESS], os.environ[KEY])
    installation_id = os.environ["INSTALLATION_ID"]
    # Functions, because arguments would be copied into each `Worker`.
    Worker.docker.override(providers.Singleton(lambda: UnhurriedEngine(docker, installation_id)))
    Worker.prober.override(providers.Singleton(lambda: KnowingProber(docker)))
    Worker.events.override(providers.Singleton(NoEvents))


if __name__ == "__main__":
    _drive_the_fake()
    sys.exit(main())
