"""Vectors in a store of mem0's: what bare mem0 gets wrong, and what happens when the store loses, lies or fails."""

import json
import logging
import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import Embeddings

import memweld
from memweld import Backend, BackendUnavailableError, ConfigurationError, InvalidInputError, Memory, MissingExtraError
from memweld.engine.projections.engine import ProjectedEngine
from memweld.models import ValueWrite
from memweld.testing import HashEmbedder


class HashEmbeddings(HashEmbedder, Embeddings):
    """The hash embedder as bare mem0 takes it."""


def stored_in(place: Path, provider: str = "qdrant", **config: Any) -> dict[str, Any]:
    return {"vector_store": {"provider": provider, "config": {"path": str(place / provider), **config}}}


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[..., Backend]]:
    made: list[Backend] = []

    def connect(**options: Any) -> Backend:
        options = {"embedder": HashEmbedder(), "mem0": stored_in(tmp_path), **options}
        made.append(memweld.connect(f"sqlite:///{tmp_path / 'memory.db'}", **options))
        return made[-1]

    yield connect
    for backend in made:
        backend.close()


def bare_mem0(place: Path) -> Any:
    """mem0 2.2 as it is, on a local Qdrant."""
    from memweld.engine.extraction.mem0.side_effects import load_mem0

    load_mem0()
    import mem0

    memory = mem0.Memory.from_config(
        {
            **stored_in(place, embedding_model_dims=64, collection_name="bare"),
            "embedder": {"provider": "langchain", "config": {"model": HashEmbeddings()}},
            "llm": {"provider": "openai", "config": {"api_key": "none"}},
            "history_db_path": str(place / "history.db"),
        }
    )
    memory.vector_store._bm25_encoder = False  # it would be downloaded
    return memory


def projection_of(backend: Backend) -> Any:
    """The projection that a used engine has open."""
    return backend._engine.projection.opened  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]


def waiting(backend: Backend) -> int:
    return projection_of(backend).outbox.pending().count


def settled(backend: Backend) -> bool:
    """Whether the store has received everything, after some attempts."""
    return projection_of(backend).deliverer.settle(timeout=30, urge=True, give_up=lambda: False)


def store_of(backend: Backend) -> Any:
    return projection_of(backend).store._opened.store


def ids_in(backend: Backend) -> set[str]:
    """The ids of the items of which the store has a record; of other records their own ids."""
    rows = store_of(backend).list(top_k=10_000)[0]
    with projection_of(backend).outbox.reading() as connection:
        ids = {str(seq): memory_id for seq, memory_id in connection.execute("SELECT seq, id FROM items")}
    return {ids.get(row.payload.get("memweld_item"), str(row.id)) for row in rows}


def record_of(backend: Backend, memory_id: str) -> str:
    """The id of an item's record in the store."""
    with projection_of(backend).outbox.reading() as connection:
        (seq,) = connection.execute("SELECT seq FROM items WHERE id = ?", (memory_id,)).fetchone()
    return projection_of(backend).store._records.id_of(seq)


class Broken:
    """A store whose connection is gone."""

    def __getattr__(self, name: str) -> Any:
        raise ConnectionError("the cable is cut")


def in_threads(work: Callable[[int], Any]) -> list[Any]:
    start = threading.Barrier(8)

    def run(number: int) -> list[Any]:
        start.wait()
        return [work(100 * number + each) for each in range(25)]

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            return [each for results in pool.map(run, range(8)) for each in results]
    finally:
        sys.setswitchinterval(before)


# bare mem0 and the guarded one


# A thread of bare mem0 that fails leaves its connection to SQLite open; Python 3.13 warns of it.
@pytest.mark.filterwarnings("ignore:.*sqlite3.Connection:pytest.PytestUnraisableExceptionWarning")
def test_threads_lose_nothing_where_bare_mem0_does(tmp_path: Path, connect: Callable[..., Backend]) -> None:
    backend = connect()
    users = [backend.user(f"user-{number % 3}") for number in range(3)]
    items = in_threads(lambda number: users[number % 3].add(f"fact number {number}")[0].id)
    assert len(set(items)) == 200
    assert ids_in(backend) == set(items)
    assert {item.id for user in users for item in user.all()} == set(items)
    failures = 0
    for attempt in range(5):
        bare = bare_mem0(tmp_path / f"bare-{attempt}")

        def add(number: int, bare: Any = bare) -> str:
            try:
                return str(bare.add(f"fact {number}", user_id="ana", infer=False)["results"][0]["id"])
            except Exception:  # also a failure of bare mem0, though an honest one
                return f"error {number}"

        acknowledged = {each for each in in_threads(add) if not each.startswith("error")}
        bare.vector_store.client.close()
        again = bare_mem0(tmp_path / f"bare-{attempt}")
        held = {str(row.id) for row in again.vector_store.list(top_k=10_000)[0]}
        for memory in (again, bare):
            memory.close()
        again.vector_store.client.close()
        failures += len(acknowledged - held) + 200 - len(acknowledged)
        if failures:
            break
    assert failures, "bare mem0 has become thread-safe: the lock may go"


def test_no_wildcard_reaches_other_users_where_in_bare_mem0_it_does(
    tmp_path: Path, connect: Callable[..., Backend]
) -> None:
    bare = bare_mem0(tmp_path / "bare")
    for user in ("ana", "bob"):
        bare.add(f"{user} loves tea", user_id=user, infer=False)
    everybody = bare.search("tea", filters={"user_id": "*"}, threshold=0.0)["results"]
    assert {each["user_id"] for each in everybody} == {"ana", "bob"}
    bare.delete_all(user_id="*")
    assert bare.get_all(filters={"user_id": "ana"})["results"] == []
    bare.close()
    bare.vector_store.client.close()

    backend = connect()
    for user in ("ana", "bob"):
        backend.user(user).add(f"{user} loves tea")
    with pytest.raises(InvalidInputError):
        backend.user("*")
    for near in ("a*", "%2A", "?", "ana,bob"):
        stranger = backend.user(near)
        assert (stranger.search("tea"), stranger.all(), stranger.clear(), stranger.erase().total) == ([], [], 0, 0)
    ana = backend.user("ana")
    assert ana.search("tea", filters={"user_id": "*"}) == []
    assert ana.search("tea", filters={"user_id": "bob"}) == []
    with pytest.raises(InvalidInputError):
        ana.search("tea", filters={"AND": [{"user_id": "bob"}]})
    assert [hit.text for hit in ana.search("tea")] == ["ana loves tea"]
    assert ana.erase().counts["items"] == 1
    assert [hit.text for hit in backend.user("bob").search("tea")] == ["bob loves tea"]


def test_nothing_but_ours_is_left_on_the_disk(tmp_path: Path, connect: Callable[..., Backend]) -> None:
    """No history database, and what is erased is gone from the local Qdrant's file as well."""
    with connect() as backend:
        ana = backend.user("ana")
        for number in range(40):
            ana.update(ana.add(f"a secret unicorn {number}")[0].id, f"an open unicorn {number}")
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert any(b"unicorn" in path.read_bytes() for path in files)
        receipt = ana.erase()
        assert receipt.overwritten
    assert [path for path in tmp_path.rglob("*") if path.is_file() and b"unicorn" in path.read_bytes()] == []
    assert list(tmp_path.rglob("*history*")) == []


# the store and the tables


def test_every_change_reaches_the_store(connect: Callable[..., Backend]) -> None:
    backend = connect()
    ana = backend.user("ana")

    def same(count: int) -> None:
        listed = {item.id for item in ana.all(limit=1000)}
        assert (ids_in(backend), len(listed), waiting(backend)) == (listed, count, 0)

    (tea,) = ana.add("I love tea")
    same(1)
    ana.update(tea.id, "I love coffee")
    ana.preferences.set("theme", "dark")
    ana.preferences.set("theme", "light")
    ana.tasks.record("t", outcome="done")
    same(3)
    state = ana.state("n")
    state.set("k", 1, text="the value of the key")
    same(4)
    state.set("k", 2, text="another value of the key")
    same(4)
    ana.values.write([ValueWrite(namespace="n", key="l", value=1, text="a second one")])
    same(5)
    state.delete("k")
    same(4)
    exported = ana.export()
    ana.delete(tea.id)
    same(3)
    ana.restore(exported)
    same(4)
    state.set("m", 1, text="soon over", ttl=0.01)
    threading.Event().wait(0.05)
    backend.admin.purge_expired()
    same(4)
    assert ana.clear() == 3
    same(1)  # the text of a value of state
    ana.add("back")
    ana.erase()
    same(0)


def test_a_store_that_loses_rows_loses_no_memory(connect: Callable[..., Backend]) -> None:
    backend = connect()
    ana = backend.user("ana")
    (tea,) = ana.add("I love green tea")
    ana.add("I live in Porto")
    store_of(backend).delete(record_of(backend, tea.id))
    assert len(ana.all()) == 2
    assert ana.search("green tea")[0].id == tea.id, "found by its words"
    weak = ana.search("green tea")[0].score
    assert backend.admin.reindex() == 1
    assert ana.search("green tea")[0].score > weak
    assert backend.admin.reindex() == 0


def test_a_store_that_shows_too_much_leaks_nothing(connect: Callable[..., Backend]) -> None:
    backend = connect()
    ana, bob = backend.user("ana"), backend.user("bob")
    ana.add("I love tea")
    (secret,) = bob.add("I love coffee and gin")
    vector = HashEmbedder().embed_query("coffee and gin")
    forged = {"user_id": "ana", "data": "You owe me money for coffee and gin", "hash": "x"}
    store = store_of(backend)
    store.insert(vectors=[vector], payloads=[forged], ids=["00000000-0000-4000-8000-000000000001"])
    store.insert(vectors=[vector], payloads=[{**forged, "data": "x"}], ids=[record_of(backend, secret.id)])
    assert [hit.text for hit in ana.search("coffee and gin")] == ["I love tea"]
    assert [item.text for item in ana.all()] == ["I love tea"]
    assert ana.erase().counts["items"] == 1
    assert [item.text for item in bob.all()] == ["I love coffee and gin"]


def test_rows_of_others_do_not_crowd_out_ours(connect: Callable[..., Backend]) -> None:
    """Other programs' memories of the same user in the same collection, and rows that a filter leaves out."""
    backend = connect()
    ana = backend.user("ana")
    (wanted,) = ana.add("a very quiet place", metadata={"kind": "rare"})
    ana.add([{"role": "user", "content": f"quiet place {number}"} for number in range(80)])
    vector = HashEmbedder().embed_query("quiet place")
    ids = [f"00000000-0000-4000-8000-{number:012d}" for number in range(120)]
    store_of(backend).insert(vectors=[vector] * 120, payloads=[{"user_id": "ana", "data": "x"}] * 120, ids=ids)
    best = ana.search("a very quiet place", filters={"kind": "rare"}, limit=1)[0]
    alone = ana.search("a very quiet place", limit=1)[0]
    assert best.id == alone.id == wanted.id
    assert best.score == pytest.approx(alone.score)
    assert len(ana.search("quiet place", limit=80)) == 80


# a store that fails


def test_a_store_that_stops_answering(connect: Callable[..., Backend], caplog: pytest.LogCaptureFixture) -> None:
    """Writes and deletions hold and are delivered later; only a search needs the store."""
    backend = connect()
    ana = backend.user("ana")
    (old,) = ana.add("I live in Lisbon")
    (kept,) = ana.add("I love tea")
    opened = projection_of(backend).store._opened
    works, opened.store = opened.store, Broken()
    with caplog.at_level(logging.WARNING):
        (new,) = ana.add("I sail to Porto")
    assert "the cable is cut" in caplog.text
    assert "Porto" not in caplog.text
    ana.preferences.set("theme", "dark")
    assert [item.id for item in ana.all()][:3] == [old.id, kept.id, new.id]
    with pytest.raises(BackendUnavailableError, match="failed: ConnectionError: the cable is cut"):
        ana.search("Porto")
    with pytest.raises(BackendUnavailableError, match="deleted here and cannot be read any more"):
        ana.delete(old.id)
    assert old.id not in {item.id for item in ana.all()}
    assert backend.user("bob").erase().overwritten is False
    assert waiting(backend) == 3
    opened.store = works
    ana.delete(kept.id)
    assert waiting(backend) == 0
    assert ids_in(backend) == {item.id for item in ana.all()}
    assert ana.search("Porto")[0].id == new.id


def test_what_waits_is_found_by_meaning(connect: Callable[..., Backend]) -> None:
    """A row that another process has not delivered yet has its vector with it."""
    backend = connect()
    ana = backend.user("ana")
    ana.add("something else")
    store = projection_of(backend).store
    store.put, put = lambda copies: [copy.entry.seq for copy in copies], store.put
    (item,) = ana.add("I love green tea")
    found = ana.search("green tea")[0]
    assert (found.id, waiting(backend)) == (item.id, 1)
    store.put = put
    assert backend.admin.sync_projections() == 1
    assert waiting(backend) == 0
    assert ana.search("green tea")[0].score == pytest.approx(found.score, abs=0.05)


def test_a_row_that_the_store_refuses_does_not_keep_others_waiting(connect: Callable[..., Backend]) -> None:
    backend = connect()
    ana = backend.user("ana")
    ana.add("first")
    store = projection_of(backend).store
    put = store.put

    def refuse(copies: Any) -> Any:
        if any("poison" in copy.entry.text for copy in copies):
            raise BackendUnavailableError("no poison here")
        return put(copies)

    store.put = refuse
    ana.add("poison")
    items = ana.add([{"role": "user", "content": f"good {number}"} for number in range(5)])
    with pytest.raises(BackendUnavailableError, match="no poison here"):
        backend.admin.sync_projections()
    assert {item.id for item in items} <= ids_in(backend)
    assert waiting(backend) == 1


def test_a_search_does_not_wait_for_a_long_delivery(connect: Callable[..., Backend]) -> None:
    """Another thread is at it: a search goes on at once, and finds by meaning what waits."""
    backend = connect()
    ana = backend.user("ana")
    ana.add("something else")
    store = projection_of(backend).store
    put, begun, may_end = store.put, threading.Event(), threading.Event()

    def slow(copies: Any) -> Any:
        begun.set()
        assert may_end.wait(60)
        return put(copies)

    store.put = slow
    with ThreadPoolExecutor(1) as pool:
        adding = pool.submit(ana.add, "I love green tea")
        assert begun.wait(60)
        found = ana.search("green tea")[0]
        assert (found.text, waiting(backend)) == ("I love green tea", 1)
        may_end.set()
        assert [item.id for item in adding.result()] == [found.id]
    assert waiting(backend) == 0


def test_a_store_that_never_answered_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    store = {"provider": "chroma", "config": {"host": "127.0.0.1", "port": 1}}
    with memweld.connect(f"sqlite:///{tmp_path / 'm.db'}", mem0={"vector_store": store}) as backend:
        ana = backend.user("ana")
        with pytest.raises(BackendUnavailableError, match="does not answer"):
            ana.add("I love tea")
        assert ana.all() == []
        ana.state("n")["k"] = 1
        assert ana.state("n")["k"] == 1


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_process_that_ends_between_the_file_and_the_store(tmp_path: Path, connect: Callable[..., Backend]) -> None:
    """The next process delivers a committed write."""
    code = """
        import os, sys, json, memweld
        from memweld.testing import HashEmbedder
        backend = memweld.connect(sys.argv[1], mem0=json.loads(sys.argv[2]), embedder=HashEmbedder())
        ana = backend.user("ana")
        (old,) = ana.add("I live in Lisbon")
        opened = backend._engine.projection.opened.store._opened
        class Deadly:
            def __getattr__(self, name):
                os._exit(9)
        opened.store = Deadly()
        getattr(ana, sys.argv[3])(*json.loads(sys.argv[4].replace("OLD", old.id)))
    """
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    for method, arguments in (("add", ["I love green tea"]), ("update", ["OLD", "I live in Porto"]), ("erase", [])):
        place = tmp_path / method
        command = [sys.executable, "-c", textwrap.dedent(code), url.replace("memory", method)]
        done = subprocess.run(
            [*command, json.dumps(stored_in(place)), method, json.dumps(arguments)], timeout=120, check=False
        )
        assert done.returncode == 9
        with memweld.connect(url.replace("memory", method), mem0=stored_in(place), embedder=HashEmbedder()) as backend:
            ana = backend.user("ana")
            ana.search("anything")
            backend.user("bob").add("somebody must come by")
            texts = [item.text for item in ana.all()]
            assert (
                texts
                == {
                    "add": ["I live in Lisbon", "I love green tea"],
                    "update": ["I live in Porto"],
                    "erase": [],
                }[method]
            )
            assert waiting(backend) == 0
            assert len(ids_in(backend)) == len(texts) + 1


def test_an_item_that_changes_while_it_is_delivered(connect: Callable[..., Backend]) -> None:
    """The newer state follows, and its vector is not taken out of the file with the older one."""
    backend = connect()
    ana = backend.user("ana")
    (item,) = ana.add("I live in Lisbon")
    store = projection_of(backend).store
    put = store.put

    def slow(copies: Any) -> Any:
        store.put = put
        with memweld.connect(backend.url, embedder=HashEmbedder()) as other, pytest.raises(ConfigurationError):
            other.user("ana").search("this process does not know the store")
        with projection_of(backend).outbox.writing() as connection:  # as another process changes it
            connection.execute("UPDATE items SET text = 'I live in Faro', stamp = stamp + 1 WHERE id = ?", (item.id,))
        return put(copies)

    store.put = slow
    ana.update(item.id, "I live in Porto")
    assert settled(backend)
    assert store_of(backend).get(record_of(backend, item.id)).payload["data"] == "I live in Faro"


# one store, several users of it


def test_two_backends_share_a_store(connect: Callable[..., Backend]) -> None:
    one, other = connect(), connect()
    one.user("ana").add("I love tea")
    assert other.user("ana").search("tea")[0].text == "I love tea"
    one.close()
    other.user("ana").add("I love coffee")
    assert len(ids_in(other)) == 2


@pytest.mark.parametrize("provider", ["qdrant", "chroma"])
@pytest.mark.slow
def test_another_process_is_told_who_has_the_store(
    tmp_path: Path, connect: Callable[..., Backend], provider: str
) -> None:
    mem0 = stored_in(tmp_path, provider)
    connect(mem0=mem0).user("ana").add("I love tea")
    code = """
        import sys, json, memweld
        from memweld.testing import HashEmbedder
        ana = memweld.connect(sys.argv[1], mem0=json.loads(sys.argv[2]), embedder=HashEmbedder()).user("ana")
        print([item.text for item in ana.all()])
        try:
            ana.search("tea")
        except memweld.BackendUnavailableError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), f"sqlite:///{tmp_path / 'memory.db'}", json.dumps(mem0)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.splitlines()[0] == "['I love tea']"
    assert "in use by another process, and only one at a time may have it open: run `memweld serve`" in done.stdout


def test_a_search_during_the_end_opens_no_store(
    connect: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It would stay open, and its folder locked for other processes."""
    from memweld.engine.projections.mem0_store import store_registry

    backend = connect()
    backend.user("ana").add("I love tea")
    inner: Any = backend._engine.inner  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    close = inner.close

    def search_and_close() -> None:
        with pytest.raises(BackendUnavailableError, match="is closed"):
            backend.user("ana").search("tea")
        close()

    monkeypatch.setattr(inner, "close", search_and_close)
    backend.close()
    assert not [key for key in store_registry._open if str(tmp_path) in key[1]]


def error_in_child(memory: Memory) -> str:
    """The error of a search in the child of a fork."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            memory.search("tea")
        except BackendUnavailableError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        error = answers.read()
    os.waitpid(child, 0)
    assert error
    return error


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_the_child_of_a_fork_leaves_the_store_to_its_parent(connect: Callable[..., Backend]) -> None:
    backend = connect()
    ana = backend.user("ana")
    ana.add("I love tea")
    assert "in use by another process" in error_in_child(ana)
    ana.add("I love coffee")
    assert len(ids_in(backend)) == 2


# what it is configured with


@pytest.mark.parametrize(
    ("mem0", "message"),
    [
        ({}, "names no vector_store"),
        ("qdrant", "pass 'platform' or a mem0 configuration"),
        (["qdrant"], "pass 'platform' or a mem0 configuration"),
        ({"vector_store": "qdrant"}, "'vector_store' as a str"),
        ({"vector_store": {"config": {}}}, "names no vector_store"),
        ({"vectorstore": {}}, "'vectorstore', which is not known"),
        ({"graph_store": {"provider": "neo4j"}}, "mem0 2 has no graph stores"),
        ({"vector_store": {"provider": "qdrant"}, "reranker": {"provider": "x"}}, "memweld ranks by itself"),
        ({"vector_store": {"provider": "qdrant"}, "llm": "gpt"}, "'llm' as a str"),
        ({"platform": {"key": "x"}}, "it takes api_key and host"),
        ({"platform": {}, "vector_store": {"provider": "qdrant"}}, "choose one"),
        ("platform", "set MEM0_API_KEY"),
    ],
)
def test_a_bad_configuration_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mem0: Any, message: str
) -> None:
    monkeypatch.delenv("MEM0_API_KEY", raising=False)
    with pytest.raises(ConfigurationError, match=message) as caught:
        memweld.connect(f"sqlite:///{tmp_path / 'm.db'}", mem0=mem0)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "m.db").exists()


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ({"provider": "nowhere"}, "Unsupported vector store provider: nowhere"),
        ({"provider": "qdrant"}, "names no place for qdrant"),
        ({"provider": "chroma", "config": {"collection_name": "x"}}, "names no place for chroma"),
        ({"provider": "qdrant", "config": {"path": "PLACE", "colour": "red"}}, "Extra fields not allowed: colour"),
        ({"provider": "qdrant", "config": {"path": "PLACE", "embedding_model_dims": 1536}}, "have 64; leave it out"),
        ({"provider": "faiss", "config": {"path": "PLACE", "distance_strategy": "x"}}, "Invalid distance_strategy"),
    ],
)
def test_a_bad_store_is_refused_in_one_line(
    tmp_path: Path, connect: Callable[..., Backend], store: dict[str, Any], message: str
) -> None:
    store = json.loads(json.dumps(store).replace("PLACE", str(tmp_path / "store")))
    ana = connect(mem0={"vector_store": store}).user("ana")
    with pytest.raises(ConfigurationError, match=message) as caught:
        ana.add("I love tea")
    assert "\n" not in str(caught.value)
    assert ana.all() == []


def test_a_store_whose_package_is_missing(connect: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pinecone", "mem0.vector_stores.pinecone", "mem0.configs.vector_stores.pinecone"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "pinecone", None)
    store = {"provider": "pinecone", "config": {"api_key": "x", "serverless_config": {"cloud": "aws", "region": "x"}}}
    with pytest.raises(MissingExtraError, match=r"pinecone store needs a package that is not installed: .*pinecone"):
        connect(mem0={"vector_store": store}).user("ana").add("I love tea")


def test_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names a store for files, not for what is only in RAM; its LLM and embedder are used."""
    embedder = {"provider": "langchain", "config": {"model": HashEmbeddings()}}
    monkeypatch.setenv("MEMWELD_MEM0", json.dumps(stored_in(tmp_path)))
    with memweld.connect(f"sqlite:///{tmp_path / 'm.db'}") as backend:
        backend.user("ana").add("I love tea")
        assert len(ids_in(backend)) == 1
    with memweld.connect("sqlite://", embedder=HashEmbedder()) as backend:
        backend.user("ana").add("I love tea")
        assert not isinstance(backend._engine, ProjectedEngine)
    mem0 = {**stored_in(tmp_path, collection_name="other"), "embedder": embedder}
    with memweld.connect("sqlite://", mem0=mem0) as backend:
        backend.user("ana").add("I love tea")
        assert store_of(backend).embedding_model_dims == 64
    with pytest.raises(ConfigurationError, match="the server to decide"):
        memweld.connect("http://127.0.0.1:1/mcp", mem0=mem0)


# moving


def test_a_file_moves_to_a_store_and_back(tmp_path: Path, connect: Callable[..., Backend]) -> None:
    with connect(mem0=None) as embedded:
        ana = embedded.user("ana")
        ana.add("I love green tea")
        ana.state("n").set("k", 1, text="the value of the key")
        score = ana.search("green tea")[0].score
    with connect() as there:
        ana = there.user("ana")
        with pytest.raises(ConfigurationError, match="memweld reindex"):
            ana.search("green tea")
        with pytest.raises(ConfigurationError, match="memweld reindex"):
            ana.add("I love coffee")
        assert len(ana.all()) == 2
        steps: list[tuple[int, int]] = []
        assert there.admin.reindex(lambda done, total: steps.append((done, total))) == 2
        assert steps[-1] == (2, 2)
        assert ids_in(there) == {item.id for item in ana.all()}
        assert ana.search("green tea")[0].score == pytest.approx(score, abs=0.01)
    with connect(mem0=None) as back:
        ana = back.user("ana")
        with pytest.raises(ConfigurationError, match="memweld reindex"):
            ana.search("green tea")
        assert back.admin.reindex() == 2
        ana.add("I love coffee")
        assert ana.search("green tea")[0].score == pytest.approx(score, abs=0.01)
        assert ana.search("coffee")[0].text == "I love coffee"


def test_another_embedder_needs_another_collection(tmp_path: Path, connect: Callable[..., Backend]) -> None:
    with connect() as backend:
        backend.user("ana").add("I love green tea")
    with connect(embedder=HashEmbedder(32)) as backend, pytest.raises(ConfigurationError, match="another length"):
        backend.user("ana").search("tea")
    with connect(embedder=HashEmbedder(32), mem0=stored_in(tmp_path / "new")) as backend:
        assert backend.admin.reindex() == 1
        assert backend.user("ana").search("green tea")[0].score > 0.5


def test_connecting_loads_and_opens_nothing(tmp_path: Path) -> None:
    code = """
        import sys, json, memweld
        backend = memweld.connect(sys.argv[1], mem0=json.loads(sys.argv[2]))
        print([name for name in ("mem0", "qdrant_client", "numpy", "sqlalchemy") if name in sys.modules])
        ana = backend.user("ana")
        ana.state("n")["k"] = 1
        print(ana.all(), ana.clear(), ana.erase().total)
        print("mem0" in sys.modules)
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), f"sqlite:///{tmp_path / 'memory.db'}"]
    mem0 = json.dumps(stored_in(tmp_path))
    done = subprocess.run([*command, mem0], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout.split("\n"), done.stderr) == (["[]", "[] 0 1", "False", ""], "")
    assert not (tmp_path / "qdrant").exists()


def test_a_postgres_that_is_not_there_says_so_once(
    connect: Callable[..., Backend], caplog: pytest.LogCaptureFixture
) -> None:
    """psycopg's pool would try for half a minute, and log each time."""
    pytest.importorskip("psycopg_pool")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = {"host": "127.0.0.1", "port": bound.getsockname()[1], "user": "ana", "password": "secret"}
        store = {"vector_store": {"provider": "pgvector", "config": {"dbname": "memories", **address}}}
        backend = connect(mem0=store)
        with pytest.raises(BackendUnavailableError, match="refused") as caught:
            backend.user("ana").search("tea")
    assert "secret" not in f"{caught.value}{caplog.text}"
    assert [record for record in caplog.records if record.name.startswith("psycopg")] == []


def test_a_stores_log_tells_nothing(connect: Callable[..., Backend], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        ana = connect().user("ana")
        (item,) = ana.add("a secret unicorn")
        ana.search("unicorn")
        ana.update(item.id, "another unicorn")
        ana.erase()
    assert "unicorn" not in caplog.text


def test_the_doctor_shows_what_waits_and_brings_it(
    connect: Callable[..., Backend], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memweld.cli.doctor import Repair, examine

    url = f"sqlite:///{tmp_path / 'memory.db'}"

    def doctor(repair: Repair | None = None) -> list[tuple[str, bool]]:
        found = [each for each in examine(url, repair=repair) if each.label.startswith("mem0")]
        return [(re.sub(r"for \d+ s", "for … s", f"{each.label}: {each.text}"), each.problem) for each in found]

    with connect(embedder=None) as backend:
        ana = backend.user("ana")
        ana.add("I live in Porto")

        def fail(_rows: object) -> None:
            raise BackendUnavailableError("The store is on holiday.")

        monkeypatch.setattr(projection_of(backend).store, "put", fail)
        ana.add("I like tea")
        ana.add("I like rain")
    assert doctor() == [
        (
            "mem0 store: 2 changes wait to be delivered, and it is not named: set MEMWELD_MEM0, or run `memweld "
            "reindex` to take the vectors into the file",
            True,
        )
    ]
    monkeypatch.setenv("MEMWELD_MEM0", json.dumps(stored_in(tmp_path)))
    text = "mem0 store: 2 changes wait to be delivered; failing for … s: The store is on holiday. Run `memweld doctor"
    assert doctor() == [(f"{text} --repair`", True)]
    assert doctor(Repair()) == [
        ("mem0 repaired: 2 changes delivered", False),
        ("mem0 store: has received all memories", False),
    ]
    with connect(embedder=None) as backend:
        backend.user("ana").search("tea")
        assert len(ids_in(backend)) == 3
        assert backend.admin.sync_projections() == 0
    assert memweld.connect("sqlite://").admin.sync_projections() == 0
