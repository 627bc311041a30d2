"""A second Docker Engine that is reached over TLS alone, in a network namespace of its own.

What it is to the images' worker, docker:dind is in compose.yaml: another host, by its address. Its
containers publish their ports there, and have no way to this machine but that address. dockerd gets
the same flags.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Self

from entrypoints.dev.private_engine import Engine
from tests.compose_file import stack
from tests.images.certificates import make_certificates

_NAMESPACE = "orch-tls-"
_PORT = 2376


class TlsEngine(Engine):
    """A context manager: namespace, certificates and dockerd are made on entry, and go on exit.

    Args:
        folder: where certificates are made.

    Attributes:
        address: where it and the ports of its containers are reached.
        certificates: the client's folder, for DOCKER_CERT_PATH.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        pid = os.getpid()
        self._namespace = f"{_NAMESPACE}{pid}"
        self._link = f"otls{pid}"[:15]
        routes = _run("ip", "-4", "route")
        third = next(n for n in range(256) if f"10.215.{n}." not in routes)
        self._gateway, self.address = f"10.215.{third}.1", f"10.215.{third}.2"
        self._folder = folder / "authority"
        self.certificates = make_certificates(self._folder, self.address)

    @property
    def tls_host(self) -> str:
        """The value for DOCKER_HOST of whoever has the certificates."""
        return f"tcp://{self.address}:{_PORT}"

    @property
    def _daemon(self) -> tuple[str, ...]:
        # Not `ip netns exec`, which mounts another /sys, without control groups.
        flags = stack()["services"]["engine"]["command"]
        return ("nsenter", f"--net=/run/netns/{self._namespace}", "dockerd", *flags)

    def __enter__(self) -> Self:
        _remove_abandoned()
        self._make_namespace()
        return super().__enter__()

    def stop(self) -> None:
        super().stop()
        _remove_namespace(self._namespace, self._link)

    def _make_namespace(self) -> None:
        name, inside = self._namespace, f"{self._link}i"[-15:]
        _run("ip", "netns", "add", name)
        _run("ip", "link", "add", self._link, "type", "veth", "peer", "name", inside)
        _run("ip", "link", "set", inside, "netns", name)
        _run("ip", "address", "add", f"{self._gateway}/30", "dev", self._link)
        _run("ip", "link", "set", self._link, "up")
        _run("ip", "-n", name, "address", "add", f"{self.address}/30", "dev", inside)
        for link in (inside, "lo"):
            _run("ip", "-n", name, "link", "set", link, "up")

    def _make_bridge(self) -> None:
        """Dockerd makes its usual one, in its own namespace."""

    def _settings(self) -> dict[str, object]:
        settings = super()._settings()
        del settings["bridge"]
        return settings | {
            "hosts": [self.host, self.tls_host],
            "tlsverify": True,
            "tlscacert": str(self._folder / "ca.pem"),
            "tlscert": str(self._folder / "server.pem"),
            "tlskey": str(self._folder / "server-key.pem"),
        }


def _remove_abandoned() -> None:
    """Remove the namespaces of runs that were killed."""
    for line in _run("ip", "netns", "list").splitlines():
        name = line.split()[0] if line else ""
        pid = name.removeprefix(_NAMESPACE)
        if name.startswith(_NAMESPACE) and not Path("/proc", pid).exists():
            _remove_namespace(name, f"otls{pid}"[:15])


def _remove_namespace(name: str, link: str) -> None:
    """Remove both, as far as they are there; the link's other end goes with it."""
    for command in (("ip", "link", "delete", link), ("ip", "netns", "delete", name)):
        subprocess.run(command, capture_output=True, check=False)


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
