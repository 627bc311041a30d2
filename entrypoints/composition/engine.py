"""An engine and what is recorded of it: what looks at it, sweeps it, audits it, or declares it."""

from __future__ import annotations

import time

from dependency_injector import providers

from adapters.docker.answered_time import AnsweredTime
from adapters.docker.container_engine import DockerContainerEngine
from adapters.failpoints.calls import engine_with_failpoints, files_with_failpoints
from adapters.failpoints.names import UseCase
from adapters.postgres.audit_records import PostgresRecords
from adapters.postgres.census import PostgresCensus
from adapters.postgres.lost_engines import PostgresLostEngines
from adapters.postgres.quarantine import PostgresQuarantine
from adapters.postgres.restoration import PostgresRestoration
from adapters.postgres.sweep_register import PostgresSweepRegister
from adapters.volume.survey import VolumeSurvey
from application.audit.look import Graces
from application.audit.run_audit import RunAudit
from application.declare_engine_lost import DeclareEngineLostHandler
from application.mend_tags import MendTags
from application.publish_tag import PublishTag
from application.sweep_leftovers import SweepLeftovers
from entrypoints.composition.storage import (
    Storage,
    own_transaction_of,
    transactions_of,
    utc_now,
)
from entrypoints.settings import Settings
from entrypoints.worker.engine_monitor import EngineAddress, EngineMonitor
from entrypoints.worker.scratch_folder import ScratchFolder


def _engine_address(settings: Settings) -> EngineAddress:
    return EngineAddress(settings.engine_address, *settings.port_range, settings.engine_location)


def _graces(settings: Settings) -> Graces:
    grace = settings.sweep_grace_seconds
    # The sweep that removes it comes within an interval of that.
    return Graces(volume=grace, engine=grace + settings.sweep_interval_seconds)


class Engine(Storage):
    """What looks at one engine, sweeps it, audits it, and takes an operator's word about it."""

    scratch = providers.Singleton(ScratchFolder)
    answered_time = providers.Singleton(AnsweredTime)
    docker = providers.Singleton(
        DockerContainerEngine,
        docker_host=Storage.settings.provided.docker_host,
        installation_id=Storage.installation_id,
        publish_host_ip=Storage.settings.provided.publish_address,
        scratch=scratch.provided.path,
        start_stopwatch=answered_time.provided.stopwatch,
    )
    engine = providers.Singleton(engine_with_failpoints, docker, Storage.failpoints)
    monitor = providers.Singleton(
        EngineMonitor,
        engine,
        Storage.registry,
        providers.Callable(_engine_address, Storage.settings),
        answered_time,
    )
    census = providers.Singleton(
        PostgresCensus,
        Storage.pool,
        Storage.notifier.provided.signal,
        own_transaction_of(UseCase.CENSUS),
    )
    sweep_register = providers.Singleton(
        PostgresSweepRegister, Storage.pool, own_transaction_of(UseCase.SWEEP)
    )
    sweep_leftovers = providers.Singleton(
        SweepLeftovers,
        engine,
        providers.Singleton(files_with_failpoints, Storage.files, Storage.failpoints),
        sweep_register,
        providers.Singleton(
            MendTags,
            sweep_register,
            providers.Singleton(PublishTag, transactions_of(UseCase.SWEEP), engine),
        ),
        providers.Object(utc_now),
        Storage.claim_volume.provided.check,
        grace_seconds=Storage.settings.provided.sweep_grace_seconds,
    )
    audit = providers.Singleton(
        RunAudit,
        providers.Singleton(PostgresRecords, Storage.pool),
        engine,
        providers.Singleton(VolumeSurvey, Storage.settings.provided.context_folder),
        providers.Object(time.monotonic),
        providers.Object(time.sleep),
        providers.Object(utc_now),
        providers.Callable(_graces, Storage.settings),
    )
    quarantine = providers.Singleton(
        PostgresQuarantine, Storage.pool, own_transaction_of(UseCase.TRUST)
    )
    restoration = providers.Singleton(
        PostgresRestoration,
        Storage.settings.provided.database_url,
        own_transaction_of(UseCase.RESTORED),
    )
    declare_lost = providers.Singleton(
        DeclareEngineLostHandler,
        transactions_of(UseCase.LOST),
        providers.Singleton(PostgresLostEngines, Storage.pool, own_transaction_of(UseCase.LOST)),
        Storage.store,
        providers.Object(utc_now),
    )
