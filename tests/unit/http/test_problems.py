"""Every error has one way of being told, and no two statuses share a name."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from application.errors import ApplicationError, UploadRejected
from domain.errors import DomainError
from entrypoints.http.problems import KINDS, kind_of, unforeseen_problem
from entrypoints.http.request_ids import RequestIdMiddleware

# Roots and branches, never raised themselves.
ABSTRACT: set[type[Exception]] = {DomainError, ApplicationError, UploadRejected}


def _descendants(error: type[Exception]) -> Iterator[type[Exception]]:
    for child in error.__subclasses__():
        yield child
        yield from _descendants(child)


CONCRETE = sorted(
    {*_descendants(DomainError), *_descendants(ApplicationError)} - ABSTRACT,
    key=lambda error: error.__name__,
)


@pytest.mark.parametrize("error", CONCRETE, ids=lambda error: error.__name__)
def test_every_error_is_told_by_its_own_class_or_a_parent(error: type[Exception]) -> None:
    kind = kind_of(error.__new__(error))

    assert kind is not None
    assert 400 <= kind.status < 600


def test_the_roots_are_told_by_no_catch_all() -> None:
    assert not {DomainError, ApplicationError, Exception} & KINDS.keys()


def test_a_name_stands_for_one_status() -> None:
    statuses = defaultdict(set)
    for kind in KINDS.values():
        statuses[kind.name].add(kind.status)

    assert {name: told for name, told in statuses.items() if len(told) > 1} == {}


def test_what_is_worth_another_try_says_when() -> None:
    for kind in KINDS.values():
        assert (kind.status in {503, 507}) == (kind.retry_after_seconds is not None), kind


def test_what_nobody_foresaw_is_500_without_a_word_of_it_and_with_the_requests_id() -> None:
    def broken(_: Request) -> Response:
        raise RuntimeError("the password is swordfish")

    app = Starlette(routes=[Route("/", broken)], exception_handlers={Exception: unforeseen_problem})
    app.add_middleware(RequestIdMiddleware)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.get("/", headers={"X-Request-Id": "order-66"})

    response = asyncio.run(ask())

    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers.get_list("x-request-id") == ["order-66"]
    assert response.json() == {
        "type": "urn:orchestrator:problem:internal-error",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "an internal error occurred",
    }
