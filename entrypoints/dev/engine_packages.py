"""Docker's packages from Debian or Ubuntu: which are missing, and how they are installed.

Debian 12 has no BuildKit client and only the old compose. Debian 13's packages of both need nothing
but a libc that Debian 12 has, so there they come from Debian 13: the machine's own apt source with
another suite name, in lists of their own for one command, so that nothing else can come from it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from entrypoints.dev.scratch_image import BusyboxMissingError, static_busybox

_OLD, _NEW = "bookworm", "trixie"
_APT = ("apt-get", "-o", "DPkg::Lock::Timeout=300")
_INSTALL = ("install", "--yes", "--no-install-recommends")


class EngineMissingError(RuntimeError):
    """No Docker Engine can be had here; the message is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Packages:
    """What to install: from the machine's own suite, and from Debian 13's."""

    own: tuple[str, ...]
    newer: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.own or self.newer)

    def __str__(self) -> str:
        return " ".join((*self.own, *self.newer))


def distribution() -> tuple[str, str]:
    """Return id and version of a Debian or Ubuntu, ("", "") on anything else."""
    release = Path("/etc/os-release")
    text = release.read_text() if release.exists() else ""
    fields = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.MULTILINE))
    if fields.get("ID") not in {"debian", "ubuntu"}:
        return "", ""
    return fields["ID"], fields.get("VERSION_ID", "")


def missing_packages(*, daemon: bool) -> Packages:
    """Return the packages that this machine lacks.

    Args:
        daemon: Whether an engine is to be run here, or only the client used.
    """
    name, version = distribution()
    old = (name, version) == ("debian", "12")
    own, plugins = [], []
    if daemon and not shutil.which("dockerd"):
        own.append("docker.io")
    if not shutil.which("docker"):
        own.append("docker.io" if old or name == "ubuntu" else "docker-cli")
    if daemon:
        own += ["iptables"] if not shutil.which("iptables") else []
        own += ["iproute2"] if not shutil.which("ip") else []
    try:
        static_busybox()
    except BusyboxMissingError:
        own.append("busybox-static")
    if not plugin_works("buildx"):
        plugins.append("docker-buildx")
    if not plugin_works("compose"):
        plugins.append("docker-compose-v2" if name == "ubuntu" else "docker-compose")
    own = list(dict.fromkeys(own))
    if not old:
        return Packages((*own, *plugins), ())
    # An old keyring does not know Debian 13's keys.
    return Packages((*own, *(["debian-archive-keyring"] if plugins else [])), tuple(plugins))


def plugin_works(plugin: str) -> bool:
    """Whether the docker client has this plugin (`buildx`, or `compose` of version 2)."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    asked = [docker, plugin, "version"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0  # noqa: S603 - as above


def install_packages(packages: Packages, say: Callable[[str], None]) -> None:
    """Install by apt-get, after asking where somebody sits at a terminal.

    Raises:
        EngineMissingError: not root, not Debian or Ubuntu, refused by the user, or apt-get failed.
    """
    if not packages:
        return
    if os.geteuid() != 0 or not distribution()[0]:
        raise EngineMissingError(f"Docker is not complete here: install {packages}")
    say(f"to be installed by apt-get: {packages}")
    if sys.stdin.isatty() and os.environ.get("ASSUME_YES") != "1":
        answer = input("Install them now? [y/N] ")
        if answer.strip().lower() not in {"y", "yes"}:
            raise EngineMissingError(f"Docker is not complete here: install {packages}")
    _run(_APT, "--quiet", "update")
    if packages.own:
        _run(_APT, *_INSTALL, *packages.own)
    if packages.newer:
        _install_newer(packages.newer)


def _install_newer(names: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="apt-") as folder:
        home = Path(folder)
        home.chmod(0o755)  # apt downloads as a user of its own
        (home / "lists" / "partial").mkdir(parents=True)
        source = home / "newer.sources"
        source.write_text(newer_source(Path("/etc/apt")))
        apt = (
            *_APT,
            *("-o", f"Dir::Etc::SourceList={source}", "-o", "Dir::Etc::SourceParts=-"),
            *("-o", f"Dir::State::Lists={home / 'lists'}"),
            *("-o", "Dir::Cache::PkgCache=", "-o", "Dir::Cache::SrcPkgCache="),
        )
        _run(apt, "--quiet", "update")
        _run(apt, *_INSTALL, *names)


def newer_source(apt: Path, suite: str = _OLD) -> str:
    """Return the machine's own source of Debian as a deb822 stanza for Debian 13.

    Args:
        apt: The folder of `sources.list`, in the one-line or the deb822 format.
        suite: Which of its sources: that of Debian 12, or of 13 itself.

    Raises:
        EngineMissingError: no source of that suite was found there.
    """
    parts = apt / "sources.list.d"
    for path in sorted(parts.glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            found = _from_stanza(stanza, suite)
            if found:
                return found
    for path in (apt / "sources.list", *sorted(parts.glob("*.list"))):
        for line in path.read_text().splitlines() if path.exists() else ():
            found = _from_line(line, suite)
            if found:
                return found
    raise EngineMissingError(f"no apt source of {suite} was found: install docker-buildx by hand")


def _from_stanza(stanza: str, suite: str) -> str | None:
    lines = [line for line in stanza.splitlines() if not line.startswith("#")]
    text = "\n".join(lines)
    fields = dict(re.findall(r"^([\w-]+):\s*(.*)$", text, re.MULTILINE))
    if (
        suite not in fields.get("Suites", "").split()
        or "deb" not in fields.get("Types", "").split()
    ):
        return None
    if fields.get("Enabled", "yes").lower() == "no":
        return None
    text = re.sub(r"^Suites:.*$", f"Suites: {_NEW}", text, flags=re.MULTILINE)
    return re.sub(r"^Components:.*$", "Components: main", text, flags=re.MULTILINE) + "\n"


def _from_line(line: str, suite: str) -> str | None:
    found = re.match(rf"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+{suite}\s", line)
    if found is None:
        return None
    options = dict(re.findall(r"([\w-]+)=(\S+)", found["options"] or ""))
    keys = f"Signed-By: {options['signed-by']}\n" if "signed-by" in options else ""
    return f"Types: deb\nURIs: {found['uri']}\nSuites: {_NEW}\nComponents: main\n{keys}"


def _run(apt: Sequence[str], *arguments: str) -> None:
    done = subprocess.run(  # noqa: S603 - apt-get with our own package names
        [*apt, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.startswith(("E:", "W:"))]
        reason = lines[-1] if lines else f"exit code {done.returncode}"
        raise EngineMissingError(f"apt-get {arguments[0]} failed: {reason}")
