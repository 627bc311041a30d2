"""What every container is created with, beside its image: limits, port, labels, hardening.

An uploaded app is not trusted, and ordinary images are to work unchanged: those of nginx, Redis or
PostgreSQL begin as root, take over their folders and then drop to a user of their own. So root
keeps the six capabilities for that, without those to make devices, forge packets or trace, and
nothing that it starts can gain more.
"""

from __future__ import annotations

from collections.abc import Iterator

from adapters.docker import labels
from application.engine_calls import ContainerOrder

CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID")
# Ordinary web servers stay far below; a fork bomb is stopped.
PIDS_LIMIT = 512
# A container cannot be given more than its engine's own hard limit, which some hosts set to 20,000.
OPEN_FILES = 16_384


def run_flags(order: ContainerOrder, installation_id: str, publish_host_ip: str) -> list[str]:
    """Return the flags of `docker create`, all but the variables."""
    memory = str(order.memory_bytes)
    host = f"[{publish_host_ip}]" if ":" in publish_host_ip else publish_host_ip
    ours = {
        labels.INSTALLATION_ID: installation_id,
        labels.UID: str(order.uid),
        labels.IMAGE_ID: str(order.image_id),
        labels.SPEC_HASH: order.spec_hash,
    }
    return [
        *("--name", order.name, "--pull", "never", "--restart", "no"),
        *("--publish", f"{host}:{order.external_port}:{order.internal_port}/tcp"),
        # No swap beyond the memory: what exceeds it is killed, not slowed down.
        *("--cpus", f"{order.cpu_limit:f}", "--memory", memory, "--memory-swap", memory),
        *("--pids-limit", str(PIDS_LIMIT), "--ulimit", f"nofile={OPEN_FILES}:{OPEN_FILES}"),
        *("--cap-drop", "ALL", *_repeated("--cap-add", CAPABILITIES)),
        *("--security-opt", "no-new-privileges"),
        # Rotates and compresses by itself: 5 files of 20 MiB at most.
        *("--log-driver", "local"),
        *_repeated("--label", [f"{name}={value}" for name, value in ours.items()]),
    ]


def _repeated(flag: str, values: tuple[str, ...] | list[str]) -> Iterator[str]:
    for value in values:
        yield flag
        yield value
