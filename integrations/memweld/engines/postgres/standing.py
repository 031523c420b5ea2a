"""How a database stands, for ``memweld doctor``: looked at without making or changing anything."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from psycopg import sql

from ...errors import MemweldError
from .address import Address
from .dialect import Connection
from .failures import translated
from .schema import REVISIONS, connect, inspect_schema

__all__ = ["standing"]


def standing(address: Address) -> Iterator[tuple[str, str, bool]]:
    """Label, what was found, and whether it is wrong."""
    try:
        with translated(address.where), contextlib.closing(connect(address, autocommit=True)) as connection:
            yield "server", f"{address.where}, version {_version(connection)}", False
            found = inspect_schema(connection, address)
            if found is None:
                yield "tables", f"none yet in the schema {address.schema}: made at the first use", False
                return
            yield "tables", f"schema {address.schema}, revision {found.revision} of {REVISIONS[-1]}", False
            yield "pgvector", found.pgvector, False
            text = "in force for this role" if found.secured else "not in force (see `memweld migrate --role`)"
            yield "row security", text, False
            if not found.secured:
                yield _users(connection, address)
    except MemweldError as error:
        yield "server", " ".join(str(error).split()), True


def _version(connection: Connection) -> str:
    number = connection.info.server_version
    return f"{number // 10_000}.{number % 10_000}"


def _users(connection: Connection, address: Address) -> tuple[str, str, bool]:
    """How many users there are, and how many of them are searched by HNSW."""
    owners = sql.Identifier(address.schema, "owners")
    row = connection.execute(
        sql.SQL("SELECT count(*), count(*) FILTER (WHERE wide) FROM {} WHERE id = root").format(owners)
    ).fetchone()
    users, wide = row or (0, 0)
    return (
        "users",
        f"{users:,}, {wide:,} of them with more than {address.exact_below:,} memories, indexed by HNSW",
        False,
    )
