"""Wake-ups: after a commit, never after a rollback, and again after the connection was lost."""

import queue
from collections.abc import Iterator
from uuid import uuid4

import pytest
import uuid_utils.compat

from adapters.postgres.claims import Claimant
from adapters.postgres.signals import Channel, PostgresListener, PostgresNotifier
from adapters.postgres.unit_of_work import PostgresTransactionRunner
from tests.contracts.subjects import wait_until
from tests.integration.postgres.crashes import Crash, CrashingTransactions
from tests.integration.postgres.installation import LEASE_SECONDS, Installation

DEADLINE_SECONDS = 15.0
EVERY = (Channel.WORK, Channel.OUTCOME, Channel.OUTBOX)


class Heard:
    """What a listener was told, and by when."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Channel] = queue.Queue()

    def __call__(self, channel: Channel) -> None:
        self._queue.put(channel)

    def expect(self, channels: set[Channel]) -> None:
        """Wait until all of these were heard, and nothing else."""
        heard: set[Channel] = set()
        while heard != channels:
            heard.add(self._queue.get(timeout=DEADLINE_SECONDS))
            assert heard <= channels

    def expect_nothing_more(self, notifier: PostgresNotifier) -> None:
        """What was sent before is heard before: later signals are the next that are heard.

        Two of them, because the first may be sent together with what came before it.
        """
        for _ in range(2):
            notifier.signal({Channel.OUTBOX})
            assert self._queue.get(timeout=DEADLINE_SECONDS) is Channel.OUTBOX

    def wait_for(self, channel: Channel) -> None:
        """Pass over whatever else is heard before it."""
        while self._queue.get(timeout=DEADLINE_SECONDS) is not channel:
            pass

    def heard_by_now(self) -> bool:
        """Whether anything was heard that nobody has asked for yet."""
        return not self._queue.empty()


@pytest.fixture
def notifier(installation: Installation) -> Iterator[PostgresNotifier]:
    notifier = PostgresNotifier(installation.url)
    notifier.start()
    yield notifier
    notifier.close()


@pytest.fixture
def heard(installation: Installation) -> Iterator[Heard]:
    heard = Heard()
    listener = PostgresListener(installation.url, EVERY, heard)
    listener.start()
    heard.expect(set(EVERY))
    yield heard
    listener.close()


@pytest.fixture
def transactions(
    installation: Installation, notifier: PostgresNotifier
) -> PostgresTransactionRunner:
    return PostgresTransactionRunner(
        installation.pool,
        installation.encoder,
        uuid_utils.compat.uuid7,
        notifier.signal,
        Claimant(uuid4(), seconds=LEASE_SECONDS),
    )


def test_what_is_committed_wakes_those_who_wait_for_it(
    installation: Installation, transactions: PostgresTransactionRunner, heard: Heard
) -> None:
    image_id = installation.ready_image()

    installation.create(image_id, transactions=transactions)
    heard.expect({Channel.WORK})
    installation.upload(transactions=transactions)

    heard.expect({Channel.WORK, Channel.OUTCOME, Channel.OUTBOX})


def test_what_is_rolled_back_wakes_nobody(
    installation: Installation,
    transactions: PostgresTransactionRunner,
    notifier: PostgresNotifier,
    heard: Heard,
) -> None:
    image_id = installation.ready_image()

    with pytest.raises(Crash):
        installation.create(image_id, transactions=CrashingTransactions(transactions))

    heard.expect_nothing_more(notifier)


def test_a_listener_survives_the_end_of_its_connection_and_reports_what_it_may_have_missed(
    installation: Installation, notifier: PostgresNotifier, heard: Heard
) -> None:
    ended = installation.rows(
        "SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity "
        "WHERE application_name = 'orchestrator-listener' AND datname = current_database()"
    )

    heard.expect(set(EVERY))
    notifier.signal({Channel.OUTCOME})
    heard.expect({Channel.OUTCOME})

    # The one before may not have been missed yet.
    assert {"ended": True} in ended


def test_a_notifier_survives_the_end_of_its_connection(
    installation: Installation, notifier: PostgresNotifier, heard: Heard
) -> None:
    notifier.signal({Channel.WORK})
    heard.expect({Channel.WORK})
    installation.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'orchestrator-notifier' AND datname = current_database()"
    )

    def signalled_and_heard() -> bool:
        # What meets the connection that ended is lost: listeners poll as well.
        notifier.signal({Channel.WORK})
        return heard.heard_by_now()

    wait_until(signalled_and_heard, DEADLINE_SECONDS)
    # It has a new one, on which nothing is lost.
    notifier.signal({Channel.OUTCOME})
    heard.wait_for(Channel.OUTCOME)
    notifier.signal({Channel.OUTBOX})
    heard.wait_for(Channel.OUTBOX)


def test_signals_that_pile_up_are_sent_when_the_notifier_closes(
    installation: Installation, heard: Heard
) -> None:
    notifier = PostgresNotifier(installation.url)
    notifier.signal({Channel.WORK})
    notifier.signal({Channel.WORK, Channel.OUTCOME})

    notifier.start()
    notifier.close()

    heard.expect({Channel.WORK, Channel.OUTCOME})
