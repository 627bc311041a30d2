"""What a user asks for with an image, and what its tags in Docker are called."""

from __future__ import annotations

from dataclasses import dataclass

from domain.limits import InstanceLimits, ResourceLimits
from domain.restart_policy import RestartPolicy


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """What a user asked for when uploading; every value has passed its grammar.

    Attributes:
        container_port: the port that the app listens on inside its container.
        restart_policy: of the containers that are made from it.
    """

    user_id: str
    name: str
    tag: str
    app_hostname: str
    container_port: int
    instances: InstanceLimits
    resources: ResourceLimits
    restart_policy: RestartPolicy = RestartPolicy.ON_FAILURE


def repository_of(user_id: str, image_id: int) -> str:
    """The repository of an image's tags in Docker."""
    return f"nvidia-app-u{user_id}-i{image_id}"
