"""Where the memories under test are kept: in RAM, in an embedded file, or in a schema of a Postgres server."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sound
import writer
from emptying import empty  # pyright: ignore[reportMissingImports]
from servers import PostgresServer  # pyright: ignore[reportMissingImports]

from memweld import Backend

_numbers = itertools.count()


def _read_all(folder: Path) -> bytes:
    """The files of a folder, without those that go meanwhile."""
    held = b""
    for path in sorted(folder.iterdir()):
        with contextlib.suppress(FileNotFoundError):
            held += path.read_bytes() if path.is_file() else b""
    return held


class Place:
    """An empty memory of its own.

    Attributes:
        url: What `memweld.connect` takes.
        moment: About how many seconds a write takes.
        overwrites: Whether an erasure says that what it deleted is overwritten.
    """

    url = "sqlite://"
    moment = 0.003
    overwrites = True

    def connect(self, **options: Any) -> Backend:
        return writer.connect(self.url, **options)

    def clear(self) -> None:
        """Forget all that is there."""

    def check(self) -> None:
        """Assert that nothing that is there contradicts anything else."""

    def wait_for_the_dead(self, user: str) -> None:
        """Until what a process that was killed had begun for the user is over."""

    def rows(self) -> bytes:
        """All that can be read of it with the rights of its owner."""
        raise NotImplementedError

    def reclaim(self) -> None:
        """The owner's command to have deleted rows overwritten."""

    def raw(self) -> bytes:
        """All bytes of the files in which it is."""
        raise NotImplementedError

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of its tables; variables are marked as ``?``."""
        raise NotImplementedError


class FilePlace(Place):
    """A file in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "memory.db"
        self.url = f"sqlite:///{self.file}"

    def check(self) -> None:
        sound.check_file(self.file)

    def rows(self) -> bytes:
        return self.raw()

    def raw(self) -> bytes:
        """The file, its log, its index of the log, a journal."""
        return _read_all(self.file.parent)

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        import sqlite3

        with contextlib.closing(sqlite3.connect(self.file)) as connection:
            return connection.execute(sql, parameters).fetchall()


class PostgresPlace(Place):
    """A schema in a database."""

    moment = 0.01
    overwrites = False

    def __init__(self, server: PostgresServer, database: str, *, secured: bool = False) -> None:
        self._server, self._database = server, database
        self._schema = f"place_{next(_numbers)}"
        self.url = self._own = f"{database}?schema={self._schema}&pool_size=8"
        if secured:
            self._secure()

    def _secure(self) -> None:
        """Under row-level security, as a role that cannot even bind itself to another user."""
        import psycopg

        role = f"reader_{self._schema}"
        with psycopg.connect(self._database, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        with writer.connect(self._own) as owner:
            migration = owner.admin.migrate(role=role, signed=True)
            assert migration is not None
        self.url = self._own.replace("postgres@", f"{role}@") + f"&rls=1&binding_key={migration.binding_key}"

    def clear(self) -> None:
        # A key for bindings stays.
        empty(self._database, self._schema, keep=("alembic_version", "binding"))

    def check(self) -> None:
        sound.check_tables(self.query)

    def wait_for_the_dead(self, user: str) -> None:
        # The lock of the dead is Postgres's to release, and a write waits for it.
        with self.connect() as backend:
            backend.user(user).history("wait").append("wait")
            backend.user(user).history("wait").clear()

    def rows(self) -> bytes:
        held = b""
        for (table,) in self.query("SELECT tablename FROM pg_tables WHERE schemaname = ?", self._schema):
            held += "\n".join(row[0] for row in self.query(f"SELECT t::text FROM {table} AS t")).encode() + b"\n"
        return held

    def reclaim(self) -> None:
        # A plain VACUUM gives the room back, with what was in it. The planner's statistics hold values, too.
        for statement in ("VACUUM FULL ANALYZE", "VACUUM FULL pg_statistic", "CHECKPOINT"):
            self.query(statement)

    def raw(self) -> bytes:
        """The files of the database's tables and indexes, not the server's log of what was written."""
        self.query("CHECKPOINT")
        ((oid,),) = self.query("SELECT oid::int FROM pg_database WHERE datname = current_database()")
        folder = self._server.folder / "data" / "base" / str(oid)
        return _read_all(folder)

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(self._database, autocommit=True) as connection:
            connection.execute(f"SET search_path TO {self._schema}, public".encode())
            cursor = connection.execute(sql.replace("%", "%%").replace("?", "%s").encode(), parameters)
            return cursor.fetchall() if cursor.description else []


def maker(directory: Callable[[], Path], server: Callable[[], PostgresServer]) -> Callable[[str], Place]:
    """A factory of places of one kind; it starts a server only for a kind that needs one."""

    def make(kind: str) -> Place:
        if kind == "ram":
            return Place()
        if kind == "file":
            return FilePlace(directory())
        return PostgresPlace(server(), server().make_database(), secured=kind == "secured")

    return make
