"""Uploads for the tests: archives, good and bad, and multipart bodies, byte by byte."""

import io
import tarfile
from collections.abc import Iterable, Sequence

BOUNDARY = "test-boundary-7d1f"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"

DOCKERFILE = b"FROM scratch\n"

Part = tuple[str, str | bytes]


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """Write a tar of these members as they are, however unsafe."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def file(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), content


def symlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info, b""


def device(name: str) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.devmajor, info.devminor = tarfile.CHRTYPE, 1, 3
    return info, b""


def good_archive() -> bytes:
    return tar(file("Dockerfile", DOCKERFILE), file("app/page.html", b"hello"))


def fields(**overrides: str | None) -> list[Part]:
    """The text fields of a good upload, with some replaced or, if None, left out."""
    given = {"name": "My shop", "app_hostname": "shop.example.com", **overrides}
    return [(name, value) for name, value in given.items() if value is not None]


def body(parts: Iterable[Part], files: Sequence[bytes] = (), *, boundary: str = BOUNDARY) -> bytes:
    """Encode a form; each of `files` is a part named `file`."""
    encoded = [_part(boundary, f'name="{name}"', value) for name, value in parts]
    encoded += [_part(boundary, 'name="file"; filename="app.tar"', content) for content in files]
    return b"".join(encoded) + f"--{boundary}--\r\n".encode()


def good_body(**overrides: str | None) -> bytes:
    return body(fields(**overrides), [good_archive()])


def _part(boundary: str, parameters: str, content: str | bytes) -> bytes:
    head = f"--{boundary}\r\nContent-Disposition: form-data; {parameters}\r\n\r\n".encode()
    return head + (content.encode() if isinstance(content, str) else content) + b"\r\n"
