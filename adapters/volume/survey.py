"""What is on the volume, for an audit: read, and never changed."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from adapters.volume.context_store import INCOMING
from application.audit.audit_volume import VolumeRecord
from domain.names import USER_ID


class VolumeSurvey:
    """Surveys the folder of all contexts.

    Args:
        base: BUILD_CONTEXT_BASE_DIR.
    """

    def __init__(self, base: Path) -> None:
        self._base = base

    def survey(self, contexts: Collection[str]) -> VolumeRecord:
        """Look which of the contexts are there, and how old everything is that is ours.

        Raises:
            OSError: the volume cannot be read.
        """
        now = time.time()
        users = [entry for entry in _entries(self._base) if USER_ID.fullmatch(entry.name)]
        return VolumeRecord(
            contexts={each for each in contexts if (self._base / each).is_dir()},
            homes={
                (user.name, int(home.name)): now - modified
                for user in users
                for home, modified in _dated(user)
                if _is_id(home.name)
            },
            incoming={
                entry.name: now - modified for entry, modified in _dated(self._base / INCOMING)
            },
        )


def _entries(folder: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _dated(folder: Path | os.DirEntry[str]) -> Iterator[tuple[os.DirEntry[str], float]]:
    """Yield what is in a folder with its time of modification; what vanishes meanwhile is gone."""
    with suppress(FileNotFoundError, NotADirectoryError):
        for entry in _entries(folder):
            with suppress(FileNotFoundError):
                yield entry, entry.stat(follow_symlinks=False).st_mtime


def _is_id(name: str) -> bool:
    return name.isascii() and name.isdigit() and not name.startswith("0")
