"""Further ways into a development broker, beside the plain one: by a proxy, or by TLS and SASL."""

import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from entrypoints.dev.kafka_jars import BrokerUnavailableError

_KEYTOOL_TIMEOUT_SECONDS = 120
SASL_MECHANISM = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    """A port of the broker's.

    Attributes:
        name: Capitals; what the broker's settings call it.
        protocol: Kafka's security protocol.
        advertised_port: Where clients are sent after their first question; its own port without.
        properties: Settings of this listener alone, named without its prefix.
    """

    name: str
    protocol: str = "PLAINTEXT"
    advertised_port: int | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class SecureListener(Listener):
    """One that asks for a password over TLS.

    Attributes:
        certificate: The PEM file by which clients know the broker at 127.0.0.1.
    """

    certificate: Path = field(kw_only=True)


def secure_listener(java: str, folder: Path) -> SecureListener:
    """Make a key and a certificate for 127.0.0.1, and the listener that shows them.

    Users are added to the running broker, as SCRAM credentials.

    Args:
        java: The program; keytool comes with it.
        folder: Exists; key and certificate are written there.

    Raises:
        BrokerUnavailableError: There is no keytool, or it failed.
    """
    keys, certificate, password = folder / "broker.p12", folder / "ca.pem", secrets.token_hex(16)
    keytool = Path(java).resolve().with_name("keytool")
    store = ("-keystore", keys, "-storetype", "PKCS12", "-storepass", password, "-alias", "broker")
    _run(
        *(keytool, "-genkeypair", *store, "-keyalg", "EC", "-groupname", "secp256r1"),
        *("-dname", "CN=127.0.0.1", "-ext", "SAN=IP:127.0.0.1", "-validity", "30"),
    )
    _run(keytool, "-exportcert", "-rfc", "-file", certificate, *store)
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    return SecureListener(
        "SECURE",
        "SASL_SSL",
        properties={
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": str(keys),
            "ssl.keystore.password": password,
            "ssl.key.password": password,
            "sasl.enabled.mechanisms": SASL_MECHANISM,
            f"{SASL_MECHANISM.lower()}.sasl.jaas.config": login,
        },
        certificate=certificate,
    )


def _run(*argv: str | Path) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - Java's own program
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_KEYTOOL_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BrokerUnavailableError(f"keytool cannot be run: {error}") from error
    if done.returncode:
        reason = (done.stdout or done.stderr).strip().splitlines()[-1]
        raise BrokerUnavailableError(f"keytool failed: {reason}")
