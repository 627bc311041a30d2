"""What ends or pauses the relay's work.

    RelayError
    ├── LeadershipLost      the session with the lock is gone: discard the producer, start over
    └── BrokerTrouble       broker, topic or authentication: pause, lose nothing, try again

``psycopg.Error`` on the leader's session means the same as ``LeadershipLost`` and is treated alike.
"""


class RelayError(Exception):
    """Anything that ends a term or pauses it."""


class LeadershipLost(RelayError):  # noqa: N818 - it tells what happened; nobody did wrong
    """The lock is no longer ours: somebody else may be publishing already."""


class BrokerTrouble(RelayError):  # noqa: N818 - as above
    """Kafka cannot take messages at the moment.

    Attributes:
        code: librdkafka's name of the error, e.g. ``_TRANSPORT``.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
