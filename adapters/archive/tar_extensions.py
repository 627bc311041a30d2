"""What precedes a tar entry: pax records and GNU long names, read within bounds.

`tarfile` reads both wholly into memory, whatever size they claim.
"""

from __future__ import annotations

import re
import tarfile
from dataclasses import dataclass
from typing import Final

from adapters.archive.limits import ArchiveLimits
from application.errors import InvalidArchive

# Room for extended attributes; paths are bounded apart from it.
MAX_PAX_BYTES = 256 * 1024
MAX_PAX_RECORDS = 256

EXTENSION_TYPES: Final = frozenset(
    {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
)

# No record is longer than MAX_PAX_BYTES, so six digits hold its length.
RECORD_START = re.compile(rb"([1-9][0-9]{0,5}) ")
SIZE = re.compile(r"[0-9]{1,18}")


@dataclass(slots=True)
class Extensions:
    """What the headers before an entry say of it; None where they say nothing."""

    path: str | None = None
    target: str | None = None
    size: int | None = None
    seen: frozenset[bytes] = frozenset()

    def take(self, kind: bytes, data: bytes) -> None:
        """Take over an extension header's content.

        Raises:
            InvalidArchive: if it is malformed, repeated, or says what only an entry may say.
        """
        if kind in self.seen:
            raise InvalidArchive("the tar repeats an extension header before one entry")
        self.seen |= {kind}
        if kind == tarfile.GNUTYPE_LONGNAME:
            self.path = _text(data.rstrip(b"\0"))
        elif kind == tarfile.GNUTYPE_LONGLINK:
            self.target = _text(data.rstrip(b"\0"))
        else:
            self._take_pax(_pax_records(data))

    def _take_pax(self, records: dict[str, str]) -> None:
        if any(key.startswith("GNU.sparse.") for key in records):
            raise InvalidArchive("the tar holds a sparse file, which is not accepted")
        self.path = records.get("path", self.path)
        self.target = records.get("linkpath", self.target)
        if (size := records.get("size")) is not None:
            if not SIZE.fullmatch(size):
                raise InvalidArchive("a pax header of the tar gives a size that is no number")
            self.size = int(size)


def check_extension_size(kind: bytes, size: int, limits: ArchiveLimits) -> None:
    """Refuse an extension header that is larger than what it may say.

    Raises:
        InvalidArchive: if it is.
    """
    pax = kind in {tarfile.XHDTYPE, tarfile.XGLTYPE}
    if not 0 <= size <= (MAX_PAX_BYTES if pax else limits.path_bytes + 1):
        raise InvalidArchive("an extension header of the tar is too large")


def check_global(data: bytes) -> None:
    """Refuse global pax records that would speak for entries; comments are fine.

    Raises:
        InvalidArchive: if there are any, or the header is malformed.
    """
    records = _pax_records(data)
    if any(key in {"path", "linkpath", "size"} or key.startswith("GNU.sparse.") for key in records):
        raise InvalidArchive("a global pax header of the tar gives a path or size")


def _pax_records(data: bytes) -> dict[str, str]:
    records: dict[str, str] = {}
    position = 0
    for _ in range(MAX_PAX_RECORDS):
        if position == len(data):
            return records
        start = RECORD_START.match(data, position)
        if start is None:
            break
        end = position + int(start[1])
        key, equals, value = data[start.end() : end - 1].partition(b"=")
        if not equals or data[end - 1 : end] != b"\n":
            break
        records[_text(key)] = _text(value)
        position = end
    raise InvalidArchive("a pax header of the tar is malformed or has too many records")


def _text(data: bytes) -> str:
    # What is not UTF-8 becomes surrogates, which the check of names refuses.
    return data.decode("utf-8", "surrogateescape")
