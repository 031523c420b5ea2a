"""Facts that expire: absent everywhere at once, and deleted for good with their versions and sources."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ... import Backend, Memory
from ...errors import InvalidInputError, MemoryNotFoundError
from ...tools import TOOLS
from ...tools.call import run_tool
from ...validation import utc_now
from ..embedding import HashEmbedder
from ..llm import ScriptedExtractor, facts
from .base import BackendFixtures

__all__ = ["ExpiryTests"]

CODE = "The door code is 4711"
TEA = "I like tea"
SOON = 0.5


class ExpiryTests(BackendFixtures):
    """``expires_at=`` and ``ttl=`` of facts and preferences."""

    def test_an_expired_fact_is_nowhere(self, ana: Memory) -> None:
        """With its earlier text, in every answer, at once; and `purge_expired` deletes it."""
        (kept,) = ana.add("I love tea", infer=False)
        end = utc_now() + timedelta(hours=1)
        (item,) = ana.add("The door code is 4710", session_id="s", expires_at=end, infer=False)
        updated = ana.update(item.id, CODE)
        ana.preferences.set("guest", "Bob", ttl=timedelta(hours=1))
        ana.preferences.set("guest", "Cem", ttl=3600)
        assert abs((updated.expires_at or utc_now()) - end) < timedelta(milliseconds=1)
        assert (ana.get(item.id).text, ana.preferences.get("guest")) == (CODE, "Cem")
        assert [hit.text for hit in ana.search("door code", limit=1)] == [CODE]
        (before, _) = ana.versions(item.id)
        at = utc_now()
        ana.add(CODE, ttl=SOON, infer=False)
        ana.preferences.set("guest", "Cem", ttl=SOON)
        exported = ana.export()
        time.sleep(SOON + 0.1)
        for each in (item.id, before.id):
            with pytest.raises(MemoryNotFoundError):
                ana.get(each)
            with pytest.raises(MemoryNotFoundError):
                ana.versions(each)
        with pytest.raises(MemoryNotFoundError):
            ana.update(item.id, "The door code is 4712")
        with pytest.raises(MemoryNotFoundError):
            ana.add("The door is open", supersedes=item.id, infer=False)
        assert [each.id for each in ana.all(include_inactive=True)] == [kept.id]
        assert [each.id for each in ana.all(as_of=at)] == [kept.id]
        for found in (ana.search("door code guest", limit=9), ana.search("door code", include_inactive=True, limit=9)):
            assert [hit.id for hit in found] in ([], [kept.id])
        assert ana.search("door code", as_of=at, session_id="s") == []
        assert "is 4711" not in ana.recall("What is the door code?", include_inactive=True)
        assert (ana.preferences.all(), ana.preferences.get("guest"), ana.preferences.versions("guest")) == (
            {},
            None,
            [],
        )
        counts = ana.counts()
        assert (counts["items"], counts["preferences"], counts["versions"]) == (1, 0, 0)
        assert len(ana.export()["items"]) == 1
        assert ana.restore(exported)["items"] == 0
        assert [each.id for each in ana.all(include_inactive=True)] == [kept.id]
        ana.values.purge_expired()
        assert ana.values.purge_expired() == 0
        assert ana.erase().counts["items"] == 1

    def test_writes_delete_what_has_expired(self, backend: Backend, ana: Memory) -> None:
        """The operator's sweep finds nothing of a user who goes on writing; elsewhere it deletes."""
        ana.add(CODE, ttl=SOON, infer=False)
        backend.user("bob").add(CODE, ttl=SOON, infer=False)
        time.sleep(SOON + 0.1)
        assert ana.delete_many([ana.add("I love tea", infer=False)[0].id]) == 1
        assert ana.erase().counts["items"] == 0
        assert backend.user("bob").values.purge_expired() in (0, 1)
        assert backend.user("bob").erase().counts["items"] == 0

    def test_the_last_add_decides(self, ana: Memory) -> None:
        """An equal text with an end, with another one, and without."""
        (item,) = ana.add(CODE, infer=False)
        assert item.expires_at is None
        (again,) = ana.add(CODE, ttl=3600, infer=False)
        assert again.id == item.id
        assert again.expires_at is not None
        assert ana.add(CODE, infer=False)[0].expires_at is None
        assert ana.get(item.id).expires_at is None
        theme = ana.preferences.set("theme", "dark", ttl=3600)
        assert theme.expires_at is not None
        assert ana.preferences.set("theme", "dark").expires_at is None
        refused: list[dict[str, Any]] = [
            {"ttl": 0},
            {"ttl": timedelta(-1)},
            {"expires_at": "2020-01-01"},
            {"ttl": 1, "expires_at": "2090-01-01"},
        ]
        for arguments in refused:
            with pytest.raises(InvalidInputError, match=min(arguments, key=len)):
                ana.add("I love tea", infer=False, **arguments)

    def test_a_less_trusted_source_ends_nothing(self, ana: Memory) -> None:
        """The user's own words stay, whatever end a document or a model gives an equal text."""
        (item,) = ana.add(CODE, pinned=True, infer=False)
        ana.add(CODE, source="document", ttl=SOON, infer=False)
        ana.add(CODE, source="document", valid_from="2090-01-01", valid_until="2091-01-01", infer=False)
        ana.add(CODE, source="document", valid_until="2025-01-01", infer=False)
        run_tool(TOOLS["add_memory"], lambda: ana, {"messages": [{"role": "user", "content": CODE}], "ttl": SOON})
        (kept,) = ana.all()
        assert (kept.id, kept.expires_at, kept.valid_from, kept.valid_until) == (item.id, None, None, None)
        ended = ana.add(CODE, ttl=3600, infer=False)[0].expires_at
        assert ended is not None
        assert ana.add(CODE, source="tool", ttl=60, infer=False)[0].expires_at == ended
        assert ana.add(CODE, source="tool", infer=False)[0].expires_at is None
        (note,) = ana.add("The shop opens at nine", source="tool", infer=False)
        (dated,) = ana.add("The shop opens at nine", source="document", valid_until="2090-01-01", infer=False)
        assert (dated.id, dated.source, dated.valid_until is None) == (note.id, "document", False)

    def test_an_expired_text_and_key_are_free(self, ana: Memory) -> None:
        """Added again, they are new memories, whether the expired ones are deleted already or not."""
        (old,) = ana.add(CODE, infer=False)
        theme = ana.preferences.set("theme", "dark")
        ana.add(CODE, ttl=SOON, infer=False)
        ana.preferences.set("theme", "dark", ttl=SOON)
        time.sleep(SOON + 0.1)
        (new,) = ana.add(CODE, infer=False)
        assert new.id != old.id
        assert ana.get(new.id).text == CODE
        assert ana.preferences.set("theme", "light").id != theme.id
        assert len(ana.preferences.versions("theme")) == 1

    def test_an_expired_text_is_free_for_what_changes(self, backend: Backend) -> None:
        """For an update, and for what holds again, before the expired one is deleted."""

        def again(user: str, change: Callable[[Memory, str], Callable[[], object]]) -> list[str]:
            memory = backend.user(user)
            (old,) = memory.add(TEA, session_id="monday", infer=False)
            undo = change(memory, old.id)
            memory.add(TEA, ttl=SOON, infer=False)
            time.sleep(SOON + 0.1)
            undo()
            return [item.text for item in memory.all()]

        def updated(memory: Memory, memory_id: str) -> Callable[[], object]:
            memory.update(memory_id, "I like coffee")
            return lambda: memory.update(memory_id, TEA)

        def superseded(memory: Memory, memory_id: str) -> str:
            return memory.add("I like coffee", supersedes=memory_id, session_id="friday", infer=False)[0].id

        def kept(memory: Memory, memory_id: str) -> Callable[[], object]:
            new = superseded(memory, memory_id)
            return lambda: memory.keep_both(memory_id, new)

        def cleared(memory: Memory, memory_id: str) -> Callable[[], object]:
            superseded(memory, memory_id)
            return lambda: memory.history("friday").clear(facts=True)

        def merged(memory: Memory, _: str) -> Callable[[], object]:
            memory.add("I do like tea!", infer=False)
            receipt = memory.consolidate(dry_run=False)
            return lambda: memory.undo(receipt)

        assert again("ana", updated) == [TEA]
        assert again("bob", kept) == [TEA, "I like coffee"]
        assert again("cem", cleared) == [TEA]
        assert again("dora", merged) == [TEA, "I do like tea!"]

    def test_what_expires_before_it_is_stored(self, make: Callable[..., Backend]) -> None:
        """A slow model, or a slow machine: it takes the place of another all the same, and is over."""

        class Slow(HashEmbedder):
            def embed_documents(self, texts: list[str]) -> list[list[float]]:
                time.sleep(0.2 if "hotel" in texts[0] else 0.0)
                return super().embed_documents(texts)

        ana = make(embedder=Slow()).user("ana")
        (home,) = ana.add("I live in Porto", infer=False)
        (stay,) = ana.add("I live in a hotel", ttl=0.1, supersedes=home.id, infer=False)
        assert stay.expires_at is not None
        assert ana.preferences.set("place", "hotel", ttl=0.1).text == "place: hotel"
        time.sleep(0.2)
        assert (ana.all(include_inactive=True), ana.preferences.all()) == ([], {})

    def test_what_it_supersedes_expires_with_it(self, ana: Memory) -> None:
        """As a deletion would take that along."""
        (porto,) = ana.add("I live in Porto", infer=False)
        ana.update(porto.id, "I live in Porto, Foz")
        ana.add("I live in a hotel", ttl=SOON, supersedes=porto.id, infer=False)
        (home,) = ana.add("I have a cat", infer=False)
        ana.update(home.id, "I have two cats")
        ana.add("I have two cats", ttl=SOON, infer=False)
        time.sleep(SOON + 0.1)
        assert ana.all(include_inactive=True) == []

    def test_what_holds_again_has_its_own_expiry(self, ana: Memory) -> None:
        """A memory expires with that in its place only while that is in its place, and to expire."""
        end = utc_now() + timedelta(days=400)
        for number, undo in enumerate(("keep_both", "clear", "add")):
            (flat,) = ana.add(f"I rent flat {number}", infer=False)
            (room,) = ana.add(f"I rent room {number}", supersedes=flat.id, expires_at=end, infer=False)
            ana.update(room.id, f"I rent the room {number}")
            hotel, session = f"I am in hotel {number}", f"s{number}"
            (stay,) = ana.add(hotel, supersedes=room.id, ttl=3600, session_id=session, infer=False)
            assert ana.get(flat.id).expires_at == ana.get(room.id).expires_at == stay.expires_at
            if undo == "keep_both":
                ana.keep_both(room.id, stay.id)
            elif undo == "clear":
                ana.history(session).clear(facts=True)
            else:
                ana.add(hotel, infer=False)
            for memory_id in (flat.id, room.id):
                assert abs((ana.get(memory_id).expires_at or utc_now()) - end) < timedelta(milliseconds=1)
            assert f"I rent the room {number}" in [item.text for item in ana.all(include_inactive=True)]

    def test_a_restored_end_is_that_of_the_versions_too(self, backend: Backend) -> None:
        """Of a memory that says the same, and of the memory itself in an older state."""
        ana, other = backend.user("ana"), backend.user("bob")
        for memory in (ana, other):
            (item,) = memory.add("The door code is 4710", infer=False)
            memory.update(item.id, CODE)
        older = ana.export()
        (item,) = ana.add(CODE, ttl=3600, infer=False)
        exported = ana.export()
        ana.erase()
        ana.restore(older)
        ana.restore(exported)
        renamed = [{**each, "user_id": "bob"} for each in exported["items"] if each["text"] == CODE]
        other.restore({**exported, "user_id": "bob", "items": renamed})
        for memory in (ana, other):
            assert [each.expires_at for each in memory.all(include_inactive=True)] == [item.expires_at] * 2

    def test_sources_expire_with_their_facts(self, make: Callable[..., Backend]) -> None:
        """Else the text behind a fact would go on saying it."""
        llm = ScriptedExtractor([facts("The code of the door is 4711"), facts("The code of the door is 4711")])
        ana = make(llm=llm).user("ana")
        ana.add("Use 4711 at the door, please remember")
        ana.add("Again: 4711 opens the door", ttl=SOON)
        time.sleep(SOON + 0.1)
        assert ana.all(kinds=["item", "source"]) == []
        assert ana.search("4711 door", kinds=["item", "source"]) == []

    def test_a_model_gives_a_ttl(self, ana: Memory) -> None:
        """Through `add_memory`."""
        said = [{"role": "user", "content": CODE}]
        outcome = run_tool(TOOLS["add_memory"], lambda: ana, {"messages": said, "ttl": 3600})
        assert not outcome.is_error
        (item,) = ana.all()
        assert item.expires_at is not None
        assert timedelta(minutes=50) < item.expires_at - utc_now() <= timedelta(hours=1)
