"""What a container is really given, asked from Docker and from inside."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.docker.run_flags import OPEN_FILES, PIDS_LIMIT
from domain.observation import Observation
from tests.contracts.subjects import Subject, real_subject

RUNS = 4

AWKWARD = {
    "PLAIN": "value",
    "EMPTY": "",
    "SPACED": "  two  words ",
    "QUOTED": "\"'`$HOME\\n",
    "HASHED": "#no comment",
    "EQUALS": "a=b=c",
    "LETTERS": "grüße, 世界",
    "LONG": "x" * 30_000,
    "TLS_KEY": "-----BEGIN KEY-----\nabc\r\n-----END KEY-----\n",
    # Read by the programs on the way, were they in their environment.
    "LD_PRELOAD": "/nowhere.so",
    "DOCKER_HOST": "tcp://192.0.2.1:2375",
}


@pytest.fixture(scope="module")
def real(engine_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    with real_subject(engine_host, tmp_path_factory.mktemp("flags")) as subject:
        yield subject


def test_limits_labels_and_hardening_reach_docker(real: Subject, engine_host: str) -> None:
    order = real.order(memory_bytes=96 * 1024 * 1024)

    shown = _inspected(engine_host, real.engine.create(order))

    host, labels = shown["HostConfig"], shown["Config"]["Labels"]
    assert host["NanoCpus"] == 500_000_000
    assert host["Memory"] == host["MemorySwap"] == 96 * 1024 * 1024
    assert host["PidsLimit"] == PIDS_LIMIT
    assert host["Ulimits"] == [{"Name": "nofile", "Hard": OPEN_FILES, "Soft": OPEN_FILES}]
    assert host["RestartPolicy"]["Name"] == "no"
    assert host["LogConfig"]["Type"] == "local"
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["PortBindings"] == {
        "8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(order.external_port)}]
    }
    assert labels["orchestrator.uid"] == str(order.uid)
    assert labels["orchestrator.image_id"] == "7"
    assert labels["orchestrator.spec_hash"] == order.spec_hash
    assert labels["orchestrator.installation_id"].startswith("contract-")
    assert shown["Image"] == order.docker_image_id


def test_variables_arrive_as_they_were_given(real: Subject) -> None:
    names = " ".join(AWKWARD)
    script = (
        f"for name in {names}; do eval value=\\$$name;"
        ' printf %s "$value" | /bin/busybox sha256sum; done; exit 0'
    )
    docker_id = real.engine.create(real.order(real.image(script), env=AWKWARD))

    real.engine.start(docker_id)
    real.ended(docker_id)

    told = [line.split()[0] for line in real.engine.log_lines(docker_id, 50).splitlines()]
    assert dict(zip(AWKWARD, told, strict=True)) == {
        name: hashlib.sha256(value.encode()).hexdigest() for name, value in AWKWARD.items()
    }


def test_an_app_may_begin_as_root_and_drop_to_a_user(real: Subject) -> None:
    script = (
        "b=/bin/busybox; $b ln -s $b /bin/sh; echo app:x:101:101::/:/bin/sh >/etc/passwd;"
        " $b mkdir /data && $b touch /data/file && $b chown -R 101:101 /data"
        " && $b chmod 700 /data && $b ls /data && $b su app -c '/bin/busybox id -u'; exit 0"
    )
    docker_id = real.engine.create(real.order(real.image(script)))

    real.engine.start(docker_id)
    real.ended(docker_id)

    assert real.engine.log_lines(docker_id, 10).split() == ["file", "101"]


def test_an_app_can_make_no_device(real: Subject) -> None:
    docker_id = real.engine.create(
        real.order(real.image("/bin/busybox mknod /disk b 8 0 || exit 9; exit 0"))
    )

    real.engine.start(docker_id)

    assert real.ended(docker_id).exit_code == 9


def test_an_app_that_takes_too_much_memory_shows_as_killed_for_it(real: Subject) -> None:
    image = real.image("exec /bin/busybox tail /dev/zero")
    docker_id = real.engine.create(real.order(image, memory_bytes=16 * 1024 * 1024))

    # Docker itself now and then misses why a run ended, when the end overtakes the news of it.
    runs = (_run(real, docker_id) for _ in range(RUNS))
    noticed = next((seen for seen in runs if seen.oom_killed), None)

    assert noticed is not None
    assert noticed.exit_code == 137


def _run(real: Subject, docker_id: str) -> Observation:
    real.engine.start(docker_id)
    return real.ended(docker_id)


def _inspected(docker_host: str, docker_id: str) -> dict[str, Any]:
    answer = subprocess.run(
        ["docker", "--host", docker_host, "container", "inspect", docker_id],
        capture_output=True,
        check=True,
    )
    found: list[dict[str, Any]] = json.loads(answer.stdout)
    return found[0]
