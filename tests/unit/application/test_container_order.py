"""What a container is made from, and the digest by which one of ours is known again."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from application.engine_calls import ContainerOrder
from tests.unit.domain.samples import PORT, UID, new_container


def order(**changed: Any) -> ContainerOrder:
    return replace(ContainerOrder.of(new_container(), PORT), **changed)


def test_an_order_carries_the_spec_and_tells_the_app_its_port() -> None:
    assert order() == ContainerOrder(
        uid=UID,
        image_id=7,
        name="my-app-01234567",
        docker_image_id="sha256:abc",
        env={"MODE": "test", "PORT": "8080"},
        internal_port=8080,
        external_port=PORT,
        cpu_limit=Decimal("0.5"),
        memory_bytes=512 * 1024**2,
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"docker_image_id": "sha256:other"},
        {"env": {"MODE": "other", "PORT": "8080"}},
        {"env": {"PORT": "8080"}},
        {"internal_port": 8081},
        {"external_port": PORT + 1},
        {"cpu_limit": Decimal("0.6")},
        {"memory_bytes": 1},
    ],
)
def test_whatever_it_is_made_from_changes_its_digest(changed: dict[str, Any]) -> None:
    assert order(**changed).spec_hash != order().spec_hash


def test_the_order_of_variables_does_not_change_its_digest() -> None:
    one = order(env={"A": "1", "B": "2"})
    other = order(env={"B": "2", "A": "1"})

    assert one.spec_hash == other.spec_hash


def test_its_name_does_not_change_its_digest() -> None:
    assert order(name="renamed").spec_hash == order().spec_hash
