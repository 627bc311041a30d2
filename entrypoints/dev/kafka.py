"""Kafka for development and tests: Apache Kafka's own broker, or librdkafka's mock cluster.

The mock needs neither Java nor a download, but forgets messages under load and fences nobody: it
serves a demonstration, never a proof.
"""

import base64
import contextlib
import uuid
from collections.abc import Callable
from typing import Protocol, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from entrypoints.dev.guarded_process import GuardedProcess, ServerStartError
from entrypoints.dev.home_folder import HomeFolder
from entrypoints.dev.kafka_jars import BrokerUnavailableError, java_program, kafka_jars
from entrypoints.dev.kafka_mock import MockBroker
from entrypoints.dev.ports import free_ports

_START_TIMEOUT_SECONDS = 90.0
# One small node: little memory, and a start that a slow machine's compiler does not prolong.
_JVM = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_LOGGING = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"


class KafkaServer(Protocol):
    """What `start_broker` returns."""

    @property
    def bootstrap_servers(self) -> str: ...

    def stop(self) -> None: ...


class Broker:
    """One node of Apache Kafka in KRaft mode. A context manager: started on entry."""

    def __init__(self, name: str | None = None, *, say: Callable[[str], None] = print) -> None:
        """Describe a broker; nothing runs yet.

        Args:
            name: Keep its data under this name from run to run; without one it is removed by
                `stop`.
            say: Is told about a download.

        Raises:
            BrokerUnavailableError: Java or Maven is missing, or the download failed.
        """
        self._java = java_program()
        self._jars = kafka_jars(say)
        self._home = HomeFolder("kafka", name)
        self._port, self._controller_port = free_ports(2)
        self._process: GuardedProcess | None = None

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self._port}"

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
        properties.write_text(self._properties())
        if not (self._home.path / "data" / "meta.properties").exists():
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
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """End the broker by SIGKILL, and keep what it has on disk for a later `start`."""
        if self._process is not None:
            self._process.kill()
            self._process = None

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

    def _answers(self) -> bool:
        with contextlib.suppress(KafkaException):
            # A client that logs nothing: until the broker listens there is only noise to tell.
            admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
            return bool(admin.list_topics(timeout=2).brokers)
        return False

    def _properties(self) -> str:
        one_replica = (
            "offsets.topic.replication.factor",
            "offsets.topic.num.partitions",
            "transaction.state.log.replication.factor",
            "transaction.state.log.min.isr",
            "transaction.state.log.num.partitions",
            "share.coordinator.state.topic.replication.factor",
            "share.coordinator.state.topic.min.isr",
            "share.coordinator.state.topic.num.partitions",
        )
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "listeners": (
                f"PLAINTEXT://{self.bootstrap_servers},"
                f"CONTROLLER://127.0.0.1:{self._controller_port}"
            ),
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers}",
            "log.dirs": str(self._home.path / "data"),
            "auto.create.topics.enable": "false",
            "num.partitions": "4",
            "group.initial.rebalance.delay.ms": "0",
            # After a kill the node is let in again only when its old session is over: 9 s unasked.
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            **dict.fromkeys(one_replica, "1"),
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())


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
