"""SIGKILL at every place that an operation passes; then another process takes over.

Afterwards all of it is as was wished, or as before if the wish was not recorded: record, engine,
ledger and volume agree, no port and no container is left over, each transition is told once. The
child is a real process over a real PostgreSQL; only the engine is in memory, held by the contract
suite, and outlives it.
"""

import pytest

from adapters.failpoints.names import NAMES
from tests.fault.conftest import Note
from tests.fault.service.ground import Ground
from tests.fault.service.matrix import Matrix
from tests.fault.service.operations import OPERATIONS
from tests.fault.service.passed import PASSED
from tests.fault.service.upkeep import ALL_OPERATIONS

# Who is silent is missed after 4 s, and then a pass may be awaited, 15 s.
BOUND_SECONDS = 30.0


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return Matrix(tuple(ALL_OPERATIONS))


@pytest.mark.parametrize("operation", ALL_OPERATIONS)
def test_killed_at_any_place_everything_agrees_again(
    operation: str, ground: Ground, matrix: Matrix
) -> None:
    undisturbed = ground.undisturbed(operation)
    failed: list[str] = []

    for turn in ground.turns(operation):
        ground.let_happen(operation, turn, "kill").expect_killed()
        try:
            seconds = ground.recover()
            end = ALL_OPERATIONS[operation].end_of(undisturbed.places, turn.index)
            left = ground.expect_agreement(end)
        except AssertionError as error:
            failed.append(f"{turn}: {error}")
        else:
            matrix.note(operation, turn.place, max(seconds - undisturbed.seconds, 0.0), left)

    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_passes_the_places_that_it_is_known_to_pass(
    operation: str, ground: Ground
) -> None:
    assert set(ground.undisturbed(operation).places) == PASSED[operation]


def test_every_failpoint_that_is_declared_is_passed_by_an_operation(ground: Ground) -> None:
    passed = {place for name in ALL_OPERATIONS for place in ground.undisturbed(name).places}

    assert passed == NAMES


def test_every_recovery_is_in_time(matrix: Matrix, note: Note) -> None:
    note(matrix.text())

    assert matrix.kills() > 0
    assert matrix.slowest() <= BOUND_SECONDS
