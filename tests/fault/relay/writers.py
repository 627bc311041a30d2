"""Concurrent writers, each on a session of its own, that share some streams.

They lock the aggregates of a transaction in ascending order, and some of their transactions roll
back. A session that is lost is opened anew.
"""

import random
import threading
import time
from typing import Self

import psycopg

from tests.fault.relay.recording import notify, prepare_streams, raise_and_record
from tests.fault.relay.sessions import WRITER
from tests.integration.relay.harness import wait_until

_ROLLBACKS = 0.05


class Writers:
    """Some threads that write as fast as they can, or at a pace, while entered.

    They go on through lost sessions and a database that is away; the ledger knows what they
    committed. Leaving waits for them.

    Attributes:
        committed: How many events they know to be in the ledger.
    """

    def __init__(
        self,
        database: str,
        topic: str,
        rng: random.Random,
        *,
        writers: int = 4,
        streams: int = 40,
        events: int | None = None,
        per_second: float | None = None,
        at_once: int = 3,
        notify: bool = True,
    ) -> None:
        """Describe them; nothing is written yet.

        Args:
            database: Its URL.
            topic: Of every event.
            rng: Each writer draws a generator of its own from it.
            writers: How many threads.
            streams: How many aggregates they share.
            events: How many events all of them write before they end; until `stop` without it.
            per_second: The most events all of them write in a second, on average.
            at_once: The most events of one aggregate in a transaction; 1 is one event in each.
            notify: Whether they tell the relay.
        """
        prepare_streams(database, streams)
        self._database = database
        self._topic = topic
        self._streams = streams
        self._left = events
        self._pause_seconds = writers * at_once / per_second if per_second else 0.0
        self._at_once = at_once
        self._notify = notify
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._failure: Exception | None = None
        self.committed = 0
        self._threads = [
            threading.Thread(target=self._write, args=(random.Random(rng.random()),), daemon=True)
            for _ in range(writers)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_until_ended(self, seconds: float = 60.0) -> None:
        """Wait until they wrote all they were asked for."""
        wait_until(
            lambda: not any(thread.is_alive() for thread in self._threads), "all wrote", seconds
        )
        self.stop()

    def stop(self) -> None:
        """Let each finish its transaction; returns when all have ended. Idempotent."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        assert self._failure is None, self._failure

    def wait_for_more(self, events: int, seconds: float = 60.0) -> None:
        """Wait until they have committed this many more events."""
        wanted = self.committed + events
        wait_until(
            lambda: self._failure or self.committed >= wanted, f"{events} more events", seconds
        )
        assert self._failure is None, self._failure

    def _write(self, rng: random.Random) -> None:
        while self._wanted():
            try:
                with psycopg.connect(self._database, application_name=WRITER) as connection:
                    while self._wanted():
                        self._transact(connection, rng)
            except psycopg.OperationalError:
                # Whether the commit was carried out is not known; the ledger knows.
                self._ended.wait(0.05)
            except Exception as exc:  # noqa: BLE001 - told to the test, which runs in another thread
                self._failure = exc
                return

    def _wanted(self) -> bool:
        return not self._ended.is_set() and (self._left is None or self._left > 0)

    def _transact(self, connection: psycopg.Connection, rng: random.Random) -> None:
        began = time.monotonic()
        aggregates = rng.choice((1, 1, 2)) if self._at_once > 1 else 1
        chosen = sorted(rng.sample(range(1, self._streams + 1), aggregates))
        wanted = [self._take(rng.randint(1, self._at_once)) for _ in chosen]
        events = [
            event
            for aggregate, number in zip(chosen, wanted, strict=True)
            if number
            for event in raise_and_record(connection, self._topic, aggregate, number)
        ]
        if rng.random() < _ROLLBACKS:
            connection.rollback()
            self._give_back(len(events))
            return
        connection.commit()
        with self._lock:
            self.committed += len(events)
        if self._notify:
            notify(connection)
        if self._pause_seconds:
            self._ended.wait(max(0.0, self._pause_seconds - (time.monotonic() - began)))

    def _take(self, events: int) -> int:
        """Return how many of them are still to be written."""
        with self._lock:
            if self._left is None:
                return events
            taken = min(events, self._left)
            self._left -= taken
            return taken

    def _give_back(self, events: int) -> None:
        with self._lock:
            if self._left is not None:
                self._left += events
