"""Every archive that cannot become a build context is refused and leaves no trace."""

import httpx
import pytest

from tests.integration.http.edge import checked_problem, wrong_fields
from tests.integration.http.footprint import World
from tests.integration.http.uploads import (
    CONTENT_TYPE,
    body,
    device,
    fields,
    file,
    good_archive,
    symlink,
    tar,
)


@pytest.fixture(scope="module")
def settings_of_module() -> dict[str, str]:
    return {"MAX_CONTEXT_BYTES": str(1024 * 1024), "MAX_CONTEXT_ENTRIES": "50"}


WRONG_ARCHIVES = {
    "no archive": b"once upon a time",
    "an empty file": b"",
    "an empty tar": tar(),
    "zeros": bytes(20_000),
    "a zip that is cut": b"PK\x03\x04" + b"\x00" * 20,
    "a gzip of nothing": b"\x1f\x8b" + b"\x00" * 40,
    "a tar that is cut": good_archive()[:1500],
    "no Dockerfile": tar(file("app/page.html")),
    "a Dockerfile too deep": tar(file("a/b/Dockerfile"), file("c")),
    "a Dockerfile that is a folder": tar(file("Dockerfile/x")),
    "a path that leaves": tar(file("Dockerfile"), file("../escaped")),
    "a path that leaves after a while": tar(file("Dockerfile"), file("a/../../escaped")),
    "an absolute path": tar(file("Dockerfile"), file("/etc/escaped")),
    "a link that leaves": tar(file("Dockerfile"), symlink("out", "../../etc/passwd")),
    "an absolute link": tar(file("Dockerfile"), symlink("out", "/etc/passwd")),
    "a file through a link": tar(file("Dockerfile"), symlink("a", "b"), file("a/x")),
    "a device": tar(file("Dockerfile"), device("null")),
    "the same file twice": tar(file("Dockerfile"), file("x"), file("x")),
    "too large when extracted": tar(file("Dockerfile"), file("large", bytes(1024 * 1024))),
    "too many entries": tar(file("Dockerfile"), *(file(f"f{n}") for n in range(60))),
}


@pytest.mark.parametrize("archive", WRONG_ARCHIVES.values(), ids=WRONG_ARCHIVES.keys())
def test_an_archive_that_cannot_be_a_context_is_refused(
    client: httpx.Client, world: World, archive: bytes
) -> None:
    with world.left_alone():
        response = client.post(
            "/api/images",
            content=body(fields(), [archive]),
            headers={"Content-Type": CONTENT_TYPE},
        )

    assert wrong_fields(checked_problem(response, 422, "invalid-archive")) == ["file"]
