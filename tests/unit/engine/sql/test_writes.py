"""Shortcuts of writes give the same results as the long way: tokens, stems, vectors and transactions."""

import sqlite3
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snowballstemmer  # pyright: ignore[reportMissingTypeStubs] - it has none (3.1)
from hypothesis import example, given
from hypothesis import strategies as st
from snowballstemmer.english_stemmer import EnglishStemmer  # pyright: ignore[reportMissingTypeStubs]

import memweld
from memweld.engine.search.embedders import GuardedEmbedding
from memweld.engine.search.static_model import StaticEmbedder, TokenCache
from memweld.engine.sqlite.transactions import SqliteDatabase
from memweld.errors import AccessDeniedError, BackendUnavailableError
from memweld.scope import Scope
from memweld.testing import HashEmbedder

STATIC = StaticEmbedder()
TOKENIZER: Any = STATIC._tokenizer
VOCABULARY: list[str] = sorted(TOKENIZER.get_vocab())
WORDS = sorted({word.lower() for token in VOCABULARY if token[0] == "▁" and (word := token[1:]).isascii() and word})
ENGLISH = [word for word in WORDS if len(word) > 3 and word.isalpha()]
SNOWBALL: Any = snowballstemmer
STEM = SNOWBALL.stemmer("english").stemWord


# tokens


def test_no_token_spans_two_words() -> None:
    assert not [token for token in VOCABULARY if "▁" in token.lstrip("▁")]


@given(st.lists(st.sampled_from([*WORDS[::7], " ", "  ", "\n", "\t", "▁", "<s>", "</s>", "é", "漢字", "😀", "0"])))
@example([])
@example([" "])
@example([" ", "a"])
@example(["a", " "])
@example(["x" * 100])
@example(["<unk", ">"])
def test_tokens_word_by_word_are_those_of_the_text(parts: list[str]) -> None:
    for text in ("".join(parts), " ".join(parts)):
        assert TokenCache(TOKENIZER).ids(text) == TOKENIZER.encode(text, add_special_tokens=False).ids


@given(st.text(max_size=60))
def test_tokens_of_any_text(text: str) -> None:
    assert TokenCache(TOKENIZER).ids(text) == TOKENIZER.encode(text, add_special_tokens=False).ids


@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1).map(" ".join), min_size=1, max_size=5))
def test_vectors_are_the_means_of_the_tokens_vectors(texts: list[str]) -> None:
    # As a file holds them that was written when texts were taken apart whole.
    encoded = TOKENIZER.encode_batch([text.lower() for text in texts], add_special_tokens=False)
    for vector, tokens in zip(STATIC.embed_texts(texts), encoded, strict=True):
        assert vector.dtype == np.float32
        np.testing.assert_array_equal(vector, STATIC._weights[tokens.ids].astype(np.float32).mean(axis=0))


def test_words_are_forgotten() -> None:
    embedder = StaticEmbedder()
    embedder.embed_texts(["the secret word is xyzzy"])
    assert embedder._tokens._of_word.cache_info().currsize == 5
    GuardedEmbedding(embedder).forget()
    assert embedder._tokens._of_word.cache_info().currsize == 0


@pytest.mark.parametrize("numbers", [[3.0, 4.0], [1e38, -1e38], [3e38] * 256, [1e-3] * 7, [0.0, 0.0]])
def test_vectors_of_any_size_become_unit_vectors(numbers: list[float]) -> None:
    vector = GuardedEmbedding(STATIC)._unit(numbers)
    assert vector.dtype == np.float32
    assert float(np.linalg.norm(vector)) == pytest.approx(1.0 if any(numbers) else 0.0)


# stems


def test_stems_are_those_that_files_hold() -> None:
    # The numbers of stems are stored. If this fails, another version of the stemmer takes words apart in another way:
    # then the terms in older files must be made anew (see pack_terms), and only then may the number here change.
    assert zlib.crc32(" ".join(STEM(word) for word in ENGLISH).encode()) == 2054794685


def test_the_stemmer_in_c_is_the_one_in_python() -> None:
    plain: Any = EnglishStemmer()
    assert [word for word in ENGLISH if STEM(word) != plain.stemWord(word)] == []


# transactions


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    made = SqliteDatabase(str(tmp_path / "memory.db"))
    yield made
    made.close()


def _set(connection: Any, value: str) -> None:
    connection.execute("INSERT INTO meta VALUES ('a', ?) ON CONFLICT (key) DO UPDATE SET value = ?", (value, value))


def _get(database: SqliteDatabase) -> str | None:
    row = database.first(Scope("ana"), "SELECT value FROM meta WHERE key = ?", ("a",))
    return None if row is None else row[0]


def _in_a_thread(database: SqliteDatabase) -> str | None:
    seen: list[str | None] = []
    thread = threading.Thread(target=lambda: seen.append(_get(database)))
    thread.start()
    thread.join(30)
    return seen[0]


@pytest.mark.parametrize("in_ram", [False, True])
def test_a_lone_statement_sees_what_its_transaction_wrote(database: SqliteDatabase, in_ram: bool) -> None:
    database = SqliteDatabase(None) if in_ram else database
    assert _get(database) is None
    with database.writing_all() as connection:
        _set(connection, "one")
        assert _get(database) == "one"
        assert in_ram or _in_a_thread(database) is None
    assert _get(database) == "one" == _in_a_thread(database)
    with database.reading_all():
        assert _get(database) == "one"
    database.close()


def test_a_reader_stays_at_its_moment(database: SqliteDatabase) -> None:
    with database.writing_all() as connection:
        _set(connection, "one")
    written = threading.Event()

    def write() -> None:
        with database.writing_all() as connection:
            _set(connection, "two")
        written.set()

    with database.reading_all():
        assert _get(database) == "one"
        threading.Thread(target=write).start()
        assert written.wait(30)
        assert _get(database) == "one"
    assert _get(database) == "two"


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), sqlite3.OperationalError("disk I/O error")])
def test_whatever_is_raised_in_a_transaction_undoes_it(database: SqliteDatabase, error: BaseException) -> None:
    translated = BackendUnavailableError if isinstance(error, sqlite3.Error) else type(error)

    def write() -> None:
        with database.writing_all() as connection:
            _set(connection, "one")
            with database.writing_all() as joined:
                assert joined is connection
                _set(joined, "two")
                raise error

    with pytest.raises(translated):
        write()
    assert _get(database) is None
    with pytest.raises(translated), database.reading_all():
        raise error
    # Nothing is left open: this thread and others write again.
    with database.writing_all() as connection:
        _set(connection, "three")
    assert _in_a_thread(database) == "three"


def test_a_transaction_of_one_user_serves_no_other(database: SqliteDatabase) -> None:
    ana, bob = Scope("ana"), Scope("bob")
    for block in (database.reading, database.writing):
        with block(ana), database.reading(Scope("ana", "agent")), database.reading_all():
            with pytest.raises(AccessDeniedError), database.reading(bob):
                pass
            with pytest.raises(AccessDeniedError), database.writing(bob):
                pass
            with pytest.raises(AccessDeniedError), database.reading(Scope(agent_id="ana")):
                pass
    with database.writing(bob):
        pass


def test_a_transaction_that_cannot_begin_leaves_nothing_open(database: SqliteDatabase, tmp_path: Path) -> None:
    with database.writing_all() as connection:
        connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(tmp_path / "memory.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(BackendUnavailableError, match="locked"), database.writing_all():
        pass
    other.execute("ROLLBACK")
    other.close()
    with database.writing_all() as connection:
        _set(connection, "one")
    assert _in_a_thread(database) == "one"


def test_the_state_of_others_is_no_part_of_a_statement(tmp_path: Path) -> None:
    with memweld.connect(f"sqlite:///{tmp_path / 'memory.db'}", embedder=HashEmbedder()) as backend:
        memories = [backend.user("ana"), backend.user("bea"), backend.user("ana", agent_id="a"), backend.agent("a")]
        for number, memory in enumerate(memories):
            assert memory.state("n").get("k") is None
            for value in (number, [number]):
                memory.state("n").set("k", value)
            memory.history("s").append(f"said to {number}")
            memory.history("s").append([{"role": "user", "content": "more", "id": str(number)}] * 2)
        assert [memory.state("n").get("k") for memory in memories] == [[0], [1], [2], [3]]
        assert [[message.text for message in memory.history("s").messages()] for memory in memories] == [
            [f"said to {number}", "more"] for number in range(4)
        ]
        assert [[session.messages for session in memory.sessions()] for memory in memories] == [[2]] * 4


def test_setting_again_takes_an_end_and_a_text_away(tmp_path: Path) -> None:
    with memweld.connect(f"sqlite:///{tmp_path / 'memory.db'}", embedder=HashEmbedder()) as backend:
        ana = backend.user("ana")
        state = ana.state("n")
        writes: list[dict[str, Any]] = [{"ttl": 1000.0}, {}, {"text": "in words"}, {}, {}]
        for number, options in enumerate(writes):
            before = ana.values.read([("n", "k")])[0]
            state.set("k", number, **options)
            (entry,) = state.entries()
            assert (entry.value, entry.expires_at is None) == (number, "ttl" not in options)
            assert before is None or entry.version == before.version + 1
            assert [hit.text for hit in ana.search("in words")] == ([options["text"]] if "text" in options else [])
        assert state.update("k", lambda held: held + 1) == 5
