"""How long after a crash behind our back Kafka has it, beside a bare `docker events` in one run.

All clocks run from just before the `docker kill`. The bare reader is the fastest way there is to
learn of it, and knows nothing of when and how the run ended. The bare look is what tells that: a
`docker inspect` as soon as the reader has the event. The engine answers it only when it is done
with the container's end, so no service that tells `FinishedAt` can be faster.
"""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from confluent_kafka import Consumer

from tests.e2e.running_service import RunningService
from tests.fault.engine.behind import Behind

_GIVEN_UP_SECONDS = 60.0


@dataclass(slots=True)
class Crashes:
    """Seconds, one figure a crash.

    Attributes:
        reader: until a bare `docker events` had it.
        look: until a bare `docker inspect` after that had its answer.
        kafka: until a consumer had the `container.stopped`.
        by_pass: the same as `kafka`, with the worker's own reader of events frozen.
        faults: what an event told that Docker did not.
    """

    reader: list[float] = field(default_factory=list)
    look: list[float] = field(default_factory=list)
    kafka: list[float] = field(default_factory=list)
    by_pass: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def measure_crashes(behind: Behind, *, crashes: int, by_pass: int) -> Crashes:
    """Let a container crash again and again; a user starts it before its policy would."""
    measured = Crashes()
    container = behind.running()
    with _consumer(behind.service) as consumer, _bare_reader(behind, container) as bare:
        # A consumer joins its group once: what that takes is not part of any crash.
        _next(consumer, container["id"], "container.started")
        for _ in range(crashes):
            began = _kill(behind, container)
            event, at = _next(consumer, container["id"], "container.stopped")
            measured.kafka.append(at - began)
            seen, looked = bare.since(began)
            measured.reader.append(seen - began)
            measured.look.append(looked - began)
            measured.faults += _faults(behind, container, event)
            _start(behind, container)
        with behind.frozen_event_readers():
            for _ in range(by_pass):
                began = _kill(behind, container)
                _, at = _next(consumer, container["id"], "container.stopped")
                measured.by_pass.append(at - began)
                _start(behind, container)
    return measured


class _Bare:
    """When the bare reader saw a container die, and when a look at it was answered."""

    def __init__(self) -> None:
        self._times: list[tuple[float, float]] = []
        self._changed = threading.Condition()

    def note(self, seen: float, looked: float) -> None:
        with self._changed:
            self._times.append((seen, looked))
            self._changed.notify_all()

    def since(self, moment: float) -> tuple[float, float]:
        """Return both times of the first death that was seen after a moment."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: [each for each in self._times if each[0] >= moment], _GIVEN_UP_SECONDS
            )
        assert found, "docker events tells nothing"
        return found[0]


@contextmanager
def _bare_reader(behind: Behind, container: dict[str, Any]) -> Iterator[_Bare]:
    docker = ["docker", "--host", behind.engine.host]
    command = [*docker, "events", "--filter", "event=die"]
    look = [*docker, "inspect", container["container_id"]]
    bare = _Bare()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        lines = reader.stdout

        def read() -> None:
            for _ in lines:
                seen = time.monotonic()
                subprocess.run(look, check=True, capture_output=True)
                bare.note(seen, time.monotonic())

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        yield bare
        reader.terminate()
        thread.join()


@contextmanager
def _consumer(service: RunningService) -> Iterator[Consumer]:
    consumer = Consumer(
        {
            "bootstrap.servers": service.settings["KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": "bench-recovery",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 100,
        }
    )
    consumer.subscribe([service.settings["KAFKA_TOPIC"]])
    yield consumer
    consumer.close()


def _kill(behind: Behind, container: dict[str, Any]) -> float:
    began = time.monotonic()
    behind.docker("kill", container["container_id"])
    return began


def _next(consumer: Consumer, container_id: int, name: str) -> tuple[dict[str, Any], float]:
    """Return the container's next event of that name, and when it came."""
    deadline = time.monotonic() + _GIVEN_UP_SECONDS
    while time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is None or message.error() is not None:
            continue
        at = time.monotonic()
        event: dict[str, Any] = msgspec.json.decode(message.value() or b"{}")
        if (event["event"], event["id"]) == (name, container_id):
            return event, at
    raise AssertionError(f"no {name} within a minute")


def _faults(behind: Behind, container: dict[str, Any], event: dict[str, Any]) -> Iterator[str]:
    finished = behind.look(container)[1]
    told = {
        "cause": (event["cause"], "crash"),
        "exit_code": (event["exit_code"], 137),
        "timestamp": (event["timestamp"][:23], finished[:23]),
    }
    for name, (is_, wanted) in told.items():
        if is_ != wanted:
            yield f"{name} is {is_}, Docker says {wanted}"


def _start(behind: Behind, container: dict[str, Any]) -> None:
    answer = behind.service.http.post(f"/api/containers/{container['id']}/start?wait=60").json()
    assert answer["status"] == "running", answer
