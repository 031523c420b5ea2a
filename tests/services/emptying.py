"""An empty schema for each test, without making its tables anew."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

__all__ = ["empty"]


def empty(url: str, schema: str, *, keep: Sequence[str] = ("alembic_version",)) -> None:
    """Delete all rows of our tables, if they are there, but for those to be kept."""
    with psycopg.connect(url, autocommit=True) as connection:
        tables = connection.execute(
            "SELECT string_agg(quote_ident(schemaname) || '.' || quote_ident(tablename), ', ') FROM pg_tables "
            "WHERE schemaname = %s AND tablename <> ALL(%s)",
            (schema, list(keep)),
        ).fetchone()
        if tables is not None and tables[0] is not None:
            connection.execute(f"TRUNCATE {tables[0]}".encode())
