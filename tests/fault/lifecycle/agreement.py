"""What must hold once everything is settled: record, engine, ledger and volume say the same.

Read by queries of its own, and not by the audit, which is asked afterwards and may be wrong itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tests.contracts.fake_docker import Snapshot

_IN_DOCKER = frozenset({"running", "stopped", "exited"})

_UNSETTLED = """
SELECT 'container ' || id || ' is ' || status || ', desired ' || desired AS what FROM containers
WHERE generation > applied_generation OR next_attempt_at IS NOT NULL OR nominated_at IS NOT NULL
   OR lease_until > now()
   OR status NOT IN ('running', 'stopped', 'exited', 'failed', 'deleted')
   -- What failed, or vanished, gets no nearer to what is desired.
   OR status <> desired AND status NOT IN ('failed', 'exited', 'deleted')
UNION ALL
SELECT 'build ' || id || ' is ' || status FROM builds
WHERE next_attempt_at IS NOT NULL OR status IN ('queued', 'running') OR lease_until > now()
UNION ALL
SELECT 'image ' || id || ' is ' || status FROM images
WHERE status IN ('building', 'deleting') OR lease_until > now()
"""

# The aggregates know how many events they raised; each is in the ledger, and all are pending here.
_LEDGER = """
SELECT stream, array_agg(sequence ORDER BY sequence) AS told, max(raised) AS raised,
       count(outbox.event_id) AS pending
FROM events
     LEFT JOIN outbox USING (event_id, stream, sequence)
     LEFT JOIN (SELECT 'container/' || id AS stream, sequence AS raised FROM containers
                UNION ALL SELECT 'image/' || id, sequence FROM images) AS aggregates
     USING (stream)
GROUP BY stream
"""

_RUNS = """
SELECT stream, type, convert_from(payload, 'UTF8')::jsonb ->> 'run_id' AS run_id,
       convert_from(payload, 'UTF8')::jsonb ->> 'timestamp' AS timestamp
FROM events WHERE stream LIKE 'container/%' ORDER BY stream, sequence
"""

_LEAKED_PORTS = """
SELECT h.port FROM host_ports h LEFT JOIN containers c ON c.id = h.container_id
WHERE h.container_id IS NOT NULL
  AND (c.id IS NULL OR c.external_port IS DISTINCT FROM h.port OR c.status IN ('failed', 'deleted'))
UNION ALL
SELECT c.external_port FROM containers c
WHERE c.external_port IS NOT NULL AND NOT EXISTS (
    SELECT FROM host_ports h WHERE h.container_id = c.id AND h.port = c.external_port)
"""


class Record(Protocol):
    """The database of an installation."""

    def rows(self, sql: str, /) -> Sequence[Mapping[str, Any]]: ...


def differences(record: Record, seen: Snapshot, *, cut_short: bool = False) -> list[str]:
    """Return what does not agree, a line each.

    Args:
        cut_short: whether a build may have ended after its tag was set and before it succeeded: the
            tag goes with its image then.
    """
    return [
        *unsettled(record),
        *_of_the_ledger(record),
        *_of_the_runs(record),
        *_of_the_engine(record, seen),
        *_of_the_tags(record, seen, cut_short=cut_short),
        *_of_the_ports(record),
    ]


def stray_files(record: Record, volume: Path) -> list[str]:
    """Return what is on the volume and nobody's: a sweep removes it after its grace.

    Of a folder, its own path stands for all that is in it. A row without its context is an error,
    not a stray.
    """
    images = record.rows("SELECT user_id, id, source_path, status FROM images ORDER BY id")
    living = [row for row in images if row["status"] != "deleted"]
    for row in living:
        assert (volume / row["source_path"] / "Dockerfile").is_file(), f"{row} lost its context"
    homes = {f"{row['user_id']}/{row['id']}" for row in living}
    found = [f".incoming/{path.name}" for path in (volume / ".incoming").iterdir()]
    for user in volume.iterdir():
        if user.is_dir() and user.name != ".incoming":
            found += [f"{user.name}/{home.name}" for home in user.iterdir()]
    return sorted(set(found) - homes)


def unsettled(record: Record) -> Iterator[str]:
    """Return what is still on its way, a line each."""
    yield from (f"not settled: {row['what']}" for row in record.rows(_UNSETTLED))


def _of_the_ledger(record: Record) -> Iterator[str]:
    for row in record.rows(_LEDGER):
        gapless = list(range(1, len(row["told"]) + 1))
        if not row["told"] == gapless == list(range(1, (row["raised"] or 0) + 1)):
            yield f"{row['stream']}: told {row['told']}, raised {row['raised']}"
        if row["pending"] != len(row["told"]):
            yield f"{row['stream']}: {row['pending']} of {len(row['told'])} are in the outbox"


def _of_the_runs(record: Record) -> Iterator[str]:
    """Each run is told as started once and as stopped once, in turn, by times that never fall."""
    streams: dict[str, list[tuple[str, str, str]]] = {}
    for row in record.rows(_RUNS):
        streams.setdefault(row["stream"], []).append(
            (row["type"].removeprefix("container."), row["run_id"], row["timestamp"])
        )
    for stream, events in streams.items():
        ends = [(type_, run) for type_, run, _ in events if type_ in {"started", "stopped"}]
        runs = [run for type_, run in ends if type_ == "started"]
        in_turn = [(end, run) for run in runs for end in ("started", "stopped")]
        if ends not in (in_turn, in_turn[:-1]) or len(set(runs)) != len(runs):
            yield f"{stream}: runs are told as {ends}"
        times = [time for _, _, time in events]
        if times != sorted(times):
            yield f"{stream}: times fall: {times}"


def _of_the_engine(record: Record, seen: Snapshot) -> Iterator[str]:
    rows = record.rows("SELECT * FROM containers ORDER BY id")
    expected = {row["uid"]: row for row in rows if row["status"] in _IN_DOCKER}
    found = {container.uid: container for container in seen.containers.values()}
    if len(found) != len(seen.containers):
        yield "two containers of the engine bear one uid"
    for uid, container in found.items():
        row = expected.get(uid) if uid is not None else None
        if row is None:
            yield f"orphan: {container.name}"
        elif container.docker_id != row["docker_id"] or container.name != row["name"]:
            yield f"container {row['id']} is {container.docker_id} {container.name}, {row}"
        elif container.running != (row["status"] == "running"):
            yield f"container {row['id']} is {row['status']}; on the engine: {container.running}"
        elif container.running and container.run_id != row["open_run_id"]:
            yield f"container {row['id']} is in another run than is told"
    for uid in expected.keys() - found.keys():
        yield f"container {expected[uid]['id']} is not on the engine"


def _of_the_tags(record: Record, seen: Snapshot, *, cut_short: bool) -> Iterator[str]:
    builds = record.rows(
        "SELECT i.id AS image_id, b.id AS build_id, i.user_id, i.tag, b.docker_image_id, "
        "b.id = i.active_build_id AS active, b.status = 'succeeded' AS good "
        "FROM images i JOIN builds b ON b.image_id = i.id WHERE i.status <> 'deleted'"
    )
    expected, forgiven = {}, set()
    for row in builds:
        name = f"nvidia-app-u{row['user_id']}-i{row['image_id']}"
        if not row["good"]:
            forgiven.add(f"{name}:b{row['build_id']}")
            continue
        expected[f"{name}:b{row['build_id']}"] = row["docker_image_id"]
        if row["active"]:
            expected[f"{name}:{row['tag']}"] = row["docker_image_id"]
    there = seen.tags.keys() - (forgiven if cut_short else set())
    for tag in expected.keys() | there:
        if expected.get(tag) != seen.tags.get(tag):
            yield f"tag {tag}: {seen.tags.get(tag)} instead of {expected.get(tag)}"


def _of_the_ports(record: Record) -> Sequence[str]:
    return [f"leaked port: {row['port']}" for row in record.rows(_LEAKED_PORTS)]
