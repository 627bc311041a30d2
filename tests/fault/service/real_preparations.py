"""How a stage is brought to where an operation begins, and what leads up to it then."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx

from adapters.docker import labels
from tests.contracts.subjects import wait_until
from tests.fault.service.stage import WAIT, Stage

# SWEEP_GRACE_SECONDS, and a moment.
_GRACE_SECONDS = 61.0
# Longer than it takes to ask for its end, and not as long as anybody would wait for it.
_SLOW = "sleep 15"


# ---- preparations --------------------------------------------------------------------------


def own_image(stage: Stage) -> None:
    stage.build_image()


def own_running(stage: Stage) -> None:
    stage.build_image()
    stage.create()


def own_second(stage: Stage) -> None:
    """What runs is in the second slot, and nothing in the first."""
    stage.build_image()
    stage.create()
    first = stage.container
    stage.create()
    stage.delete(f"containers/{first['id']}?{WAIT}")


def kept(stage: Stage) -> None:
    stage.build_image(minimum=1)
    stage.wait_for_instance()


def shared(stage: Stage) -> None:
    stage.share_image()


def running(stage: Stage) -> None:
    stage.share_image()
    stage.create()


def stopped(stage: Stage) -> None:
    running(stage)
    stop = stage.http.post(f"/api/containers/{stage.container['id']}/stop?{WAIT}")
    assert stop.status_code == httpx.codes.OK, stop.text


def rebuilt(stage: Stage) -> None:
    stage.build_image()
    stage.http.post(f"/api/images/{stage.image_id}/rebuild").raise_for_status()
    stage.service.wait_until_built(stage.image_id)


# ---- what leads up to it -------------------------------------------------------------------


def kill(stage: Stage) -> None:
    stage.service.engine.docker("kill", stage.container["container_id"])


def want_one(stage: Stage) -> None:
    change = {"min_instances": 1}
    stage.http.patch(f"/api/images/{stage.image_id}", json=change).raise_for_status()


def meddle(stage: Stage) -> None:
    """Remove a container behind its back, and make something that is no container's."""
    service, container = stage.service, stage.container["container_id"]
    image = service.engine.docker("inspect", "--format", "{{.Image}}", container).strip()
    service.engine.docker("rm", "--force", container)
    ours = service.settings["INSTALLATION_ID"]
    bears = (f"{labels.INSTALLATION_ID}={ours}", f"{labels.UID}={uuid4()}")
    service.engine.docker("create", *(f"--label={each}" for each in bears), image)


def litter(stage: Stage) -> None:
    """Leave a tag, an image and files that nobody needs, and let their grace pass."""
    service, (first, second) = stage.service, _builds(stage)
    service.engine.docker("tag", second["docker_image_id"], _tag(stage, first["id"]))
    # The first build's own may be swept by now: it has had no tag but that one for long.
    service.engine.import_untagged(stage.image_id, first["id"])
    left_at = time.monotonic()
    for path in _litter_paths(stage):
        path.mkdir(parents=True)
        os.utime(path, (0, 0))
    wait_until(lambda: time.monotonic() - left_at > _GRACE_SECONDS, 2 * _GRACE_SECONDS)


def unswept(stage: Stage) -> list[str]:
    """Return what is left of that, a line each."""
    docker, (first, _) = stage.service.engine.docker, _builds(stage)
    tag = docker("image", "ls", "--quiet", "--filter", f"reference={_tag(stage, first['id'])}")
    untagged = stage.service.engine.untagged()
    return [
        *(f"file {path.name}" for path in _litter_paths(stage) if path.exists()),
        *(f"tag of {each}" for each in tag.split()),
        *(f"untagged {each}" for each in untagged),
    ]


def _litter_paths(stage: Stage) -> list[Path]:
    volume, user = stage.service.volume, stage.service.settings["DEV_USER_ID"]
    return [volume / ".incoming" / UUID(int=0).hex, volume / user / "999999"]


def _builds(stage: Stage) -> list[dict[str, Any]]:
    return stage.service.rows(
        f"SELECT id, docker_image_id FROM builds WHERE image_id = {stage.image_id} ORDER BY id"
    )


def _tag(stage: Stage, build_id: int) -> str:
    return f"nvidia-app-u{stage.service.settings['DEV_USER_ID']}-i{stage.image_id}:b{build_id}"


def upload(stage: Stage) -> None:
    stage.upload()


def upload_slow(stage: Stage) -> None:
    stage.upload(run=_SLOW)


def builds_by_now(stage: Stage) -> bool:
    sql = f"SELECT FROM builds WHERE image_id = {stage.image_id} AND status = 'running'"
    return bool(stage.service.rows(sql))
