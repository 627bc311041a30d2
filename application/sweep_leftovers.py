"""Sweep what crashes left behind: files, Docker tags and images that nobody needs any more.

    list files and images -> read what is recorded of them -> not needed, and old enough
                          -> not too much of it unknown
                          -> each one looked up once more, right before it is removed
                             (`remove_leftover`)

Beside it, tags of what is in use that a late worker moved are set back (`mend_tags`).

In that order: what is listed first and not recorded afterwards is not about to be recorded, but for
what is written before its row is (a context, `application/upload_image.py`): hence a grace. A list
that fails means that nothing is removed, and so does an engine in quarantine, or another one, and a
volume that is not this installation's. A database that forgot, or is another one, knows nothing of
what is needed: where it does not know a fifth of what is old, nothing is removed either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from datetime import datetime

from application.docker_names import docker_names
from application.drift import is_accident
from application.errors import (
    EngineError,
    EngineInterrupted,
    EngineUnreachable,
    EngineUntrusted,
    SweepDoubted,
)
from application.leftovers import BuildLogFile, ImageFolder, Recorded, Upload
from application.mend_tags import AstrayTag, MendTags
from application.ports import Clock, ContainerEngine
from application.remove_leftover import Found, RemoveLeftover, recorded_of
from application.sweep_ports import StoredFiles, SweepRegister
from application.sweep_report import Kept, Leftover, SweepReport


def tell_nobody(_: Leftover) -> None:
    """Say nothing."""


class SweepLeftovers:
    """Makes sweeps.

    Args:
        check_volume: raises VolumeUntrusted unless the files are this installation's.
        grace_seconds: how old something must be to be taken for left behind, SWEEP_GRACE_SECONDS.
    """

    def __init__(
        self,
        engine: ContainerEngine,
        files: StoredFiles,
        register: SweepRegister,
        tags: MendTags,
        clock: Clock,
        check_volume: Callable[[], None],
        *,
        grace_seconds: float,
    ) -> None:
        self._engine = engine
        self._files = files
        self._register = register
        self._tags = tags
        self._clock = clock
        self._check_volume = check_volume
        self._remove_leftover = RemoveLeftover(engine, files, register)
        self._grace_seconds = grace_seconds

    def run(
        self,
        engine_id: str,
        *,
        dry_run: bool = False,
        force: bool = False,
        tell: Callable[[Leftover], None] = tell_nobody,
    ) -> SweepReport:
        """Make one sweep.

        Args:
            dry_run: find, and remove nothing.
            force: remove it however much of it is unknown.
            tell: is told each thing when it is removed, or would be.

        Raises:
            EngineUntrusted: the engine is in quarantine, another one, or no pass has found it in
                order yet; nothing more was removed.
            VolumeUntrusted: the volume is not this installation's; nothing more was removed.
            SweepDoubted: too much is unknown; nothing was removed, but in a dry run all was told.
            EngineError, OSError: a list is not complete: nothing was removed. Or the engine went
                away meanwhile: nothing more was.
            DatabaseUnavailable: nothing more was removed.
        """
        files, listed = self._files.found(), self._engine.list_images()
        self._check(engine_id)
        found: list[Found] = [*files, *docker_names(listed)]
        recorded = recorded_of(found, self._register)
        due = [
            (each, leftover)
            for each in found
            if not each.is_needed(recorded) and (leftover := self._outworn(each)) is not None
        ]
        doubt = None if force else _doubt(found, [each for each, _ in due], recorded)
        if doubt is not None and not dry_run:
            raise doubt
        astray = self._tags.astray(engine_id, listed)
        set_back = [each.name for each in astray if dry_run or self._set_back(engine_id, each)]
        removed, kept = [], []
        for each, leftover in due:
            try:
                gone = dry_run or self._remove(engine_id, each)
            except (EngineUntrusted, EngineUnreachable, EngineInterrupted):
                raise
            except (EngineError, OSError) as exc:
                kept.append(Kept(leftover, str(exc)))
                continue
            if gone:
                removed.append(leftover)
                tell(leftover)
        if doubt is not None:
            raise doubt
        return SweepReport(removed, kept, set_back)

    def _check(self, engine_id: str) -> None:
        """What another engine has says nothing of ours, nor does one that nobody trusts."""
        if self._engine.engine_id() != engine_id:
            raise EngineUntrusted("another engine answers")
        reason = self._register.refusal(engine_id)
        if reason is not None:
            raise EngineUntrusted(reason)
        self._check_volume()

    def _remove(self, engine_id: str, found: Found) -> bool:
        self._check(engine_id)
        return self._remove_leftover.remove(found)

    def _set_back(self, engine_id: str, tag: AstrayTag) -> bool:
        """Return whether that could be done: else it is for the next sweep."""
        self._check(engine_id)
        try:
            self._tags.set_back(tag)
        except (EngineUnreachable, EngineInterrupted):
            raise
        except EngineError:
            return False
        return True

    def _outworn(self, found: Found) -> Leftover | None:
        """Return what is older than the grace; of the rest nothing can be said."""
        size_bytes: int | None = None
        changed_at: datetime | None
        if isinstance(found, Upload | ImageFolder | BuildLogFile):
            state = self._files.state(found)
            if state is None:
                return None
            changed_at, size_bytes = state.changed_at, state.size_bytes
        else:
            changed_at = found.touched_at
        if changed_at is None:
            return None
        age_seconds = (self._clock() - changed_at).total_seconds()
        if age_seconds < self._grace_seconds:
            return None
        return Leftover(found.kind, found.label, age_seconds, size_bytes)


def _doubt(
    found: Collection[Found], due: Collection[Found], recorded: Recorded
) -> SweepDoubted | None:
    """Return why what is found is not what is recorded, None if it may well be."""
    all_of = Counter(each.kind for each in found)
    unknown_of = Counter(each.kind for each in due if not each.is_known(recorded))
    for kind, unknown in unknown_of.items():
        if is_accident(unknown, all_of[kind]):
            return SweepDoubted(
                f"of {all_of[kind]} things of kind {kind} the database knows nothing of {unknown}:"
                " is it the right one, and complete?"
            )
    return None
