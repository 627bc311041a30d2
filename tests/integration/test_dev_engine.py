"""The Docker Engine of development and tests."""

import contextlib
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from entrypoints.dev.engine import found_engine
from entrypoints.dev.engine_packages import EngineMissingError, missing_packages, newer_source
from entrypoints.dev.ports import free_ports
from entrypoints.dev.private_engine import Engine, engine_answers
from entrypoints.dev.scratch_image import write_scratch_context


def _docker(host: str, *arguments: str) -> str:
    done = subprocess.run(
        ["docker", "--host", host, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _page(port: int) -> bytes:
    """Fetch the page as soon as the container serves it."""
    while True:
        with (
            contextlib.suppress(OSError),  # a refused connection is one, as is every URLError
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer,
        ):
            return bytes(answer.read())


@pytest.fixture
def private_engine(engine_host: str) -> Iterator[Engine]:
    """An engine that may be killed; `engine_host` says whether there can be one at all."""
    if os.geteuid() != 0 or missing_packages(daemon=True):
        pytest.skip("a private engine needs root and Docker's packages")
    with Engine() as engine:
        yield engine


def test_the_engine_answers(engine_host: str) -> None:
    assert engine_answers(engine_host)
    assert _docker(engine_host, "version", "--format", "{{.Server.Version}}")


def test_a_private_engine_builds_runs_survives_a_kill_and_leaves_nothing(
    private_engine: Engine, tmp_path: Path
) -> None:
    host = private_engine.host
    [port] = free_ports(1)
    context = write_scratch_context(tmp_path, page="hello from scratch\n")

    _docker(host, "buildx", "build", "--load", "--tag", "scratch:test", str(context))
    published = ("--publish", f"127.0.0.1:{port}:8080")
    container = _docker(host, "run", "--detach", *published, "scratch:test")
    served = _page(port)
    private_engine.kill()
    private_engine.start()
    _docker(host, "start", container)
    served_again = _page(port)
    private_engine.stop()

    assert served == served_again == b"hello from scratch\n"
    assert _processes_naming(private_engine._runtime.name) == []
    assert private_engine._runtime.name not in Path("/proc/self/mountinfo").read_text()
    assert not Path(f"/sys/class/net/{private_engine._bridge}").exists()
    assert not private_engine._home.path.exists()


def test_a_docker_host_without_an_engine_is_refused_in_one_line(
    engine_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")

    with pytest.raises(EngineMissingError, match=r"\ADOCKER_HOST is .*no Docker Engine.*\Z"):
        found_engine()


_DEB822 = """\
# a comment
Types: deb
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /keys.gpg

Types: deb
URIs: http://mirror.test/security
Suites: bookworm-security
"""
_ONE_LINE = """\
# deb http://wrong.test/debian bookworm main
deb http://mirror.test/security bookworm-security main
deb [arch=amd64 signed-by=/keys.gpg] http://mirror.test/debian bookworm main contrib
"""
_SIGNED = "Signed-By: /keys.gpg\n"


@pytest.mark.parametrize(
    ("name", "text", "keys"),
    [
        ("debian.sources", _DEB822, _SIGNED),
        ("debian.list", _ONE_LINE, _SIGNED),
        ("debian.list", "deb http://mirror.test/debian bookworm main\n", ""),
    ],
    ids=["deb822", "one line", "one line without options"],
)
def test_the_source_of_debian_13_is_that_of_debian_12_with_another_suite(
    tmp_path: Path, name: str, text: str, keys: str
) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / name).write_text(text)

    source = newer_source(tmp_path)

    assert source.rstrip("\n").splitlines() == [
        "Types: deb",
        "URIs: http://mirror.test/debian",
        "Suites: trixie",
        "Components: main",
        *keys.splitlines(),
    ]


def test_without_a_source_of_debian_12_nothing_is_guessed(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://mirror.test/debian sid main\n")

    with pytest.raises(EngineMissingError, match="by hand"):
        newer_source(tmp_path)


def _processes_naming(text: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            argv = path.read_bytes().decode(errors="replace")
            found += [argv] if text in argv else []
    return found
