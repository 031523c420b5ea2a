"""Properties: whatever JSON and text there is comes back equal, and no sequence of calls shows another scope's rows."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import memweld
from memweld.testing import HashEmbedder

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
key = text.filter(lambda value: bool(value.strip()) and "\x00" not in value)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3))
in_memory = settings(max_examples=60)


@pytest.fixture(scope="module")
def ana() -> Any:
    with memweld.connect("sqlite://", embedder=HashEmbedder()) as backend:
        yield backend.user("ana")


@in_memory
@given(namespace=key, name=key, value=values)
def test_any_json_round_trips_through_state(ana: memweld.Memory, namespace: str, name: str, value: Any) -> None:
    state = ana.state(namespace)
    state[name] = value
    assert repr(state[name]) == repr(value)
    assert name in state.list_keys()


@in_memory
@given(session=key, contents=st.lists(text, min_size=1, max_size=4))
def test_any_text_round_trips_through_history(ana: memweld.Memory, session: str, contents: list[str]) -> None:
    history = ana.history(session)
    history.clear()
    history.append([{"role": "user", "content": content} for content in contents])
    assert [message.content for message in history.messages()] == contents


@in_memory
@given(query=text, metadata=st.dictionaries(key, values, max_size=3))
def test_any_metadata_and_query(ana: memweld.Memory, query: str, metadata: dict[str, Any]) -> None:
    (item,) = ana.add(f"fact about {len(ana.all(limit=10_000))}", metadata=metadata)
    assert repr(dict(ana.get(item.id).metadata)) == repr(metadata)
    scalars_only = {name: value for name, value in metadata.items() if not isinstance(value, (list, dict))}
    assert item.id in [found.id for found in ana.all(limit=10_000, filters=scalars_only)]
    if "\x00" not in query and query.strip():
        assert all(0 <= hit.score <= 1 for hit in ana.search(query))


USERS = ["ana", "Ana", "ana@example.com", "ana%40example.com", "a/na", "agent:ana"]


WHO: dict[str, Any] = {"user": st.sampled_from([*USERS, None]), "agent": st.sampled_from([None, "r", "ana"])}


class Isolation(RuleBasedStateMachine):
    """Random calls by several users and agents, compared with what each of them wrote."""

    @initialize()
    def connect(self) -> None:
        self.backend = memweld.connect("sqlite://", embedder=HashEmbedder())
        self.written: dict[tuple[str | None, str | None], dict[str, str]] = {}
        self.count = 0

    def teardown(self) -> None:
        if hasattr(self, "backend"):
            self.backend.close()

    def memory(self, user: str | None, agent: str | None) -> memweld.Memory:
        return self.backend.agent(agent or "r") if user is None else self.backend.user(user, agent_id=agent)

    def visible(self, user: str | None, agent: str | None) -> dict[str, str]:
        if user is None:
            return self.written.get((None, agent or "r"), {})
        mine = [rows for (u, a), rows in self.written.items() if u == user and agent in (None, a)]
        return {memory_id: text for rows in mine for memory_id, text in rows.items()}

    @rule(**WHO)
    def add(self, user: str | None, agent: str | None) -> None:
        self.count += 1
        (item,) = self.memory(user, agent).add(f"shared words number{self.count}")
        owner = (user, agent) if user is not None else (None, agent or "r")
        self.written.setdefault(owner, {})[item.id] = item.text

    @rule(number=st.integers(0, 50), **WHO)
    def touch_by_id(self, number: int, user: str | None, agent: str | None) -> None:
        everything = [memory_id for rows in self.written.values() for memory_id in rows]
        if not everything:
            return
        memory_id = everything[number % len(everything)]
        memory = self.memory(user, agent)
        mine = self.visible(user, agent)
        calls: list[Callable[[], Any]] = [
            lambda: memory.get(memory_id),
            lambda: memory.all(cursor=memory_id),
            lambda: memory.update(memory_id, f"updated words number{self.count}"),
            lambda: memory.delete(memory_id),
        ]
        call = calls[number % len(calls)]
        self.count += 1
        if memory_id not in mine:
            with pytest.raises(memweld.MemoryNotFoundError):
                call()
            return
        call()
        for rows in self.written.values():
            if memory_id in rows and number % len(calls) == 2:
                rows[memory_id] = f"updated words number{self.count}"
            elif memory_id in rows and number % len(calls) == 3:
                del rows[memory_id]

    @rule(erase=st.booleans(), **WHO)
    def clear(self, erase: bool, user: str | None, agent: str | None) -> None:
        memory, mine = self.memory(user, agent), self.visible(user, agent)
        assert (memory.erase().counts["items"] if erase else memory.clear()) == len(mine)
        for rows in self.written.values():
            for memory_id in set(mine) & set(rows):
                del rows[memory_id]

    @invariant()
    def everybody_sees_their_own_and_nothing_else(self) -> None:
        if not hasattr(self, "backend"):
            return
        for user in ("ana", "Ana", None):
            for agent in (None, "r"):
                memory, mine = self.memory(user, agent), self.visible(user, agent)
                assert {item.id: item.text for item in memory.all()} == mine
                assert {hit.id: hit.text for hit in memory.search("shared updated words", limit=100)} == mine


TestIsolation = Isolation.TestCase
TestIsolation.settings = settings(max_examples=25, stateful_step_count=25)
