"""Readiness behind docker-proxy, which accepts connections though nobody listens inside."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator

import pytest

from adapters.docker import port_probe
from adapters.docker.readiness_prober import SelectorReadinessProber
from application.bring_up_container import Verdict
from tests.contracts.subjects import Subject, free_port, real_subject


@pytest.fixture(scope="module")
def real(engine_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    with real_subject(engine_host, tmp_path_factory.mktemp("ports")) as subject:
        yield subject


@pytest.fixture
def prober() -> Iterator[SelectorReadinessProber]:
    prober = SelectorReadinessProber()
    yield prober
    prober.close()


def test_an_app_that_listens_is_ready(real: Subject, prober: SelectorReadinessProber) -> None:
    port = free_port()

    real.engine.start(real.engine.create(real.order(port=port)))

    assert _verdict(prober, port, seconds=20.0) is Verdict.READY


def test_an_app_that_does_not_listen_is_not_ready_though_its_port_accepts(
    real: Subject, prober: SelectorReadinessProber, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A proxy on a busy machine may need more than 250 ms to learn that nobody listens behind it.
    monkeypatch.setattr(port_probe, "SETTLE_SECONDS", 2.0)
    port = free_port()
    image = real.image("exec /bin/busybox sleep 1000")

    real.engine.start(real.engine.create(real.order(image, port=port)))

    assert _verdict(prober, port, seconds=2.0) is Verdict.TIMED_OUT


def test_an_app_that_has_ended_is_refused(real: Subject, prober: SelectorReadinessProber) -> None:
    port = free_port()
    docker_id = real.engine.create(real.order(real.image("exit 0"), port=port))

    real.engine.start(docker_id)
    real.ended(docker_id)

    assert _verdict(prober, port, seconds=20.0) is Verdict.REFUSED


def _verdict(prober: SelectorReadinessProber, port: int, *, seconds: float) -> Verdict:
    verdicts: queue.Queue[Verdict] = queue.Queue()
    deadline = time.monotonic() + seconds
    prober.watch(1, ("127.0.0.1", port), deadline, lambda _, verdict: verdicts.put(verdict))
    return verdicts.get(timeout=seconds + 5.0)
