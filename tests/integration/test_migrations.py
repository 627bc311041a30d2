"""The runner: each file once, whole or not at all, and history is never rewritten."""

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from migrations import runner
from migrations.runner import FOLDER, MigrationError, migrate, read_folder
from tests.contracts.subjects import wait_until

_WAITS = "SELECT FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"


@pytest.fixture
def empty_database(database: str) -> Iterator[str]:
    """A schema of its own in the test's database: for the runner as good as an empty one."""
    schema = f"empty_{uuid.uuid4().hex}"
    with psycopg.connect(database, autocommit=True) as session:
        session.execute(f"CREATE SCHEMA {schema}".encode())
    yield make_conninfo(database, options=f"-csearch_path={schema}")
    with psycopg.connect(database, autocommit=True) as session:
        session.execute(f"DROP SCHEMA {schema} CASCADE".encode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_apples.sql").write_text("CREATE TABLE apples (id integer);")
    (tmp_path / "0002_pears.sql").write_text("CREATE TABLE pears (id integer);")
    return tmp_path


def history(database: str) -> list[str]:
    with psycopg.connect(database) as session:
        rows = session.execute("SELECT name FROM schema_migrations ORDER BY version").fetchall()
    return [name for (name,) in rows]


def exists(database: str, table: str) -> bool:
    with psycopg.connect(database) as session:
        row = session.execute("SELECT to_regclass(%s) IS NOT NULL", (table,)).fetchone()
    return row == (True,)


def test_the_files_of_the_service_are_applied_once_and_in_order(empty_database: str) -> None:
    first = migrate(empty_database)
    second = migrate(empty_database)

    assert first == [migration.name for migration in read_folder(FOLDER)]
    assert second == []
    assert exists(empty_database, "outbox")


def test_a_new_file_is_applied_alone(empty_database: str, folder: Path) -> None:
    migrate(empty_database, folder)
    (folder / "0003_plums.sql").write_text("CREATE TABLE plums (id integer);")

    applied = migrate(empty_database, folder)

    assert applied == ["0003_plums.sql"]


def test_an_edited_file_is_refused_and_nothing_changes(empty_database: str, folder: Path) -> None:
    migrate(empty_database, folder)
    (folder / "0001_apples.sql").write_text("CREATE TABLE apples (id bigint);")
    (folder / "0003_plums.sql").write_text("CREATE TABLE plums (id integer);")

    with pytest.raises(MigrationError, match=r"^0001_apples.sql: was edited"):
        migrate(empty_database, folder)

    assert not exists(empty_database, "plums")


def test_an_applied_file_that_is_missing_is_refused(empty_database: str, folder: Path) -> None:
    migrate(empty_database, folder)
    (folder / "0002_pears.sql").unlink()

    with pytest.raises(MigrationError, match=r"^0002_pears.sql: was applied, but its file is"):
        migrate(empty_database, folder)


def test_a_file_that_comes_late_is_refused(empty_database: str, folder: Path) -> None:
    migrate(empty_database, folder)
    with psycopg.connect(empty_database) as session:
        session.execute("DELETE FROM schema_migrations WHERE version = 1")

    with pytest.raises(MigrationError, match=r"^0001_apples.sql: comes late, 0002 is applied"):
        migrate(empty_database, folder)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("0004_gap.sql", "expected number 0003"),
        ("0002_twice.sql", "expected number 0003"),
        ("3_short.sql", "the name must look like"),
        ("0003-dashes.sql", "the name must look like"),
    ],
)
def test_a_misnamed_file_is_refused(folder: Path, name: str, reason: str) -> None:
    (folder / name).write_text("SELECT 1;")

    with pytest.raises(MigrationError, match=reason):
        read_folder(folder)


def test_a_failing_file_is_rolled_back_and_not_recorded(empty_database: str, folder: Path) -> None:
    (folder / "0003_broken.sql").write_text("CREATE TABLE plums (id integer);\nSELECT 1 / 0;")
    (folder / "0004_after.sql").write_text("CREATE TABLE cherries (id integer);")

    with pytest.raises(MigrationError, match=r"^0003_broken.sql: division by zero$"):
        migrate(empty_database, folder)

    assert history(empty_database) == ["0001_apples.sql", "0002_pears.sql"]
    assert not exists(empty_database, "plums")
    assert not exists(empty_database, "cherries")


def test_concurrent_runs_apply_each_file_once(empty_database: str, folder: Path) -> None:
    applied: list[str] = []
    failures: list[Exception] = []
    together = threading.Barrier(6)

    def run() -> None:
        together.wait()
        try:
            applied.extend(migrate(empty_database, folder))
        except Exception as exc:  # noqa: BLE001 - shown by the assertion below
            failures.append(exc)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert sorted(applied) == ["0001_apples.sql", "0002_pears.sql"]


def test_a_file_may_opt_out_of_the_transaction_even_while_others_wait(
    empty_database: str, folder: Path
) -> None:
    (folder / "0003_index.sql").write_text(
        "-- migrate: no-transaction\nCREATE INDEX CONCURRENTLY apples_idx ON apples (id);"
    )
    waiting = threading.Thread(target=migrate, args=(empty_database, folder))

    waiting.start()
    migrate(empty_database, folder)
    waiting.join()

    assert history(empty_database)[-1] == "0003_index.sql"
    assert exists(empty_database, "apples_idx")


@pytest.fixture
def held(empty_database: str, folder: Path) -> Iterator[psycopg.Connection]:
    """A session in the middle of something with a table that the next file changes."""
    migrate(empty_database, folder)
    (folder / "0003_weights.sql").write_text(
        "CREATE TABLE plums (id integer); ALTER TABLE apples ADD COLUMN grams integer;"
    )
    with psycopg.connect(empty_database) as session:
        session.execute("INSERT INTO apples VALUES (1)")
        yield session


def test_a_file_gives_way_while_a_table_is_held_and_is_applied_afterwards(
    empty_database: str, folder: Path, held: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_TABLE_WAIT", "SET LOCAL lock_timeout = '50ms'")
    waiting = []

    def let_go(name: str) -> None:
        waiting.append(name)
        # Nobody else waits behind it meanwhile.
        with psycopg.connect(empty_database) as other:
            other.execute("SET lock_timeout = '1s'")
            other.execute("SELECT FROM apples")
        held.commit()

    applied = migrate(empty_database, folder, on_waiting=let_go)

    assert (applied, waiting) == (["0003_weights.sql"], ["0003_weights.sql"])
    assert exists(empty_database, "plums")


def test_a_file_gives_way_to_whoever_holds_one_of_its_tables_and_waits_for_another(
    empty_database: str, folder: Path, held: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began to wait first, so PostgreSQL ends its wait."""
    (folder / "0003_weights.sql").write_text(
        "ALTER TABLE pears ADD COLUMN grams integer; ALTER TABLE apples ADD COLUMN grams integer;"
    )
    monkeypatch.setattr(
        runner, "_TABLE_WAIT", "SET LOCAL lock_timeout = '30s'; SET LOCAL deadlock_timeout = '1s'"
    )
    held.execute("SET LOCAL deadlock_timeout = '60s'")

    with ThreadPoolExecutor(1) as pool:
        migration = pool.submit(migrate, empty_database, folder)
        with psycopg.connect(empty_database, autocommit=True) as beside:
            wait_until(
                lambda: beside.execute(_WAITS, (held.info.backend_pid,)).fetchone() is not None
            )
        held.execute("SELECT FROM pears")
        held.commit()

    assert migration.result() == ["0003_weights.sql"]


def test_a_table_that_is_held_for_too_long_fails_the_file_and_nothing_changes(
    empty_database: str, folder: Path, held: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_TABLE_WAIT", "SET LOCAL lock_timeout = '50ms'")
    monkeypatch.setattr(runner, "_TABLES_WAIT_SECONDS", 0.0)

    with pytest.raises(MigrationError, match=r"^0003_weights.sql: others have held a table"):
        migrate(empty_database, folder)

    held.commit()
    assert history(empty_database) == ["0001_apples.sql", "0002_pears.sql"]
    assert not exists(empty_database, "plums")


def run_command(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "migrations"],
        cwd=FOLDER.parent,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_prints_a_line_for_each_file(empty_database: str) -> None:
    first = run_command(DATABASE_URL=empty_database)
    second = run_command(DATABASE_URL=empty_database)

    names = [migration.name for migration in read_folder(FOLDER)]
    assert first.stdout.splitlines() == [f"migrations: applied {name}" for name in names]
    assert (first.returncode, first.stderr) == (0, "")
    assert second.stdout == "migrations: the schema is up to date\n"


@pytest.mark.parametrize(
    ("environment", "code", "line"),
    [
        ({}, 2, "migrations: DATABASE_URL: is not set"),
        ({"DATABASE_URL": ""}, 2, "migrations: DATABASE_URL: is not set"),
        ({"DATABASE_URL": "se cret"}, 2, "migrations: DATABASE_URL: is not a PostgreSQL"),
        (
            {"DATABASE_URL": "postgresql://", "MIGRATIONS_WAIT_SECONDS": "-1"},
            2,
            "migrations: MIGRATIONS_WAIT_SECONDS: expected",
        ),
        (
            {"DATABASE_URL": "postgresql://x@127.0.0.1:1/x", "MIGRATIONS_WAIT_SECONDS": "1"},
            1,
            "migrations: connection failed",
        ),
    ],
)
def test_the_command_fails_with_one_line(environment: dict[str, str], code: int, line: str) -> None:
    ended = run_command(**environment)

    assert ended.returncode == code
    assert ended.stderr.startswith(line)
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stdout == ""
