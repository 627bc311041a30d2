"""What may be asked for when containers are created, before anything is looked up."""

import pytest

from application.create_containers import CreateContainers
from domain.errors import InvalidValue


@pytest.mark.parametrize("count", [1, 10])
def test_as_many_containers_may_be_asked_for_as_an_image_can_have(count: int) -> None:
    assert CreateContainers("user-1", 7, "request", count=count).count == count


@pytest.mark.parametrize("count", [0, -1, 11])
def test_a_count_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(InvalidValue) as refusal:
        CreateContainers("user-1", 7, "request", count=count)

    assert (refusal.value.field, refusal.value.message) == ("count", "must be from 1 to 10")


@pytest.mark.parametrize(
    ("name", "env", "field"),
    [
        ("-bad", {}, "name"),
        ("", {}, "name"),
        (None, {"PORT": "1"}, "env"),
        (None, {"A-B": "1"}, "env"),
        (None, {"A": "\0"}, "env"),
    ],
)
def test_names_and_variables_are_checked_by_their_grammars(
    name: str | None, env: dict[str, str], field: str
) -> None:
    with pytest.raises(InvalidValue) as refusal:
        CreateContainers("user-1", 7, "request", name=name, env=env)

    assert refusal.value.field == field
