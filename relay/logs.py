"""Structured logs: one JSON object a line on stdout, librdkafka's lines among them."""

import logging
import re
import sys
import time

import structlog
from structlog.tracebacks import ExceptionDictTransformer

CLIENT_LOGGER = "librdkafka"

# A broker that is away is reported at every attempt to connect, several times a second.
_REPEAT_SECONDS = 30.0
_DIGITS = re.compile(r"\d+")


def configure_logs(level: str) -> logging.Logger:
    """Set up the logs of the process; return the logger to give to Kafka clients."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            _name_process,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Without the frames' variables: options hold passwords, events hold payloads.
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_ToStructlog()]
    root.setLevel(logging.WARNING)
    client = logging.getLogger(CLIENT_LOGGER)
    client.addFilter(_OncePer(_REPEAT_SECONDS))
    return client


class ClientLog:
    """What one Kafka client writes its lines to; ``muted`` when nobody wants them any more."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self.muted = False

    def log(self, level: int, text: str, *arguments: str) -> None:
        """Take a line; the binding calls it from within `poll` and `flush`."""
        if not self.muted:
            self._log.log(level, text, *arguments)


def _name_process(
    _logger: object, _method: str, fields: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {**fields, "process": "relay"}


class _ToStructlog(logging.Handler):
    """Hands what libraries log over to structlog, their text as a field."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger()
        log.log(record.levelno, "library log", library=record.name, detail=record.getMessage())


class _OncePer(logging.Filter):
    """Lets a text through once in a while; texts that differ in numbers alone are the same."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        text = _DIGITS.sub("#", record.getMessage())
        now = time.monotonic()
        if now - self._last.get(text, -self._seconds) < self._seconds:
            return False
        # Forgetting all of them now and then is cheaper than remembering each for ever.
        if len(self._last) > 1_000:  # noqa: PLR2004 - any bound will do
            self._last.clear()
        self._last[text] = now
        return True
