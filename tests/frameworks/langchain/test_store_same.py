"""`MemweldStore` does what LangGraph's `InMemoryStore` does: generated operations, side by side."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.store.base import GetOp, Item, ListNamespacesOp, MatchCondition, Op, PutOp, SearchItem, SearchOp
from langgraph.store.memory import InMemoryStore

from memweld import Backend, connect
from memweld.engine.sql import database as clocks
from memweld.langchain import MemweldStore
from memweld.testing import HashEmbedder

Place: TypeAlias = "tuple[tuple[str, ...], str]"
START = datetime(2026, 1, 1, tzinfo=timezone.utc)

labels = st.sampled_from(["a", "b", "A", "a/b", "%2F", "ü", "*", " ", "langgraph"])
keys = st.sampled_from(["k", "K", "1", "", " ", "a/b", "%", "%25", "\u00fc\x00", "\ud800", "k'\"--"])
namespaces = st.lists(labels, min_size=1, max_size=3).map(tuple)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
leaves = st.none() | st.booleans() | st.integers(-3, 3) | texts | st.just(1e300) | st.just(10**30)
nested = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["x", "y"]), inner, max_size=2),
    max_leaves=4,
)
numbers = st.integers(-3, 3) | st.floats(-3, 3) | st.sampled_from(["1", "2.5"])
# "n" is always a number: InMemoryStore dies of comparing anything else.
values = st.fixed_dictionaries({"n": numbers}, optional={"v": nested, "w": nested, "text": texts})
comparisons = st.dictionaries(
    st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), numbers, min_size=1, max_size=2
)
equalities = st.dictionaries(st.sampled_from(["$eq", "$ne"]), leaves, min_size=1)
filters = st.none() | st.fixed_dictionaries(
    {}, optional={"n": comparisons, "v": nested | equalities, "w": st.fixed_dictionaries({"x": equalities | leaves})}
)
counts = st.integers(0, 5)
minutes = st.none() | st.integers(1, 10).map(float)

puts = st.builds(
    PutOp,
    namespaces,
    keys,
    st.none() | values,
    index=st.none() | st.just(False) | st.just(["text", "v.x", "w[*]"]),
    ttl=minutes,
)
gets = st.builds(GetOp, namespaces, keys, st.booleans())
searches = st.builds(
    SearchOp,
    st.lists(labels, max_size=2).map(tuple),
    filters,
    limit=counts | st.just(100),
    offset=counts,
    query=st.none() | st.just(""),
    refresh_ttl=st.booleans(),
)
conditions = st.builds(
    MatchCondition, st.sampled_from(["prefix", "suffix"]), st.lists(labels, min_size=1, max_size=3).map(tuple)
)
lists = st.builds(
    ListNamespacesOp,
    match_conditions=st.none() | st.lists(conditions, max_size=2).map(tuple),
    max_depth=st.none() | st.integers(1, 3),
    limit=counts | st.just(100),
    offset=counts,
)
batches = st.lists(puts | puts | gets | searches | lists, min_size=1, max_size=5)


@dataclass
class Reference:
    """An `InMemoryStore` whose items expire, and which has forgotten the namespaces that hold none.

    InMemoryStore lists a namespace for ever that was once asked for, and orders namespaces by that; it has no TTL.
    """

    store: InMemoryStore = field(default_factory=InMemoryStore)
    born: dict[Place, int] = field(default_factory=dict)
    ttls: dict[Place, float] = field(default_factory=dict)
    ends: dict[Place, datetime] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def batch(self, ops: Sequence[Op], now: datetime) -> list[Any]:
        for place in [place for place, end in self.ends.items() if end <= now]:
            self.store.delete(*place)
            self._forget(place)
        self._settle()
        # What a get asks for is listed by the same batch already; reads do not see each other otherwise.
        order = sorted(range(len(ops)), key=lambda at: isinstance(ops[at], GetOp))
        done = dict(zip(order, self.store.batch([ops[at] for at in order]), strict=True))
        results = [done[at] for at in range(len(ops))]
        for op, result in zip(ops, results, strict=True):
            if isinstance(op, (GetOp, SearchOp)) and op.refresh_ttl:
                self._refresh(result if isinstance(result, list) else [result], now)
        for place, op in {(op.namespace, op.key): op for op in ops if isinstance(op, PutOp)}.items():
            if op.value is None:
                self._forget(place)
                continue
            self.born.setdefault(place, next(self.numbers))
            self.ttls.pop(place, None)
            self.ends.pop(place, None)
            if op.ttl is not None:
                self.ttls[place], self.ends[place] = op.ttl, now + timedelta(minutes=op.ttl)
        return results

    def _refresh(self, items: Sequence[Any], now: datetime) -> None:
        for place in [(item.namespace, item.key) for item in items if isinstance(item, Item)]:
            if place in self.ttls:
                self.ends[place] = now + timedelta(minutes=self.ttls[place])

    def _forget(self, place: Place) -> None:
        for known in (self.born, self.ttls, self.ends):
            known.pop(place, None)

    def _settle(self) -> None:
        data = self.store._data
        held = {namespace: items for namespace, items in data.items() if items}
        data.clear()
        data.update(sorted(held.items(), key=lambda pair: min(self.born[pair[0], key] for key in pair[1])))


def plain(result: Any) -> Any:
    """A result without its times."""
    if isinstance(result, list):
        return [plain(each) for each in result]
    if isinstance(result, SearchItem):
        return result.namespace, result.key, result.value, result.score
    return (result.namespace, result.key, result.value) if isinstance(result, Item) else result


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    file = tmp_path_factory.mktemp("same") / "memory.db"
    with connect(f"sqlite:///{file}", embedder=HashEmbedder()) as backend:
        yield backend


@pytest.fixture(scope="module")
def users() -> Iterator[int]:
    return itertools.count()


@settings(max_examples=75)
@given(steps=st.lists(st.tuples(batches, st.booleans(), st.integers(0, 4)), max_size=8), indexed=st.booleans())
def test_every_batch_has_the_same_results(
    backend: Backend, users: Iterator[int], steps: list[tuple[list[Op], bool, int]], indexed: bool
) -> None:
    ana = backend.user(f"user-{next(users)}")
    store = MemweldStore(ana) if indexed else MemweldStore(ana, index=None)
    reference, now = Reference(), START

    def clock() -> float:
        return now.timestamp()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clocks, "time", SimpleNamespace(time=clock, monotonic=time.monotonic))
        for ops, awaited, passed in steps:
            now += timedelta(minutes=passed)
            expected = reference.batch(ops, now)
            results = asyncio.run(store.abatch(ops)) if awaited else store.batch(ops)
            assert plain(results) == plain(expected)
        alive = {place for place in reference.born if place not in reference.ends or reference.ends[place] > now}
        assert {(item.namespace, item.key) for item in store.search((), limit=1_000)} == alive
        records = ana.all(kinds="record", limit=1_000)
        assert len(records) <= len(alive) if indexed else not records


simple = st.lists(
    st.one_of(
        st.tuples(st.just("put"), namespaces.filter(lambda n: n[0] != "langgraph"), keys, values),
        st.tuples(st.just("get"), namespaces, keys),
        st.tuples(st.just("delete"), namespaces, keys),
        st.tuples(st.just("search"), namespaces.map(lambda n: n[:1])),
    ),
    max_size=12,
)


@settings(max_examples=40)
@given(steps=simple)
def test_the_named_methods_have_the_same_results(
    backend: Backend, users: Iterator[int], steps: list[tuple[Any, ...]]
) -> None:
    store, reference = MemweldStore(backend.user(f"user-{next(users)}")), InMemoryStore()
    for number, (name, *arguments) in enumerate(steps):
        expected = getattr(reference, name)(*arguments)
        awaited = f"a{name}" if number % 2 else name
        answer = getattr(store, awaited)(*arguments)
        result = asyncio.run(answer) if number % 2 else answer
        if name == "search":
            assert sorted(map(repr, plain(result))) == sorted(map(repr, plain(expected)))
        else:
            assert plain(result) == plain(expected)
