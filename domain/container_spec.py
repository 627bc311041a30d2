"""What a container is made from: copied from its image when it is created, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from domain.restart_policy import RestartPolicy


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What a container is made from; it never changes.

    Attributes:
        internal_port: the port the app listens on inside, told to it as PORT.
        image_digest: the Docker image id, `sha256:…`, that it is created from.
        host: the address under which its external port is reached.
    """

    image_id: int
    build_id: int
    user_id: str
    app_hostname: str
    engine_id: str
    host: str
    internal_port: int
    cpu_limit: Decimal
    memory_limit: str
    env: Mapping[str, str]
    image_digest: str
    restart_policy: RestartPolicy = RestartPolicy.ON_FAILURE
