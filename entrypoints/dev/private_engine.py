"""A Docker Engine of our own, beside any other: its own folders, socket, bridge and namespace.

Several can run at once. What they share is the machine's DOCKER chain of iptables: an engine that
starts empties it, so containers of another one lose their port rules, and are then reached through
docker-proxy alone, which is what loopback addresses use anyway.
"""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Self

from entrypoints.dev.engine_remains import end_process, remove_remains
from entrypoints.dev.folders import runtime_folder
from entrypoints.dev.guarded_process import GuardedProcess
from entrypoints.dev.home_folder import HomeFolder

_START_TIMEOUT_SECONDS = 90.0
_STOP_TIMEOUT_SECONDS = 40.0
_OWN_ID_SINCE = 23
# Docker's data is about twice as fast on tmpfs; a quarter of what is free hurts nobody.
_TMPFS_SHARE, _TMPFS_LEAST_BYTES = 4, 2 * 2**30


class Engine:
    """A private dockerd; needs root. A context manager: started on entry, stopped on exit."""

    def __init__(self, name: str | None = None) -> None:
        """Describe an engine; nothing runs yet.

        Args:
            name: Keep images and containers under this name from run to run. Without one they are
                in memory where there is room, and are gone when the engine stops.
        """
        self._home = HomeFolder("engine", name)
        self._data = self._home.path / "data"
        self._runtime = runtime_folder() / self._home.path.name
        digest = hashlib.sha256(str(self._runtime).encode()).hexdigest()
        self._bridge = f"orch-{digest[:8]}"  # an interface's name holds 15 bytes
        self._process: GuardedProcess | None = None

    @property
    def host(self) -> str:
        """The value for DOCKER_HOST."""
        return f"unix://{self._runtime}/docker.sock"

    @property
    def process(self) -> GuardedProcess | None:
        """What runs, or ended by itself; None before the start and after the stop."""
        return self._process

    @property
    def _daemon(self) -> tuple[str, ...]:
        """The program, for whoever starts it in another network namespace."""
        return ("dockerd",)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start dockerd and return when it answers.

        Raises:
            ServerStartError: it ended, or did not answer in 90 s.
            FolderInUseError: the engine of that name runs already.
            subprocess.CalledProcessError: no mount or no bridge could be made.
        """
        self._home.take()
        self._runtime.mkdir(mode=0o711, parents=True, exist_ok=True)
        if not self._data.exists():
            self._data.mkdir(mode=0o711, parents=True)
            if not self._home.kept:
                self._mount_memory()
        self._make_bridge()
        # All of it in one file of our own: the machine's daemon.json is not meant for us.
        settings = self._runtime / "daemon.json"
        settings.write_text(json.dumps(self._settings()))
        self._forget_dead_daemons()
        remains = [str(self._runtime), str(self._data), self._bridge]
        self._process = GuardedProcess.start(
            [
                *(*self._daemon, "--config-file", str(settings)),
                *("--containerd-namespace", self._bridge),
                *("--containerd-plugins-namespace", f"{self._bridge}-plugins"),
            ],
            log=self._home.path / "dockerd.log",
            then=(
                *(sys.executable, "-m", "entrypoints.dev.engine_remains", *remains),
                *(() if self._home.kept else (str(self._home.path),)),
            ),
            claim=self._home.claim,
        )
        self._process.wait_until(
            lambda: engine_answers(self.host), timeout_seconds=_START_TIMEOUT_SECONDS
        )

    def halt(self) -> None:
        """Stop dockerd in order, with its containers; keep everything for a later `start`."""
        if self._process is not None:
            self._process.stop(timeout_seconds=_STOP_TIMEOUT_SECONDS)
            self._process = None

    def kill(self) -> None:
        """End dockerd by SIGKILL. Its containers run on until the next `start` ends them."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def restart(self) -> None:
        """Stop dockerd, unless it is down already, and start it with the same data and host."""
        self.halt()
        self.start()

    def stop(self) -> None:
        """End everything: dockerd, containerd, containers, mounts, bridge. Idempotent."""
        self.halt()
        if self._home.claim is not None:
            remove_remains(self._runtime, self._data, self._bridge)
        self._home.release()

    def _settings(self) -> dict[str, object]:
        # Before 23 every engine of a machine took its id from one file; later it lies in data-root.
        key = {"deprecated-key-path": str(self._data / "key.json")} if _shares_its_id() else {}
        return {
            **key,
            "hosts": [self.host],
            "data-root": str(self._data),
            "exec-root": str(self._runtime / "exec"),
            "pidfile": str(self._runtime / "dockerd.pid"),
            "bridge": self._bridge,
            "shutdown-timeout": 5,
            "log-level": "warn",
        }

    def _forget_dead_daemons(self) -> None:
        # After a kill dockerd would wait for the containerd that it finds in the pid file, be it on
        # its way to the end or a zombie that this machine's process 1 does not collect.
        for pid_file in (
            self._runtime / "dockerd.pid",
            *(self._runtime / "exec" / "containerd").glob("*containerd.pid"),
        ):
            if pid_file.exists():
                end_process(int(pid_file.read_text()))
                pid_file.unlink()

    def _mount_memory(self) -> None:
        free = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
        share = int(free[1]) * 1024 // _TMPFS_SHARE if free else 0
        if share >= _TMPFS_LEAST_BYTES:
            _run("mount", "-t", "tmpfs", "-o", f"size={share},mode=711", "tmpfs", str(self._data))

    def _make_bridge(self) -> None:
        used = _run("ip", "-4", "route")
        if f" {self._bridge} " in used:
            return
        third = next(n for n in range(256) if f"10.214.{n}." not in used)
        links = _run("ip", "link")
        if f" {self._bridge}:" not in links:
            _run("ip", "link", "add", self._bridge, "type", "bridge")
        _run("ip", "address", "add", f"10.214.{third}.1/24", "dev", self._bridge)
        _run("ip", "link", "set", self._bridge, "up")


def _shares_its_id() -> bool:
    found = re.search(r"version (\d+)", _run("dockerd", "--version"))
    return found is not None and int(found[1]) < _OWN_ID_SINCE


def engine_answers(host: str) -> bool:
    """Whether a Docker Engine answers at this DOCKER_HOST."""
    try:
        return (
            subprocess.run(  # noqa: S603 - the docker client
                ["docker", "--host", host, "version", "--format", "{{.Server.Version}}"],  # noqa: S607 - from PATH
                capture_output=True,
                timeout=20,
                check=False,
            ).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def _run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout  # noqa: S603 - fixed programs
