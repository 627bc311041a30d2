"""The form as a whole: what is parsed, what is refused, what stays on disk."""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path

import httpx
import pytest

from adapters.multipart.form_parser import GuardedFormParser, ParsedForm
from application.errors import (
    InsufficientStorage,
    InvalidForm,
    MalformedUpload,
    UploadRejected,
    UploadTooLarge,
)
from tests.unit.multipart.forms import CONTENT_TYPE, body, opened, part

FILE = part("file", b"PK-content", "app.zip", b"Content-Type: application/zip")
MAX_UPLOAD_BYTES = 1000


def parser_at(
    target: Path, content_type: str = CONTENT_TYPE, limit: int = MAX_UPLOAD_BYTES
) -> GuardedFormParser:
    return GuardedFormParser(content_type, {"name": 20, "tag": 5}, "file", target, limit)


def parse(parser: GuardedFormParser, data: bytes) -> ParsedForm:
    parser.feed(data)
    return parser.finish()


def refusal_of(target: Path, data: bytes) -> UploadRejected:
    parser = parser_at(target)
    with pytest.raises(UploadRejected) as caught:
        parse(parser, data)
    assert list(target.parent.iterdir()) == []
    return caught.value


def test_a_form_is_parsed(tmp_path: Path) -> None:
    target = tmp_path / "upload"
    parser = parser_at(target)

    parser.feed(body(part("name", "naïve".encode()), FILE, part("tag", b"")))
    form = parser.finish()

    assert form == ParsedForm({"name": "naïve", "tag": ""}, target, 10, "app.zip")
    assert target.read_bytes() == b"PK-content"
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_form_encoded_by_an_http_library_is_parsed(tmp_path: Path) -> None:
    content = os.urandom(900)
    request = httpx.Request(
        "POST", "http://x", data={"name": "app"}, files={"file": ("ä.zip", content)}
    )
    parser = parser_at(tmp_path / "upload", request.headers["Content-Type"])

    parser.feed(request.read())
    form = parser.finish()

    assert form.fields == {"name": "app"}
    assert form.filename == "ä.zip"
    assert form.file_path.read_bytes() == content


@pytest.mark.parametrize("step", [1, 2, 3])
def test_content_that_begins_with_hyphens_is_kept_in_every_part(tmp_path: Path, step: int) -> None:
    parser = parser_at(tmp_path / "upload")
    data = body(part("name", b"-"), part("tag", b"--"), part("file", b"--" + b"x" * 900, "f"))

    for at in range(0, len(data), step):
        parser.feed(data[at : at + step])
    form = parser.finish()

    assert form.fields == {"name": "-", "tag": "--"}
    assert form.file_path.read_bytes() == b"--" + b"x" * 900


def test_a_file_without_content_or_name_is_parsed(tmp_path: Path) -> None:
    parser = parser_at(tmp_path / "upload")

    parser.feed(body(part("file", b"")))
    form = parser.finish()

    assert (form.file_bytes, form.filename) == (0, None)
    assert form.file_path.read_bytes() == b""


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ([FILE, part("colour", b"red")], ("colour", "is no field of this form")),
        ([FILE, part("\u202ered", b"red")], ("?red", "is no field of this form")),
        ([FILE, part("x" * 1000, b"red")], ("x" * 40, "is no field of this form")),
        ([FILE, part("Name", b"red")], ("Name", "is no field of this form")),
        ([part("name", b"a"), part("name", b"b")], ("name", "is given more than once")),
        ([FILE, FILE], ("file", "is given more than once")),
        ([part("tag", b"123456"), FILE], ("tag", "must be at most 5 bytes")),
        ([part("name", b"x" * 100_000), FILE], ("name", "must be at most 20 bytes")),
        ([part("name", b"\xff"), FILE], ("name", "must be UTF-8")),
        ([part("name", b"x", "name.txt"), FILE], ("name", "must be text, not a file")),
        ([part("name", b"x")], ("file", "is required")),
        ([], ("file", "is required")),
    ],
)
def test_a_refused_field_is_named(
    tmp_path: Path, parts: list[bytes], problem: tuple[str, str]
) -> None:
    refusal = refusal_of(tmp_path / "upload", body(*parts))

    assert isinstance(refusal, InvalidForm)
    assert refusal.problems == [problem]


def test_a_file_over_the_limit_is_refused_before_it_is_complete(tmp_path: Path) -> None:
    data = b"".join(opened(part("file", b"x" * (MAX_UPLOAD_BYTES + 50), "f")))

    refusal = refusal_of(tmp_path / "upload", data)

    assert isinstance(refusal, UploadTooLarge)
    assert refusal.limit_bytes == MAX_UPLOAD_BYTES


def test_a_file_of_exactly_the_limit_is_accepted(tmp_path: Path) -> None:
    parser = parser_at(tmp_path / "upload")

    parser.feed(body(part("file", b"x" * MAX_UPLOAD_BYTES, "f")))

    assert parser.finish().file_bytes == MAX_UPLOAD_BYTES


def test_a_truncated_body_leaves_no_file(tmp_path: Path) -> None:
    refusal = refusal_of(tmp_path / "upload", body(FILE)[:-4])

    assert isinstance(refusal, MalformedUpload)


def test_a_malformed_body_leaves_no_file(tmp_path: Path) -> None:
    refusal = refusal_of(tmp_path / "upload", body(FILE, b"no headers"))

    assert isinstance(refusal, MalformedUpload)


def test_an_aborted_upload_leaves_no_file(tmp_path: Path) -> None:
    parser = parser_at(tmp_path / "upload")
    parser.feed(body(FILE)[:-40])

    parser.abort()

    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MalformedUpload):
        parser.feed(b"more")
    with pytest.raises(MalformedUpload):
        parser.finish()


def test_an_abort_after_the_end_leaves_the_file_to_the_caller(tmp_path: Path) -> None:
    parser = parser_at(tmp_path / "upload")
    parser.feed(body(FILE))
    form = parser.finish()

    parser.abort()

    assert form.file_path.exists()


@pytest.mark.parametrize("link", [False, True])
def test_an_existing_target_is_left_alone(tmp_path: Path, *, link: bool) -> None:
    target, other = tmp_path / "upload", tmp_path / "other"
    other.write_bytes(b"kept")
    target.symlink_to(other) if link else target.write_bytes(b"kept")
    parser = parser_at(target)

    with pytest.raises(FileExistsError):
        parser.feed(body(FILE))

    assert target.read_bytes() == b"kept"
    assert other.read_bytes() == b"kept"


def test_a_full_disk_is_told_as_such_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = parser_at(tmp_path / "upload", limit=1 << 20)
    parser.feed(b"".join(opened(part("file", b"x" * 5000, "f"))))
    parser._file.on_finish()

    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(parser._file, "_file", full)
        with pytest.raises(InsufficientStorage, match="disk is full"):
            parser.feed(b"x" * 500_000)

    assert list(tmp_path.iterdir()) == []


def test_64_mib_pass_in_little_memory(tmp_path: Path) -> None:
    parser = parser_at(tmp_path / "upload", limit=1 << 30)
    chunk = os.urandom(65536)
    parser.feed(b"".join(opened(part("file", b"start", "f")))[:-2])
    tracemalloc.start()

    for _ in range(1024):
        parser.feed(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    parser.feed(body(FILE).rpartition(b"\r\n--")[1] + body().removeprefix(b"--"))

    assert parser.finish().file_bytes == 64 * 2**20 + 5
    assert peak < 2 << 20


@pytest.mark.parametrize(
    "content", [b"x", b"\r\n--", b"\r\n------WebKitFormBoundary7MA4YWxkTrZu0gX", b"\r"]
)
def test_the_time_per_byte_does_not_grow_with_the_body(tmp_path: Path, content: bytes) -> None:
    def seconds(size: int, step: int) -> float:
        parser = parser_at(tmp_path / f"upload-{size}-{step}", limit=1 << 30)
        data = body(part("file", content * (size // len(content)), "f"))
        start = time.process_time()
        for at in range(0, len(data), step):
            parser.feed(data[at : at + step])
        parser.finish()
        return time.process_time() - start

    ratios = [
        seconds(8 * size, step) / max(seconds(size, step), 0.01)
        for step, size in {1: 20_000, 65536: 2_000_000}.items()
    ]

    assert max(ratios) < 8 * 3
