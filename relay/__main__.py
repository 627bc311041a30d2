"""``python -m relay``: publish the outbox until SIGTERM or SIGINT.

Exit codes: 0 ended as asked, 1 had to be cut short, 2 a setting is missing or wrong.
"""

import logging
import os
import select
import signal
import socket
import sys
import threading

import msgspec
import structlog
from confluent_kafka import KafkaException, Producer

from relay.health import HealthServer, Status
from relay.logs import configure_logs
from relay.metrics import Metrics
from relay.process import RelayProcess
from relay.settings import CLIENT_PREFIX, Settings, SettingsError, read_settings, variable_of
from relay.shutdown import Shutdown

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# The platform gives 5 s; what is left after this is for the interpreter.
_SHUTDOWN_SECONDS = 4.3


def main() -> int:
    signals = _listen_for_signals()
    try:
        settings = read_settings(os.environ)
        client_log = configure_logs(settings.log_level)
        _check_client_options(settings, client_log)
        status, metrics = Status(), Metrics()
        server = _bind(settings, status, metrics)
    except SettingsError as exc:
        sys.stderr.write(f"relay: {exc}\n")
        return 2
    shutdown = Shutdown()
    process = RelayProcess(
        settings, shutdown=shutdown, status=status, metrics=metrics, client_log=client_log
    )
    log = structlog.get_logger()
    log.info("relay started", host=settings.bind_host, port=server.port)
    worker = threading.Thread(target=process.run, name="relay", daemon=True)
    worker.start()
    while worker.is_alive() and not select.select([signals], [], [], 1.0)[0]:
        pass
    process.stop()
    worker.join(_SHUTDOWN_SECONDS)
    if worker.is_alive():
        # A database that does not answer: whatever was in flight is still in the outbox.
        log.error("relay cut short")
        sys.stdout.flush()
        os._exit(1)
    server.close()
    log.info("relay ended")
    return 0


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


def _check_client_options(settings: Settings, client_log: logging.Logger) -> None:
    """Let librdkafka read its options; creating a client needs no broker."""
    reason = _refusal(settings, client_log)
    if reason is None:
        return
    # Its text may name an alias, or nothing: to blame is the option without which it is content.
    for option in settings.kafka_client:
        others = {name: value for name, value in settings.kafka_client.items() if name != option}
        if _refusal(msgspec.structs.replace(settings, kafka_client=others), client_log) is None:
            raise SettingsError(f"{variable_of(option)}: {reason}")
    raise SettingsError(f"{CLIENT_PREFIX}*: {reason}")


def _refusal(settings: Settings, client_log: logging.Logger) -> str | None:
    try:
        Producer(settings.client_options(), logger=client_log)
    except KafkaException as exc:
        return str(exc.args[0].str())
    return None


def _bind(settings: Settings, status: Status, metrics: Metrics) -> HealthServer:
    try:
        return HealthServer(settings.bind_host, settings.relay_port, status, metrics.registry)
    except OSError as exc:
        where = f"{settings.bind_host}:{settings.relay_port}"
        raise SettingsError(f"RELAY_PORT: cannot listen on {where}: {exc.strerror}") from exc


if __name__ == "__main__":
    sys.exit(main())
