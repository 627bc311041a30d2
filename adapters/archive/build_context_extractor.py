"""Turns an uploaded archive into a build context.

The archive is extracted beside the destination and renamed into place when it is complete and
durable: whoever sees the destination sees all of it. After a refusal nothing is left; after a
crash only a folder named `.<destination>.extracting`.

    file -> format by content -> entries, one by one -> ContextTree -> links, syncfs -> rename
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from adapters.archive.byte_streams import PlainStream, bunzipped, gunzipped, unxzed
from adapters.archive.context_tree import ContextTree
from adapters.archive.durability import sync_folder
from adapters.archive.entries import Entry
from adapters.archive.limits import ArchiveLimits, Budget
from adapters.archive.tar_entries import BLOCK_BYTES, is_tar_header, tar_entries
from adapters.archive.zip_directory import END_SIGNATURE
from adapters.archive.zip_entries import LOCAL_SIGNATURE, zip_entries
from adapters.volume.disk_space import full_disk_translated
from application.errors import InvalidArchive

GZIP_MAGIC = b"\x1f\x8b"
BZIP2_MAGIC = b"BZh"
XZ_MAGIC = b"\xfd7zXZ\x00"

UNKNOWN_FORMAT = "the file is no zip, tar, tar.gz, tar.bz2 or tar.xz archive"


class BuildContextExtractor:
    """Extracts zip, tar, tar.gz, tar.bz2 and tar.xz, told apart by content.

    Regular files (executable or not), folders and symbolic links that stay inside are extracted;
    anything else is refused. A single top folder is stripped, so links have to stay inside of it.
    """

    def __init__(self, limits: ArchiveLimits | None = None) -> None:
        self._limits = limits or ArchiveLimits()

    def extract(self, archive: Path, destination: Path) -> None:
        """Extract `archive` into `destination`, which must not exist, and make it durable.

        Raises:
            InvalidArchive: it is unreadable, unsafe, beyond the limits or has no Dockerfile;
                nothing is left behind.
            FileExistsError: something is at the destination already; it is left alone.
            InsufficientStorage: the disk is full; nothing is left behind.
            OSError: the disk failed; nothing is left behind.
        """
        with full_disk_translated():
            self._extract(archive, destination)

    def _extract(self, archive: Path, destination: Path) -> None:
        if os.path.lexists(destination):
            raise FileExistsError(destination)
        work = destination.with_name(f".{destination.name}.extracting")
        work.mkdir(mode=0o700)
        try:
            with archive.open("rb") as file, ContextTree(work, self._limits) as tree:
                for entry in self._entries(file):
                    tree.add(entry)
                root = tree.finish()
            work.chmod(0o755)
            work.joinpath(*root).rename(destination)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        self._settle(destination)

    def _settle(self, destination: Path) -> None:
        try:
            sync_folder(destination.parent)
        except BaseException:
            shutil.rmtree(destination, ignore_errors=True)
            raise

    def _entries(self, file: BinaryIO) -> Iterator[Entry]:
        limits = self._limits
        size = os.fstat(file.fileno()).st_size
        budget = Budget(limits, size)
        start = file.read(BLOCK_BYTES)
        file.seek(0)
        if not size:
            raise InvalidArchive("the archive is an empty file")
        if start.startswith((LOCAL_SIGNATURE, END_SIGNATURE)):
            return zip_entries(file, budget, limits)
        if start.startswith(GZIP_MAGIC):
            return tar_entries(gunzipped(file, budget), limits)
        if start.startswith(BZIP2_MAGIC):
            return tar_entries(bunzipped(file, budget), limits)
        if start.startswith(XZ_MAGIC):
            return tar_entries(unxzed(file, budget, limits), limits)
        if is_tar_header(start):
            return tar_entries(PlainStream(file, budget), limits)
        raise InvalidArchive(UNKNOWN_FORMAT)
