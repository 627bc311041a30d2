"""What is missing is told in one line; what can heal is waited for, what cannot ends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from entrypoints.dev.private_engine import Engine
from tests.images.conftest import say
from tests.images.image_container import ImageContainer, running
from tests.images.service_in_containers import (
    CERTIFICATES_FOLDER,
    VOLUME_FOLDER,
    service_settings,
)
from tests.images.tls_engine import TlsEngine
from tests.integration.worker_process.freezing_proxy import FreezingProxy

Ports = Callable[[int], list[str]]


def test_a_missing_secret_ends_the_api_with_one_line(
    builder: Engine, images: dict[str, str]
) -> None:
    settings = {"DATABASE_URL": "postgresql://nobody@127.0.0.1/none", "AUTH_MODE": "gateway"}

    with running(ImageContainer(builder.host, images["api"], settings), healthy=False) as api:
        code, output = api.wait_for_end(), api.output

    assert code == 2
    assert output == "api: GATEWAY_SECRET must be set with AUTH_MODE=gateway\n"


def test_each_without_a_database_url_ends_with_one_line(
    builder: Engine, images: dict[str, str]
) -> None:
    for target, command in (
        ("api", ()),
        ("worker", ()),
        ("relay", ()),
        ("api", ("python", "-m", "migrations")),
    ):
        container = ImageContainer(builder.host, images[target], {}, command=command)
        with running(container, healthy=False):
            code, output = container.wait_for_end(), container.output
        assert code == 2, output
        assert output.count("\n") == 1
        assert "DATABASE_URL" in output


def test_a_volume_that_is_not_mounted_ends_the_api_with_one_line(
    builder: Engine, images: dict[str, str], database: str, new_ports: Ports
) -> None:
    with FreezingProxy(database) as proxy:
        settings = {
            "DATABASE_URL": proxy.url,
            "AUTH_MODE": "gateway",
            "GATEWAY_SECRET": "s",
            "PORT": new_ports(1)[0],
        }
        with running(ImageContainer(builder.host, images["api"], settings), healthy=False) as api:
            code, output = api.wait_for_end(), api.output

    assert code == 1
    assert output.count("\n") == 1
    assert output.startswith("api: BUILD_CONTEXT_BASE_DIR: ")
    assert "Read-only file system" in output


def test_a_database_that_goes_and_comes_is_told_and_heals(
    builder: Engine,
    images: dict[str, str],
    tls_engine: TlsEngine,
    database: str,
    broker: object,
    volume: str,
    new_ports: Ports,
) -> None:
    servers: str = broker.bootstrap_servers  # type: ignore[attr-defined] # two kinds
    away = FreezingProxy(database, accepting=False)
    settings = service_settings(away.url, servers, tls_engine)
    ports = dict(zip(("PORT", "WORKER_PORT", "RELAY_PORT"), new_ports(3), strict=True))
    mounts = (
        f"{volume}:{VOLUME_FOLDER}",
        f"{tls_engine.certificates}:{CERTIFICATES_FOLDER}:ro",
    )
    host = builder.host
    with (
        running(
            ImageContainer(host, images["api"], settings | ports, mounts=mounts), healthy=False
        ) as api,
        running(
            ImageContainer(host, images["worker"], settings | ports, mounts=mounts), healthy=False
        ) as worker,
        running(ImageContainer(host, images["relay"], settings | ports), healthy=False) as relay,
    ):
        told = [each.wait_until_unhealthy("database") for each in (api, worker, relay)]
        with away:
            for each in (api, worker, relay):
                each.wait_until_healthy()
        again = [each.wait_until_unhealthy("database") for each in (api, worker, relay)]
        with FreezingProxy(database, port=away.port):
            for each in (api, worker, relay):
                each.wait_until_healthy()

    say("; ".join([*told, *again]))
    for line in told[:2]:
        assert line.startswith("not ready: DATABASE_URL: the database cannot be used: ")
    assert told[2].startswith("not ready: ")
    assert all("\n" not in line for line in [*told, *again])


def test_a_wrong_certificate_is_called_that_and_heals_when_it_is_replaced(
    builder: Engine,
    images: dict[str, str],
    tls_engine: TlsEngine,
    database: str,
    volume: str,
    new_ports: Ports,
    certificates_of_another_authority: Path,
) -> None:
    wrong = certificates_of_another_authority
    with FreezingProxy(database) as proxy:
        settings = service_settings(proxy.url, "unused:1", tls_engine)
        settings["WORKER_PORT"] = new_ports(1)[0]
        mounts = (f"{volume}:{VOLUME_FOLDER}", f"{wrong}:{CERTIFICATES_FOLDER}:ro")
        worker = ImageContainer(builder.host, images["worker"], settings, mounts=mounts)
        with running(worker, healthy=False):
            authority = worker.wait_until_unhealthy("x509")
            (wrong / "ca.pem").write_bytes((tls_engine.certificates / "ca.pem").read_bytes())
            client = worker.wait_until_unhealthy("client certification")
            for name in ("cert.pem", "key.pem"):
                (wrong / name).write_bytes((tls_engine.certificates / name).read_bytes())
            worker.wait_until_healthy()

    say(authority)
    say(client)
    for line in (authority, client):
        assert line.startswith("not ready: engine: DOCKER_CERT_PATH, DOCKER_TLS_VERIFY: ")
    assert "certificate signed by unknown authority" in authority


def test_missing_certificates_end_the_worker_with_one_line(
    builder: Engine, images: dict[str, str], tls_engine: TlsEngine
) -> None:
    settings = service_settings("postgresql://nobody@127.0.0.1/none", "unused:1", tls_engine)

    with running(ImageContainer(builder.host, images["worker"], settings), healthy=False) as worker:
        code, output = worker.wait_for_end(), worker.output

    assert code == 1
    assert output == (
        f"worker: DOCKER_CERT_PATH: {CERTIFICATES_FOLDER}/ca.pem: No such file or directory\n"
    )


def test_an_engine_that_goes_and_comes_is_told_and_heals(
    builder: Engine,
    images: dict[str, str],
    tls_engine: TlsEngine,
    database: str,
    volume: str,
    new_ports: Ports,
) -> None:
    with FreezingProxy(database) as proxy:
        settings = service_settings(proxy.url, "unused:1", tls_engine)
        settings["WORKER_PORT"] = new_ports(1)[0]
        mounts = (
            f"{volume}:{VOLUME_FOLDER}",
            f"{tls_engine.certificates}:{CERTIFICATES_FOLDER}:ro",
        )
        tls_engine.halt()
        try:
            worker = ImageContainer(builder.host, images["worker"], settings, mounts=mounts)
            with running(worker, healthy=False):
                told = worker.wait_until_unhealthy("Cannot connect to the Docker daemon")
                tls_engine.start()
                worker.wait_until_healthy()
        finally:
            tls_engine.start() if tls_engine.process is None else None

    say(told)
    assert told.startswith("not ready: engine: Cannot connect to the Docker daemon at tcp://")
