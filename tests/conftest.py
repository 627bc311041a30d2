"""The servers of the suites: each is started once, when the first test asks for it.

A test that stops or kills a server starts one of its own (`Postgres()`, `Broker()`, `Engine()` of
`entrypoints.dev`): these here are shared.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

import pytest
import structlog
from hypothesis import HealthCheck, settings

from entrypoints.dev.database_server import DatabaseServer
from entrypoints.dev.engine import docker_engine
from entrypoints.dev.engine_packages import EngineMissingError
from entrypoints.dev.kafka import Broker
from entrypoints.dev.kafka_jars import BrokerUnavailableError
from entrypoints.dev.postgres import Postgres, database_server
from migrations.runner import migrate

# What is logged within a test's own process. A traceback with every local variable in colours takes
# seconds of a busy machine, in the very thread that a test waits for.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

# One profile for every property: no deadline on a slow machine, and a failure can be replayed. With
# CI=true the examples are always the same; elsewhere each run looks at new ones, a failure is kept
# in `.hypothesis` and printed as a blob for `@reproduce_failure`.
settings.register_profile(
    "orchestrator",
    deadline=None,
    print_blob=True,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("orchestrator")

_MARKED = {"broker": "broker", "engine_host": "engine"}


@dataclass(frozen=True, slots=True)
class GivenBroker:
    """A broker that somebody else runs."""

    bootstrap_servers: str


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a slow server, so that `-m "not engine"` leaves them out."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in _MARKED:
                item.add_marker(_MARKED[fixture])


@pytest.fixture(scope="session")
def postgres() -> Iterator[DatabaseServer]:
    """The PostgreSQL server: TEST_DATABASE_URL's, else an embedded one."""
    with database_server() as server:
        yield server


@pytest.fixture(scope="session")
def new_database(postgres: DatabaseServer) -> Iterator[Callable[[], str]]:
    """Make another migrated, empty database and return its URL; all go when the session ends.

    Those of an embedded server go with its folder: to drop hundreds one by one takes a minute.
    """
    made = [template := _unique("template")]
    migrate(postgres.create_database(template))

    def new() -> str:
        made.append(name := _unique("test"))
        return postgres.create_database(name, template=template)

    yield new
    if not isinstance(postgres, Postgres):
        for name in made:
            postgres.drop_database(name)


@pytest.fixture
def bare_database(postgres: DatabaseServer) -> Iterator[str]:
    """The URL of a database that nobody migrated, for this test alone."""
    name = _unique("bare")
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    """The URL of a migrated, empty database for this test alone."""
    return new_database()


@pytest.fixture(scope="module")
def module_database(new_database: Callable[[], str]) -> str:
    """The URL of a migrated, empty database for the tests of one module."""
    return new_database()


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker | GivenBroker]:
    """A real Kafka broker: KAFKA_BOOTSTRAP_SERVERS's, else one of our own."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield GivenBroker(given)
        return
    try:
        started = Broker()
    except BrokerUnavailableError as error:
        unavailable(str(error))
    with started:
        yield started


@pytest.fixture(scope="session")
def engine_host() -> Iterator[str]:
    """The DOCKER_HOST of a real Docker Engine with BuildKit."""
    try:
        opened = docker_engine(install=False)
        host = opened.__enter__()
    except EngineMissingError as error:
        unavailable(str(error))
    try:
        yield host
    finally:
        opened.__exit__(None, None, None)


def unavailable(reason: str) -> NoReturn:
    """Skip the test for this reason; with CI=true fail it, for there everything is there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _unique(kind: str) -> str:
    return f"orchestrator_{kind}_{uuid.uuid4().hex[:12]}"
