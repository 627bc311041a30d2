"""Hostile and broken archives: nothing outside of the destination is touched."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.archive.archives import (
    ZipItem,
    pax_header,
    pax_record,
    tar_entry,
    tar_of,
    zip_of,
)
from tests.unit.archive.trees import FORMATS, File, Flat, extract_in

CLIMBING = [b"..", b"..", b".", b"", b"\\", b"..\\x", b"C:\\x"]
EXISTING = [b"sentinel", b"Dockerfile", b"guarded", b"archive", b"a", b"b", b"l"]
STRANGE = [b"\xff", b"\0", b"\n", b"~", b"$HOME", b"\xe2\x80\xae"]
HOSTILE_PIECES = st.sampled_from([*CLIMBING, *EXISTING, *STRANGE])
HOSTILE_NAMES = st.lists(HOSTILE_PIECES, min_size=1, max_size=5).map(b"/".join)
PLAIN_NAMES = st.lists(st.sampled_from([b"a", b"b", b"l"]), min_size=1, max_size=3).map(b"/".join)
HOSTILE_ENTRIES = st.lists(
    st.tuples(
        HOSTILE_NAMES | PLAIN_NAMES,
        st.sampled_from([b"0", b"0", b"1", b"2", b"2", b"2", b"5", b"6"]),
        HOSTILE_NAMES | PLAIN_NAMES,
    ),
    min_size=1,
    max_size=5,
)
ZIP_MODES = {b"0": stat.S_IFREG, b"1": stat.S_IFCHR, b"2": stat.S_IFLNK}
ZIP_MODES |= {b"5": stat.S_IFDIR, b"6": stat.S_IFIFO}


@settings(max_examples=250, deadline=None)
@given(entries=HOSTILE_ENTRIES)
def test_no_name_or_link_in_a_tar_reaches_outside(
    entries: list[tuple[bytes, bytes, bytes]],
) -> None:
    blocks = []
    for name, kind, target in entries:
        records = pax_record(b"path", name) + pax_record(b"linkpath", target)
        data = b"evil" if kind == b"0" else b""
        blocks.append(pax_header(records) + tar_entry(b"short", data, kind=kind))

    with tempfile.TemporaryDirectory() as box:
        extract_in(Path(box), tar_of(*blocks))


@settings(max_examples=250, deadline=None)
@given(entries=HOSTILE_ENTRIES, creator=st.sampled_from([0, 3]))
def test_no_name_or_link_in_a_zip_reaches_outside(
    entries: list[tuple[bytes, bytes, bytes]], creator: int
) -> None:
    items = [
        ZipItem(
            name,
            {b"0": b"evil", b"2": target}.get(kind, b""),
            mode=ZIP_MODES[kind],
            creator=creator,
        )
        for name, kind, target in entries
    ]

    with tempfile.TemporaryDirectory() as box:
        extract_in(Path(box), zip_of(*items))


MUTATED: Flat = {
    "Dockerfile": File(b"FROM scratch\n", executable=False),
    "src": None,
    "src/main.py": File(b"print()\n" * 50, executable=True),
    "src/link": "../Dockerfile",
    "n" * 150: File(b"", executable=False),
}


@st.composite
def mutations(draw: st.DrawFn, data: bytes) -> bytes:
    """Return `data` with bytes changed, inserted and removed, or cut off."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, len(changed)))
        new = draw(st.binary(max_size=8) | st.sampled_from([b"\xff\xff\xff\xff", bytes(4)]))
        replaced = draw(st.sampled_from([0, len(new), len(new), len(new), 40]))
        changed[position : position + replaced] = new
    if draw(st.integers(0, 5)) == 0:
        del changed[draw(st.integers(0, len(changed))) :]
    return bytes(changed)


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_mutated_archive_is_extracted_or_refused(form: str, data: st.DataObject) -> None:
    mutated = data.draw(mutations(FORMATS[form](MUTATED, "")))

    with tempfile.TemporaryDirectory() as box:
        extract_in(Path(box), mutated)


@settings(max_examples=100, deadline=None)
@given(
    start=st.sampled_from(
        [b"", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0"]
    ),
    rest=st.binary(max_size=1500),
)
def test_random_bytes_are_refused(start: bytes, rest: bytes) -> None:
    with tempfile.TemporaryDirectory() as box:
        assert extract_in(Path(box), start + rest) is None
