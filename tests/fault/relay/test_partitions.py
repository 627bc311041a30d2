"""The partition of a key is the one Java's clients choose, as Kafka's own class computes it."""

import random
import subprocess
from pathlib import Path

import psycopg
import pytest

from entrypoints.dev.kafka import Broker
from entrypoints.dev.kafka_jars import java_program, kafka_jars
from tests.conftest import unavailable
from tests.fault.conftest import Note
from tests.fault.relay.conftest import StartRelay
from tests.integration.relay.harness import Event, consume, record

pytestmark = pytest.mark.broker

_SOURCE = Path(__file__).with_name("Murmur2Vectors.java")
_PARTITIONS = 12


def test_the_partitions_of_200_keys_are_those_that_java_chooses(
    database: str,
    mortal_broker: Broker,
    topic: str,
    start_relay: StartRelay,
    rng: random.Random,
    note: Note,
) -> None:
    keys = _image_ids(rng)
    expected = _java_partitions(keys)
    events = [Event(f"image/{key}", 1, topic, key=key) for key in keys]
    with psycopg.connect(database) as writer:
        record(writer, events)

    start_relay(KAFKA_TOPIC_PARTITIONS=str(_PARTITIONS))
    messages = consume(mortal_broker.bootstrap_servers, topic, events)

    chosen = {(message.key() or b"").decode(): message.partition() for message in messages}
    note(f"{len(chosen)} keys, {len(set(chosen.values()))} of {_PARTITIONS} partitions")
    assert chosen == expected
    assert len(chosen) == 200


def _image_ids(rng: random.Random) -> list[str]:
    """Return 200 different ids of every length, so that murmur2 meets each kind of rest."""
    ids = {*range(1, 51), 2**31 - 1, 2**63 - 1}
    while len(ids) < 200:
        ids.add(rng.randrange(10 ** rng.randint(1, 18)))
    return [str(id_) for id_ in sorted(ids)]


def _java_partitions(keys: list[str]) -> dict[str, int]:
    # A JRE cannot run a source file; the compiler comes with a JDK.
    done = subprocess.run(
        [java_program(), "-cp", f"{kafka_jars(print)}/*", str(_SOURCE), str(_PARTITIONS), *keys],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if "jdk.compiler" in done.stderr:
        unavailable("a JDK is needed to compute the vectors: only a JRE was found")
    assert done.returncode == 0, done.stderr
    pairs = (line.split("\t") for line in done.stdout.splitlines())
    return {key: int(partition) for key, partition in pairs}
