"""A PostgreSQL server and the databases in it, whoever runs it."""

from typing import Self
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from entrypoints.dev.postgres_programs import PostgresMissingError

MINIMUM_VERSION = 15


class DatabaseServer:
    """A running server and its databases; `url` reaches its `postgres` or the given database."""

    def __init__(self, url: str) -> None:
        self.url = url

    @classmethod
    def given(cls, url: str) -> Self:
        """Take a server that somebody else runs.

        Raises:
            PostgresMissingError: it cannot be reached, or is older than 15.
        """
        try:
            with psycopg.connect(url, connect_timeout=10) as connection:
                version = connection.info.server_version // 10_000
        except psycopg.OperationalError as error:
            reason = str(error).strip().splitlines()[0]
            raise PostgresMissingError(f"the given database cannot be reached: {reason}") from error
        if version < MINIMUM_VERSION:
            raise PostgresMissingError(
                f"PostgreSQL {version} is given, {MINIMUM_VERSION} is needed"
            )
        return cls(url)

    def create_database(self, name: str, *, template: str | None = None) -> str:
        """Create an empty database, or a copy of `template`, and return its URL.

        Raises:
            psycopg.errors.DuplicateDatabase: there is one of that name.
            psycopg.errors.ObjectInUse: somebody is connected to the template.
        """
        self._execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template or "template0")
            )
        )
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Drop the database if it exists, ending the sessions in it."""
        self._execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )

    def url_of(self, database: str) -> str:
        """Return the URL of one of the server's databases."""
        if "://" not in self.url:  # libpq's other form, key=value
            return make_conninfo(self.url, dbname=database)
        return urlsplit(self.url)._replace(path=f"/{quote(database)}").geturl()

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)
