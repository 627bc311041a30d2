"""SIGKILL at every place that an operation passes; then another process takes over.

Afterwards all of it is as was wished, or as before if the wish was not recorded: record, engine,
ledger and volume agree, no port and no container is left over, each transition is told once. The
child is a real process over a real PostgreSQL; only the engine is in memory, held by the contract
suite, and outlives it.
"""

import pytest

from tests.fault.conftest import Note
from tests.fault.service.ground import Ground
from tests.fault.service.matrix import Matrix
from tests.fault.service.operations import OPERATIONS, in_turn

BOUND_SECONDS = 60.0


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return Matrix(tuple(OPERATIONS))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_killed_at_any_place_everything_agrees_again(
    operation: str, ground: Ground, matrix: Matrix
) -> None:
    places = ground.places(operation)
    unkilled = ground.recover()
    ground.expect_agreement(OPERATIONS[operation].done)
    failed: list[str] = []

    for index, (place, turn) in enumerate(in_turn(places)):
        subject = ground.prepare(operation)
        ground.begin(operation, subject, f"{place}=kill@{turn}").expect_killed()
        try:
            seconds = ground.recover()
            left = ground.expect_agreement(OPERATIONS[operation].end_of(places, index))
        except AssertionError as error:
            failed.append(f"{place}@{turn}: {error}")
        else:
            matrix.note(operation, place, max(seconds - unkilled, 0.0), left)

    assert not failed, "\n".join(failed)


def test_every_recovery_is_in_time(matrix: Matrix, note: Note) -> None:
    for line in matrix.lines():
        note(line)

    assert matrix.slowest() <= BOUND_SECONDS
