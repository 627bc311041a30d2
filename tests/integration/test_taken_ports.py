"""A port that somebody else has ends api and worker with one line that names the variable."""

import socket
import subprocess
import sys

import pytest

from entrypoints.dev.folders import REPOSITORY


@pytest.mark.parametrize(
    ("module", "variable"), [("entrypoints.http", "PORT"), ("entrypoints.worker", "WORKER_PORT")]
)
def test_a_taken_port_is_told_in_one_line(module: str, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", module],
            env={
                "DATABASE_URL": "postgresql:///nobody-is-asked",
                "AUTH_MODE": "none",
                "DEV_USER_ID": "1",
                variable: port,
            },
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert f"{variable}: cannot listen on 127.0.0.1:{port}" in ended.stderr


@pytest.mark.parametrize("module", ["entrypoints.http", "entrypoints.worker"])
def test_an_address_of_another_machine_is_no_fault_of_the_port(module: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", module],
        env={
            "DATABASE_URL": "postgresql:///nobody-is-asked",
            "AUTH_MODE": "gateway",
            "GATEWAY_SECRET": "secret",
            "BIND_HOST": "192.0.2.1",
        },
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "BIND_HOST: cannot listen on 192.0.2.1:" in ended.stderr
