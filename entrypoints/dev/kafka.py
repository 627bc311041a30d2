"""Kafka for development and tests: Apache Kafka's own broker, or librdkafka's mock cluster.

The mock needs neither Java nor a download, but forgets messages under load and fences nobody: it
serves a demonstration, never a proof.
"""

import base64
import contextlib
import os
import signal
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from entrypoints.dev.guarded_process import GuardedProcess, ServerStartError
from entrypoints.dev.home_folder import HomeFolder
from entrypoints.dev.kafka_jars import BrokerUnavailableError, java_program, kafka_jars
from entrypoints.dev.kafka_listeners import Listener
from entrypoints.dev.kafka_mock import MockBroker
from entrypoints.dev.kafka_properties import server_properties
from entrypoints.dev.ports import free_ports

_START_TIMEOUT_SECONDS = 90.0
# One small node: little memory, and a start that a slow machine's compiler does not prolong.
_JVM = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_LOGGING = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"


class KafkaServer(Protocol):
    """What `start_broker` returns."""

    @property
    def bootstrap_servers(self) -> str: ...

    @property
    def process(self) -> GuardedProcess | None: ...

    def stop(self) -> None: ...


class Broker:
    """One node of Apache Kafka in KRaft mode. A context manager: started on entry."""

    def __init__(
        self,
        name: str | None = None,
        *,
        listeners: Sequence[Listener] = (),
        say: Callable[[str], None] = print,
    ) -> None:
        """Describe a broker; nothing runs yet.

        Args:
            name: Keep its data under this name from run to run; without one it is removed by
                `stop`.
            listeners: Further ways into it; `address_of` tells their ports.
            say: Is told about a download.

        Raises:
            BrokerUnavailableError: Java or Maven is missing, or the download failed.
        """
        self._java = java_program()
        self._jars = kafka_jars(say)
        self._home = HomeFolder("kafka", name)
        self._port, self._controller_port, *ports = free_ports(2 + len(listeners))
        self._listeners = dict(zip(listeners, ports, strict=True))
        self._process: GuardedProcess | None = None
        self._frozen = False

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def data_folder(self) -> Path:
        """Where the logs of its topics are, a folder a partition."""
        return self._home.path / "data"

    @property
    def process(self) -> GuardedProcess | None:
        """What runs, or ended by itself; None before the start and after the stop."""
        return self._process

    @property
    def running(self) -> bool:
        """Whether it was started and neither stopped nor killed, nor died by itself."""
        return self._process is not None and self._process.alive

    def address_of(self, listener: Listener) -> str:
        """Return host and port of one of the further listeners."""
        return f"127.0.0.1:{self._listeners[listener]}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the broker and return when it answers.

        Raises:
            ServerStartError: it ended, or did not answer in 90 s.
            FolderInUseError: the broker of that name runs already.
        """
        self._home.take()
        properties = self._home.path / "server.properties"
        properties.write_text(
            server_properties(self.data_folder, self._port, self._controller_port, self._listeners)
        )
        if not (self.data_folder / "meta.properties").exists():
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            self._run(
                "kafka.tools.StorageTool",
                "format",
                f"--cluster-id={cluster}",
                "-c",
                str(properties),
            ).wait_until_end(timeout_seconds=_START_TIMEOUT_SECONDS)
        self._process = self._run("kafka.Kafka", str(properties))
        self._process.wait_until(self._answers, timeout_seconds=_START_TIMEOUT_SECONDS)

    def stop(self) -> None:
        """Stop the broker in order; the data of a nameless one is removed. Idempotent."""
        self.halt()
        self._home.release()

    def halt(self) -> None:
        """Stop the broker in order and keep everything for a later `start`."""
        if self._process is not None:
            self._signal(signal.SIGCONT)  # a frozen one would not hear of it
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """End the broker by SIGKILL, and keep what it has on disk for a later `start`."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def freeze(self) -> None:
        """Stop it by SIGSTOP: it keeps every connection open and answers nobody."""
        self._signal(signal.SIGSTOP)
        self._frozen = True

    def thaw(self) -> None:
        """Let a frozen one go on, and return when it answers again. Idempotent.

        Raises:
            ServerStartError: it ended, or did not answer in 90 s.
        """
        if self._frozen and self._process is not None:
            self._signal(signal.SIGCONT)
            self._process.wait_until(self._answers, timeout_seconds=_START_TIMEOUT_SECONDS)
        self._frozen = False

    def restart(self) -> None:
        """Stop it, unless it is down already, and start it on the same ports and data."""
        self.halt()
        self.start()

    def _run(self, *argv: str) -> GuardedProcess:
        return GuardedProcess.start(
            [self._java, *_JVM, _LOGGING, "-cp", f"{self._jars}/*", *argv],
            log=self._home.path / "log",
            then=() if self._home.kept else ("rm", "-rf", str(self._home.path)),
            claim=self._home.claim,
        )

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.alive:
            os.kill(self._process.pid, number)

    def _answers(self) -> bool:
        """Whether it would make a topic: a node that its controller has not let in would not."""
        # A client that logs nothing: until the broker listens there is only noise to tell.
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        topic = NewTopic("would-be", 1, 1)
        with contextlib.suppress(KafkaException):
            asked = admin.create_topics([topic], validate_only=True, request_timeout=2)
            asked["would-be"].result()
            return True
        return False


def start_broker(
    name: str | None = None, *, allow_mock: bool = True, say: Callable[[str], None] = print
) -> KafkaServer:
    """Start Apache Kafka, or the mock where that cannot be; `say` in one line which it is.

    Args:
        name: As for `Broker`.
        allow_mock: Whether the mock will do.
        say: Where that line goes.

    Raises:
        BrokerUnavailableError: the broker cannot be run and the mock will not do.
        ServerStartError: what was chosen did not start, and there is nothing else.
    """
    try:
        broker = Broker(name, say=say)
        broker.__enter__()
    except (BrokerUnavailableError, ServerStartError) as error:
        if not allow_mock:
            raise
        mock = MockBroker()
        mock.start()
        reason = str(error).splitlines()[0]
        say(f"Kafka: librdkafka's mock cluster on {mock.bootstrap_servers} ({reason})")
        return mock
    say(f"Kafka: Apache Kafka on {broker.bootstrap_servers}")
    return broker
