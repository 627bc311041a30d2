"""What a private Docker Engine leaves behind, and its removal: processes, mounts, bridge, rules.

`dockerd` clears most of it when it is asked to stop, and nothing when it is killed: its shims, and
the containers below them, run on. `python -m entrypoints.dev.engine_remains RUNTIME DATA BRIDGE`
is what the guard of a dead parent calls.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

_DAEMONS = ("dockerd", "containerd", "docker-proxy")
_GONE_TIMEOUT_SECONDS = 10.0


def remove_remains(runtime: Path, data: Path, bridge: str) -> None:
    """Remove everything of an engine whose `dockerd` has ended, except for its data's folder.

    Args:
        runtime: The folder of its socket and of its `--exec-root`; it is removed.
        data: Its `--data-root`, of which only the mounts go.
        bridge: Its network bridge, and the namespace of its containers in containerd.
    """
    _end_processes(runtime, bridge)
    _unmount(runtime, data)
    _remove_bridge(bridge)
    shutil.rmtree(runtime, ignore_errors=True)


def end_process(pid: int) -> None:
    """End a process of an engine by SIGKILL and wait, for 10 s at most, until it does not run."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _GONE_TIMEOUT_SECONDS
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)


def _end_processes(runtime: Path, namespace: str) -> None:
    parents, ours = {}, set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            pid = int(folder.name)
            parents[pid] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            argv = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            named = any(part == namespace or part.startswith(f"{runtime}/") for part in argv)
            if named and Path(argv[0]).name.startswith(_DAEMONS):
                ours.add(pid)
    while below := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= below
    for pid in ours:
        end_process(pid)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _unmount(*folders: Path) -> None:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4] for line in lines]
    below = [p for p in points if any(Path(p).is_relative_to(folder) for folder in folders)]
    for point in sorted(below, reverse=True):
        if _run(["umount", point]) is None:
            _run(["umount", "--lazy", point])


def _remove_bridge(bridge: str) -> None:
    shown = _run(["ip", "-4", "-o", "address", "show", "dev", bridge]) or ""
    found = re.search(r"inet (\d+\.\d+\.\d+\.)\d+/24", shown)
    names = [bridge, *([found[1]] if found else [])]
    for table in ("filter", "nat", "raw"):
        rules = _run(["iptables", "--wait", "-t", table, "-S"]) or ""
        for rule in _about(names, rules.splitlines()):
            _run(["iptables", "--wait", "-t", table, "-D", *shlex.split(rule)[1:]])
    _run(["ip", "link", "delete", bridge])


def _about(names: Iterable[str], rules: Iterable[str]) -> list[str]:
    return [r for r in rules if r.startswith("-A ") and any(f" {name}" in r for name in names)]


def _run(argv: list[str]) -> str | None:
    """Return what the program printed, None if it failed: what is to be removed may be gone."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603 - fixed programs
    return done.stdout if done.returncode == 0 else None


if __name__ == "__main__":
    remove_remains(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
    # A nameless engine's data goes with it.
    for folder in sys.argv[4:]:
        shutil.rmtree(folder, ignore_errors=True)
