"""Sessions end soon after the machine at their other end was lost."""

import psycopg
import pytest

from adapters.postgres.pool import connection_options
from tests.integration.postgres.installation import Installation

# Over a unix socket SHOW tells 0 of each: there is no TCP. What was asked for is told all the same.
_ASKED_FOR = "SELECT reset_val FROM pg_settings WHERE name = %(name)s"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "2"),
        ("tcp_keepalives_count", "3"),
        ("tcp_user_timeout", "10000"),
    ],
)
def test_the_server_misses_a_client_that_vanished_after_10_s(
    installation: Installation, name: str, value: str
) -> None:
    (pooled,) = installation.rows(_ASKED_FOR, {"name": name})
    with psycopg.connect(installation.url, **connection_options("alone")) as alone:
        own = alone.execute(_ASKED_FOR, {"name": name}).fetchone()

    assert pooled == own == {"reset_val": value}
