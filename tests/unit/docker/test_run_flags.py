"""The command line of `docker create`, as far as Docker need not be asked."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest

from adapters.docker.run_flags import run_flags
from application.engine_calls import ContainerOrder


def an_order(cpu_limit: str = "0.5") -> ContainerOrder:
    return ContainerOrder(
        uid=uuid.uuid4(),
        image_id=7,
        name="app-1",
        docker_image_id=f"sha256:{'0' * 64}",
        env={"SECRET": "never on a command line"},
        internal_port=8080,
        external_port=25000,
        cpu_limit=Decimal(cpu_limit),
        memory_bytes=64 * 1024 * 1024,
    )


def _value_of(flag: str, flags: list[str]) -> str:
    return flags[flags.index(flag) + 1]


@pytest.mark.parametrize(
    ("address", "published"),
    [
        ("127.0.0.1", "127.0.0.1:25000:8080/tcp"),
        ("0.0.0.0", "0.0.0.0:25000:8080/tcp"),
        ("::1", "[::1]:25000:8080/tcp"),
    ],
)
def test_the_port_is_published_where_it_was_asked_for(address: str, published: str) -> None:
    flags = run_flags(an_order(), "here", address)

    assert _value_of("--publish", flags) == published


@pytest.mark.parametrize(("limit", "cpus"), [("0.50", "0.50"), ("1E+1", "10"), ("1E-2", "0.01")])
def test_cores_are_written_without_an_exponent(limit: str, cpus: str) -> None:
    flags = run_flags(an_order(limit), "here", "127.0.0.1")

    assert _value_of("--cpus", flags) == cpus


def test_no_variable_is_among_the_flags() -> None:
    flags = run_flags(an_order(), "here", "127.0.0.1")

    assert "SECRET" not in " ".join(flags)
