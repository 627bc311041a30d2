"""Which Docker Engine development and tests use.

`DOCKER_HOST`; else the engine of the docker client's current context, if it answers; else, only as
root on Debian or Ubuntu, a private one, whose packages are installed first; else one line that says
what to install.

`python -m entrypoints.dev.engine run` runs a private engine until a signal ends it, and `prepare`
installs what is missing, for callers that cannot ask, such as tests.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from entrypoints.dev.engine_packages import (
    EngineMissingError,
    Packages,
    distribution,
    install_packages,
    missing_packages,
    plugin_works,
)
from entrypoints.dev.guarded_process import ServerStartError
from entrypoints.dev.private_engine import Engine, engine_answers


@dataclass(frozen=True, slots=True)
class GivenEngine:
    """An engine that somebody else runs."""

    host: str


@contextlib.contextmanager
def docker_engine(
    name: str | None = None, *, install: bool = True, say: Callable[[str], None] = print
) -> Iterator[str]:
    """Yield the DOCKER_HOST of what `chosen_engine` yields."""
    with chosen_engine(name, install=install, say=say) as engine:
        yield engine.host


@contextlib.contextmanager
def chosen_engine(
    name: str | None = None, *, install: bool = True, say: Callable[[str], None] = print
) -> Iterator[Engine | GivenEngine]:
    """Yield an engine with BuildKit; end it if it is a private one.

    Args:
        name: As for `Engine`, should it be a private one.
        install: Whether packages may be installed; else a missing one is an error.
        say: Is told in one line which engine it is, and what is installed.

    Raises:
        EngineMissingError: there is none, and none may be made.
        ServerStartError: the private engine did not start.
    """
    host = prepare_engine(install=install, say=say)
    if host is not None:
        say(f"Docker: the engine at {host}")
        yield GivenEngine(host)
        return
    with Engine(name) as engine:
        say(f"Docker: a private engine at {engine.host}")
        yield engine


def found_engine() -> str | None:
    """Return the DOCKER_HOST of the engine that is there already, None without one.

    Raises:
        EngineMissingError: DOCKER_HOST is set, but nothing answers there.
    """
    given = os.environ.get("DOCKER_HOST")
    if given:
        if shutil.which("docker") and not engine_answers(given):
            raise EngineMissingError(f"DOCKER_HOST is {given}, but no Docker Engine answers there")
        return given
    host = _context_host()
    return host if host and engine_answers(host) else None


def prepare_engine(*, install: bool = True, say: Callable[[str], None] = print) -> str | None:
    """Install what is missing; return as `found_engine`: None means that one can be started.

    Raises:
        EngineMissingError: something is missing that may not or cannot be installed.
    """
    host = found_engine()
    if host is None:
        prepare_private_engine(install=install, say=say)
    elif not plugin_works("buildx"):
        _complete(missing_packages(daemon=False), install=install, say=say)
    return host


def prepare_private_engine(*, install: bool = True, say: Callable[[str], None] = print) -> None:
    """Install what a private engine needs.

    Raises:
        EngineMissingError: not root, or not Debian or Ubuntu, or the user refused.
    """
    if os.geteuid() != 0 or not distribution()[0]:
        raise EngineMissingError(
            "no Docker Engine: install Docker with buildx and start it, or set DOCKER_HOST"
        )
    _complete(missing_packages(daemon=True), install=install, say=say)


def _complete(packages: Packages, *, install: bool, say: Callable[[str], None]) -> None:
    if install:
        install_packages(packages, say)
    elif packages:
        raise EngineMissingError(f"Docker is not complete here: install {packages}")


def _context_host() -> str | None:
    docker = shutil.which("docker")
    if docker is None:
        return None
    shown = subprocess.run(  # noqa: S603 - the docker client
        [docker, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return shown.stdout.strip() or None if shown.returncode == 0 else None


def main(command: str) -> None:
    """Carry out `run` or `prepare`; one line and exit code 1 if that cannot be."""
    try:
        if command == "run":
            _run()
        else:
            prepare_engine()
    except (EngineMissingError, ServerStartError) as error:
        sys.exit(str(error))


def _run() -> None:
    ends = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    prepare_private_engine(say=lambda line: print(f"# {line}", flush=True))  # noqa: T201 - a command
    with Engine() as engine:
        print(f"DOCKER_HOST={engine.host}", flush=True)  # noqa: T201 - what it is started for
        signal.sigwait(ends)


if __name__ == "__main__":
    if sys.argv[1:] not in (["run"], ["prepare"]):
        sys.exit("usage: python -m entrypoints.dev.engine run|prepare")
    main(sys.argv[1])
