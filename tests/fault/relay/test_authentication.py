"""A broker that asks for a password over TLS: the wrong one pauses everything and loses nothing."""

import secrets
from collections.abc import Mapping
from pathlib import Path

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stub leaves three out
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from entrypoints.dev.kafka import Broker
from entrypoints.dev.kafka_jars import java_program
from entrypoints.dev.kafka_listeners import SASL_MECHANISM, SecureListener, secure_listener
from tests.fault.lengths import RECOVERY_SECONDS
from tests.fault.relay.conftest import StartRelay, StartWriters
from tests.fault.relay.following_consumer import FollowingConsumer
from tests.fault.relay.ledger import recorded
from tests.integration.relay.harness import count, wait_until
from tests.integration.relay.relay_process import RelayUnderTest

pytestmark = pytest.mark.broker

_USER = "relay"


@pytest.fixture
def password(mortal_broker: Broker) -> str:
    """The password of the relay's user, which the broker knows."""
    chosen = secrets.token_hex(16)
    set_password(mortal_broker, chosen)
    return chosen


@pytest.fixture
def over_tls(mortal_broker: Broker, secure: SecureListener, password: str) -> Mapping[str, str]:
    """What lets a relay in."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": mortal_broker.address_of(secure),
        "KAFKA_CLIENT_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_CLIENT_SASL_MECHANISM": SASL_MECHANISM,
        "KAFKA_CLIENT_SASL_USERNAME": _USER,
        "KAFKA_CLIENT_SASL_PASSWORD": password,
        "KAFKA_CLIENT_SSL_CA_LOCATION": str(secure.certificate),
    }


def test_a_wrong_password_pauses_everything_until_it_is_right(
    database: str,
    mortal_broker: Broker,
    over_tls: Mapping[str, str],
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
) -> None:
    later = secrets.token_hex(16)
    relay = start_relay(**{**over_tls, "KAFKA_CLIENT_SASL_PASSWORD": later})
    with start_writers(events=200) as writers:
        writers.wait_until_ended()
    expect_paused(relay, "_AUTHENTICATION")
    kept = count(database, "outbox")

    # The broker learns it, the relay goes on as it is.
    set_password(mortal_broker, later)
    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    assert (kept, events) == (200, 200)
    wait_until(relay.ready, "the relay is ready")
    expect_nothing_blocked(relay)
    assert later not in str(relay.lines)


def test_a_relay_with_the_right_password_sends_what_one_with_a_wrong_one_left(
    database: str,
    over_tls: Mapping[str, str],
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
) -> None:
    wrong = start_relay(**{**over_tls, "KAFKA_CLIENT_SASL_PASSWORD": "wrong"})
    with start_writers(events=200) as writers:
        writers.wait_until_ended()
    expect_paused(wrong, "_AUTHENTICATION")
    code, seconds = wrong.terminate()

    right = start_relay(**over_tls)
    events = consumer.expect_ledger(database, RECOVERY_SECONDS)

    assert (code, seconds < 5, events) == (0, True, 200)
    wait_until(right.ready, "the relay is ready")


def test_a_password_that_is_changed_under_the_relay_pauses_it_at_the_next_connection(
    database: str,
    mortal_broker: Broker,
    over_tls: Mapping[str, str],
    password: str,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
) -> None:
    relay = start_relay(**over_tls)
    with start_writers(per_second=200) as writers:
        consumer.wait_for(100, RECOVERY_SECONDS)
        set_password(mortal_broker, "another")
        mortal_broker.restart()
        expect_paused(relay, "_AUTHENTICATION")
        set_password(mortal_broker, password)
        writers.wait_for_more(100)

    consumer.expect_ledger(database, RECOVERY_SECONDS)

    wait_until(relay.ready, "the relay is ready")
    expect_nothing_blocked(relay)


def test_a_broker_whose_certificate_is_not_trusted_gets_nothing(
    database: str,
    over_tls: Mapping[str, str],
    tmp_path: Path,
    consumer: FollowingConsumer,
    start_relay: StartRelay,
    start_writers: StartWriters,
) -> None:
    strangers = str(secure_listener(java_program(), tmp_path).certificate)
    relay = start_relay(**{**over_tls, "KAFKA_CLIENT_SSL_CA_LOCATION": strangers})
    with start_writers(events=50) as writers:
        writers.wait_until_ended()
    expect_paused(relay, "_SSL")
    kept = count(database, "outbox")
    relay.terminate()

    start_relay(**over_tls)
    consumer.expect_ledger(database, RECOVERY_SECONDS)

    assert kept == sum(map(len, recorded(database).values()))


def set_password(broker: Broker, password: str) -> None:
    """Let the broker know the relay's user by this password, and no longer by another."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
    credentials = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    change = UserScramCredentialUpsertion(_USER, credentials, password.encode())
    admin.alter_user_scram_credentials([change])[_USER].result(30)


def expect_paused(relay: RelayUnderTest, code: str) -> None:
    wait_until(lambda: f'"broker":"{code}' in relay.get("/readyz")[1], f"readiness shows {code}")
    assert not relay.ready()
    expect_nothing_blocked(relay)


def expect_nothing_blocked(relay: RelayUnderTest) -> None:
    assert relay.metric("relay_blocked_streams") == 0
