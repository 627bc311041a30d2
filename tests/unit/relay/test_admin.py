"""An admin client that hears nothing is given up for a new one, and none lives without need."""

import logging
import threading
from types import SimpleNamespace

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from structlog.testing import capture_logs

from relay.admin import Admin
from relay.errors import BrokerTrouble
from relay.health import Role, Status, Watched
from relay.settings import Settings
from relay.shutdown import Shutdown
from relay.topics import Topics
from relay.watchers import BrokerWatcher

# Refused at once: to ask for the address of a name takes some machines long.
_NOWHERE = "127.0.0.1:9"
_SETTINGS = Settings(database_url="unused", kafka_bootstrap_servers=_NOWHERE, kafka_topic="ours")
_LOG = logging.getLogger("a client under test")


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Client(AdminClient):
    """Answers that all is well, or never."""

    def __init__(self, *, deaf: bool) -> None:
        super().__init__({"bootstrap.servers": _NOWHERE, "log_level": 0})
        self.deaf = deaf
        self.polled = 0

    def list_topics(self, topic: str, timeout: float) -> SimpleNamespace:  # type: ignore[override]  # what is used of it
        if self.deaf:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT, "no answer"))
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None)})

    def poll(self, timeout: float = -1) -> int:
        self.polled += 1
        return 0


class Factory:
    """Makes clients, of which the first few are deaf."""

    def __init__(self, *, deaf: int) -> None:
        self._deaf = deaf
        self.made: list[Client] = []

    def __call__(self, *_: object, **__: object) -> Client:
        self.made.append(Client(deaf=len(self.made) < self._deaf))
        return self.made[-1]


def ask(admin: Admin) -> bool:
    """Return whether it was answered."""
    try:
        admin.fault_of("ours")
    except KafkaException:
        return False
    return True


def test_a_client_that_has_failed_for_30_seconds_is_given_up_for_a_new_one() -> None:
    clock, factory = Clock(), Factory(deaf=2)
    admin = Admin(factory, clock)
    answered_at = []
    with capture_logs() as logs:
        for second in range(0, 80, 2):
            clock.now = 100.0 + second
            if ask(admin):
                answered_at.append(second)

    assert len(factory.made) == 3
    assert answered_at[0] == 64
    assert answered_at == list(range(64, 80, 2))
    assert [line["event"] for line in logs] == ["client given up for a new one"] * 2


def test_an_answer_in_between_keeps_the_client() -> None:
    clock, factory = Clock(), Factory(deaf=1)
    admin = Admin(factory, clock)
    for second in range(0, 300, 2):
        clock.now = 100.0 + second
        if factory.made:
            factory.made[0].deaf = second % 20 != 0
        ask(admin)

    assert len(factory.made) == 1


@pytest.mark.parametrize("deaf", [0, 1])
def test_whatever_comes_of_a_question_the_client_may_tell_what_it_logged(deaf: int) -> None:
    factory = Factory(deaf=deaf)

    ask(Admin(factory))

    assert factory.made[0].polled == 1


def test_a_client_is_made_when_something_is_asked_and_none_is_kept_that_is_asked_nothing() -> None:
    clock, factory = Clock(), Factory(deaf=0)
    admin = Admin(factory, clock)
    made = [len(factory.made)]

    for seconds in (0, 29, 29, 31, 1):
        clock.now += seconds
        admin.look_after()
        assert ask(admin)
        made.append(len(factory.made))

    assert made == [0, 1, 1, 1, 2, 2]


def test_a_client_may_tell_what_it_logged_while_it_is_asked_nothing() -> None:
    factory = Factory(deaf=0)
    admin = Admin(factory, Clock())
    admin.look_after()
    ask(admin)

    for _ in range(3):
        admin.look_after()

    assert factory.made[0].polled == 4


def test_the_failures_of_a_client_that_was_dropped_do_not_count_against_the_next() -> None:
    clock, factory = Clock(), Factory(deaf=2)
    admin = Admin(factory, clock)
    ask(admin)
    clock.now += 60.0
    admin.look_after()

    for _ in range(2):
        ask(admin)
        clock.now += 1.0

    assert len(factory.made) == 2


def test_a_client_that_cannot_be_made_is_an_answer_that_did_not_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> AdminClient:
        raise KafkaException(KafkaError(KafkaError._INVALID_ARG, "no such file"))

    monkeypatch.setattr("relay.topics.AdminClient", refuse)

    with pytest.raises(BrokerTrouble, match="no such file"):
        Topics(_SETTINGS, _LOG).can_be_sent_to("ours")


def test_a_leader_whose_client_is_deaf_finds_its_topics_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relay.topics.AdminClient", Factory(deaf=1))
    monkeypatch.setattr("relay.admin._PATIENCE_SECONDS", 0.0)
    topics = Topics(_SETTINGS, _LOG)

    with pytest.raises(BrokerTrouble, match="no answer"):
        topics.can_be_sent_to("ours")

    assert topics.can_be_sent_to("ours")


def test_readiness_does_not_rest_on_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.watchers.AdminClient", Factory(deaf=3))
    monkeypatch.setattr("relay.watchers._INTERVAL_SECONDS", 0.001)
    monkeypatch.setattr("relay.admin._PATIENCE_SECONDS", 0.0)
    shutdown, answered = Shutdown(), threading.Event()

    class Noting(Watched):
        """Tells when the broker is said to answer."""

        def say(self, trouble: str | None) -> None:
            super().say(trouble)
            if trouble is None:
                answered.set()

    status = Status(Role.LEADER, broker=Noting())
    watcher = BrokerWatcher(_SETTINGS, shutdown, status, _LOG)

    watcher.start()
    healed = answered.wait(10.0)
    shutdown.request()
    watcher.join()

    assert healed
    assert status.broker.trouble is None
