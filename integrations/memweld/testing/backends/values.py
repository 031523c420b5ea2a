"""State with an end and with a text, read in bulk and written together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from ... import Backend, Memory
from ...errors import InvalidInputError, MemoryNotFoundError
from ...models import ValueEntry, ValueWrite
from .base import BackendFixtures

__all__ = ["ValueTests"]

# Long enough for some writes to a store that has just begun, on a busy machine.
SHORT, LONG = 1.5, 600.0
ENDING = (("a", "The ficus"), ("b", None))


def gone(memory: Memory, word: str) -> bool:
    """Whether no memory says the word any more, by whichever way it is read."""
    answers = (memory.search(word), memory.all(), memory.recall(word), memory.export())
    return not any(word in str(answer) for answer in answers)


def pairs(entries: list[ValueEntry]) -> list[tuple[str, str]]:
    """Where the values lie."""
    return [(entry.namespace, entry.key) for entry in entries]


class ValueTests(BackendFixtures):
    """State with an end and with a text, read in bulk and written together."""

    def test_a_value_with_a_text_is_found_by_it(self, ana: Memory, bob: Memory) -> None:
        """Its record is a memory like any other; equal texts of two keys are two; no other user finds it."""
        state = ana.state("plants")
        state.set("a", {"n": 1}, text="The ficus drinks on Mondays")
        state.set("b", {"n": 2}, text="The ficus drinks on Mondays")
        found = ana.search("ficus", kinds="record")
        assert sorted((hit.kind, hit.metadata["namespace"], hit.metadata["key"]) for hit in found) == [
            ("record", "plants", "a"),
            ("record", "plants", "b"),
        ]
        assert (len({hit.id for hit in found}), len({hit.key for hit in found})) == (2, 2)
        assert "ficus" in ana.recall("ficus")
        assert [item.text for item in ana.all(filters={"key": "a"})] == ["The ficus drinks on Mondays"]
        assert (bob.search("ficus"), dict(bob.state("plants"))) == ([], {})

    def test_a_text_changes_with_its_value(self, ana: Memory) -> None:
        """The record stays one memory while its text changes, and goes when the value is set without a text."""
        state = ana.state("plants")
        state.set("a", 1, text="The ficus is thirsty")
        (before,) = ana.all(kinds="record")
        state.set("a", 2, text="The ficus is flooded")
        (after,) = ana.all(kinds="record")
        assert (after.id, after.text, after.created_at) == (before.id, "The ficus is flooded", before.created_at)
        with pytest.raises(InvalidInputError, match="by its key"):
            ana.update(after.id, "The ficus is fine")
        state["a"] = 3
        assert (state["a"], gone(ana, "ficus")) == (3, True)
        state.set("a", 4, text="The ficus is back")
        assert state.modify("a", lambda value: value + 1) == 5
        assert ana.search("ficus", kinds="record")[0].text == "The ficus is back"

    def test_value_and_record_go_together(self, ana: Memory) -> None:
        """Whichever of the two is deleted; clearing memories leaves both."""
        state = ana.state("plants")
        state["plain"] = 0
        for number, delete in enumerate((state.delete, state.pop)):
            state.set("a", number, text="The ficus")
            delete("a")
            assert gone(ana, "ficus")
        state.set("a", 1, text="The ficus")
        ana.delete(ana.all()[0].id)
        assert ("a" not in state, gone(ana, "ficus")) == (True, True)
        state.set("a", 1, text="The ficus")
        ana.add("I like trees")
        assert ana.clear() == 1
        assert (dict(state), [item.text for item in ana.all()]) == ({"a": 1, "plain": 0}, ["The ficus"])
        assert ana.search("ficus")[0].kind == "record"
        state.clear()
        assert (len(state), ana.all()) == (0, [])
        state.set("a", 1, text="The ficus")
        receipt = ana.erase()
        assert (receipt.counts["values"], receipt.counts["items"]) == (1, 1)
        assert (len(state), gone(ana, "ficus")) == (0, True)

    def test_what_an_agent_keeps_is_its_own(self, backend: Backend, ana: Memory) -> None:
        """A user's memory finds what an agent recorded about the user, and can forget it with its value."""
        agent = backend.user("ana", agent_id="gardener")
        agent.state("plants").set("a", 1, text="The ficus is thirsty")
        ana.state("plants").set("a", 2, text="The ficus is fine")
        assert {hit.agent_id for hit in ana.search("ficus")} == {"gardener", None}
        assert [hit.text for hit in agent.search("ficus")] == ["The ficus is thirsty"]
        assert ana.clear() == 0
        (record,) = ana.all(kinds="record", limit=1)
        ana.delete(record.id)
        assert (dict(agent.state("plants")), dict(ana.state("plants"))) == ({}, {"a": 2})

    def test_what_has_expired_is_gone_from_every_answer(self, ana: Memory, make: Callable[..., Backend]) -> None:
        """At once, on every connection, whether it was swept or not; the sweep counts what it deletes."""
        state = ana.state("plants")
        state.set("plain", 1, ttl=LONG)
        state.set("told", 2, ttl=LONG, text="The ficus is thirsty")
        state.set("long", 3, ttl=LONG)
        (record,) = ana.search("ficus")
        assert state["told"] == 2
        state.set("plain", 1, ttl=SHORT)
        state.set("told", 2, ttl=SHORT, text="The ficus is thirsty")
        time.sleep(SHORT + 0.1)
        for memory in (ana, make().user("ana")):
            old = memory.state("plants")
            assert (old.get("told"), "plain" in old) == (None, False)
            assert (list(old), dict(old.items())) == (["long"], {"long": 3})
            assert pairs(memory.values.find()) == [("plants", "long")]
            assert memory.values.read([("plants", "told"), ("plants", "long")])[0] is None
            assert gone(memory, "ficus")
            assert (state.delete("plain"), memory.values.namespaces()) == (False, ["plants"])
            with pytest.raises(MemoryNotFoundError):
                memory.get(record.id)
        with pytest.raises(MemoryNotFoundError):
            ana.delete(record.id)
        state.set("told", 5, ttl=LONG)
        assert (state["told"], ana.clear()) == (5, 0)

    def test_a_sweep_deletes_what_has_expired(self, ana: Memory, bob: Memory) -> None:
        """Of the scope that sweeps, records included; a second one finds nothing."""
        for memory in (ana, bob):
            memory.state("n").set("a", 1, ttl=LONG, text="The ficus")
            memory.state("n").set("b", 1, ttl=LONG)
            memory.state("n").set("c", 1)
        assert ana.values.purge_expired() == 0
        for memory in (ana, bob):
            ends = [ValueWrite(namespace="n", key=key, value=1, text=text, ttl=SHORT) for key, text in ENDING]
            memory.values.write(ends)
        time.sleep(SHORT + 0.1)
        assert (ana.values.purge_expired(), ana.values.purge_expired()) == (2, 0)
        assert bob.values.purge_expired() == 2
        assert ana.erase().counts["values"] == 1

    def test_setting_a_key_anew_begins_its_time_anew(self, ana: Memory) -> None:
        """Without an end it has none; an expired key counts as absent for an atomic update."""
        state = ana.state("n")
        state.set("kept", 1, ttl=SHORT)
        state["kept"] = 2
        state.set("lost", 1, ttl=SHORT)
        time.sleep(SHORT + 0.1)
        assert (state.get("kept"), state.modify("lost", lambda value: value + 10, default=0)) == (2, 10)
        (entry,) = ana.state("n").entries("lost")
        assert entry.expires_at is None

    def test_a_change_in_place_keeps_end_and_text(self, ana: Memory) -> None:
        """`modify` changes the value alone; a new key has neither."""
        state = ana.state("n")
        state.set("a", 1, ttl=LONG, text="The ficus")
        (before,) = state.entries()
        assert (state.modify("a", lambda value: value + 1), state.modify("b", lambda _: 0)) == (2, 0)
        after, new = state.entries()
        assert (after.value, after.expires_at, after.created_at) == (2, before.expires_at, before.created_at)
        assert after.version != before.version
        assert (new.expires_at, [hit.metadata["key"] for hit in ana.search("ficus")]) == (None, ["a"])

    def test_reading_can_begin_the_time_anew(self, ana: Memory) -> None:
        """For those that expire, and only where it is asked for."""
        ana.state("n").set("a", 1, ttl=LONG)
        ana.state("n").set("b", 1)
        first, still = ana.values.read([("n", "a"), ("n", "b")])
        assert (first and first.expires_at) is not None
        assert (still and still.expires_at) is None
        (again, _) = ana.values.find("n")
        assert again == first
        (renewed, _) = ana.values.find("n", refresh=True)
        (last,) = ana.values.read([("n", "a")], refresh=True)
        ends = [entry.expires_at for entry in (first, renewed, last) if entry and entry.expires_at]
        assert ends == sorted(set(ends))
        assert len(ends) == 3

    def test_entries_come_in_the_order_of_their_keys(self, ana: Memory) -> None:
        """With values and times, by prefix, in pages; created once, updated each time."""
        state = ana.state("n")
        for number in (0, 1):
            state.set(f"k{number:04}", {"n": number})
        for start in (2, 502, 1_002):
            keys = {f"k{number:04}": {"n": number} for number in range(start, min(start + 500, 1_049))}
            ana.values.write([ValueWrite(namespace="n", key=key, value=value) for key, value in keys.items()])
        state.set("k0000", {"n": 1_049})
        entries = list(state.entries())
        assert [entry.key for entry in entries] == [f"k{number:04}" for number in range(1_049)]
        assert dict(state.items()) == {entry.key: entry.value for entry in entries}
        assert list(state.values())[1] == {"n": 1}
        assert [entry.key for entry in state.entries("k000")] == [f"k000{digit}" for digit in range(10)]
        assert entries[0].created_at < entries[1].created_at < entries[0].updated_at
        state["%_"] = 1
        assert [entry.key for entry in state.entries("%")] == ["%_"]

    def test_values_are_found_across_namespaces(self, ana: Memory, bob: Memory) -> None:
        """Below a namespace, by conditions, in pages, in the order in which namespaces and keys came."""
        for namespace, key, value in (
            ("b/x", "2", {"n": 1, "who": {"name": "Eva"}}),
            ("b/x", "1", {"n": 2, "tags": ["a", 1]}),
            ("a", "1", {"n": 3}),
            ("b", "1", {"n": "12"}),
            ("bc", "1", {"n": None}),
            ("b/x", "0", [1]),
        ):
            ana.state(namespace)[key] = value
        bob.state("b")["1"] = {"n": 1}
        assert ana.values.namespaces() == ["b/x", "a", "b", "bc"]
        assert ana.values.namespaces("b") == ["b/x", "b"]
        assert pairs(ana.values.find()) == [
            ("b/x", "2"), ("b/x", "1"), ("b/x", "0"), ("a", "1"), ("b", "1"), ("bc", "1"),
        ]  # fmt: skip
        assert pairs(ana.values.find("b")) == [("b/x", "2"), ("b/x", "1"), ("b/x", "0"), ("b", "1")]
        assert pairs(ana.values.find(offset=2, limit=3)) == [("b/x", "0"), ("a", "1"), ("b", "1")]
        conditions: list[tuple[dict[str, Any], list[str]]] = [
            ({"n": 2}, ["b/x"]),
            ({"n": {"$gte": 2}}, ["b/x", "a", "b"]),
            ({"n": {"$gt": 1, "$lt": 3}}, ["b/x"]),
            ({"n": {"$ne": 2}}, ["b/x", "a", "b", "bc"]),
            ({"n": None}, ["bc"]),
            ({"who": {"name": {"$eq": "Eva"}}}, ["b/x"]),
            ({"tags": ["a", {"$lte": 1}]}, ["b/x"]),
            ({"n": {"$in": [2, None]}, "tags": {"$exists": False}}, ["bc"]),
            ({"$or": [{"n": {"$gt": 11}}, {"who": {"name": {"$icontains": "ev"}}}]}, ["b/x", "b"]),
            ({"$not": {"n": {"$gte": 1}}}, ["bc"]),
            # In values mem0's words are fields.
            ({"who": {"gte": None}}, ["b/x"]),
        ]
        for where, expected in conditions:
            assert [entry.namespace for entry in ana.values.find(where=where)] == expected, where
        assert pairs(ana.values.find(where={"n": {"$gte": 1}}, offset=1, limit=2)) == [("b/x", "1"), ("a", "1")]
        for wrong in ({"n": {"$in": 1}}, {"n": {"$gt": None}}, {"n": {"$near": 1}}, {"$or": [1]}, [1]):
            with pytest.raises(InvalidInputError):
                ana.values.find(where=wrong)  # pyright: ignore[reportArgumentType]

    def test_values_are_searched_by_meaning(self, ana: Memory, bob: Memory) -> None:
        """The values that fit are chosen before they are ranked; behind them stand those that have no text."""
        plants = ana.state("plants/home")
        for number in range(40):
            plants.set(f"many-{number}", {"n": number}, text=f"The ficus drinks, the ficus drinks {number}")
        plants.set("rare", {"n": 100}, text="A palm among others")
        plants.set("plain", {"n": 101})
        ana.state("plants").set("top", {"n": 5}, text="The ficus drinks")
        ana.state("plantsX").set("beside", {"n": 6}, text="The ficus drinks")
        ana.state("plants").set("gone", {"n": 7}, text="The ficus drinks", ttl=SHORT)
        ana.add("The ficus drinks")
        bob.state("plants").set("theirs", {"n": 8}, text="The ficus drinks")
        time.sleep(SHORT + 0.1)

        def found(**options: Any) -> list[tuple[str, bool]]:
            defaults: dict[str, Any] = {"limit": 100}
            hits = ana.values.search("ficus drinks", **(defaults | options))
            return [(hit.entry.key, hit.score is not None) for hit in hits]

        assert len(found(under="plants")) == 43
        assert found(under="plants")[-2:] == [("rare", True), ("plain", False)]
        assert found(under="plants", offset=42) == [("plain", False)]
        assert found(under="plants", offset=40, limit=2) == found(under="plants")[40:42]
        assert found(under="plants", where={"n": {"$gte": 100}}) == [("rare", True), ("plain", False)]
        assert found(under="plants", where={"n": {"$gte": 100}}, limit=1) == [("rare", True)]
        assert found(where={"n": {"$gte": 5, "$lte": 6}}, under="plantsX") == [("beside", True)]
        assert {key for key, _ in found(where={"n": {"$gte": 5, "$lte": 7}})} == {
            "top", "beside", "many-5", "many-6", "many-7"
        }  # fmt: skip
        assert (found(under="none"), found(under="plants", offset=100)) == ([], [])
        first, second = ana.values.search("palm", "plants", limit=2)
        assert first.entry == next(plants.entries("rare"))
        assert 1 >= (first.score or 0) > (second.score or 0) >= 0

    def test_a_search_for_values_can_begin_their_time_anew(self, ana: Memory) -> None:
        """With a text and without one."""
        ana.state("n").set("a", 1, ttl=LONG, text="The ficus")
        ana.state("n").set("b", 1, ttl=LONG)
        before = ana.values.search("ficus", "n")
        after = ana.values.search("ficus", "n", refresh=True)
        assert [hit.entry.key for hit in before] == [hit.entry.key for hit in after] == ["a", "b"]
        for one, other in zip(before, after, strict=True):
            assert one.entry.expires_at is not None
            assert other.entry.expires_at is not None
            assert one.entry.expires_at < other.entry.expires_at

    def test_infinity_and_nan_are_operands(self, ana: Memory) -> None:
        """A comparison takes them as Python does; no value equals them, not even their names."""
        for key, value in (("a", 10), ("b", "inf"), ("c", "nan"), ("d", None)):
            ana.state("n")[key] = {"price": value}
        infinity, nan = float("inf"), float("nan")
        for condition, expected in (
            ({"$lt": infinity}, ["a"]),
            ({"$gt": -infinity}, ["a", "b"]),
            ({"$gte": infinity}, ["b"]),
            ({"$gt": nan}, []),
            ({"$eq": nan}, []),
            (infinity, []),
            ({"$ne": nan, "$lte": infinity}, ["a", "b"]),
            ([infinity], []),
        ):
            entries = ana.values.find("n", where={"price": condition})
            assert [entry.key for entry in entries] == expected, condition

    def test_writes_are_done_together_or_not_at_all(self, ana: Memory) -> None:
        """In their order; a write that is refused leaves the others undone."""
        ana.state("n").set("old", 1, text="The ficus is old")
        ana.values.write(
            [
                ValueWrite(namespace="n", key="old", delete=True),
                ValueWrite(namespace="n", key="a", value={"n": 1}, text="The palm is new", ttl=LONG),
                ValueWrite(namespace="m", key="a", value=1),
                ValueWrite(namespace="m", key="a", value=2),
            ]
        )
        assert (dict(ana.state("n")), dict(ana.state("m"))) == ({"a": {"n": 1}}, {"a": 2})
        assert ([hit.text for hit in ana.search("palm")], gone(ana, "ficus")) == (["The palm is new"], True)
        before = next(ana.state("n").entries("a"))
        (record,) = ana.all(kinds="record")
        ana.values.write(
            [
                ValueWrite(namespace="n", key="a", value=2, text="The palm is old"),
                ValueWrite(namespace="m", key="a", delete=True),
                ValueWrite(namespace="m", key="a", value=3, text="An oak"),
                ValueWrite(namespace="n", key="b", value=1, text="A birch"),
                ValueWrite(namespace="n", key="b", value=2),
                ValueWrite(namespace="n", key="c", value=1),
                ValueWrite(namespace="n", key="c", delete=True),
            ]
        )
        after = next(ana.state("n").entries("a"))
        assert (after.value, after.created_at, after.expires_at) == (2, before.created_at, None)
        assert after.version != before.version
        assert (dict(ana.state("n")), dict(ana.state("m"))) == ({"a": 2, "b": 2}, {"a": 3})
        records = {item.text: item for item in ana.all(kinds="record")}
        assert sorted(records) == ["An oak", "The palm is old"]
        changed = records["The palm is old"]
        assert (changed.id, changed.created_at) == (record.id, record.created_at)
        assert changed.updated_at > record.updated_at
        (hit,) = ana.search("palm", limit=1)
        assert hit.text == "The palm is old"
        for wrong in (
            ValueWrite(namespace="n", key="x", value=object()),
            ValueWrite(namespace="", key="x"),
            ValueWrite(namespace="n", key="x", text=" "),
            ValueWrite(namespace="n", key="x", ttl=0),
            ValueWrite(namespace="n", key="x", ttl=float("nan")),
        ):
            with pytest.raises(InvalidInputError):
                ana.values.write([ValueWrite(namespace="n", key="first"), wrong])
        assert "first" not in ana.state("n")

    def test_async_values_are_the_same(self, ana: Memory) -> None:
        """Every method works awaited."""

        async def scenario() -> None:
            aio = ana.aio
            await aio.state("n").set("k", {"n": 1}, ttl=LONG, text="The ficus")
            (entry,) = await aio.values.read([("n", "k")])
            assert entry == (await aio.state("n").entries())[0]
            assert pairs(await aio.values.find("n", where={"n": 1})) == [("n", "k")]
            await aio.values.write([ValueWrite(namespace="n", key="k", delete=True)])
            assert (await aio.values.namespaces(), await aio.values.purge_expired()) == ([], 0)

        asyncio.run(scenario())
