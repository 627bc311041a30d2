"""Publishes the outbox until SIGTERM or SIGINT: what ``python -m relay`` does by itself.

Exit codes: 0 ended as asked, 1 had to be cut short, 2 a setting is missing or wrong.
"""

import errno
import gc
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Mapping

import structlog

from relay import failpoints
from relay.client_options import check_client_options
from relay.health import HealthServer, Status
from relay.logs import configure_logs
from relay.metrics import Metrics
from relay.process import RelayProcess
from relay.settings import Settings, SettingsError, read_settings
from relay.shutdown import Shutdown

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# The platform gives 5 s; what is left after this is for the interpreter.
_SHUTDOWN_SECONDS = 4.3
_LAST_LINE_SECONDS = 0.4


def serve(environment: Mapping[str, str]) -> int:
    """Serve as the environment says; return the exit code."""
    signals = _listen_for_signals()
    try:
        failpoints.arm(environment)
        settings = read_settings(environment)
        client_log = configure_logs(settings.log_level)
        check_client_options(settings, client_log)
        status, metrics = Status(), Metrics()
        server = _bind(settings, status, metrics)
    except (SettingsError, failpoints.FailpointError) as exc:
        sys.stderr.write(f"relay: {exc}\n")
        return 2
    shutdown = Shutdown()
    process = RelayProcess(
        settings, shutdown=shutdown, status=status, metrics=metrics, client_log=client_log
    )
    _relax_garbage_collection()
    log = structlog.get_logger()
    log.info("relay started", host=settings.bind_host, port=server.port)
    if armed := failpoints.armed():
        log.warning("failpoints are armed", failpoints=armed)
    worker = threading.Thread(target=process.run, name="relay", daemon=True)
    worker.start()
    asked = False
    while worker.is_alive() and not asked:
        asked = bool(select.select([signals], [], [], 1.0)[0])
    _cut_short_after(_SHUTDOWN_SECONDS + _LAST_LINE_SECONDS)
    process.stop()
    worker.join(_SHUTDOWN_SECONDS)
    if worker.is_alive():
        # A database that does not answer: whatever was in flight is still in the outbox.
        log.error("relay cut short", no_answer_from=process.unanswered)
        sys.stdout.flush()
        os._exit(1)
    server.close()
    if not asked:
        log.error("relay ended by itself")
        return 1
    log.info("relay ended")
    return 0


def _cut_short_after(seconds: float) -> None:
    """Make sure of the end, though nobody reads our output and a line cannot be written."""
    timer = threading.Timer(seconds, os._exit, (1,))
    timer.daemon = True
    timer.start()


def _relax_garbage_collection() -> None:
    """Let thousands of events live for some milliseconds without being searched for cycles.

    With the interpreter's own thresholds the search took a fifth of the main thread's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _listen_for_signals() -> socket.socket:
    """Return what becomes readable at a signal.

    The handlers do nothing: one that set an event could interrupt a thread that holds its lock.
    """
    readable, writable = socket.socketpair()
    writable.setblocking(False)
    for number in _SIGNALS:
        signal.signal(number, lambda _number, _frame: None)
    # It writes to the number for as long as the process lives, so the socket is never closed.
    signal.set_wakeup_fd(writable.detach())
    return readable


def _bind(settings: Settings, status: Status, metrics: Metrics) -> HealthServer:
    try:
        return HealthServer(settings.bind_host, settings.relay_port, status, metrics.registry)
    except OSError as exc:
        # A name that leads nowhere, or an address of another machine: no port would be free there.
        unknown = isinstance(exc, socket.gaierror) or exc.errno == errno.EADDRNOTAVAIL
        variable = "BIND_HOST" if unknown else "RELAY_PORT"
        where = f"{settings.bind_host}:{settings.relay_port}"
        raise SettingsError(f"{variable}: cannot listen on {where}: {exc.strerror}") from exc
