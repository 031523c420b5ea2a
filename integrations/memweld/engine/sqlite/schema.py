"""The schema of a SQLite file: created whole in one transaction, refused when it is another one."""

from __future__ import annotations

import sqlite3

from ...errors import BackendUnavailableError
from ..sql.schema import ColumnTypes, earlier_text, tables

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "create_schema", "validate_version"]

SCHEMA_VERSION = 1
APPLICATION_ID = 0x6D77656C
""""mwel", the signature of a file that memweld created."""

_TYPES = ColumnTypes(
    identity="INTEGER PRIMARY KEY AUTOINCREMENT",
    serial="INTEGER PRIMARY KEY",
    integer="INTEGER",
    real="REAL",
    text="TEXT",
    blob="BLOB",
    vector="BLOB",
)


def _outbox_trigger(name: str, event: str, row: str) -> str:
    """A trigger that notes a change for each target (``sql/outbox.py``) that a row of meta names."""
    return f"""
CREATE TRIGGER {name} AFTER {event} ON items BEGIN
    INSERT INTO outbox (target, item, owner, made_at)
        SELECT CASE key WHEN 'graph' THEN 'graph' ELSE 'mem0' END, {row}.seq, {row}.owner,
            CAST(strftime('%s', 'now') AS REAL)
        FROM meta WHERE ((key = 'graph' AND {row}.kind <> 'source')
            OR (key = 'embedder' AND value LIKE '% in mem0 %'))
            AND NOT {earlier_text(row)};
END;
"""


_OWN = """
CREATE UNIQUE INDEX items_by_key ON items (owner, kind, key)
    WHERE key IS NOT NULL AND superseded_by IS NULL;
CREATE UNIQUE INDEX state_once ON state (owner, namespace, key);

CREATE TRIGGER items_next_vector AFTER UPDATE OF text ON items
WHEN new.next_vector IS NOT NULL AND new.text IS NOT old.text BEGIN
    UPDATE items SET next_vector = NULL WHERE seq = new.seq;
END;
CREATE TRIGGER entities_next_vector AFTER UPDATE OF payload ON entities
WHEN new.next_vector IS NOT NULL AND new.payload IS NOT old.payload BEGIN
    UPDATE entities SET next_vector = NULL WHERE place = new.place;
END;
"""
_TRIGGERS = "".join(
    (
        _outbox_trigger("outbox_insert", "INSERT", "new"),
        _outbox_trigger("outbox_delete", "DELETE", "old"),
        _outbox_trigger("outbox_update", "UPDATE OF text, kind, key, session_id, owner", "new"),
    )
)


def create_schema(connection: sqlite3.Connection, where: str) -> None:
    """Create the tables in an empty file, in one transaction; processes that open the file together take turns.

    Args:
        connection: The file.
        where: The file in words, for errors.

    Raises:
        BackendUnavailableError: The file has another schema; nothing in it was changed.
    """
    if _version(connection) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _version(connection) == 0:
            # executescript() commits first: two processes could create the tables at once.
            for statement in _statements(tables(_TYPES) + _OWN + _TRIGGERS):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        validate_version(connection, where)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def validate_version(connection: sqlite3.Connection, where: str) -> None:
    """Refuse a file with another schema than this memweld's.

    Raises:
        BackendUnavailableError: It has one.
    """
    found = _version(connection)
    if found != SCHEMA_VERSION:
        raise BackendUnavailableError(
            f"{where} was written by a newer memweld (schema {found}, this one reads {SCHEMA_VERSION}); upgrade "
            "memweld, or name another file."
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> list[str]:
    statements: list[str] = []
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
