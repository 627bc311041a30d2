"""A configuration under which the api would not know its callers, or itself, ends it at once."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from entrypoints.dev.folders import REPOSITORY
from entrypoints.dev.ports import free_ports

GOOD = {
    "DATABASE_URL": "postgresql:///nobody-is-asked",
    "BUILD_CONTEXT_BASE_DIR": "/nowhere",
    "AUTH_MODE": "none",
    "DEV_USER_ID": "1",
}


@dataclass(frozen=True)
class Wrong:
    """What is changed in a good environment, and the variable that has to be named."""

    change: Mapping[str, str]
    named: str


CASES = {
    "no database": Wrong({"DATABASE_URL": ""}, "DATABASE_URL"),
    "a database that is no URL": Wrong({"DATABASE_URL": "secret-word"}, "DATABASE_URL"),
    "no way to know the caller": Wrong({"AUTH_MODE": ""}, "AUTH_MODE"),
    "an unknown way": Wrong({"AUTH_MODE": "jwt\ntoken"}, "AUTH_MODE"),
    "no developer": Wrong({"DEV_USER_ID": ""}, "DEV_USER_ID"),
    "a malformed developer": Wrong({"DEV_USER_ID": "../1"}, "DEV_USER_ID"),
    "a developer for the whole network": Wrong({"BIND_HOST": "0.0.0.0"}, "BIND_HOST"),
    "a gateway without a secret": Wrong({"AUTH_MODE": "gateway"}, "GATEWAY_SECRET"),
    "a port out of range": Wrong({"PORT": "65536"}, "PORT"),
    "a size that is no number": Wrong({"MAX_UPLOAD_BYTES": "1g"}, "MAX_UPLOAD_BYTES"),
    "a ceiling that is no number": Wrong({"MAX_CPU_LIMIT": "many"}, "MAX_CPU_LIMIT"),
}


@pytest.fixture(scope="module")
def processes() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All of them at once: each takes a second to import itself."""
    started = {name: _start(case.change) for name, case in CASES.items()}
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_setting_ends_the_api_with_one_line_that_names_it(
    processes: dict[str, subprocess.Popen[str]], name: str
) -> None:
    out, err = processes[name].communicate(timeout=60)

    assert processes[name].returncode == 2
    assert out == ""
    assert len(err.splitlines()) == 1, err
    assert CASES[name].named in err
    assert "secret-word" not in err


def _start(change: Mapping[str, str]) -> subprocess.Popen[str]:
    ours = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    paths = [str(REPOSITORY), *filter(None, [ours["PYTHONPATH"]])]
    return subprocess.Popen(
        [sys.executable, "-m", "entrypoints.http"],
        env={**GOOD, "PYTHONPATH": os.pathsep.join(paths), **change},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_volume_that_cannot_be_written_ends_the_api_with_one_line(module_database: str) -> None:
    (port,) = free_ports(1)
    process = _start(
        {
            "DATABASE_URL": module_database,
            "BUILD_CONTEXT_BASE_DIR": "/dev/null/x",
            "PORT": str(port),
        }
    )

    out, err = process.communicate(timeout=60)

    assert (process.returncode, out) == (1, "")
    assert len(err.splitlines()) == 1, err
    assert "BUILD_CONTEXT_BASE_DIR" in err
