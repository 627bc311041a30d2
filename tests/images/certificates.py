"""Certificates as docker:dind makes them for itself: an authority, a server, a client."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make_certificates(folder: Path, address: str) -> Path:
    """Fill `folder` with an authority and what it signed; return the client's part.

    The client's folder holds `ca.pem`, `cert.pem` and `key.pem`, which everybody may read: so does
    the volume that docker:dind fills, for its clients may be any user (`_tls_generate_certs` in
    dockerd-entrypoint.sh of docker-library/docker makes the key 0644).

    Args:
        folder: is made.
        address: the server's IP address, the only name it goes by.
    """
    client = folder / "client"
    client.mkdir(parents=True)
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=authority"),
        *("-keyout", folder / "ca-key.pem", "-out", folder / "ca.pem"),
    )
    server = f"subjectAltName = IP:{address}\nextendedKeyUsage = serverAuth\n"
    _signed(folder, folder / "server", server)
    _signed(folder, client / "client", "extendedKeyUsage = clientAuth\n")
    (client / "client.pem").rename(client / "cert.pem")
    (client / "client-key.pem").rename(client / "key.pem")
    (client / "ca.pem").write_bytes((folder / "ca.pem").read_bytes())
    (client / "key.pem").chmod(0o644)
    client.chmod(0o755)
    return client


def _signed(authority: Path, name: Path, extensions: str) -> None:
    request, key = name.with_suffix(".csr"), name.with_name(f"{name.name}-key.pem")
    _openssl(
        *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name.name}"),
        *("-keyout", key, "-out", request),
    )
    settings = name.with_suffix(".cnf")
    settings.write_text(extensions)
    _openssl(
        *("x509", "-req", "-in", request, "-days", "2", "-CAcreateserial"),
        *("-CA", authority / "ca.pem", "-CAkey", authority / "ca-key.pem"),
        *("-extfile", settings, "-out", name.with_suffix(".pem")),
    )
    for leftover in (request, settings):
        leftover.unlink()


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
