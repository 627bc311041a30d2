"""A worker looks at its certificates before it does anything else."""

from pathlib import Path

import pytest

from entrypoints.settings import Settings, load_settings
from entrypoints.start_up import StartRefused, check_certificates

NAMES = ("ca.pem", "cert.pem", "key.pem")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a worker whose folder of certificates is complete."""
    for name in NAMES:
        (tmp_path / name).write_text("read by the client alone")
    tls = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    return load_settings({"DATABASE_URL": "postgresql:///x", **tls})


@pytest.mark.parametrize("missing", NAMES)
def test_each_that_is_missing_is_named(settings: Settings, tmp_path: Path, missing: str) -> None:
    check_certificates(settings)
    (tmp_path / missing).unlink()

    with pytest.raises(StartRefused) as refusal:
        check_certificates(settings)

    assert str(refusal.value) == (
        f"DOCKER_CERT_PATH: {tmp_path / missing}: No such file or directory"
    )


def test_without_tls_none_is_looked_for() -> None:
    environment = {"DATABASE_URL": "postgresql:///x", "DOCKER_CERT_PATH": "/nowhere"}

    check_certificates(load_settings(environment))
