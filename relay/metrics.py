"""What the relay counts, in a registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from relay.histogram import BatchHistogram

# From a local broker's acknowledgement, which is worth a closer look, to a backlog of minutes.
_MILLISECONDS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 35, 50, 75, 100)
_BUCKETS = (*(each / 1_000 for each in _MILLISECONDS), 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class Metrics:
    """Every series of the process; names end in their unit."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.leader = Gauge(
            "relay_leader", "1 while this process is the leader.", registry=self.registry
        )
        self.takeovers = Counter(
            "relay_takeovers", "Times this process became the leader.", registry=self.registry
        )
        self.published = Counter(
            "relay_published_events",
            "Events acknowledged by Kafka and deleted from the outbox.",
            ["topic"],
            registry=self.registry,
        )
        self.delivery_errors = Counter(
            "relay_delivery_errors",
            "Messages Kafka or its client did not take, by librdkafka's code.",
            ["code"],
            registry=self.registry,
        )
        self.blocked_streams = Gauge(
            "relay_blocked_streams",
            "Streams that wait for an operator; told by the leader, 0 from everybody else.",
            registry=self.registry,
        )
        self.commit_to_ack = BatchHistogram(
            "relay_commit_to_ack_seconds",
            "From the record of an event, by the database's clock, to its acknowledgement.",
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.horizon = Gauge(
            "relay_ledger_horizon",
            "Ledger id at or below which nothing is added any more; 0 from who does not lead.",
            registry=self.registry,
        )
        self.pending = Gauge("relay_pending_events", "Rows in the outbox.", registry=self.registry)
        self.oldest_pending = Gauge(
            "relay_oldest_pending_age_seconds",
            "Age of the first pending event by the database's clock; 0 when there is none.",
            registry=self.registry,
        )
