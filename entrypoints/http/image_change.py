"""The JSON body of PATCH /api/images/{id}: its fields are checked all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from application.change_image import ChangeImage
from application.errors import InvalidForm
from domain.errors import InvalidValue
from domain.limits import MAX_INSTANCES, InstanceLimits, ResourceLimits, parsed_cpu
from domain.restart_policy import RestartPolicy, parsed_restart_policy

FIELDS = ("min_instances", "max_instances", "cpu_limit", "memory_limit", "restart_policy")

T = TypeVar("T")


def image_change(fields: Mapping[str, Any], user_id: str, image_id: int) -> ChangeImage:
    """Check every field of the body by itself.

    Raises:
        InvalidForm: with all that is wrong, not just the first.
    """
    problems = [(name, "unknown field") for name in fields if name not in FIELDS]
    if not fields:
        problems.append(("body", f"must hold at least one of {', '.join(FIELDS)}"))

    def checked(name: str, read: Callable[[str, Any], T]) -> T | None:
        if name not in fields:
            return None
        try:
            return read(name, fields[name])
        except InvalidValue as exc:
            problems.append((exc.field, exc.message))
            return None

    command = ChangeImage(
        user_id=user_id,
        image_id=image_id,
        min_instances=checked("min_instances", _minimum),
        max_instances=checked("max_instances", _maximum),
        cpu_limit=checked("cpu_limit", _cpu),
        memory_limit=checked("memory_limit", _memory),
        restart_policy=checked("restart_policy", _policy),
    )
    minimum, maximum = command.min_instances, command.max_instances
    if minimum is not None and maximum is not None:
        checked("min_instances", lambda *_: InstanceLimits(minimum, maximum))
    if problems:
        raise InvalidForm(problems)
    return command


def _minimum(name: str, value: object) -> int:
    return InstanceLimits(_whole_number(name, value), MAX_INSTANCES).minimum


def _maximum(name: str, value: object) -> int:
    return InstanceLimits(0, _whole_number(name, value)).maximum


def _cpu(name: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidValue(name, "must be a number of cores, such as 0.5")
    return ResourceLimits(parsed_cpu(str(value)), "1g").cpu


def _memory(name: str, value: object) -> str:
    return ResourceLimits(Decimal(1), _text(name, value)).memory


def _policy(name: str, value: object) -> RestartPolicy:
    return parsed_restart_policy(_text(name, value))


def _whole_number(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValue(name, "must be a whole number")
    return value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidValue(name, "must be a string")
    return value
