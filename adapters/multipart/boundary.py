"""The boundary that a Content-Type announces."""

from __future__ import annotations

import re

from adapters.multipart.header_parameters import header_parameters
from application.errors import MalformedUpload

# RFC 2046, 5.1.1: 1 to 70 of these, the last one no space.
BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
FORM_DATA = "multipart/form-data"
MAX_CONTENT_TYPE = 512


def boundary_of(content_type: str | None) -> bytes:
    """Return the boundary announced by a Content-Type header's value.

    Raises:
        MalformedUpload: if it is missing, no multipart/form-data, or its boundary is none or more
            than one, or outside of the grammar.
    """
    if not content_type or len(content_type) > MAX_CONTENT_TYPE:
        raise MalformedUpload(f"the Content-Type must be {FORM_DATA}")
    media_type, parameters = header_parameters(content_type)
    if media_type != FORM_DATA:
        raise MalformedUpload(f"the Content-Type must be {FORM_DATA}")
    boundary = parameters.get("boundary", "")
    if not BOUNDARY.fullmatch(boundary):
        raise MalformedUpload(
            "the Content-Type's boundary must be 1 to 70 characters as RFC 2046 allows them"
        )
    return boundary.encode("ascii")
