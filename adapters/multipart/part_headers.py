"""The headers of one part of a form."""

from __future__ import annotations

import re
from dataclasses import dataclass

from adapters.multipart.header_parameters import header_parameters
from application.errors import MalformedUpload

# RFC 9110, 5.1 and 5.5: a token, a colon, text without control characters; no folded lines.
HEADER = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]++):[ \t]*+([^\x00-\x08\x0a-\x1f\x7f]*+)")
MAX_HEADER_LINES = 8

# Codings under which the bytes are the content itself (RFC 2045, 6.2).
PLAIN_CODINGS = frozenset({"7bit", "8bit", "binary"})

MAX_FILENAME_BYTES = 255
PATH_SEPARATORS = re.compile(r"[/\\]")


@dataclass(frozen=True, slots=True)
class PartHeaders:
    """What a part's headers say.

    Attributes:
        name: the form's field.
        filename: of a file, without folders and control characters; None if it is no file, or
            nothing of the name is left.
        is_file: whether a file name was given at all.
    """

    name: str
    filename: str | None
    is_file: bool


def part_headers(block: bytes) -> PartHeaders:
    """Read the header lines of a part, without the empty line that ends them.

    Raises:
        MalformedUpload: if they are no headers, too many, or no form-data with a name.
    """
    lines = block.split(b"\r\n")
    if len(lines) > MAX_HEADER_LINES:
        raise MalformedUpload(f"a part of the form has more than {MAX_HEADER_LINES} header lines")
    headers: dict[str, str] = {}
    for line in lines:
        name, value = _header(line)
        if name in headers:
            raise MalformedUpload("a part of the form repeats a header")
        headers[name] = value
    coding = headers.get("content-transfer-encoding", "binary").strip().lower()
    if coding not in PLAIN_CODINGS:
        raise MalformedUpload("a part of the form has a Content-Transfer-Encoding")
    kind, parameters = header_parameters(headers.get("content-disposition", ""))
    if kind != "form-data" or not parameters.get("name"):
        raise MalformedUpload("a part of the form has no form-data disposition with a name")
    filename = parameters.get("filename")
    return PartHeaders(
        name=parameters["name"],
        filename=None if filename is None else sanitised_filename(filename),
        is_file=filename is not None or "filename*" in parameters,
    )


def sanitised_filename(raw: str) -> str | None:
    """Return the last component of a file name, printable, at most 255 bytes; None if empty."""
    last = PATH_SEPARATORS.split(raw)[-1]
    printable = "".join(c for c in last if c.isprintable()).strip()
    if printable in {"", ".", ".."}:
        return None
    return printable.encode()[:MAX_FILENAME_BYTES].decode(errors="ignore")


def _header(line: bytes) -> tuple[str, str]:
    try:
        found = HEADER.fullmatch(line.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise MalformedUpload("a part of the form has a header that is not UTF-8") from exc
    if found is None:
        raise MalformedUpload("a part of the form has a malformed header")
    return found[1].lower(), found[2]
