"""The settings that README tells consumers are those of the consumer that is tested."""

import ast
import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from entrypoints.dev.examples.consumer import client_settings

_README = (Path(__file__).parents[2] / "README.md").read_text()
_CALLED_OTHERWISE_IN_JAVA = {"topic.metadata.refresh.interval.ms": "metadata.max.age.ms"}
_DEPENDS_ON_WHO_COPIES_IT = {"bootstrap.servers", "group.id"}


def test_the_python_snippet_has_the_settings_of_the_example() -> None:
    told = _python_settings()

    kept = client_settings("", "")

    assert set(told) >= {"auto.offset.reset", "enable.auto.commit", "session.timeout.ms"}
    for name in told.keys() - _DEPENDS_ON_WHO_COPIES_IT:
        assert told[name] == kept[name], name


def test_the_properties_say_the_same_in_java() -> None:
    told = dict(
        line.split("=", 1) for line in _block("properties").splitlines() if not line.startswith("#")
    )

    for name, value in _python_settings().items():
        if name != "bootstrap.servers":
            java = _CALLED_OTHERWISE_IN_JAVA.get(name, name)
            assert told[java] == str(value).lower(), name


def test_the_python_snippet_waits_for_a_topic_that_does_not_exist_yet() -> None:
    store = FakeStore()

    _run_snippet([Said(error=KafkaError.UNKNOWN_TOPIC_OR_PART), Said(value=b"{}")], store)

    assert store.taken == [("container/1", {}, False)]


def test_the_python_snippet_ends_at_any_other_error() -> None:
    with pytest.raises(KafkaException):
        _run_snippet([Said(error=KafkaError.TOPIC_AUTHORIZATION_FAILED)], FakeStore())


class Said:
    """What a client hands out: a message, or an error in its place."""

    def __init__(self, *, value: bytes = b"", error: int | None = None) -> None:
        self._value = value
        self._error = error

    def error(self) -> KafkaError | None:
        return None if self._error is None else KafkaError(self._error)

    def value(self) -> bytes:
        return self._value

    def headers(self) -> list[tuple[str, bytes]]:
        return [("ce_subject", b"container/1")]


class FakeConsumer:
    """Hands out one message a time; true until it has no more."""

    def __init__(self, said: list[Said]) -> None:
        self._left = said

    def __bool__(self) -> bool:
        return bool(self._left)

    def subscribe(self, topics: list[str]) -> None:
        assert topics == ["container-lifecycle"]

    def consume(self, _number: int, timeout: float) -> list[Said]:
        assert timeout > 0
        return [self._left.pop(0)]

    def commit(self, *, asynchronous: bool) -> None:
        assert not asynchronous


class FakeStore:
    """Notes what it takes."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Any, bool]] = []

    def transaction(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def take(self, stream: str, event: Any, *, replayed: bool) -> None:
        self.taken.append((stream, event, replayed))


def _run_snippet(said: list[Said], store: FakeStore) -> None:
    """Run README's own lines until everything was handed out."""
    client = FakeConsumer(said)
    names = {
        "Consumer": lambda _settings: client,
        "KafkaError": KafkaError,
        "KafkaException": KafkaException,
        "json": json,
        "running": client,
        "store": store,
    }
    exec(compile(_block("python"), "README.md", "exec"), names)


def _python_settings() -> dict[str, Any]:
    calls = [node for node in ast.walk(ast.parse(_block("python"))) if isinstance(node, ast.Call)]
    built = next(call for call in calls if getattr(call.func, "id", "") == "Consumer")
    settings: dict[str, Any] = ast.literal_eval(built.args[0])
    return settings


def _block(language: str) -> str:
    match = re.search(rf"### Settings\n.*?```{language}\n(.*?)```", _README, re.DOTALL)
    assert match is not None
    return match[1]
