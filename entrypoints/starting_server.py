"""What a process answers before it can serve: alive, not ready, and in one line what it waits for.

It answers on the socket that the process will serve on, so that whoever watches a container reads
the reason where it will read everything else, and nobody waits for an answer that will not come.
"""

from __future__ import annotations

import json
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Self

_PROBLEM = {
    "type": "urn:orchestrator:problem:database-unavailable",
    "title": HTTPStatus.SERVICE_UNAVAILABLE.phrase,
    "status": int(HTTPStatus.SERVICE_UNAVAILABLE),
}


class StartingServer:
    """Serves from entry to exit; the socket goes on listening afterwards.

    Args:
        listener: a socket that listens already.

    Attributes:
        detail: what the process waits for, in one line.
    """

    def __init__(self, listener: socket.socket) -> None:
        self.detail = "starting"
        handler = type("BoundHandler", (_Handler,), {"starting": self})
        self._server = ThreadingHTTPServer(
            listener.getsockname()[:2], handler, bind_and_activate=False
        )
        self._server.socket.close()
        # A copy of the descriptor: it is closed here, and the socket is not.
        self._server.socket = listener.dup()
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    starting: ClassVar[StartingServer]
    timeout = 5.0
    server_version = "orchestrator"
    sys_version = ""

    def _any(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/healthz":
            self._answer(HTTPStatus.OK, "application/json", {"status": "ok"})
            return
        detail = self.starting.detail
        if path == "/readyz":
            body: dict[str, object] = {"status": "not ready", "detail": detail}
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "application/json", body)
            return
        # What exactly is missing is for operators, not for callers.
        body = _PROBLEM | {"detail": "the service is starting"}
        self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "application/problem+json", body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _any  # noqa: N815 - the base class's names

    def _answer(self, code: HTTPStatus, content_type: str, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        if code is HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", "5")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited name
        """Health checks are no news."""
