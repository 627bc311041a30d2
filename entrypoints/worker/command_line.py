"""The operator's commands as they are typed: `python -m entrypoints.worker COMMAND …`.

Whatever is wrong is told in one line on standard error that begins with `worker: `. Exit codes: 0
done; 1 database or engine did not do their part, or an audit found differences; 2 a bad argument, a
wrong state or a wrong setting, and nothing changed; 128 + n ended by signal n (or, for 141, by a
reader that went away).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from typing import NoReturn, Protocol

from entrypoints.settings import InvalidSettings
from entrypoints.worker.commands.audit import DEFAULT_SETTLE_SECONDS, Audit
from entrypoints.worker.commands.engines import Engines
from entrypoints.worker.commands.errors import CommandError, Refused
from entrypoints.worker.commands.interruption import Interrupted, Interruption
from entrypoints.worker.commands.lost import Lost
from entrypoints.worker.commands.output import make_tolerant, printable, tell
from entrypoints.worker.commands.restored import Restored
from entrypoints.worker.commands.sweep import Sweep
from entrypoints.worker.commands.trust import Trust

_MOST_REASON = 1_000
_MOST_ENGINE_ID = 128
_MOST_SETTLE_SECONDS = 3600.0


class Command(Protocol):
    def run(self, environment: Mapping[str, str]) -> None:
        """Do it and tell the outcome; what keeps it from it is raised."""


def run_command(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Do what was typed; return the exit code."""
    make_tolerant()
    try:
        with Interruption():
            parse(arguments).run(environment)
    except CommandError as exc:
        return _fail(str(exc), exc.exit_code)
    except InvalidSettings as exc:
        return _fail(str(exc), Refused.exit_code)
    except Interrupted as exc:
        return _fail(str(exc), exc.exit_code)
    return 0


def parse(arguments: Sequence[str]) -> Command:
    """Return what was typed.

    Raises:
        Refused: it is no command, or not the way one is called.
        SystemExit: it asked for help, which was given.
    """
    given = _parser().parse_args(arguments)
    match given.command:
        case "audit":
            return Audit(given.settle, given.allow_unaudited)
        case "sweep":
            return Sweep(given.dry_run, given.force)
        case "engines":
            return Engines()
        case "trust":
            return Trust(given.engine_id)
        case "lost":
            return Lost(given.engine_id, given.reason)
        case _:
            return Restored(given.force)


def _fail(reason: str, code: int) -> int:
    if reason:
        tell(f"worker: {reason}")
    return code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Refused(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m entrypoints.worker",
        description="Without a command: carry out what is wished, and repair what differs.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, purpose: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=purpose, description=purpose, allow_abbrev=False)

    audit = add("audit", "Hold ledger, state, engine and volume against each other.")
    audit.add_argument(
        "--settle",
        metavar="SECONDS",
        type=_settle,
        default=DEFAULT_SETTLE_SECONDS,
        help="how long what is in flight may take to settle (10)",
    )
    audit.add_argument(
        "--allow-unaudited",
        action="store_true",
        help="succeed though an engine that holds something is not the one at DOCKER_HOST",
    )
    sweep = add("sweep", "Remove what crashes left behind on the volume and in Docker.")
    sweep.add_argument("--dry-run", action="store_true", help="show it, and change nothing")
    sweep.add_argument(
        "--force", action="store_true", help="though the database does not know much of it"
    )
    add("engines", "The engines, a line each.")
    trust = add("trust", "End an engine's quarantine; the next pass acts on what it finds.")
    trust.add_argument("engine_id", metavar="ENGINE_ID", type=_engine_id)
    lost = add("lost", "Declare an engine gone for good, with all that was on it.")
    lost.add_argument("engine_id", metavar="ENGINE_ID", type=_engine_id)
    lost.add_argument(
        "--reason", metavar="TEXT", type=_reason, required=True, help="kept with the engine"
    )
    restored = add("restored", "Raise sequences and ids after a database backup came back.")
    restored.add_argument(
        "--force", action="store_true", help="though api, workers or relays are connected"
    )
    return parser


def _settle(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _MOST_SETTLE_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{printable(text)!r} is no number of seconds up to {_MOST_SETTLE_SECONDS:g}"
        )
    return seconds


def _engine_id(text: str) -> str:
    engine_id = _text(text)
    if not 1 <= len(engine_id) <= _MOST_ENGINE_ID:
        raise argparse.ArgumentTypeError(f"expected 1 to {_MOST_ENGINE_ID} characters")
    return engine_id


def _reason(text: str) -> str:
    reason = _text(text).strip()
    if not reason or len(reason) > _MOST_REASON:
        raise argparse.ArgumentTypeError(f"expected 1 to {_MOST_REASON} characters")
    return reason


def _text(text: str) -> str:
    """Refuse what came as bytes that are no text; PostgreSQL would, and a NUL as well."""
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise argparse.ArgumentTypeError(f"{printable(text)!r} is not valid UTF-8") from exc
    if "\0" in text:
        raise argparse.ArgumentTypeError("a NUL is no character of a text")
    return text
