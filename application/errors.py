"""Every failure that a use case or a port reports, as a tree.

ApplicationError
├── NotFound                   no such resource of this user
├── Superseded                 a wish that a later one replaced before it was carried out
├── CommandRefused             an operator's command that the present state does not allow
├── LeaseLost                  another worker owns the aggregate by now
├── DatabaseUnavailable        no connection to PostgreSQL in time, or it was lost
│   └── AttemptUnrecorded      and a build's attempt has begun whose end is not recorded
├── UnreadableRow              a newer version wrote something that this one does not know
├── InsufficientStorage        the volume is full, or below MIN_FREE_DISK_BYTES
├── VolumeUnavailable          the volume cannot be read just now, or is not mounted
├── VolumeUntrusted            the volume is not, or not evidently, this installation's
├── SweepDoubted               more of what a sweep found is unknown than crashes leave behind
├── UploadRejected             an upload that cannot become a build context
│   ├── MalformedUpload        the multipart body itself is broken
│   ├── InvalidForm            fields of the form are missing or invalid
│   ├── UploadTooLarge         more bytes than MAX_UPLOAD_BYTES
│   └── InvalidArchive         the archive cannot be extracted safely, or has no Dockerfile
└── EngineError                Docker did not do what was asked
    ├── EngineUnreachable      nobody answered: no attempt was made
    │   └── EngineWentAway     it answered when a build began on it, and does not at its end
    ├── EngineTransient        it may succeed when asked again
    ├── EngineExhausted        out of disk, address pool or memory
    ├── EngineUntrusted        another one answers, or it is in quarantine: nothing is touched
    ├── EngineRefused          it will not succeed however often it is asked
    │   └── BuildFailed        the Dockerfile, or a step of it
    │       └── BuildTimedOut  it used its time up, in which the engine answered
    ├── NameConflict           another container bears the name
    ├── PortConflict           somebody else listens on the host port
    ├── OutcomeUnknown         the call was cut off: inspect, never blindly repeat
    └── EngineInterrupted      we ended the call on purpose
        └── BuildInterrupted   a build that was cancelled, or whose worker ends
"""

# A failure is named by what happened, not by "Error": the root tells that it is one.
# ruff: noqa: N818

from __future__ import annotations

from collections.abc import Sequence


class ApplicationError(Exception):
    """Root of all failures of use cases and ports."""


class NotFound(ApplicationError):
    """No such resource, or it is another user's: the two answer alike.

    Attributes:
        kind: "image", "container", or whatever else has an id.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(f"no such {kind}")
        self.kind = kind


class Superseded(ApplicationError):
    """A later wish replaced this one before it was carried out.

    Attributes:
        container_ids: the containers whose wish was replaced.
    """

    def __init__(self, container_ids: Sequence[int]) -> None:
        super().__init__("a later request replaced this one before it was carried out")
        self.container_ids = tuple(container_ids)


class CommandRefused(ApplicationError):
    """An operator asked for what the present state does not allow; nothing changed."""


class LeaseLost(ApplicationError):
    """Another worker owns the aggregate by now; what was done here may not be recorded."""


class DatabaseUnavailable(ApplicationError):
    """PostgreSQL cannot be reached, or not in time.

    If the connection broke at the commit itself, it is unknown whether that was carried out.
    """


class AttemptUnrecorded(DatabaseUnavailable):
    """A build's attempt was begun, and it is over, and its end could not be recorded."""


class UnreadableRow(ApplicationError):
    """A row holds what this version does not know; the newer one that wrote it can read it.

    Attributes:
        kind: "container".
        row_id: its id.
    """

    def __init__(self, kind: str, row_id: int, why: str) -> None:
        super().__init__(f"{kind} {row_id} cannot be read by this version: {why}")
        self.kind = kind
        self.row_id = row_id


class InsufficientStorage(ApplicationError):
    """The volume has no room for an upload or a build; nothing of it is left.

    Its text is for the caller.
    """


class VolumeUnavailable(ApplicationError):
    """The volume did not let itself be read, which says nothing of what is on it."""


class VolumeUntrusted(ApplicationError):
    """What is on the volume does not belong to what is recorded: nothing there is touched."""


class SweepDoubted(ApplicationError):
    """Too much is unknown for an accident of single things: a sweep removed nothing."""


class UploadRejected(ApplicationError):
    """Root of everything that is wrong with an upload; its text is meant for the caller."""


class MalformedUpload(UploadRejected):
    """The body is not well-formed multipart/form-data, or ends too early."""


class InvalidForm(UploadRejected):
    """Fields of the form are missing, repeated, unknown or invalid.

    Attributes:
        problems: (field, message) pairs, in the order they were found.
    """

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{field}: {message}" for field, message in problems))
        self.problems = problems


class UploadTooLarge(UploadRejected):
    """The body or the file is larger than allowed.

    Attributes:
        limit_bytes: the limit that was passed.
    """

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the upload is larger than {limit_bytes} bytes")
        self.limit_bytes = limit_bytes


class InvalidArchive(UploadRejected):
    """The archive is unreadable, unsafe, too large when extracted, or holds no Dockerfile."""


class EngineError(ApplicationError):
    """Root of everything that Docker did not do; its text holds no user output."""


class EngineUnreachable(EngineError):
    """Nobody answered at DOCKER_HOST: no attempt was made, nothing is known."""


class EngineWentAway(EngineUnreachable):
    """The engine answered when a build began on it and does not at its end, whoever is at fault."""


class EngineTransient(EngineError):
    """The engine failed in a way that may pass."""


class EngineExhausted(EngineError):
    """The engine is out of disk space, network addresses or memory."""


class EngineUntrusted(EngineError):
    """The engine is another one, or in quarantine: what it has says nothing of what is ours."""


class EngineRefused(EngineError):
    """The engine will not do it however often it is asked; its text is meant for the user."""


class BuildFailed(EngineRefused):
    """The build ended with an error of the user's making; its text is the last error line."""


class BuildTimedOut(BuildFailed):
    """The build used its time up; time in which the engine did not answer is not counted."""


class NameConflict(EngineError):
    """Another container bears the name already."""


class PortConflict(EngineError):
    """Somebody else listens on the host port already."""


class StartWedged(EngineError):
    """The engine was killed while it started the container, and refuses to start it since.

    So does Engine 20.10, until it has been restarted in order: then it takes along what is left of
    that start, a shim of containerd and perhaps `runc init`. The app was not seen to run.
    """


class OutcomeUnknown(EngineError):
    """The call was cut off by its time limit or killed: it may or may not have been done."""


class EngineInterrupted(EngineError):
    """The call was ended on purpose, because this worker ends."""


class BuildInterrupted(EngineInterrupted):
    """The build was ended on purpose: it was cancelled, or its worker ends."""
