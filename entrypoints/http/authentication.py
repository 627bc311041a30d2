"""Who asks: from a trusted gateway's headers, or the one developer on loopback."""

from __future__ import annotations

import hmac
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.requests import Request

from domain.errors import InvalidValue
from domain.names import checked_user_id
from entrypoints.http.problems import RequestProblem
from entrypoints.settings import AuthMode, Settings, is_loopback


class Authenticator:
    """Names the user of a request.

    Args:
        settings: checked by `Settings.check_api`.
    """

    def __init__(self, settings: Settings) -> None:
        self._mode = settings.auth_mode
        self._secret = (settings.gateway_secret or "").encode()
        self._dev_user_id = settings.dev_user_id

    def user_id(self, request: Request) -> str:
        """Return the authenticated user's id.

        Raises:
            RequestProblem: 401, without a word on which part was wrong; 403 for a web page that
                makes a developer's browser ask.
        """
        if self._mode is AuthMode.NONE and self._dev_user_id is not None:
            _refuse_web_pages(request)
            return self._dev_user_id
        secret = _only(request, "x-gateway-secret")
        user_id = _only(request, "x-user-id")
        # Compared before anything else is looked at, in a time that tells nothing.
        # Header values are bytes that ASGI shows as Latin-1.
        given = secret.encode("latin-1")
        trusted = bool(self._secret) and hmac.compare_digest(given, self._secret)
        try:
            user_id = checked_user_id(user_id)
        except InvalidValue:
            trusted = False
        if not trusted:
            raise RequestProblem(
                HTTPStatus.UNAUTHORIZED, "unauthenticated", "the request is not authenticated"
            )
        return user_id


def _refuse_web_pages(request: Request) -> None:
    """Refuse what a browser sends on behalf of a page that is not from this machine.

    Without authentication loopback is the only fence, and any page can make a browser send a form
    to it, or rebind its own name to 127.0.0.1. Both show in Origin and Host.

    Raises:
        RequestProblem: 403.
    """
    asked = f"//{request.headers.get('host', '')}"
    asking = request.headers.get("origin", asked)
    if not (is_loopback(_host_of(asked)) and is_loopback(_host_of(asking))):
        raise RequestProblem(
            HTTPStatus.FORBIDDEN,
            "foreign-origin",
            "without authentication only this machine may ask: Host and Origin must be loopback",
        )


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _only(request: Request, name: str) -> str:
    """Return a header that stands exactly once, or nothing: which of two counts is a guess."""
    values = request.headers.getlist(name)
    return values[0] if len(values) == 1 else ""
