"""How many instances and how much of a machine: bounds, units, and the operator's ceiling."""

from decimal import Decimal

import pytest

from domain.errors import InstanceLimitReached, InvalidValue
from domain.limits import (
    InstanceLimits,
    ResourceLimits,
    checked_container_port,
    parsed_cpu,
)


@pytest.mark.parametrize(("minimum", "maximum"), [(0, 1), (1, 1), (0, 10), (10, 10), (3, 7)])
def test_instances_are_bounded_by_a_minimum_and_a_maximum(minimum: int, maximum: int) -> None:
    limits = InstanceLimits(minimum, maximum)

    assert (limits.minimum, limits.maximum) == (minimum, maximum)


@pytest.mark.parametrize(
    ("minimum", "maximum", "field"),
    [
        (0, 0, "max_instances"),
        (0, -1, "max_instances"),
        (0, 11, "max_instances"),
        (-1, 1, "min_instances"),
        (2, 1, "min_instances"),
        (11, 10, "min_instances"),
    ],
)
def test_bounds_out_of_range_are_refused_by_name(minimum: int, maximum: int, field: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        InstanceLimits(minimum, maximum)

    assert refusal.value.field == field


@pytest.mark.parametrize(("live", "requested"), [(0, 3), (2, 1), (3, 0)])
def test_what_fits_beside_the_living_is_admitted(live: int, requested: int) -> None:
    InstanceLimits(0, 3).admit(live, requested)


@pytest.mark.parametrize(
    ("live", "requested", "left"), [(0, 4, 3), (2, 2, 1), (3, 1, 0), (5, 1, 0)]
)
def test_what_does_not_fit_is_refused_whole_with_how_many_are_left(
    live: int, requested: int, left: int
) -> None:
    with pytest.raises(InstanceLimitReached) as refusal:
        InstanceLimits(0, 3).admit(live, requested)

    assert (refusal.value.max_instances, refusal.value.left) == (3, left)
    assert refusal.value.requested == requested


@pytest.mark.parametrize(
    ("memory", "size"),
    [
        ("6291456", 6 * 1024**2),
        ("6291456b", 6 * 1024**2),
        ("6144k", 6 * 1024**2),
        ("512m", 512 * 1024**2),
        ("512M", 512 * 1024**2),
        ("2g", 2 * 1024**3),
        ("2G", 2 * 1024**3),
    ],
)
def test_memory_is_counted_in_powers_of_1024_whatever_the_case_of_its_unit(
    memory: str, size: int
) -> None:
    limits = ResourceLimits(Decimal("0.5"), memory)

    assert (limits.memory_bytes, limits.memory) == (size, memory)


@pytest.mark.parametrize(
    "memory",
    [
        "",
        "m",
        "0",
        "0m",
        "05m",
        "1.5g",
        "-6m",
        "6 m",
        "6mb",
        "6t",
        "6m\n",
        "\u0666m",
        "99999\u212a",
    ],
)
def test_memory_that_is_no_whole_number_with_a_known_unit_is_refused(memory: str) -> None:
    with pytest.raises(InvalidValue, match="must be a whole number") as refusal:
        ResourceLimits(Decimal("0.5"), memory)

    assert refusal.value.field == "memory_limit"


@pytest.mark.parametrize("memory", ["5m", "6143k", "6291455", "1"])
def test_memory_that_docker_refuses_is_refused_before_docker_is_asked(memory: str) -> None:
    with pytest.raises(InvalidValue, match="must be at least 6m"):
        ResourceLimits(Decimal("0.5"), memory)


@pytest.mark.parametrize("cpu", ["0.01", "0.125", "1", "64", "1.500", "1.5000", "999.999"])
def test_cpu_is_cores_to_a_thousandth(cpu: str) -> None:
    assert ResourceLimits(parsed_cpu(cpu), "1g").cpu == Decimal(cpu)


@pytest.mark.parametrize(
    "cpu",
    ["0", "-1", "0.009", "0.0125", "1000", "1e30", "1e400", "1e-400", "NaN", "sNaN", "Infinity"],
)
def test_cpu_out_of_range_or_finer_than_a_thousandth_is_refused(cpu: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        ResourceLimits(parsed_cpu(cpu), "1g")

    assert refusal.value.field == "cpu_limit"


@pytest.mark.parametrize("text", ["", "half", "1,5", "0x1", "1/2"])
def test_cpu_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="must be a number of cores") as refusal:
        parsed_cpu(text)

    assert refusal.value.field == "cpu_limit"


@pytest.mark.parametrize(("cpu", "memory"), [("2", "1g"), ("0.5", "1024m"), ("2.000", "6m")])
def test_limits_up_to_the_ceiling_are_granted(cpu: str, memory: str) -> None:
    ceiling = ResourceLimits(Decimal(2), "1g")
    asked = ResourceLimits(Decimal(cpu), memory)

    assert asked.within(ceiling) is asked


@pytest.mark.parametrize(
    ("cpu", "memory", "field", "message"),
    [
        ("2.001", "1g", "cpu_limit", "must be at most 2"),
        ("2", "1025m", "memory_limit", "must be at most 1g"),
    ],
)
def test_limits_above_the_ceiling_are_refused(
    cpu: str, memory: str, field: str, message: str
) -> None:
    with pytest.raises(InvalidValue) as refusal:
        ResourceLimits(Decimal(cpu), memory).within(ResourceLimits(Decimal(2), "1g"))

    assert (refusal.value.field, refusal.value.message) == (field, message)


@pytest.mark.parametrize("port", [1, 8080, 65535])
def test_a_tcp_port_is_taken(port: int) -> None:
    assert checked_container_port(port) == port


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_what_is_no_tcp_port_is_refused(port: int) -> None:
    with pytest.raises(InvalidValue) as refusal:
        checked_container_port(port)

    assert refusal.value.field == "container_port"
