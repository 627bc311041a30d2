"""Tars that are refused, each with nothing left behind."""

from __future__ import annotations

import pytest

from tests.unit.archive.archives import (
    DOCKERFILE,
    pax_header,
    pax_record,
    tar_entry,
    tar_of,
)
from tests.unit.archive.conftest import Refuse


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"/etc/passwd", "absolute"),
        (b"../outside", "'..'"),
        (b"a/../../outside", "'..'"),
        (b"a/../b", "'..'"),
        (b"..", "'..'"),
        (b"..\\outside", "backslashes"),
        (b"a\\..\\b", "backslashes"),
        (b"\\\\server\\share", "backslashes"),
        (b"C:\\windows", "backslashes"),
        (b"line\nbreak", "control characters"),
        (b"\x1b[2J", "control characters"),
        (b"\xc2\x9b", "control characters"),
        (b"\xff\xfe", "UTF-8"),
        (b"", "empty name"),
        (b"a" + b"/b" * 64, "nested deeper"),
    ],
)
def test_a_hostile_name_is_refused(refusal: Refuse, name: bytes, why: str) -> None:
    text = refusal(pax_header(pax_record(b"path", name)) + tar_of(tar_entry(b"x", b"x")))

    assert why in text
    assert text.isprintable()


def test_a_nul_in_a_pax_path_is_refused(refusal: Refuse) -> None:
    text = refusal(tar_of(pax_header(pax_record(b"path", b"a\0b")), tar_entry(b"x")))

    assert text == r"the entry 'a\x00b…' has control characters in its name or target"


def test_a_long_name_is_shortened_in_the_message(refusal: Refuse) -> None:
    text = refusal(tar_of(tar_entry(b"/" + b"n" * 99)))

    assert "'/" + "n" * 79 + "…'" in text


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (b"1", "hard link"),
        (b"3", "device"),
        (b"4", "device"),
        (b"6", "fifo"),
        (b"S", "sparse"),
        (b"V", "unknown type"),
        (b"Z", "unknown type"),
    ],
)
def test_anything_but_files_folders_and_links_is_refused(
    refusal: Refuse, kind: bytes, why: str
) -> None:
    text = refusal(tar_of(tar_entry(b"special", kind=kind, target=b"Dockerfile")))

    assert why in text
    assert "'special'" in text


@pytest.mark.parametrize(
    "entries",
    [
        [tar_entry(b"a", b"1"), tar_entry(b"a", b"2")],
        [tar_entry(b"a", b"1"), tar_entry(b"./a", b"2")],
        [tar_entry(b"a/b", b"1"), tar_entry(b"a", b"2")],
        [tar_entry(b"a/b", b"1"), tar_entry(b"a", kind=b"2", target=b".")],
        [tar_entry(b"a", kind=b"2", target=b"."), tar_entry(b"a", b"2")],
    ],
)
def test_an_entry_over_another_is_refused(refusal: Refuse, entries: list[bytes]) -> None:
    text = refusal(tar_of(*entries))

    assert "appears twice" in text


@pytest.mark.parametrize("cut", [1, 511, 512, 513, 600, 1024, 1500])
def test_a_truncated_tar_is_refused(refusal: Refuse, cut: int) -> None:
    whole = DOCKERFILE + tar_entry(b"a", b"x" * 700)

    text = refusal(whole[: len(whole) - cut])

    assert "truncated" in text


def test_a_tar_without_its_end_marker_is_refused(refusal: Refuse) -> None:
    text = refusal(DOCKERFILE)

    assert "truncated" in text


def test_a_second_tar_behind_the_first_is_refused(refusal: Refuse) -> None:
    text = refusal(tar_of() + tar_of())

    assert "data follows" in text


def test_a_wrong_checksum_of_a_header_is_refused(refusal: Refuse) -> None:
    entry = bytearray(tar_entry(b"a", b"x"))
    entry[0] ^= 1

    text = refusal(tar_of(bytes(entry)))

    assert "broken header" in text


def test_a_negative_size_is_refused(refusal: Refuse) -> None:
    entry = bytearray(tar_entry(b"a"))
    entry[124:136] = b"\xff" * 12
    entry[148:156] = b" " * 8
    entry[148:156] = b"%06o\0 " % sum(entry)

    text = refusal(tar_of(bytes(entry)))

    assert "negative size" in text


@pytest.mark.parametrize("kind", [b"2", b"5"])
def test_content_of_what_is_no_file_is_refused(refusal: Refuse, kind: bytes) -> None:
    text = refusal(tar_of(tar_entry(b"a", b"x", kind=kind, target=b"Dockerfile")))

    assert "is no file but has content" in text


def test_a_file_named_like_a_folder_is_refused(refusal: Refuse) -> None:
    text = refusal(tar_of(tar_entry(b"a/", b"x")))

    assert "name of a folder" in text


def test_a_file_that_stands_for_the_root_is_refused(refusal: Refuse) -> None:
    text = refusal(tar_of(tar_entry(b".", b"x")))

    assert "stands for the root" in text


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (tar_entry(b"x", kind=b"x", size=300_000), "too large"),
        (tar_entry(b"x", kind=b"L", size=5_000), "too large"),
        (tar_entry(b"x", kind=b"K", size=5_000), "too large"),
        (pax_header(b"5 a=b\n"), "malformed"),
        (pax_header(b"0 a=b\n"), "malformed"),
        (pax_header(b"999999 a=b\n"), "malformed"),
        (pax_header(b"6 abc\n"), "malformed"),
        (pax_header(b"no length"), "malformed"),
        (pax_header(pax_record(b"a", b"b") * 300), "too many records"),
        (pax_header(pax_record(b"size", b"-1")), "no number"),
        (pax_header(pax_record(b"size", b"9" * 19)), "no number"),
        (pax_header(pax_record(b"GNU.sparse.major", b"1")), "sparse"),
        (pax_header(pax_record(b"path", b"x")) * 2, "repeats"),
        (tar_entry(b"x", b"name\0", kind=b"L") * 2, "repeats"),
        (pax_header(pax_record(b"path", b"x"), kind=b"g"), "global"),
        (pax_header(pax_record(b"comment", b"x"), kind=b"g") * 17, "too many global"),
    ],
)
def test_a_hostile_extension_header_is_refused(refusal: Refuse, header: bytes, why: str) -> None:
    text = refusal(tar_of(header, tar_entry(b"a", b"x")))

    assert why in text


def test_an_extension_header_without_an_entry_is_refused(refusal: Refuse) -> None:
    text = refusal(tar_of(pax_header(pax_record(b"path", b"x"))))

    assert "truncated" in text
