"""Provenance: where memories come from, and the messages that they were learnt from."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ... import Backend, Memory
from ...errors import InvalidInputError
from ...models import MemoryItem, Source, ValueWrite
from ...tools import TOOLS
from ...tools.call import run_tool
from ..llm import ScriptedExtractor, facts
from .base import BackendFixtures

__all__ = ["ProvenanceTests"]


def sources_of(memory: Memory) -> dict[str, str]:
    """The source of each text."""
    return {item.text: item.source for item in memory.all(kinds=("item", "source", "preference", "task", "record"))}


class ProvenanceTests(BackendFixtures):
    """Sources of memories."""

    def test_each_writer_has_its_source(self, ana: Memory) -> None:
        """Words of users, answers, tools of models, and what a caller says; also of keyed facts and records."""
        ana.add(
            [{"role": "user", "content": "I like tea"}, {"role": "assistant", "content": "Tea is out"}], infer=False
        )
        ana.capture("I live in Porto", session_id="s", infer=False)
        ana.add("The house has two floors", source="document", infer=False)
        ana.preferences.set("theme", "dark")
        ana.values.write([ValueWrite(namespace="n", key="k", value=1, text="a note")])
        assert sources_of(ana) == {
            "I like tea": "user",
            "Tea is out": "assistant",
            "I live in Porto": "user",
            "The house has two floors": "document",
            "theme: dark": "user",
            "a note": "user",
        }
        for name, arguments in {
            "add_memory": {"messages": [{"role": "user", "content": "The user likes rum"}]},
            "set_preference": {"key": "theme", "value": "light"},
            "record_task_outcome": {"task_id": "ship", "outcome": "shipped"},
            "update_memory": {"memory_id": ana.search("Porto", limit=1)[0].id, "data": "I live in Faro"},
        }.items():
            assert run_tool(TOOLS[name], lambda: ana, arguments).error is None
        sources = sources_of(ana)
        assert sources["I like tea"] == "user"
        by_agent = ("The user likes rum", "theme: light", "ship: shipped", "I live in Faro")
        assert [sources[text] for text in by_agent] == ["agent"] * 4
        with pytest.raises(InvalidInputError, match="source"):
            ana.add("I like cake", source="web")  # pyright: ignore[reportArgumentType]

    def test_of_an_equal_text_the_more_trusted_source_counts(self, ana: Memory) -> None:
        """The order in which they say it does not count."""
        order = ("assistant", "tool", "agent", "document", "import", "user")
        for text, sources in (("I like tea", order), ("I like rum", reversed(order))):
            items = [ana.add(text, source=source, infer=False)[0] for source in sources]
            assert len({item.id for item in items}) == 1
            assert (items[-1].source, ana.get(items[-1].id).source) == ("user", "user")

    def test_sources_stay_at_an_export_and_a_restore(self, ana: Memory, bob: Memory) -> None:
        """In JSON, too; and async code gives one."""

        async def add() -> list[MemoryItem]:
            return await ana.aio.add("The house has two floors", source="document", infer=False)

        asyncio.run(add())
        export = json.loads(json.dumps(ana.export()))
        bob.restore({**export, "user_id": "bob"})
        assert sources_of(bob) == {"The house has two floors": "document"}

    @pytest.mark.parametrize("extraction", ["compact", "mem0"])
    def test_extracted_facts_have_the_source_of_their_message(
        self, make: Callable[..., Backend], extraction: str
    ) -> None:
        """And its id. A caller's own source holds for all facts of a call."""
        answers = [
            facts("Ana lives in Lisbon", "Ana parks on level three"),
            facts("Ana lives in Lisbon"),
            facts("Ana lives in Faro"),
            facts("The house has two floors"),
        ]
        ana = make(llm=ScriptedExtractor(answers), extraction=extraction).user("ana")

        def talk(session_id: str, *texts: str) -> dict[str, MemoryItem]:
            roles = ("user", "assistant")
            turn: list[Any] = [
                {"role": role, "content": text, "id": f"{session_id}-{role}"}
                for role, text in zip(roles, texts, strict=False)
            ]
            return {item.text: item for item in ana.capture(turn, session_id=session_id)}

        found = talk("s", "I live in Lisbon now. Where do I park?", "You park on level three.")
        lisbon, level = found["Ana lives in Lisbon"], found["Ana parks on level three"]
        assert (lisbon.source, lisbon.message_id, lisbon.extraction) == ("user", "s-user", "extracted")
        assert (level.source, level.message_id, level.links) == ("assistant", "s-assistant", ())
        (source,) = (ana.get(each) for each in lisbon.links)
        assert (source.source, source.kind, source.message_id) == ("user", "source", "s-user")
        lisbon = talk("t", "I said that I live in Lisbon.")["Ana lives in Lisbon"]
        assert [(each["session_id"], each["message_id"]) for each in lisbon.occurrences] == [
            ("s", "s-user"),
            ("t", "t-user"),
        ]
        assert [ana.get(each).message_id for each in lisbon.links] == ["s-user", "t-user"]
        ana.history("s").append({"role": "user", "content": "Where do I park?", "id": "s-user"})
        (lisbon,) = (item for item in ana.all() if item.text == "Ana lives in Lisbon")
        assert (lisbon.message_id, [ana.get(each).message_id for each in lisbon.links if _has(ana, each)]) == (
            "t-user",
            ["t-user"],
        )
        items = [*talk("u", "Sorry, Faro.", "So you live in Faro!").values()]
        assert [(item.text, item.source, item.message_id) for item in items] == [
            ("Ana lives in Faro", "user", "u-user")
        ]
        items = ana.add([{"role": "user", "content": "Two floors, says the land register"}], source="document")
        assert {item.source for item in items} == {"document"}

    @pytest.mark.parametrize("extraction", ["compact", "mem0"])
    def test_recall_leaves_out_what_an_llm_learnt_from_an_answer(
        self, make: Callable[..., Backend], extraction: str
    ) -> None:
        """Unless the caller asks for it, or the user says it, too. A search finds it."""
        forged, level, own = "Ana pays every invoice", "Ana parks on level three", "Ana parks her car in Lisbon"
        answers = [facts(forged, level, own), facts(level)]
        ana = make(llm=ScriptedExtractor(answers), extraction=extraction).user("ana")
        turn = [
            {"role": "user", "content": "I park my car in Lisbon. Where?"},
            {"role": "assistant", "content": "On level three. By the way: Ana pays every invoice."},
        ]
        ana.capture(turn, session_id="s")
        ana.add([{"role": "assistant", "content": "Ana parks for free on Sundays"}], infer=False)
        query = "Where does Ana park, and who pays the invoice?"
        assert own in ana.recall(query)
        assert "Sundays" in ana.recall(query), "added on purpose"
        assert (forged in ana.recall(query), level in ana.recall(query, limit=50)) == (False, False)
        assert {forged, level} <= {hit.text for hit in ana.search(query, limit=50)}
        assert forged in ana.recall(query, sources=None)
        assert own in ana.profile()
        assert forged not in ana.profile()
        assert [hit.text for hit in ana.search(query, limit=1, sources="trusted")] != [forged]
        assert forged not in [item.text for item in ana.all(sources="trusted")]
        ana.capture("Yes, I park on level three.", session_id="s")
        assert level in ana.recall(query)
        (wrong,) = (hit.id for hit in ana.search(query, limit=50) if hit.text == forged)
        ana.add("I pay no invoice", supersedes=wrong, infer=False)
        assert "I pay no invoice" in ana.profile()
        assert forged not in ana.profile(), "not as what was before either"

    def test_words_of_others_take_no_place_of_the_users(self, ana: Memory) -> None:
        """Neither a later text nor an earlier one."""
        ana.add("I live in Lisbon", created_at="2026-01-01T00:00:00Z", infer=False)
        ana.add("My phone number is 1234567", source="document", created_at="2026-01-03T00:00:00Z", infer=False)
        others: dict[str, Source] = {"Faro": "document", "Braga": "assistant", "Evora": "tool"}
        for town, source in others.items():
            ana.add(f"I live in {town}", source=source, created_at="2026-01-02T00:00:00Z", infer=False)
        ana.add("My phone number is 7654321", created_at="2026-01-02T00:00:00Z", infer=False)
        assert [item.text for item in ana.all(sources="user")] == ["I live in Lisbon", "My phone number is 7654321"]
        assert len(ana.all()) == 6

    def test_sources_choose_memories(self, ana: Memory) -> None:
        """In searches, lists and deletions; with filters, and in async code."""
        ana.add(
            [{"role": "user", "content": "I like tea"}, {"role": "assistant", "content": "Tea is out"}], infer=False
        )
        ana.add("Tea comes from China", source="document", metadata={"page": 3}, infer=False)
        assert [item.text for item in ana.all(sources="document")] == ["Tea comes from China"]
        assert [hit.text for hit in ana.search("tea", sources=["assistant"])] == ["Tea is out"]
        both = ana.search("tea", sources=("user", "document"), limit=1, filters={"page": 3})
        assert [hit.text for hit in both] == ["Tea comes from China"]
        assert ana.search("tea", sources="import") == []
        assert "China" not in ana.recall("tea", sources="user")
        assert [hit.text for hit in asyncio.run(_search(ana))] == ["I like tea"]
        for sources in ("web", [], ["user", None], 3):
            with pytest.raises(InvalidInputError, match=r"sources .*one or several of user, .*, or trusted alone"):
                ana.search("tea", sources=sources)  # pyright: ignore[reportArgumentType]
        assert ana.delete_all(sources="document") == 1
        assert [item.text for item in ana.all()] == ["I like tea", "Tea is out"]

    def test_rare_sources_are_found_among_many(self, ana: Memory) -> None:
        """However few of the best hits are from them."""
        ana.add([{"role": "user", "content": f"I drink tea number {number}"} for number in range(120)], infer=False)
        pages = {f"A book of many pages, on page {number} tea" for number in range(4)}
        for page in pages:
            ana.add(page, source="document", infer=False)
        query = "Which tea do I drink?"
        assert {hit.text for hit in ana.search(query, limit=4, sources="document")} == pages
        assert {hit.source for hit in ana.search(query, limit=5, sources=["user", "import"])} == {"user"}
        assert ana.search(query, limit=3, sources="tool") == []


async def _search(memory: Memory) -> Sequence[MemoryItem]:
    return await memory.aio.search("tea", sources="user")


def _has(memory: Memory, memory_id: str) -> bool:
    return memory_id in {item.id for item in memory.all(kinds=("item", "source"))}
