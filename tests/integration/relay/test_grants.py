"""A role with no other rights than those that README names can do all of it, and none silently."""

import re
import secrets
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from relay.deletion import delete_unlocked
from relay.frontier import read_frontiers
from tests.integration.relay.command_harness import Row, block, run_command
from tests.integration.relay.command_harness import record as record_rows
from tests.integration.relay.conftest import Broker
from tests.integration.relay.harness import (
    RelayUnderTest,
    consume,
    expect_every_event_in_order,
    record,
    streams_of,
    wait_until,
)

_README = Path(__file__).parents[3] / "README.md"
_GRANTS = re.compile(r"```sql\n(GRANT .*? TO relay;.*?)```", re.DOTALL)
_SEQUENCES = "ON SEQUENCE"
_LOCKING = "GRANT UPDATE (bucket) ON outbox"
_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
_HORIZON = "SELECT id FROM ledger_horizon"
_SESSIONS = """
SELECT FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'orchestrator-relay %'
"""
_LOCK = "SELECT FROM outbox WHERE id = 2 FOR UPDATE"

StartRelay = Callable[..., RelayUnderTest]


@pytest.fixture
def role(database: str) -> Iterator[str]:
    """Connection parameters of a role that may log in, and nothing else."""
    name, password = f"relay_{uuid.uuid4().hex[:12]}", secrets.token_hex(8)
    with psycopg.connect(database, autocommit=True) as owner:
        created = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        owner.execute(created.format(sql.Identifier(name), sql.Literal(password)))
    yield make_conninfo(database, user=name, password=password)
    with psycopg.connect(database, autocommit=True) as owner:
        for end in ("DROP OWNED BY {} CASCADE", "DROP ROLE {}"):
            owner.execute(sql.SQL(end).format(sql.Identifier(name)))


def grant(database: str, role: str, *, without: str | None = None) -> None:
    """Give the role what README says that the relay's role needs, but for one kind of grants."""
    found = _GRANTS.search(_README.read_text())
    assert found is not None
    name = psycopg.conninfo.conninfo_to_dict(role)["user"]
    statements = found[1].replace(" TO relay;", f" TO {name};").splitlines()
    with psycopg.connect(database) as owner:
        for statement in statements:
            if without is None or without not in statement:
                owner.execute(statement.encode())


@pytest.mark.broker
def test_a_role_with_the_grants_of_the_readme_publishes_and_moves_the_horizon_on(
    database: str, role: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    grant(database, role)
    events = streams_of(topic, streams=3, length=5)
    relay = start_relay(DATABASE_URL=role)
    with psycopg.connect(database) as writer:
        record(writer, events)

    messages = consume(broker.bootstrap_servers, topic, events)

    expect_every_event_in_order(messages, events)
    wait_until(lambda: _horizon(database) == len(events), "the horizon moves on")
    wait_until(relay.ready, "the relay is ready")


@pytest.mark.broker
def test_a_role_with_the_grants_of_the_readme_may_use_every_command(
    database: str, role: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    grant(database, role)
    relay = start_relay()
    wait_until(relay.ready, "the relay has made the topic")
    relay.terminate()
    wait_until(lambda: not _has_sessions(database), "the server has missed its sessions")
    kept, over = Row(1, 1), Row(2, 1, "container.deleted", recorded_at=_LONG_AGO)
    record_rows(database, kept, over)
    record_rows(database, skipped := Row(3, 1), pending=True)
    for row in (kept, skipped):
        block(database, row)

    def run(*arguments: str) -> str:
        ended = run_command(
            *arguments, database=role, KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap_servers
        )
        assert ended.code == 0, ended
        return ended.out

    # The server may be a while behind a process that has ended.
    wait_until(lambda: run("status").startswith("leader none"), "nobody leads")
    assert run("blocked").count("stream=") == 2
    assert run("skip", skipped.event_id, "--reason", "gone").startswith("skipped ")
    assert run("release", "container/1").startswith("released ")
    assert "events=1" in run("replay", "--container", "1", "--to-topic", topic)
    assert "events=1" in run("prune", "--before", "2026-02-01T00:00:00Z")


@pytest.mark.broker
def test_a_role_that_may_not_read_the_sequences_is_told_which_grants_it_lacks(
    database: str, role: str, broker: Broker, topic: str, start_relay: StartRelay
) -> None:
    """Else floor and horizon would stand still for ever, and nobody would know why."""
    grant(database, role, without=_SEQUENCES)
    events = streams_of(topic, streams=3, length=5)
    with psycopg.connect(database) as writer:
        record(writer, events)
    relay = start_relay(DATABASE_URL=role)

    lost = relay.wait_for("session lost")
    missing = "GRANT SELECT ON SEQUENCE public.outbox_id_seq TO "
    # It stands by, and is ready, for a moment if its last session still has the lock.
    code, _ = relay.wait_until_told(missing)
    grant(database, role)
    messages = consume(broker.bootstrap_servers, topic, events)

    assert missing in lost["error"]
    assert "public.events_id_seq" in lost["error"]
    assert code == 503
    expect_every_event_in_order(messages, events)
    wait_until(relay.ready, "the relay is ready")


def test_either_sequence_is_missed(database: str, role: str) -> None:
    grant(database, role, without=_SEQUENCES)
    name = psycopg.conninfo.conninfo_to_dict(role)["user"]
    with psycopg.connect(database) as owner:
        owner.execute(f"GRANT SELECT ON SEQUENCE events_id_seq TO {name}".encode())

    with (
        psycopg.connect(role, autocommit=True) as session,
        pytest.raises(psycopg.errors.InsufficientPrivilege) as refused,
    ):
        read_frontiers(session)

    assert "outbox_id_seq" in str(refused.value)
    assert "events_id_seq" not in str(refused.value)


def test_a_role_with_the_grants_of_the_readme_deletes_around_a_locked_row(
    database: str, role: str
) -> None:
    grant(database, role)
    record_rows(database, Row(1, 1), Row(2, 1), Row(3, 1), pending=True)

    with psycopg.connect(database) as holder, psycopg.connect(role, autocommit=True) as session:
        holder.execute(_LOCK)
        still_there = delete_unlocked(session, [1, 2, 3])

    assert still_there == {2}


def test_a_role_that_may_not_lock_rows_is_told_which_grant_it_lacks(
    database: str, role: str
) -> None:
    grant(database, role, without=_LOCKING)
    record_rows(database, Row(1, 1), pending=True)

    with (
        psycopg.connect(role, autocommit=True) as session,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match=re.escape(_LOCKING)),
    ):
        delete_unlocked(session, [1])


def _has_sessions(database: str) -> bool:
    with psycopg.connect(database) as reader:
        return reader.execute(_SESSIONS).fetchone() is not None


def _horizon(database: str) -> int:
    with psycopg.connect(database) as reader:
        row = reader.execute(_HORIZON).fetchone()
    assert row is not None
    return int(row[0])
