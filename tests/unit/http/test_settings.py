"""Settings: read once, each checked, and a wrong one named in one line."""

from decimal import Decimal
from pathlib import Path

import pytest

from entrypoints.settings import AuthMode, InvalidSettings, load_settings

URL = "postgresql://orchestrator:swordfish@db.internal/orchestrator"


def test_a_database_is_all_that_must_be_named() -> None:
    settings = load_settings({"DATABASE_URL": URL})

    assert settings.port == 3003
    assert settings.bind_host == "127.0.0.1"
    assert settings.auth_mode is None
    assert settings.context_folder == Path("/var/lib/orchestrator/build-contexts")
    assert settings.port_range == (20000, 29999)
    assert (settings.ceiling.cpu, settings.ceiling.memory) == (Decimal(4), "8g")
    assert (settings.kafka_topic, settings.kafka_image_topic) == (
        "container-lifecycle",
        "image-lifecycle",
    )


def test_every_kind_of_value_is_read() -> None:
    settings = load_settings(
        {
            "DATABASE_URL": "host=db.internal dbname=orchestrator",
            "AUTH_MODE": "gateway",
            "PORT": "8080",
            "MAX_UPLOAD_BYTES": "1024",
            "LEASE_SECONDS": "2.5",
            "MAX_CPU_LIMIT": "1.5",
            "HOST_PORT_RANGE": "1-65535",
            "UNKNOWN": "ignored",
        }
    )

    assert settings.auth_mode is AuthMode.GATEWAY
    assert (settings.port, settings.max_upload_bytes, settings.lease_seconds) == (8080, 1024, 2.5)
    assert settings.ceiling.cpu == Decimal("1.5")
    assert settings.port_range == (1, 65535)


def test_what_looks_like_a_number_stays_text_where_text_belongs() -> None:
    settings = load_settings(
        {"DATABASE_URL": URL, "DEV_USER_ID": "1", "GATEWAY_SECRET": "null", "KAFKA_TOPIC": "5"}
    )

    assert (settings.dev_user_id, settings.gateway_secret) == ("1", "null")
    assert settings.kafka_topic == "5"


def test_tls_without_a_folder_of_certificates_is_refused() -> None:
    environment = {"DATABASE_URL": URL, "DOCKER_TLS_VERIFY": "1"}

    with pytest.raises(InvalidSettings, match=r"\ADOCKER_CERT_PATH must be set"):
        load_settings(environment)

    assert load_settings(environment | {"DOCKER_CERT_PATH": "/certs"}).docker_tls_verify == "1"


def test_an_empty_variable_counts_as_unset() -> None:
    settings = load_settings({"DATABASE_URL": URL, "PORT": "", "AUTH_MODE": "", "DEV_USER_ID": ""})

    assert (settings.port, settings.auth_mode, settings.dev_user_id) == (3003, None, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "swordfish"),
        ("DATABASE_URL", "postgresql://x:swordfish@[::1/db"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", " 80"),
        ("PORT", "http"),
        ("WORKER_PORT", "none"),
        ("DATABASE_POOL_SIZE", "0"),
        ("AUTH_MODE", "jwt"),
        ("AUTH_MODE", "none\ngateway"),
        ("DEV_USER_ID", "Ada"),
        ("DEV_USER_ID", "../ada"),
        ("INSTALLATION_ID", "a b"),
        ("INSTALLATION_ID", "a\n"),
        ("INSTALLATION_ID", "a" * 65),
        ("MAX_UPLOAD_BYTES", "512m"),
        ("MAX_UPLOAD_BYTES", "0"),
        ("MAX_CONTEXT_BYTES", "1.5"),
        ("MAX_CONTEXT_ENTRIES", "-1"),
        ("MAX_CPU_LIMIT", "many"),
        ("MAX_CPU_LIMIT", "NaN"),
        ("MAX_CPU_LIMIT", "1e50"),
        ("MAX_CPU_LIMIT", "0"),
        ("MAX_MEMORY_LIMIT", "1t"),
        ("MAX_MEMORY_LIMIT", "1k"),
        ("HOST_PORT_RANGE", "20000"),
        ("HOST_PORT_RANGE", "0-10"),
        ("HOST_PORT_RANGE", "30000-20000"),
        ("HOST_PORT_RANGE", "20000-65536"),
        ("HOST_PORT_RANGE", "20000-29999\n"),
        ("LEASE_SECONDS", "1"),
        ("LEASE_SECONDS", "nan"),
        ("LEASE_SECONDS", "inf"),
        ("BUILD_TIMEOUT_SECONDS", "0"),
        ("BUILD_TIMEOUT_SECONDS", "15m"),
        ("STARTUP_TIMEOUT_SECONDS", "inf"),
        ("STOP_GRACE_SECONDS", "-1"),
        ("CONCURRENT_BUILDS", "0"),
        ("MIN_FREE_DISK_BYTES", "-1"),
        ("MIN_FREE_DISK_BYTES", "1g"),
        ("SWEEP_INTERVAL_SECONDS", "0"),
        ("SWEEP_GRACE_SECONDS", "59"),
    ],
)
def test_a_malformed_value_is_refused_in_one_line_that_names_it(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings) as refusal:
        load_settings({"DATABASE_URL": URL, name: value})

    assert name in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1
    assert "swordfish" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("KAFKA_TOPIC", "a b", "expected 1 to 249 letters, digits, dots, underscores and hyphens"),
        ("AUTH_MODE", "jwt", "expected gateway or none"),
        ("HOST_PORT_RANGE", "20000", "expected FIRST-LAST, from 1 to 65535"),
    ],
)
def test_a_refusal_tells_what_is_allowed_in_plain_words(
    name: str, value: str, allowed: str
) -> None:
    with pytest.raises(InvalidSettings) as refusal:
        load_settings({"DATABASE_URL": URL, name: value})

    assert str(refusal.value) == f"{name}: {allowed}"


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "AUTH_MODE"),
        ({"AUTH_MODE": "gateway"}, "GATEWAY_SECRET"),
        ({"AUTH_MODE": "gateway", "GATEWAY_SECRET": ""}, "GATEWAY_SECRET"),
        ({"AUTH_MODE": "none"}, "DEV_USER_ID"),
        ({"AUTH_MODE": "none", "DEV_USER_ID": "1", "BIND_HOST": "0.0.0.0"}, "BIND_HOST"),
        ({"AUTH_MODE": "none", "DEV_USER_ID": "1", "BIND_HOST": "::"}, "BIND_HOST"),
        ({"AUTH_MODE": "none", "DEV_USER_ID": "1", "BIND_HOST": "10.0.0.5"}, "BIND_HOST"),
        ({"AUTH_MODE": "none", "DEV_USER_ID": "1", "BIND_HOST": "localhost.evil"}, "BIND_HOST"),
    ],
)
def test_an_api_that_would_not_know_its_callers_is_refused(
    environment: dict[str, str], named: str
) -> None:
    settings = load_settings({"DATABASE_URL": URL, **environment})

    with pytest.raises(InvalidSettings) as refusal:
        settings.check_api()

    assert named in str(refusal.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_a_developer_may_serve_on_every_loopback_address(host: str) -> None:
    environment = {"AUTH_MODE": "none", "DEV_USER_ID": "1", "BIND_HOST": host}

    load_settings({"DATABASE_URL": URL, **environment}).check_api()


def test_a_gateway_may_be_served_on_every_address() -> None:
    environment = {"AUTH_MODE": "gateway", "GATEWAY_SECRET": "s", "BIND_HOST": "0.0.0.0"}

    load_settings({"DATABASE_URL": URL, **environment}).check_api()


@pytest.mark.parametrize(
    ("environment", "engine", "probe", "publish"),
    [
        ({}, "127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ({"DOCKER_HOST": "ssh://root@engine.internal"}, *["engine.internal"] * 2, "0.0.0.0"),
        ({"DOCKER_HOST": "tcp://10.0.0.7:2376"}, "10.0.0.7", "10.0.0.7", "0.0.0.0"),
        ({"ENGINE_HOST": "apps.example.com"}, *["apps.example.com"] * 2, "0.0.0.0"),
        (
            {"ENGINE_HOST": "apps.example.com", "PROBE_HOST": "10.0.0.7"},
            "apps.example.com",
            "10.0.0.7",
            "0.0.0.0",
        ),
        ({"PUBLISH_HOST_IP": "10.0.0.7"}, "127.0.0.1", "127.0.0.1", "10.0.0.7"),
    ],
)
def test_where_containers_are_reached_follows_from_the_engine_unless_it_is_told(
    environment: dict[str, str], engine: str, probe: str, publish: str
) -> None:
    settings = load_settings({"DATABASE_URL": URL, **environment})

    assert settings.engine_address == engine
    assert settings.probe_address == probe
    assert settings.publish_address == publish
