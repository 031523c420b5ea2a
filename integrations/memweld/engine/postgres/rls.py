"""Row-level security: switched on for every table, the rights of the application's role, and the proof of a binding."""

from __future__ import annotations

import hashlib
import secrets
from typing import cast

from psycopg import sql
from typing_extensions import LiteralString

from ...errors import ConfigurationError
from .connection import RawConnection, lock_number
from .url import Address

__all__ = ["TABLES", "proof", "secure", "sign"]

_ALL = "SELECT, INSERT, UPDATE, DELETE"
TABLES = {
    "meta": "SELECT, INSERT",
    "owners": _ALL,
    "items": _ALL,
    "recalls": _ALL,
    "entities": _ALL,
    "state": _ALL,
    "sessions": _ALL,
    "messages": _ALL,
    "outbox": "INSERT",
    "outbox_lease": "",
}
"""Our tables, and what a role under row-level security may do there with the rows of its user."""


def proof(key: bytes, user: str, agent: str) -> str:
    """The proof that a transaction may be bound to this user, or agent; see ``is_bound`` in the migrations."""
    inner = hashlib.sha256(key + f"{user}\n{agent}".encode()).digest()
    return hashlib.sha256(key + inner).hexdigest()


def sign(connection: RawConnection) -> str:
    """Replace the key that binds transactions to users; the new one as hexadecimal digits."""
    key = secrets.token_bytes(32)
    connection.execute("DELETE FROM binding")
    connection.execute("INSERT INTO binding (key) VALUES (decode(%s, 'hex'))", (key.hex(),))
    return key.hex()


def secure(connection: RawConnection, address: Address, role: str | None) -> None:
    """Put every table under row-level security, and let the role work under it.

    The tables' owner is not under it: it could switch it off anyway, and works for all users.

    Args:
        connection: In a transaction, as the owner of the tables.
        address: Where.
        role: The role of the application; None leaves rights as they are.

    Raises:
        ConfigurationError: The role does not exist, or no policy applies to it.
    """
    if role is not None:
        _validate_role(connection, address, role)
        home, name = sql.Identifier(address.schema), sql.Identifier(role)
        for grant in (
            sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(home, name),
            sql.SQL("GRANT SELECT ON {}.alembic_version TO {}").format(home, name),
            sql.SQL("GRANT EXECUTE ON FUNCTION {}.ended(double precision, bigint) TO {}").format(home, name),
        ):
            connection.execute(grant)
    enabled = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relrowsecurity", (address.schema,)
    ).fetchall()
    if new := [table for table in TABLES if (table,) not in enabled]:
        # After the open writers, which lock tables in another order. Readers begin with `meta` and `owners`, too.
        connection.execute("SELECT pg_catalog.pg_advisory_xact_lock(%s)", (lock_number(address.schema, "writers"),))
    for table in new:
        place = sql.Identifier(address.schema, table)
        connection.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(place))
    for table, rights in TABLES.items():
        if role is not None and rights:
            _grant(connection, address.schema, table, rights.split(", "), role)


def _grant(connection: RawConnection, schema: str, table: str, rights: list[str], role: str) -> None:
    """Give the rights. A role that could choose a row's number would take the numbers of other users' next rows."""
    place, name = sql.Identifier(schema, table), sql.Identifier(role)
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
        "AND attidentity = '' AND attgenerated = ''",
        (place.as_string(connection),),
    ).fetchall()
    columns = sql.SQL(" (") + sql.SQL(", ").join(sql.Identifier(row[0]) for row in rows) + sql.SQL(")")
    connection.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(place, name))
    for right in rights:
        where = columns if right in ("INSERT", "UPDATE") else sql.SQL("")
        granted = sql.SQL(cast("LiteralString", right))
        connection.execute(sql.SQL("GRANT {}{} ON {} TO {}").format(granted, where, place, name))


def _validate_role(connection: RawConnection, address: Address, role: str) -> None:
    """Policies must apply to it."""
    name = sql.Identifier(role).as_string(connection)
    found = connection.execute(
        "SELECT rolsuper OR rolbypassrls, pg_has_role(oid, (SELECT relowner FROM pg_class WHERE oid = %s::regclass), "
        "'USAGE') FROM pg_roles WHERE rolname = %s",
        (f"{address.schema}.items", role),
    ).fetchone()
    if found is None:
        raise ConfigurationError(
            f"{address.where}: the role {role!r} does not exist. Make it by `CREATE ROLE {name} LOGIN PASSWORD '…'`."
        )
    if found[0] or found[1]:
        problem = "is a superuser or has BYPASSRLS" if found[0] else "owns the tables, or is a member of their owner"
        raise ConfigurationError(
            f"{address.where}: the role {role!r} {problem}: no policy applies to it. Name the role as which the "
            "application connects, and which is nothing else (`CREATE ROLE … LOGIN PASSWORD '…'`)."
        )
