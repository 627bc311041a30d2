"""What is recorded, against itself: slots, host ports, hostnames, limits, and what is deleted.

Transactions hold these rules together, so in one snapshot they hold whatever is under way.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from application.audit.difference import Difference
from application.audit.records import BuildRecord, ContainerRecord, HeldPort, ImageRecord, State
from domain.build import BuildStatus
from domain.container_status import ContainerStatus


def audit_state(state: State) -> Iterator[Difference]:
    """Find what a transaction should never have left behind."""
    yield from _audit_ports(state)
    yield from _audit_instances(state)
    yield from _audit_hostnames(state)
    yield from _audit_images(state)


def _audit_ports(state: State) -> Iterator[Difference]:
    held: dict[int, list[HeldPort]] = defaultdict(list)
    for port in state.ports:
        held[port.container_id].append(port)
        container = state.containers.get(port.container_id)
        if container is None or not container.is_live:
            holder = "unknown" if container is None else container.status
            detail = f"engine {port.engine_id} lends it to container {port.container_id}: {holder}"
            yield Difference("port-leak", "port", str(port.port), detail)
    for container in state.containers.values():
        if container.is_live:
            yield from _audit_holdings(container, held[container.id])
        elif container.slot is not None or container.external_port is not None:
            detail = f"it is {container.status}, and has {_holdings(container)}"
            yield _of(container, "slot-leak", detail)


def _audit_holdings(container: ContainerRecord, held: list[HeldPort]) -> Iterator[Difference]:
    given_back = container.status is ContainerStatus.DELETING and container.slot is None
    if container.slot is None and not given_back:
        yield _of(container, "slot", f"it is {container.status} and has no slot")
    ports = [(port.engine_id, port.port) for port in held]
    expected = [] if given_back else [(container.engine_id, container.external_port)]
    if ports != expected:
        told = ", ".join(f"{port} of engine {engine}" for engine, port in ports) or "none"
        detail = f"it has {_holdings(container)} on engine {container.engine_id}, it holds {told}"
        yield _of(container, "port", detail)


def _holdings(container: ContainerRecord) -> str:
    return f"slot {container.slot} and port {container.external_port}"


def _audit_instances(state: State) -> Iterator[Difference]:
    live = Counter(each.image_id for each in state.containers.values() if each.slot is not None)
    slots = Counter(
        (each.image_id, each.slot) for each in state.containers.values() if each.slot is not None
    )
    for (image_id, slot), count in slots.items():
        if count > 1:
            yield Difference("slot", "image", str(image_id), f"{count} containers have slot {slot}")
    for image_id, count in live.items():
        image = state.images.get(image_id)
        if image is None:
            yield Difference("unknown-image", "image", str(image_id), f"{count} containers have it")
        elif count > image.max_instances:
            detail = f"{count} live containers, max_instances={image.max_instances}"
            yield Difference("max-instances", "image", str(image_id), detail)


def _audit_hostnames(state: State) -> Iterator[Difference]:
    holders = {image.app_hostname for image in state.images.values() if not image.is_deleted}
    for hostname, user_id in state.hostnames.items():
        if hostname not in holders:
            detail = f"user {user_id} has it, and no image that holds it"
            yield Difference("hostname-leak", "hostname", hostname, detail)
    for image in state.images.values():
        owner = state.hostnames.get(image.app_hostname)
        if not image.is_deleted and owner != image.user_id:
            detail = f"image {image.id} of user {image.user_id} holds it, {owner} has it"
            yield Difference("hostname", "hostname", image.app_hostname, detail)


def _audit_images(state: State) -> Iterator[Difference]:
    living = Counter(
        each.image_id
        for each in state.containers.values()
        if each.status is not ContainerStatus.DELETED
    )
    builds: dict[int, list[BuildRecord]] = defaultdict(list)
    for build in state.builds.values():
        builds[build.image_id].append(build)
    for image in state.images.values():
        if image.is_deleted:
            yield from _audit_deleted(image, living[image.id], builds[image.id])
        elif image.active_build_id is not None:
            active = state.builds.get(image.active_build_id)
            good = active is not None and active.status is BuildStatus.SUCCEEDED
            if active is None or not good or active.image_id != image.id:
                detail = f"its active build {image.active_build_id} is no good build of it"
                yield Difference("active-build", "image", str(image.id), detail)


def _audit_deleted(
    image: ImageRecord, living: int, builds: Sequence[BuildRecord]
) -> Iterator[Difference]:
    if living:
        detail = f"it is deleted, and {living} of its containers are not"
        yield Difference("deleted-image", "image", str(image.id), detail)
    if image.leased:
        yield Difference("deleted-image", "image", str(image.id), "it is deleted and under a lease")
    for build in builds:
        if build.is_unfinished or build.leased:
            detail = f"it is deleted, and its build {build.id} is {build.status}"
            yield Difference("deleted-image", "image", str(image.id), detail)


def _of(container: ContainerRecord, kind: str, detail: str) -> Difference:
    return Difference(kind, "container", str(container.id), detail)
