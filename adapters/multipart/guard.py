r"""A bounded state machine that takes a multipart body apart, whatever its chunks.

    OPENING --delimiter--> HEADERS --empty line--> CONTENT --delimiter--> HEADERS …
                                                      \--closing delimiter--> EPILOGUE

It keeps no more than one block of headers or the beginning of a delimiter between two chunks, and
looks at no byte more often than a delimiter is long. What is not plain (a preamble, padded
delimiters, content that holds the boundary) is refused: no browser, curl or HTTP library sends it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from adapters.multipart.part_headers import PartHeaders, part_headers
from application.errors import MalformedUpload

MAX_PARTS = 16
MAX_HEADER_BYTES = 4096
MAX_EPILOGUE_BYTES = 1024

CRLF = b"\r\n"
HEADERS_END = b"\r\n\r\n"
CLOSING = b"--"
TRUNCATED = "the upload ends before its closing boundary"


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A part's headers are complete."""

    headers: PartHeaders


@dataclass(frozen=True, slots=True)
class PartData:
    """Some of the current part's content, never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnds:
    """The current part's content is complete."""


Event = PartBegins | PartData | PartEnds


class _State(Enum):
    OPENING = auto()
    DELIMITED = auto()
    HEADERS = auto()
    CONTENT = auto()
    EPILOGUE = auto()


class MultipartGuard:
    """Yields the parts of a body as events.

    Args:
        boundary: as announced, already checked.
    """

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = CRLF + CLOSING + boundary
        self._kept = b""
        self._scanned = 0
        self._parts = 0
        self._state = _State.OPENING

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Take the next bytes and yield what they complete; the iterator has to be exhausted.

        Raises:
            MalformedUpload: the body is not well-formed or beyond a bound.
        """
        self._kept += chunk
        while True:
            before = self._state
            if before is _State.OPENING:
                self._open()
            elif before is _State.DELIMITED:
                self._after_delimiter()
            elif before is _State.HEADERS:
                yield from self._headers()
            elif before is _State.CONTENT:
                yield from self._content()
            elif len(self._kept) > MAX_EPILOGUE_BYTES:
                raise MalformedUpload("data follows the closing boundary of the upload")
            if self._state is before:
                return

    def finish(self) -> None:
        """Confirm that the body was complete.

        Raises:
            MalformedUpload: if its closing delimiter was not seen.
        """
        if self._state is not _State.EPILOGUE:
            raise MalformedUpload(TRUNCATED)

    def _open(self) -> None:
        # The line break before the first delimiter belongs to the preamble and may be missing.
        opening = self._delimiter if self._kept[:1] == b"\r" else self._delimiter[len(CRLF) :]
        if not opening.startswith(self._kept[: len(opening)]):
            raise MalformedUpload("the upload does not begin with its boundary")
        if len(self._kept) >= len(opening):
            self._move(_State.DELIMITED, len(opening))

    def _after_delimiter(self) -> None:
        following = self._kept[: len(CRLF)]
        if following == CRLF:
            self._parts += 1
            if self._parts > MAX_PARTS:
                raise MalformedUpload(f"the form has more than {MAX_PARTS} parts")
            self._move(_State.HEADERS, len(CRLF))
        elif following == CLOSING:
            self._move(_State.EPILOGUE, len(CLOSING))
        elif following not in {b"", b"\r", b"-"}:
            raise MalformedUpload("a boundary of the upload is followed by other text")

    def _headers(self) -> Iterator[Event]:
        if self._kept.startswith(CRLF):
            raise MalformedUpload("a part of the form has no headers")
        # Only bytes not looked at yet, and a line break cut in two, can complete the end.
        end = self._kept.find(HEADERS_END, max(0, self._scanned - len(HEADERS_END) + 1))
        if end > MAX_HEADER_BYTES or (end < 0 and len(self._kept) > MAX_HEADER_BYTES):
            raise MalformedUpload(f"a part's headers have more than {MAX_HEADER_BYTES} bytes")
        self._scanned = len(self._kept)
        if end >= 0:
            headers = part_headers(self._kept[:end])
            self._move(_State.CONTENT, end + len(HEADERS_END))
            yield PartBegins(headers)

    def _content(self) -> Iterator[Event]:
        end = self._kept.find(self._delimiter)
        if end >= 0:
            data = self._kept[:end]
            self._move(_State.DELIMITED, end + len(self._delimiter))
        else:
            data = self._kept[: self._safe_length()]
            self._kept = self._kept[len(data) :]
        if data:
            yield PartData(data)
        if end >= 0:
            yield PartEnds()

    def _safe_length(self) -> int:
        """Return how much of what is kept cannot belong to a delimiter."""
        # A delimiter holds one CR, its first byte.
        last = self._kept.rfind(b"\r", max(0, len(self._kept) - len(self._delimiter)))
        if last >= 0 and self._delimiter.startswith(self._kept[last:]):
            return last
        return len(self._kept)

    def _move(self, state: _State, consumed: int) -> None:
        self._state = state
        self._kept = self._kept[consumed:]
        self._scanned = 0
