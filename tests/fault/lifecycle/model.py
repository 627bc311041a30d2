"""The model: everything that was accepted.

A wish that was answered with 2xx stands, whatever dies afterwards; of one whose answer was lost
both possibilities are held, until somebody looks (`learn`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.fault.lifecycle.wishes import Container, Image, Request, Row, What


class Model:
    """Everything that was wished."""

    def __init__(self) -> None:
        self.images: list[Image] = []
        self.containers: list[Container] = []
        self.doubts: list[Request] = []

    def living(self) -> list[Image]:
        """Return the images that nobody wished gone."""
        return [image for image in self.images if not image.wished_gone]

    def of(self, image: Image) -> list[Container]:
        return [each for each in self.containers if each.image is image and not each.gone]

    # ---- what was answered -----------------------------------------------------------------

    def accept(self, request: Request, rows: Sequence[Row] = ()) -> None:
        """Note a wish that was accepted.

        Args:
            rows: the image, or the containers, that came into being.
        """
        image, container = request.image, request.container
        match request.what:
            case What.UPLOAD:
                image.id = rows[0]["id"]
                image.kept = image.limits["min_instances"] > 0
                self.images.append(image)
            case What.PATCH:
                image.limits.update(request.fields)
                image.kept = image.kept or image.limits["min_instances"] > 0
            case What.REBUILD:
                image.builds += 1
                image.cancelled, image.kills = False, 0
            case What.CANCEL:
                image.cancelled = True
            case What.DELETE_IMAGE:
                image.wished_gone = True
                for each in self.of(image):
                    each.desired = "deleted"
            case What.CREATE:
                self.containers += [new_container(row, image, by_user=True) for row in rows]
            case _:
                assert container is not None
                container.desired = _DESIRED[request.what]
                if request.what is What.START:
                    # A user's start does not ask its policy.
                    container.ends.clear()

    def doubt(self, request: Request) -> None:
        """Hold both possibilities: the answer was lost."""
        if request.image.wished_gone:
            # Nothing more can be wished of it.
            return
        if request.what is What.REBUILD:
            request.image.unsure_builds += 1
        elif request.what is What.CANCEL:
            request.image.cancelled = True
        else:
            self.doubts.append(request)

    def learn(self, images: Iterable[Row], containers: Iterable[Row]) -> None:
        """Decide what was in doubt by what is there now."""
        by_id = {row["id"]: row for row in containers}
        of_images = {row["name"]: row for row in images}
        for request in self.doubts:
            image = of_images.get(request.image.name)
            container = by_id.get(request.container.id) if request.container is not None else None
            if rows := _came_true(request, image, container, list(by_id.values())):
                self.accept(request, [row for row in rows if row])
        self.doubts.clear()


_DESIRED = {What.START: "running", What.STOP: "stopped", What.DELETE: "deleted"}


def new_container(row: Row, image: Image, *, by_user: bool) -> Container:
    """Take up a container; an instance may have been made before the last PATCH."""
    policy = image.limits["restart_policy"] if by_user else row["restart_policy"]
    memory = image.limits["memory_limit"] if by_user else None
    return Container(row["id"], row["name"], image, by_user, policy, memory, row["desired"])


def _came_true(
    request: Request, image: Row | None, container: Row | None, containers: Sequence[Row]
) -> Sequence[Row | None]:
    """Return what came into being, or anything at all, if a wish was recorded; else nothing."""
    match request.what:
        case What.UPLOAD:
            return [image] if image is not None else []
        case What.CREATE:
            prefix = f"{request.fields['name']}-"
            made = [row for row in containers if row["name"].startswith(prefix)]
            assert len(made) in {0, request.fields["count"]}, f"all or none: {made}"
            return made
        case What.DELETE_IMAGE:
            return [] if image is not None and image["status"] != "deleting" else [None]
        case What.PATCH:
            assert image is not None, f"{request.image.name} is gone"
            shown = {name: image[name] for name in request.fields}
            old = {name: request.image.limits[name] for name in request.fields}
            assert shown in (old, dict(request.fields)), f"half a PATCH: {shown}"
            return [None] if shown == dict(request.fields) else []
        case _:
            if container is not None and container["desired"] != _DESIRED[request.what]:
                return []
            return [None]
