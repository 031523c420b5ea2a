"""The health of a database, for ``memweld doctor``. Nothing here creates or changes anything."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from psycopg import sql

from ...errors import MemweldError
from ..protocol import HealthCheck
from .connection import RawConnection
from .errors import translated
from .rls import proof
from .schema import REVISIONS, DatabaseInfo, connect, inspect_schema, lacking_pgvector
from .url import Address

__all__ = ["examine"]


def examine(address: Address) -> Iterator[HealthCheck]:
    """The server, the tables, pgvector, row-level security and the number of users."""
    try:
        with translated(address.where), contextlib.closing(connect(address, autocommit=True)) as connection:
            yield HealthCheck("server", f"{address.where}, version {_version(connection)}", False)
            found = inspect_schema(connection, address)
            if found is None:
                yield from _examine_empty(connection, address)
                return
            yield HealthCheck("tables", f"schema {address.schema}, revision {found.revision} of {REVISIONS[-1]}", False)
            yield HealthCheck("pgvector", found.pgvector, False)
            yield _security(connection, address, found)
            if not found.secured:
                yield _users(connection, address)
    except MemweldError as error:
        yield HealthCheck("server", " ".join(str(error).split()), True)


def _version(connection: RawConnection) -> str:
    number = connection.info.server_version
    return f"{number // 10_000}.{number % 10_000}"


def _examine_empty(connection: RawConnection, address: Address) -> Iterator[HealthCheck]:
    """Findings about a database without memweld's tables: whether the first use can make them."""
    lacking = lacking_pgvector(connection)
    yield HealthCheck("pgvector", lacking or "ready for this database", lacking is not None)
    where = f"none yet in the schema {address.schema}"
    creates = connection.execute("SELECT has_database_privilege(current_database(), 'CREATE')").fetchone()
    has_schema = connection.execute("SELECT to_regnamespace(%s)", (address.schema,)).fetchone()
    if address.secured:
        yield HealthCheck("tables", f"{where}: run `memweld migrate --role` as their owner to be", True)
    elif has_schema == (None,) and creates != (True,):
        yield HealthCheck(
            "tables", f"{where}, and this role may not make it: run `memweld migrate` as the database's owner", True
        )
    else:
        yield HealthCheck("tables", f"{where}: made {'then' if lacking else 'at the first use'}", False)


def _security(connection: RawConnection, address: Address, found: DatabaseInfo) -> HealthCheck:
    """Row-level security, and whether the rows of a user can be seen under it."""
    if not found.secured:
        return HealthCheck("row security", "not in force for this role (see `memweld migrate --role`)", address.secured)
    key = address.binding_key
    bound = sql.SQL("SELECT set_config('memweld.proof', %s, true), {}()").format(
        sql.Identifier(address.schema, "is_bound")
    )
    # For this statement alone: a pooler may give the session to another client.
    unsigned, opened = (
        (connection.execute(bound, (value,)).fetchone() or (None, False))[1]
        for value in ("", "" if key is None else proof(key, "", ""))
    )
    if not opened:
        given = "the URL has no binding_key" if key is None else "the URL does not have the present binding_key"
        return HealthCheck("row security", f"in force for this role, and {given}: no user's rows can be seen", True)
    if unsigned:
        return HealthCheck(
            "row security", "in force for this role, which may bind itself to any user (see --signed)", False
        )
    return HealthCheck("row security", "in force for this role, with the present binding_key", False)


def _users(connection: RawConnection, address: Address) -> HealthCheck:
    """How many users there are, and how many of them are searched by HNSW."""
    owners = sql.Identifier(address.schema, "owners")
    row = connection.execute(
        sql.SQL("SELECT count(*), count(*) FILTER (WHERE wide) FROM {} WHERE id = root").format(owners)
    ).fetchone()
    users, wide = row or (0, 0)
    return HealthCheck(
        "users",
        f"{users:,}, {wide:,} of them with more than {address.exact_below:,} memories, indexed by HNSW",
        False,
    )
