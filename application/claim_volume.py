"""Tell whether the volume is this installation's, before anything on it is written or removed.

    no mark yet, nothing on it, nothing recorded     a new installation: it is marked
    no mark yet, and what is on it is recorded       one from before there were marks: it is marked
    no mark yet, and the two know nothing of each
    other                                            refused
    another installation's mark                      refused

The mark holds the id that the database made, not INSTALLATION_ID, which a new database may be told.
A volume that is not mounted is an empty one, and a database that is new knows of nothing: neither
may pass for the other's, or a sweep removes all contexts, and each build fails for want of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from application.drift import is_accident
from application.errors import VolumeUntrusted
from application.leftovers import ImageFolder, StoredFile


class InstallationMark(Protocol):
    """The id of an installation, on the volume."""

    @property
    def where(self) -> str:
        """Return its path, for an operator."""

    def read(self) -> str | None:
        """Return the id, None if there is none.

        Raises:
            OSError: it cannot be read.
        """

    def write(self, installation_id: str) -> None:
        """Write the id, unless another one stands there by now.

        Raises:
            OSError: it cannot be written.
        """


@dataclass(frozen=True, slots=True)
class RecordedFolders:
    """What the database says of image folders.

    Attributes:
        known: of those that were asked for, the ones whose image is or was recorded.
        expected: the ones that have to be there, whether asked for or not.
    """

    known: Collection[ImageFolder]
    expected: Collection[ImageFolder]


class FolderRecord(Protocol):
    """The installation as the database knows it."""

    def installation_id(self) -> str:
        """Return the id that its first migration made."""

    def folders(self, found: Collection[ImageFolder]) -> RecordedFolders:
        """Return what is recorded of these, and what else should be there."""


class ClaimVolume:
    """Holds volume and database against each other.

    Args:
        found: lists what is on the volume.
    """

    def __init__(
        self,
        mark: InstallationMark,
        found: Callable[[], Sequence[StoredFile]],
        record: FolderRecord,
    ) -> None:
        self._mark = mark
        self._found = found
        self._record = record

    def claim(self) -> None:
        """Mark the volume as this installation's, if it is not yet and nothing speaks against it.

        Raises:
            VolumeUntrusted: it is another's, or may be.
            OSError: the volume cannot be read, or written.
            DatabaseUnavailable: what is recorded is not known.
        """
        if self._mark.read() is None:
            self._check_unmarked()
            self._mark.write(self._record.installation_id())
        self.check()

    def check(self) -> None:
        """Look whether the volume bears this installation's mark.

        Raises:
            VolumeUntrusted, OSError, DatabaseUnavailable: as above.
        """
        marked, own = self._mark.read(), self._record.installation_id()
        if marked is None:
            raise VolumeUntrusted(
                f"no installation's mark is on the volume ({self._mark.where}): is it mounted?"
            )
        if marked != own:
            raise VolumeUntrusted(
                f"the volume is installation {marked}'s, the database {own}'s;"
                f" if it is the database's all the same, remove {self._mark.where}"
            )

    def check_contents(self) -> None:
        """Look, where something is missing on it, whether all is: then it is not the one.

        Two processes that start on a new database each mark what they find in the volume's place,
        and where it is not mounted that is an empty folder.

        Raises:
            VolumeUntrusted: as above, or images are recorded and none of them is there.
            OSError, DatabaseUnavailable: as above.
        """
        self.check()
        folders, recorded = self._compared()
        if _is_bare(folders, recorded):
            raise VolumeUntrusted(
                f"{_bareness(recorded)} though it bears the installation's mark"
                f" ({self._mark.where}): is it the one that the others use?"
            )

    def _check_unmarked(self) -> None:
        folders, recorded = self._compared()
        unknown = folders.difference(recorded.known)
        if unknown and (unknown == folders or is_accident(len(unknown), len(folders))):
            raise self._unproven(
                f"of {len(folders)} images on the volume the database does not know {len(unknown)}"
            )
        if _is_bare(folders, recorded):
            raise self._unproven(f"{_bareness(recorded)}: is it mounted?")

    def _compared(self) -> tuple[set[ImageFolder], RecordedFolders]:
        folders = {each for each in self._found() if isinstance(each, ImageFolder)}
        return folders, self._record.folders(folders)

    def _unproven(self, reason: str) -> VolumeUntrusted:
        return VolumeUntrusted(
            f"{reason} If this is its volume all the same, write"
            f" {self._record.installation_id()} into {self._mark.where}"
        )


def _is_bare(folders: Collection[ImageFolder], recorded: RecordedFolders) -> bool:
    """Whether something should be there, and nothing of it is."""
    return bool(recorded.expected) and set(folders).isdisjoint(recorded.expected)


def _bareness(recorded: RecordedFolders) -> str:
    return f"of {len(recorded.expected)} recorded images none is on the volume"
