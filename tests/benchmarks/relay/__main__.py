"""``python -m tests.benchmarks.relay``: how fast the relay is, beside what it is made of.

It starts PostgreSQL and Kafka (or takes those of TEST_DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS),
measures in rounds that take turns, prints medians on stdout and progress on stderr, and leaves
nothing behind. ``KAFKA_CLIENT_*`` applies to the relay and to the bare client alike.
"""

import argparse
import contextlib
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import confluent_kafka
import psycopg

from entrypoints.dev.kafka import Broker
from entrypoints.dev.kafka_jars import BrokerUnavailableError
from entrypoints.dev.postgres import database_server
from entrypoints.dev.postgres_programs import PostgresMissingError
from migrations.runner import migrate
from relay.settings import Settings
from tests.benchmarks.relay.backlogs import events_needed, measure_backlogs
from tests.benchmarks.relay.latency import measure_latency
from tests.benchmarks.relay.ledger import record_ledger
from tests.benchmarks.relay.outbox import Outbox
from tests.benchmarks.relay.report import describe
from tests.benchmarks.relay.stage import BenchmarkError, Stage
from tests.benchmarks.relay.throughput import measure_throughput

_BATCH_SIZES = (100, 500, 2000)
# What the relay does where nobody sets RELAY_BATCH_SIZE.
_DEFAULT_BATCH_SIZE = Settings(database_url="-", kafka_bootstrap_servers="-").relay_batch_size
_PAYLOAD_BYTES = "SELECT avg(octet_length(payload)) FROM events"
_DURABILITY = "SELECT name, setting FROM pg_settings WHERE name = ANY(%(names)s) ORDER BY name"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes:
        events: Of one measurement of throughput.
        seconds: Of the trickle through the relay.
    """

    events: int
    rounds: int
    short: int
    long: int
    backlog_rounds: int
    seconds: float


_FULL = Sizes(events=100_000, rounds=5, short=5_000, long=500_000, backlog_rounds=3, seconds=20.0)
_SMALL = Sizes(events=10_000, rounds=2, short=2_000, long=20_000, backlog_rounds=1, seconds=4.0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.relay", description=__doc__)
    parser.add_argument("--small", action="store_true", help="a minute, to try it out")
    sizes = _SMALL if parser.parse_args().small else _FULL
    began, busy = time.monotonic(), os.getloadavg()[0]

    def say(what: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - began:4.0f} s] {what}\n")
        sys.stderr.flush()

    try:
        with _stage(say) as stage:
            lines = list(_measure(stage, sizes))
    # A relay that is waited for in vain fails as in a test: by assertion.
    except (BenchmarkError, BrokerUnavailableError, PostgresMissingError, AssertionError) as exc:
        sys.stderr.write(f"benchmark: {exc}\n")
        return 1
    except KeyboardInterrupt:
        say("interrupted, everything is stopped")
        return 130
    lines.insert(0, f"Machine: {os.cpu_count()} CPUs, load {busy:.1f} before it began")
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    say("done")
    return 0


def _measure(stage: Stage, sizes: Sizes) -> Iterator[str]:
    needed = max(events_needed(sizes.short, sizes.long), 2 * sizes.events)
    stage.say(f"recording a ledger of {needed:,} events")
    with psycopg.connect(stage.database_url) as connection:
        record_ledger(connection, needed, stage.topic)
    with contextlib.closing(Outbox(stage.database_url)) as outbox:
        throughput = measure_throughput(
            stage, outbox, _BATCH_SIZES, events=sizes.events, rounds=sizes.rounds
        )
        backlogs = measure_backlogs(
            stage,
            outbox,
            _DEFAULT_BATCH_SIZE,
            short=sizes.short,
            long=sizes.long,
            rounds=sizes.backlog_rounds,
        )
    latencies = measure_latency(stage, _DEFAULT_BATCH_SIZE, seconds=sizes.seconds)
    yield from _conditions(stage, sizes)
    yield ""
    yield from describe(throughput, backlogs, latencies, short=sizes.short, long=sizes.long)


def _conditions(stage: Stage, sizes: Sizes) -> Iterator[str]:
    names = ["fsync", "full_page_writes", "server_version", "synchronous_commit"]
    with psycopg.connect(stage.database_url) as connection:
        settings = connection.execute(_DURABILITY, {"names": names}).fetchall()
        payload = connection.execute(_PAYLOAD_BYTES).fetchone()
    yield "Relay: python -m relay, from the writer's COMMIT to the last row's deletion, warmed up."
    yield "Produce alone: pipelined, all acknowledged. Fetch alone: statement and decoding."
    yield f"PostgreSQL: {', '.join(f'{name}={value}' for name, value in settings)} by default"
    yield f"Kafka: {stage.bootstrap_servers}, librdkafka {confluent_kafka.libversion()[0]}"
    size = payload[0] if payload else 0
    yield f"Events: {sizes.events:,} a measurement, values of {size:.0f} bytes on average"
    yield f"Rounds: {sizes.rounds}, backlogs {sizes.backlog_rounds}"
    yield f"Backlogs and latency with the relay's own batch size, {_DEFAULT_BATCH_SIZE}"


@contextlib.contextmanager
def _stage(say: Callable[[str], None]) -> Iterator[Stage]:
    """Start what nobody gave us, and yield it with a database of our own."""
    name = f"orchestrator_benchmark_{uuid.uuid4().hex[:12]}"
    with contextlib.ExitStack() as stack:
        say("starting PostgreSQL")
        server = stack.enter_context(database_server(durable=True))
        say("starting Kafka")
        given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        kafka = given or stack.enter_context(Broker(say=say)).bootstrap_servers
        stack.callback(server.drop_database, name)
        url = server.create_database(name)
        migrate(url)
        stage = Stage(url, kafka, f"orchestrator-benchmark-{name[-12:]}", say)
        stack.callback(stage.remove_topic)
        yield stage


if __name__ == "__main__":
    sys.exit(main())
