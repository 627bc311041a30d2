"""What every measurement stands on: a database, a broker with one topic, and who may use them."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from relay.settings import CLIENT_PREFIX
from tests.integration.relay.relay_process import RelayUnderTest

# syslog's number for "error": a fresh broker's warnings would stand between the lines of progress.
LOG_ERRORS = 3

# As the relay creates a topic where nobody says otherwise.
_PARTITIONS = 12
_REQUEST_SECONDS = 30.0
_CHILD_SECONDS = 300.0
_ROOT = Path(__file__).parents[3]


class BenchmarkError(RuntimeError):
    """Nothing can be measured; the message is one line, or ends with what a child said."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where things are, and how processes are started there.

    Attributes:
        say: Is told, in one line, what happens now.
    """

    database_url: str
    bootstrap_servers: str
    topic: str
    say: Callable[[str], None]

    def environment(self, batch_size: int) -> dict[str, str]:
        """Return the relay's settings, with the ``KAFKA_CLIENT_*`` of our own environment."""
        passed = {name: value for name, value in os.environ.items() if CLIENT_PREFIX in name}
        return {
            **passed,
            "DATABASE_URL": self.database_url,
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "KAFKA_TOPIC": self.topic,
            "KAFKA_IMAGE_TOPIC": self.topic,
            "RELAY_PORT": "0",
            "RELAY_BATCH_SIZE": str(batch_size),
        }

    def relay(self, batch_size: int) -> RelayUnderTest:
        """Start ``python -m relay``, and return when it leads."""
        relay = RelayUnderTest(self.environment(batch_size))
        try:
            relay.wait_for("leading")
        except BaseException:
            relay.__exit__(None, None, None)
            raise
        return relay

    @contextlib.contextmanager
    def child(self, name: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        """Run a module beside this one as a process with the relay's settings; it ends with us.

        Args:
            name: Of the module.
            arguments: Its command line; the first is the batch size.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.{name}", *map(str, arguments)],
            cwd=_ROOT,
            env={**os.environ, **self.environment(int(str(arguments[0])))},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def rate_of(self, name: str, batch_size: int, events: int) -> float:
        """Let a child measure a rate, and return it."""
        with self.child(name, batch_size, events) as process:
            return float(result_of(process)["rate"])

    def empty_topic(self) -> None:
        """Make the topic anew, so that the disk holds the messages of one round."""
        self.remove_topic()
        client = self._admin()
        topic = NewTopic(self.topic, num_partitions=_PARTITIONS, replication_factor=-1)
        client.create_topics([topic])[self.topic].result(_REQUEST_SECONDS)
        await_that(lambda: self._partitions(client) == _PARTITIONS, "the topic is there")

    def remove_topic(self) -> None:
        """Delete the topic if there is one."""
        client = self._admin()
        if self._partitions(client):
            client.delete_topics([self.topic])[self.topic].result(_REQUEST_SECONDS)
            await_that(lambda: not self._partitions(client), "the topic is gone")

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap_servers})

    def _partitions(self, client: AdminClient) -> int:
        found = client.list_topics(timeout=_REQUEST_SECONDS).topics.get(self.topic)
        return len(found.partitions) if found else 0


def result_of(child: subprocess.Popen[str]) -> Mapping[str, Any]:
    """Wait for a child's end and return the JSON object that it printed.

    Raises:
        BenchmarkError: It failed, or took longer than five minutes.
    """
    try:
        printed, _ = child.communicate(timeout=_CHILD_SECONDS)
    except subprocess.TimeoutExpired as exc:
        raise BenchmarkError(f"{child.args!r} did not end") from exc
    if child.returncode:
        raise BenchmarkError(f"{child.args!r} ended with {child.returncode}")
    answer: Mapping[str, Any] = json.loads(printed)
    return answer


def await_that(condition: Callable[[], bool], what: str, *, every_seconds: float = 0.05) -> float:
    """Ask until the condition holds; return when, by ``time.perf_counter``.

    Raises:
        BenchmarkError: It did not within five minutes.
    """
    deadline = time.monotonic() + _CHILD_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"not within {_CHILD_SECONDS:g} s: {what}")
        time.sleep(every_seconds)
    return time.perf_counter()
