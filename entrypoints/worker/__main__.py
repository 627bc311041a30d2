"""`python -m entrypoints.worker`: serve until SIGTERM, then hand everything back within 5 s.

With arguments: one operator's command instead.
"""

from __future__ import annotations

import os
import socket
import sys

import structlog

from application.errors import DatabaseUnavailable
from entrypoints.composition.storage import Storage
from entrypoints.composition.worker import Worker
from entrypoints.logs import configure_logs, silence_logs
from entrypoints.settings import InvalidSettings, Settings, load_settings
from entrypoints.start_up import (
    StartRefused,
    check_certificates,
    end_on_signals,
    listening_socket,
    open_storage,
)
from entrypoints.worker.command_line import run_command
from entrypoints.worker.health import HealthServer
from entrypoints.worker.termination import on_termination

log = structlog.get_logger("worker")


def main() -> int:
    arguments = sys.argv[1:]
    if not arguments:
        return serve()
    silence_logs()
    return run_command(arguments, os.environ)


def serve() -> int:
    end_on_signals()
    configure_logs("worker")
    try:
        settings = load_settings()
        check_certificates(settings)
        worker = Worker(settings=settings, application_name="orchestrator-worker")
        listener = listening_socket(
            settings.bind_host, settings.worker_port, variable="WORKER_PORT"
        )
        open_storage(worker, settings, listener)
    except (InvalidSettings, StartRefused) as exc:
        print(f"worker: {exc}", file=sys.stderr)  # noqa: T201 - the one line the operator reads
        return 2 if isinstance(exc, InvalidSettings) else 1
    _serve(worker, settings, listener)
    worker.pool().close(timeout=1.0)
    worker.scratch().remove()
    log.info("worker ended")
    # Threads that a stuck call holds must not keep the process; their leases run out.
    sys.stderr.flush()
    os._exit(0)


def _serve(worker: Worker, settings: Settings, listener: socket.socket) -> None:
    dispatcher, monitor, prober = worker.dispatcher(), worker.monitor(), worker.prober()
    services = (
        worker.notifier(), worker.presence(), monitor, worker.listener(), worker.passes(),
        worker.events(), worker.sweeps(), worker.instances(),
    )  # fmt: skip
    health = HealthServer(
        listener,
        lambda: {"database": _database_trouble(worker), "engine": monitor.detail},
    )
    on_termination(dispatcher.stop)
    for service in services:
        service.start()
    health.start()
    log.info("worker serves", port=settings.worker_port, worker_id=str(worker.process_id()))
    dispatcher.run()
    health.close()
    prober.close()
    for service in reversed(services):
        service.close()


def _database_trouble(storage: Storage) -> str | None:
    try:
        storage.registry().health()
    except DatabaseUnavailable as exc:
        return str(exc)
    except Exception:
        log.exception("database not checked")
        return "it could not be checked: see the log"
    return None


if __name__ == "__main__":
    sys.exit(main())
