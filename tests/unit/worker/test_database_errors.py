"""What the database cannot do any more is told as its being unavailable."""

import psycopg
import pytest
from psycopg import errors as pg

from adapters.postgres.errors import translated_errors
from application.errors import DatabaseUnavailable


@pytest.mark.parametrize(
    "error",
    [
        pg.ReadOnlySqlTransaction("a failover"),
        pg.InternalError_("out of its depth"),
        pg.AdminShutdown("bye"),
        pg.SerializationFailure("lost against another"),
        pg.DeadlockDetected("lost against another"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_trouble_of_the_database_is_its_being_unavailable(error: psycopg.Error) -> None:
    with pytest.raises(DatabaseUnavailable) as told, translated_errors():
        raise error

    assert str(told.value)
    assert told.value.__cause__ is error


def test_a_mistake_of_ours_is_not() -> None:
    with pytest.raises(pg.UndefinedColumn), translated_errors():
        raise pg.UndefinedColumn
