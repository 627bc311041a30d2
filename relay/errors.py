"""What pauses the relay's work.

    RelayError
    └── BrokerTrouble       broker, topic or authentication: pause, lose nothing, try again

``psycopg.Error`` on the leader's session means that the session is lost and the lock with it:
discard the producer, start over.
"""


class RelayError(Exception):
    """Anything of the relay's own."""


class BrokerTrouble(RelayError):  # noqa: N818 - it tells what happened; nobody did wrong
    """Kafka cannot take messages at the moment.

    Attributes:
        code: librdkafka's name of the error, e.g. ``_TRANSPORT``.
        detail: Its text.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
