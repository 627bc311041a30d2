"""Grammars of what users name: themselves, images, tags, hostnames, containers, variables."""

from __future__ import annotations

import re
from collections.abc import Mapping

from domain.errors import InvalidValue

USER_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
MAX_USER_ID = 64

# Docker's reference grammar: a tag is a word character, then up to 127 of these.
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
# The public one moves with the recorded outcome of a build, which sets its own before.
BUILD_TAG = re.compile(r"b[0-9]+")

# RFC 1123: labels of at most 63 letters, digits and inner hyphens, 253 characters in all.
HOSTNAME_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
MAX_HOSTNAME = 253

MAX_NAME = 100

# Docker's grammar of container names; the first character is a letter or digit.
CONTAINER_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
MAX_CONTAINER_NAME = 63

# POSIX's portable names of environment variables.
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Cloud Run's limit for all variables of a container together.
MAX_ENV_BYTES = 32 * 1024
RESERVED_VARIABLES = frozenset({"PORT"})


def checked_user_id(value: str) -> str:
    """Return `value` if it is a user id: lower-case words joined by hyphens, 64 at most."""
    if len(value) > MAX_USER_ID or not USER_ID.fullmatch(value):
        raise InvalidValue("user_id", "must be [a-z0-9]+(-[a-z0-9]+)*, at most 64 characters")
    return value


def checked_image_name(value: str) -> str:
    """Return `value` without surrounding space if it is printable and 1 to 100 characters."""
    name = value.strip()
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidValue("name", "must be 1 to 100 printable characters")
    return name


def checked_tag(value: str) -> str:
    """Return `value` if Docker accepts it as a tag, and no build will bear it."""
    if not TAG.fullmatch(value):
        raise InvalidValue(
            "tag", "must be a Docker tag: [A-Za-z0-9_][A-Za-z0-9_.-]*, at most 128 characters"
        )
    if BUILD_TAG.fullmatch(value):
        raise InvalidValue("tag", "must be other than b and a number: builds bear those")
    return value


def checked_hostname(value: str) -> str:
    """Return `value` in lower case if it is a hostname by RFC 1123."""
    hostname = value.lower()
    labels = hostname.split(".")
    if len(hostname) > MAX_HOSTNAME or not all(HOSTNAME_LABEL.fullmatch(part) for part in labels):
        raise InvalidValue("app_hostname", "must be a hostname by RFC 1123, without a scheme")
    return hostname


def checked_container_name(value: str) -> str:
    """Return `value` if Docker accepts it as a container name with our suffix added."""
    if len(value) > MAX_CONTAINER_NAME or not CONTAINER_NAME.fullmatch(value):
        raise InvalidValue("name", "must be [a-zA-Z0-9][a-zA-Z0-9_.-]*, at most 63 characters")
    return value


def sanitised_container_name(image_name: str) -> str:
    """Derive a container name from an image's free-text name."""
    kept = re.sub(r"[^a-z0-9_.-]+", "-", image_name.lower()).strip("-_.")
    return kept[:MAX_CONTAINER_NAME].rstrip("-_.") or "app"


def checked_env(env: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of `env` if its names are portable and all of it fits 32 KiB.

    Raises:
        InvalidValue: for a name outside the grammar, a reserved name, a NUL, or too much of it.
    """
    for name, value in env.items():
        if not VARIABLE.fullmatch(name):
            raise InvalidValue("env", "names must be [A-Za-z_][A-Za-z0-9_]*")
        if name in RESERVED_VARIABLES:
            raise InvalidValue("env", f"{name} is set by the service")
        if "\0" in value:
            raise InvalidValue("env", f"{name} holds a NUL character")
    size = sum(len(name.encode()) + len(value.encode()) + 2 for name, value in env.items())
    if size > MAX_ENV_BYTES:
        raise InvalidValue("env", f"must be at most {MAX_ENV_BYTES} bytes in all")
    return dict(env)
