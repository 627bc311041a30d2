"""The log of a build on disk."""

from pathlib import Path

import pytest

from adapters.docker.build_log import TAIL_BYTES, BuildLog


def test_a_line_can_be_read_as_soon_as_it_is_written(tmp_path: Path) -> None:
    with BuildLog(tmp_path / "user" / "1.log") as log:
        log.write("#1 first\n")

        assert (tmp_path / "user" / "1.log").read_text() == "#1 first\n"


def test_an_earlier_attempts_log_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "1.log"
    path.write_text("earlier and longer\n")

    with BuildLog(path) as log:
        log.write("later")

    assert path.read_text() == "later\n"


def test_a_log_beyond_its_limit_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    path = tmp_path / "1.log"
    line = "x" * 1000

    with BuildLog(path, max_bytes=3000) as log:
        for number in range(1000):
            log.write(f"{number:03} {line}")

    lines = path.read_text().splitlines()
    assert [text[:3] for text in lines[:2]] == ["000", "001"]
    assert lines[-1].startswith("999 ")
    kept = [text for text in lines if text.endswith("x")]
    assert lines[2] == f"… {1000 - len(kept)} lines left out …"
    assert path.stat().st_size <= 3000 + TAIL_BYTES + 100


def test_a_log_of_exactly_its_limit_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "1.log"

    with BuildLog(path, max_bytes=8) as log:
        log.write("abc")
        log.write("def")

    assert path.read_text() == "abc\ndef\n"


def test_one_line_that_is_larger_than_all_keeps_its_end(tmp_path: Path) -> None:
    path = tmp_path / "1.log"

    with BuildLog(path, max_bytes=10) as log:
        log.write("x" * (2 * TAIL_BYTES) + "end")

    assert path.stat().st_size == TAIL_BYTES
    assert path.read_text().endswith("xend\n")


def test_what_no_database_takes_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "1.log"

    with BuildLog(path) as log:
        log.write("a\0b\ud800c\r\n")

    assert path.read_text() == "ab?c\n"


def test_a_full_disk_costs_the_log_but_not_the_build(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "1.log"
    path.symlink_to("/dev/full")

    with BuildLog(path) as log:
        log.write("one")
        log.write("two")

    assert capsys.readouterr().out.count("build log not written") == 1


def test_a_log_that_cannot_be_opened_begins_as_soon_as_it_can(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "builds"
    folder.write_text("no folder can be made here")

    with BuildLog(folder / "1.log") as log:
        log.write("one")
        folder.unlink()
        log.write("two")

    assert (folder / "1.log").read_text() == "two\n"
    assert capsys.readouterr().out.count("build log not written") == 1


def test_a_log_without_lines_is_there_and_empty(tmp_path: Path) -> None:
    (tmp_path / "1.log").write_text("an earlier attempt's")

    with BuildLog(tmp_path / "1.log"):
        pass

    assert (tmp_path / "1.log").read_text() == ""
