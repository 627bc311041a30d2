"""One entry of an archive, whatever its format, and the rules for its name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from adapters.archive.limits import ArchiveLimits
from application.errors import InvalidArchive

# A message holds at most so many characters of a name.
SHOWN_CHARACTERS = 80

WINDOWS_ROOT = re.compile(r"\\|[A-Za-z]:\\")
SEPARATORS = re.compile(r"[/\\]")


class EntryKind(Enum):
    """What an entry becomes; anything else is refused by the readers."""

    FILE = auto()
    FOLDER = auto()
    LINK = auto()


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as the archive has it.

    Attributes:
        name: its path, not yet checked.
        content: a file's bytes, to be read before the next entry is asked for; it raises
            InvalidArchive where the archive is broken.
        target: what a link points to, not yet checked.
    """

    name: str
    kind: EntryKind
    content: Iterator[bytes]
    executable: bool = False
    target: str = ""


def shown(name: str) -> str:
    """Return `name` as it may appear in a message: one printable line, shortened, in quotes."""
    cut = name[:SHOWN_CHARACTERS]
    text = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut
    )
    return f"'{text[:SHOWN_CHARACTERS]}…'" if text != name else f"'{text}'"


def refused(name: str, why: str) -> InvalidArchive:
    """Return the refusal of the entry `name`."""
    return InvalidArchive(f"the entry {shown(name)} {why}")


def path_of(name: str, limits: ArchiveLimits) -> tuple[str, ...]:
    """Return the components of an entry's name; none for the root itself.

    Components are compared, not searched for patterns: `..foo` and `+page.svelte` are names like
    any other.

    Raises:
        InvalidArchive: for an absolute name, one that climbs, one that a file system could not
            hold or a terminal should not show, or one beyond the limits.
    """
    check_text(name, name, limits)
    if name.startswith("/"):
        raise refused(name, "has an absolute name")
    if ".." in name.split("/"):
        raise refused(name, "has '..' in its name")
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if len(parts) > limits.path_depth:
        raise refused(name, f"is nested deeper than {limits.path_depth} folders")
    if any(len(part.encode()) > limits.name_bytes for part in parts):
        raise refused(name, f"has a component longer than {limits.name_bytes} bytes")
    return parts


def check_text(name: str, text: str, limits: ArchiveLimits) -> None:
    """Refuse the entry `name` for `text`, its name or its link target.

    Raises:
        InvalidArchive: if it is empty, too long, not UTF-8, holds control characters, or climbs or
            starts at a root when backslashes are read as separators.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as exc:
        raise refused(name, "has a name or target that is not valid UTF-8") from exc
    if not text:
        raise refused(name, "has an empty name or target")
    if size > limits.path_bytes:
        raise refused(name, f"has a name or target longer than {limits.path_bytes} bytes")
    if any(unicodedata.category(c) == "Cc" for c in text):
        raise refused(name, "has control characters in its name or target")
    if "\\" in text and (WINDOWS_ROOT.match(text) or ".." in SEPARATORS.split(text)):
        raise refused(name, "has backslashes that lead out of the folder")
