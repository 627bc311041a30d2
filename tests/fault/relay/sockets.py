"""What lies in a server's sockets and was not read: messages in flight, while it is frozen."""

import functools
from pathlib import Path

from entrypoints.dev.kafka import Broker
from tests.integration.relay.harness import wait_until

# A fetch of the consumer's or a question for metadata is far below; a batch of events far above.
_A_BATCH_BYTES = 10_000


def wait_until_messages_are_in_flight(frozen: Broker) -> None:
    """Wait until somebody has sent events to a broker that reads none of them."""
    unread = functools.partial(_unread_bytes, int(frozen.bootstrap_servers.rpartition(":")[2]))
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
