"""What a client has of its worker, and what is left of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from application.errors import EngineError
from tests.unit.docker.shims import Shim, build_order, container_order

_TELLS = 'echo "$DATABASE_URL|$PGPASSWORD|$BUILDX_CONFIG" >>"$TOLD"'
_WRITES = """\
mkdir -p "$BUILDX_CONFIG/refs/default" && echo x >"$BUILDX_CONFIG/refs/default/$$"
find "$BUILDX_CONFIG" -type f | wc -l >>"$TOLD"
exit 1
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the shims tell what they saw."""
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    return tmp_path / "told"


def test_a_client_does_not_know_what_opens_the_database(
    shim: Shim, tmp_path: Path, told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret@host/db")
    monkeypatch.setenv("PGPASSWORD", "secret")
    engine = shim(_TELLS)

    engine.version()
    with pytest.raises(EngineError):
        engine.build(build_order(tmp_path))

    assert [line.rpartition("|")[0] for line in told.read_text().splitlines()] == ["|"] * 3


def test_a_user_s_own_variable_of_such_a_name_reaches_the_client(
    shim: Shim, told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret")
    engine = shim(_TELLS)

    with pytest.raises(EngineError):
        engine.create(container_order({"PGPASSWORD": "two\nlines"}))

    assert told.read_text().startswith("|two\nlines|")


def test_what_buildx_writes_is_of_its_call_alone_and_goes_with_it(
    shim: Shim, tmp_path: Path, told: Path
) -> None:
    engine = shim(_WRITES)

    for _ in range(3):
        with pytest.raises(EngineError):
            engine.build(build_order(tmp_path))

    assert told.read_text().split() == ["1", "1", "1"]
    assert list((tmp_path / "scratch").iterdir()) == []
