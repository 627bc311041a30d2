"""Failpoints: a closed set of places, armed by one variable, and nothing at all without it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from psycopg import Connection
from psycopg.rows import DictRow

from adapters.docker.container_engine import DockerContainerEngine
from adapters.failpoints.calls import ENGINE_CALLS, FailpointCalls, engine_with_failpoints
from adapters.failpoints.names import ENGINE, NAMES, EngineCall, UseCase, after, before
from adapters.failpoints.registry import FailpointRaised, Failpoints, UnknownFailpoint
from adapters.failpoints.transactions import (
    FailpointTransactionRunner,
    transaction_with_failpoints,
    with_failpoints,
)
from adapters.postgres.pool import plain_transaction
from adapters.postgres.unit_of_work import PostgresTransactionRunner
from adapters.volume.context_store import VolumeContextStore
from adapters.volume.stored_files import VolumeStoredFiles
from application.errors import OutcomeUnknown
from application.ports import ContainerEngine
from application.unit_of_work import UnitOfWork
from entrypoints.composition.api import Api
from entrypoints.composition.worker import Worker
from entrypoints.dev.service_processes import COMMANDS, clean_environment
from entrypoints.settings import Settings
from tests.contracts.fake_engine import FakeContainerEngine

T = TypeVar("T")

# What is no call of Docker: a number, and the ends of calls that are under way.
_NO_CALLS = {"limits", "interrupt_build", "interrupt_all"}


class _Transactions:
    def __init__(self) -> None:
        self.log: list[str] = []

    def run(self, work: Callable[[UnitOfWork], T]) -> T:
        result = work(cast(UnitOfWork, None))
        self.log.append("committed")
        return result


class _Connection:
    def __init__(self) -> None:
        self.log: list[str] = []

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield
        self.log.append("committed")


def armed(text: str) -> Failpoints:
    points = Failpoints.parse(text)
    assert points is not None
    return points


@pytest.mark.parametrize("text", ["", " ", ","])
def test_nothing_is_armed_by_nothing(text: str) -> None:
    assert Failpoints.parse(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "reconcile.before-lunch=kill",
        "engine.after-create=explode",
        "engine.after-create",
        "engine.after-create=kill@0",
        "engine.before-create=drop-reply",
        "reconcile.after-commit=drop-reply",
        "build.before-commit=kill,lunch=kill",
        "build.before-commit=kill@2/lunch",
        "build.before-commit=kill/",
    ],
)
def test_an_unknown_name_or_action_is_refused(text: str) -> None:
    with pytest.raises(UnknownFailpoint):
        Failpoints.parse(text)


def test_a_place_acts_at_its_turn_and_not_again() -> None:
    points = armed("reconcile.before-commit=raise@2")

    points.reach("reconcile.before-commit")
    with pytest.raises(FailpointRaised, match=r"reconcile\.before-commit"):
        points.reach("reconcile.before-commit")
    points.reach("reconcile.before-commit")


def test_a_place_can_be_armed_for_several_turns() -> None:
    points = armed("engine.after-stop=drop-reply@1,engine.after-stop=raise@2")

    with pytest.raises(OutcomeUnknown):
        points.reach("engine.after-stop")
    with pytest.raises(FailpointRaised):
        points.reach("engine.after-stop")


def test_turns_are_counted_from_a_turn_of_another_place() -> None:
    points = armed("reconcile.before-commit=raise@2/engine.after-stop@2")

    for place in ("engine.after-stop", *["reconcile.before-commit"] * 3, "engine.after-stop"):
        points.reach(place)
    points.reach("reconcile.before-commit")
    with pytest.raises(FailpointRaised, match=r"reconcile\.before-commit"):
        points.reach("reconcile.before-commit")
    points.reach("reconcile.before-commit")


def test_a_trace_tells_each_place_in_order(tmp_path: Path) -> None:
    points = armed(f"trace={tmp_path / 'reached'}")
    transactions = with_failpoints(_Transactions(), points, UseCase.RECONCILE)

    transactions.run(lambda _: None)

    assert (tmp_path / "reached").read_text().splitlines() == [
        "reconcile.before-commit",
        "reconcile.after-commit",
    ]


def test_before_a_commit_nothing_is_committed_and_after_it_everything() -> None:
    beneath = _Transactions()
    points = armed("build.before-commit=raise,build.after-commit=raise")
    transactions = with_failpoints(beneath, points, UseCase.BUILD)

    with pytest.raises(FailpointRaised, match="before"):
        transactions.run(lambda _: None)
    before_log = list(beneath.log)
    with pytest.raises(FailpointRaised, match="after"):
        transactions.run(lambda _: None)

    assert (before_log, beneath.log) == ([], ["committed"])


def test_so_it_is_with_what_has_a_transaction_of_its_own() -> None:
    connection = _Connection()
    points = armed("trust.before-commit=raise,trust.after-commit=raise")
    transaction = transaction_with_failpoints(points, UseCase.TRUST)

    def change() -> None:
        with transaction(cast(Connection[DictRow], connection)):
            connection.log.append("changed")

    with pytest.raises(FailpointRaised, match="before"):
        change()
    with pytest.raises(FailpointRaised, match="after"):
        change()

    assert connection.log == ["changed", "changed", "committed"]


def test_a_dropped_reply_is_of_a_call_that_was_carried_out() -> None:
    beneath = FakeContainerEngine()
    engine = engine_with_failpoints(beneath, armed("engine.after-remove-tag=drop-reply"))

    with pytest.raises(OutcomeUnknown):
        engine.remove_tag("app:latest")

    assert beneath.calls == [("remove_tag", "app:latest")]


def test_every_call_of_the_engine_has_its_places() -> None:
    calls = {name for name in vars(ContainerEngine) if not name.startswith("_")} - _NO_CALLS

    assert set(ENGINE_CALLS) == calls
    assert {side(ENGINE, call) for call in EngineCall for side in (before, after)} <= NAMES


def _worker(tmp_path: Path, failpoints: str) -> Worker:
    settings = Settings(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        build_context_base_dir=str(tmp_path),
        orchestrator_failpoints=failpoints,
    )
    worker = Worker(settings=settings, application_name="test")
    worker.installation_id.override("test")
    return worker


def test_unarmed_nothing_of_them_is_in_the_object_graph(tmp_path: Path) -> None:
    worker = _worker(tmp_path, "")

    reconcile = worker.reconcile()

    assert type(reconcile._transactions) is PostgresTransactionRunner
    assert worker.census()._transaction is plain_transaction
    assert type(worker.sweep_leftovers()._files) is VolumeStoredFiles
    assert type(reconcile._engine) is DockerContainerEngine
    assert type(worker.store()) is VolumeContextStore
    worker.scratch().remove()


def test_armed_each_use_case_has_a_runner_of_its_name(tmp_path: Path) -> None:
    worker = _worker(tmp_path, "leases.before-commit=kill")
    api = Api(settings=worker.settings(), application_name="test")
    api.installation_id.override("test")
    use_cases: dict[UseCase, Any] = {
        UseCase.UPLOAD: api.upload_image(),
        UseCase.REBUILD: api.rebuild_image(),
        UseCase.CANCEL: api.cancel_build(),
        UseCase.PATCH: api.change_image(),
        UseCase.DELETE_IMAGE: api.delete_image(),
        UseCase.CREATE: api.create_containers(),
        UseCase.CHANGE: api.change_container(),
        UseCase.BUILD: worker.builds(),
        UseCase.RECONCILE: worker.reconcile(),
        UseCase.REMOVE_IMAGE: worker.removals(),
        UseCase.KEEP_INSTANCES: worker.instances()._instances,
        UseCase.LEASES: worker.leases(),
        UseCase.LOST: worker.declare_lost(),
    }
    owners: dict[UseCase, Any] = {
        UseCase.CENSUS: worker.census(),
        UseCase.SWEEP: worker.sweep_register(),
        UseCase.ENGINES: worker.registry(),
        UseCase.PRESENCE: worker.presence()._present,
        UseCase.LOST: worker.declare_lost()._lost_engines,
        UseCase.TRUST: worker.quarantine(),
        UseCase.RESTORED: worker.restoration(),
    }

    for name, use_case in use_cases.items():
        runner = use_case._transactions
        assert isinstance(runner, FailpointTransactionRunner)
        assert runner._use_case is name
    for name, owner in owners.items():
        assert owner._transaction.__self__._use_case is name
    assert {*use_cases, *owners} == set(UseCase)
    assert isinstance(worker.sweep_leftovers()._files, FailpointCalls)
    worker.scratch().remove()


@pytest.mark.parametrize("name", ["api", "worker"])
def test_an_unknown_failpoint_is_one_line_and_exit_code_2(name: str) -> None:
    environment = clean_environment(
        {
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
            "AUTH_MODE": "none",
            "DEV_USER_ID": "1",
            "ORCHESTRATOR_FAILPOINTS": "reconcile.before-lunch=kill",
        }
    )

    ended = subprocess.run(
        [sys.executable, *COMMANDS[name]],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode == 2
    assert ended.stderr.startswith(f"{name}: ORCHESTRATOR_FAILPOINTS: ")
    assert len(ended.stderr.splitlines()) == 1
