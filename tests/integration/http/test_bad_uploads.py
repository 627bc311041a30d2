"""Every refused upload is a clear problem and leaves no row and no file behind."""

from dataclasses import dataclass

import httpx
import pytest

from tests.integration.http import uploads
from tests.integration.http.edge import checked_problem, upload, wrong_fields
from tests.integration.http.footprint import World
from tests.integration.http.uploads import (
    CONTENT_TYPE,
    body,
    fields,
    good_archive,
    good_body,
)

MAX_UPLOAD_BYTES = 256 * 1024


@pytest.fixture(scope="module")
def settings_of_module() -> dict[str, str]:
    return {
        "MAX_UPLOAD_BYTES": str(MAX_UPLOAD_BYTES),
        "MAX_CPU_LIMIT": "2",
        "MAX_MEMORY_LIMIT": "1g",
    }


WRONG_VALUES: list[tuple[str, str | None]] = [
    ("name", None),
    ("name", ""),
    ("name", "   "),
    ("name", "n" * 101),
    ("name", "n" * 401),
    ("name", "two\nlines"),
    ("name", "nul\0"),
    ("name", "bell\x07"),
    ("app_hostname", None),
    ("app_hostname", ""),
    ("app_hostname", "a" * 64 + ".example.com"),
    ("app_hostname", ".".join(["a" * 50] * 5)),
    ("app_hostname", "h" * 300),
    ("app_hostname", "https://shop.example.com"),
    ("app_hostname", "shop.example.com:80"),
    ("app_hostname", "shop_1.example.com"),
    ("app_hostname", "-shop.example.com"),
    ("app_hostname", "shop..example.com"),
    ("app_hostname", "shop.example.com."),
    ("app_hostname", "sh\u00f6p.example.com"),
    ("tag", "-latest"),
    ("tag", "a:b"),
    ("tag", "a b"),
    ("tag", "t" * 129),
    ("tag", "b2"),
    ("tag", "t\u00e4g"),
    ("container_port", "0"),
    ("container_port", "65536"),
    ("container_port", "-1"),
    ("container_port", "80.5"),
    ("container_port", "http"),
    ("container_port", "\u0668\u0660"),
    ("container_port", "9" * 17),
    ("min_instances", "-1"),
    ("min_instances", "2"),
    ("min_instances", "one"),
    ("max_instances", "0"),
    ("max_instances", "11"),
    ("max_instances", "1e1"),
    ("cpu_limit", "0"),
    ("cpu_limit", "0.001"),
    ("cpu_limit", "0.1234"),
    ("cpu_limit", "-1"),
    ("cpu_limit", "2.001"),
    ("cpu_limit", "nan"),
    ("cpu_limit", "inf"),
    ("cpu_limit", "1e50"),
    ("cpu_limit", "half"),
    ("memory_limit", "0"),
    ("memory_limit", "5m"),
    ("memory_limit", "1.5g"),
    ("memory_limit", "2g"),
    ("memory_limit", "-1"),
    ("memory_limit", "512 m"),
    ("memory_limit", "512t"),
    ("memory_limit", "9" * 33),
    ("restart_policy", "sometimes"),
    ("restart_policy", "On-Failure"),
    ("restart_policy", "x" * 33),
]


@pytest.mark.parametrize(("field", "value"), WRONG_VALUES)
def test_a_wrong_value_is_refused_by_its_field(
    client: httpx.Client, world: World, field: str, value: str | None
) -> None:
    with world.left_alone():
        response = _send(client, good_body(**{field: value}))

    assert wrong_fields(checked_problem(response, 422, "invalid-request")) == [field]


def test_everything_that_is_wrong_is_told_at_once(client: httpx.Client, world: World) -> None:
    with world.left_alone():
        response = _send(
            client, good_body(name=None, tag="?", max_instances="0", memory_limit="little")
        )

    problem = checked_problem(response, 422, "invalid-request")
    assert wrong_fields(problem) == ["name", "tag", "max_instances", "memory_limit"]


def test_an_upload_at_the_ceiling_is_accepted(client: httpx.Client) -> None:
    image = upload(client, cpu_limit="2", memory_limit="1024m", app_hostname="most.example.com")

    assert (image["cpu_limit"], image["memory_limit"]) == (2.0, "1024m")


@dataclass(frozen=True)
class Refused:
    """A body and the problem that it is answered with."""

    content: bytes
    status: int
    name: str
    fields: tuple[str, ...] = ()
    content_type: str = CONTENT_TYPE


ARCHIVE = good_archive()
WRONG_FORMS = {
    "an unknown field": Refused(
        body([*fields(), ("owner", "bob")], [ARCHIVE]), 422, "invalid-request", ("owner",)
    ),
    "another user's id": Refused(
        body([*fields(), ("user_id", "bob")], [ARCHIVE]), 422, "invalid-request", ("user_id",)
    ),
    "a repeated field": Refused(
        body([*fields(), ("name", "again")], [ARCHIVE]), 422, "invalid-request", ("name",)
    ),
    "no file": Refused(body(fields()), 422, "invalid-request", ("file",)),
    "two files": Refused(body(fields(), [ARCHIVE, ARCHIVE]), 422, "invalid-request", ("file",)),
    "a file for a name": Refused(
        good_body().replace(b'name="name"', b'name="name"; filename="n.txt"'),
        422,
        "invalid-request",
        ("name",),
    ),
    "a name that is not UTF-8": Refused(
        body([("name", b"\xff"), *fields(name=None)], [ARCHIVE]),
        422,
        "invalid-request",
        ("name",),
    ),
    "nothing but the end": Refused(body([]), 422, "invalid-request", ("file",)),
    "no content type": Refused(good_body(), 415, "unsupported-media-type", content_type=""),
    "a form of another kind": Refused(
        b"name=x",
        415,
        "unsupported-media-type",
        content_type="application/x-www-form-urlencoded",
    ),
    "JSON": Refused(
        b'{"name":"x"}', 415, "unsupported-media-type", content_type="application/json"
    ),
    "the archive alone": Refused(
        ARCHIVE, 415, "unsupported-media-type", content_type="application/x-tar"
    ),
    "no boundary": Refused(
        good_body(), 400, "malformed-upload", content_type="multipart/form-data"
    ),
    "a boundary out of its grammar": Refused(
        good_body(), 400, "malformed-upload", content_type='multipart/form-data; boundary="a\tb"'
    ),
    "another boundary than the body's": Refused(
        good_body(), 400, "malformed-upload", content_type="multipart/form-data; boundary=other"
    ),
    "an empty body": Refused(b"", 400, "malformed-upload"),
    "a body that is cut within the file": Refused(good_body()[:-400], 400, "malformed-upload"),
    "a body without its last delimiter": Refused(
        good_body().removesuffix(f"--{uploads.BOUNDARY}--\r\n".encode()), 400, "malformed-upload"
    ),
    "more after the end": Refused(good_body() + b"x" * 5000, 400, "malformed-upload"),
    "a part without a name": Refused(
        good_body().replace(b'; name="name"', b""), 400, "malformed-upload"
    ),
    "headers without an end": Refused(
        f"--{uploads.BOUNDARY}\r\nX: ".encode() + b"x" * 9000, 400, "malformed-upload"
    ),
    "a hundred parts": Refused(
        body([(f"f{n}", "") for n in range(100)], [ARCHIVE]), 422, "invalid-request", ("f0",)
    ),
    "a file one byte too large": Refused(
        body(fields(), [b"x" * (MAX_UPLOAD_BYTES + 1)]), 413, "upload-too-large"
    ),
    "a body far too large": Refused(
        body(fields(), [b"x" * (8 * MAX_UPLOAD_BYTES)]), 413, "upload-too-large"
    ),
}


@pytest.mark.parametrize("refused", WRONG_FORMS.values(), ids=WRONG_FORMS.keys())
def test_a_wrong_form_is_refused(client: httpx.Client, world: World, refused: Refused) -> None:
    with world.left_alone():
        response = _send(client, refused.content, refused.content_type)

    problem = checked_problem(response, refused.status, refused.name)
    if refused.status == 422:
        assert tuple(wrong_fields(problem)) == refused.fields


@pytest.mark.parametrize("refused", WRONG_FORMS.values(), ids=WRONG_FORMS.keys())
def test_a_wrong_form_is_refused_in_chunks_as_well(
    client: httpx.Client, world: World, refused: Refused
) -> None:
    content = refused.content
    chunks = (content[start : start + 7001] for start in range(0, len(content), 7001))

    with world.left_alone():
        response = client.post(
            "/api/images", content=chunks, headers={"Content-Type": refused.content_type}
        )

    checked_problem(response, refused.status, refused.name)


def test_a_hostname_that_another_user_holds_is_refused(
    client: httpx.Client, stranger: httpx.Client, world: World
) -> None:
    upload(stranger, app_hostname="taken.example.com")

    with world.left_alone():
        response = _send(client, good_body(app_hostname="Taken.example.com"))

    problem = checked_problem(response, 409, "hostname-taken")
    assert "taken.example.com" in problem["detail"]
    assert "bob" not in response.text


def _send(client: httpx.Client, content: bytes, content_type: str = CONTENT_TYPE) -> httpx.Response:
    return client.post("/api/images", content=content, headers={"Content-Type": content_type})
