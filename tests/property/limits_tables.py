"""What the tables hold, against the model: every row of every table that an outcome touches."""

from itertools import groupby

from psycopg.rows import DictRow

from tests.integration.postgres.installation import Installation
from tests.property.limits_model import LimitsModel


def expect_tables_as_the_model(installation: Installation, model: LimitsModel) -> None:
    """Read the database and hold it against the model, and against the invariants themselves."""
    images = installation.rows("SELECT id, user_id, app_hostname, status FROM images")
    containers = installation.rows(
        """SELECT id, image_id, status, desired, generation, slot, external_port, sequence
           FROM containers"""
    )
    _expect_images(model, images)
    _expect_containers(model, containers)
    _expect_limits(model, containers)
    _expect_ports(installation, model)
    _expect_hostnames(installation, model)
    _expect_events(installation, model)


def _expect_images(model: LimitsModel, rows: list[DictRow]) -> None:
    assert {row["id"]: (row["user_id"], row["app_hostname"], row["status"]) for row in rows} == {
        number: (image.user, image.hostname, image.status) for number, image in model.images.items()
    }


def _expect_containers(model: LimitsModel, rows: list[DictRow]) -> None:
    assert {
        row["id"]: (
            row["image_id"],
            row["status"],
            row["desired"],
            row["generation"],
            row["slot"],
            row["external_port"],
            row["sequence"],
        )
        for row in rows
    } == {
        number: (
            container.image,
            container.status,
            container.desired,
            container.generation,
            container.slot,
            container.port,
            len(container.told),
        )
        for number, container in model.containers.items()
    }


def _expect_limits(model: LimitsModel, rows: list[DictRow]) -> None:
    """The invariants in their own words, whatever the model says."""
    ports = [row["external_port"] for row in rows if row["external_port"] is not None]
    assert len(ports) == len(set(ports))
    for image_id, image in model.images.items():
        slots = [row["slot"] for row in rows if row["image_id"] == image_id and row["slot"]]
        assert len(slots) == len(set(slots)) <= image.maximum


def _expect_ports(installation: Installation, model: LimitsModel) -> None:
    rows = installation.rows(
        "SELECT port, container_id, free_after <= now() AS cooled FROM host_ports"
    )
    assert {row["port"]: (row["container_id"], row["cooled"]) for row in rows} == {
        port.number: (port.holder, port.free_after <= model.now) for port in model.ports.values()
    }


def _expect_hostnames(installation: Installation, model: LimitsModel) -> None:
    rows = installation.rows("SELECT hostname, user_id FROM hostnames")
    names = {image.hostname for image in model.images.values()}
    owned = {name: owner for name in names if (owner := model.owner(name)) is not None}
    assert {row["hostname"]: row["user_id"] for row in rows} == owned


def _expect_events(installation: Installation, model: LimitsModel) -> None:
    """Ledger and outbox tell the model's events, gapless, ids rising with the sequence."""
    rows = installation.rows(
        """SELECT e.stream, e.sequence, e.type, o.id AS outbox_id, o.stream AS outbox_stream,
                  o.sequence AS outbox_sequence, o.key = e.key AND o.topic = e.topic AS same
           FROM events e LEFT JOIN outbox o USING (event_id) ORDER BY e.stream, e.id"""
    )
    told = {
        stream: [row["type"] for row in group]
        for stream, group in groupby(rows, key=lambda row: str(row["stream"]))
    }
    expected = {f"image/{number}": image.told for number, image in model.images.items()}
    for number, container in model.containers.items():
        if container.told:
            expected[f"container/{number}"] = [event.type for event in container.told]
    assert told == expected
    for _, group in groupby(rows, key=lambda row: str(row["stream"])):
        stream = list(group)
        assert [row["sequence"] for row in stream] == list(range(1, len(stream) + 1))
        assert all(row["same"] for row in stream)
        outbox = [
            (row["outbox_id"], row["outbox_stream"], row["outbox_sequence"]) for row in stream
        ]
        assert [entry[1:] for entry in outbox] == [
            (row["stream"], row["sequence"]) for row in stream
        ]
        assert outbox == sorted(outbox)
