"""Forms encoded by hand."""

from __future__ import annotations

from collections.abc import Iterable

BOUNDARY = b"----WebKitFormBoundary7MA4YWxkTrZu0gW"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY.decode()}"


def part(name: str, content: bytes, filename: str | None = None, *extra: bytes) -> bytes:
    """Return a part's headers and content, as a browser writes them."""
    disposition = f'Content-Disposition: form-data; name="{name}"'.encode()
    if filename is not None:
        disposition += f'; filename="{filename}"'.encode()
    return b"\r\n".join([disposition, *extra, b"", content])


def body(*parts: bytes, boundary: bytes = BOUNDARY) -> bytes:
    """Return a complete body of `parts`."""
    return b"".join(opened(*parts, boundary=boundary)) + b"--" + boundary + b"--\r\n"


def opened(*parts: bytes, boundary: bytes = BOUNDARY) -> Iterable[bytes]:
    return (b"--" + boundary + b"\r\n" + content + b"\r\n" for content in parts)
