"""The worker's health port: /healthz, /readyz and /metrics."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Readiness = Callable[[], dict[str, str | None]]


class HealthServer:
    """Answers on a thread of its own.

    Args:
        listener: a socket that listens already.
        readiness: names what the worker needs, each with None if it is there or what is wrong.
    """

    def __init__(self, listener: socket.socket, readiness: Readiness) -> None:
        address = listener.getsockname()
        self._server = ThreadingHTTPServer(
            address[:2], _handler(readiness), bind_and_activate=False
        )
        self._server.socket.close()
        self._server.socket = listener
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="health", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(readiness: Readiness) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5.0

        def do_GET(self) -> None:
            if self.path == "/healthz":
                self._answer(200, "application/json", b'{"status":"ok"}')
            elif self.path == "/readyz":
                needs = readiness()
                ready = not any(needs.values())
                body = {"status": "ready" if ready else "not ready", "needs": needs}
                self._answer(200 if ready else 503, "application/json", msgspec.json.encode(body))
            elif self.path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest())
            else:
                self._answer(404, "application/json", b'{"status":"unknown path"}')

        def _answer(self, code: int, content_type: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
            """Health checks are no news."""

    return Handler
