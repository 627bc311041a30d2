"""`python -m entrypoints.http`: serve REST until SIGTERM, then answer what waits and end."""

from __future__ import annotations

import socket
import sys
from types import FrameType

import structlog
import uvicorn

from entrypoints.composition.api import Api
from entrypoints.http.app import create_app
from entrypoints.logs import configure_logs
from entrypoints.settings import InvalidSettings, Settings, load_settings
from entrypoints.start_up import StartRefused, end_on_signals, listening_socket, open_storage

# Requests that wait for an outcome are answered at once; the rest has this long to finish.
GRACEFUL_SECONDS = 2

log = structlog.get_logger("api")


class Server(uvicorn.Server):
    """Ends the waits when the process is asked to end, or it would wait for them."""

    def __init__(self, config: uvicorn.Config, api: Api) -> None:
        super().__init__(config)
        self._api = api

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            log.info("api serves", addresses=[bound.getsockname() for bound in sockets or ()])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._api.waiter().close()
        super().handle_exit(sig, frame)


def main() -> int:
    end_on_signals()
    configure_logs("api")
    try:
        settings = load_settings()
        settings.check_api()
        api = Api(settings=settings, application_name="orchestrator-api")
        listener = listening_socket(settings.bind_host, settings.port, variable="PORT")
        open_storage(api, settings, listener)
    except (InvalidSettings, StartRefused) as exc:
        print(f"api: {exc}", file=sys.stderr)  # noqa: T201 - the one line the operator reads
        return 2 if isinstance(exc, InvalidSettings) else 1
    _serve(api, settings, listener)
    api.pool().close(timeout=1.0)
    return 0


def _serve(api: Api, settings: Settings, listener: socket.socket) -> None:
    config = uvicorn.Config(
        create_app(api, settings),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    Server(config, api).run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
