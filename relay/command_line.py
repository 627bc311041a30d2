"""The operator's commands as they are typed: ``python -m relay COMMAND …``.

Whatever is wrong is told in one line on standard error that begins with ``relay: ``. Exit codes: 0
done, 1 database or broker did not do their part, 2 a bad argument, a wrong state or a wrong setting
and nothing changed, 128 + n ended by signal n (or, for 141, by a reader that went away).
"""

import argparse
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn, Protocol

from relay.commands.blocked import Blocked
from relay.commands.errors import CommandError, Refused
from relay.commands.output import make_tolerant, printable, tell
from relay.commands.prune import Prune
from relay.commands.release import Release
from relay.commands.replay import Replay
from relay.commands.selection import Selection
from relay.commands.skip import Skip
from relay.commands.status import Status
from relay.settings import SettingsError

_EVENT_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ID = re.compile(r"[1-9][0-9]{0,18}")
_MAX_ID = 2**63 - 1
# As the service has it: a user is a name in lower case.
_USER = re.compile(r"(?=.{1,64}\Z)[a-z0-9]+(?:-[a-z0-9]+)*")
# Kafka's own grammar.
_TOPIC = re.compile(r"(?!\.{1,2}\Z)[a-zA-Z0-9._-]{1,249}")
_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_MOST_REASON = 1_000
_HELP = ("-h", "--help")


class Command(Protocol):
    def run(self, environment: Mapping[str, str]) -> None:
        """Do it and tell the outcome; what keeps it from it is raised."""


def run_command(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Do what was typed; return the exit code."""
    make_tolerant()
    try:
        parse(arguments).run(environment)
    except CommandError as exc:
        return _fail(str(exc), exc.exit_code)
    except SettingsError as exc:
        return _fail(str(exc), Refused.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    return 0


def parse(arguments: Sequence[str]) -> Command:
    """Return what was typed.

    Raises:
        Refused: It is no command, or not the way one is called.
        SystemExit: It asked for help, which was given.
    """
    if arguments[0].startswith("-") and arguments[0] not in _HELP:
        raise Refused(f"there is no option {arguments[0]}: expected a command, see --help")
    given = _parser().parse_args(arguments)
    match given.command:
        case "status":
            return Status()
        case "blocked":
            return Blocked()
        case "release":
            return Release(given.stream)
        case "skip":
            return Skip(given.event_id, given.reason)
        case "replay":
            return Replay(_selection(given), given.to_topic)
        case _:
            return Prune(given.before, given.dry_run)


def _selection(given: argparse.Namespace) -> Selection:
    selection = Selection(
        container=given.container,
        image=given.image,
        user=given.user,
        since=given.since,
        until=given.until,
    )
    if selection == Selection():
        raise Refused("replay needs one of --container, --image, --user, --since, --until")
    if selection.since and selection.until and selection.since >= selection.until:
        raise Refused("--since is not before --until")
    return selection


def _fail(reason: str, code: int) -> int:
    if reason:
        tell(f"relay: {reason}")
    return code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Refused(message)


class _Once(argparse.Action):
    """Stores a value, and refuses a second one instead of forgetting the first."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        value: Any,
        _option: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            raise argparse.ArgumentError(self, "may be given once only")
        setattr(namespace, self.dest, value)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m relay",
        description="Without a command: publish the outbox to Kafka.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, purpose: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=purpose, description=purpose, allow_abbrev=False)
        command.register("action", None, _Once)  # what an option is that names no other action
        return command

    add("status", "Who leads, what is pending, how far the ledger can be read.")
    add("blocked", "The streams that wait for release or skip, a line each.")
    release = add("release", "Let a blocked stream be tried again.")
    release.add_argument("stream", metavar="STREAM", type=_text, help="e.g. container/7")
    skip = add("skip", "Leave the event that blocks its stream out for good.")
    skip.add_argument("event_id", metavar="EVENT_ID", type=_event_id)
    skip.add_argument(
        "--reason", metavar="TEXT", type=_reason, required=True, help="kept in the ledger"
    )
    replay = add("replay", "Send events of the ledger again, to a topic of its own.")
    replay.add_argument("--container", metavar="ID", type=_id, help="of the service, not of Docker")
    replay.add_argument("--image", metavar="ID", type=_id, help="and all of its containers")
    replay.add_argument("--user", metavar="ID", type=_user)
    replay.add_argument("--since", metavar="TIME", type=_moment, help="RFC 3339; inclusive")
    replay.add_argument("--until", metavar="TIME", type=_moment, help="RFC 3339; exclusive")
    replay.add_argument("--to-topic", metavar="TOPIC", type=_topic, required=True)
    prune = add("prune", "Remove the history of what was deleted before a moment.")
    prune.add_argument(
        "--before", metavar="TIME", type=_moment, required=True, help="RFC 3339 with an offset"
    )
    prune.add_argument("--dry-run", action="store_true", help="count, and change nothing")
    return parser


def _id(text: str) -> int:
    if not _ID.fullmatch(text) or int(text) > _MAX_ID:
        raise argparse.ArgumentTypeError(f"{text!r} is not an id")
    return int(text)


def _user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a user's id")
    return text


def _topic(text: str) -> str:
    if not _TOPIC.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a topic's name")
    return text


def _event_id(text: str) -> str:
    """Take the canonical form alone: it is what the relay shows, and what it is compared with."""
    if not _EVENT_ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an event id")
    return text.lower()


def _moment(text: str) -> datetime:
    try:
        if not _MOMENT.fullmatch(text):
            raise ValueError(text)  # noqa: TRY301 - malformed is told like impossible
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time with an offset, such as 2026-01-31T12:00:00Z"
        ) from exc


def _reason(text: str) -> str:
    reason = _text(text).strip()
    if not reason or len(reason) > _MOST_REASON:
        raise argparse.ArgumentTypeError(f"expected 1 to {_MOST_REASON} characters")
    return reason


def _text(text: str) -> str:
    """Refuse what came as bytes that are no text; PostgreSQL would."""
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise argparse.ArgumentTypeError(f"{printable(text)!r} is not valid UTF-8") from exc
    return text
