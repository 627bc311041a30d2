"""librdkafka's mock cluster, serving other processes from a process of its own.

It knows no request that creates a topic: it makes one when a client that allows it asks for its
metadata. So the topics are made at its start.
"""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from confluent_kafka import Producer

from entrypoints.dev.folders import REPOSITORY, state_folder
from entrypoints.dev.guarded_process import GuardedProcess

DESIGNED_TOPICS = ("container-lifecycle", "image-lifecycle")
_START_TIMEOUT_SECONDS = 30.0


class MockBroker:
    """librdkafka's mock cluster in a process of its own. A context manager."""

    def __init__(self, topics: Sequence[str] = DESIGNED_TOPICS) -> None:
        """Describe a mock with these topics: nobody can create one later."""
        self._topics = topics
        self._home = Path(tempfile.mkdtemp(prefix="kafka-mock-", dir=state_folder()))
        self._process: GuardedProcess | None = None
        self._address = self._home / "bootstrap-servers"

    @property
    def bootstrap_servers(self) -> str:
        return self._address.read_text()

    @property
    def process(self) -> GuardedProcess | None:
        """What runs, or ended by itself; None before the start and after the stop."""
        return self._process

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
        """Start the mock and return when its address is known.

        Raises:
            ServerStartError: it ended, or was not up in 30 s.
        """
        self._process = GuardedProcess.start(
            [sys.executable, "-m", "entrypoints.dev.kafka_mock", str(self._address), *self._topics],
            environment={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            log=self._home / "log",
            then=("rm", "-rf", str(self._home)),
        )
        self._process.wait_until(self._address.exists, timeout_seconds=_START_TIMEOUT_SECONDS)

    def stop(self) -> None:
        """End the mock; everything in it is lost. Idempotent."""
        if self._process is not None:
            self._process.stop()
            self._process = None
        shutil.rmtree(self._home, ignore_errors=True)


def main(address_file: Path, topics: list[str]) -> None:
    """Serve these topics until SIGTERM or SIGINT; write the bootstrap address to the file."""
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    # With mock brokers asked for, librdkafka replaces bootstrap.servers by their addresses.
    cluster = Producer({"test.mock.num.brokers": 1})
    broker = next(iter(cluster.list_topics(timeout=30).brokers.values()))
    for topic in topics:
        cluster.list_topics(topic, timeout=30)
    unfinished = address_file.with_suffix(".part")
    unfinished.write_text(f"{broker.host}:{broker.port}")
    unfinished.rename(address_file)
    signal.sigwait(ends)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
