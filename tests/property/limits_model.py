"""Images, containers, host ports and hostnames of several users, as plain numbers and strings.

The rules of the design once more, without a line of the code they are held against. Containers are
those of `container_model`; here is what they share: slots of an image, ports of an engine, names.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.property.container_model import ContainerModel

COOL_DOWN, FOREIGN = 60, 600
SLOTS = range(1, 11)


@dataclass
class Port:
    """A host port: held by a container, or not to be handed out before a time.

    The one that could be handed out for the longest time is next; `released` tells which of two
    ports of the same moment was given back first.
    """

    number: int
    holder: int | None = None
    free_after: float = float("-inf")
    released: int = 0


@dataclass
class LimitedContainer(ContainerModel):
    """A container with what it holds of its image and its engine."""

    image: int = 0
    slot: int | None = None
    port: int | None = None
    # The wish that was last seen through or tried, and whether another step is due without one.
    settled_generation: int = 0
    due: bool = False

    @property
    def wants_a_worker(self) -> bool:
        return self.due or self.generation > self.settled_generation


@dataclass
class ImageModel:
    user: str
    hostname: str
    maximum: int
    status: str = "building"
    build: str = "queued"
    told: list[str] = field(default_factory=lambda: ["image.build_started"])


class LimitsModel:
    """Everything that several users' containers have to share."""

    def __init__(self, ports: range) -> None:
        self.now = 0
        self.releases = 0
        self.images: dict[int, ImageModel] = {}
        self.containers: dict[int, LimitedContainer] = {}
        self.ports = {number: Port(number) for number in ports}

    def owner(self, hostname: str) -> str | None:
        """Whose hostname it is: the user's who has an image under it that is not gone."""
        owners = {
            image.user
            for image in self.images.values()
            if image.hostname == hostname and image.status != "deleted"
        }
        assert len(owners) <= 1
        return next(iter(owners), None)

    def live(self, image_id: int) -> dict[int, LimitedContainer]:
        return {
            number: container
            for number, container in self.containers.items()
            if container.image == image_id and container.slot is not None
        }

    def left(self, image_id: int) -> int:
        return self.images[image_id].maximum - len(self.live(image_id))

    def next_ports(self) -> list[int]:
        """The ports that may be handed out now, in the order in which they are."""
        free = [
            port
            for port in self.ports.values()
            if port.holder is None and port.free_after <= self.now
        ]
        return [
            port.number
            for port in sorted(free, key=lambda port: (port.free_after, port.released, port.number))
        ]

    def add_containers(self, image_id: int, ids: list[int]) -> None:
        used = {container.slot for container in self.live(image_id).values()}
        slots = [slot for slot in SLOTS if slot not in used]
        for container_id, slot, port in zip(ids, slots, self.next_ports(), strict=False):
            self.containers[container_id] = LimitedContainer(image=image_id, slot=slot, port=port)
            self.ports[port].holder = container_id

    def take(self, container_id: int, outcome: str, run: int) -> None:
        """Record an outcome; what is over gives its slot back, and its port after a while."""
        container = self.containers[container_id]
        container.record(outcome, run=run)
        if not container.holds_port:
            self._release(container, COOL_DOWN)
            container.slot = container.port = None

    def move_port(self, container_id: int) -> None:
        """Set the container's port aside and give it the next one."""
        container = self.containers[container_id]
        (port, *_) = self.next_ports()
        self._release(container, FOREIGN)
        container.port = port
        self.ports[port].holder = container_id

    def _release(self, container: LimitedContainer, cool_down: int) -> None:
        if container.port is not None:
            self.releases += 1
            port = self.ports[container.port]
            port.holder, port.free_after = None, self.now + cool_down
            port.released = self.releases
