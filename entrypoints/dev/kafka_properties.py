"""The settings of a development broker: one node that is both broker and controller."""

from collections.abc import Mapping
from pathlib import Path

from entrypoints.dev.kafka_listeners import Listener

# There is one node, and so one replica.
_ONE = (
    "offsets.topic.replication.factor",
    "offsets.topic.num.partitions",
    "transaction.state.log.replication.factor",
    "transaction.state.log.min.isr",
    "transaction.state.log.num.partitions",
    "share.coordinator.state.topic.replication.factor",
    "share.coordinator.state.topic.min.isr",
    "share.coordinator.state.topic.num.partitions",
)


def server_properties(
    data: Path, port: int, controller_port: int, listeners: Mapping[Listener, int]
) -> str:
    """Return the text of `server.properties`.

    Args:
        data: The folder of its logs.
        port: Where it listens for everybody, in plain text, on loopback.
        controller_port: Where it listens for itself.
        listeners: Further listeners and their ports.
    """
    every = {Listener("PLAINTEXT"): port, **listeners}
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": ",".join(
            ["CONTROLLER:PLAINTEXT", *(f"{each.name}:{each.protocol}" for each in every)]
        ),
        "listeners": ",".join(
            [
                f"CONTROLLER://127.0.0.1:{controller_port}",
                *(f"{each.name}://127.0.0.1:{number}" for each, number in every.items()),
            ]
        ),
        "advertised.listeners": ",".join(
            f"{each.name}://127.0.0.1:{each.advertised_port or number}"
            for each, number in every.items()
        ),
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "num.partitions": "4",
        "group.initial.rebalance.delay.ms": "0",
        # After a kill the node is let in again only when its old session is over: 9 s unasked.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
        **dict.fromkeys(_ONE, "1"),
    }
    for each in listeners:
        prefix = f"listener.name.{each.name.lower()}."
        settings |= {prefix + name: value for name, value in each.properties.items()}
    return "".join(f"{name}={value}\n" for name, value in settings.items())
