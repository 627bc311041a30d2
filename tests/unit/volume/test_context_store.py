"""What the store tells of a build log that it cannot read."""

from pathlib import Path

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
