"""Content types, boundaries and the names that parts bear."""

from __future__ import annotations

import pytest

from adapters.multipart.boundary import boundary_of
from adapters.multipart.part_headers import part_headers, sanitised_filename
from application.errors import MalformedUpload


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data;charset=utf-8;  BOUNDARY="a b"', b"a b"),
        ("multipart/form-data; boundary=" + "x" * 70, b"x" * 70),
        ('multipart/form-data; boundary="\'()+_,-./:=?"', b"'()+_,-./:=?"),
        ("multipart/form-data; boundary==?utf-8?q?x?=", b"=?utf-8?q?x?="),
    ],
)
def test_a_boundary_is_read(content_type: str, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json",
        "multipart/mixed; boundary=abc",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "x" * 71,
        'multipart/form-data; boundary="ends in space "',
        "multipart/form-data; boundary=a\r\nb",
        "multipart/form-data; boundary=naïve",
        'multipart/form-data; boundary="a*b"',
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data boundary=a",
        "multipart/form-data; boundary=a" + " " * 1000,
    ],
)
def test_a_content_type_without_a_proper_boundary_is_refused(content_type: str | None) -> None:
    with pytest.raises(MalformedUpload):
        boundary_of(content_type)


@pytest.mark.parametrize(
    ("raw", "filename"),
    [
        ("app.zip", "app.zip"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\app.zip", "app.zip"),
        ("/", None),
        ("..", None),
        ("", None),
        ("a\0\x1b[2Jb\u202e", "a[2Jb"),
        ("é" * 200, "é" * 127),
    ],
)
def test_a_filename_is_reduced_to_something_printable(raw: str, filename: str | None) -> None:
    assert sanitised_filename(raw) == filename


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        ('form-data; name="file"; filename="a \\"b\\".zip"', "file", 'a "b".zip'),
        ('form-data; name="file"; filename="a;b=c.zip"', "file", "a;b=c.zip"),
        ("Form-Data;name=file;filename=a.zip", "file", "a.zip"),
        ('form-data; name="file"; filename="naïve.zip"; ', "file", "naïve.zip"),
        ("form-data; name=file; filename*=utf-8''na%C3%AFve.zip", "file", None),
    ],
)
def test_the_dispositions_of_browsers_and_tools_are_read(
    disposition: str, name: str, filename: str | None
) -> None:
    headers = part_headers(f"Content-Disposition: {disposition}".encode())

    assert headers.name == name
    assert headers.filename == filename
    assert headers.is_file
