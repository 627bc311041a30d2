"""Trees of files, folders and links: made up, packed, and compared with what is on disk."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from adapters.archive.build_context_extractor import BuildContextExtractor
from adapters.archive.context_tree import NOISE_NAMES, NOISE_PREFIX
from adapters.archive.limits import ArchiveLimits
from application.errors import InvalidArchive

LIMITS = ArchiveLimits(total_bytes=1 << 20, entries=200)


@dataclass(frozen=True)
class File:
    data: bytes
    executable: bool


Tree = dict[str, "File | str | Tree"]
Flat = dict[str, File | str | None]

NAMES = (
    st.text(
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"),
        min_size=1,
        max_size=40,
    )
    .filter(lambda name: name not in {".", "..", "Dockerfile", *NOISE_NAMES})
    .filter(lambda name: not name.startswith(NOISE_PREFIX))
)
FILES = st.builds(File, st.binary(max_size=2000), st.booleans())
TREES = st.recursive(
    st.dictionaries(NAMES, FILES, max_size=4),
    lambda inner: st.dictionaries(NAMES, FILES | inner, max_size=4),
    max_leaves=8,
)


def flat(tree: Mapping[str, object], prefix: str = "") -> Flat:
    """Return files, link targets and None for folders, by path."""
    found: Flat = {}
    for name, node in tree.items():
        path = prefix + name
        if isinstance(node, dict):
            found[path] = None
            found |= flat(node, path + "/")
        else:
            assert isinstance(node, File | str)
            found[path] = node
    return found


@st.composite
def contexts(draw: st.DrawFn) -> Flat:
    """Return a tree with a Dockerfile and links to some of its paths."""
    found = flat(draw(TREES)) | {"Dockerfile": File(b"FROM scratch\n", executable=False)}
    folders = ["", *(f"{path}/" for path, node in found.items() if node is None)]
    for number in range(draw(st.integers(0, 3))):
        folder = draw(st.sampled_from(folders))
        target = draw(st.sampled_from(sorted(found)))
        found.setdefault(f"{folder}link {number}", "../" * folder.count("/") + target)
    return found


def tar_bytes(content: Flat, form: int, top: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for path, node in content.items():
            info = tarfile.TarInfo(top + path)
            if node is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(node, str):
                info.type, info.linkname = tarfile.SYMTYPE, node
            else:
                info.size, info.mode = len(node.data), 0o755 if node.executable else 0o644
                archive.addfile(info, io.BytesIO(node.data))
                continue
            archive.addfile(info)
    return buffer.getvalue()


def zip_bytes(content: Flat, method: int, top: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for path, node in content.items():
            info = zipfile.ZipInfo(top + path + ("/" if node is None else ""))
            info.compress_type = method
            data = b""
            if node is None:
                mode = stat.S_IFDIR | 0o755
            elif isinstance(node, str):
                mode, data = stat.S_IFLNK | 0o777, node.encode()
            else:
                mode, data = stat.S_IFREG | (0o755 if node.executable else 0o644), node.data
            info.external_attr = mode << 16
            archive.writestr(info, data)
    return buffer.getvalue()


FORMATS: dict[str, Callable[[Flat, str], bytes]] = {
    "tar, GNU": lambda content, top: tar_bytes(content, tarfile.GNU_FORMAT, top),
    "tar, pax": lambda content, top: tar_bytes(content, tarfile.PAX_FORMAT, top),
    "tar.gz": lambda content, top: gzip.compress(tar_bytes(content, tarfile.PAX_FORMAT, top)),
    "tar.bz2": lambda content, top: bz2.compress(tar_bytes(content, tarfile.PAX_FORMAT, top)),
    "tar.xz": lambda content, top: lzma.compress(tar_bytes(content, tarfile.PAX_FORMAT, top)),
    "zip, stored": lambda content, top: zip_bytes(content, zipfile.ZIP_STORED, top),
    "zip, deflated": lambda content, top: zip_bytes(content, zipfile.ZIP_DEFLATED, top),
}


def on_disk(folder: Path) -> Flat:
    """Return what is below `folder` without following links."""
    found: Flat = {}
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            path = Path(parent) / name
            key = str(path.relative_to(folder))
            if path.is_symlink():
                found[key] = os.readlink(path)  # noqa: PTH115 - Path would tidy the target up
            elif path.is_dir():
                found[key] = None
            else:
                found[key] = File(path.read_bytes(), bool(path.stat().st_mode & stat.S_IXUSR))
    return found


def extract_in(box: Path, data: bytes) -> Path | None:
    """Extract in a box with a sentinel tree; return the folder, or None if it was refused."""
    guarded = box / "guarded"
    guarded.mkdir()
    (box / "outside").write_bytes(b"sentinel")
    (guarded / "sentinel").write_bytes(b"sentinel")
    (guarded / "archive").write_bytes(data)
    before = on_disk(box)
    destination = guarded / "context"
    try:
        BuildContextExtractor(LIMITS).extract(guarded / "archive", destination)
    except InvalidArchive:
        assert on_disk(box) == before
        return None
    after = on_disk(box)
    inside = {path for path in after if f"{path}/".startswith("guarded/context/")}
    assert {path: node for path, node in after.items() if path not in inside} == before
    for path in inside:
        assert (box / path).resolve().is_relative_to(destination.resolve())
    assert stat.S_ISREG(destination.joinpath("Dockerfile").lstat().st_mode)
    return destination
