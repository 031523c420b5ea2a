"""Files of earlier versions open, with what they hold, and become current ones."""

import sqlite3
from pathlib import Path

import memweld
from memweld.engine.sqlite import schema
from memweld.testing import HashEmbedder


def old_file(path: Path, version: int) -> None:
    """A file as the memweld of this version made it."""
    connection = sqlite3.connect(path, isolation_level=None)
    before = schema.SCHEMA_VERSION
    try:
        schema.SCHEMA_VERSION = version
        schema.migrate(connection, str(path))
    finally:
        schema.SCHEMA_VERSION = before
    connection.execute("INSERT INTO owners (user_id, agent_id, root) VALUES ('ana', '', 1)")
    connection.execute("INSERT INTO owners (user_id, agent_id, root) VALUES ('bob', '', 2)")
    for owner, namespace, key, value, minute in (
        (1, "n", "b", '{"n":1}', 1),
        (1, "n", "a", "[2]", 2),
        (1, "m", "a", "null", 3),
        (2, "n", "a", '"bob\'s"', 0),
    ):
        moment = f"2025-10-15T10:{minute:02}:00+00:00"
        connection.execute(
            "INSERT INTO state (owner, namespace, key, value, version, updated_at) VALUES (?, ?, ?, ?, 7, ?)",
            (owner, namespace, key, value, moment),
        )
    connection.close()


def test_a_file_of_version_1(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    old_file(file, 1)
    with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as backend:
        ana, bob = backend.user("ana"), backend.user("bob")
        assert (dict(ana.state("n")), dict(ana.state("m"))) == ({"a": [2], "b": {"n": 1}}, {"a": None})
        assert dict(bob.state("n")) == {"a": "bob's"}
        entries = ana.values.find()
        assert [(entry.namespace, entry.key, entry.version) for entry in entries] == [
            ("n", "b", 7),
            ("n", "a", 7),
            ("m", "a", 7),
        ]
        assert all(entry.created_at == entry.updated_at and entry.expires_at is None for entry in entries)
        ana.state("n").set("a", 3, ttl=600, text="It works on")
        ana.add("I love tea")
        assert ana.search("works")[0].text == "It works on"
    with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as backend:
        assert backend.user("ana").state("n")["a"] == 3
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == schema.SCHEMA_VERSION
    assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    connection.close()


def test_terms_of_version_4_are_made_anew_where_words_are_folded_in_another_way(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    long = "long" * 11
    texts = ["I love tea", "أحب القهوة", "שָׁלוֹם עולם", long, "long " * 20, "café"]
    with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as backend:
        for text in texts:
            backend.user("ana").add(text)
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("UPDATE items SET terms = x'01020304'")
    connection.execute("PRAGMA user_version = 4")
    schema.migrate(connection, str(file))
    known = connection.execute("SELECT terms IS NOT NULL FROM items ORDER BY seq").fetchall()
    connection.close()
    assert [bool(row[0]) for row in known] == [True, False, False, False, True, True]
    with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as backend:
        assert backend.user("ana").search("قهوة", limit=1)[0].text == texts[1]
