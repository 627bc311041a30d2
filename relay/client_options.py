"""Lets librdkafka judge what ``KAFKA_CLIENT_*`` passes to it, before anything is begun."""

import logging

import msgspec
from confluent_kafka import KafkaException, Producer

from relay.settings import CLIENT_PREFIX, KafkaSettings, SettingsError, variable_of


def check_client_options(settings: KafkaSettings, client_log: logging.Logger) -> None:
    """Let librdkafka read its options; creating a client needs no broker.

    Raises:
        SettingsError: Naming the variable that it refuses.
    """
    reason = _refusal(settings, client_log)
    if reason is None:
        return
    # Its text may name an alias, or nothing: to blame is the option without which it is content.
    for option in settings.kafka_client:
        others = {name: value for name, value in settings.kafka_client.items() if name != option}
        if _refusal(msgspec.structs.replace(settings, kafka_client=others), client_log) is None:
            raise SettingsError(f"{variable_of(option)}: {reason}")
    raise SettingsError(f"{CLIENT_PREFIX}*: {reason}")


def _refusal(settings: KafkaSettings, client_log: logging.Logger) -> str | None:
    try:
        Producer(settings.client_options(), logger=client_log)
    except KafkaException as exc:
        return str(exc.args[0].str())
    except (TypeError, ValueError, AttributeError) as exc:
        # What the binding itself takes for something else than a text.
        return str(exc)
    return None
