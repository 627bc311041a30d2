"""What the environment tells the relay; a malformed value is refused with the variable's name."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

CLIENT_PREFIX = "KAFKA_CLIENT_"

# The delivery promise rests on these, so the environment cannot change them; what each is set to
# stands in client_options(). Aliases of librdkafka are listed with the names they stand for.
_REFUSED_OPTIONS = {
    "acks": "the relay deletes what all in-sync replicas acknowledged",
    "request.required.acks": "the relay deletes what all in-sync replicas acknowledged",
    "enable.idempotence": "retries inside the client would break the order",
    "enable.gapless.guarantee": "one message that Kafka refuses would stop every other",
    "partitioner": "partitions must be those Java clients choose",
    "message.timeout.ms": "a message waits for the broker as long as it takes",
    "delivery.timeout.ms": "a message waits for the broker as long as it takes",
    "delivery.report.only.error": "the relay deletes what is reported as delivered",
    "transactional.id": "the relay does not use transactions",
    "allow.auto.create.topics": "set KAFKA_CREATE_TOPICS for those that are configured",
    "bootstrap.servers": "set KAFKA_BOOTSTRAP_SERVERS",
    "metadata.broker.list": "set KAFKA_BOOTSTRAP_SERVERS",
}

# "… - at `$.relay_port`": where msgspec says the fault is.
_FAULT = re.compile(r"^(?P<reason>.*?)(?: - at `\$\.(?P<field>\w+).*`)?$", re.DOTALL)
_MISSING = re.compile(r"required field `(?P<field>\w+)`")

# Kafka's own grammar: org.apache.kafka.common.internals.Topic.
TopicName = Annotated[str, Meta(pattern=r"^(?!\.{1,2}\Z)[a-zA-Z0-9._-]{1,249}\Z")]


# Where msgspec's own words would be a pattern, or its own kind of a literal.
_ALLOWED = {
    "kafka_bootstrap_servers": "expected HOST:PORT, several separated by commas and no space",
    "kafka_topic": "expected 1 to 249 letters, digits, dots, underscores and hyphens",
    "kafka_image_topic": "expected 1 to 249 letters, digits, dots, underscores and hyphens",
    "kafka_create_topics": "expected true or false",
    "kafka_topic_partitions": "expected 1 to 10000, or -1 for the broker's default",
    "kafka_topic_replication_factor": "expected 1 to 100, or -1 for the broker's default",
    "log_level": "expected debug, info, warning or error",
}


class SettingsError(ValueError):
    """A variable is missing or malformed; the text is one line and begins with its name."""


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What everything here needs; each field is the variable of the same name in capitals."""

    database_url: Annotated[str, Meta(min_length=1)]


class KafkaSettings(DatabaseSettings, frozen=True, kw_only=True):
    """What is needed to send anything."""

    kafka_bootstrap_servers: Annotated[str, Meta(pattern=r"^\S+\Z")]
    kafka_topic: TopicName = "container-lifecycle"
    kafka_image_topic: TopicName = "image-lifecycle"
    # Collected from every KAFKA_CLIENT_* variable, never read from one of its own.
    kafka_client: dict[str, str] = {}

    @property
    def topics(self) -> frozenset[str]:
        return frozenset({self.kafka_topic, self.kafka_image_topic})

    def client_options(self) -> dict[str, str | int | bool]:
        """What every Kafka client of this process is built with."""
        return {
            "client.id": "orchestrator-relay",
            # librdkafka backs off to 10 s; a broker that is back should not wait for us so long.
            "reconnect.backoff.max.ms": 1_000,
            # Idle connections are closed by the broker as a matter of course.
            "log.connection.close": False,
            # Costs no latency: what is left when there is no more to fetch is sent at once.
            "linger.ms": 5,
            # The client's own bound is 1 GiB; beyond this one what is read waits to be sent.
            "queue.buffering.max.kbytes": 65_536,
            **self.kafka_client,
            "bootstrap.servers": self.kafka_bootstrap_servers,
            "enable.idempotence": True,
            "acks": "all",
            "message.timeout.ms": 0,
            "partitioner": "murmur2_random",
            "allow.auto.create.topics": False,
        }


class Settings(KafkaSettings, frozen=True, kw_only=True):
    """What a relay that serves is told."""

    kafka_create_topics: bool = False
    # How topics are created; -1 is the broker's own default.
    kafka_topic_partitions: Annotated[int, Meta(ge=-1, le=10_000)] = 12
    kafka_topic_replication_factor: Annotated[int, Meta(ge=-1, le=100)] = -1
    bind_host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    # 0 takes any free port; the log tells which.
    relay_port: Annotated[int, Meta(ge=0, le=65_535)] = 3005
    # `make bench-relay` shows what smaller ones cost: fuller requests save the broker work.
    # The client's queue holds 100,000, of which four batches may be in flight.
    relay_batch_size: Annotated[int, Meta(ge=1, le=10_000)] = 2_000
    # The fallback when no notification came; longer than 1 s would break the latency promise.
    relay_poll_seconds: Annotated[float, Meta(gt=0, le=1)] = 1.0
    # How long SIGTERM leaves messages in flight to be acknowledged; the process has 5 s in all.
    relay_flush_seconds: Annotated[float, Meta(ge=0, le=3)] = 2.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def check(self) -> None:
        """Refuse what no single bound can.

        Raises:
            SettingsError: Naming the variable.
        """
        for field in ("kafka_topic_partitions", "kafka_topic_replication_factor"):
            if getattr(self, field) == 0:
                raise SettingsError(f"{field.upper()}: {_ALLOWED[field]}")


Wanted = TypeVar("Wanted", bound=DatabaseSettings)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read what a relay that serves needs.

    Raises:
        SettingsError: Naming the first variable that is missing, malformed or refused.
    """
    return read_only(Settings, environment)


def read_only(kind: type[Wanted], environment: Mapping[str, str]) -> Wanted:
    """Read the settings of one kind, whatever the others are; an empty variable counts as unset.

    Raises:
        SettingsError: Naming the first variable that is missing, malformed or refused.
    """
    given = {name: value for name, value in environment.items() if value != ""}
    values: dict[str, object] = {
        field: given[field.upper()]
        for field in kind.__struct_fields__
        if field != "kafka_client" and field.upper() in given
    }
    if "kafka_client" in kind.__struct_fields__:
        values["kafka_client"] = _passed_through(given)
    try:
        settings = msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as exc:
        raise SettingsError(_describe(str(exc))) from exc
    if isinstance(settings, Settings):
        settings.check()
    if not _is_connection_url(settings.database_url):
        raise SettingsError("DATABASE_URL: is not a PostgreSQL connection URL")
    return settings


def variable_of(option: str) -> str:
    """Return the variable that sets librdkafka's ``option``."""
    return CLIENT_PREFIX + option.replace(".", "_").upper()


def _is_connection_url(url: str) -> bool:
    """Tell it without libpq's text, which quotes the URL, password and all."""
    try:
        parameters = conninfo_to_dict(url)
    except ProgrammingError:
        return False
    # libpq looks at the ports only when it connects; several hosts may have one each.
    ports = str(parameters.get("port", "")).split(",")
    return all(port.isdecimal() or not port for port in ports)


def _passed_through(given: Mapping[str, str]) -> dict[str, str]:
    options = {}
    for variable, value in sorted(given.items()):
        if not variable.startswith(CLIENT_PREFIX):
            continue
        option = variable.removeprefix(CLIENT_PREFIX).replace("_", ".").lower()
        if option.startswith("test."):
            raise SettingsError(f"{variable}: cannot be set; what a mock acknowledges is nowhere")
        if option in _REFUSED_OPTIONS:
            raise SettingsError(f"{variable}: cannot be set; {_REFUSED_OPTIONS[option]}")
        options[option] = value
    return options


def _describe(fault: str) -> str:
    missing = _MISSING.search(fault)
    if missing is not None:
        return f"{missing['field'].upper()}: is not set"
    match = _FAULT.match(fault)
    if match is None or match["field"] is None:
        return fault
    return f"{match['field'].upper()}: {_ALLOWED.get(match['field'], match['reason'])}"
