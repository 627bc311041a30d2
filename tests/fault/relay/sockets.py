"""What lies in a server's sockets and was not read: messages in flight, while it is frozen."""

import functools
from pathlib import Path

from entrypoints.dev.kafka import Broker
from tests.fault.relay.recording import prepare_streams, write_many
from tests.integration.relay.harness import wait_until

# A fetch of the consumer's or a question for metadata is far below; a batch of events far above.
_A_BATCH_BYTES = 10_000
# Of each stream one event is in flight at a time, so it takes many. Beyond those of any writers.
_STREAMS = 400
_FIRST = 10_001


def freeze_with_messages_in_flight(broker: Broker, database: str, topic: str) -> None:
    """Stop the broker, and let the relay send events that nobody reads: the first of 400 streams.

    Nothing may be in flight before: the client has few requests under way at a time, and those
    that the broker has read already would be all of them.
    """
    prepare_streams(database, _STREAMS, first=_FIRST)
    broker.freeze()
    write_many(database, topic, _STREAMS, 2, first=_FIRST)
    unread = functools.partial(_unread_bytes, int(broker.bootstrap_servers.rpartition(":")[2]))
    wait_until(lambda: unread() >= _A_BATCH_BYTES, "messages are in flight")


def _unread_bytes(port: int) -> int:
    """Return what the kernel holds for who listens on this port (proc(5), net/tcp)."""
    total = 0
    for table in ("tcp", "tcp6"):
        lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        for line in lines:
            _, local, _, _, queues, *_ = line.split()
            if int(local.rpartition(":")[2], 16) == port:
                total += int(queues.partition(":")[2], 16)
    return total
