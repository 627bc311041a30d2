"""What must hold once everything that was wished is carried out: api, ledger and engine agree.

Each function returns what does not agree (yet), a line each. Who waits for nothing to be returned
waits until everything is settled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.contracts.fake_docker import Snapshot
from tests.fault.lifecycle.agreement import Record, differences
from tests.fault.lifecycle.model import Model
from tests.fault.lifecycle.sight import Sight
from tests.fault.lifecycle.wishes import Container, Image

# After so many attempts that did not end a build is given up.
_ATTEMPTS = 3
_BUILD_ENDS = {"image.ready", "image.build_failed", "image.build_cancelled"}

# Another address within a run changes no status.
_TOLD = """
SELECT stream, min(image_id) AS image_id, array_agg(type ORDER BY sequence) AS types
FROM events WHERE type <> 'container.endpoint_changed' GROUP BY stream
"""


_MADE = """
SELECT container_id AS id, convert_from(payload, 'UTF8')::jsonb ->> 'memory_limit' AS memory
FROM events WHERE type = 'container.created'
"""


def disagreements(model: Model, sight: Sight, record: Record, seen: Snapshot) -> list[str]:
    """Hold everything against the model and against each other."""
    rows = record.rows(_TOLD)
    told = {row["stream"]: row["types"] for row in rows}
    return [
        *(line for image in model.images for line in _of_image(image, sight)),
        *(line for each in model.containers for line in _of_container(each, sight)),
        *(line for image in model.images for line in _told_of_image(image, told)),
        *(line for each in model.containers for line in _told_of_container(each, sight, told)),
        *_told_of_nobody(model, rows),
        *_made_otherwise(model, record),
        *differences(record, seen, cut_short=True),
    ]


def note_settled(model: Model, sight: Sight, record: Record) -> None:
    """Forget what cannot matter any more."""
    told = {row["stream"]: row["types"] for row in record.rows(_TOLD)}
    for image in model.images:
        image.builds = told[f"image/{image.id}"].count("image.build_started")
        image.unsure_builds = image.kills = 0
    for each in model.containers:
        each.removed = False
        each.disturbed = each.disturbed and not each.came_up
        row = sight.containers.get(each.id)
        if row is not None and row["status"] == "running":
            each.ends.clear()


def cannot_run(image: Image) -> bool:
    """Whether it keeps trying for ever to have as many instances as it should."""
    wanted = image.limits["min_instances"] > 0 and not image.wished_gone
    return wanted and image.built and not image.kind.comes_up


def why_it_is_not_told(image: Image, sight: Sight) -> list[str]:
    """Return what is missing of the report that an image cannot run."""
    row = sight.image(image)
    if row["instances_short"] and row["instances_short_reason"]:
        return []
    return [f"image {image.name} shows no shortfall: {row['instances_short_reason']}"]


# ---- what is shown -------------------------------------------------------------------------


def _of_image(image: Image, sight: Sight) -> Iterator[str]:
    row = sight.images.get(image.id)
    if image.wished_gone or row is None:
        if row is not None:
            yield f"image {image.name} is not gone"
        return
    if row["status"] not in _ends_of_build(image):
        yield f"image {image.name} is {row['status']}: {row['status_reason']}"
    minimum, maximum = image.limits["min_instances"], image.limits["max_instances"]
    rows = sight.of(image)
    running = sum((each["status"], each["desired"]) == ("running", "running") for each in rows)
    live = sum(each["status"] != "failed" for each in rows)
    if (row["container_count"], row["running_count"]) != (len(rows), running):
        yield f"image {image.name} counts {row['container_count']}, {row['running_count']} running"
    short = max(minimum - running, 0)
    if row["instances_short"] != short:
        yield f"image {image.name} shows {row['instances_short']} short; {short} are"
    if short and image.built and live < maximum:
        yield f"image {image.name} has {running} of {minimum}: {row['instances_short_reason']}"
    if short and row["instances_short_reason"] is None:
        yield f"image {image.name} does not tell why it is short"


def _ends_of_build(image: Image) -> set[str]:
    ends = {"ready" if image.kind.builds else "build_failed"}
    if image.cancelled:
        ends.add("build_cancelled")
    if image.kills >= _ATTEMPTS:
        ends.add("build_failed")
    return ends


def _of_container(each: Container, sight: Sight) -> Iterator[str]:
    row = sight.containers.get(each.id)
    if row is None:
        if not (each.desired == "deleted" or each.gone):
            yield f"container {each.name} is lost"
    elif each.desired == "deleted" or (each.removed and each.came_up):
        yield f"container {each.name} is {row['status']}, and not gone"
    elif row["status"] not in _ends_of_container(each):
        yield f"container {each.name} is {row['status']}: {row['status_reason']}"


def _ends_of_container(each: Container) -> set[str]:
    if each.desired == "stopped":
        return {"stopped"}
    ends = {"running"} if each.image.kind.comes_up else set()
    if each.may_fail:
        ends.add("failed")
    if each.may_be_left_alone:
        ends.add("exited")
    return ends


# ---- what is told --------------------------------------------------------------------------


def _told_of_image(image: Image, told: Mapping[str, Sequence[str]]) -> Iterator[str]:
    types = list(told.get(f"image/{image.id}", ()))
    begun = types.count("image.build_started")
    if not image.builds <= begun <= image.builds + image.unsure_builds:
        yield f"image {image.name} was wished {image.builds} builds, and told {types}"
    if types.count("image.deleted") != int(image.gone) or "image.deleted" in types[:-1]:
        yield f"image {image.name} is gone: {image.gone}, and told {types}"
    builds = [type_ for type_ in types if type_ != "image.deleted"]
    in_turn = all(
        type_ == "image.build_started" if number % 2 == 0 else type_ in _BUILD_ENDS
        for number, type_ in enumerate(builds)
    )
    # Of an image that is deleted while it builds only a cancel is told.
    if not in_turn or (len(builds) % 2 and not image.gone):
        yield f"image {image.name} was told {types}"


def _told_of_container(
    each: Container, sight: Sight, told: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Created once and first, deleted once and last, and as many starts as are shown.

    That runs are started and stopped in turn is held by `differences`.
    """
    types = [type_.partition(".")[2] for type_ in told.get(f"container/{each.id}", ())]
    row = sight.containers.get(each.id)
    ran = "created" in types
    if types.count("created") > 1 or "created" in types[1:] or ("started" in types and not ran):
        yield f"container {each.name} was told {types}"
    if types.count("deleted") > 1 or "deleted" in types[:-1]:
        yield f"container {each.name} was told {types}"
    if row is None:
        if types and types[-1] != "deleted":
            yield f"container {each.name} is gone, and told {types}"
    elif not types or types[-1] not in _LAST_TOLD.get(row["status"], ()):
        yield f"container {each.name} is {row['status']}, and told {types}"
    if row is not None and ran and types.count("started") != row["restart_count"] + 1:
        yield f"container {each.name} was started {row['restart_count'] + 1} times, told {types}"
    if each.came_up and not ran:
        yield f"container {each.name} came up, and told {types}"


# A start that failed leaves it exited; a stop afterwards tells nothing more.
_LAST_TOLD = {
    "running": {"started"},
    "failed": {"failed"},
    "stopped": {"stopped", "failed"},
    "exited": {"stopped", "failed"},
}


def _told_of_nobody(model: Model, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Instances may have come and gone unseen; nobody else may."""
    known = {f"image/{image.id}" for image in model.images}
    known |= {f"container/{each.id}" for each in model.containers}
    keeping = {image.id for image in model.images if image.kept}
    for row in rows:
        of_an_instance = row["stream"].startswith("container/") and row["image_id"] in keeping
        if row["stream"] not in known and not of_an_instance:
            yield f"{row['stream']} is told of nobody: {row['types']}"


def _made_otherwise(model: Model, record: Record) -> Iterator[str]:
    """A PATCH holds for what is made after it, and for nothing else."""
    made = {row["id"]: row["memory"] for row in record.rows(_MADE)}
    for each in model.containers:
        if each.memory is not None and made.get(each.id, each.memory) != each.memory:
            yield f"container {each.name} has {made[each.id]} instead of {each.memory}"
