"""The one guard that reads the transition tables of image, build and container."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from domain.errors import IllegalTransition

Status = TypeVar("Status", bound=StrEnum)
Table = Mapping[Status, frozenset[Status]]


def guard(aggregate: str, table: Table[Status], current: Status, requested: Status) -> None:
    """Refuse a status change that the table does not hold.

    Raises:
        IllegalTransition: if `requested` cannot follow `current`.
    """
    if requested not in table[current]:
        raise IllegalTransition(aggregate, current.value, requested.value)
