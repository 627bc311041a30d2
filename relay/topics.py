"""Knows that a topic exists before anything is sent to it, and creates it where that is allowed.

The client would find a missing topic by itself, but only by failing every message for it after
30 s; asked for by name, the broker answers at once.
"""

import logging
from concurrent.futures import TimeoutError as FutureTimeoutError

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from relay.admin import Admin
from relay.errors import BrokerTrouble
from relay.settings import Settings

# What is wrong with one topic, and not with Kafka: it is not there, or not for this relay. A broker
# says that it may not be used of every topic that is not to be seen, whether it exists or not.
_OF_ONE_TOPIC = frozenset(
    {"UNKNOWN_TOPIC_OR_PART", "TOPIC_AUTHORIZATION_FAILED", "TOPIC_EXCEPTION"}
)


class Topics:
    """The topics that can be sent to, as far as was asked in this term."""

    def __init__(self, settings: Settings, log: logging.Logger) -> None:
        self._admin = Admin(lambda: AdminClient(dict(settings.client_options()), logger=log))
        self._settings = settings
        self._known: set[str] = set()
        self._refused: set[str] = set()

    def can_be_sent_to(self, name: str) -> bool:
        """Return whether the topic exists and may be used, which takes 3.5 s at most.

        One that is configured is created where that is allowed. Any other can only be missing for
        the few events that name it, e.g. since it was configured no more.

        Raises:
            BrokerTrouble: It is configured, and cannot be sent to, or the broker did not answer.
        """
        if name in self._refused:
            self._refused.remove(name)
            return False
        if name not in self._known:
            if not self._found_or_created(name):
                return False
            self._known.add(name)
        return True

    def forget(self) -> None:
        """Ask again next time: something about a topic may have changed."""
        self._known.clear()

    def look_after(self) -> None:
        """Let the client log, which it does at any time; keep none that is asked nothing."""
        self._admin.look_after()

    def close(self) -> None:
        """Keep no client beyond the term."""
        self._admin.close()

    def note_refused(self, trouble: BrokerTrouble) -> None:
        """Believe once that nothing can be sent to the topic of ``trouble``.

        One may be seen by a relay that may not write to it. What names it meanwhile is an offence;
        what comes later is tried again, for whoever mended it has released what was blocked.
        """
        topic = trouble.topic
        if topic and trouble.code in _OF_ONE_TOPIC and topic not in self._settings.topics:
            self._refused.add(topic)

    def _found_or_created(self, name: str) -> bool:
        try:
            fault = self._admin.fault_of(name)
        except KafkaException as exc:
            raise _trouble(exc) from exc
        if fault is None:
            return True
        code = fault.name()
        if name not in self._settings.topics and code in _OF_ONE_TOPIC:
            return False
        if code != "UNKNOWN_TOPIC_OR_PART":
            raise BrokerTrouble(code, f"topic {name}: {fault.str()}")
        if not self._settings.kafka_create_topics:
            raise BrokerTrouble(code, f"topic {name} is missing and KAFKA_CREATE_TOPICS is not set")
        self._create(name)
        return True

    def _create(self, name: str) -> None:
        topic = NewTopic(
            name,
            num_partitions=self._settings.kafka_topic_partitions,
            replication_factor=self._settings.kafka_topic_replication_factor,
        )
        try:
            self._admin.create(topic)
        except KafkaException as exc:
            # Another relay, or an operator, was faster.
            if exc.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise _trouble(exc) from exc
        except FutureTimeoutError as exc:
            raise BrokerTrouble("_TIMED_OUT", f"topic {name}: not created in time") from exc


def _trouble(exc: KafkaException) -> BrokerTrouble:
    error = exc.args[0]
    return BrokerTrouble(error.name(), error.str())
