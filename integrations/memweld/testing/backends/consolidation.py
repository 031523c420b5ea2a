"""Consolidation: what it merges, deletes and summarises, and that undoing it restores everything."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest

from ... import Backend, Memory
from ...consolidation import ConsolidationPlan, ConsolidationReceipt
from ...errors import InvalidInputError
from ...validation import utc_now
from ..llm import ScriptedExtractor, facts
from .base import BackendFixtures
from .change import texts
from .restore import same_export

__all__ = ["ConsolidationTests"]

TEA, ALSO_TEA = "I like tea", "I do like tea!"
OTHERS = ("I like green tea", "I don't like tea", "My brother likes tea", "I like tea?")


def kinds(plan: ConsolidationPlan | ConsolidationReceipt) -> list[str]:
    """The kinds of the steps."""
    return [step.kind for step in (plan.steps if isinstance(plan, ConsolidationPlan) else plan.done)]


def versions_of_tea(memory: Memory, count: int) -> list[str]:
    """The ids of memories that supersede each other; the last one is not superseded."""
    ids: list[str] = []
    for number in range(count):
        (item,) = memory.add(f"I drink {number} cups", supersedes=ids[-1:] or None, infer=False)
        ids.append(item.id)
    return ids


# Functions of a module, because a test may send them to a server in another process.


def first_summary(messages: list[tuple[str, str]]) -> str:
    """The answer of an LLM that reads the first messages of the session."""
    return '{"summary": "Ana plans a trip."}' if "message 40" in messages[1][1] else "no"


def second_summary(messages: list[tuple[str, str]]) -> str:
    """The answer of an LLM that reads the messages behind those alone."""
    text = messages[1][1]
    return '{"summary": "Ana booked the trip."}' if "message 41" in text and "message 40" not in text else "no"


class ConsolidationTests(BackendFixtures):
    """Consolidation and its undoing."""

    def test_duplicates_are_merged_and_look_alikes_are_not(self, ana: Memory, bob: Memory) -> None:
        """The latest stays, with the sessions and metadata of both; the other is a version of it."""
        (first,) = ana.add(TEA, session_id="monday", metadata={"cup": 1}, created_at="2024-01-01", infer=False)
        for text in OTHERS:
            ana.add(text, infer=False)
        (second,) = ana.add(ALSO_TEA, session_id="friday", created_at="2025-01-01", infer=False)
        bob.add(TEA, infer=False)
        before = ana.export()
        plan = ana.consolidate()
        assert same_export(ana.export(), before), "a dry run changes nothing"
        (step,) = plan.steps
        assert (step.kind, step.ids, step.texts) == ("merge", (second.id, first.id), (ALSO_TEA, TEA))
        receipt = ana.consolidate(plan=plan)
        assert (kinds(receipt), receipt.skipped) == (["merge"], ())
        assert sorted(texts(ana.all())) == sorted([*OTHERS, ALSO_TEA])
        kept = ana.get(second.id)
        assert (kept.sessions, kept.metadata) == (("friday", "monday"), {"cup": 1})
        assert [hit.id for hit in ana.search("Which tea?", filters={"cup": 1})] == [second.id]
        assert [(each.text, each.changed_by) for each in ana.versions(first.id)] == [
            (TEA, "consolidate"),
            (ALSO_TEA, None),
        ]
        assert TEA in texts(ana.all(as_of="2024-06-01"))
        assert TEA not in texts(ana.search(TEA, limit=50))
        assert kinds(ana.consolidate()) == []
        assert texts(bob.all()) == [TEA]

    def test_spellings_of_one_relation(self, ana: Memory) -> None:
        """Equal values in British and American spelling are merged, and another value conflicts with both."""
        (british,) = ana.add("My favourite colour is grey", infer=False)
        (american,) = ana.add("My favorite color is gray", infer=False)
        (step,) = ana.consolidate().steps
        assert (step.kind, set(step.ids), american.conflicts) == ("merge", {british.id, american.id}, ())
        (red,) = ana.add("My favourite color is red", infer=False)
        assert set(red.conflicts) == {british.id, american.id}

    def test_a_merged_memory_is_pinned_and_is_no_recent_change(self, ana: Memory) -> None:
        """A pin passes on, and comes back; a profile does not show what says the same as before."""
        (tea,) = ana.add(TEA, created_at="2024-01-01", infer=False)
        ana.pin(tea.id)
        (also,) = ana.add(ALSO_TEA, created_at="2025-01-01", infer=False)
        before = ana.export()
        receipt = ana.consolidate(dry_run=False)
        (kept,) = ana.all(pinned=True)
        assert (kept.id, kept.updated_at < utc_now() - timedelta(days=30)) == (also.id, True)
        (section,) = ana.profile().sections
        assert [(line.item.id, line.before) for line in section.lines] == [(also.id, None)]
        ana.undo(receipt)
        assert same_export(ana.export(), before)
        assert [item.id for item in ana.all(pinned=True)] == [tea.id]

    def test_sources_go_with_the_fact_that_stays(self, make: Callable[..., Backend]) -> None:
        """The texts behind merged facts are linked to the one that stays, and leave with it."""
        llm = ScriptedExtractor([facts("Ana likes tea"), facts("Ana likes tea.")])
        ana = make(llm=llm).user("ana")
        ana.add("I am fond of tea, you know")
        ana.add("Tea it is, as ever")
        before = ana.export()
        assert len(ana.all(kinds="source")) == 2
        receipt = ana.consolidate(dry_run=False, summarize=False)
        (fact,) = ana.all(kinds="item")
        sources = ana.all(kinds="source")
        assert set(fact.links) == {source.id for source in sources}
        assert [source.links for source in sources] == [(fact.id,)] * 2
        ana.undo(receipt)
        assert same_export(ana.export(), before)
        ana.consolidate(dry_run=False, summarize=False)
        ana.delete(ana.all(kinds="item")[0].id)
        assert ana.all(kinds=["item", "source"], include_inactive=True) == []

    def test_undo_restores_everything(self, make: Callable[..., Backend], ana: Memory) -> None:
        """Ids, times, versions, occurrences, deleted versions and their order; in another process from JSON."""
        ids = versions_of_tea(ana, 6)
        for number, text in enumerate((TEA, ALSO_TEA, f"{TEA}.")):
            ana.add(text, session_id=f"s{number}", metadata={"n": number}, infer=False)
        (item,) = ana.add("I have a cat", infer=False)
        for value in range(4):
            ana.preferences.set("theme", value)
            ana.update(item.id, f"I have {value} cats")
        before = ana.export()
        receipt = ana.consolidate(dry_run=False, keep_versions=2)
        assert kinds(receipt) == ["merge", *["drop_versions"] * 3]
        assert texts(ana.versions(ids[-1])) == [f"I drink {number} cups" for number in (0, 4, 5)]
        assert texts(ana.versions(item.id)) == ["I have a cat", "I have 2 cats", "I have 3 cats"]
        assert texts(ana.preferences.versions("theme")) == ["theme: 0", "theme: 2", "theme: 3"]
        assert texts(ana.all(kinds="item")) == ["I drink 5 cups", f"{TEA}.", "I have 3 cats"]
        after = ana.export()
        other = make().user("ana")
        undone = other.undo(json.loads(json.dumps(receipt.to_dict())))
        assert (kinds(undone), undone.skipped) == ([*["drop_versions"] * 3, "merge"], ())
        assert _by_id(other.export()) == _by_id(before)
        assert texts(other.versions(ids[-1])) == [f"I drink {number} cups" for number in range(6)]
        assert other.search("I drink 2 cups", include_inactive=True, limit=1)[0].id == ids[2]
        again = other.undo(undone)
        assert again.skipped == ()
        assert _by_id(other.export()) == _by_id(after)

    def test_memories_that_were_changed_meanwhile_stay_as_they_are(self, ana: Memory) -> None:
        """Between plan and consolidation, and between that and its undoing; other steps are done."""
        (tea,), _ = (ana.add(text, infer=False) for text in (TEA, ALSO_TEA))
        ana.add("I have a cat", infer=False)
        (cat,) = ana.add("I have a cat.", infer=False)
        ana.add("I have a dog", infer=False)
        (dog,) = ana.add("I have a dog!", infer=False)
        plan = ana.consolidate()
        assert kinds(plan) == ["merge"] * 3
        ana.update(tea.id, "I like coffee")
        receipt = ana.consolidate(plan=plan)
        assert (kinds(receipt), [step.kind for step in receipt.skipped]) == (["merge"] * 2, ["merge"])
        assert sorted(texts(ana.all())) == ["I do like tea!", "I have a cat.", "I have a dog!", "I like coffee"]
        ana.update(cat.id, "I have two cats")
        undone = ana.undo(receipt)
        assert [step.ids[0] for step in undone.done] == [dog.id]
        assert [step.ids[0] for step in undone.skipped] == [cat.id]
        assert "I have a cat" not in texts(ana.all())
        assert {"I have a dog", "I have a dog!"} <= set(texts(ana.all()))
        ana.erase()
        assert (ana.undo(receipt).done, ana.all()) == ((), [])

    def test_an_equal_text_that_was_added_since_is_not_doubled(self, ana: Memory) -> None:
        """The step stays as it is."""
        ana.add(TEA, infer=False)
        ana.add(ALSO_TEA, infer=False)
        receipt = ana.consolidate(dry_run=False)
        ana.add(TEA, infer=False)
        assert (ana.undo(receipt).done, sorted(texts(ana.all()))) == ((), [ALSO_TEA, TEA])

    def test_agents_and_speakers_are_kept_apart(self, backend: Backend, ana: Memory) -> None:
        """Only what the same speaker said, in the same part of the memory, at the same time."""
        cook = backend.user("ana", agent_id="cook")
        cook.add(TEA, infer=False)
        ana.add(ALSO_TEA, infer=False)
        ana.add([{"role": "assistant", "content": f"{TEA}."}], infer=False)
        ana.add([{"role": "user", "name": "Tom", "content": f"{TEA}!"}], infer=False)
        ana.add(f"{TEA}…", valid_until="2999-01-01", infer=False)
        ana.add(f"{TEA}!!", valid_from="2999-01-01", infer=False)
        assert kinds(ana.consolidate()) == []
        ana.add("I have an exam tomorrow", created_at="2026-01-10T12:00:00Z", infer=False)
        ana.add("I have an exam tomorrow!", created_at="2026-06-10T12:00:00Z", infer=False)
        assert kinds(ana.consolidate()) == []
        ana.add("I have an exam tomorrow.", created_at="2026-06-10T18:00:00Z", infer=False)
        assert [step.texts for step in ana.consolidate().steps] == [
            ("I have an exam tomorrow.", "I have an exam tomorrow!")
        ]
        # The same day in UTC, and two in New York.
        eve = backend.user("eve", timezone="America/New_York")
        for text, said_at in (("I fly tomorrow", "2026-07-02T01:00:00Z"), ("I fly tomorrow!", "2026-07-02T14:00:00Z")):
            eve.add(text, created_at=said_at, infer=False)
        assert kinds(eve.consolidate()) == []
        eve.add("I fly tomorrow.", created_at="2026-07-02T03:00:00Z", infer=False)
        assert [step.texts for step in eve.consolidate(dry_run=False).done] == [("I fly tomorrow.", "I fly tomorrow")]
        cook.add(ALSO_TEA, infer=False)
        receipt = cook.consolidate(dry_run=False)
        assert kinds(receipt) == ["merge"]
        for other in (backend.user("ana", agent_id="waiter"), backend.user("bob"), backend.agent("cook")):
            with pytest.raises(InvalidInputError, match="it belongs to user ana"):
                other.undo(receipt)
            with pytest.raises(InvalidInputError, match="it belongs to user ana"):
                other.consolidate(plan=json.loads(json.dumps(cook.consolidate().to_dict())))
            assert other.all() == []
        assert ana.undo(receipt).skipped == ()
        assert sorted(texts(cook.all())) == sorted([TEA, ALSO_TEA])

    def test_what_has_expired_goes_for_good(self, ana: Memory) -> None:
        """A plan counts it, and undoing brings nothing of it back."""
        ana.state("n").set("k", "secret", ttl=1.0, text="The code is 1234")
        (short,) = ana.add("The code is 5678", ttl=3600, infer=False)
        ana.update(short.id, "The code is 9012")
        ana.add("The code is 9012", ttl=1.0, infer=False)
        ana.add("I live in Porto", infer=False)
        time.sleep(1.1)
        before = ana.export()
        receipt = ana.consolidate(dry_run=False)
        # A write of another kind may have swept it already.
        assert set(kinds(receipt)) <= {"expire"}
        assert ana.undo(receipt).done == ()
        assert same_export(ana.export(), before)
        assert kinds(ana.consolidate()) == []

    @pytest.mark.parametrize(("keep", "left"), [(0, [4]), (1, [3, 4]), (2, [0, 3, 4]), (3, [0, 2, 3, 4]), (9, None)])
    def test_earlier_versions_that_stay(self, ana: Memory, keep: int, left: list[int] | None) -> None:
        """The first and the latest ones."""
        ids = versions_of_tea(ana, 5)
        assert kinds(ana.consolidate()) == []
        receipt = ana.consolidate(dry_run=False, keep_versions=keep)
        assert texts(ana.versions(ids[-1])) == [f"I drink {number} cups" for number in left or range(5)]
        assert len(receipt.done) == (left is not None)

    def test_long_sessions_are_summarised_by_an_llm(self, make: Callable[..., Backend], ana: Memory) -> None:
        """From a length on, again when it has grown, and never without an LLM."""
        talk = [{"role": ("user", "assistant")[number % 2], "content": f"message {number}"} for number in range(90)]
        ana.history("short").append(talk[:39])
        ana.history("long").append(talk[:41])
        assert kinds(ana.consolidate()) == []
        llm = ScriptedExtractor([first_summary, "no", second_summary])
        ana = make(llm=llm).user("ana")
        plan = ana.consolidate()
        assert [(step.kind, step.session_id, step.texts) for step in plan.steps] == [("summarize", "long", ())]
        assert llm.prompts == []
        assert kinds(ana.consolidate(summarize=False)) == []
        receipt = ana.consolidate(plan=plan)
        assert receipt.done[0].texts == ("Ana plans a trip.",)
        (summary,) = ana.all()
        assert (summary.text, summary.session_id, summary.extraction) == ("Ana plans a trip.", "long", "extracted")
        assert ana.search("trip")[0].id == summary.id
        assert kinds(ana.consolidate()) == []
        ana.history("long").append(talk[41:])
        assert ana.consolidate(dry_run=False).skipped[0].kind == "summarize"
        second = ana.consolidate(dry_run=False)
        assert texts(ana.all()) == ["Ana booked the trip."]
        assert texts(ana.versions(summary.id)) == ["Ana plans a trip.", "Ana booked the trip."]
        ana.undo(second)
        ana.undo(receipt)
        assert ana.all(include_inactive=True) == []

    def test_plans_and_receipts_are_validated(self, ana: Memory) -> None:
        """Nothing is written where a part of one is wrong."""
        (item,) = ana.add(TEA, infer=False)
        ana.add(ALSO_TEA, infer=False)
        receipt = ana.consolidate(dry_run=False).to_dict()
        assert isinstance(ConsolidationReceipt.from_dict(receipt), ConsolidationReceipt)
        wrong: list[Any] = [{}, {"done": 1}, {**receipt, "done": [{"kind": "x", "reason": ""}]}]
        wrong.append(json.loads(json.dumps(receipt).replace('"user"', '"system"')))
        wrong.append(json.loads(json.dumps(receipt).replace('"text"', '"kind": "record", "key": "[1]", "text"')))
        for each in wrong:
            with pytest.raises(InvalidInputError):
                ana.undo(each)
        for nothing in cast("Any", ("a plan", {"step": []})):
            with pytest.raises(InvalidInputError, match=r"(?i)plan"):
                ana.consolidate(plan=nothing)
        with pytest.raises(InvalidInputError, match="Leave dry_run out"):
            ana.consolidate(plan=ana.consolidate(), dry_run=True)  # pyright: ignore[reportCallIssue, reportArgumentType]
        with pytest.raises(InvalidInputError, match="dry_run 'no': it must be True or False"):
            ana.consolidate(dry_run=cast("Any", "no"))
        forged = ConsolidationPlan.from_dict(
            {"steps": [{"kind": "merge", "reason": "", "ids": [item.id, "no-such-id"]}]}
        )
        assert ana.consolidate(plan=forged).done == ()
        (cat,) = ana.add("I have a cat", infer=False)
        forged = ConsolidationPlan.from_dict(
            {
                "steps": [
                    {"kind": "merge", "reason": "", "ids": [cat.id, item.id]},
                    {"kind": "drop_versions", "reason": "", "ids": [cat.id]},
                ]
            }
        )
        assert ana.consolidate(plan=forged).done == ()
        assert "I have a cat" in texts(ana.all())

    def test_receipts_that_somebody_made_up(self, ana: Memory, bob: Memory) -> None:
        """They add nothing that supersedes or is superseded elsewhere, and no value of a key."""
        (secret,) = bob.add("I live in Porto", infer=False)
        ana.preferences.set("theme", "dark")
        times = dict.fromkeys(("created_at", "updated_at"), "2026-01-01T00:00:00Z")
        for fields in (
            {"superseded_by": secret.id, "valid_until": "2026-01-01T00:00:00Z"},
            {"superseded_by": "no-such-id"},
            {"kind": "preference", "key": "theme", "metadata": {"value": "light"}},
            {"id": ana.all()[0].id},
        ):
            before = {"id": "made-up", "text": "theme: light", **times, **fields}
            step = {"kind": "drop_versions", "reason": "", "changes": [{"before": before}]}
            undone = ana.undo({"made_at": times["created_at"], "done": [step]})
            assert (undone.done, len(undone.skipped)) == ((), 1)
        assert texts(ana.all(include_inactive=True)) == ["theme: dark"]
        assert texts(bob.versions(secret.id)) == ["I live in Porto"]

    def test_async(self, ana: Memory) -> None:
        """The same methods for async code."""

        async def run() -> list[str]:
            await ana.aio.add([{"role": "user", "content": text} for text in (TEA, ALSO_TEA)], infer=False)
            plan = await ana.aio.consolidate()
            receipt = await ana.aio.consolidate(plan=plan)
            left = texts(await ana.aio.all())
            await ana.aio.undo(receipt)
            return left

        assert asyncio.run(run()) == [ALSO_TEA]
        assert texts(ana.all()) == [TEA, ALSO_TEA]


def _by_id(export: dict[str, Any]) -> dict[str, Any]:
    """An export without its time; memories that come back stand behind the others."""
    items = sorted(export["items"], key=lambda item: item["id"])
    return {**export, "exported_at": "", "items": items}
