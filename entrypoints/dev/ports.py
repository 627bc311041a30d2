"""Free loopback ports for the development servers."""

import random
import socket

# Below the kernel's ephemeral ports (32768 on Linux), which an outgoing connection could take while
# a server is down for a restart, and below HOST_PORT_RANGE, which belongs to containers.
_RANGE = range(10_000, 20_000)


def free_ports(count: int) -> list[int]:
    """Return `count` different TCP ports on which nobody listens at the moment.

    Raises:
        OSError: no free port was found.
    """
    found: list[int] = []
    # Whoever has set a seed, as Hypothesis does, would choose the same ones as everybody with it.
    for port in random.SystemRandom().sample(_RANGE, k=len(_RANGE)):
        if len(found) == count:
            return found
        if _is_free(port):
            found.append(port)
    raise OSError(f"no {count} free ports in {_RANGE.start}-{_RANGE.stop - 1}")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
