"""A relay that cannot start says why in one line; one that runs answers on its port."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migrations.runner import migrate
from tests.integration.relay.conftest import Broker
from tests.integration.relay.harness import (
    RelayUnderTest,
    consume,
    record,
    streams_of,
    wait_until,
)

NOWHERE = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "RELAY_PORT": "0",
}


def run_relay(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "relay"],
        cwd=Path(__file__).parents[3],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", ""),
        ("RELAY_PORT", "many"),
        ("KAFKA_CLIENT_ACKS", "1"),
        ("KAFKA_CLIENT_NO_SUCH_OPTION", "1"),
        ("KAFKA_CLIENT_COMPRESSION_TYPE", "rar"),
        ("BIND_HOST", "192.0.2.1"),
        ("BIND_HOST", "no-such-host.invalid"),
        ("RELAY_FAILPOINTS", "after-nothing=kill"),
        ("RELAY_FAILPOINTS", "after-acks=explode"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(name: str, value: str) -> None:
    ended = run_relay(**{**NOWHERE, name: value})

    assert ended.returncode == 2
    assert ended.stderr.startswith(f"relay: {name}: ")
    assert len(ended.stderr.splitlines()) == 1


def test_a_port_that_is_taken_is_one_line_and_exit_code_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        ended = run_relay(**{**NOWHERE, "RELAY_PORT": port})

    assert ended.returncode == 2
    assert (
        ended.stderr == f"relay: RELAY_PORT: cannot listen on 127.0.0.1:{port}: {os.strerror(98)}\n"
    )


@pytest.mark.broker
def test_health_and_metrics_are_served(
    database: str, broker: Broker, topic: str, start_relay: Callable[..., RelayUnderTest]
) -> None:
    events = streams_of(topic, streams=3, length=4)
    relay = start_relay()
    with psycopg.connect(database) as writer:
        record(writer, events)

    consume(broker.bootstrap_servers, topic, events)
    wait_until(relay.ready, "the relay is ready")
    wait_until(lambda: relay.metric("relay_published_events_total") == 12, "all are counted")

    assert relay.get("/healthz") == (200, '{"status":"ok"}')
    assert '"role":"leader"' in relay.get("/readyz")[1]
    assert relay.get("/nothing")[0] == 404
    assert relay.metric("relay_commit_to_ack_seconds_count") == 12
    wait_until(lambda: relay.metric("relay_pending_events") == 0, "the backlog is measured")
    wait_until(lambda: relay.metric("relay_oldest_pending_age_seconds") == 0, "and its age")


@pytest.mark.broker
def test_a_database_that_is_not_migrated_is_named_and_waited_for(
    bare_database: str, start_relay: Callable[..., RelayUnderTest]
) -> None:
    relay = start_relay(DATABASE_URL=bare_database)

    wait_until(lambda: len(_tries(relay)) >= 5, "it tried five times")
    wait_until(lambda: "python -m migrations" in relay.get("/readyz")[1], "readiness says why")
    tries = _tries(relay)
    assert "python -m migrations" in tries[0]["error"]
    assert not [line for line in relay.lines if line["event"] == "leading"]
    # Half of 0.2, 0.4, 0.8 and 1.6 s, as far as the jitter may shorten the growing pauses.
    assert _moment(tries[4]) - _moment(tries[0]) >= timedelta(seconds=1.5)

    migrate(bare_database)
    wait_until(relay.ready, "the relay is ready")


def test_failpoints_in_force_are_told_at_the_start(
    database: str, start_relay: Callable[..., RelayUnderTest]
) -> None:
    relay = start_relay(
        DATABASE_URL=database, RELAY_FAILPOINTS="after-acks=kill@3,mid-produce=hang"
    )

    told = relay.wait_for("failpoints are armed")

    assert told["failpoints"] == ["after-acks=kill@3", "mid-produce=hang@1"]


def _tries(relay: RelayUnderTest) -> list[dict[str, Any]]:
    return [line for line in relay.lines if line["event"] == "session lost"]


def _moment(line: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(line["timestamp"])
