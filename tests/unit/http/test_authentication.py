"""A gateway's secret may be any text; the header that brings it is bytes."""

import pytest
from starlette.requests import Request

from entrypoints.http.authentication import Authenticator
from entrypoints.http.problems import RequestProblem
from entrypoints.settings import load_settings

SECRET = "schl\u00fcssel \u0416"


@pytest.fixture
def authenticator() -> Authenticator:
    environment = {"DATABASE_URL": "postgresql:///x", "AUTH_MODE": "gateway"}
    return Authenticator(load_settings({**environment, "GATEWAY_SECRET": SECRET}))


def test_a_secret_beyond_ascii_is_compared_by_its_bytes(authenticator: Authenticator) -> None:
    assert authenticator.user_id(_request(SECRET.encode())) == "ada"


def test_the_same_text_in_another_encoding_is_refused(authenticator: Authenticator) -> None:
    with pytest.raises(RequestProblem):
        authenticator.user_id(_request(SECRET.encode("utf-16")))


def _request(secret: bytes) -> Request:
    headers = [(b"x-user-id", b"ada"), (b"x-gateway-secret", secret)]
    return Request({"type": "http", "headers": headers})


@pytest.fixture
def unauthenticated() -> Authenticator:
    environment = {"DATABASE_URL": "postgresql:///x", "AUTH_MODE": "none", "DEV_USER_ID": "1"}
    return Authenticator(load_settings(environment))


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:3003", None),
        ("localhost", None),
        ("[::1]:3003", None),
        ("localhost:3003", "http://localhost:8000"),
    ],
)
def test_without_authentication_this_machine_may_ask(
    unauthenticated: Authenticator, host: str, origin: str | None
) -> None:
    assert unauthenticated.user_id(_page(host, origin)) == "1"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example", None),
        ("127.0.0.1.evil.example:3003", None),
        ("", None),
        ("[::1", None),
        ("localhost:3003", "http://evil.example"),
        ("localhost:3003", "null"),
        ("localhost:3003", ""),
    ],
)
def test_without_authentication_a_web_page_from_elsewhere_may_not(
    unauthenticated: Authenticator, host: str, origin: str | None
) -> None:
    with pytest.raises(RequestProblem) as refusal:
        unauthenticated.user_id(_page(host, origin))

    assert (refusal.value.status, refusal.value.name) == (403, "foreign-origin")


def _page(host: str, origin: str | None) -> Request:
    headers = [(b"host", host.encode())]
    if origin is not None:
        headers.append((b"origin", origin.encode()))
    return Request({"type": "http", "headers": headers})
