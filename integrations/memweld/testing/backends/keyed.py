"""Preferences and task outcomes: facts with a key."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ... import Backend, Memory
from ...engine.operations import GetKeyed
from ...errors import (
    InvalidInputError,
)
from .base import BackendFixtures
from .state import meanwhile

__all__ = ["KeyedTests"]


class KeyedTests(BackendFixtures):
    """Preferences and task outcomes: facts with a key."""

    def test_preferences(self, ana: Memory, bob: Memory) -> None:
        """Exact by key, any JSON value, the last one holds; found by meaning; a key is one memory."""
        ana.preferences.set("theme", "light")
        item = ana.preferences.set("theme", "dark")
        ana.preferences.set("diet", {"vegan": True, "avoid": ["nuts"]})
        ana.preferences.set("nothing", None)
        assert ana.preferences.get("theme") == "dark"
        assert ana.preferences.get("diet") == {"vegan": True, "avoid": ["nuts"]}
        assert (ana.preferences.get("nothing", 1), ana.preferences.get("missing", 1)) == (None, 1)
        assert ana.preferences.all() == {"theme": "dark", "diet": ana.preferences.get("diet"), "nothing": None}
        assert ana.preferences.search("which theme", limit=1)[0].key == "theme"
        assert len(ana.all(kinds="preference")) == 3
        assert ana.get(item.id).text == "theme: dark"
        assert "theme: dark" in ana.recall("which theme is it?")
        assert (bob.preferences.get("theme"), bob.preferences.all()) == (None, {})
        with pytest.raises(InvalidInputError, match="by its key"):
            ana.update(item.id, "theme: pink")
        assert (ana.preferences.delete("theme"), ana.preferences.delete("theme")) == (True, False)
        assert ana.preferences.get("theme") is None

    def test_a_preference_set_at_once_is_one(self, make: Callable[..., Backend]) -> None:
        """Racing writers of one key leave one memory with one of their values."""
        memories: list[Memory] = [make().user("ana"), make().user("ana")]

        def set_theme(number: int) -> None:
            memories[number % 2].preferences.set("theme", number)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(set_theme, range(16)))
        assert len(memories[0].all()) == 1
        assert memories[0].preferences.get("theme") == memories[1].preferences.get("theme")

    def test_a_preference_is_deleted_once(self, make: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch) -> None:
        """Of two callers at once one deletes it; a value that is set after the deletion began stays or goes whole."""
        ana, other = make().user("ana"), make().user("ana").preferences
        ana.preferences.set("theme", "dark")
        meanwhile(monkeypatch, ana, GetKeyed, lambda: other.delete("theme"))

        def delete(number: int) -> bool:
            return (ana.preferences, other)[number % 2].delete("theme")

        with ThreadPoolExecutor(8) as pool:
            deleted = list(pool.map(delete, range(8)))
        assert sorted(deleted) == [False] * 7 + [True]
        assert ana.preferences.all() == {}

    def test_several_are_deleted_together(self, ana: Memory, bob: Memory) -> None:
        """Those that the scope has; of a record the value goes, too."""
        ids = [ana.add(text)[0].id for text in ("I keep bees", "I sail", "I paint")]
        ana.state("n").set("k", 1, text="The ficus")
        (record,) = ana.all(kinds="record")
        foreign = bob.add("I fly")[0].id
        assert ana.delete_many([ids[0], foreign, ids[0], record.id, "none"]) == 2
        assert ([item.text for item in ana.all()], dict(ana.state("n"))) == (["I sail", "I paint"], {})
        assert ([item.text for item in bob.all()], ana.delete_many([])) == (["I fly"], 0)

    def test_tasks(self, ana: Memory, bob: Memory) -> None:
        """An outcome is replaced by the next of the same task; similar tasks follow the task itself."""
        ana.tasks.record("ship-42", outcome="The parcel to Faro came late", success=False)
        ana.tasks.record("ship-42", outcome="The parcel to Faro came on time", success=True, metadata={"days": 2})
        ana.tasks.record("ship-43", outcome="The parcel to Porto was lost")
        own, other = ana.tasks.context("ship-42")
        assert (own.task_id, own.outcome, own.success, own.metadata, own.score) == (
            "ship-42",
            "The parcel to Faro came on time",
            True,
            {"days": 2},
            1.0,
        )
        assert (other.task_id, other.success, 0 <= other.score <= 1) == ("ship-43", None, True)
        assert [outcome.task_id for outcome in ana.tasks.context("a parcel to Porto", limit=1)] == ["ship-43"]
        assert bob.tasks.context("ship-42") == []
        with pytest.raises(InvalidInputError):
            ana.tasks.record("x", outcome="y", metadata={"success": 1})
