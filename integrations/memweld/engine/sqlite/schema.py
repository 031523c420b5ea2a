"""The tables of the embedded file and how older files become current ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from ...errors import BackendUnavailableError

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "check_version", "migrate"]

SCHEMA_VERSION = 6
APPLICATION_ID = 0x6D77656C
""""mwel", by which a file says that it is ours."""

# owners     whose rows these are; an empty string stands for "none", because NULLs are never equal in an index.
#            root: the row of the user (or of the agent, for an agent's own memory) that carries the counters by which
#            a cached index learns that it is out of date. version: changes of items; cleared: the last that removed.
#            Ids are never used twice (AUTOINCREMENT): a cached index of an erased user must not serve the next one.
# items      scope: for the full-text search of version 1 and 2; gone in version 4.
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

# state      seq: the order in which keys were first set, and where rows stand, so that large values are not in the way
#            of lists of keys. ttl: seconds; expires_at: seconds since 1970. record: the item that holds its text.
_VERSION_2 = """
CREATE TABLE state_2 (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    owner INTEGER NOT NULL REFERENCES owners (id),
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    ttl REAL,
    expires_at REAL,
    record TEXT,
    UNIQUE (owner, namespace, key)
);
INSERT INTO state_2 (owner, namespace, key, value, version, created_at, updated_at)
    SELECT owner, namespace, key, value, version, updated_at, updated_at FROM state
    ORDER BY updated_at, owner, namespace, key;
DROP TABLE state;
ALTER TABLE state_2 RENAME TO state;
CREATE INDEX state_in_order ON state (owner, namespace, seq, expires_at);
CREATE INDEX state_by_end ON state (expires_at) WHERE expires_at IS NOT NULL;
CREATE UNIQUE INDEX state_by_record ON state (record) WHERE record IS NOT NULL;
"""

# items      terms: the numbers of the text's terms (``facts/words.py``), in the place of a full-text index, which would
#            weigh words by how common they are among all users and keep deleted ones. NULL: not made yet.
# outbox     what a graph has not been told yet (see ``outbox.py``): neither texts nor names, because what is known of
#            somebody who was erased must not wait here. Nothing is written while meta knows of no graph. made_at:
#            seconds since 1970.
# outbox_lease  who delivers, in one row.
_VERSION_3 = """
DROP TRIGGER items_words_insert;
DROP TRIGGER items_words_delete;
DROP TRIGGER items_words_update;
DROP TABLE items_words;
ALTER TABLE items ADD COLUMN terms BLOB;

CREATE TABLE outbox (
    version INTEGER PRIMARY KEY AUTOINCREMENT,
    item TEXT NOT NULL,
    owner INTEGER NOT NULL,
    made_at REAL NOT NULL
);
CREATE INDEX outbox_of_owner ON outbox (owner, version);

CREATE TABLE outbox_lease (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    holder TEXT NOT NULL,
    fence INTEGER NOT NULL,
    expires_at REAL NOT NULL,
    problem TEXT,
    failing_since REAL,
    retry_at REAL NOT NULL
);

CREATE TRIGGER outbox_insert AFTER INSERT ON items
WHEN EXISTS (SELECT 1 FROM meta WHERE key = 'graph') BEGIN
    INSERT INTO outbox (item, owner, made_at) VALUES (new.id, new.owner, CAST(strftime('%s', 'now') AS REAL));
END;
CREATE TRIGGER outbox_delete AFTER DELETE ON items
WHEN EXISTS (SELECT 1 FROM meta WHERE key = 'graph') BEGIN
    INSERT INTO outbox (item, owner, made_at) VALUES (old.id, old.owner, CAST(strftime('%s', 'now') AS REAL));
END;
CREATE TRIGGER outbox_update AFTER UPDATE OF text, kind, key, session_id, owner ON items
WHEN EXISTS (SELECT 1 FROM meta WHERE key = 'graph') BEGIN
    INSERT INTO outbox (item, owner, made_at) VALUES (new.id, new.owner, CAST(strftime('%s', 'now') AS REAL));
END;
"""

# owners     by root: what a user's memory contains is asked by every delete, export and erasure, and took a look at all
#            users.
_VERSION_4 = """
CREATE INDEX owners_by_root ON owners (root);
ALTER TABLE items DROP COLUMN scope;
"""

# items      terms: Arabic and pointed Hebrew are folded in another way; words of over 40 letters stand as they are.
_LONG_WORD = f"*{'[A-Za-z]' * 41}*"
_VERSION_5 = f"""
UPDATE items SET terms = NULL
WHERE text GLOB '*[\u0591-\u05c7\u0621-\u06ff\ufb50-\ufdff\ufe70-\ufefc]*' OR text GLOB '{_LONG_WORD}';
"""

# entities   place: rows keep it when the file is rewritten, which SQLite does not promise where no column has it. An
#            interrupted change of the embedder, which counts on these numbers, begins anew.
# sessions   ids are never used twice, because an export in pages goes on behind the session where it was: it left out
#            messages of a new one with the id of one that was cleared.
# meta       overwrite: the file is rewritten once (``overwriting.py``), because earlier erasures left copies.
_VERSION_6 = """
INSERT OR REPLACE INTO meta SELECT 'overwrite', 'rewrite' WHERE EXISTS (SELECT 1 FROM owners);
DELETE FROM meta WHERE key = 'reindex';
DROP TABLE IF EXISTS reindexed;
DROP TRIGGER IF EXISTS reindexed_items_deleted;
DROP TRIGGER IF EXISTS reindexed_items_changed;
CREATE TABLE entities_6 (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner INTEGER NOT NULL REFERENCES owners (id),
    payload TEXT NOT NULL,
    vector BLOB NOT NULL
);
INSERT INTO entities_6 (id, owner, payload, vector) SELECT id, owner, payload, vector FROM entities ORDER BY rowid;
DROP TABLE entities;
ALTER TABLE entities_6 RENAME TO entities;
CREATE INDEX entities_by_owner ON entities (owner);

CREATE TABLE sessions_6 (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner INTEGER NOT NULL REFERENCES owners (id),
    session_id TEXT NOT NULL,
    messages INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (owner, session_id)
);
INSERT INTO sessions_6 SELECT id, owner, session_id, messages, started_at, updated_at FROM sessions;
DROP TABLE sessions;
ALTER TABLE sessions_6 RENAME TO sessions;
"""

_STEPS = {1: _VERSION_1, 2: _VERSION_2, 3: _VERSION_3, 4: _VERSION_4, 5: _VERSION_5, 6: _VERSION_6}


def migrate(connection: sqlite3.Connection, where: str, back_up: Callable[[int], object] | None = None) -> None:
    """Bring the file to `SCHEMA_VERSION`, in one transaction; processes that open it together wait for each other.

    Args:
        connection: The file.
        where: The file in words, for errors.
        back_up: Called with the version of a file that is older and not empty, before anything in it is changed.

    Raises:
        BackendUnavailableError: A newer memweld wrote the file, or it could not be backed up; it is left as it is.
    """
    if _version(connection) != SCHEMA_VERSION:
        enforced = connection.execute("PRAGMA foreign_keys").fetchone()[0]
        # Else a table that is dropped takes along what refers to it. Nothing changes it inside a transaction.
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute("BEGIN IMMEDIATE")
        try:
            found = check_version(connection, where)
            if back_up is not None and 0 < found < SCHEMA_VERSION and _holds_anything(connection):
                back_up(found)
            for version in range(found + 1, SCHEMA_VERSION + 1):
                for statement in _statements(_STEPS[version]):
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        finally:
            connection.execute(f"PRAGMA foreign_keys={enforced}")


def check_version(connection: sqlite3.Connection, where: str) -> int:
    """The schema of the file.

    Raises:
        BackendUnavailableError: A newer memweld wrote it.
    """
    found = _version(connection)
    if found > SCHEMA_VERSION:
        raise BackendUnavailableError(
            f"{where} was written by a newer memweld (schema {found}, this one reads up to {SCHEMA_VERSION}); "
            "upgrade memweld."
        )
    return found


def _holds_anything(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM owners LIMIT 1").fetchone() is not None


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
