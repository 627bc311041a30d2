"""What is left on the volume when an upload does not get into the database."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import pytest

from adapters.volume.context_store import VolumeContextStore
from application.errors import DatabaseUnavailable, InvalidArchive
from application.unit_of_work import UnitOfWork
from application.upload_image import UploadImage, UploadImageHandler
from domain.errors import HostnameTaken, InvalidValue
from domain.limits import ResourceLimits
from tests.unit.domain.samples import IMAGE_SPEC, NOON

T = TypeVar("T")
IMAGE_ID = 7


class FailingTransactions:
    """Gives the image its id, then fails before, or at, the commit."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self._first = True

    def run(self, work: Callable[[UnitOfWork], T]) -> T:
        if self._first:
            self._first = False
            return cast("T", IMAGE_ID)
        raise self._error


class Extractor:
    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def extract(self, archive: Path, destination: Path) -> None:
        if self._error is not None:
            raise self._error
        destination.mkdir()


@pytest.fixture
def store(tmp_path: Path) -> VolumeContextStore:
    store = VolumeContextStore(tmp_path)
    store.prepare()
    return store


def files(store: VolumeContextStore) -> list[str]:
    base = store.path("")
    return sorted(str(path.relative_to(base)) for path in base.rglob("*") if path.name != "builds")


def upload(
    store: VolumeContextStore,
    error: Exception,
    extractor: Extractor | None = None,
    ceiling: ResourceLimits = IMAGE_SPEC.resources,
) -> None:
    handler = UploadImageHandler(
        FailingTransactions(error), extractor or Extractor(), store, lambda: NOON, ceiling
    )
    handler.handle(UploadImage(IMAGE_SPEC, store.path("archive"), "request"))


def test_a_refused_upload_leaves_no_file(store: VolumeContextStore) -> None:
    with pytest.raises(HostnameTaken):
        upload(store, HostnameTaken("app.example.com"))

    assert files(store) == [".incoming"]


@pytest.mark.parametrize(
    "error", [DatabaseUnavailable("connection lost"), RuntimeError("after the commit")]
)
def test_an_upload_whose_commit_is_unknown_keeps_its_context(
    store: VolumeContextStore, error: Exception
) -> None:
    with pytest.raises(type(error)):
        upload(store, error)

    assert f"user-1/{IMAGE_ID}/context" in files(store)


def test_an_archive_that_cannot_be_extracted_leaves_no_file(store: VolumeContextStore) -> None:
    with pytest.raises(InvalidArchive):
        upload(store, AssertionError("never reached"), Extractor(InvalidArchive("no Dockerfile")))

    assert files(store) == [".incoming"]


def test_limits_above_the_ceiling_are_refused_before_anything_is_extracted(
    store: VolumeContextStore,
) -> None:
    never = Extractor(AssertionError("never reached"))

    with pytest.raises(InvalidValue, match="memory_limit"):
        upload(store, AssertionError(), never, ResourceLimits(IMAGE_SPEC.resources.cpu, "256m"))

    assert files(store) == [".incoming"]
