"""A form with one file, streamed to disk, its size bounded before a byte is written.

    body -> MultipartGuard -> events -> names and limits -> streaming-form-data -> text, file

streaming-form-data has no limits of its own, parses headers in superlinear time, concatenates
repeated fields and takes a truncated body for a complete one. So it never sees the client's
framing: each part is framed anew as a form of its own, with one short header and a boundary that
the client cannot know. A parser for each part, because one that goes on to a second part keeps the
line break of the delimiter as half a match, and fails when the content begins with hyphens and the
first chunk of it is short (2.1.0).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# The package has no type information.
from streaming_form_data import StreamingFormDataParser  # type: ignore[import-untyped]
from streaming_form_data.targets import ValueTarget  # type: ignore[import-untyped]

from adapters.multipart.boundary import boundary_of
from adapters.multipart.file_target import NewFileTarget
from adapters.multipart.guard import Event, MultipartGuard, PartBegins, PartData
from adapters.multipart.part_headers import PartHeaders
from adapters.volume.disk_space import full_disk_translated
from application.errors import InvalidForm, MalformedUpload, UploadTooLarge

# A message holds at most so many characters of a field's name.
SHOWN_CHARACTERS = 40

ENDED: Final = "the upload was ended already"


@dataclass(frozen=True, slots=True)
class ParsedForm:
    """A complete form.

    Attributes:
        fields: the text fields that were sent.
        filename: as the client gave it, without folders and control characters, if it did.
    """

    fields: dict[str, str]
    file_path: Path
    file_bytes: int
    filename: str | None


class GuardedFormParser:
    """Parses one upload, chunk by chunk. After any exception no file is left and it is over.

    Args:
        content_type: the request's Content-Type, or None.
        text_fields: the most bytes that each text field may have, by name; all are optional here.
        file_field: the field that must hold the file.
        target: where the file goes; nothing may be there yet.
        max_upload_bytes: the most bytes that the file may have.

    Raises:
        MalformedUpload: if the Content-Type is no multipart/form-data with a proper boundary.
    """

    def __init__(
        self,
        content_type: str | None,
        text_fields: Mapping[str, int],
        file_field: str,
        target: Path,
        max_upload_bytes: int,
    ) -> None:
        self._guard = MultipartGuard(boundary_of(content_type))
        self._limits = {**text_fields, file_field: max_upload_bytes}
        self._file_field = file_field
        self._target = target
        self._texts = {name: ValueTarget() for name in text_fields}
        self._file = NewFileTarget(target)
        self._sizes: dict[str, int] = {}
        self._field = ""
        self._filename: str | None = None
        self._ended = False
        self._boundary = secrets.token_hex(16)
        # Set when a part begins, before any event needs it; the package's class is Any to mypy.
        self._part: StreamingFormDataParser = None

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body.

        Raises:
            MalformedUpload: the body is not well-formed.
            InvalidForm: a field is unknown, repeated, too long, or a file where text belongs.
            UploadTooLarge: the file is larger than allowed.
            InsufficientStorage: the disk is full.
            OSError: the file cannot be written for another reason.
        """
        self._check_open()
        try:
            with full_disk_translated():
                for event in self._guard.feed(chunk):
                    self._handle(event)
        except BaseException:
            self.abort()
            raise

    def finish(self) -> ParsedForm:
        """Return the form; the body has ended.

        Raises:
            MalformedUpload: the body is truncated.
            InvalidForm: the file is missing, or a text is not UTF-8.
        """
        self._check_open()
        try:
            self._guard.finish()
            form = self._form()
        except BaseException:
            self.abort()
            raise
        self._ended = True
        return form

    def abort(self) -> None:
        """End the upload and remove its file; after `finish` the file is the caller's and stays."""
        if not self._ended:
            self._ended = True
            self._file.discard()

    def _check_open(self) -> None:
        if self._ended:
            raise MalformedUpload(ENDED)

    def _handle(self, event: Event) -> None:
        if isinstance(event, PartData):
            self._sizes[self._field] += len(event.data)
            if self._sizes[self._field] > self._limits[self._field]:
                raise self._too_large()
            self._part.data_received(event.data)
        elif isinstance(event, PartBegins):
            self._begin(event.headers)
        else:
            self._part.data_received(f"\r\n--{self._boundary}--\r\n".encode("ascii"))

    def _begin(self, headers: PartHeaders) -> None:
        name = headers.name
        if name not in self._limits:
            raise _invalid(name, "is no field of this form")
        if name in self._sizes:
            raise _invalid(name, "is given more than once")
        if name == self._file_field:
            self._filename = headers.filename
        elif headers.is_file:
            raise _invalid(name, "must be text, not a file")
        self._field = name
        self._sizes[name] = 0
        self._part = StreamingFormDataParser(
            {"Content-Type": f"multipart/form-data; boundary={self._boundary}"}, strict=True
        )
        self._part.register(name, self._texts.get(name, self._file))
        opening = f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        self._part.data_received(opening.encode("ascii"))

    def _too_large(self) -> InvalidForm | UploadTooLarge:
        limit = self._limits[self._field]
        if self._field == self._file_field:
            return UploadTooLarge(limit)
        return _invalid(self._field, f"must be at most {limit} bytes")

    def _form(self) -> ParsedForm:
        if self._file_field not in self._sizes:
            raise _invalid(self._file_field, "is required")
        fields = {name: self._text(name) for name in self._texts if name in self._sizes}
        file_bytes = self._sizes[self._file_field]
        if self._target.stat().st_size != file_bytes:
            raise RuntimeError(f"the file has not the {file_bytes} bytes that were received")
        return ParsedForm(fields, self._target, file_bytes, self._filename)

    def _text(self, name: str) -> str:
        value: bytes = self._texts[name].value
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise _invalid(name, "must be UTF-8") from exc


def _invalid(field: str, message: str) -> InvalidForm:
    shown = "".join(c if c.isprintable() else "?" for c in field[:SHOWN_CHARACTERS])
    return InvalidForm([(shown, message)])
