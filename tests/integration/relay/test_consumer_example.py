"""The consumer that README offers for copying keeps what README promises to those who copy it."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from tests.integration.relay import topics
from tests.integration.relay.conftest import Broker
from tests.integration.relay.relay_process import DEADLINE_SECONDS, wait_until

pytestmark = pytest.mark.broker

_SCRIPT = Path(__file__).parents[3] / "entrypoints/dev/examples/consumer.py"


class RestApi(ThreadingHTTPServer):
    """Answers for any container with one status and one body; notes who asked for what."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: tuple[int, dict[str, Any]] = (503, {})
        self.asked: list[tuple[str, str | None, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: RestApi

    def do_GET(self) -> None:
        secret, user = self.headers["X-Gateway-Secret"], self.headers["X-User-Id"]
        self.server.asked.append((self.path, user, secret))
        status, body = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Keep quiet."""


@pytest.fixture
def api() -> Iterator[RestApi]:
    with RestApi() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Topic:
    """A topic of one partition, and a writer that does as the relay does."""

    def __init__(self, bootstrap_servers: str, *, exists: bool = True) -> None:
        self.name = f"lifecycle-{uuid.uuid4()}"
        self.bootstrap_servers = bootstrap_servers
        if exists:
            create_topic(bootstrap_servers, self.name)
        self._client = Producer({"bootstrap.servers": bootstrap_servers, "log_level": 0})

    def send(self, container: int, sequences: Sequence[int], *, replay: str | None = None) -> None:
        """Send events of one container; what an event says follows from its sequence alone."""
        for sequence in sequences:
            event = {
                "event": "container.started",
                "user_id": "7",
                "id": container,
                "image_id": 3,
                "event_id": _event_id(container, sequence),
                "sequence": sequence,
                "status": f"status-{sequence}",
            }
            headers: dict[str, str | bytes | None] = {"ce_subject": f"container/{container}"}
            if replay:
                headers["replay"] = replay
            self._client.produce(self.name, json.dumps(event), "3", headers=headers)
        assert self._client.flush(DEADLINE_SECONDS) == 0


@pytest.fixture
def live(broker: Broker) -> Topic:
    return Topic(broker.bootstrap_servers)


def create_topic(bootstrap_servers: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    topics.create_topic(admin, name, partitions=1)


class ConsumerUnderTest:
    """The script as a process of its own."""

    def __init__(self, store: Path, api: RestApi, *topics: Topic) -> None:
        self.lines: list[str] = []
        arguments = ["--group", f"example-{store}", "--store", str(store)]
        self._process = subprocess.Popen(
            [sys.executable, str(_SCRIPT), *arguments, *(topic.name for topic in topics)],
            env={
                "PATH": os.environ["PATH"],
                "KAFKA_BOOTSTRAP_SERVERS": topics[0].bootstrap_servers,
                "ORCHESTRATOR_URL": api.url,
                "GATEWAY_SECRET": "secret",
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def wait_for(self, line: str) -> None:
        wait_until(lambda: line in self.lines, f"{line!r} among {self.lines!r}")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def terminate(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Return the exit code of a process that ends."""
        code = self._process.wait(DEADLINE_SECONDS)
        self._reader.join()
        return code

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append(line.rstrip("\n"))


def test_each_event_is_applied_once_however_often_it_is_delivered(
    live: Topic, api: RestApi, tmp_path: Path
) -> None:
    live.send(1, [1, 2])
    live.send(2, [1])
    live.send(1, [1, 2, 3])
    live.send(2, [1, 2])

    with ConsumerUnderTest(tmp_path / "store", api, live) as consumer:
        consumer.wait_for("container/2 2 container.started: applied")
        code = consumer.terminate()

    assert consumer.lines == [
        "container/1 1 container.started: applied",
        "container/1 2 container.started: applied",
        "container/2 1 container.started: applied",
        "container/1 1 container.started: dropped",
        "container/1 2 container.started: dropped",
        "container/1 3 container.started: applied",
        "container/2 1 container.started: dropped",
        "container/2 2 container.started: applied",
    ]
    assert _history(tmp_path, "container/1") == [1, 2, 3]
    assert _state(tmp_path, "container/1") == (3, "status-3", 0)
    assert (code, api.asked) == (0, [])


def test_a_topic_that_does_not_exist_is_waited_for_with_one_warning(
    broker: Broker, api: RestApi, tmp_path: Path
) -> None:
    later = Topic(broker.bootstrap_servers, exists=False)
    warning = f"topic {later.name} does not exist: waiting for it"

    with ConsumerUnderTest(tmp_path / "store", api, later) as consumer:
        consumer.wait_for(warning)
        create_topic(broker.bootstrap_servers, later.name)
        later.send(1, [1])
        consumer.wait_for("container/1 1 container.started: applied")
        code = consumer.terminate()

    assert consumer.lines == [warning, "container/1 1 container.started: applied"]
    assert code == 0


def test_a_store_that_cannot_be_opened_is_one_line_and_exit_code_1(
    live: Topic, api: RestApi, tmp_path: Path
) -> None:
    store = tmp_path / "no-such-folder" / "store"

    with ConsumerUnderTest(store, api, live) as consumer:
        code = consumer.wait()

    assert code == 1
    assert consumer.lines == [f"the store {store} cannot be opened: unable to open database file"]


def test_a_gap_holds_its_stream_until_a_snapshot_is_taken_and_no_other_stream(
    live: Topic, api: RestApi, tmp_path: Path
) -> None:
    with ConsumerUnderTest(tmp_path / "store", api, live) as consumer:
        live.send(1, [1, 4])
        live.send(2, [1])
        consumer.wait_for("container/2 1 container.started: applied")
        wait_until(lambda: api.asked, "a snapshot was asked for")
        live.send(1, [5])
        consumer.wait_for("container/1 5 container.started: held")
        held = _state(tmp_path, "container/1")
        api.answer = (200, {"id": 1, "status": "status-of-the-snapshot", "user_id": "7"})
        consumer.wait_for("container/1 goes on from a snapshot")
        settled = _state(tmp_path, "container/1")
        live.send(1, [6])
        consumer.wait_for("container/1 6 container.started: applied")

    assert held == (5, "status-1", 1)
    assert settled == (5, "status-of-the-snapshot", 0)
    assert _state(tmp_path, "container/1") == (6, "status-6", 0)
    assert _history(tmp_path, "container/1") == [1, 4, 5, 6]
    assert set(api.asked) == {("/api/containers/1", "7", "secret")}


def test_a_container_that_is_gone_when_the_snapshot_is_taken_has_no_state(
    live: Topic, api: RestApi, tmp_path: Path
) -> None:
    api.answer = (404, {})

    with ConsumerUnderTest(tmp_path / "store", api, live) as consumer:
        live.send(1, [7])
        consumer.wait_for("container/1 goes on from a snapshot")

    assert _state(tmp_path, "container/1") == (7, None, 0)


def test_a_replay_fills_the_history_and_leaves_what_is_current_alone(
    live: Topic, broker: Broker, api: RestApi, tmp_path: Path
) -> None:
    replays = Topic(broker.bootstrap_servers)
    api.answer = (200, {"status": "status-of-the-snapshot"})

    with ConsumerUnderTest(tmp_path / "store", api, live, replays) as consumer:
        live.send(1, [1, 4])
        consumer.wait_for("container/1 goes on from a snapshot")
        # A replay reaches up to now, so it may also be ahead of what the live topic brought.
        replays.send(1, [1, 2, 3, 4, 5], replay="b1946ac9")
        consumer.wait_for("container/1 5 container.started: filled")
        filled = _state(tmp_path, "container/1")
        live.send(1, [5])
        consumer.wait_for("container/1 5 container.started: applied")

    assert [line for line in consumer.lines if line.endswith(("filled", "dropped"))] == [
        "container/1 1 container.started: dropped",
        "container/1 2 container.started: filled",
        "container/1 3 container.started: filled",
        "container/1 4 container.started: dropped",
        "container/1 5 container.started: filled",
    ]
    assert filled == (4, "status-of-the-snapshot", 0)
    assert _state(tmp_path, "container/1") == (5, "status-5", 0)
    assert _history(tmp_path, "container/1") == [1, 2, 3, 4, 5]


def test_a_consumer_that_was_killed_goes_on_where_its_store_is(
    live: Topic, api: RestApi, tmp_path: Path
) -> None:
    live.send(1, [1, 2])
    with ConsumerUnderTest(tmp_path / "store", api, live) as first:
        first.wait_for("container/1 2 container.started: applied")
        first.kill()
    live.send(1, [2, 3])

    with ConsumerUnderTest(tmp_path / "store", api, live) as second:
        second.wait_for("container/1 3 container.started: applied")

    assert "container/1 1 container.started: applied" not in second.lines
    assert "container/1 2 container.started: applied" not in second.lines
    assert _history(tmp_path, "container/1") == [1, 2, 3]


def test_missing_variables_are_named_in_one_line(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(_SCRIPT), "--group", "g", "--store", str(tmp_path / "s"), "topic"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )

    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].endswith(
        "error: not set: KAFKA_BOOTSTRAP_SERVERS, ORCHESTRATOR_URL"
    )
    assert not (tmp_path / "s").exists()


def _event_id(container: int, sequence: int) -> str:
    return str(uuid.UUID(int=container * 1_000_000 + sequence))


def _history(folder: Path, stream: str) -> list[int]:
    with contextlib.closing(sqlite3.connect(folder / "store")) as store:
        rows = store.execute(
            "SELECT sequence FROM history WHERE stream = ? ORDER BY sequence", (stream,)
        )
        return [sequence for (sequence,) in rows]


def _state(folder: Path, stream: str) -> tuple[int, str | None, int]:
    """Return a stream's sequence, its status, and whether it is on hold."""
    with contextlib.closing(sqlite3.connect(folder / "store")) as store:
        sequence, state, on_hold = store.execute(
            "SELECT sequence, state, on_hold FROM streams WHERE stream = ?", (stream,)
        ).fetchone()
    return sequence, state and json.loads(state)["status"], on_hold
