"""Representations as JSON."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

_ENCODER = msgspec.json.Encoder()


def json_response(
    content: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Encode views, lists of views or plain values."""
    return Response(
        _ENCODER.encode(content), int(status), headers=headers, media_type="application/json"
    )
