"""The tables of the embedded file and how older files become current ones."""

from __future__ import annotations

import sqlite3

from ...errors import BackendUnavailableError

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "migrate"]

SCHEMA_VERSION = 1
APPLICATION_ID = 0x6D77656C
""""mwel", by which a file says that it is ours."""

# owners     whose rows these are; an empty string stands for "none", because NULLs are never equal in an index.
#            root: the row of the user (or of the agent, for an agent's own memory) that carries the counters by which
#            a cached index learns that it is out of date. version: changes of items; cleared: the last that removed.
#            Ids are never used twice (AUTOINCREMENT): a cached index of an erased user must not serve the next one.
# items      scope repeats the root as a word that full-text queries must contain, which is 9 times faster than a join.
# state      version: for conditional writes; begins at a random number, so that a key that was deleted and set again
#            is never taken for unchanged.
_VERSION_1 = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE owners (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    root INTEGER NOT NULL,
    version INTEGER NOT NULL DEFAULT 0,
    cleared INTEGER NOT NULL DEFAULT 0,
    UNIQUE (user_id, agent_id)
);

CREATE TABLE items (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner INTEGER NOT NULL REFERENCES owners (id),
    root INTEGER NOT NULL,
    scope TEXT NOT NULL,
    stamp INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT,
    session_id TEXT,
    role TEXT,
    name TEXT,
    text TEXT NOT NULL,
    hash TEXT NOT NULL,
    metadata TEXT NOT NULL,
    extraction TEXT NOT NULL,
    extraction_error TEXT,
    extra TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    vector BLOB NOT NULL
);
CREATE UNIQUE INDEX items_once ON items (owner, kind, hash) WHERE key IS NULL;
CREATE UNIQUE INDEX items_by_key ON items (owner, kind, key) WHERE key IS NOT NULL;
CREATE INDEX items_by_stamp ON items (root, stamp);
CREATE INDEX items_in_order ON items (root, seq);
CREATE INDEX items_of_owner ON items (owner, seq);

CREATE VIRTUAL TABLE items_words USING fts5 (
    text, scope, content='items', content_rowid='seq', tokenize='porter unicode61 remove_diacritics 2'
);
CREATE TRIGGER items_words_insert AFTER INSERT ON items BEGIN
    INSERT INTO items_words (rowid, text, scope) VALUES (new.seq, new.text, new.scope);
END;
CREATE TRIGGER items_words_delete AFTER DELETE ON items BEGIN
    INSERT INTO items_words (items_words, rowid, text, scope) VALUES ('delete', old.seq, old.text, old.scope);
END;
CREATE TRIGGER items_words_update AFTER UPDATE OF text, scope ON items BEGIN
    INSERT INTO items_words (items_words, rowid, text, scope) VALUES ('delete', old.seq, old.text, old.scope);
    INSERT INTO items_words (rowid, text, scope) VALUES (new.seq, new.text, new.scope);
END;

CREATE TABLE entities (
    id TEXT PRIMARY KEY,
    owner INTEGER NOT NULL REFERENCES owners (id),
    payload TEXT NOT NULL,
    vector BLOB NOT NULL
);
CREATE INDEX entities_by_owner ON entities (owner);

CREATE TABLE state (
    owner INTEGER NOT NULL REFERENCES owners (id),
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (owner, namespace, key)
) WITHOUT ROWID;

CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    owner INTEGER NOT NULL REFERENCES owners (id),
    session_id TEXT NOT NULL,
    messages INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (owner, session_id)
);

CREATE TABLE messages (
    seq INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    name TEXT,
    tool_calls TEXT,
    tool_call_id TEXT,
    native TEXT,
    created_at TEXT NOT NULL,
    UNIQUE (session, id)
);
CREATE INDEX messages_in_order ON messages (session, seq);
"""

_STEPS = {1: _VERSION_1}


def migrate(connection: sqlite3.Connection, where: str) -> None:
    """Bring the file to `SCHEMA_VERSION`, in one transaction; processes that open it together wait for each other.

    Raises:
        BackendUnavailableError: A newer memweld wrote the file.
    """
    if _version(connection) != SCHEMA_VERSION:
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = _version(connection)
            if found > SCHEMA_VERSION:
                raise BackendUnavailableError(
                    f"{where} was written by a newer memweld (schema {found}, this one reads up to {SCHEMA_VERSION}); "
                    "upgrade memweld."
                )
            for version in range(found + 1, SCHEMA_VERSION + 1):
                for statement in _statements(_STEPS[version]):
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(script: str) -> list[str]:
    # sqlite3's executescript() commits first, which would let two processes create the tables at once.
    statements: list[str] = []
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
