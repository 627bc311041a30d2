"""Every pair of statuses, of every aggregate: the change is in the table below, or it is refused.

The tables are written out here a second time, from the design, in plain words: a slip in the code
is not repeated by reading the code.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest

from domain import build, container_status, image_status
from domain.errors import IllegalTransition
from domain.transitions import guard

IMAGE = """
registered      -> building deleting
building        -> ready build_failed build_cancelled deleting
ready           -> building deleting
build_failed    -> building deleting
build_cancelled -> building deleting
deleting        -> deleted
deleted         ->
"""

BUILD = """
queued    -> running cancelled
running   -> succeeded failed cancelled
succeeded ->
failed    ->
cancelled ->
"""

CONTAINER = """
creating -> running failed deleting
running  -> exited running stopping deleting deleted
stopping -> stopped deleting deleted
stopped  -> starting running deleting deleted
exited   -> stopped starting running deleting deleted
starting -> running stopped exited deleting deleted
failed   -> deleting
deleting -> deleted
deleted  ->
"""


def parsed(table: str) -> dict[str, set[str]]:
    rows = (line.split("->") for line in table.strip().splitlines())
    return {left.strip(): set(right.split()) for left, right in rows}


AGGREGATES: list[tuple[str, type[StrEnum], Mapping[Any, frozenset[Any]], dict[str, set[str]]]] = [
    ("image", image_status.ImageStatus, image_status.TRANSITIONS, parsed(IMAGE)),
    ("build", build.BuildStatus, build.TRANSITIONS, parsed(BUILD)),
    (
        "container",
        container_status.ContainerStatus,
        container_status.TRANSITIONS,
        parsed(CONTAINER),
    ),
]

PAIRS = [
    pytest.param(
        name,
        table,
        current,
        requested,
        requested in written[current],
        id=f"{name}: {current} to {requested}",
    )
    for name, statuses, table, written in AGGREGATES
    for current in statuses
    for requested in statuses
]


@pytest.mark.parametrize(("name", "statuses", "table", "written"), AGGREGATES)
def test_the_statuses_are_exactly_the_designed_ones(
    name: str,
    statuses: type[StrEnum],
    table: Mapping[StrEnum, frozenset[StrEnum]],
    written: dict[str, set[str]],
) -> None:
    assert {status.value for status in statuses} == set(written)
    assert set(table) == set(statuses)


@pytest.mark.parametrize(("name", "table", "current", "requested", "legal"), PAIRS)
def test_a_change_is_in_the_table_or_is_refused_with_both_statuses(
    name: str,
    table: Mapping[StrEnum, frozenset[StrEnum]],
    current: StrEnum,
    requested: StrEnum,
    *,
    legal: bool,
) -> None:
    if legal:
        guard(name, table, current, requested)
        return

    with pytest.raises(IllegalTransition) as refusal:
        guard(name, table, current, requested)

    assert refusal.value.aggregate == name
    assert (refusal.value.current, refusal.value.requested) == (current.value, requested.value)
    assert str(refusal.value) == f"{name}: no transition from {current} to {requested}"
