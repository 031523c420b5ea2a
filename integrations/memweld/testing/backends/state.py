"""State: key-value pairs."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ... import Backend, Memory
from ...engine.operations import GetValue, Operation, ScanValues
from ...errors import (
    InvalidInputError,
)
from ...scope import Scope
from .base import BackendFixtures

__all__ = ["StateTests"]

NOT_JSON: list[Any] = [{1, 2}, 10**5000, object(), float("nan"), {1: 2}, b"x", "\ud800", [[[]], {"a": float("inf")}]]


def meanwhile(
    monkeypatch: pytest.MonkeyPatch, memory: Memory, kind: type[Operation[Any]], change: Callable[[], object]
) -> None:
    """Have another writer change something, once, right after the memory's first operation of this kind."""
    engine = memory._engine  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    plain = engine.run
    changes = [change]

    def run(scope: Scope, operation: Operation[Any]) -> Any:
        answer = plain(scope, operation)
        if changes and isinstance(operation, kind):
            changes.pop()()
        return answer

    monkeypatch.setattr(engine, "run", run)


class StateTests(BackendFixtures):
    """State: key-value pairs."""

    def test_state_is_a_mapping(self, ana: Memory, bob: Memory) -> None:
        """Any JSON value, exact; a mapping like any other; namespaces and users apart."""
        state = ana.state("crew")
        value: dict[str, Any] = {"text": "ü\u0000\n", "n": [1, 2.5, -(10**20), None, True], "deep": {"a": {"b": []}}}
        state.set("k", value)
        state["z"] = None
        assert (state.get("k"), state["z"], state.get("z", 1), state.get("none", 1)) == (value, None, None, 1)
        assert (state.list_keys(), list(state), len(state)) == (["k", "z"], ["k", "z"], 2)
        assert dict(state) == {"k": value, "z": None}
        assert ("k" in state, "none" in state, 7 in state) == (True, False, False)
        state.update({"a": 1}, b=2)
        assert (state.pop("a"), state.delete("b"), state.delete("b")) == (1, True, False)
        with pytest.raises(KeyError):
            state["a"]
        with pytest.raises(KeyError):
            del state["a"]
        assert (list(ana.state("other")), list(bob.state("crew"))) == ([], [])
        state.clear()
        assert len(state) == 0

    def test_state_update_is_atomic(self, make: Callable[..., Backend]) -> None:
        """No increment is lost between threads and connections."""
        states = [make().user("ana").state("n"), make().user("ana").state("n")]

        def count(number: int) -> None:
            for _ in range(25):
                states[number % 2].update("count", lambda value: value + 1, default=0)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(count, range(4)))
        assert states[0]["count"] == 100

    @pytest.mark.parametrize("value", NOT_JSON, ids=lambda value: type(value).__name__)
    def test_state_refuses_what_is_not_json(self, ana: Memory, value: Any) -> None:
        """A value that would not come back equal is an error, and the old one stays."""
        state = ana.state("n")
        state["k"] = 1
        with pytest.raises(InvalidInputError):
            state["k"] = value
        assert state["k"] == 1

    def test_what_another_writes_meanwhile_is_not_lost(
        self, make: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While another writer interferes, `pop` returns the value it removed and `setdefault` the value it stored."""
        ana, other = make().user("ana"), make().user("ana").state("n")
        state = ana.state("n")
        state["k"] = "old"
        meanwhile(monkeypatch, ana, GetValue, lambda: other.set("k", "new"))
        assert (state.pop("k"), state.pop("k", None)) == ("new", None)
        meanwhile(monkeypatch, ana, GetValue, lambda: other.set("k", "theirs"))
        assert (state.setdefault("k", "mine"), other["k"], state.setdefault("k")) == ("theirs", "theirs", "theirs")
        meanwhile(monkeypatch, ana, ScanValues, lambda: other.set("k", "newer"))
        assert state.popitem() == ("k", "newer")
        state["k"] = "old"
        meanwhile(monkeypatch, ana, GetValue, lambda: other.delete("k"))
        assert state.pop("k", "none") == "none"
        with pytest.raises(KeyError):
            state.popitem()
        assert (state.setdefault("a"), state.setdefault("b", [1]), other.get("b")) == (None, [1], [1])
        with pytest.raises(InvalidInputError):
            state.setdefault("c", object())
        assert sorted(state) == ["a", "b"]

    def test_many_pass_values_on_through_one_key(self, make: Callable[..., Backend]) -> None:
        """One caller, once, pops a value that was put where nothing was."""
        backends = [make(), make()]
        each, values = 12, range(2)

        def put(number: int) -> None:
            slot = backends[number].user("ana").state("n")
            for place in range(each):
                while slot.setdefault("slot", [number, place]) != [number, place]:
                    time.sleep(0.002)

        def take(number: int) -> list[Any]:
            slot, taken = backends[number].user("ana").state("n"), list[Any]()
            deadline = time.monotonic() + 60
            while len(taken) < each and time.monotonic() < deadline:
                found = slot.pop("slot", None)
                taken += [] if found is None else [found]
            return taken

        with ThreadPoolExecutor(4) as pool:
            putting = [pool.submit(put, number) for number in values]
            taken = [one for each in list(pool.map(take, values)) for one in each]
            for each_put in putting:
                each_put.result()
        assert sorted(taken) == [[number, place] for number in values for place in range(each)]

    def test_what_begins_no_key_is_refused(self, ana: Memory) -> None:
        """A prefix is text; the last namespace that there can be is listed like any other."""
        state = ana.state("\U0010ffff" * 512)
        state[" k"] = 1
        assert [entry.key for entry in state.entries(" ")] == [" k"]
        for wrong in (None, "\ud800", "x" * 513, 7):
            with pytest.raises(InvalidInputError, match="prefix"):
                list(state.entries(wrong))  # pyright: ignore[reportArgumentType]
        assert ana.values.namespaces() == [state.namespace]
        assert [entry.key for entry in ana.values.find()] == [" k"]

    async def test_async_state_is_the_same(self, ana: Memory) -> None:
        """The methods of a mapping beside its operators."""
        state = ana.aio.state("n")
        assert [await state.setdefault(key, value) for key, value in (("a", 1), ("b", 2), ("a", 3))] == [1, 2, 1]
        assert (await state.keys(), await state.values()) == (["a", "b"], [1, 2])
        assert await state.items() == [("a", 1), ("b", 2)]
        assert (await state.popitem(), await state.pop("b"), await state.pop("b", None)) == (("a", 1), 2, None)
        with pytest.raises(KeyError):
            await state.pop("b")
        await state.set("c", 1)
        await state.clear()
        assert await state.keys() == []
