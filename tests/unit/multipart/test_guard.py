"""The guard's state machine by itself."""

from __future__ import annotations

import pytest

from adapters.multipart.guard import (
    MAX_EPILOGUE_BYTES,
    MAX_HEADER_BYTES,
    MAX_PARTS,
    Event,
    MultipartGuard,
    PartBegins,
    PartData,
    PartEnds,
)
from application.errors import MalformedUpload
from tests.unit.multipart.forms import BOUNDARY, body, part


def events_of(data: bytes, step: int | None = None, boundary: bytes = BOUNDARY) -> list[Event]:
    guard = MultipartGuard(boundary)
    step = step or max(len(data), 1)
    events = [e for i in range(0, len(data), step) for e in guard.feed(data[i : i + step])]
    guard.finish()
    return events


def contents_of(events: list[Event]) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for event in events:
        if isinstance(event, PartBegins):
            found.append((event.headers.name, b""))
        elif isinstance(event, PartData):
            found[-1] = (found[-1][0], found[-1][1] + event.data)
    return found


def refusal_of(data: bytes) -> str:
    with pytest.raises(MalformedUpload) as caught:
        events_of(data)
    with pytest.raises(MalformedUpload) as caught_by_bytes:
        events_of(data, 1)
    assert str(caught.value) == str(caught_by_bytes.value)
    return str(caught.value)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain",
        b"\r\n",
        b"\r\n--",
        b"\r\r\n\r\n--\r\n",
        b"--" + BOUNDARY,
        b"\r\n--" + BOUNDARY[:-1],
        (b"\r\n--" + BOUNDARY[:-1]) * 3 + b"\r",
        b"\n--" + BOUNDARY + b"\n",
        bytes(range(256)) * 3,
    ],
)
def test_content_is_kept_whatever_the_chunks(content: bytes, step: int) -> None:
    data = body(part("a", content), part("b", b"2"))

    events = events_of(data, step)

    assert contents_of(events) == [("a", content), ("b", b"2")]
    assert sum(isinstance(event, PartEnds) for event in events) == 2


def test_a_line_break_before_the_first_boundary_is_accepted() -> None:
    events = events_of(b"\r\n" + body(part("a", b"1")), 1)

    assert contents_of(events) == [("a", b"1")]


def test_a_form_without_parts_and_an_epilogue_are_accepted() -> None:
    events = events_of(b"--" + BOUNDARY + b"--\r\nepilogue")

    assert events == []


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"preamble\r\n" + body(part("a", b"1")), "does not begin"),
        (b"\r\n\r\n" + body(part("a", b"1")), "does not begin"),
        (b"--another\r\n", "does not begin"),
        (b"--" + BOUNDARY + b"x\r\n", "followed by other text"),
        (b"--" + BOUNDARY + b" \r\n", "followed by other text"),
        (body(part("a", b"1\r\n--" + BOUNDARY + b"x")), "followed by other text"),
        (body(*[part(f"f{i}", b"") for i in range(MAX_PARTS + 1)]), "more than 16 parts"),
        (body(part("a", b"", None, b"X: " + b"y" * MAX_HEADER_BYTES)), "more than 4096 bytes"),
        (b"--" + BOUNDARY + b"\r\n" + b"y" * 10_000, "more than 4096 bytes"),
        (body(part("a", b"", None, *[b"X%d: y" % i for i in range(8)])), "8 header lines"),
        (body(part("a", b"", None, b"X: 1", b"x: 2")), "repeats a header"),
        (body(part("a", b"", None, b" folded")), "malformed header"),
        (body(part("a", b"", None, b"no colon")), "malformed header"),
        (body(part("a", b"", None, b"space : x")), "malformed header"),
        (body(part("a", b"", None, b"X: bare\rreturn")), "malformed header"),
        (body(part("a", b"", None, b"X: bare\nfeed")), "malformed header"),
        (body(part("\x1b[2J", b"")), "malformed header"),
        (body(part("a", b"", None, b"X: \xff")), "not UTF-8"),
        (body(part("a", b"", None, b"Content-Transfer-Encoding: base64")), "Transfer-Encoding"),
        (body(b"Content-Type: text/plain\r\n\r\nx"), "header of the upload is malformed"),
        (body(b'Content-Disposition: attachment; name="a"\r\n\r\n'), "no form-data"),
        (body(b"Content-Disposition: form-data\r\n\r\n"), "no form-data"),
        (body(b'Content-Disposition: form-data; name=""\r\n\r\n'), "no form-data"),
        (body(b"Content-Disposition: form-data; name=a; name=b\r\n\r\n"), "repeats a parameter"),
        (body(b'Content-Disposition: form-data; name="a\r\n\r\n'), "is malformed"),
        (body(b"\r\ncontent"), "has no headers"),
        (body(part("a", b"1")) + b"x" * MAX_EPILOGUE_BYTES, "data follows"),
    ],
)
def test_what_is_not_well_formed_is_refused_whatever_the_chunks(data: bytes, why: str) -> None:
    text = refusal_of(data)

    assert why in text


def test_every_truncation_is_refused() -> None:
    data = body(part("a", b"1"), part("file", b"x" * 50, "f.zip"))
    closing = len(data) - len(b"\r\n")

    refused = [refusal_of(data[:cut]) for cut in range(closing)]

    assert set(refused) == {"the upload ends before its closing boundary"}


@pytest.mark.parametrize("step", [1, 65536])
def test_no_more_than_headers_or_a_delimiter_is_kept(step: int) -> None:
    guard = MultipartGuard(BOUNDARY)
    data = body(part("a", b"\r\n--" * 20_000))
    most = 0

    for start in range(0, len(data), step):
        for _ in guard.feed(data[start : start + step]):
            pass
        most = max(most, len(guard._kept))

    assert most <= MAX_HEADER_BYTES + len(BOUNDARY)
