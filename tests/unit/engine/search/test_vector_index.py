"""The indexes in RAM follow the table, whoever writes it, and answer as one that was read anew would."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memweld
from memweld.engine.search import vector_index as index_module
from memweld.engine.search.cache import IndexCache
from memweld.engine.search.tokenizer import pack_terms
from memweld.engine.search.vector_index import VectorIndex
from memweld.testing import HashEmbedder

Connect = Callable[..., memweld.Backend]


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    made: list[memweld.Backend] = []

    def connect(**options: Any) -> memweld.Backend:
        made.append(memweld.connect(f"sqlite:///{tmp_path / 'memory.db'}", embedder=HashEmbedder(16), **options))
        return made[-1]

    yield connect
    for backend in made:
        backend.close()


there = index_module._exists


def cache_of(backend: memweld.Backend) -> IndexCache:
    return backend._engine.facts._store._indexes  # type: ignore[attr-defined]


def index_of(backend: memweld.Backend) -> VectorIndex:
    (index,) = cache_of(backend)._indexes.values()
    return index


def hits(memory: memweld.Memory, query: str, **options: Any) -> list[tuple[str, str, float]]:
    return [(hit.id, hit.text, round(hit.score, 6)) for hit in memory.search(query, limit=50, **options)]


def fill(memory: memweld.Memory, count: int, **options: Any) -> list[str]:
    items = memory.add([{"role": "user", "content": f"fact {number} about tea"} for number in range(count)], **options)
    return [item.id for item in items]


# other processes

WRITER = """
import sys, memweld
from memweld.testing import HashEmbedder
with memweld.connect("sqlite:///" + sys.argv[1], embedder=HashEmbedder(16)) as backend:
    ana = backend.user("ana")
    exec(sys.argv[2])
"""


def elsewhere(tmp_path: Path, code: str) -> None:
    """Do something in another process."""
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path / "memory.db"), code], check=True, timeout=60)


def test_what_another_process_does_is_seen_by_the_next_search(tmp_path: Path, connect: Connect) -> None:
    ana = connect().user("ana")
    ids = fill(ana, 5)
    assert len(hits(ana, "tea")) == 5
    elsewhere(tmp_path, "ana.add('a new thing about coffee')")
    assert ana.search("coffee", limit=1)[0].text == "a new thing about coffee"
    elsewhere(tmp_path, f"ana.delete({ids[2]!r})")
    assert ids[2] not in {hit[0] for hit in hits(ana, "fact 2 tea")}
    elsewhere(tmp_path, f"ana.update({ids[3]!r}, 'now it is about llamas')")
    assert ana.search("llamas", limit=1)[0].id == ids[3]
    assert hits(ana, "tea llamas") == hits(connect().user("ana"), "tea llamas")
    elsewhere(tmp_path, "ana.erase(); ana.add('back again')")
    assert [hit[1] for hit in hits(ana, "tea")] == ["back again"]


# rows that are gone


def test_a_delete_keeps_the_matrix(connect: Connect) -> None:
    backend = connect()
    ana = backend.user("ana")
    ids = fill(ana, 300)
    ana.search("tea")
    index = index_of(backend)
    matrix = index._arrays["vectors"]
    for memory_id in ids[:50]:
        ana.delete(memory_id)
        assert memory_id not in {hit[0] for hit in hits(ana, "tea")}
    assert index._arrays["vectors"] is matrix
    assert index._deleted == 50


def test_dead_rows_say_and_lend_nothing(connect: Connect) -> None:
    backend = connect()
    ana = backend.user("ana")
    ids = fill(ana, 30, session_id="s")
    for number, memory_id in enumerate(ids):
        ana.search("tea")
        if number % 7 == 2:
            ana.update(memory_id, f"coffee number {number}")
            ana.search("tea")
        if number % 3 == 0:
            ana.delete(memory_id)
            for query in ("coffee", f"fact {number + 1}", f"number {number}"):
                assert hits(ana, query) == hits(connect().user("ana"), query)
    assert index_of(backend)._deleted == 10 + 1, "with the earlier text of the ninth"


@pytest.mark.parametrize(
    "gone", [[0], [2999], [1500], [7, 1400, 2998], range(1000, 1200), range(0, 3000, 20), range(400, 900)]
)
def test_what_is_gone_is_found_by_counting(
    tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch, gone: Sequence[int]
) -> None:
    monkeypatch.setattr(index_module, "_MANY", 180)
    backend = connect()
    ana, bob = backend.user("ana"), backend.user("bob")
    ids: list[str] = []
    for _ in range(3):
        ids += [item.id for item in ana.add([{"role": "user", "content": f"{len(ids) + n} tea"} for n in range(1000)])]
        bob.add([{"role": "user", "content": f"{len(ids) + n} tea"} for n in range(50)])
    hits(ana, "tea")
    index = index_of(backend)
    matrix = index._arrays["vectors"]
    read: list[int] = []
    monkeypatch.setattr(index_module, "_exists", lambda *given: read.append(len(given[2])) or there(*given))
    with closing(sqlite3.connect(tmp_path / "memory.db")) as other, other:
        other.executemany("DELETE FROM items WHERE id = ?", [(ids[at],) for at in gone])
        other.execute("UPDATE owners SET version = version + 1, cleared = version + 1 WHERE user_id = 'ana'")
    ana.add("something new about tea")
    expected = hits(connect().user("ana"), "tea 7")
    assert hits(ana, "tea 7") == expected
    alive = index._arrays["alive"][: index._count]
    assert np.flatnonzero(~alive).tolist() == list(gone)
    assert index._arrays["vectors"] is matrix or len(index._arrays["vectors"]) > len(matrix)
    # Few that are gone are found without reading all places.
    assert sum(read) == 3000 if len(gone) > 180 else sum(read) <= 256 * len(gone)


def test_dead_rows_are_moved_away(connect: Connect) -> None:
    backend = connect()
    ana = backend.user("ana")
    ids = fill(ana, 300, session_id="s")
    ana.search("tea")
    full = index_of(backend).bytes
    for memory_id in ids[::2]:
        ana.delete(memory_id)
    ana.search("tea")
    index = index_of(backend)
    assert index._count == 150
    assert index._deleted == 0
    assert index.bytes < full * 0.75
    assert hits(ana, "fact 7 tea") == hits(connect().user("ana"), "fact 7 tea")
    ana.add("the last fact about coffee", session_id="s")
    assert hits(ana, "coffee") == hits(connect().user("ana"), "coffee")


def test_a_search_at_work_keeps_its_rows(connect: Connect) -> None:
    backend = connect()
    ana = backend.user("ana")
    ids = fill(ana, 200, session_id="s")
    ana.search("tea")
    before = index_of(backend).snapshot()
    assert before is not None
    held = {name: np.array(getattr(before, name)) for name in ("seqs", "vectors", "previous", "lengths")}
    for number, memory_id in enumerate(ids[:150]):
        ana.update(memory_id, f"changed {number}") if number % 2 else ana.delete(memory_id)
    fill(ana, 400)
    ana.search("tea")
    for name, values in held.items():
        assert np.array_equal(getattr(before, name), values), name


def test_a_reindexed_file_is_read_anew(tmp_path: Path, connect: Connect) -> None:
    ana = connect().user("ana")
    fill(ana, 10)
    expected = hits(ana, "tea")
    for dimensions in (32, 16):
        with memweld.connect(f"sqlite:///{tmp_path / 'memory.db'}", embedder=HashEmbedder(dimensions)) as other:
            other.admin.reindex()
            other.user("ana").search("tea")
    assert hits(ana, "tea") == expected


# what was written by an older memweld, and by a newer one


def test_terms_that_are_missing_are_made(tmp_path: Path, connect: Connect) -> None:
    ana = connect().user("ana")
    fill(ana, 20)
    ana.state("n").set("k", 1, text="a record about coffee")
    ana.preferences.set("drink", "coffee")
    expected = hits(ana, "coffee or fact 3"), hits(ana, "tea")
    connection = sqlite3.connect(tmp_path / "memory.db")
    rows = connection.execute("SELECT text, terms FROM items").fetchall()
    assert all(terms == pack_terms(text) for text, terms in rows)
    connection.execute("UPDATE items SET terms = NULL WHERE seq % 2")
    connection.commit()
    connection.close()
    other = connect().user("ana")
    assert (hits(other, "coffee or fact 3"), hits(other, "tea")) == expected


# the bound


def test_the_cache_keeps_the_users_that_were_used_last(connect: Connect) -> None:
    backend = connect()
    users = [backend.user(f"user {number}") for number in range(30)]
    for user in users:
        fill(user, 20)
        user.search("tea")
    cache = cache_of(backend)
    assert len(cache) == 30
    cache.maximum_bytes = cache.bytes // 3
    users[0].add("one more")
    users[0].search("tea")
    assert 5 <= len(cache) <= 10
    assert cache.bytes <= cache.maximum_bytes
    assert cache.bytes == sum(index.bytes for index in cache._indexes.values())
    kept = set(cache._indexes)
    users[0].search("tea")
    assert set(cache._indexes) == kept
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda user: len(user.search("tea", limit=50)), users * 5))
    assert found == [21, *[20] * 29] * 5
    assert cache.bytes <= cache.maximum_bytes


def test_the_bound_holds_while_memories_come_and_go(connect: Connect) -> None:
    backend = connect()
    users = [backend.user(f"user {number}") for number in range(60)]
    ids = [fill(user, 30) for user in users]
    users[0].search("tea")
    cache = cache_of(backend)
    cache.maximum_bytes = 12 * cache.bytes
    largest = 0
    for number in range(240):
        user = users[number * 7 % 60]
        mine = ids[number * 7 % 60]
        if number % 3 == 0:
            for memory_id in mine[:20]:
                user.delete(memory_id)
            del mine[:20]
        elif number % 3 == 1:
            mine += fill(user, 10 + number)
        elif number % 12 == 2:
            user.erase()
            mine.clear()
        assert len(user.search("tea", limit=1000)) == len(user.all(limit=1000))
        assert cache.bytes == sum(index.bytes for index in cache._indexes.values()) == sum(cache._sizes.values())
        assert cache.bytes <= cache.maximum_bytes
        largest = max(largest, cache.bytes)
    assert largest > cache.maximum_bytes * 0.8
    for index in cache._indexes.values():
        held = sum(array[: index._count].nbytes for array in index._arrays.values())
        assert held <= index.bytes


def test_to_erase_a_user_drops_no_other_from_the_cache(connect: Connect) -> None:
    backend = connect()
    ana, bob = backend.user("ana"), backend.user("bob")
    for user in (ana, bob, backend.user("ana", agent_id="helper")):
        fill(user, 20)
    assert len(ana.search("tea", limit=50)) == 40
    assert len(bob.search("tea", limit=50)) == 20
    cache = cache_of(backend)
    (bobs,) = [index for index in cache._indexes.values() if index._count == 20]
    backend.user("ana", agent_id="helper").erase()
    assert list(cache._indexes.values()) == [bobs]
    assert len(ana.search("tea", limit=50)) == 20
    ana.erase()
    assert list(cache._indexes.values()) == [bobs]
    assert cache.bytes == bobs.bytes
    backend.user("nobody").erase()
    assert list(cache._indexes.values()) == [bobs]
    matrix = bobs._arrays["vectors"]
    assert len(bob.search("tea", limit=50)) == 20
    assert bobs._arrays["vectors"] is matrix
    bob.erase()
    assert cache.bytes == len(cache) == 0


def in_the_middle_of_a_search(
    monkeypatch: pytest.MonkeyPatch, backend: memweld.Backend, happens: Callable[[], object], *, times: int = 1
) -> None:
    """Let another thread do something after the next searches' transactions have begun, before they read the index."""
    cache, left = cache_of(backend), [times]
    read = cache.read

    def outrun(*arguments: Any, **options: Any) -> Any:
        if left[0]:
            left[0] -= 1
            with ThreadPoolExecutor(1) as pool:
                pool.submit(happens).result(30)
        return read(*arguments, **options)

    monkeypatch.setattr(cache, "read", outrun)


@pytest.mark.parametrize("times", [1, 20])
def test_a_search_that_others_outrun_finds_all_the_same(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    backend = connect()
    ana = backend.user("ana")
    fill(ana, 30)
    others = [0]

    def add_and_search() -> None:
        others[0] += 1
        for number in range(5):
            ana.add(f"tea tea tea {others[0]}.{number}")
        with backend._engine._database.reading_all() as connection:  # type: ignore[attr-defined]
            IndexCache.read(cache_of(backend), connection, 1)

    in_the_middle_of_a_search(monkeypatch, backend, add_and_search, times=times)
    assert len(ana.search("tea", limit=5)) == 5
    assert len(ana.search("tea", limit=500)) >= 35
    monkeypatch.undo()
    assert hits(ana, "tea") == hits(connect().user("ana"), "tea")


def test_a_search_meets_an_erasure(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """It neither fails nor brings the erased back into RAM, and other users keep what is read of them."""
    monkeypatch.setattr("memweld.engine.sql.erase._PATIENCE_SECONDS", 0.1)  # The search outlasts it.
    backend = connect()
    ana, bob = backend.user("ana"), backend.user("bob")
    fill(ana, 20)
    fill(bob, 20)
    for user in (ana, bob):
        user.search("tea")
    cache = cache_of(backend)
    (bobs,) = list(cache._indexes.values())[1:]
    in_the_middle_of_a_search(monkeypatch, backend, ana.erase)
    # The rows of the moment at which it began.
    assert {hit.text for hit in ana.search("tea", limit=50)} == {f"fact {number} about tea" for number in range(20)}
    assert list(cache._indexes.values()) == [bobs]
    assert cache.bytes == bobs.bytes


def test_searches_among_erasures_never_fail(connect: Connect) -> None:
    backend = connect()
    users = [backend.user(f"user {number}") for number in range(4)]
    for user in users:
        fill(user, 5)
    facts = backend._engine.facts  # type: ignore[attr-defined]
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(6) as pool:
            searches = [pool.submit(lambda user=user: [len(user.search("tea")) for _ in range(60)]) for user in users]
            for root in range(1, 201):
                facts.forget(1 + root % 4)
            assert [set(each.result(60)) for each in searches] == [{5}] * 4
    finally:
        sys.setswitchinterval(switching)
    cache = cache_of(backend)
    assert cache.bytes == sum(index.bytes for index in cache._indexes.values())


def test_users_without_memories_take_their_place_too(connect: Connect) -> None:
    backend = connect()
    backend.user("ana").add("tea")
    backend.user("ana").search("tea")
    cache = cache_of(backend)
    cache.maximum_bytes = 100_000
    for number in range(100):
        user = backend.user(f"user {number}")
        (item,) = user.add("tea")
        user.search("tea")
        user.delete(item.id)
        assert user.search("tea") == []
    assert len(cache) < 40


# any operations

SESSIONS = st.sampled_from((None, "s", "t"))
WORDS = st.lists(st.sampled_from(("tea", "moon", "cat", "river", "piano", "the", "猫")), min_size=1, max_size=5)
ROWS = st.integers(0, 60)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), WORDS, SESSIONS, st.booleans()),
        st.tuples(st.just("many"), st.integers(1, 12), SESSIONS),
        st.tuples(st.just("update"), ROWS, WORDS),
        st.tuples(st.just("delete"), ROWS),
        st.tuples(st.just("delete"), ROWS),
        st.tuples(st.just("set"), st.sampled_from("ab"), WORDS),
        st.tuples(st.sampled_from(("keep one", "clear", "erase", "look"))),
    ),
    min_size=5,
    max_size=20,
)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebuild early what is rebuilt only where much was changed."""
    monkeypatch.setattr(index_module, "_DEAD", 2)
    monkeypatch.setattr(index_module, "_PATCHES", 2)
    monkeypatch.setattr(index_module, "_PARTS", 3)
    monkeypatch.setattr(index_module, "_FEW", 2)
    monkeypatch.setattr(index_module, "_MANY", 4)
    monkeypatch.setattr("memweld.engine.search.inverted_index._TAIL_ROWS", 4)


@settings(max_examples=30)
@given(operations=OPERATIONS)
@pytest.mark.usefixtures("impatient")
def test_after_any_operations_it_answers_as_if_read_anew(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[Any, ...]]
) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('any') / 'memory.db'}"
    with (
        memweld.connect(url, embedder=HashEmbedder(16)) as reader,
        memweld.connect(url, embedder=HashEmbedder(16)) as writer,
    ):
        start: list[tuple[Any, ...]] = [("many", 12, "s"), ("many", 5, None)]
        for number, operation in enumerate(start + operations):
            # One backend reads and writes, the other writes alone, as another process would.
            _do((reader, writer)[number % 2], number, *operation)
            if number % 3 or operation[0] == "look":
                reader.user("ana").search("tea moon")
        with memweld.connect(url, embedder=HashEmbedder(16)) as fresh:
            for agent in (None, "helper"):
                memories = [backend.user("ana", agent_id=agent) for backend in (reader, fresh)]
                for query in ("tea", "the moon and the river", "fact 3", "猫"):
                    known, anew = (hits(memory, query) for memory in memories)
                    # Rounding may order what fits equally in another way.
                    assert sorted(known) == sorted(anew)
                    assert [hit[2] for hit in known] == [hit[2] for hit in anew]


def _do(backend: memweld.Backend, number: int, name: str, *arguments: Any) -> None:
    ana = backend.user("ana")
    free = [item for item in ana.all(limit=100) if item.key is None]
    if name == "add":
        words, session, by_agent = arguments
        owner = backend.user("ana", agent_id="helper") if by_agent else ana
        owner.add(" ".join(words), session_id=session)
    elif name == "many":
        texts = [f"fact {number}.{part} about the moon" for part in range(arguments[0])]
        ana.add([{"role": "user", "content": text} for text in texts], session_id=arguments[1])
    elif name == "update" and free:
        ana.update(free[arguments[0] % len(free)].id, f"{' '.join(arguments[1])} {number}")
    elif name == "delete" and free:
        ana.delete(free[arguments[0] % len(free)].id)
    elif name == "keep one":
        for item in free[1:]:
            ana.delete(item.id)
    elif name == "set":
        ana.preferences.set(arguments[0], " ".join(arguments[1]))
    elif name == "clear":
        ana.clear()
    elif name == "erase":
        ana.erase()


def test_the_environment_bounds_the_cache(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMWELD_CACHE_MB", "0")
    backend = connect()
    for number in range(3):
        user = backend.user(f"user {number}")
        user.add("tea")
        assert len(user.search("tea")) == 1
    assert cache_of(backend).maximum_bytes == 0
    # The one in use stays.
    assert len(cache_of(backend)) == 1
    monkeypatch.setenv("MEMWELD_CACHE_MB", "-1")
    with pytest.raises(memweld.ConfigurationError, match="MEMWELD_CACHE_MB"):
        memweld.connect("sqlite://")
