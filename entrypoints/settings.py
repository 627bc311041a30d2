"""Settings of api and worker, read from the environment once, at start.

Every one has a default but those without which nothing sensible can be done. Durations end in
_SECONDS, sizes in _BYTES. A malformed value stops the process with one line that names it.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
import psycopg
from msgspec import Meta
from psycopg.conninfo import conninfo_to_dict

from adapters.failpoints.registry import Failpoints, UnknownFailpoint
from domain.errors import InvalidValue
from domain.limits import ResourceLimits, parsed_cpu
from domain.names import checked_user_id
from domain.restart_policy import RestartBackoff

# Kafka's own grammar of topic names.
Topic = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,249}\Z")]
Port = Annotated[int, Meta(ge=1, le=65535)]
# A week: what is longer is a slip, and infinity no time limit at all.
MAX_SECONDS = 7 * 24 * 3600
Seconds = Annotated[float, Meta(gt=0, le=MAX_SECONDS)]
Count = Annotated[int, Meta(ge=1)]
Bytes = Annotated[int, Meta(ge=1)]


# Where msgspec's own words would be a pattern, or not tell what there is to choose from.
_ALLOWED = {
    "KAFKA_TOPIC": "expected 1 to 249 letters, digits, dots, underscores and hyphens",
    "KAFKA_IMAGE_TOPIC": "expected 1 to 249 letters, digits, dots, underscores and hyphens",
    "INSTALLATION_ID": "expected 1 to 64 letters, digits, dots, underscores and hyphens",
    "AUTH_MODE": "expected gateway or none",
    "HOST_PORT_RANGE": "expected FIRST-LAST, from 1 to 65535",
}


class InvalidSettings(Exception):  # noqa: N818 - named by what is wrong
    """A variable of the environment is missing or malformed; the text names it, in one line."""


class AuthMode(StrEnum):
    """How the api learns who asks.

    GATEWAY trusts X-User-Id from whoever knows GATEWAY_SECRET; NONE is one developer on loopback.
    """

    GATEWAY = "gateway"
    NONE = "none"


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename="upper"):
    """What the environment says; see README for each variable."""

    database_url: str
    database_pool_size: Count = 10
    kafka_topic: Topic = "container-lifecycle"
    kafka_image_topic: Topic = "image-lifecycle"
    installation_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}\Z")] | None = None
    build_context_base_dir: str = "/var/lib/orchestrator/build-contexts"

    bind_host: str = "127.0.0.1"
    port: Port = 3003
    auth_mode: AuthMode | None = None
    gateway_secret: str | None = None
    dev_user_id: str | None = None
    max_upload_bytes: Bytes = 512 * 1024**2
    max_context_bytes: Bytes = 2 * 1024**3
    max_context_entries: Count = 50_000
    min_free_disk_bytes: Annotated[int, Meta(ge=0)] = 1024**3
    max_cpu_limit: str = "4"
    max_memory_limit: str = "8g"

    docker_host: str = "unix:///var/run/docker.sock"
    # The Docker client reads both from the environment itself, at each call.
    docker_tls_verify: str | None = None
    docker_cert_path: str | None = None
    worker_port: Port = 3004
    engine_host: str | None = None
    probe_host: str | None = None
    publish_host_ip: str | None = None
    host_port_range: Annotated[str, Meta(pattern=r"^[0-9]{1,5}-[0-9]{1,5}\Z")] = "20000-29999"
    lease_seconds: Annotated[float, Meta(ge=2, le=MAX_SECONDS)] = 10.0
    build_timeout_seconds: Seconds = 900.0
    startup_timeout_seconds: Seconds = 60.0
    stop_grace_seconds: Annotated[float, Meta(ge=0, le=MAX_SECONDS)] = 10.0
    reconcile_interval_seconds: Seconds = 15.0
    stranger_grace_seconds: Annotated[float, Meta(ge=0, le=MAX_SECONDS)] = 60.0
    sweep_interval_seconds: Seconds = 3600.0
    # Shorter, and what an upload leaves alone while it waits for its turn might be taken from it.
    sweep_grace_seconds: Annotated[float, Meta(ge=60, le=MAX_SECONDS)] = 3600.0
    restart_backoff_seconds: Seconds = 10.0
    restart_backoff_max_seconds: Seconds = 300.0
    concurrent_builds: Count = 2
    concurrent_builds_per_user: Count = 2
    concurrent_starts: Count = 4
    concurrent_stops: Count = 4
    concurrent_deletes: Count = 4

    orchestrator_failpoints: str = ""

    @property
    def context_folder(self) -> Path:
        return Path(self.build_context_base_dir)

    @property
    def port_range(self) -> tuple[int, int]:
        """First and last host port, both included."""
        first, last = (int(part) for part in self.host_port_range.split("-"))
        return first, last

    @property
    def ceiling(self) -> ResourceLimits:
        """The most that one container may be given."""
        return ResourceLimits(Decimal(self.max_cpu_limit), self.max_memory_limit)

    @property
    def engine_address(self) -> str:
        """Where the external ports of the engine's containers are reached."""
        if self.engine_host:
            return self.engine_host
        return urlsplit(self.docker_host).hostname or "127.0.0.1"

    @property
    def engine_location(self) -> str:
        """Where the engine is reached, and from where: a socket is another one on each machine."""
        if urlsplit(self.docker_host).hostname:
            return self.docker_host
        return f"{socket.gethostname()}:{self.docker_host}"

    @property
    def restart_backoff(self) -> RestartBackoff:
        return RestartBackoff(self.restart_backoff_seconds, self.restart_backoff_max_seconds)

    @property
    def probe_address(self) -> str:
        return self.probe_host or self.engine_address

    @property
    def publish_address(self) -> str:
        """The address that ports are bound to on the engine: loopback unless it is remote."""
        if self.publish_host_ip:
            return self.publish_host_ip
        return "127.0.0.1" if is_loopback(self.engine_address) else "0.0.0.0"  # noqa: S104 - remote

    def check_api(self) -> None:
        """Refuse a configuration under which the api would not know its callers.

        Raises:
            InvalidSettings: naming the variable.
        """
        if self.auth_mode is None:
            raise InvalidSettings("AUTH_MODE must be set: gateway, or none for one local developer")
        if self.auth_mode is AuthMode.GATEWAY and not self.gateway_secret:
            raise InvalidSettings("GATEWAY_SECRET must be set with AUTH_MODE=gateway")
        if self.auth_mode is AuthMode.NONE:
            if not self.dev_user_id:
                raise InvalidSettings("DEV_USER_ID must be set with AUTH_MODE=none")
            if not is_loopback(self.bind_host):
                raise InvalidSettings("BIND_HOST must be a loopback address with AUTH_MODE=none")


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; an empty variable counts as unset.

    Raises:
        InvalidSettings: naming the first variable that is missing or malformed.
    """
    source = os.environ if environment is None else environment
    known = {field.encode_name for field in msgspec.structs.fields(Settings)}
    values = {name: value for name, value in source.items() if name in known and value}
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as exc:
        raise InvalidSettings(_in_one_line(exc)) from exc
    _check_values(settings)
    return settings


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_values(settings: Settings) -> None:
    try:
        conninfo_to_dict(settings.database_url)
    except psycopg.ProgrammingError as exc:
        # libpq's own text may quote the password.
        raise InvalidSettings("DATABASE_URL must be a PostgreSQL URL or connection string") from exc
    first, last = settings.port_range
    if not 1 <= first <= last <= 65535:  # noqa: PLR2004 - the last TCP port
        raise InvalidSettings("HOST_PORT_RANGE must be FIRST-LAST, from 1 to 65535")
    if settings.docker_tls_verify is not None and settings.docker_cert_path is None:
        raise InvalidSettings("DOCKER_CERT_PATH must be set with DOCKER_TLS_VERIFY")
    if settings.dev_user_id is not None:
        try:
            checked_user_id(settings.dev_user_id)
        except InvalidValue as exc:
            raise InvalidSettings(f"DEV_USER_ID {exc.message}") from exc
    try:
        ResourceLimits(parsed_cpu(settings.max_cpu_limit), "1g")
    except InvalidValue as exc:
        raise InvalidSettings(f"MAX_CPU_LIMIT {exc.message}") from exc
    try:
        ResourceLimits(Decimal(1), settings.max_memory_limit)
    except InvalidValue as exc:
        raise InvalidSettings(f"MAX_MEMORY_LIMIT {exc.message}") from exc
    try:
        Failpoints.parse(settings.orchestrator_failpoints)
    except UnknownFailpoint as exc:
        raise InvalidSettings(f"ORCHESTRATOR_FAILPOINTS: {exc}") from exc


def _in_one_line(error: msgspec.ValidationError) -> str:
    """Turn msgspec's "… - at `$.PORT`" into "PORT: …"."""
    text = str(error)
    message, separator, path = text.partition(" - at `$.")
    if separator:
        name = path.rstrip("`")
        return f"{name}: {_ALLOWED.get(name, message)}"
    return text.replace("Object missing required field", "missing variable")
