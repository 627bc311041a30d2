"""What the Docker client answers: ids, and `docker inspect` as an Observation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from adapters.docker import labels
from application.docker_names import ListedImage
from application.errors import OutcomeUnknown
from domain.observation import Observation

CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")
# A UUID; before Engine 24 groups of letters and digits.
ENGINE_ID = re.compile(r"[\w:-]{8,128}")

DEFAULT_NETWORK = "bridge"

# An id of ours in a label; everything below 10**18 is a bigint.
_OUR_ID = re.compile(r"[1-9][0-9]{0,17}")

# Docker's zero time: it never happened.
_NEVER_YEAR = 1


class _State(msgspec.Struct, rename="pascal"):
    running: bool
    started_at: str
    finished_at: str
    exit_code: int
    oom_killed: bool = msgspec.field(name="OOMKilled")


class _Config(msgspec.Struct, rename="pascal"):
    labels: dict[str, str] | None = None


class _Network(msgspec.Struct, rename="pascal"):
    ip_address: str = msgspec.field(name="IPAddress", default="")


class _NetworkSettings(msgspec.Struct, rename="pascal"):
    networks: dict[str, _Network | None] | None = None


class _Container(msgspec.Struct, rename="pascal"):
    id: str
    name: str
    state: _State
    config: _Config
    network_settings: _NetworkSettings


class _DefaultNetwork(msgspec.Struct, rename="pascal"):
    created: str
    driver: str


class _Metadata(msgspec.Struct, rename="pascal"):
    last_tag_time: str | None = None


class _Image(msgspec.Struct, rename="pascal"):
    id: str
    repo_tags: list[str] | None = None
    created: str | None = None
    config: _Config | None = None
    metadata: _Metadata | None = None


_DECODER = msgspec.json.Decoder(list[_Container])
_CONTAINER = msgspec.json.Decoder(_Container)
_NETWORK = msgspec.json.Decoder(_DefaultNetwork)
_IMAGE_DECODER = msgspec.json.Decoder(list[_Image])


def checked_id(shape: re.Pattern[str], answer: str) -> str:
    """Return the id that was answered.

    Raises:
        OutcomeUnknown: it is none.
    """
    found = answer.strip()
    if shape.fullmatch(found) is None:
        raise OutcomeUnknown("the Docker client's answer is no id")
    return found


def dated_observation(answer: str) -> Observation | None:
    """Read one container and the default network, a line of JSON each.

    Returns:
        The container with the network's time as the engine's start; None if something else of that
        name was found instead.

    Raises:
        OutcomeUnknown: it is not what Docker answers.
    """
    lines = answer.splitlines()
    try:
        container = _observation(_CONTAINER.decode(lines[0]))
        network = _NETWORK.decode(lines[1])
        return replace(container, engine_started_at=_time(network.created))
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, ValueError, OverflowError, IndexError) as exc:
        raise OutcomeUnknown("the engine's answer cannot be read") from exc


def observations(answer: str) -> list[Observation]:
    """Read the answer of `docker container inspect`.

    Raises:
        OutcomeUnknown: it is not what Docker answers.
    """
    try:
        return [_observation(container) for container in _DECODER.decode(answer)]
    except (msgspec.DecodeError, ValueError, OverflowError) as exc:
        raise OutcomeUnknown("the engine's answer cannot be read") from exc


def listed_images(answer: str) -> list[ListedImage]:
    """Read the answer of `docker image inspect`.

    Raises:
        OutcomeUnknown: it is not what Docker answers.
    """
    try:
        return [_listed_image(image) for image in _IMAGE_DECODER.decode(answer)]
    except (msgspec.DecodeError, ValueError, OverflowError) as exc:
        raise OutcomeUnknown("the engine's answer cannot be read") from exc


def _listed_image(image: _Image) -> ListedImage:
    ours = (image.config and image.config.labels) or {}
    told = (image.created, image.metadata and image.metadata.last_tag_time)
    times = [moment for text in told if text and (moment := _time(text)) is not None]
    return ListedImage(
        docker_image_id=checked_id(IMAGE_ID, image.id),
        tags=tuple(image.repo_tags or ()),
        image_id=_our_id(ours, labels.IMAGE_ID),
        build_id=_our_id(ours, labels.BUILD_ID),
        # A step that came from the cache bears the time when it was first made.
        touched_at=max(times, default=None),
        installation_id=ours.get(labels.INSTALLATION_ID),
    )


def _our_id(ours: Mapping[str, str], label: str) -> int | None:
    text = ours.get(label, "")
    return int(text) if _OUR_ID.fullmatch(text) else None


def _observation(container: _Container) -> Observation:
    state, ours = container.state, container.config.labels or {}
    started_at = _time(state.started_at)
    over = not state.running and started_at is not None
    networks = (container.network_settings.networks or {}).values()
    addresses = [network.ip_address for network in networks if network and network.ip_address]
    return Observation(
        docker_id=container.id,
        name=container.name.removeprefix("/"),
        uid=_uid(ours.get(labels.UID)),
        installation_id=ours.get(labels.INSTALLATION_ID),
        spec_hash=ours.get(labels.SPEC_HASH),
        running=state.running,
        started_at=started_at,
        finished_at=_time(state.finished_at) if over else None,
        exit_code=state.exit_code if over else None,
        oom_killed=state.oom_killed,
        container_ip=addresses[0] if addresses else None,
    )


def _time(text: str) -> datetime | None:
    """Read RFC 3339 with nanoseconds, which Python cuts to microseconds."""
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return None if moment.year <= _NEVER_YEAR else moment


def _uid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
