"""`MemweldStore`: whose items it holds, how they are found, how they end, and what runs on it."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from blockbuster import blockbuster_ctx
from langchain.agents import create_agent
from langchain.tools import InjectedStore, ToolRuntime
from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from langgraph.config import get_store
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    PutOp,
    SearchOp,
)
from typing_extensions import TypedDict

from memweld import (
    Backend,
    BackendUnavailableError,
    ConfigurationError,
    InvalidInputError,
    Memory,
    connect,
    user_scope,
)
from memweld.engine.sql import database as clocks
from memweld.langchain import MemweldMiddleware, MemweldStore
from memweld.testing import HashEmbedder, Mode
from memweld.testing.langchain import ScriptedChatModel, tool_call

both = pytest.mark.parametrize("mode", ["sync", "async"])
TRIPS = ("trips", "2026")


class Context(TypedDict):
    user_id: str


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def backend(file: Path) -> Iterator[Backend]:
    with connect(f"sqlite:///{file}", embedder=HashEmbedder()) as backend:
        yield backend


@pytest.fixture
def store(ana: Memory) -> MemweldStore:
    return MemweldStore(ana)


def keys(items: Any) -> list[str]:
    return [item.key for item in items]


# values


def test_a_value_comes_back_equal_and_is_not_shared(store: MemweldStore) -> None:
    value: dict[str, Any] = {"text": "ü\u0000\n", "n": [1, 2.5, -(10**20), None, True], "deep": {"a": {"b": []}}}
    given = {**value, "deep": {"a": {"b": []}}}
    store.put(TRIPS, "porto", given)
    given["deep"]["a"]["b"].append("later")
    item = store.get(TRIPS, "porto")
    assert item is not None
    assert (item.value, item.key, item.namespace) == (value, "porto", TRIPS)
    item.value["n"].append("mine")
    (found,) = store.search(())
    assert (found.value, found.score) == (value, None)
    assert store.get(TRIPS, "faro") is None


def test_times_say_when_it_was_put_first_and_last(store: MemweldStore) -> None:
    store.put(TRIPS, "porto", {"n": 1})
    first = store.get(TRIPS, "porto")
    store.put(TRIPS, "porto", {"n": 2})
    second = store.get(TRIPS, "porto")
    assert first is not None
    assert second is not None
    assert first.created_at == first.updated_at == second.created_at < second.updated_at
    store.delete(TRIPS, "porto")
    store.put(TRIPS, "porto", {"n": 3})
    third = store.get(TRIPS, "porto")
    assert third is not None
    assert third.created_at > second.updated_at


@pytest.mark.parametrize(
    "value", [{"a": {1, 2}}, {"a": float("nan")}, {1: 2}, {"a": object()}, {"a": b"x"}, {"a": "\ud800"}, [1], "text", 7]
)
@both
def test_what_json_cannot_hold_is_refused_with_its_whole_batch(store: MemweldStore, value: Any, mode: Mode) -> None:
    ops = [PutOp(TRIPS, "a", {"n": 1}), PutOp(TRIPS, "b", value), PutOp(TRIPS, "c", {"n": 1})]
    with pytest.raises(InvalidInputError):
        store.batch(ops) if mode == "sync" else asyncio.run(store.abatch(ops))
    assert store.search(()) == []


def test_a_large_value(store: MemweldStore, ana: Memory) -> None:
    text = "the ficus is thirsty " * 60_000
    store.put(TRIPS, "long", {"text": text})
    (item,) = store.search(TRIPS, query="ficus")
    assert item.value == {"text": text}
    with pytest.raises(InvalidInputError, match="characters"):
        store.put(TRIPS, "longer", {"text": "x" * 17_000_000})
    assert len(ana.recall("ficus")) < 5_000


def test_a_batch_reads_before_it_writes(store: MemweldStore) -> None:
    store.put(TRIPS, "a", {"n": 1})
    results = store.batch(
        [
            PutOp(TRIPS, "a", {"n": 2}),
            GetOp(TRIPS, "a"),
            PutOp(TRIPS, "b", {"n": 3}),
            SearchOp(TRIPS),
            PutOp(("other",), "b", {"n": 3}),
            ListNamespacesOp(),
            PutOp(TRIPS, "b", {"n": 4}),
            PutOp(TRIPS, "a", None),
        ]
    )
    assert [results[at] for at in (0, 2, 4, 6, 7)] == [None] * 5
    assert results[1] is not None
    assert results[1].value == {"n": 1}  # pyright: ignore[reportAttributeAccessIssue]
    assert keys(results[3]) == ["a"]
    assert results[5] == [TRIPS]
    assert [(item.key, item.value) for item in store.search(TRIPS)] == [("b", {"n": 4})]
    assert store.batch([]) == []


async def test_gathered_calls_are_one_batch(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each memory and tick; each call has its own result or error, and a cancelled one takes none along."""
    store, other = MemweldStore(backend.user("ana")), MemweldStore(backend.user("bob"))
    engine, seen = backend.user("ana")._engine, []  # pyright: ignore[reportPrivateUsage]
    plain = engine.run

    def run(scope: Any, operation: Any) -> Any:
        seen.append((str(scope.user_id), operation.name))
        return plain(scope, operation)

    monkeypatch.setattr(engine, "run", run)
    await asyncio.gather(
        *(store.aput(TRIPS, f"k{number}", {"n": number}) for number in range(50)),
        *(other.aput(TRIPS, f"k{number}", {"n": -number}) for number in range(50)),
    )
    assert sorted(seen) == [("ana", "write_values"), ("bob", "write_values")]
    seen.clear()
    items = await asyncio.gather(*(store.aget(TRIPS, f"k{number}") for number in range(51)))
    assert [item and item.value["n"] for item in items] == [*range(50), None]
    assert seen == [("ana", "read_values")]
    calls = [
        store.aput(TRIPS, "a", {"n": 1}),
        store.aput(TRIPS, "b", {"n": object()}),
        store.aput(TRIPS, "a", {"n": 2}),
    ]
    answers = await asyncio.gather(*calls, store.aget(TRIPS, "k7"), return_exceptions=True)
    assert [type(answer).__name__ for answer in answers] == ["NoneType", "InvalidInputError", "NoneType", "Item"]
    cancelled = asyncio.create_task(store.aput(TRIPS, "c", {"n": 1}))
    kept = asyncio.create_task(store.aput(TRIPS, "d", {"n": 1}))
    await asyncio.sleep(0)
    cancelled.cancel()
    await kept
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    found = {item.key: item.value["n"] for item in await store.asearch(TRIPS, limit=100)}
    assert (found["a"], found["d"], "b" in found, len(await other.asearch(TRIPS, limit=100))) == (2, 1, False, 50)


async def test_a_librarys_panic_is_the_error_of_each_call(ana: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a cancellation, which would end the run that made the call."""

    class PanicException(BaseException):
        """As libraries in Rust raise it."""

    def panic(*_: Any) -> Any:
        raise PanicException

    store = MemweldStore(ana)
    monkeypatch.setattr(ana._engine, "run", panic)  # pyright: ignore[reportPrivateUsage]
    answers = await asyncio.gather(*(store.aput(TRIPS, key, {"n": 1}) for key in "ab"), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["Internal error: PanicException"] * 2


async def test_puts_come_in_the_order_of_their_calls(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those of later ticks, and of very many at once; gets do not wait for them."""
    store = MemweldStore(backend.user("ana"), index=None)
    await store.aput(TRIPS, "k", {"n": -1})
    engine, busy = backend.user("ana")._engine, threading.Event()  # pyright: ignore[reportPrivateUsage]
    plain = engine.run

    def run(scope: Any, operation: Any) -> Any:
        if operation.name == "write_values":
            busy.wait(60)
        return plain(scope, operation)

    monkeypatch.setattr(engine, "run", run)
    puts: list[asyncio.Task[None]] = []
    for number in range(5):
        puts.append(asyncio.create_task(store.aput(TRIPS, "k", {"n": number})))
        await asyncio.sleep(0.01)
    read = await store.aget(TRIPS, "k")
    assert read is not None
    assert read.value == {"n": -1}
    busy.set()
    await asyncio.gather(*puts)
    await asyncio.gather(*(store.aput(TRIPS, "k", {"n": number}) for number in range(2_500)))
    last = await store.aget(TRIPS, "k")
    assert last is not None
    assert last.value == {"n": 2_499}


def test_wrong_calls_say_what_is_wrong(store: MemweldStore, backend: Backend) -> None:
    for namespace in ((), ("a.b",), ("",), ("langgraph",), (7,)):
        with pytest.raises(InvalidNamespaceError):
            store.put(namespace, "k", {"n": 1})  # pyright: ignore[reportArgumentType]
    for op in (GetOp(("a.b",), "k"), PutOp(("a.b",), "k", {}), SearchOp(("a.b",))):
        with pytest.raises(InvalidNamespaceError):
            store.batch([op])
    wrong: list[Any] = [
        lambda: store.search((), filter={"n": {"$near": [1]}}),
        lambda: store.search((), filter={"n": {"$gt": None}}),
        lambda: store.search((), filter=[1]),  # pyright: ignore[reportArgumentType]
        lambda: store.search((), limit=-1),
        lambda: store.search((), offset=-1),
        lambda: store.search((), limit="1"),  # pyright: ignore[reportArgumentType]
        lambda: store.put(TRIPS, "k", {"n": 1}, ttl=0),
        lambda: store.put(TRIPS, "k", {"n": 1}, ttl=float("inf")),
        lambda: store.put(TRIPS, "k", {"n": 1}, index="text"),  # pyright: ignore[reportArgumentType]
        lambda: store.put(TRIPS, "x" * 600, {"n": 1}),
        lambda: store.put(("x" * 600,), "k", {"n": 1}),
        lambda: store.batch([PutOp((), "k", {"n": 1})]),
        lambda: store.batch(["get"]),  # pyright: ignore[reportArgumentType]
        lambda: MemweldStore("ana"),  # pyright: ignore[reportArgumentType]
        lambda: MemweldStore(backend, index={"fields": ["text"], "dims": 3}),
        lambda: MemweldStore(backend, index={"fields": "text"}),  # pyright: ignore[reportArgumentType]
    ]
    for number, call in enumerate(wrong):
        with pytest.raises(InvalidInputError) as caught:
            call()
        assert len(str(caught.value)) > 20, number
    assert store.search(()) == []


def test_a_comparison_with_what_is_no_number_fits_nothing(store: MemweldStore) -> None:
    for number, value in enumerate([None, "many", [1], {"a": 1}, 2, "3"]):
        store.put(TRIPS, str(number), {"n": value})
    store.put(TRIPS, "none", {})
    assert keys(store.search(TRIPS, filter={"n": {"$gt": 1}})) == ["4", "5"]


# finding


def test_only_a_query_is_semantic(store: MemweldStore) -> None:
    store.put(TRIPS, "porto", {"text": "We eat sardines by the river"})
    store.put(TRIPS, "faro", {"text": "We swim in the sea"})
    store.put(TRIPS, "code", {"text": "We eat in silence"}, index=False)
    store.put(("notes",), "a", {"text": "Sardines by the river are for cats"})
    found = store.search(TRIPS, query="sardines by the river")
    assert keys(found) == ["porto", "faro", "code"]
    assert found[0].score is not None
    assert found[1].score is not None
    assert 1 >= found[0].score > found[1].score >= 0
    assert found[2].score is None
    assert keys(store.search(TRIPS)) == ["porto", "faro", "code"]
    assert keys(store.search(TRIPS, query="sardines", limit=1, offset=1)) == ["faro"]
    assert keys(store.search(TRIPS, query="sardines", limit=5, offset=2)) == ["code"]
    assert store.search((), query="sardines by the river", limit=2)[1].namespace == ("notes",)
    assert keys(store.search((), query="sardines", filter={"text": "We swim in the sea"})) == ["faro"]
    assert keys(store.search(TRIPS, query=" \ud800\x00")) == ["porto", "faro", "code"]


def test_the_index_says_by_which_fields_an_item_is_found(ana: Memory) -> None:
    store = MemweldStore(ana, index={"fields": ["title", "parts[*].text"]})
    store.put(TRIPS, "a", {"title": "Sardines", "secret": "rhubarb", "parts": [{"text": "tiles"}, {"text": "trams"}]})
    store.put(TRIPS, "b", {"title": "Ficus", "note": "cellar"}, index=["note"])
    assert sorted(item.text for item in ana.all()) == ["Sardines\ntiles\ntrams", "cellar"]
    store.put(TRIPS, "a", {"title": "", "parts": []})
    store.put(TRIPS, "b", {"note": "attic"}, index=False)
    assert (ana.all(), len(store.search(TRIPS))) == ([], 2)
    plain = MemweldStore(ana, index=None)
    plain.put(TRIPS, "c", {"title": "Sardines"}, index=["title"])
    assert (ana.all(), keys(plain.search(TRIPS, query="anything at all"))) == ([], ["a", "b", "c"])


def test_a_whole_item_is_kept_in_words(store: MemweldStore, ana: Memory) -> None:
    store.put(TRIPS, "one", {"content": "I like trams"})
    store.put(TRIPS, "some", {"kind": "Trip", "content": {"city": "Porto", "days": 3}})
    store.put(TRIPS, "none", {"a": {}, "b": []})
    assert [item.text for item in ana.all()] == ["I like trams", '{"kind":"Trip","content":{"city":"Porto","days":3}}']


def test_search_looks_far_enough(store: MemweldStore, ana: Memory) -> None:
    """However many better memories lie elsewhere or do not fit the filter."""
    far = [PutOp(("far", str(number)), "k", {"text": "sardines sardines", "n": 1}) for number in range(150)]
    near = [
        PutOp(("near", str(number)), "k", {"text": f"the ficus and many other words {number}"}) for number in (1, 2)
    ]
    store.batch([*far, *near])
    ana.add("I like sardines")
    assert [item.namespace for item in store.search(("near",), query="sardines", limit=5)] == [
        ("near", "1"),
        ("near", "2"),
    ]
    assert len(store.search((), query="sardines", filter={"n": 1}, limit=140, offset=5)) == 140
    assert [item.namespace for item in store.search((), query="sardines", filter={"n": {"$ne": 1}})] == [
        ("near", "1"),
        ("near", "2"),
    ]


def test_a_filter_chooses_before_the_ranking(store: MemweldStore) -> None:
    """However many items fit the query better, also more than a search ever returns."""
    puts = [PutOp(("docs", f"d{n % 2}"), f"k{n}", {"text": f"paid {n}", "flag": False}) for n in range(10_200)]
    for start in range(0, len(puts), 3400):
        store.batch(puts[start : start + 3400])
    store.put(("docs", "d0"), "needle", {"text": "zebra crossing", "flag": True})
    store.put(("notes", "a"), "n1", {"text": "green parrots"})
    assert keys(store.search(("docs",), query="paid", filter={"flag": True})) == ["needle"]
    assert keys(store.search(("notes",), query="paid")) == ["n1"]


def test_what_is_put_is_found_by_every_framework(store: MemweldStore, ana: Memory, backend: Backend) -> None:
    store.put(TRIPS, "porto", {"text": "The hotel in Porto has a cat"})
    assert "hotel in Porto" in ana.recall("which hotel?")
    assert ana.state("langgraph/trips/2026")["porto"] == {"text": "The hotel in Porto has a cat"}
    assert "hotel" not in backend.user("bob").recall("which hotel?")
    model = ScriptedChatModel(["The one with the cat."])
    agent = create_agent(model, middleware=[MemweldMiddleware(ana)])
    agent.invoke({"messages": [{"role": "user", "content": "Which hotel do I like?"}]})
    assert "hotel in Porto" in model.calls[0].text
    store.delete(TRIPS, "porto")
    assert ana.recall("hotel Porto cat", kinds="record") == ""
    store.put(TRIPS, "porto", {"text": "The hotel in Porto has a dog"})
    ana.delete(ana.search("hotel", kinds="record")[0].id)
    assert store.get(TRIPS, "porto") is None


# time


@pytest.fixture
def let_pass(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets so many minutes pass."""
    passed: list[float] = []
    clock = SimpleNamespace(time=lambda: time.time() + 60 * sum(passed), monotonic=time.monotonic)
    monkeypatch.setattr(clocks, "time", clock)
    return passed.append


def test_what_expires(store: MemweldStore, ana: Memory, let_pass: Callable[[float], None]) -> None:
    store.put(TRIPS, "short", {"text": "The tram leaves soon"}, ttl=5)
    store.put(TRIPS, "long", {"text": "The boat leaves late"}, ttl=10)
    store.put(TRIPS, "ever", {"text": "The house stays"})
    assert keys(store.search(TRIPS)) == ["short", "long", "ever"]
    assert "tram" in ana.recall("tram")
    let_pass(6)
    assert store.get(TRIPS, "short") is None
    assert keys(store.search(TRIPS)) == ["long", "ever"]
    assert "short" not in keys(store.search(TRIPS, query="tram"))
    assert "tram" not in ana.recall("tram")
    assert (store.sweep_ttl(), asyncio.run(store.asweep_ttl())) == (1, 0)


def test_reading_keeps_alive_unless_told_otherwise(ana: Memory, let_pass: Callable[[float], None]) -> None:
    store = MemweldStore(ana, ttl={"default_ttl": 10})
    names = ["get", "search", "query", "unread", "no"]
    for key in names:
        store.put((key,), key, {"text": f"The {key} tram"})
    store.put(("for ever",), "k", {"n": 1}, ttl=None)
    for _ in range(4):
        let_pass(4)
        store.get(("get",), "get")
        store.search(("search",))
        store.search(("query",), query="tram")
        store.get(("no",), "no", refresh_ttl=False)
        store.search(("no",), refresh_ttl=False)
    assert store.list_namespaces() == [("for ever",), ("get",), ("query",), ("search",)]
    careful = MemweldStore(ana, ttl={"refresh_on_read": False})
    careful.put(("a",), "k", {"n": 1}, ttl=10)
    for _ in range(3):
        let_pass(4)
        careful.get(("a",), "k")
    assert careful.get(("a",), "k") is None


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def rows(backend: Backend) -> int:
    """How many values the file has, expired ones too."""
    database: Any = backend._engine._database  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    with database.reading_all() as connection:
        return int(connection.execute("SELECT count(*) FROM state").fetchone()[0])


def test_a_sweeper_deletes_from_time_to_time(backend: Backend) -> None:
    store = MemweldStore(backend, ttl={"sweep_interval_minutes": 1})
    for user in ("ana", "bob"):
        with user_scope(user):
            store.put(TRIPS, "k", {"text": "soon gone"}, ttl=0.001)
    ended = store.start_ttl_sweeper(0.002)
    assert store.start_ttl_sweeper(0.002) is not ended
    until(lambda: rows(backend) == 0)
    assert backend.admin.purge_expired() == 0
    assert store.stop_ttl_sweeper(timeout=60)
    assert ended.result(timeout=60) is None
    again = store.start_ttl_sweeper(0.002)
    assert again.cancel()
    assert store.stop_ttl_sweeper(timeout=60)
    with pytest.raises(CancelledError):
        again.result()


def test_a_sweeper_ends_with_its_backend(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemweldStore(backend)
    failures: list[BackendUnavailableError] = [BackendUnavailableError("The disk is full")] * 2

    def fail() -> int:
        raise failures.pop() if failures else AssertionError

    monkeypatch.setattr(backend.admin.__class__, "purge_expired", lambda _: fail() if failures else 0)
    ended = [store.start_ttl_sweeper(0.0005), store.start_ttl_sweeper(0.0005)]
    until(lambda: caplog.text.count("it is tried again") == 2)
    assert not any(future.done() for future in ended)
    backend.close()
    assert [future.result(timeout=60) for future in ended] == [None, None]
    assert store.start_ttl_sweeper(5).result(timeout=60) is None
    assert caplog.text.count("it is tried again") == 2


# whose


def test_two_users_have_two_stores(backend: Backend) -> None:
    ana, bob = MemweldStore(backend.user("ana")), MemweldStore(backend.user("bob"))
    shared = MemweldStore(backend)
    for namespace in (("memories", "ana"), ("memories", "bob"), ("bob",)):
        ana.put(namespace, "k", {"text": "Ana's sardines"})
    for mine in (bob, shared):
        with user_scope("bob"):
            assert (mine.search(()), mine.list_namespaces(), mine.search((), query="sardines")) == ([], [], [])
            assert mine.get(("memories", "bob"), "k") is None
            mine.delete(("memories", "ana"), "k")
    assert len(ana.search(())) == 3
    with pytest.raises(ConfigurationError):
        shared.get(("memories",), "k")
    with pytest.raises(ConfigurationError):
        asyncio.run(shared.aput(("memories",), "k", {"n": 1}))


def test_an_agent_of_the_user_has_a_store_of_its_own(backend: Backend) -> None:
    agent, ana = MemweldStore(backend.user("ana", agent_id="r")), MemweldStore(backend.user("ana"))
    agent.put(TRIPS, "k", {"text": "sardines"})
    ana.put(TRIPS, "k", {"text": "sardines and tiles"})
    for mine, text in ((agent, "sardines"), (ana, "sardines and tiles")):
        assert [item.value["text"] for item in mine.search(TRIPS, query="sardines")] == [text]


@tool
def remember(text: str, store: Annotated[BaseStore, InjectedStore()]) -> str:
    """Remember a text."""
    store.put(("notes",), text, {"text": text})
    return "kept"


@tool
async def aremember(text: str, runtime: ToolRuntime[Any, Any]) -> str:
    """Remember a text."""
    assert runtime.store is not None
    await runtime.store.aput(("notes",), text, {"text": text})
    return "kept"


@both
def test_an_agent_that_serves_many_users(backend: Backend, mode: Mode) -> None:
    users = [f"user-{number}" for number in range(6)]
    store = MemweldStore(backend)
    name = "remember" if mode == "sync" else "aremember"

    def answer(call: Any) -> Any:
        last = call.messages[-1]
        return "Done." if isinstance(last, ToolMessage) else tool_call(name, {"text": last.text})

    agent = create_agent(ScriptedChatModel(answer), tools=[remember, aremember], store=store, context_schema=Context)

    def state(user: str) -> Any:
        return {"messages": [{"role": "user", "content": f"I am {user}"}]}

    async def all_at_once() -> None:
        await asyncio.gather(*(agent.ainvoke(state(user), context=Context(user_id=user)) for user in users))

    if mode == "async":
        asyncio.run(all_at_once())
    else:
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda user: agent.invoke(state(user), context=Context(user_id=user)), users))
    for user in users:
        (item,) = MemweldStore(backend.user(user)).search(("notes",))
        assert item.value == {"text": f"I am {user}"}
    with pytest.raises(ConfigurationError):
        agent.invoke(state("nobody")) if mode == "sync" else asyncio.run(agent.ainvoke(state("nobody")))


class Visit(TypedDict):
    seen: int


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asynchronous nodes need Python 3.11 to know their config")
@both
def test_a_graph_compiled_with_the_store(backend: Backend, mode: Mode) -> None:
    def count(state: Visit, runtime: Runtime[Context]) -> Visit:
        assert runtime.store is not None
        assert runtime.store is get_store()
        before = runtime.store.get(("visits",), "count")
        number = 1 if before is None else before.value["n"] + 1
        runtime.store.put(("visits",), "count", {"n": number})
        return {"seen": number}

    async def acount(state: Visit, runtime: Runtime[Context]) -> Visit:
        assert runtime.store is not None
        before = await runtime.store.aget(("visits",), "count")
        number = 1 if before is None else before.value["n"] + 1
        await runtime.store.aput(("visits",), "count", {"n": number})
        return {"seen": number}

    builder = StateGraph(Visit, context_schema=Context)
    builder.add_node("count", count if mode == "sync" else acount)
    builder.add_edge(START, "count")
    builder.add_edge("count", END)
    graph = builder.compile(store=MemweldStore(backend))

    def visit(user: str) -> int:
        context, start = Context(user_id=user), Visit(seen=0)
        result = (
            graph.invoke(start, context=context)
            if mode == "sync"
            else asyncio.run(graph.ainvoke(start, context=context))
        )
        return result["seen"]

    assert [visit("ana"), visit("ana"), visit("bob"), visit("ana")] == [1, 2, 1, 3]
    configured = {"configurable": {"user_id": "bob"}}
    assert asyncio.run(graph.ainvoke(Visit(seen=0), configured))["seen"] == 2  # pyright: ignore[reportArgumentType]


# lasting


def test_it_lasts(file: Path) -> None:
    with connect(f"sqlite:///{file}", embedder=HashEmbedder()) as backend:
        MemweldStore(backend.user("ana")).put(TRIPS, "porto", {"text": "sardines"}, ttl=10)
    with connect(f"sqlite:///{file}", embedder=HashEmbedder()) as backend:
        (item,) = MemweldStore(backend.user("ana")).search(TRIPS, query="sardines")
        assert item.value == {"text": "sardines"}


def test_two_processes_share_it(file: Path, store: MemweldStore) -> None:
    store.put(TRIPS, "here", {"text": "sardines"})
    assert keys(store.search(TRIPS, query="sardines")) == ["here"]
    there = """
        import sys
        import memweld
        from memweld.langchain import MemweldStore
        from memweld.testing import HashEmbedder

        with memweld.connect(f"sqlite:///{sys.argv[1]}", embedder=HashEmbedder()) as backend:
            store = MemweldStore(backend.user("ana"))
            assert store.search(("trips",), query="sardines")[0].key == "here"
            store.put(("trips", "2026"), "there", {"text": "sardines and tiles"})
            store.put(("trips", "2026"), "here", {"text": "a ficus"})
    """
    command = [sys.executable, "-c", textwrap.dedent(there), str(file)]
    subprocess.run(command, check=True, timeout=60)
    assert keys(store.search(TRIPS, query="sardines")) == ["there", "here"]
    item = store.get(TRIPS, "here")
    assert item is not None
    assert item.value == {"text": "a ficus"}


def test_a_server_can_keep_it(file: Path) -> None:
    command = [sys.executable, "-m", "memweld", "serve", "--url", f"sqlite:///{file}"]
    with connect(f"stdio:{shlex.join(command)}") as backend:
        store = MemweldStore(backend)
        with user_scope("ana"):
            store.batch([PutOp(TRIPS, str(number), {"n": number, "text": f"tile {number}"}) for number in range(30)])
            store.put(TRIPS, "sardines", {"n": -1, "text": "sardines by the river"}, ttl=10)
            assert keys(store.search(("trips",), query="sardines", limit=1)) == ["sardines"]
            assert keys(store.search(TRIPS, filter={"n": {"$gt": 20}}, limit=2, offset=3)) == ["24", "25"]
            assert keys(asyncio.run(store.asearch(TRIPS, filter={"n": {"$lt": 0}}))) == ["sardines"]
        with user_scope("bob"):
            assert (store.search(()), store.list_namespaces(), store.sweep_ttl()) == ([], [], 0)


def test_the_event_loop_is_not_blocked(store: MemweldStore, ana: Memory) -> None:
    async def work() -> list[str]:
        with blockbuster_ctx():
            await store.aput(TRIPS, "a", {"text": "sardines"}, ttl=10)
            await asyncio.gather(*(store.aput(TRIPS, f"b{number}", {"text": "tiles"}) for number in range(8)))
            await store.aget(TRIPS, "a")
            await store.alist_namespaces(prefix=("trips",))
            await store.adelete(TRIPS, "b0")
            await store.asweep_ttl()
            return keys(await store.asearch(TRIPS, query="sardines", limit=1))

    assert asyncio.run(work()) == ["a"]
    # Nothing in it belongs to an event loop: another one, or none, goes on with the same object.
    assert asyncio.run(work()) == ["a"]

    async def synchronously() -> int:
        return len(store.search(TRIPS))

    assert asyncio.run(synchronously()) == 8
