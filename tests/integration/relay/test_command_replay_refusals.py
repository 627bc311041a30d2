"""What ``replay`` refuses before it sends anything: a live topic, none at all, a wrong setting."""

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from tests.integration.relay.command_harness import (
    Row,
    expect_one_line,
    raise_horizon,
    record,
    run_command,
)
from tests.integration.relay.conftest import Broker
from tests.integration.relay.replays import MANY, expect_nothing_sent, replay
from tests.integration.relay.topics import create_topic

pytestmark = pytest.mark.broker


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("KAFKA_TOPIC", "my-containers"),
        ("KAFKA_IMAGE_TOPIC", "my-images"),
        ("", "container-lifecycle"),
        ("", "image-lifecycle"),
    ],
)
def test_a_topic_that_the_relay_publishes_to_is_refused(
    database: str, broker: Broker, admin: AdminClient, variable: str, name: str
) -> None:
    record(database, Row(1, 1))
    if name not in admin.list_topics(timeout=30).topics:
        create_topic(admin, name)
    environment = {variable: name} if variable else {}

    ended = replay(database, broker, name, "--container", "1", **environment)

    expect_one_line(ended, 2, f"topic {name} is live")
    expect_nothing_sent(broker, name)


def test_the_topic_of_a_selected_event_is_refused_whatever_the_settings_say(
    database: str, broker: Broker, target: str
) -> None:
    record(database, Row(1, 1, topic=target), Row(1, 2))

    ended = replay(database, broker, target, "--container", "1")

    expect_one_line(ended, 2, f"topic {target} is live")
    expect_nothing_sent(broker, target)


def test_a_topic_that_other_events_go_to_is_refused_too(
    database: str, broker: Broker, target: str
) -> None:
    """Such as the topic of images, in a shell that lacks KAFKA_IMAGE_TOPIC."""
    record(database, Row(1, 1), Row(None, 1, image=5, topic=target))

    ended = replay(database, broker, target, "--container", "1")

    expect_one_line(ended, 2, f"topic {target} is live")
    expect_nothing_sent(broker, target)


def test_a_topic_that_events_went_to_long_ago_is_refused_too(
    database: str, broker: Broker, target: str
) -> None:
    record(database, Row(None, 1, image=5, topic=target))
    with psycopg.connect(database) as connection:
        connection.execute(MANY, {"streams": 200, "length": 60})
    raise_horizon(database)

    ended = replay(database, broker, target, "--container", "1")

    expect_one_line(ended, 2, f"topic {target} is live")
    expect_nothing_sent(broker, target)


def test_a_topic_that_does_not_exist_is_refused_and_not_created(
    database: str, broker: Broker, admin: AdminClient
) -> None:
    record(database, Row(1, 1))

    ended = replay(database, broker, "no-such-topic", "--container", "1")

    expect_one_line(ended, 2, "topic no-such-topic does not exist")
    assert "no-such-topic" not in admin.list_topics(timeout=30).topics


def test_a_broker_that_cannot_be_reached_is_one_line(database: str) -> None:
    ended = run_command(
        *("replay", "--container", "1", "--to-topic", "again"),
        database=database,
        KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
    )

    expect_one_line(ended, 1, "the broker cannot be reached: _TRANSPORT")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", ""),
        ("KAFKA_CLIENT_ACKS", "1"),
        ("KAFKA_CLIENT_NO_SUCH_OPTION", "1"),
        ("KAFKA_CLIENT_COMPRESSION_TYPE", "rar"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    database: str, broker: Broker, name: str, value: str
) -> None:
    ended = replay(database, broker, "again", "--container", "1", **{name: value})

    expect_one_line(ended, 2, f"relay: {name}: ")
