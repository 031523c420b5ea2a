"""Whether a memory is sound: SQLite's own checks, and that items, vectors, words, records and counts agree."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memweld.engine.search.tokenizer import pack_terms

DIMENSIONS = 16


def check_file(file: Path, *, dimensions: int = DIMENSIONS) -> None:
    """Assert that nothing in the file contradicts anything else."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None, timeout=60)) as connection:

        def rows(sql: str) -> list[tuple]:
            return connection.execute(sql).fetchall()

        assert rows("PRAGMA integrity_check") == [("ok",)]
        assert rows("PRAGMA foreign_key_check") == []
        assert rows(f"SELECT id FROM items WHERE length(vector) != {4 * dimensions}") == []
        check_tables(rows)


def check_tables(rows: Callable[[str], list[Any]]) -> None:
    """Assert that no table contradicts another one."""
    texts = [(text, bytes(terms)) for text, terms in rows("SELECT text, terms FROM items WHERE terms IS NOT NULL")]
    assert [text for text, terms in texts if pack_terms(text) != terms] == []
    assert rows("SELECT id FROM items WHERE root != (SELECT root FROM owners WHERE owners.id = owner)") == []
    assert rows("SELECT id FROM items WHERE stamp > (SELECT version FROM owners WHERE owners.id = items.root)") == []
    items = "SELECT id, owner FROM items WHERE kind = 'record'"
    values = "SELECT record, owner FROM state WHERE record IS NOT NULL"
    assert rows(f"{items} EXCEPT {values}") == []
    assert rows(f"{values} EXCEPT {items}") == []
    counted = "SELECT s.id, count(m.seq) FROM sessions s LEFT JOIN messages m ON m.session = s.id GROUP BY s.id"
    assert rows("SELECT id, messages FROM sessions EXCEPT " + counted) == []
