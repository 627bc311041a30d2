"""compose.yaml as `docker compose config` resolves it, with what .env.example says."""

from __future__ import annotations

import functools
import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from entrypoints.dev.engine_packages import plugin_works
from entrypoints.dev.folders import REPOSITORY
from tests.conftest import unavailable

SECRETS = {"GATEWAY_SECRET": "a gateway secret", "POSTGRES_PASSWORD": "pass/word@:?#"}


def config(
    folder: Path, variables: Mapping[str, str], *others: Path
) -> subprocess.CompletedProcess[str]:
    """Resolve compose.yaml.

    Args:
        folder: a private one, for the file of variables.
        variables: are set beside what .env.example sets.
        others: files that override it.
    """
    if not plugin_works("compose"):
        unavailable("the docker client has no compose plugin")
    environment = folder / "env"
    example = (REPOSITORY / ".env.example").read_text()
    environment.write_text(example + "".join(f"{n}='{v}'\n" for n, v in variables.items()))
    files = [part for each in (REPOSITORY / "compose.yaml", *others) for part in ("--file", each)]
    return subprocess.run(
        [
            *("docker", "compose", *files, "--project-directory", REPOSITORY),
            *("--env-file", environment, "config", "--format", "json"),
        ],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(Path.home())},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@functools.cache
def stack() -> Any:
    """Return the whole file, resolved with two secrets; fails if anything is wrong with it."""
    with tempfile.TemporaryDirectory() as folder:
        done = config(Path(folder), SECRETS)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def hardening(name: str) -> list[str]:
    """Return the flags of `docker create` for how a service is confined and bounded."""
    service = stack()["services"][name]
    limits = service["deploy"]["resources"]["limits"]
    flags = [f"--user={service['user']}"]
    flags += [f"--memory={limits['memory']}", f"--pids-limit={limits['pids']}"]
    flags += [f"--tmpfs={each}" for each in service["tmpfs"]]
    flags += [f"--cap-drop={each}" for each in service["cap_drop"]]
    flags += [f"--security-opt={each}" for each in service["security_opt"]]
    flags += ["--read-only"] if service["read_only"] else []
    return flags + (["--init"] if service.get("init") else [])
