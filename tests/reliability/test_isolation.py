"""No row of another scope, whatever is asked for and through whichever door.

Every text and value carries a proof of whose it is. Whatever comes back to somebody, errors included, may hold no other
proofs than those of the scopes that theirs contains; and what somebody keeps is there whatever all the others do.
"""

from __future__ import annotations

import contextlib
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar, cast

import doors
import hostile
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from langgraph.store.base import InvalidNamespaceError
from places import Place

import memweld
from memweld import Memory, MemoryNotFoundError, MemweldError, Scope
from memweld.langchain import MemweldStore
from memweld.models import ValueWrite
from memweld.tools import TOOLS

PROOF = re.compile(r"proof(\d+)q")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
DONE: Counter[str] = Counter()
PROVED: Counter[str] = Counter()


def root_of(scope: Scope) -> Scope:
    """The scope that has an id once: all that is kept of a user, or an agent's own memory."""
    return scope if scope.user_id is None else Scope(scope.user_id)


class World:
    """A backend with its doors, and what is known of who wrote what."""

    def __init__(self, place: Place, open_doors: list[str]) -> None:
        place.clear()
        self.backend = place.connect()
        self.doors = {name: doors.DOORS[name](self.backend, hostile.SCOPES) for name in open_doors}
        self.store = MemweldStore(self.backend)
        self.owners: dict[tuple[Scope, str], int] = {}
        self.sentinels: dict[int, tuple[str, str]] = {}

    def close(self) -> None:
        for door in self.doors.values():
            door.close()
        self.backend.close()

    @staticmethod
    def number(scope: Scope) -> int:
        return hostile.SCOPES.index(scope)

    def allowed(self, scope: Scope) -> set[int]:
        return {number for number, each in enumerate(hostile.SCOPES) if scope.contains(each)}

    def check(self, scope: Scope, answer: object, done: object) -> str:
        """Assert that the answer proves to be of the scope's own."""
        text = answer if isinstance(answer, str) else repr(answer)
        proofs = {int(number) for number in PROOF.findall(text)}
        assert proofs <= self.allowed(scope), (scope, done, text[:2000])
        PROVED["answers"] += bool(proofs)
        return text

    def words(self, chance: random.Random, scope: Scope, memory_id: str | None = None) -> str:
        """A text that proves whose it is: the item's owner's, if there is one that the scope may change."""
        number = self.number(scope)
        if memory_id is not None and self.owners.get(place := (root_of(scope), memory_id)) in self.allowed(scope):
            number = self.owners[place]
        said = " ".join(chance.choices(hostile.WORDS, k=4))
        return f"{said} kanari{number}z proof{number}q {chance.randrange(300)}"

    def memory_id(self, chance: random.Random, scope: Scope) -> str:
        """An id of anybody's; sentinels only where the scope must not reach them."""
        mine = self.allowed(scope)
        foreign = [memory_id for number, (memory_id, _) in self.sentinels.items() if number not in mine]
        known = [place for place in list(self.owners)[-200:] if place[1] not in self._guarded()]
        own = [memory_id for root, memory_id in known if self.owners[root, memory_id] in mine]
        if own and chance.random() < 0.3:
            return chance.choice(own)
        known_ids = [memory_id for _, memory_id in known[-60:]]
        return chance.choice([*known_ids, *known_ids, *foreign[:20], "no-such-id", "*", "%", "' OR 1=1 --", "x" * 512])

    def _guarded(self) -> set[str]:
        return {memory_id for memory_id, _ in self.sentinels.values()}

    def learn(self, scope: Scope, answer: str) -> None:
        """Ids in the answer to an addition are those of this scope."""
        for memory_id in UUID.findall(answer):
            self.owners.setdefault((root_of(scope), memory_id), self.number(scope))

    def forget(self, scope: Scope) -> None:
        for number in self.allowed(scope):
            self.sentinels.pop(number, None)

    def guard(self, scope: Scope) -> None:
        """Leave something that only its owner, or the owner's user, may take away."""
        number = self.number(scope)
        if number not in self.sentinels:
            text = f"shared sentinel words proof{number}q"
            (item,) = self.backend.scoped(scope).add(text)
            self.sentinels[number] = (item.id, text)

    # one operation

    def by_tool(self, chance: random.Random, door: str) -> None:
        scope, tool = hostile.pick_scope(chance), chance.choice(list(TOOLS))
        if tool == "delete_all_memories" and chance.random() < 0.8:
            tool = "search_memories"
        arguments = {**self.arguments(chance, scope, tool), **hostile.spoofed(chance)}
        answer = self.doors[door].call(scope, tool, arguments)
        self.check(scope, answer, (door, tool, arguments))
        if tool == "add_memory":
            self.learn(scope, answer)
        if tool == "delete_all_memories":
            self.forget(scope)
        if tool in ("search_memories", "get_all_memories") and not answer.lower().startswith("error"):
            self.guard(scope)

    def arguments(self, chance: random.Random, scope: Scope, tool: str) -> dict[str, Any]:
        memory_id, key = self.memory_id(chance, scope), chance.choice(hostile.KEYS)
        session, namespace = chance.choice(hostile.KEYS), chance.choice(hostile.KEYS)
        mine, changed = self.words(chance, scope), self.words(chance, scope, memory_id)
        said = {"role": "user", "content": mine}
        return {
            "add_memory": {"messages": [said], "metadata": {**chance.choice(hostile.FILTERS), "mine": mine}},
            "search_memories": {"query": self.query(chance), "limit": chance.choice([1, 10, 50])},
            "get_profile": {},
            "get_memory": {"memory_id": memory_id, "versions": chance.random() < 0.3},
            "get_all_memories": chance.choice([{}, {"filters": chance.choice(hostile.FILTERS)}]),
            "update_memory": {"memory_id": memory_id, "data": changed},
            "delete_memory": {"memory_id": memory_id},
            "delete_all_memories": {},
            "get_preferences": chance.choice([{}, {"key": key}]),
            "set_preference": {"key": key, "value": mine},
            "get_task_context": {"task_id": chance.choice([key, self.query(chance)])},
            "record_task_outcome": {"task_id": key, "outcome": mine},
            "set_state": {"namespace": namespace, "key": key, "value": {"mine": mine}},
            "get_state": {"namespace": namespace, "key": key},
            "delete_state": {"namespace": namespace, "key": key},
            "list_state_keys": {"namespace": namespace},
            "add_messages": {"session_id": session, "messages": [{**said, "id": chance.choice(["m", "1", mine])}]},
            "get_messages": {"session_id": session},
            "clear_messages": {"session_id": session, "facts": chance.random() < 0.3},
        }[tool]

    @staticmethod
    def query(chance: random.Random) -> str:
        return chance.choice([*hostile.QUERIES, f"kanari{chance.randrange(len(hostile.SCOPES))}z"])

    def by_core(self, chance: random.Random) -> None:
        scope = hostile.pick_scope(chance)
        memory = self.backend.scoped(scope)
        calls = [name for name in dir(self) if name.startswith("core_")]
        weights = [
            0.15 if name in ("core_clear", "core_delete_all", "core_erase", "core_restore") else 1 for name in calls
        ]
        (name,) = chance.choices(calls, weights)
        try:
            answer = getattr(self, name)(chance, scope, memory)
        except (MemweldError, KeyError, InvalidNamespaceError) as error:
            answer = error
        self.check(scope, answer, name)

    def core_add(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        metadata = {**chance.choice(hostile.FILTERS), "n": chance.randrange(3)}
        items = memory.add(self.words(chance, scope), metadata=metadata, session_id=chance.choice(hostile.KEYS))
        self.learn(scope, repr(items))
        return items

    def core_search(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        filters = chance.choice([None, *hostile.FILTERS, *hostile.TOO_MUCH])
        kinds: Any = chance.choice([None, None, "item", ["preference", "task"], "record"])
        return memory.search(self.query(chance), limit=chance.choice([1, 50, 10_000]), filters=filters, kinds=kinds)

    def core_list(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        filters = chance.choice([None, None, *hostile.FILTERS, *hostile.TOO_MUCH])
        cursor = chance.choice([None, self.memory_id(chance, scope)])
        return memory.all(cursor=cursor, limit=chance.choice([1, 100]), filters=filters)

    def core_delete_all(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        # No sentinel has metadata or a session.
        conditions: list[dict[str, Any]] = [
            {"filters": {"n": {"$lt": 2}}},
            {"filters": {"OR": [{"n": {"gte": 2}}, {"user_id": "*"}]}},
            {"filters": {"*": "*"}},
            {"session_id": chance.choice(hostile.KEYS), "after": "2001-01-01"},
        ]
        return memory.delete_all(**chance.choice(conditions))

    def core_profile(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        for _ in range(2):
            memory.recall(self.query(chance))
        return memory.profile(budget=chance.choice([200, 20_000]))

    def core_pin(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        memory_id = self.memory_id(chance, scope)
        return [memory.pin(memory_id), *memory.all(pinned=True, limit=100)]

    def core_read(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        memory_id = self.memory_id(chance, scope)
        item = memory.get(memory_id)
        assert self.owners.get((root_of(scope), memory_id), -1) in {*self.allowed(scope), -1}
        return item

    def core_update(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        memory_id = self.memory_id(chance, scope)
        return memory.update(memory_id, self.words(chance, scope, memory_id), metadata=chance.choice(hostile.FILTERS))

    def core_delete(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        return memory.delete(self.memory_id(chance, scope))

    def core_preferences(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        key = chance.choice(hostile.KEYS)
        memory.preferences.set(key, self.words(chance, scope))
        return memory.preferences.all(), memory.preferences.search(self.query(chance)), memory.preferences.get(key)

    def core_tasks(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        memory.tasks.record(chance.choice(hostile.KEYS), outcome=self.words(chance, scope))
        return memory.tasks.context(self.query(chance), limit=50)

    def core_state(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        state, key = memory.state(chance.choice(hostile.KEYS)), chance.choice(hostile.KEYS)
        text = chance.choice([None, self.words(chance, scope)])
        state.set(key, self.words(chance, scope), text=text, ttl=chance.choice([None, 1e-6, 60]))
        state.update(key, lambda value: value, default=self.words(chance, scope))
        return dict(state), state.entries()

    def core_values(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        writes = [
            ValueWrite(namespace=each, key=chance.choice(hostile.KEYS), value={"v": self.words(chance, scope)})
            for each in chance.choices(hostile.KEYS, k=2)
        ]
        memory.values.write(writes)
        places = [(namespace, key) for namespace in hostile.KEYS[:6] for key in hostile.KEYS[:6]]
        under = chance.choice(["", *hostile.KEYS])
        return memory.values.find(under, where=chance.choice([None, {"v": {"$ne": 1}}])), memory.values.read(places)

    def core_history(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        history = memory.history(chance.choice(hostile.KEYS))
        if chance.random() < 0.2:
            history.clear()
        native = {"framework": "f", "message": {"text": self.words(chance, scope)}}
        history.append({"role": "user", "content": self.words(chance, scope), "id": "m", "native": native})
        answers: list[Any] = [history.messages(), memory.sessions()]
        with contextlib.suppress(MemoryNotFoundError):
            answers.append(history.messages(before=self.memory_id(chance, scope)))
        return answers

    def core_turn(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        turn = [{"role": "user", "content": self.words(chance, scope)}, {"role": "assistant", "content": "noted"}]
        captured = memory.capture(turn, session_id=chance.choice(hostile.KEYS))
        self.learn(scope, repr(captured))
        return captured, memory.recall(self.query(chance), limit=50)

    def core_store(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        labels = tuple(chance.choices([key for key in hostile.KEYS if len(key) < 100], k=chance.choice([1, 2])))
        key = chance.choice(hostile.KEYS[:12])
        with memweld.user_scope(cast("str", scope.user_id), agent_id=scope.agent_id):
            self.store.put(labels, key, {"v": self.words(chance, scope)})
            return (
                self.store.get(labels, key),
                self.store.search(labels[:1], query=chance.choice([None, self.query(chance)]), limit=50),
                self.store.search((), filter={"v": {"$ne": 1}}, limit=50),
                self.store.list_namespaces(limit=100),
            )

    def core_export(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        return memory.export()

    def core_clear(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        self.forget(scope)
        return memory.clear()

    def core_erase(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        self.forget(scope)
        return memory.erase()

    def core_restore(self, chance: random.Random, scope: Scope, memory: Memory) -> Any:
        """One's own export back, with forged ids: those of others' memories."""
        exported = memory.export()
        if chance.random() < 0.7:
            self.core_erase(chance, scope, memory)
        for item in exported["items"]:
            item["id"] = self.memory_id(chance, scope)
            item["user_id"] = chance.choice(hostile.USERS)
            item["updated_at"] = "2100-01-01T00:00:00+00:00"
        counts = memory.restore(exported)
        restored = memory.all(limit=1000)
        # Ids are unique among one user's memories: one that another agent gave up is this scope's from now on.
        self.owners.update(
            {(root_of(scope), item.id): self.number(Scope(item.user_id, item.agent_id)) for item in restored}
        )
        return counts, restored

    def check_sentinels(self) -> None:
        """Nobody has taken away, changed or seen what was left for its owner."""
        for number, (memory_id, text) in self.sentinels.items():
            scope = hostile.SCOPES[number]
            assert self.backend.scoped(scope).get(memory_id).text == text
            other = hostile.SCOPES[(number + 7) % len(hostile.SCOPES)]
            if not other.contains(scope):
                # It may have restored something of its own under this id.
                with contextlib.suppress(MemoryNotFoundError):
                    assert self.backend.scoped(other).get(memory_id).text != text


class Isolation(RuleBasedStateMachine):
    """Bursts of operations by many scopes, from a seed each."""

    place: ClassVar[Place]
    open_doors: ClassVar[list[str]] = ["tools", "functions", "langchain", "crewai", "autogen"]
    burst: ClassVar[int] = 25

    @initialize()
    def build(self) -> None:
        self.world = World(self.place, self.open_doors)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.close()

    @rule(seed=st.integers(0, 2**32), count=st.integers(1, 2))
    def core(self, seed: int, count: int) -> None:
        chance = random.Random(seed)
        for _ in range(count * self.burst):
            self.world.by_core(chance)
            DONE["core"] += 1

    @rule(seed=st.integers(0, 2**32), count=st.integers(1, 2), place=st.integers(0, 9))
    def tools(self, seed: int, count: int, place: int) -> None:
        chance, door = random.Random(seed), self.open_doors[place % len(self.open_doors)]
        for _ in range(count * self.burst):
            self.world.by_tool(chance, door)
            DONE[door] += 1

    @invariant()
    def what_is_left_for_its_owner_is_there(self) -> None:
        if hasattr(self, "world"):
            self.world.check_sentinels()


class IsolationOverMCP(Isolation):
    """The same with the server, whose start is worth more operations at once."""

    place: ClassVar[Place]
    open_doors: ClassVar[list[str]] = ["mcp"]
    burst: ClassVar[int] = 40


def run(machine: type[Isolation], place: Place, operations: int) -> None:
    """As many examples as it takes until each door was used; each is as long as Hypothesis likes."""
    machine.place = place
    before, proved, examples = DONE.copy(), PROVED.total(), 0
    with pytest.MonkeyPatch.context() as patch:
        while (DONE - before).total() < operations or not all((DONE - before)[door] for door in machine.open_doors):
            examples += 1
            assert examples < 200
            # Other operations than in the examples before, and the same in each run. Seeds below 3 choose no door.
            patch.setattr("hypothesis.core.global_force_seed", 2 + examples)
            run_state_machine_as_test(
                machine, settings=settings(derandomize=False, max_examples=3, stateful_step_count=30)
            )
    assert PROVED.total() - proved > operations / 4, "where nothing comes back, nothing is shown"
    print(f"{(DONE - before).total():,} operations: {dict(DONE - before)}")


@pytest.fixture(
    params=["ram", *(pytest.param(kind, marks=pytest.mark.services) for kind in ("postgres", "secured"))],
    scope="module",
)
def anywhere(request: pytest.FixtureRequest, make_place: Callable[[str], Place]) -> Place:
    """In RAM; on Postgres; on Postgres under row-level security."""
    return make_place(request.param)


def test_no_row_of_another_scope(anywhere: Place) -> None:
    run(Isolation, anywhere, 1_000 if anywhere.moment < 0.01 else 700)


def test_no_row_of_another_scope_over_mcp(anywhere: Place) -> None:
    run(IsolationOverMCP, anywhere, 250)


def take_turns(place: Place, turns: int) -> None:
    """Agents with automatic memory in every framework, in shared sessions, for whoever is speaking."""
    world = World(place, [])
    try:
        for number in range(turns):
            chance = random.Random(number)
            scope = hostile.pick_scope(chance)
            text = f"shared words? {world.words(chance, scope)}"
            seen = doors.TURNS[number % len(doors.TURNS)](world.backend, scope, text, chance.choice(["one", "two"]))
            world.check(scope, seen, number)
            assert text in seen
            DONE["turns"] += 1
            for _ in range(5):
                world.by_core(chance)
    finally:
        world.close()


def test_no_row_of_another_scope_in_agents(anywhere: Place) -> None:
    take_turns(anywhere, 24)


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_no_row_of_another_scope_in_many_turns_of_agents() -> None:
    take_turns(Place(), 300)


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("machine", "operations"), [(Isolation, 88_000), (IsolationOverMCP, 12_500)])
def test_no_row_of_another_scope_in_a_hundred_thousand_operations(machine: type[Isolation], operations: int) -> None:
    before = DONE.total()
    run(machine, Place(), operations)
    assert DONE.total() - before >= operations
