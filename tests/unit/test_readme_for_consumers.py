"""The settings that README tells consumers are those of the consumer that is tested."""

import ast
import re
from pathlib import Path
from typing import Any

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


def _python_settings() -> dict[str, Any]:
    (statement,) = ast.parse(_block("python")).body
    assert isinstance(statement, ast.Assign)
    settings: dict[str, Any] = ast.literal_eval(statement.value)
    return settings


def _block(language: str) -> str:
    match = re.search(rf"### A consumer's settings\n.*?```{language}\n(.*?)```", _README, re.DOTALL)
    assert match is not None
    return match[1]
