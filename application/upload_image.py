"""Upload an image: an archive becomes a stored build context, a row and a queued build.

Files come first and the row last: a crash in between leaves files without a row, never a row
without its context. The id is taken from the sequence beforehand because the path bears it. Whoever
is stopped on the way for longer than a sweep's grace finds its files gone: at the next step that
needs them, and at last before the row is written, under a lock which no sweep takes them within.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from application.errors import VolumeUnavailable
from application.ports import Clock, ContextExtractor, ContextStore
from application.unit_of_work import TransactionRunner, UnitOfWork
from domain.build import Build
from domain.errors import DomainError
from domain.image import Image
from domain.image_spec import ImageSpec
from domain.limits import ResourceLimits

_GONE = "what was uploaded is gone from the volume: upload it again"


@dataclass(frozen=True, slots=True)
class UploadImage:
    """Store an archive as an image's context and queue its build.

    Attributes:
        archive: an incoming file; it stays the caller's to discard.
    """

    spec: ImageSpec
    archive: Path
    request_id: str


class UploadImageHandler:
    """Carries out UploadImage.

    Args:
        ceiling: the most that one container may be given, MAX_CPU_LIMIT and MAX_MEMORY_LIMIT.
    """

    def __init__(
        self,
        transactions: TransactionRunner,
        extractor: ContextExtractor,
        store: ContextStore,
        clock: Clock,
        ceiling: ResourceLimits,
    ) -> None:
        self._transactions = transactions
        self._extractor = extractor
        self._store = store
        self._clock = clock
        self._ceiling = ceiling

    def handle(self, command: UploadImage) -> int:
        """Return the new image's id.

        Raises:
            InvalidValue: limits above the operator's ceiling.
            InvalidArchive: the archive cannot become a context.
            InsufficientStorage: the disk is full.
            HostnameTaken: another user's image holds the hostname.
            VolumeUnavailable: what was uploaded is not there any more; nothing is recorded.
        """
        spec = command.spec
        spec.resources.within(self._ceiling)
        extracted = self._store.incoming()
        try:
            self._extractor.extract(command.archive, extracted)
            image_id = self._transactions.run(lambda uow: uow.images.next_id())
            source_path = self._store.store(extracted, spec.user_id, image_id)
        except FileNotFoundError as exc:
            raise VolumeUnavailable(_GONE) from exc
        finally:
            self._store.discard(extracted)
        try:
            self._transactions.run(lambda uow: self._insert(uow, command, image_id, source_path))
        except DomainError:
            # Refused, so nothing is committed. After anything else the commit may have reached the
            # database: a row must not lose its context, whereas one without a row is only waste.
            self._store.remove(spec.user_id, image_id)
            raise
        return image_id

    def _insert(
        self, uow: UnitOfWork, command: UploadImage, image_id: int, source_path: str
    ) -> None:
        spec, now = command.spec, self._clock()
        uow.images.lock_folder(image_id)
        self._expect_context(source_path)
        uow.hostnames.claim(spec.app_hostname, spec.user_id)
        build_id = uow.builds.next_id()
        log_path = self._store.log_path(spec.user_id, image_id, build_id)
        image = Image.upload(
            image_id, build_id, spec, source_path, now=now, request_id=command.request_id
        )
        uow.images.add(image)
        uow.builds.add(Build.queue(build_id, image_id, spec.user_id, log_path, now))

    def _expect_context(self, source_path: str) -> None:
        try:
            if self._store.has_context(source_path):
                return
        except OSError as exc:
            raise VolumeUnavailable("the volume cannot be read: upload it again later") from exc
        raise VolumeUnavailable(_GONE)
