from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.archive.build_context_extractor import BuildContextExtractor
from adapters.archive.limits import ArchiveLimits
from application.errors import InvalidArchive

Extract = Callable[..., Path]
Refuse = Callable[..., str]


@pytest.fixture
def extracted(tmp_path: Path) -> Extract:
    """Extract an archive given as bytes and return the folder."""

    def extract(data: bytes, limits: ArchiveLimits | None = None) -> Path:
        archive = tmp_path / "archive"
        archive.write_bytes(data)
        destination = tmp_path / "context"
        BuildContextExtractor(limits).extract(archive, destination)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["archive", "context"]
        return destination

    return extract


@pytest.fixture
def refusal(tmp_path: Path) -> Refuse:
    """Extract an archive that must be refused, leaving nothing, and return the text."""

    def refuse(data: bytes, limits: ArchiveLimits | None = None) -> str:
        archive = tmp_path / "archive"
        archive.write_bytes(data)
        with pytest.raises(InvalidArchive) as caught:
            BuildContextExtractor(limits).extract(archive, tmp_path / "context")
        assert [p.name for p in tmp_path.iterdir()] == ["archive"]
        return str(caught.value)

    return refuse
