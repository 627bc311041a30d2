"""``python -m tests.benchmarks.recovery``: how soon a crash is told, and what a pass costs.

It starts PostgreSQL, Kafka and a Docker Engine of its own, measures in rounds that take turns,
prints ratios and medians on stdout and progress on stderr, and leaves nothing behind. As root.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles

from entrypoints.dev.kafka import Broker
from entrypoints.dev.postgres import database_server
from entrypoints.dev.private_engine import Engine
from migrations.runner import migrate
from tests.benchmarks.recovery.crashes import Crashes, measure_crashes
from tests.benchmarks.recovery.passes import PassCosts, measure_passes, remove_all
from tests.e2e.running_service import running_service
from tests.fault.engine.apps import app_archive
from tests.fault.engine.behind import Behind
from tests.integration.postgres.installation import Installation

_PASS_SECONDS = 5.0
_CRASH_AIM = 2.0
_PASS_AIM = 1.5
_NUMBERS = (1, 10, 100)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.recovery")
    parser.add_argument("--small", action="store_true", help="two minutes, to try it out")
    small = parser.parse_args().small
    began, busy = time.monotonic(), os.getloadavg()[0]

    def say(what: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - began:4.0f} s] {what}\n")

    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-recovery-")))
        say("starting PostgreSQL, Kafka and Docker")
        server = stack.enter_context(database_server(durable=True))
        servers = stack.enter_context(Broker(say=say)).bootstrap_servers
        engine = stack.enter_context(Engine())
        urls = [server.create_database(f"bench_{uuid.uuid4().hex[:12]}") for _ in range(2)]
        for url in urls:
            migrate(url)
        settings = {"RECONCILE_INTERVAL_SECONDS": f"{_PASS_SECONDS:g}"}
        (folder / "service").mkdir()
        service = stack.enter_context(
            running_service(folder / "service", urls[0], servers, engine.host, settings)
        )
        say("building the image")
        image_id = service.upload(app_archive(folder / "context"), memory_limit="32m")
        behind = Behind(service, engine, image_id)
        say("crashes")
        crashes = measure_crashes(behind, crashes=5 if small else 20, by_pass=2 if small else 5)
        (image,) = service.rows("SELECT docker_image_id FROM builds")
        behind.clear()
        installation = stack.enter_context(
            Installation(urls[1], folder / "volume", ports=max(_NUMBERS) + 1)
        )
        stack.callback(remove_all, engine.host)
        costs = measure_passes(
            installation,
            engine.host,
            image["docker_image_id"],
            folder / "scratch",
            numbers=_NUMBERS[:2] if small else _NUMBERS,
            rounds=5 if small else 20,
            say=say,
        )
    sys.stdout.write(f"Machine: {os.cpu_count()} CPUs, load {busy:.1f} before it began\n\n")
    sys.stdout.write("".join(f"{line}\n" for line in _report(crashes, costs)))
    # What misses an aim is a figure; what is wrong is a failure.
    constant = len({cost.calls for cost in costs.values()}) == 1
    return 0 if constant and not crashes.faults else 1


def _report(crashes: Crashes, costs: Mapping[int, PassCosts]) -> Iterator[str]:
    kafka, reader, look = _p(crashes.kafka), _p(crashes.reader), _p(crashes.look)
    yield "A CRASH BEHIND OUR BACK, IN KAFKA AS container.stopped"
    yield f"  crashes: {len(crashes.kafka)}; told otherwise than Docker: {crashes.faults or 'none'}"
    yield _judged("to Kafka / to a bare docker events, p50", kafka[0] / reader[0], _CRASH_AIM)
    yield _judged("to Kafka / to a bare docker events, p99", kafka[1] / reader[1], _CRASH_AIM)
    yield f"  to Kafka / to a bare docker inspect after that, p50 {kafka[0] / look[0]:.2f}"
    for where, (p50, p99) in (
        ("Kafka", kafka),
        ("the bare reader", reader),
        ("the bare look", look),
    ):
        yield f"  seconds to {where}: p50 {p50:.3f} p99 {p99:.3f}"
    longest = max(crashes.by_pass)
    yield f"  events reader frozen: {longest:.1f} s at most, a pass every {_PASS_SECONDS:g} s"
    yield ""
    yield "A PASS OVER CONTAINERS THAT ARE AS RECORDED, BESIDE docker ps + docker inspect OF ALL"
    for number, cost in costs.items():
        ratio = median(cost.passes) / median(cost.bare)
        told = f"{number} container(s), {cost.calls} CLI calls, median {median(cost.passes):.3f} s"
        yield _judged(told, ratio, _PASS_AIM)


def _judged(what: str, ratio: float, aim: float) -> str:
    verdict = "met" if ratio <= aim else "MISSED"
    return f"  {what:64}{ratio:5.2f}   aim {aim:g}: {verdict}"


def _p(seconds: Sequence[float]) -> tuple[float, float]:
    cuts = quantiles(seconds, n=100, method="inclusive")
    return cuts[49], cuts[98]


if __name__ == "__main__":
    sys.exit(main())
