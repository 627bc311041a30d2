"""A reply of Docker that is lost, or an exception that nobody foresaw, at every place.

The process lives on. What was carried out is found by looking, never done twice: one container, and
each transition told once.
"""

import pytest

from adapters.failpoints.names import ENGINE_REPLIES
from tests.fault.lengths import LONG
from tests.fault.service.ground import Ground
from tests.fault.service.operations import OPERATIONS
from tests.fault.service.turns import Turn

# Left to the long run. The worker catches what nobody foresaw in one place, wherever it was raised,
# and hands the lease back: what is recorded and on the engine then is what a kill at the same turn
# leaves, and the kill matrix has every turn of these. What is new is tried at the calls.
_ALIKE = ("reconcile.", "build.", "remove-image.")
# So are composed operations: the steps that they are made of make the calls, under the same leases,
# in other operations, too. A pass, a sweep or an audit is given up, as if it died.
_TRIED = [name for name, operation in OPERATIONS.items() if LONG or not operation.composed]


def survived(ground: Ground, operation: str, action: str, turns: list[Turn]) -> list[str]:
    """Let one thing happen at each of an operation's turns; returns where it did not end well."""
    failed, places = [], ground.undisturbed(operation).places
    for turn in turns:
        ground.let_happen(operation, turn, action).expect_ended()
        try:
            ground.recover()
            ground.expect_agreement(OPERATIONS[operation].end_without(places, turn.index))
        except AssertionError as error:
            failed.append(f"{turn.armed(action)}: {error}")
    return failed


@pytest.mark.parametrize("operation", _TRIED)
def test_a_lost_reply_is_looked_into_and_told_once(operation: str, ground: Ground) -> None:
    turns = [turn for turn in ground.turns(operation) if turn.place in ENGINE_REPLIES]

    assert not survived(ground, operation, "drop-reply", turns)


@pytest.mark.parametrize("operation", _TRIED)
def test_an_exception_that_nobody_foresaw_leaves_everything_in_order(
    operation: str, ground: Ground
) -> None:
    turns = [turn for turn in ground.turns(operation) if LONG or not turn.place.startswith(_ALIKE)]

    assert not survived(ground, operation, "raise", turns)
