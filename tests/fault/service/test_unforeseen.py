"""A reply of Docker that is lost, or an exception that nobody foresaw, at every place.

The process lives on. What was carried out is found by looking, never done twice: one container, and
each transition told once.
"""

import pytest

from adapters.failpoints.names import ENGINE_REPLIES
from tests.fault.lengths import LONG
from tests.fault.service.ground import Ground
from tests.fault.service.operations import OPERATIONS, in_turn

# Between two places that are told apart by nothing but the transaction that covers the next call.
_ALIKE = ("reconcile.", "build.", "remove-image.")


def survived(ground: Ground, operation: str, action: str, places: list[str]) -> list[str]:
    """Let one thing happen at each of an operation's places; returns where it did not end well."""
    failed = []
    for index, (place, turn) in enumerate(in_turn(places)):
        if action == "drop-reply" and place not in ENGINE_REPLIES:
            continue
        if action == "raise" and not LONG and place.startswith(_ALIKE):
            continue
        subject = ground.prepare(operation)
        ground.begin(operation, subject, f"{place}={action}@{turn}").expect_ended()
        try:
            ground.recover()
            ground.expect_agreement(OPERATIONS[operation].end_of(places, index))
        except AssertionError as error:
            failed.append(f"{place}={action}@{turn}: {error}")
    return failed


@pytest.mark.parametrize("operation", sorted(OPERATIONS.keys() - {"upload"}))
def test_a_lost_reply_is_looked_into_and_told_once(operation: str, ground: Ground) -> None:
    places = ground.places(operation)

    assert not survived(ground, operation, "drop-reply", places)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_exception_that_nobody_foresaw_leaves_everything_in_order(
    operation: str, ground: Ground
) -> None:
    places = ground.places(operation)

    assert not survived(ground, operation, "raise", places)
