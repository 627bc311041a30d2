"""Every refusal of the domain, with the data a caller needs to explain it.

DomainError
├── InvalidValue               a value outside its grammar or range
├── IllegalTransition          a status change that the transition table does not hold
├── ImageNotUsable             containers asked of an image without a good build, or in deletion
├── ImageHasLiveContainers     an image deleted while containers of it live
├── ImageRefuses               a wish that the image's state cannot take
├── ImageInDeletion            a change of an image that is being deleted
├── InstanceLimitReached       more containers than max_instances allows
├── MaxBelowLiveContainers     max_instances lowered below the containers that live
├── BelowMinInstances          a stop that would leave fewer than min_instances wished running
├── HostnameTaken              a hostname that another user's image holds
├── NoFreePort                 every host port of the engine is held or cooling down
└── ContainerRefuses           a wish that the container's state cannot take
"""

# A refusal is named by what happened, not by "Error": the root tells that it is one.
# ruff: noqa: N818

from __future__ import annotations


class DomainError(Exception):
    """Root of all refusals of the domain."""


class InvalidValue(DomainError):
    """A value outside its grammar or range.

    Attributes:
        field: name of the field as the caller knows it.
        message: what is allowed, for the caller.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class IllegalTransition(DomainError):
    """A status change that the transition table does not hold.

    Attributes:
        aggregate: "image", "build" or "container".
        current: the status it has.
        requested: the status that was asked for.
    """

    def __init__(self, aggregate: str, current: str, requested: str) -> None:
        super().__init__(f"{aggregate}: no transition from {current} to {requested}")
        self.aggregate = aggregate
        self.current = current
        self.requested = requested


class ImageNotUsable(DomainError):
    """Containers were asked of an image that has no good build or is being deleted.

    Attributes:
        status: the image's status.
    """

    def __init__(self, status: str) -> None:
        super().__init__(f"no containers can be created from an image that is {status}")
        self.status = status


class ImageHasLiveContainers(DomainError):
    """An image was to be deleted while containers of it live.

    Attributes:
        count: how many of its containers are neither failed nor deleted.
    """

    def __init__(self, count: int) -> None:
        super().__init__(f"the image has {count} live container(s); delete them first")
        self.count = count


class ImageRefuses(DomainError):
    """A wish that the image cannot take in its state.

    Attributes:
        current: the image's status.
        requested: what was asked for, "rebuild" or "cancel".
        advice: what the caller can do instead.
    """

    def __init__(self, current: str, requested: str, advice: str) -> None:
        super().__init__(f"an image that is {current} cannot take a {requested}: {advice}")
        self.current = current
        self.requested = requested
        self.advice = advice


class ImageInDeletion(DomainError):
    """A change was asked of an image that is being deleted."""

    def __init__(self) -> None:
        super().__init__("the image is being deleted")


class InstanceLimitReached(DomainError):
    """More containers were asked for than max_instances allows.

    Attributes:
        max_instances: the image's limit.
        left: how many more could be created now.
        requested: how many were asked for.
    """

    def __init__(self, max_instances: int, left: int, requested: int) -> None:
        super().__init__(
            f"{requested} container(s) requested, {left} of max_instances={max_instances} left"
        )
        self.max_instances = max_instances
        self.left = left
        self.requested = requested


class MaxBelowLiveContainers(DomainError):
    """max_instances was to be lowered below the number of containers that live.

    Attributes:
        requested: the limit that was asked for.
        count: how many of the image's containers are neither failed nor deleted.
    """

    def __init__(self, requested: int, count: int) -> None:
        super().__init__(
            f"the image has {count} live container(s), more than max_instances={requested}; "
            "delete some first"
        )
        self.requested = requested
        self.count = count


class BelowMinInstances(DomainError):
    """A stop would leave fewer containers wished running than min_instances.

    Attributes:
        min_instances: the image's limit.
        left: how many would still be wished running.
    """

    def __init__(self, min_instances: int, left: int) -> None:
        super().__init__(
            f"a stop would leave {left} of min_instances={min_instances} wished running; "
            "lower min_instances first, or delete the container and have it replaced"
        )
        self.min_instances = min_instances
        self.left = left


class HostnameTaken(DomainError):
    """The hostname belongs to another user while any of that user's images holds it.

    Attributes:
        hostname: the hostname that was asked for.
    """

    def __init__(self, hostname: str) -> None:
        super().__init__(f"{hostname} is held by another user")
        self.hostname = hostname


class NoFreePort(DomainError):
    """Every host port of the engine is held by a container or in its cool-down.

    Attributes:
        engine_id: the engine whose ports are exhausted.
    """

    def __init__(self, engine_id: str) -> None:
        super().__init__("no host port is free at the moment")
        self.engine_id = engine_id


class ContainerRefuses(DomainError):
    """A wish that the container cannot take in its state.

    Attributes:
        current: the container's status as callers see it.
        requested: the desired state that was asked for.
        advice: what the caller can do instead.
    """

    def __init__(self, current: str, requested: str, advice: str) -> None:
        super().__init__(f"a container that is {current} cannot become {requested}: {advice}")
        self.current = current
        self.requested = requested
        self.advice = advice
