"""What `docker inspect` shows of a process that is not ready."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from entrypoints import healthcheck
from entrypoints.dev.folders import REPOSITORY
from entrypoints.dev.ports import free_ports

Answers = Callable[[int, object], int]
Check = Callable[..., tuple[int, str]]


@pytest.fixture
def answers() -> Iterator[Answers]:
    """Make a server that answers this, and return its port."""
    servers = []

    def make(code: int, body: object) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(code if self.path == "/readyz" else 404)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited
                """Nobody reads it."""

        servers.append(server := ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server.server_address[1]

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Run it with these variables; return its exit code and what it printed."""
    for name in ("PORT", "BIND_HOST"):
        monkeypatch.delenv(name, raising=False)

    def run(environment: dict[str, str], default: str = "1") -> tuple[int, str]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return healthcheck.main("PORT", default), capsys.readouterr().out

    return run


def test_ready_is_silence_and_nothing_else_of_the_project_is_needed(answers: Answers) -> None:
    script = REPOSITORY / "entrypoints" / "healthcheck.py"
    port = str(answers(200, {"status": "ready"}))

    done = subprocess.run(
        [sys.executable, "-I", "-S", script, "PORT", "1"],
        env={"PORT": port},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (
            {"status": "not ready", "needs": {"database": None, "engine": "TLS: wrong"}},
            "not ready: engine: TLS: wrong",
        ),
        (
            {"status": "not ready", "detail": "DATABASE_URL: refused", "engines": [{"id": 1}]},
            "not ready: DATABASE_URL: refused",
        ),
        (
            {
                "status": "unready",
                "role": "starting",
                "database": "refused",
                "broker": "ok",
                "publishing": "refused",
            },
            "not ready: database: refused",
        ),
        (
            {"status": "unready", "database": "refused", "broker": "timed out"},
            "not ready: database: refused; broker: timed out",
        ),
        ("no\njson", "no json"),
        ([1], "[1]"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    answers: Answers, check: Check, body: object, line: str
) -> None:
    assert check({"PORT": str(answers(503, body))}) == (1, f"{line}\n")


def test_nobody_there_is_told_with_the_address(check: Check) -> None:
    (port,) = free_ports(1)

    code, output = check({"BIND_HOST": "0.0.0.0"}, default=str(port))

    assert code == 1
    assert output.startswith(f"nobody answers at 127.0.0.1:{port}: ")
    assert output.count("\n") == 1


def test_one_that_answers_byte_by_byte_is_not_waited_for_without_end(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(healthcheck, "_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as stack:

        def answer() -> None:
            connection = stack.enter_context(server.accept()[0])
            with contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not over.wait(0.05):
                    connection.sendall(b"x")

        over = threading.Event()
        answering = threading.Thread(target=answer)
        answering.start()
        port = server.getsockname()[1]

        told = check({"PORT": str(port)})
        over.set()
        answering.join()

    assert told == (1, f"nobody answers at 127.0.0.1:{port}: no answer within 0.3 s\n")


def test_a_process_that_listens_on_one_address_is_asked_there(check: Check) -> None:
    (port,) = free_ports(1)

    _, output = check({"BIND_HOST": "127.0.0.9", "PORT": str(port)})

    assert output.startswith(f"nobody answers at 127.0.0.9:{port}: ")
