"""What stands in a log line, and what never does."""

import json
import logging

import psycopg
import pytest
import structlog

from relay.logs import configure_logs
from relay.settings import read_settings

_SECRETS = {
    "DATABASE_URL": "postgresql://relay:pass-of-the-database@localhost/x",
    "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
    "KAFKA_CLIENT_SASL_PASSWORD": "pass-of-the-broker",
}


@pytest.fixture(autouse=True)
def restored_logs() -> object:
    root = logging.getLogger()
    before = root.handlers, root.level, structlog.get_config()
    yield
    root.handlers, level, configuration = before
    root.setLevel(level)
    structlog.configure(**configuration)


def test_an_unexpected_exception_is_told_without_what_the_frames_held(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("info")

    try:
        _fail(_SECRETS)
    except ZeroDivisionError:
        structlog.get_logger().exception("term failed")

    told = capsys.readouterr().out
    line = json.loads(told)
    assert line["exception"][0]["exc_type"] == "ZeroDivisionError"
    assert "_fail" in told
    assert "pass-of" not in told


def test_a_database_that_cannot_be_reached_is_told_without_its_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("info")

    try:
        psycopg.connect("postgresql://relay:pass-of-the-database@127.0.0.1:1/x")
    except psycopg.OperationalError as exc:
        structlog.get_logger().exception("term failed", error=str(exc))

    told = capsys.readouterr().out
    assert "127.0.0.1" in told
    assert "pass-of" not in told


def _fail(environment: dict[str, str]) -> None:
    settings = read_settings(environment)
    options = settings.client_options()
    assert options["sasl.password"] == "pass-of-the-broker"
    len(options) / 0
