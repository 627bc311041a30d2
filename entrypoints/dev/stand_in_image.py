"""A stand-in for `python:3.13-slim`, made of Debian's packages, for where no registry answers.

To our Dockerfile it is what that image is: Debian 13 with Python 3.13, venv and pip. But its Python
is Debian's, in /usr/bin, and nobody has slimmed it. The machine's own CA bundle, pip's settings and
its apt source go with it, or a build could not reach the packages; so it is for this machine alone,
and never to be pushed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from entrypoints.dev.engine_packages import (
    EngineMissingError,
    Packages,
    distribution,
    install_packages,
    newer_source,
)
from entrypoints.dev.folders import download_folder
from entrypoints.dev.long_command import LongCommandError, run_long

_SUITE = "trixie"
_PACKAGES = ("python3", "python3-venv", "ca-certificates")
_REPOSITORY = "orchestrator-stand-in"
_CA_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
# What of pip's settings says where packages come from; the rest is this machine's own business.
_PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout")


def stand_in_image(docker_host: str, say: Callable[[str], None]) -> str:
    """Return the name of the stand-in on an engine; make it, and import it, where it is not there.

    The first time it takes minutes; its archive is kept in `.cache/`.

    Raises:
        EngineMissingError: no root, no Debian, or debootstrap is missing or failed.
    """
    files = _files_of_this_machine()
    key = hashlib.sha256(repr((_SUITE, _PACKAGES, sorted(files.items()))).encode()).hexdigest()[:16]
    name = f"{_REPOSITORY}:{key}"
    docker = ["docker", "--host", docker_host]
    known = subprocess.run([*docker, "image", "inspect", name], capture_output=True, check=False)  # noqa: S603 - the docker client
    if known.returncode == 0:
        say(f"stand-in: {name} is there")
        return name
    archive = download_folder() / "stand-in" / f"{_SUITE}-{key}.tar"
    if not archive.exists():
        _make(archive, files, say)
    say(f"stand-in: importing {archive.stat().st_size // 2**20} MiB")
    with archive.open("rb") as content:
        subprocess.run(  # noqa: S603 - as above
            [*docker, "import", "--change", 'CMD ["python3"]', "-", name],
            stdin=content,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    return name


def _files_of_this_machine() -> dict[str, bytes]:
    """Return what is laid into the root: paths and contents."""
    bundle = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    pip = ["[global]", f"cert = /{_CA_BUNDLE}", *_pip_settings()]
    return {
        _CA_BUNDLE: Path(bundle or f"/{_CA_BUNDLE}").read_bytes(),
        "etc/pip.conf": ("\n".join(pip) + "\n").encode(),
        "etc/apt/sources.list.d/debian.sources": _source().encode(),
        "etc/apt/sources.list": b"",
    }


def _pip_settings() -> list[str]:
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    found = {
        key: value
        for key, value in re.findall(r"^[^=]*\.([\w-]+)='(.*)'$", listed.stdout, re.MULTILINE)
        if key in _PIP_KEYS
    }
    return [f"{key} = {value}" for key, value in sorted(found.items())]


def _source() -> str:
    for suite in (_SUITE, "bookworm"):
        try:
            return newer_source(Path("/etc/apt"), suite)
        except EngineMissingError:
            continue
    raise EngineMissingError("a stand-in needs an apt source of Debian 12 or 13: none was found")


def _make(archive: Path, files: dict[str, bytes], say: Callable[[str], None]) -> None:
    if os.geteuid() != 0 or distribution()[0] != "debian":
        raise EngineMissingError("a stand-in for python:3.13-slim is made on Debian, as root")
    if shutil.which("debootstrap") is None:
        install_packages(Packages(("debootstrap", "debian-archive-keyring"), ()), say)
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_name(f"{archive.name}.{os.getpid()}")
    with tempfile.TemporaryDirectory(prefix="stand-in-", dir=archive.parent) as folder:
        root = Path(folder) / "root"
        try:
            _bootstrap(root, say)
            for path, content in files.items():
                (root / path).write_bytes(content)
            for leftover in ("var/cache/apt/archives", "var/lib/apt/lists"):
                shutil.rmtree(root / leftover)
                (root / leftover / "partial").mkdir(parents=True)
            _run(["tar", "--directory", str(root), "--create", "--file", str(unfinished), "."])
            unfinished.rename(archive)
        finally:
            unfinished.unlink(missing_ok=True)
            # debootstrap ends without unmounting when it fails.
            for mount in ("proc", "sys"):
                subprocess.run(["umount", root / mount], capture_output=True, check=False)  # noqa: S603, S607 - fixed program


def _bootstrap(root: Path, say: Callable[[str], None]) -> None:
    uri = re.search(r"^URIs:\s*(\S+)", _source(), re.MULTILINE)
    assert uri is not None  # noqa: S101 - our own stanza
    say(f"stand-in: debootstrap of {_SUITE}, minutes")
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}"]
    try:
        run_long([*command, _SUITE, str(root), uri[1]], "stand-in", say)
    except LongCommandError as exc:
        raise EngineMissingError(f"debootstrap failed: {str(exc).splitlines()[-1]}") from exc


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True)  # noqa: S603 - fixed programs
