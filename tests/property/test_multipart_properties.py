"""What holds for every form, however it is cut and whatever is done to it."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.multipart.form_parser import GuardedFormParser, ParsedForm
from application.errors import UploadRejected
from tests.unit.multipart.forms import body, part

FIELDS = {"name": 200, "tag": 200, "app_hostname": 200}
MAX_UPLOAD_BYTES = 20_000

BOUNDARIES = st.text("0123456789abcXYZ'()+_,-./:=? ", min_size=1, max_size=70).filter(
    lambda boundary: not boundary.endswith(" ")
)


def cut(data: bytes, borders: list[int]) -> list[bytes]:
    places = [0, *sorted(border % (len(data) + 1) for border in borders), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


def parse(folder: Path, boundary: str, chunks: list[bytes]) -> ParsedForm:
    parser = GuardedFormParser(
        f'multipart/form-data; boundary="{boundary}"',
        FIELDS,
        "file",
        folder / "upload",
        MAX_UPLOAD_BYTES,
    )
    for chunk in chunks:
        parser.feed(chunk)
    return parser.finish()


@st.composite
def contents(draw: st.DrawFn, boundary: str) -> bytes:
    """Return content made to look like delimiters without being one."""
    delimiter = b"\r\n--" + boundary.encode()
    pieces = st.sampled_from(
        [b"\r", b"\n", b"\r\n", b"--", b"\r\n--", delimiter[:-1], delimiter[2:-1], b"x" * 1500]
    )
    content = b"".join(draw(st.lists(pieces | st.binary(max_size=20), max_size=8)))
    while delimiter in b"\r\n" + content + b"\r\n":
        content = content.replace(delimiter[2:], b"")
    return content


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_every_form_is_parsed_as_it_was_encoded_whatever_the_chunks(data: st.DataObject) -> None:
    boundary = data.draw(BOUNDARIES)
    texts = data.draw(st.dictionaries(st.sampled_from(sorted(FIELDS)), st.text(max_size=50)))
    texts = {
        name: text
        for name, text in texts.items()
        if f"--{boundary}" not in text and not text.endswith("\r\n")
    }
    content = data.draw(contents(boundary))
    parts = [part(name, text.encode()) for name, text in texts.items()]
    parts.insert(data.draw(st.integers(0, len(parts))), part("file", content, "app.zip"))
    encoded = body(*parts, boundary=boundary.encode())
    borders = data.draw(st.lists(st.integers(0, 30_000), max_size=30))

    with tempfile.TemporaryDirectory() as folder:
        form = parse(Path(folder), boundary, cut(encoded, borders))

        assert form.fields == texts
        assert form.file_path.read_bytes() == content
        assert (form.file_bytes, form.filename) == (len(content), "app.zip")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_mutated_form_is_parsed_or_refused_the_same_way_whatever_the_chunks(
    data: st.DataObject,
) -> None:
    parts = [part("name", b"app"), part("file", b"PK" * 50, "app.zip"), part("tag", b"latest")]
    mutated = bytearray(body(*parts, boundary=b"border"))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(mutated)))
        new = data.draw(
            st.binary(max_size=4)
            | st.sampled_from([b"\r\n", b"--border", b"\r\n--border\r\n", b"\r\n--border--", b'"'])
        )
        mutated[position : position + data.draw(st.integers(0, 4))] = new
    if data.draw(st.integers(0, 3)) == 0:
        del mutated[data.draw(st.integers(0, len(mutated))) :]
    borders = data.draw(st.lists(st.integers(0, 1_000), max_size=10))

    whole = outcome([bytes(mutated)])
    in_pieces = outcome(cut(bytes(mutated), borders))

    assert in_pieces == whole


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=300), prefixed=st.booleans())
def test_random_bytes_are_refused(data: bytes, *, prefixed: bool) -> None:
    result = outcome([b"--border\r\n" + data if prefixed else data])

    assert isinstance(result, str)


def outcome(chunks: list[bytes]) -> str | tuple[dict[str, str], bytes]:
    """Return the fields and the file, or the refusal's text; a refusal leaves no file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            form = parse(folder, "border", chunks)
        except UploadRejected as refusal:
            left = list(folder.iterdir())
            assert left == []
            return f"{type(refusal).__name__}: {refusal}"
        return form.fields, form.file_path.read_bytes()
