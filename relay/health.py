"""Health and metrics over HTTP: ``/healthz``, ``/readyz``, ``/metrics``.

Ready means: a leader or a standby, with a database and a broker that answer, and nothing that keeps
the leader from publishing. An unready relay is not restarted for it: it goes on trying.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import ClassVar

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


class Role(StrEnum):
    STARTING = "starting"
    STANDBY = "standby"
    LEADER = "leader"


# A watcher that is answered says something every 7 s at the latest (`watchers.py`); this is more.
SILENCE_SECONDS = 10.0


class Watched:
    """What a watcher last said of what it watches, which holds for a while only.

    A server that hangs says nothing, and neither does the watcher that waits for it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # In one assignment: it is written by one thread and read by others, without a lock.
        self._last: tuple[str | None, float] = ("not reached yet", clock())

    def say(self, trouble: str | None) -> None:
        """Take what the watcher found; None is "it answers"."""
        self._last = (trouble, self._clock())

    @property
    def trouble(self) -> str | None:
        """Why it cannot be relied on; None if it answered a short while ago."""
        trouble, said_at = self._last
        silence = self._clock() - said_at
        if silence <= SILENCE_SECONDS:
            return trouble
        return f"no answer for {silence:.0f} s"


@dataclass(slots=True)
class Status:
    """What each part of the process last said of itself; None is "all is well".

    Each field has one writer, and is read without a lock.
    """

    role: Role = Role.STARTING
    database: Watched = field(default_factory=Watched)
    broker: Watched = field(default_factory=Watched)
    publishing: str | None = None

    @property
    def ready(self) -> bool:
        return self.role is not Role.STARTING and not (
            self.database.trouble or self.broker.trouble or self.publishing
        )

    def describe(self) -> bytes:
        return msgspec.json.encode(
            {
                "status": "ready" if self.ready else "unready",
                "role": self.role,
                "database": self.database.trouble or "ok",
                "broker": self.broker.trouble or "ok",
                "publishing": self.publishing or "ok",
            }
        )


class HealthServer:
    """Serves on its own threads from construction until ``close``."""

    def __init__(self, host: str, port: int, status: Status, registry: CollectorRegistry) -> None:
        """Bind and serve.

        Raises:
            OSError: The address cannot be bound.
        """
        handler = type("BoundHandler", (_Handler,), {"status": status, "registry": registry})
        self._server = _Server((host, port), handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without asking the name service who we are, which may take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    status: ClassVar[Status]
    registry: ClassVar[CollectorRegistry]
    server_version = "relay"
    sys_version = ""
    # A client that sends nothing must not hold its thread for ever.
    timeout = 5

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/healthz":
                self._answer(HTTPStatus.OK, b'{"status":"ok"}')
            case "/readyz":
                ready = self.status.ready
                code = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(code, self.status.describe())
            case "/metrics":
                body = generate_latest(self.registry)
                self._answer(HTTPStatus.OK, body, CONTENT_TYPE_LATEST)
            case _:
                self._answer(HTTPStatus.NOT_FOUND, b'{"status":"unknown path"}')

    def _answer(
        self, code: HTTPStatus, body: bytes, content_type: str = "application/json"
    ) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Probes every few seconds are no news."""
