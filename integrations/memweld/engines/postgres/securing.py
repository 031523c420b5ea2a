"""Row-level security: switched on for every table, with the rights of the application's role."""

from __future__ import annotations

import secrets
from typing import LiteralString, cast

from psycopg import sql

from ...errors import ConfigurationError
from .address import Address
from .dialect import Connection

__all__ = ["TABLES", "secure", "sign"]

_ALL = "SELECT, INSERT, UPDATE, DELETE"
TABLES = {
    "meta": "SELECT, INSERT",
    "owners": _ALL,
    "items": _ALL,
    "entities": _ALL,
    "state": _ALL,
    "sessions": _ALL,
    "messages": _ALL,
    "outbox": "INSERT",
    "outbox_lease": "",
}
"""Our tables, and what a role under row-level security may do there with the rows of its user."""


def sign(connection: Connection) -> str:
    """Make a new key for binding transactions to users, in the place of the one before; as hexadecimal digits."""
    key = secrets.token_bytes(32)
    connection.execute("DELETE FROM binding")
    connection.execute("INSERT INTO binding (key) VALUES (decode(%s, 'hex'))", (key.hex(),))
    return key.hex()


def secure(connection: Connection, address: Address, role: str | None) -> None:
    """Put every table under row-level security, for the tables' owner too, and let the role work under it.

    Args:
        connection: In a transaction, as the owner of the tables.
        address: Where.
        role: The role of the application; None leaves rights as they are.

    Raises:
        ConfigurationError: The role is above row-level security.
    """
    home = sql.Identifier(address.schema)
    if role is not None:
        found = connection.execute(
            "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = %s", (role,)
        ).fetchone()
        if found is None or found[0]:
            problem = (
                "does not exist" if found is None else "is a superuser or has BYPASSRLS, to whom no policy applies"
            )
            raise ConfigurationError(
                f"{address.where}: the role {role!r} {problem}. Make one by `CREATE ROLE {role} LOGIN PASSWORD '…'`."
            )
        name = sql.Identifier(role)
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(home, name))
        connection.execute(
            sql.SQL("GRANT SELECT ON {} TO {}").format(sql.Identifier(address.schema, "alembic_version"), name)
        )
    for table, rights in TABLES.items():
        place = sql.Identifier(address.schema, table)
        connection.execute(sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY").format(place))
        connection.execute(sql.SQL("ALTER TABLE {} FORCE ROW LEVEL SECURITY").format(place))
        if role is not None and rights:
            granted = sql.SQL(cast("LiteralString", rights))
            connection.execute(sql.SQL("GRANT {} ON {} TO {}").format(granted, place, sql.Identifier(role)))
