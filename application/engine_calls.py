"""What an engine is asked to build and to create, and how long it may take."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from domain.container import Container
from domain.limits import ResourceLimits


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Time limits of engine calls, in seconds; a stop may take its grace in addition."""

    inspect: float = 10.0
    list: float = 30.0
    create: float = 30.0
    start: float = 30.0
    stop: float = 10.0
    remove: float = 30.0
    tag: float = 10.0


@dataclass(frozen=True, slots=True)
class BuildOrder:
    """One attempt of a build.

    Attributes:
        user_id: whose build it is; nothing of it is shared with others' builds that they could
            change.
        context: the folder with the Dockerfile at its root.
        log: the file that the log is written to, live; an earlier attempt's is overwritten.
        timeout_seconds: after that the build is ended and has failed; time in which the engine does
            not answer is not counted.
    """

    build_id: int
    image_id: int
    user_id: str
    context: Path
    log: Path
    tags: Sequence[str]
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class ContainerOrder:
    """A container to be created.

    Attributes:
        docker_image_id: the image by its id, never by a tag that may have moved.
        external_port: the host port that is bound to `internal_port`.
    """

    uid: UUID
    image_id: int
    name: str
    docker_image_id: str
    env: Mapping[str, str]
    internal_port: int
    external_port: int
    cpu_limit: Decimal
    memory_bytes: int

    @classmethod
    def of(cls, container: Container, external_port: int) -> ContainerOrder:
        spec = container.spec
        return cls(
            uid=container.uid,
            image_id=spec.image_id,
            name=container.name,
            docker_image_id=spec.image_digest,
            env={**spec.env, "PORT": str(spec.internal_port)},
            internal_port=spec.internal_port,
            external_port=external_port,
            cpu_limit=spec.cpu_limit,
            memory_bytes=ResourceLimits(spec.cpu_limit, spec.memory_limit).memory_bytes,
        )

    @property
    def spec_hash(self) -> str:
        """A digest of everything that the container is made from, kept in its labels."""
        parts = (
            self.docker_image_id,
            str(self.internal_port),
            str(self.external_port),
            str(self.cpu_limit),
            str(self.memory_bytes),
            *(f"{name}={value}" for name, value in sorted(self.env.items())),
        )
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()
