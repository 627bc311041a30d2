"""What the store tells of a build log that it cannot read, and of a context that is not there."""

import errno
from pathlib import Path

import pytest

from adapters.volume.context_store import VolumeContextStore
from domain.build import LogTail

LOG = "ada/7/builds/70.log"
NOTHING = LogTail("", truncated=False)


def test_a_log_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    assert VolumeContextStore(tmp_path).log_tail(LOG) == NOTHING


def test_a_log_that_cannot_be_read_is_empty_too(tmp_path: Path) -> None:
    """Whoever asks records the outcome of a build, which is not the log's to lose."""
    (tmp_path / LOG).mkdir(parents=True)

    assert VolumeContextStore(tmp_path).log_tail(LOG) == NOTHING


def test_a_context_is_there_once_it_is_stored_and_until_it_is_removed(tmp_path: Path) -> None:
    store = VolumeContextStore(tmp_path)
    store.prepare()
    extracted = store.incoming()
    extracted.mkdir()

    relative = store.store(extracted, "ada", 7)
    stored = store.has_context(relative)
    store.remove("ada", 7)

    assert (stored, store.has_context(relative)) == (True, False)


def test_a_context_that_cannot_be_looked_at_is_not_told_as_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(*_: object, **__: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(Path, "stat", stale)

    with pytest.raises(OSError, match="Stale"):
        VolumeContextStore(tmp_path).has_context("ada/7/context")
