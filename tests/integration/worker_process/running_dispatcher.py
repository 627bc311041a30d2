"""A worker's dispatcher in a thread of the test's process, over an engine in memory."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from adapters.docker.readiness_prober import SelectorReadinessProber
from application.keep_leases import KeepLeases
from application.leases import Work
from entrypoints.worker.dispatcher import Dispatcher
from entrypoints.worker.engine_monitor import EngineMonitor
from tests.integration.worker.worker import Worker


class _Monitor:
    def __init__(self, engine_id: str) -> None:
        self.engine_id = engine_id


@contextmanager
def running_dispatcher(
    worker: Worker, lease_seconds: float, *, at_the_end: Callable[[], None], at_once: int = 1
) -> Iterator[None]:
    """Let a worker carry out what is due.

    Args:
        at_once: so many jobs of each kind.
        at_the_end: is called before it is to end, so that the database answers then.
    """
    prober = SelectorReadinessProber()
    dispatcher = Dispatcher(
        worker.reconcile,
        worker.builds,
        worker.removals,
        KeepLeases(worker.installation.transactions, lease_seconds=lease_seconds),
        worker.engine,
        cast(EngineMonitor, _Monitor(worker.engine_id)),
        prober,
        dict.fromkeys(Work, at_once),
        probe_host="127.0.0.1",
        startup_timeout_seconds=60,
        lease_seconds=lease_seconds,
    )
    thread = threading.Thread(target=dispatcher.run)
    thread.start()
    try:
        yield
    finally:
        at_the_end()
        dispatcher.stop()
        thread.join(10)
        prober.close()
    assert not thread.is_alive()


def wait_for(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not found():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)
