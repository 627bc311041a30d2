"""What an operator may type, and what becomes of everything else: one line, and nothing happens."""

import pytest

from entrypoints.worker.command_line import parse, run_command
from entrypoints.worker.commands.audit import Audit
from entrypoints.worker.commands.engines import Engines
from entrypoints.worker.commands.errors import Refused
from entrypoints.worker.commands.lost import Lost
from entrypoints.worker.commands.output import printable
from entrypoints.worker.commands.restored import Restored
from entrypoints.worker.commands.trust import Trust

NOWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
ENGINE = "5f0c5a2e-1111-2222-3333-444455556666"


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        (["audit"], Audit(10.0, allow_unaudited=False)),
        (["audit", "--settle", "0", "--allow-unaudited"], Audit(0.0, allow_unaudited=True)),
        (["audit", "--settle=2.5"], Audit(2.5, allow_unaudited=False)),
        (["engines"], Engines()),
        (["trust", ENGINE], Trust(ENGINE)),
        (["lost", ENGINE, "--reason", " a disk died "], Lost(ENGINE, "a disk died")),
        (["restored"], Restored(force=False)),
        (["restored", "--force"], Restored(force=True)),
    ],
)
def test_what_is_typed_becomes_a_command(typed: list[str], command: object) -> None:
    assert parse(typed) == command


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "", "ten", "3601", "1e9", "1\n2"])
def test_what_is_no_time_to_settle_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="--settle"):
        parse(["audit", f"--settle={text}"])


@pytest.mark.parametrize("text", ["", "  ", "x" * 1_001, "a\0b"])
def test_a_reason_has_to_be_given(text: str) -> None:
    with pytest.raises(Refused, match="--reason"):
        parse(["lost", ENGINE, "--reason", text])


@pytest.mark.parametrize(
    "arguments",
    [
        ["unknown"],
        [""],
        ["--verbose"],
        ["audit", "extra"],
        ["audit", "two\nlines"],
        ["audit", "--settle"],
        ["audit", "--allow"],
        ["engines", ENGINE],
        ["trust"],
        ["trust", ""],
        ["trust", "e" * 129],
        ["trust", "e\0"],
        ["trust", ENGINE, ENGINE],
        ["trust", "\udcff"],
        ["lost", ENGINE],
        ["lost", "--reason", "why"],
        ["lost", ENGINE, "--reason", "\udcff"],
        ["restored", "--yes"],
        ["restored", "now"],
    ],
)
def test_whatever_is_wrong_is_one_line_and_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_command(arguments, NOWHERE)

    written = capsys.readouterr()
    assert (code, written.out) == (2, "")
    assert written.err.startswith("worker: ")
    assert written.err.count("\n") == 1


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"DATABASE_URL": "postgresql://[broken"},
        NOWHERE | {"RECONCILE_INTERVAL_SECONDS": "soon"},
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [["audit"], ["engines"], ["trust", ENGINE], ["lost", ENGINE, "--reason", "why"], ["restored"]],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(
    arguments: list[str], environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_command(arguments, environment)

    written = capsys.readouterr()
    assert (code, written.out, written.err.count("\n")) == (2, "", 1)


def test_a_database_that_is_away_is_one_line_and_exit_code_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = run_command(["restored"], NOWHERE)

    written = capsys.readouterr()
    assert (code, written.out, written.err.count("\n")) == (1, "", 1)


def test_no_text_can_begin_a_second_line_or_a_control_sequence() -> None:
    assert printable("a\nb\x1b[31m\u2028é") == "a\\nb\\x1b[31m\\u2028é"
