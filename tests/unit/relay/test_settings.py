"""Every variable the relay reads, and the one line with which it refuses a malformed one."""

import pytest

from relay.settings import SettingsError, read_settings, variable_of

REQUIRED = {
    "DATABASE_URL": "postgresql://relay@db/orchestrator",
    "KAFKA_BOOTSTRAP_SERVERS": "one:9092,two:9092",
}


def test_two_variables_are_enough() -> None:
    settings = read_settings(REQUIRED)

    assert settings.topics == {"container-lifecycle", "image-lifecycle"}
    assert (settings.bind_host, settings.relay_port) == ("127.0.0.1", 3005)
    assert (settings.relay_batch_size, settings.kafka_create_topics) == (2000, False)


def test_an_empty_variable_counts_as_unset() -> None:
    settings = read_settings({**REQUIRED, "RELAY_PORT": "", "KAFKA_TOPIC": ""})

    assert settings == read_settings(REQUIRED)


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("empty", [True, False])
def test_a_missing_required_variable_is_named(name: str, empty: bool) -> None:  # noqa: FBT001 - a parameter of the test
    environment = {key: value for key, value in REQUIRED.items() if key != name}

    with pytest.raises(SettingsError, match=f"^{name}: is not set$"):
        read_settings({**environment, name: ""} if empty else environment)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "no url"),
        ("DATABASE_URL", "postgresql://user:secret@host:port/name"),
        ("KAFKA_BOOTSTRAP_SERVERS", "one two"),
        ("KAFKA_TOPIC", "with space"),
        ("KAFKA_IMAGE_TOPIC", "x" * 250),
        ("KAFKA_CREATE_TOPICS", "perhaps"),
        ("KAFKA_TOPIC_PARTITIONS", "many"),
        ("KAFKA_TOPIC_PARTITIONS", "0"),
        ("KAFKA_TOPIC_REPLICATION_FACTOR", "0"),
        ("KAFKA_TOPIC_REPLICATION_FACTOR", "1.5"),
        ("RELAY_PORT", "70000"),
        ("RELAY_PORT", "http"),
        ("RELAY_BATCH_SIZE", "0"),
        ("RELAY_BATCH_SIZE", "1000000"),
        ("RELAY_POLL_SECONDS", "2"),
        ("RELAY_FLUSH_SECONDS", "nan"),
        ("RELAY_FLUSH_SECONDS", "-1"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_malformed_value_is_refused_in_one_line_that_names_it(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{name}: [^\n]+$") as refused:
        read_settings({**REQUIRED, name: value})

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("LOG_LEVEL", "loud", "expected debug, info, warning or error"),
        ("KAFKA_CREATE_TOPICS", "perhaps", "expected true or false"),
        ("KAFKA_TOPIC", "a b", "expected 1 to 249 letters, digits, dots, underscores and hyphens"),
        ("KAFKA_TOPIC_PARTITIONS", "0", "expected 1 to 10000, or -1 for the broker's default"),
    ],
)
def test_a_refusal_tells_what_is_allowed_in_plain_words(
    name: str, value: str, allowed: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({**REQUIRED, name: value})

    assert str(refused.value) == f"{name}: {allowed}"


def test_both_kinds_of_events_may_share_a_topic() -> None:
    settings = read_settings({**REQUIRED, "KAFKA_TOPIC": "one", "KAFKA_IMAGE_TOPIC": "one"})

    assert settings.topics == {"one"}


def test_client_options_are_passed_through() -> None:
    settings = read_settings(
        {**REQUIRED, "KAFKA_CLIENT_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_CLIENT_LINGER_MS": "9"}
    )

    options = settings.client_options()
    assert options["security.protocol"] == "SASL_SSL"
    assert options["linger.ms"] == "9"
    assert options["bootstrap.servers"] == "one:9092,two:9092"


@pytest.mark.parametrize(
    "option",
    [
        "acks",
        "request.required.acks",
        "enable.idempotence",
        "enable.gapless.guarantee",
        "partitioner",
        "message.timeout.ms",
        "delivery.timeout.ms",
        "transactional.id",
        "bootstrap.servers",
        "metadata.broker.list",
    ],
)
def test_options_the_delivery_promise_rests_on_cannot_be_set(option: str) -> None:
    variable = variable_of(option)

    with pytest.raises(SettingsError, match=f"^{variable}: cannot be set"):
        read_settings({**REQUIRED, variable: "1"})
