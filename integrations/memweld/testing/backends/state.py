"""State: key-value pairs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ... import Backend, Memory
from ...errors import (
    InvalidInputError,
)
from .base import BackendFixtures

__all__ = ["StateTests"]

NOT_JSON: list[Any] = [{1, 2}, 10**5000, object(), float("nan"), {1: 2}, b"x", "\ud800", [[[]], {"a": float("inf")}]]


class StateTests(BackendFixtures):
    """State: key-value pairs."""

    def test_state_is_a_mapping(self, ana: Memory, bob: Memory) -> None:
        """Any JSON value, exact; a mapping like any other; namespaces and users apart."""
        state = ana.state("crew")
        value: dict[str, Any] = {"text": "ü\u0000\n", "n": [1, 2.5, -(10**20), None, True], "deep": {"a": {"b": []}}}
        state.set("k", value)
        state["z"] = None
        assert (state.get("k"), state["z"], state.get("z", 1), state.get("none", 1)) == (value, None, None, 1)
        assert (state.list_keys(), list(state), len(state), dict(state)) == (
            ["k", "z"],
            ["k", "z"],
            2,
            {"k": value, "z": None},
        )
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
