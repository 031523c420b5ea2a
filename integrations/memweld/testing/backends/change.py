"""Facts that change: validity, superseding, and what was held true at an earlier moment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from ... import Backend, Memory
from ...errors import InvalidInputError, MemoryNotFoundError
from ...models import MemoryItem
from ...tools import TOOLS
from ...tools.call import run_tool
from ...validation import utc_now
from ..llm import ScriptedExtractor, facts
from .base import BackendFixtures
from .restore import same_export

__all__ = ["ChangeTests"]

IN_PORTO, IN_LISBON, IN_FARO = "I live in Porto", "I live in Lisbon", "I live in Faro"


def texts(items: Sequence[MemoryItem]) -> list[str]:
    """The texts of items."""
    return [item.text for item in items]


def move(memory: Memory) -> tuple[MemoryItem, MemoryItem, MemoryItem]:
    """Three homes, each in the place of the one before."""
    (porto,) = memory.add(IN_PORTO, created_at="2024-01-01T00:00:00Z", infer=False)
    (lisbon,) = memory.add(IN_LISBON, created_at="2025-01-01T00:00:00Z", supersedes=porto.id, infer=False)
    (faro,) = memory.add(IN_FARO, created_at="2026-01-01T00:00:00Z", supersedes=[lisbon.id], infer=False)
    return porto, lisbon, faro


class ChangeTests(BackendFixtures):
    """Facts that change."""

    def test_a_superseded_memory_is_left_out_and_not_lost(self, ana: Memory) -> None:
        """Lists, searches and recall show the last; all of them, and each version, can be read."""
        porto, lisbon, faro = move(ana)
        ana.add("I love tea", infer=False)
        assert texts(ana.all()) == [IN_FARO, "I love tea"]
        assert [hit.text for hit in ana.search("Where do I live?", limit=1)] == [IN_FARO]
        assert IN_PORTO not in texts(ana.search(IN_PORTO, limit=50))
        assert IN_LISBON not in ana.recall("Where do I live? In Lisbon?")
        assert texts(ana.all(include_inactive=True)) == [IN_PORTO, IN_LISBON, IN_FARO, "I love tea"]
        assert ana.search(IN_PORTO, limit=1, include_inactive=True)[0].id == porto.id
        assert IN_PORTO in ana.recall(IN_PORTO, include_inactive=True)
        for each in (porto, lisbon, faro):
            assert texts(ana.versions(each.id)) == [IN_PORTO, IN_LISBON, IN_FARO]
        first, second, third = ana.versions(lisbon.id)
        assert (first.superseded_by, second.superseded_by, third.superseded_by) == (lisbon.id, faro.id, None)
        assert first.valid_until == datetime.fromisoformat("2025-01-01T00:00:00+00:00")
        assert (third.valid_from, third.valid_until) == (None, None)
        assert ana.get(porto.id) == first

    def test_what_was_held_true_at_a_moment(self, ana: Memory) -> None:
        """Neither what came later nor what was over by then, in lists, searches and recall."""
        move(ana)
        for moment, expected in (
            ("2023-06-01", []),
            ("2024-06-01", [IN_PORTO]),
            ("2025-01-01T00:00:00Z", [IN_LISBON]),
            ("2025-12-31T23:59:59Z", [IN_LISBON]),
            (utc_now(), [IN_FARO]),
        ):
            assert texts(ana.all(as_of=moment)) == expected
            assert texts(ana.search("Where do I live?", as_of=moment)) == expected
            assert (expected[0] if expected else "") in ana.recall("Where do I live?", as_of=moment)
        with pytest.raises(InvalidInputError, match="as_of"):
            ana.all(as_of="last week")

    def test_memories_begin_and_end(self, ana: Memory) -> None:
        """``valid_from`` and ``valid_until`` of the caller, and a text that is said again after its end."""
        now = utc_now()
        hour = timedelta(hours=1)
        (over,) = ana.add("My visa is valid", valid_until=now - hour, created_at=now - 3 * hour, infer=False)
        (coming,) = ana.add("I start at Acme", valid_from=now + hour, valid_until=now + 2 * hour, infer=False)
        assert (coming.valid_from, coming.valid_until) == (now + hour, now + 2 * hour)
        assert (ana.all(), ana.search("visa Acme")) == ([], [])
        assert texts(ana.all(as_of=now - 2 * hour)) == ["My visa is valid"]
        assert texts(ana.search("visa Acme", as_of=now + 1.5 * hour)) == ["I start at Acme"]
        assert texts(ana.all(as_of=now + 2 * hour)) == []
        (again,) = ana.add("My visa is valid", infer=False)
        assert (again.id, again.valid_until) == (over.id, None)
        assert texts(ana.all()) == ["My visa is valid"]
        with pytest.raises(InvalidInputError, match="valid_until"):
            ana.add("x", valid_from=now, valid_until=now)

    def test_a_change_in_the_future(self, ana: Memory) -> None:
        """Until then the old memory holds."""
        now = utc_now()
        (old,) = ana.add(IN_PORTO, infer=False)
        ana.add(IN_LISBON, valid_from=now + timedelta(days=9), supersedes=old.id, infer=False)
        assert texts(ana.all()) == [IN_PORTO]
        assert texts(ana.search("Where do I live?", as_of=now + timedelta(days=10))) == [IN_LISBON]

    def test_no_end_lies_before_the_beginning(self, ana: Memory) -> None:
        """A memory that would begin after the one in its place never holds."""
        (late,) = ana.add(IN_PORTO, valid_from="2090-11-20", infer=False)
        ana.add(IN_LISBON, valid_from="2090-11-01", supersedes=late.id, infer=False)
        assert ana.get(late.id).valid_until == late.valid_from
        assert texts(ana.all(as_of="2090-11-25")) == [IN_LISBON]

    def test_an_end_before_a_correction(self, ana: Memory) -> None:
        """What was over before its text was corrected, was over in its earlier texts, too."""
        (item,) = ana.add("I go to the jim", created_at="2024-01-10", infer=False)
        ana.update(item.id, "I go to the gym")
        (over,) = ana.add("I go to the gym", valid_until="2025-07-01", infer=False)
        assert over.valid_from == over.valid_until
        assert texts(ana.all(as_of="2025-06-30")) == ["I go to the jim"]
        assert texts(ana.all(as_of="2025-09-01")) == texts(ana.all()) == []
        assert texts(ana.versions(item.id)) == ["I go to the jim", "I go to the gym"]

    def test_days_are_those_of_the_user(self, backend: Backend) -> None:
        """A day, as text or as a date, and a time without an offset are in the memory's zone in every argument."""
        ana = backend.user("ana", timezone="America/New_York")
        first, last = date(2024, 7, 1), datetime.fromisoformat("2024-07-31T12:00")
        (bike,) = ana.add("I bought a bike", created_at=first, infer=False)
        assert bike.created_at.isoformat() == "2024-07-01T00:00:00-04:00"
        assert texts(ana.all(after="2024-07-01", before="2024-08-01")) == ["I bought a bike"]
        (job,) = ana.add("I work from Faro", created_at=first, valid_from=first, valid_until=last, infer=False)
        assert (job.valid_from, job.valid_until) == (
            datetime(2024, 7, 1, 4, tzinfo=timezone.utc),
            datetime(2024, 7, 31, 16, tzinfo=timezone.utc),
        )
        assert len(ana.all(as_of=first)) == 2
        assert texts(ana.search("Faro", as_of="2024-07-31T11:59", limit=1)) == ["I work from Faro"]
        assert ana.all(as_of="2024-07-01T03:59Z") == []
        (stay,) = ana.add("I rent a car", expires_at=date(2090, 1, 1), infer=False)
        theme = ana.preferences.set("theme", "dark", expires_at="2090-01-01")
        assert stay.expires_at == theme.expires_at == datetime(2090, 1, 1, 5, tzinfo=timezone.utc)
        assert len(ana.search("Who bought a bike in July?", now=date(2024, 9, 1))) > 0
        noon = {"role": "user", "content": "Hello", "created_at": "2024-07-01T12:00"}
        day = {"role": "user", "content": "Hello", "created_at": first}
        ana.history("s").append(noon)
        ana.capture([noon, day], session_id="s", keep="history")
        said_at = [message.created_at and message.created_at.isoformat() for message in ana.history("s").messages()]
        assert said_at == [f"2024-07-01T{hour}:00:00-04:00" for hour in ("12", "12", "00")]
        (said,) = backend.user("bob").add("I bought a bike", created_at="2024-07-01", infer=False)
        assert said.created_at.isoformat() == "2024-07-01T00:00:00+00:00"

    def test_back_to_an_earlier_fact(self, ana: Memory) -> None:
        """A text that was superseded is no equal text: it is a new memory with versions of its own."""
        porto, _, faro = move(ana)
        (again,) = ana.add(IN_PORTO, supersedes=faro.id, infer=False)
        assert again.id != porto.id
        assert ana.add(IN_PORTO, infer=False)[0].id == again.id
        assert texts(ana.all()) == [IN_PORTO]
        assert texts(ana.versions(again.id)) == [IN_PORTO, IN_LISBON, IN_FARO, IN_PORTO]

    def test_versions_leave_with_their_memory(self, ana: Memory) -> None:
        """A deletion takes along what the memory supersedes; of an earlier one only what is before it."""
        porto, lisbon, faro = move(ana)
        ana.delete(lisbon.id)
        assert texts(ana.versions(faro.id)) == [IN_FARO]
        with pytest.raises(MemoryNotFoundError):
            ana.get(porto.id)
        ana.clear()
        _, _, faro = move(ana)
        ana.delete(faro.id)
        assert ana.all(include_inactive=True) == []
        move(ana)
        assert ana.clear() == 3

    def test_only_facts_of_the_scope_are_superseded(self, backend: Backend, ana: Memory, bob: Memory) -> None:
        """Another user's id is no id, and nothing is written where one id is wrong."""
        (secret,) = bob.add(IN_PORTO, infer=False)
        (mine,) = ana.add(IN_PORTO, infer=False)
        theme = ana.preferences.set("theme", "dark")
        cook = backend.user("ana", agent_id="cook")
        for memory, wrong in ((ana, secret.id), (ana, "no-such-id"), (cook, mine.id)):
            with pytest.raises(MemoryNotFoundError):
                memory.add(IN_LISBON, supersedes=[mine.id, wrong], infer=False)
        with pytest.raises(InvalidInputError, match="preference"):
            ana.add("I like it dark", supersedes=theme.id, infer=False)
        with pytest.raises(InvalidInputError, match="it says the same"):
            ana.add(IN_PORTO, supersedes=mine.id, infer=False)
        with pytest.raises(MemoryNotFoundError):
            ana.versions(secret.id)
        assert (texts(ana.all(kinds="item")), texts(bob.all()), cook.all()) == ([IN_PORTO], [IN_PORTO], [])
        (lisbon,) = ana.add(IN_LISBON, supersedes=mine.id, infer=False)
        assert ana.add(IN_LISBON, supersedes=mine.id, infer=False) == [lisbon], "a call that is sent again"
        with pytest.raises(InvalidInputError, match=lisbon.id):
            ana.add(IN_FARO, supersedes=mine.id, infer=False)
        assert texts(ana.all(kinds="item", include_inactive=True)) == [IN_PORTO, IN_LISBON]
        cook.add("I eat fish", infer=False)
        with pytest.raises(InvalidInputError, match="belongs to user ana and agent cook"):
            ana.supersede(lisbon.id, by=cook.all()[0].id)
        ana.add("I eat nothing", supersedes=cook.all()[0].id, infer=False)
        assert cook.all() == []

    def test_export_restore_and_erase(self, make: Callable[..., Backend], ana: Memory) -> None:
        """Validity and versions come back, and an older export brings back no superseded memory."""
        (porto,) = ana.add(IN_PORTO, infer=False)
        older = ana.export()
        (lisbon,) = ana.add(IN_LISBON, supersedes=porto.id, valid_until=utc_now() + timedelta(days=1), infer=False)
        ana.add(IN_PORTO, supersedes=lisbon.id, infer=False)
        exported = ana.export()
        assert ana.restore(older)["items"] == 0
        assert same_export(ana.export(), exported)
        ana.erase()
        assert ana.all(include_inactive=True) == []
        for _ in range(2):
            ana.restore(exported)
            assert same_export(ana.export(), exported)
        assert texts(make().user("ana").search("Where do I live?")) == [IN_PORTO]
        ana.erase()
        ana.restore(older)
        ana.restore(exported)
        assert texts(ana.versions(porto.id)) == [IN_PORTO, IN_LISBON, IN_PORTO]

    def test_own_ends_are_restored(self, ana: Memory) -> None:
        """A superseded memory that comes back after a restore has the ends that it had before."""
        end = utc_now() + timedelta(days=400)
        for undo in ("keep_both", "clear"):
            ends: dict[str, Any] = {"valid_until": end, "expires_at": end + timedelta(days=1)}
            (room,) = ana.add("I rent a room", infer=False, **ends)
            (flat,) = ana.add("I rent a flat", supersedes=room.id, ttl=3600, session_id="s", infer=False)
            assert (ana.get(room.id).valid_until or end) < end
            exported = json.loads(json.dumps(ana.export()))
            ana.erase()
            ana.restore(exported)
            assert same_export(ana.export(), exported)
            if undo == "clear":
                ana.history("s").clear(facts=True)
            else:
                ana.keep_both(room.id, flat.id)
            back = ana.get(room.id)
            assert (back.superseded_by, back.valid_until, back.expires_at) == (None, room.valid_until, room.expires_at)
            ana.erase()

    def test_sources_leave_with_their_facts(self, make: Callable[..., Backend]) -> None:
        """The text behind a superseded fact says it, too."""
        llm = ScriptedExtractor([facts("Ana lives in Porto"), facts("Ana lives in Lisbon")])
        ana = make(llm=llm).user("ana")
        (old,) = ana.add("My flat is in Porto")
        (new,) = ana.add("My flat is in Lisbon now", supersedes=old.id)
        assert texts(ana.all(kinds=["item", "source"])) == ["Ana lives in Lisbon", "My flat is in Lisbon now"]
        found = ana.search("flat in Porto", kinds=["item", "source"], limit=9)
        assert not any("Porto" in hit.text for hit in found)
        assert texts(ana.versions(new.id)) == ["Ana lives in Porto", "Ana lives in Lisbon"]

    def test_pages_and_filters(self, ana: Memory) -> None:
        """A page holds as many as it says, whatever is left out between them."""
        for number in range(6):
            old: Any = ana.add(f"draft {number}", metadata={"n": number % 2}, infer=False)[0]
            ana.add(f"final {number}", metadata={"n": number % 2}, supersedes=old.id, infer=False)
        page = ana.all(limit=4)
        assert texts(page) == [f"final {number}" for number in range(4)]
        assert texts(ana.all(limit=4, cursor=page.next)) == ["final 4", "final 5"]
        assert texts(ana.all(filters={"n": 1})) == ["final 1", "final 3", "final 5"]
        assert len(ana.search("draft final", filters={"n": 0}, limit=50)) == 3
        assert len(ana.search("draft final", include_inactive=True, limit=50)) == 12

    def test_async_and_tools(self, ana: Memory) -> None:
        """A model names the IDs that a new memory supersedes, as a list or as text."""
        porto, _, faro = move(ana)
        assert texts(asyncio.run(ana.aio.versions(porto.id))) == [IN_PORTO, IN_LISBON, IN_FARO]
        said = [{"role": "user", "content": "I live in Braga"}]
        outcome = run_tool(TOOLS["add_memory"], lambda: ana, {"messages": said, "supersedes": f'["{faro.id}"]'})
        assert not outcome.is_error
        assert texts(ana.all()) == ["I live in Braga"]
        outcome = run_tool(TOOLS["add_memory"], lambda: ana, {"messages": said, "supersedes": ["no-such-id"]})
        assert outcome.is_error
        assert "no-such-id" in outcome.marked
        outcome = run_tool(TOOLS["get_memory"], lambda: ana, {"memory_id": faro.id})
        assert not outcome.is_error
