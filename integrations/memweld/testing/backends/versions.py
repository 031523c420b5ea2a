"""Versions: what a change replaces stays as an earlier text of the memory, and goes with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime

import pytest

from ... import Backend, Memory
from ...errors import InvalidInputError, MemoryNotFoundError
from ...models import MemoryItem
from ...tools import TOOLS
from ...tools.call import run_tool
from ...validation import utc_now
from .base import BackendFixtures
from .restore import same_export

__all__ = ["VersionTests"]

IN_PORTO, IN_LISBON, IN_FARO = "I live in Porto", "I live in Lisbon", "I live in Faro"


def texts(items: Sequence[MemoryItem]) -> list[str]:
    """The texts of items."""
    return [item.text for item in items]


def moment() -> datetime:
    """A time that no write before or after it shares."""
    time.sleep(0.002)
    between = utc_now()
    time.sleep(0.002)
    return between


class VersionTests(BackendFixtures):
    """Earlier texts of memories that were changed."""

    def test_an_update_keeps_what_it_replaces(self, ana: Memory) -> None:
        """Lists and searches show the new text, `versions` both, and ``as_of`` what was held true then."""
        (item,) = ana.add(IN_PORTO, metadata={"n": 1}, session_id="s", infer=False)
        ana.add("I love tea", infer=False)
        before = moment()
        updated = ana.update(item.id, IN_LISBON, metadata={"n": 2})
        between = moment()
        ana.update(item.id, IN_FARO)
        first, second, last = ana.versions(item.id)
        assert texts([first, second, last]) == [IN_PORTO, IN_LISBON, IN_FARO]
        assert (updated.id, last.id) == (item.id, item.id)
        assert len({first.id, second.id, last.id}) == 3
        assert [each.superseded_by for each in (first, second, last)] == [item.id, item.id, None]
        assert [each.changed_by for each in (first, second, last)] == ["update", "update", None]
        assert (first.session_id, first.metadata, first.created_at) == ("s", {"n": 1}, item.created_at)
        assert (second.metadata, last.metadata) == ({"n": 2}, {"n": 2})
        assert (first.valid_from, first.valid_until) == (None, second.valid_from)
        assert (second.valid_until, last.valid_until) == (last.valid_from, None)
        assert ana.versions(first.id) == [first, second, last]
        assert texts(ana.all()) == [IN_FARO, "I love tea"]
        assert sorted(texts(ana.all(include_inactive=True))) == sorted([IN_PORTO, IN_LISBON, IN_FARO, "I love tea"])
        for at, expected in ((before, IN_PORTO), (between, IN_LISBON), (moment(), IN_FARO)):
            assert texts(ana.search("Where do I live?", as_of=at, limit=1)) == [expected]
            assert sorted(texts(ana.all(as_of=at))) == sorted([expected, "I love tea"])
            assert expected in ana.recall("Where do I live?", as_of=at)
        found = texts(ana.search("Do I live in Porto, Lisbon or Faro?", limit=9))
        assert (IN_PORTO in found, IN_LISBON in found, IN_FARO in found) == (False, False, True)
        assert ana.counts()["items"] == 2

    def test_the_same_text_makes_no_version(self, ana: Memory) -> None:
        """Neither do other metadata, an equal value, and a text that is added again."""
        (item,) = ana.add(IN_PORTO, infer=False)
        ana.update(item.id, IN_PORTO)
        ana.update(item.id, IN_PORTO, metadata={"n": 1})
        ana.add(IN_PORTO, metadata={"n": 2}, infer=False)
        assert texts(ana.versions(item.id)) == [IN_PORTO]
        theme = ana.preferences.set("theme", {"dark": True, "size": 3})
        before = moment()
        again = ana.preferences.set("theme", {"size": 3, "dark": True})
        assert texts(ana.preferences.versions("theme")) == [theme.text]
        assert again.updated_at > before
        assert texts(ana.all(as_of=before, kinds="preference")) == [theme.text], "it holds since it was first set"

    def test_a_key_keeps_its_earlier_values(self, backend: Backend, ana: Memory, bob: Memory) -> None:
        """Of preferences and of outcomes; every other method knows the last value alone."""
        theme = ana.preferences.set("theme", "light")
        before = moment()
        assert ana.preferences.set("theme", "dark").id == theme.id
        ana.preferences.set("diet", "vegan")
        backend.user("ana", agent_id="cook").preferences.set("theme", "white")
        versions = ana.preferences.versions("theme")
        assert [item.metadata["value"] for item in versions] == ["light", "dark"]
        assert [(item.changed_by, item.superseded_by, item.key) for item in versions] == [
            ("set", theme.id, "theme"),
            (None, None, "theme"),
        ]
        assert asyncio.run(ana.aio.preferences.versions("theme")) == versions == ana.versions(theme.id)
        assert (ana.preferences.versions("missing"), bob.preferences.versions("theme")) == ([], [])
        assert ana.preferences.all() == {"theme": "dark", "diet": "vegan"}
        assert "theme: light" not in texts(ana.preferences.search("which theme, light or dark?", limit=9))
        assert texts(ana.all(kinds="preference", as_of=before)) == ["theme: light"]
        assert texts(ana.search("which theme?", as_of=before)) == ["theme: light"]
        assert ana.counts()["preferences"] == 3
        for outcome, success in (("came late", False), ("came late", None), ("came", True)):
            ana.tasks.record("ship-42", outcome=outcome, success=success)
        assert [(each.outcome, each.success) for each in ana.tasks.versions("ship-42")] == [
            ("came late", False),
            ("came late", None),
            ("came", True),
        ]
        assert [each.outcome for each in ana.tasks.context("ship-42")] == ["came"]

    def test_earlier_texts_leave_with_their_memory(self, ana: Memory) -> None:
        """A deletion, that of a key, `clear` and `erase` take them along; one alone can be deleted as well."""
        (item,) = ana.add(IN_PORTO, infer=False)
        ana.update(item.id, IN_LISBON)
        ana.update(item.id, IN_FARO)
        ana.preferences.set("theme", "light")
        ana.preferences.set("theme", "dark")
        first, *_ = ana.versions(item.id)
        with pytest.raises(InvalidInputError, match=item.id):
            ana.update(first.id, "I lived in Porto")
        ana.delete(first.id)
        assert texts(ana.versions(item.id)) == [IN_LISBON, IN_FARO]
        ana.delete(item.id)
        assert ana.preferences.delete("theme")
        assert ana.all(include_inactive=True) == []
        (item,) = ana.add(IN_PORTO, infer=False)
        ana.update(item.id, IN_LISBON)
        assert ana.clear() == 1
        assert ana.all(include_inactive=True) == []
        ana.preferences.set("theme", "light")
        ana.preferences.set("theme", "dark")
        ana.erase()
        assert (ana.all(include_inactive=True), ana.preferences.versions("theme")) == ([], [])

    def test_versions_of_both_kinds_in_order(self, ana: Memory) -> None:
        """A superseded memory has earlier texts of its own, which end where it does."""
        (porto,) = ana.add(IN_PORTO, created_at="2024-01-01", infer=False)
        ana.update(porto.id, "I live in Porto, Foz")
        (lisbon,) = ana.add(IN_LISBON, created_at="2025-01-01", supersedes=porto.id, infer=False)
        ana.update(lisbon.id, "I live in Lisbon, Alfama")
        versions = ana.versions(porto.id)
        assert texts(versions) == [IN_PORTO, "I live in Porto, Foz", IN_LISBON, "I live in Lisbon, Alfama"]
        assert [each.changed_by for each in versions] == ["update", "supersedes", "update", None]
        assert texts(ana.all(as_of="2024-06-01")) == [IN_PORTO]
        assert texts(ana.all(as_of="2025-06-01")) == [IN_LISBON]
        ana.delete(porto.id)
        assert texts(ana.versions(lisbon.id)) == [IN_LISBON, "I live in Lisbon, Alfama"]

    def test_what_does_not_hold_now_is_corrected_in_place(self, ana: Memory) -> None:
        """A memory that is over, or begins later, keeps its validity."""
        (visa,) = ana.add("My visa is valid", created_at="2024-01-01", valid_until="2025-01-01T00:00:00Z", infer=False)
        (job,) = ana.add("I start at Acme", valid_from="2090-01-01T00:00:00Z", infer=False)
        ana.update(visa.id, "My visa for Japan is valid")
        ana.update(job.id, "I start at Acme in Porto")
        assert texts(ana.all(as_of="2024-06-01")) == ["My visa for Japan is valid"]
        assert texts(ana.all(as_of="2091-01-01")) == ["I start at Acme in Porto"]
        assert texts(ana.versions(visa.id)) == ["My visa is valid", "My visa for Japan is valid"]
        assert ana.all() == []

    def test_earlier_texts_are_exported_and_restored(self, ana: Memory) -> None:
        """They come back whole; an older export changes nothing, and another store's key gets its earlier values."""
        (item,) = ana.add(IN_PORTO, infer=False)
        ana.preferences.set("theme", "light")
        older = ana.export()
        ana.update(item.id, IN_LISBON)
        ana.preferences.set("theme", "dark")
        exported = ana.export()
        assert ana.restore(older)["items"] == 0
        assert same_export(ana.export(), exported)
        ana.erase()
        for _ in range(2):
            ana.restore(exported)
            assert same_export(ana.export(), exported)
        ana.erase()
        mine = ana.preferences.set("theme", "blue")
        (again,) = ana.add(IN_LISBON, infer=False)
        ana.restore(exported)
        assert [each.metadata["value"] for each in ana.preferences.versions("theme")] == ["light", "blue"]
        assert texts(ana.versions(again.id)) == [IN_PORTO, IN_LISBON]
        assert ana.preferences.delete("theme")
        ana.delete(again.id)
        assert (ana.all(include_inactive=True), ana.preferences.get("theme"), mine.key) == ([], None, "theme")

    def test_an_edited_message_takes_its_earlier_text_along(self, ana: Memory) -> None:
        """The words that the message no longer has are nowhere; what the user wrote instead stays."""
        said = {"role": "user", "content": IN_PORTO, "id": "m1"}
        ana.history("s").append([said])
        (item,) = ana.add([said], session_id="s", infer=False)
        ana.update(item.id, IN_LISBON)
        ana.history("s").append([{**said, "content": "Never mind"}])
        assert texts(ana.versions(item.id)) == [IN_LISBON]
        assert texts(ana.all(include_inactive=True)) == [IN_LISBON]

    def test_agents_and_other_users(self, backend: Backend, ana: Memory, bob: Memory) -> None:
        """An earlier text belongs to the owner of its memory, also where another agent changes that."""
        cook = backend.user("ana", agent_id="cook")
        (item,) = cook.add("Ana eats fish", infer=False)
        ana.update(item.id, "Ana eats no fish")
        assert texts(cook.versions(item.id)) == ["Ana eats fish", "Ana eats no fish"]
        assert {each.agent_id for each in ana.versions(item.id)} == {"cook"}
        for other in (bob, backend.user("ana", agent_id="nurse")):
            for each in cook.versions(item.id):
                with pytest.raises(MemoryNotFoundError):
                    other.versions(each.id)
        cook.erase()
        assert ana.all(include_inactive=True) == []

    def test_a_model_corrects_and_reads_versions(self, ana: Memory) -> None:
        """Through the tools: the new text, and on request what it said before."""
        (item,) = ana.add(IN_PORTO, infer=False)
        outcome = run_tool(TOOLS["update_memory"], lambda: ana, {"memory_id": item.id, "data": IN_LISBON})
        assert not outcome.is_error
        shown = run_tool(TOOLS["get_memory"], lambda: ana, {"memory_id": item.id})
        assert IN_PORTO not in shown.marked
        shown = run_tool(TOOLS["get_memory"], lambda: ana, {"memory_id": item.id, "versions": True})
        assert IN_PORTO in shown.marked
        (before, _) = ana.versions(item.id)
        outcome = run_tool(TOOLS["update_memory"], lambda: ana, {"memory_id": before.id, "data": IN_FARO})
        assert outcome.is_error
        assert item.id in outcome.marked
        (braga,) = ana.add("I live in Braga", supersedes=item.id, infer=False)
        outcome = run_tool(TOOLS["update_memory"], lambda: ana, {"memory_id": item.id, "data": IN_FARO})
        assert not outcome.is_error
        assert f"{braga.id} is in its place" in outcome.marked
        for memory_id, is_over in ((item.id, True), (braga.id, False)):
            shown = run_tool(TOOLS["get_memory"], lambda: ana, {"memory_id": memory_id})
            assert ("Not true now (until " in shown.marked) is is_over
