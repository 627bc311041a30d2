"""Asks Kafka about topics, with a client that is given up for a new one when nothing comes back.

A client may never find back to a broker that answers everybody else (`stall.py` tells of one that
sends), and what it failed to do is no different from what a broker that is away makes it fail to
do. So after a while of failures another one is made, which costs a millisecond. It is made only
when something is asked, and polled as long as it is kept: what it logs waits in a queue without
bounds. Where connecting takes longer than a question may, only a client that outlives its first
question is ever answered. So it is kept for a while after each, whatever came of it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

# Two of these and a flush fit into the 5 s that SIGTERM leaves.
_REQUEST_SECONDS = 1.5
# The client needs a second or two to connect, on a slow line some more.
_PATIENCE_SECONDS = 30.0
# Longer than any pause of the leader: it asks again after one.
_IDLE_SECONDS = 30.0


class Admin:
    """At most one client at a time; for one thread."""

    def __init__(
        self, make: Callable[[], AdminClient], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Make no client yet.

        Args:
            make: Returns a new client, which connects in the background.
            clock: In seconds.
        """
        self._make = make
        self._clock = clock
        self._client: AdminClient | None = None
        self._asked_at = 0.0
        self._failing_since: float | None = None
        self._log = structlog.get_logger()

    def fault_of(self, topic: str) -> KafkaError | None:
        """Return what is wrong with a topic, None if nothing is; takes 1.5 s at most.

        Raises:
            KafkaException: Kafka did not answer.
        """
        try:
            with self._polled() as client:
                found = client.list_topics(topic, timeout=_REQUEST_SECONDS).topics[topic]
        except KafkaException:
            self._note_failure()
            raise
        self._failing_since = None
        return found.error

    def create(self, topic: NewTopic) -> None:
        """Create a topic; takes 2 s at most.

        Raises:
            KafkaException: Kafka refused it or did not answer.
            concurrent.futures.TimeoutError: It is not known whether it did.
        """
        with self._polled() as client:
            pending = client.create_topics([topic], request_timeout=_REQUEST_SECONDS)
            pending[topic.topic].result(timeout=_REQUEST_SECONDS + 0.5)

    def look_after(self) -> None:
        """Let the client tell what it logged; drop it if nothing was asked for half a minute."""
        if self._client is None:
            return
        if self._clock() - self._asked_at < _IDLE_SECONDS:
            self._client.poll(0)
            return
        # What the next one fails to do, this one has no part in.
        self._client = self._failing_since = None

    def close(self) -> None:
        """Drop the client: its threads are not to wait until nobody refers to it any more."""
        self._client = None

    @contextmanager
    def _polled(self) -> Iterator[AdminClient]:
        if self._client is None:
            self._client = self._make()
        self._asked_at = self._clock()
        try:
            yield self._client
        finally:
            self._client.poll(0)

    def _note_failure(self) -> None:
        now = self._clock()
        if self._failing_since is None:
            self._failing_since = now
        failing = now - self._failing_since
        if failing >= _PATIENCE_SECONDS:
            self._log.warning("client given up for a new one", seconds=round(failing, 1))
            self._client = None
            self._failing_since = None
