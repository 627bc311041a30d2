"""The tree on disk that entries are written into, and what is known of it.

No path is ever handed to the kernel as a whole: folders are opened one below the other without
following links, files are created exclusively in the folder that is open, and links come last.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from adapters.archive.durability import sync_file_system
from adapters.archive.entries import Entry, EntryKind, check_text, path_of, refused, shown
from adapters.archive.limits import ArchiveLimits
from adapters.archive.symlinks import LinkResolver
from application.errors import InvalidArchive

FOLDER_MODE = 0o755
FILE_MODE = 0o644
EXECUTABLE_MODE = 0o755

OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
CREATE_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

DOCKERFILE = "Dockerfile"

# Left at an archive's root by macOS, beside the folder that was packed.
NOISE_NAMES = frozenset({"__MACOSX", ".DS_Store"})
NOISE_PREFIX = "._"

# Components followed for all links together, for each entry allowed.
LINK_STEPS_PER_ENTRY = 20


class ContextTree:
    """Writes entries below a folder that exists and is empty.

    macOS's noise at the root (`__MACOSX`, `.DS_Store`, `._*`) is checked and counted like every
    entry but not written, so that it neither reaches a build nor hides a single top folder.
    """

    def __init__(self, folder: Path, limits: ArchiveLimits) -> None:
        self._limits = limits
        self._entries_left = limits.entries
        self._kinds: dict[str, EntryKind] = {}
        self._links: dict[str, str] = {}
        self._open_names: list[str] = []
        self._open_fds = [os.open(folder, OPEN_FOLDER)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._open_fds:
            os.close(self._open_fds.pop())

    def add(self, entry: Entry) -> None:
        """Write an entry; a link is only taken note of.

        Raises:
            InvalidArchive: if its name is unsafe, taken, or below something that is no folder, or
                there are too many entries.
        """
        self._count()
        parts = path_of(entry.name, self._limits)
        if not parts:
            if entry.kind is not EntryKind.FOLDER:
                raise refused(entry.name, "stands for the root but is no folder")
            return
        if parts[0] in NOISE_NAMES or parts[0].startswith(NOISE_PREFIX):
            return
        if entry.kind is EntryKind.FOLDER:
            self._descend(parts, entry.name)
            return
        folder = self._descend(parts[:-1], entry.name)
        path = "/".join(parts)
        if path in self._kinds:
            raise refused(entry.name, "appears twice")
        self._kinds[path] = entry.kind
        if entry.kind is EntryKind.LINK:
            check_text(entry.name, entry.target, self._limits)
            self._links[path] = entry.target
        else:
            _write(folder, parts[-1], entry.content, executable=entry.executable)

    def finish(self) -> tuple[str, ...]:
        """Make the links and make all of it durable; return the context's root, () or (top,).

        Raises:
            InvalidArchive: if there is nothing, no Dockerfile, or a link that leads outside.
        """
        if not self._kinds:
            raise InvalidArchive("the archive is empty")
        root = self._root()
        dockerfile = "/".join((*root, DOCKERFILE))
        if self._kinds.get(dockerfile) is not EntryKind.FILE:
            where = f"its only top folder {shown(root[0])}" if root else "its root"
            raise InvalidArchive(f"the archive has no file named Dockerfile in {where}")
        resolver = LinkResolver(self._links, root, LINK_STEPS_PER_ENTRY * self._limits.entries)
        for path in self._links:
            resolver.check(path)
        for path, target in self._links.items():
            *parents, name = path.split("/")
            os.symlink(target, name, dir_fd=self._descend(tuple(parents), path))
        sync_file_system(self._open_fds[0])
        return root

    def _root(self) -> tuple[str, ...]:
        tops = [path for path in self._kinds if "/" not in path]
        if len(tops) == 1 and self._kinds[tops[0]] is EntryKind.FOLDER:
            return (tops[0],)
        return ()

    def _descend(self, parts: tuple[str, ...], entry_name: str) -> int:
        """Return the descriptor of a folder, made if need be, keeping those above it open."""
        shared = 0
        while shared < min(len(parts), len(self._open_names)):
            if parts[shared] != self._open_names[shared]:
                break
            shared += 1
        while len(self._open_names) > shared:
            self._open_names.pop()
            os.close(self._open_fds.pop())
        for name in parts[shared:]:
            path = "/".join((*self._open_names, name))
            kind = self._kinds.get(path)
            if kind not in {None, EntryKind.FOLDER}:
                raise refused(entry_name, f"needs a folder at {shown(path)}, which is none")
            if kind is None:
                self._count()
                os.mkdir(name, FOLDER_MODE, dir_fd=self._open_fds[-1])
                self._kinds[path] = EntryKind.FOLDER
            self._open_fds.append(os.open(name, OPEN_FOLDER, dir_fd=self._open_fds[-1]))
            self._open_names.append(name)
            if kind is None:
                os.fchmod(self._open_fds[-1], FOLDER_MODE)
        return self._open_fds[-1]

    def _count(self) -> None:
        self._entries_left -= 1
        if self._entries_left < 0:
            raise InvalidArchive(f"the archive has more than {self._limits.entries} entries")


def _write(folder: int, name: str, content: Iterable[bytes], *, executable: bool) -> None:
    descriptor = os.open(name, CREATE_FILE, 0o600, dir_fd=folder)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        for data in content:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
        os.fchmod(descriptor, EXECUTABLE_MODE if executable else FILE_MODE)
