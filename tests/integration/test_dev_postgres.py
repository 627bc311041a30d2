"""The embedded PostgreSQL of development and tests."""

import os
import select
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator

import psycopg
import pytest

from entrypoints.dev.database_server import DatabaseServer
from entrypoints.dev.folders import REPOSITORY, state_folder
from entrypoints.dev.home_folder import FolderInUseError
from entrypoints.dev.postgres import Postgres, database_url
from entrypoints.dev.postgres_programs import PostgresMissingError


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as started:
        yield started


def _query(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_data_and_url_survive_a_restart_and_a_crash(server: Postgres) -> None:
    url = server.create_database("survivor")
    _query(url, "CREATE TABLE kept AS SELECT 1 AS number")

    server.restart()
    server.restart(crash=True)

    assert _query(url, "SELECT number FROM kept") == [(1,)]


def test_a_database_is_copied_from_a_template(server: Postgres) -> None:
    original = server.create_database("original")
    _query(original, "CREATE TABLE copied AS SELECT 2 AS number")

    copy = server.create_database("copy", template="original")

    assert _query(copy, "SELECT number FROM copied") == [(2,)]


def test_a_dropped_database_ends_its_sessions(server: Postgres) -> None:
    with psycopg.connect(server.create_database("dropped")) as session:
        server.drop_database("dropped")

        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")


def test_a_stopped_server_leaves_no_file(server: Postgres) -> None:
    with Postgres() as other:
        home, sockets = other._home.path, other._sockets

    assert not home.exists()
    assert not sockets.exists()


@pytest.fixture
def name() -> Iterator[str]:
    """A name for a server whose data is kept; the data goes when the test is over."""
    chosen = f"test-{uuid.uuid4().hex[:8]}"
    yield chosen
    shutil.rmtree(state_folder() / f"postgres-{chosen}")


def test_the_data_of_a_named_server_is_kept_from_run_to_run(name: str) -> None:
    with Postgres(name) as first:
        _query(first.url, "CREATE TABLE kept AS SELECT 3 AS number")

    with Postgres(name) as second:
        assert _query(second.url, "SELECT number FROM kept") == [(3,)]
        assert _query(second.url, "SHOW fsync") == [("on",)]


def test_a_second_server_of_a_name_is_refused_and_the_first_serves_on(name: str) -> None:
    with Postgres(name) as first:
        with pytest.raises(FolderInUseError, match="already runs"), Postgres(name):
            pass

        assert _query(first.url, "SELECT 4") == [(4,)]


def test_a_given_url_is_used_as_it_is(server: Postgres) -> None:
    with database_url(server.url) as url:
        assert url == server.url


def test_a_given_server_that_does_not_answer_is_refused_in_one_line() -> None:
    with pytest.raises(PostgresMissingError, match=r"\Athe given database cannot be reached: .*\Z"):
        DatabaseServer.given("postgresql://nobody@127.0.0.1:1/none")


def test_a_server_older_than_15_is_refused(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entrypoints.dev.database_server.MINIMUM_VERSION", 99)

    with pytest.raises(PostgresMissingError, match="99 is needed"):
        DatabaseServer.given(server.url)


def test_the_server_ends_when_the_process_that_started_it_is_killed() -> None:
    program = (
        "import sys; from entrypoints.dev.postgres import Postgres; server = Postgres();"
        "server.start(); print(server._process.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
    ) as parent:
        assert parent.stdout is not None
        ended = os.pidfd_open(int(parent.stdout.readline()))

        parent.send_signal(signal.SIGKILL)

        over, _, _ = select.select([ended], [], [], 30)
        os.close(ended)
        assert over
