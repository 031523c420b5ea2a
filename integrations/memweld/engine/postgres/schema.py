"""The schema of our tables: found, created in an empty database, refused when it is newer, migrated by Alembic."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg import errors, sql

from ...errors import BackendUnavailableError, ConfigurationError
from ..fork import RenewedLock
from ..protocol import Migration
from .connection import RawConnection
from .url import Address

__all__ = [
    "REVISIONS",
    "DatabaseInfo",
    "alembic_config",
    "connect",
    "inspect_schema",
    "lacking_pgvector",
    "migrate",
    "open_schema",
    "revision_of",
]

REVISIONS = ("0001",)
"""The revisions that this memweld knows, oldest first; a test compares them with the migrations."""

_OLDEST_SERVER = 140000
_OLDEST_PGVECTOR = (0, 5)
# Alembic 1.x keeps what it upgrades in global variables: one database or schema at a time.
_upgrading = RenewedLock()


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    """The facts about an opened database.

    Attributes:
        search_path: The setting that finds memweld's tables, and no objects that other roles can create.
        home: The schema of pgvector's types and operators, quoted.
        vector_type: The OID of the type ``vector``.
        iterates: Whether pgvector can continue an index scan until it has enough rows of one user.
        secured: Whether row-level security is in force for this role.
        revision: Of our schema.
        pgvector: The version of the extension.
    """

    search_path: str
    home: str
    vector_type: int
    iterates: bool
    secured: bool
    revision: str
    pgvector: str


def connect(address: Address, *, autocommit: bool = False) -> RawConnection:
    """A connection of its own, outside of any pool."""
    # Poolers in transaction mode know no prepared statements.
    return psycopg.connect(address.conninfo, autocommit=autocommit, prepare_threshold=None)


def open_schema(connection: RawConnection, address: Address) -> DatabaseInfo:
    """Check the server and our schema in it; an empty database is set up.

    Raises:
        BackendUnavailableError: A newer memweld wrote the schema.
        ConfigurationError: The server is too old, has no pgvector, the schema is older, or row-level security was asked
            for and is not in force.
    """
    opened = inspect_schema(connection, address)
    if opened is None and address.secured:
        # The role that creates the tables owns them, and is not under the policies.
        raise _unsecured(address)
    if opened is None:
        migrate(address)
        opened = inspect_schema(connection, address)
    if opened is None:
        raise BackendUnavailableError(f"{address.where}: the tables that were just created are gone.")
    if address.secured and not opened.secured:
        raise _unsecured(address)
    return opened


def _unsecured(address: Address) -> ConfigurationError:
    return ConfigurationError(
        f"{address.where}: row-level security is not in force for this role. Run `memweld migrate --role ROLE` as "
        "the owner of the tables, and connect as that role, which must be neither their owner, nor a superuser, nor "
        "BYPASSRLS."
    )


def inspect_schema(connection: RawConnection, address: Address) -> DatabaseInfo | None:
    """The facts about a database; None where it has no tables of ours yet. Changes nothing.

    Raises:
        BackendUnavailableError: A newer memweld wrote the schema.
        ConfigurationError: The server is too old, has no pgvector, or the schema is older.
    """
    if connection.info.server_version < _OLDEST_SERVER:
        raise ConfigurationError(
            f"{address.where} runs version {connection.info.server_version // 10000}; memweld needs 14 or newer."
        )
    found = revision_of(connection, address)
    if found is None:
        return None
    if found not in REVISIONS:
        raise newer(address, found)
    if found != REVISIONS[-1]:
        raise ConfigurationError(
            f"{address.where} holds the older schema {found} of memweld: run `memweld migrate`, which brings it to "
            f"{REVISIONS[-1]}."
        )
    home, vector_type, version = _pgvector(connection, address)
    return DatabaseInfo(
        search_path=_search_path(address.schema),
        home=sql.Identifier(home).as_string(connection),
        vector_type=vector_type,
        iterates=_numbers(version) >= (0, 8),
        secured=_is_secured(connection, address),
        revision=found,
        pgvector=version,
    )


def revision_of(connection: RawConnection, address: Address) -> str | None:
    """The revision of our schema, None where there is none yet."""
    table = sql.Identifier(address.schema, "alembic_version")
    try:
        row = connection.execute(sql.SQL("SELECT version_num FROM {}").format(table)).fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return None
    return None if row is None else str(row[0])


def migrate(address: Address, *, role: str | None = None, signed: bool = False) -> Migration:
    """Bring our schema forward, in one transaction; servers that do it at once wait for each other.

    Args:
        address: Where, as a role that may create tables.
        role: The role of the application, which gets its rights, and for which row-level security is in force.
        signed: Create a new key, without which no client can bind a transaction to a user.

    Returns:
        The revision that the schema has now, and the new key.

    Raises:
        BackendUnavailableError: A newer memweld wrote it.
        ConfigurationError: The database or the role is not fit for it.
    """
    from .rls import secure, sign

    with _transaction(address) as transaction:
        connection = cast("RawConnection", transaction.connection.dbapi_connection)
        # Scoped to the transaction: a pooler may give the next one another session.
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('memweld'), hashtext(%s::text))", (address.schema,))
        exists = connection.execute("SELECT to_regclass(%s)", (f"{address.schema}.alembic_version",)).fetchone()
        found = revision_of(connection, address) if exists and exists[0] else None
        if found is not None and found not in REVISIONS:
            raise newer(address, found)
        _create_place(connection, address)
        _pgvector(connection, address)
        connection.execute("SELECT set_config('search_path', %s, true)", (_search_path(address.schema),))
        _upgrade(transaction, address)
        if role is not None or address.secured:
            secure(connection, address, role)
        binding_key = sign(connection) if signed else None
        return Migration(revision=revision_of(connection, address) or "", binding_key=binding_key)


@contextlib.contextmanager
def _transaction(address: Address) -> Generator[Any]:
    """A transaction of SQLAlchemy, as Alembic wants it; its errors are psycopg's."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    engine = create_engine("postgresql+psycopg://", creator=lambda: connect(address), poolclass=NullPool)
    try:
        with engine.begin() as transaction:
            yield transaction
    except DBAPIError as error:
        raise error.orig or error from error


def newer(address: Address, found: str) -> BackendUnavailableError:
    """The error for a schema that this memweld does not know."""
    return BackendUnavailableError(
        f"{address.where} was written by a newer memweld (schema {found}, this one reads up to {REVISIONS[-1]}); "
        "upgrade memweld."
    )


def _create_place(connection: RawConnection, address: Address) -> None:
    """The schema and the extension."""
    if connection.execute("SELECT to_regnamespace(%s)", (address.schema,)).fetchone() == (None,):
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(address.schema)))
    if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone() is None:
        try:
            with connection.transaction():
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except errors.UniqueViolation:
            pass  # another has created it at the same time, perhaps for another schema
        except psycopg.Error as error:
            raise _without_pgvector(connection, address) from error


def lacking_pgvector(connection: RawConnection) -> str | None:
    """Why the first use will find no pgvector, and the remedy; None where it is there or can be created."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'vector'), count(*), "
        "coalesce(bool_or(NOT superuser OR trusted AND has_database_privilege(current_database(), 'CREATE')), false) "
        "OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) "
        "FROM pg_available_extension_versions WHERE name = 'vector'"
    ).fetchone()
    there, offered, may = row or (False, 0, False)
    if there or (offered and may):
        return None
    if offered:
        return "not in this database, and this role may not make it: run `CREATE EXTENSION vector` there as a superuser"
    return (
        "not on this server: install it (Debian: postgresql-NN-pgvector), and run `CREATE EXTENSION vector` in this "
        "database as a superuser"
    )


def _without_pgvector(connection: RawConnection, address: Address) -> ConfigurationError:
    return ConfigurationError(f"{address.where}: pgvector is {lacking_pgvector(connection) or 'missing'}.")


def _pgvector(connection: RawConnection, address: Address) -> tuple[str, int, str]:
    """The schema of pgvector's operators, the OID of its type, and its version."""
    row = connection.execute(
        "SELECT n.nspname, t.oid::bigint, e.extversion FROM pg_extension e "
        "JOIN pg_namespace n ON n.oid = e.extnamespace "
        "JOIN pg_type t ON t.typnamespace = n.oid AND t.typname = 'vector' "
        "WHERE e.extname = 'vector'"
    ).fetchone()
    if row is None:
        raise _without_pgvector(connection, address)
    if _numbers(str(row[2])) < _OLDEST_PGVECTOR:
        raise ConfigurationError(f"{address.where} has pgvector {row[2]}; memweld needs 0.5 or newer.")
    return str(row[0]), int(row[1]), str(row[2])


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def _search_path(schema: str) -> str:
    # Not the schema of pgvector, which is often `public`, where others may create functions that fit better than
    # Postgres's own. Unless the path names them, temporary tables come first, and could take the place of ours.
    return f'"{schema}", pg_temp'


def _is_secured(connection: RawConnection, address: Address) -> bool:
    """Whether every table of ours is under row-level security for this role."""
    tables = connection.execute(
        "SELECT bool_and(row_security_active(oid)) FROM pg_class "
        "WHERE relnamespace = to_regnamespace(%s) AND relkind IN ('r', 'p') AND relname <> ALL(%s)",
        (address.schema, ["alembic_version", "binding"]),
    ).fetchone()
    return bool(tables and tables[0])


def _upgrade(connection: Any, address: Address) -> None:
    from alembic import command

    config = alembic_config()
    config.attributes["connection"] = connection
    config.attributes["schema"] = address.schema
    with _upgrading:
        command.upgrade(config, "head")


def alembic_config() -> Any:
    """Alembic's configuration, which needs no file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
