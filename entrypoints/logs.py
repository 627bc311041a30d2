"""Structured logs: one JSON object a line on stderr, or readable lines on a terminal."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer


def configure_logs(process: str) -> None:
    """Configure structlog for a process; called once, by its `__main__`.

    Args:
        process: "api" or "worker"; bound to each line.
    """
    terminal = sys.stderr.isatty()
    # Never with local variables: they hold secrets, and what users gave us.
    exceptions: structlog.typing.Processor = (
        _unchanged if terminal else ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
    )
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if terminal
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            _naming(process),
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            exceptions,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # psycopg's pool and uvicorn log through the standard library: only what needs a human.
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s", stream=sys.stderr)


def silence_logs() -> None:
    """Let nothing be logged: a command tells its operator itself what there is to tell."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.disable(logging.CRITICAL)


def _naming(process: str) -> structlog.typing.Processor:
    """Name the process in each line: context variables would not reach its threads."""

    def name(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["process"] = process
        return event

    return name


def _unchanged(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return event
