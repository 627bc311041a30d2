"""What the example of a consumer makes of errors that its client hands out in a message's place."""

from typing import cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Message

from entrypoints.dev.examples.consumer import messages_of


class Said:
    """A message, or an error in its place."""

    def __init__(self, code: int | None = None) -> None:
        self._code = code

    def error(self) -> KafkaError | None:
        return None if self._code is None else KafkaError(self._code)

    def topic(self) -> str:
        return "container-lifecycle"


def test_a_topic_that_does_not_exist_yet_is_waited_for() -> None:
    told, missing = Said(), set[str]()

    received = _received([Said(KafkaError.UNKNOWN_TOPIC_OR_PART), told], missing)

    assert list[object](received) == [told]
    assert missing == {"container-lifecycle"}


def test_any_other_error_ends_the_consumer() -> None:
    with pytest.raises(KafkaException):
        _received([Said(KafkaError.TOPIC_AUTHORIZATION_FAILED)], set())


def _received(batch: list[Said], missing: set[str]) -> list[Message]:
    return messages_of(cast(list[Message], batch), missing)
