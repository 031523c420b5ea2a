"""Facts of which a person has one value at a time: superseded by a rule, or named in conflict."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone

import pytest

from ... import Backend, Memory
from ...errors import InvalidInputError, MemoryNotFoundError
from ...models import MemoryItem
from ...tools import TOOLS
from ...tools.call import run_tool
from ...validation import utc_now
from ..llm import ScriptedExtractor, facts
from .base import BackendFixtures
from .change import IN_FARO, IN_LISBON, IN_PORTO, texts
from .restore import same_export

__all__ = ["RelationTests"]

MESSI, RONALDO = "My favourite player is Messi", "My favourite player is Ronaldo"


def add(memory: Memory, *said: str, at: str | datetime | None = None) -> list[MemoryItem]:
    """Texts as they are, one after the other; the item of each."""
    return [memory.add(text, created_at=at, infer=False)[0] for text in said]


def ids(items: Sequence[MemoryItem]) -> tuple[str, ...]:
    """The ids of items."""
    return tuple(item.id for item in items)


class RelationTests(BackendFixtures):
    """The rule for single values, and conflicts."""

    def test_a_new_home_supersedes_the_old_one(self, ana: Memory) -> None:
        """In any words of the languages of the rule, within one add, too; the old one has an end and is a version."""
        porto, job, lisbon = add(ana, IN_PORTO, "I work at Acme", "Ich bin letzte Woche nach Lissabon gezogen.")
        assert texts(ana.all()) == [job.text, lisbon.text]
        assert [hit.text for hit in ana.search(IN_PORTO, limit=9)].count(IN_PORTO) == 0
        old = ana.get(porto.id)
        assert old.superseded_by == lisbon.id
        assert old.valid_until is not None
        assert lisbon.created_at <= old.valid_until <= utc_now()
        assert (lisbon.conflicts, ana.conflicts()) == ((), [])
        assert texts(ana.versions(lisbon.id)) == [IN_PORTO, lisbon.text]
        messages = [{"role": "user", "content": text} for text in (IN_PORTO, "Nice weather", "I moved to Faro!")]
        faro = ana.add(messages, infer=False)[-1]
        assert texts(ana.all()) == [job.text, "Nice weather", faro.text]
        assert texts(ana.versions(faro.id)) == [IN_PORTO, lisbon.text, IN_PORTO, faro.text]
        add(ana, "I no longer live in Faro")
        assert "I moved to Faro!" not in texts(ana.all())

    def test_the_rule_is_narrow(self, ana: Memory) -> None:
        """Look-alikes, other people, the same in other words, and texts that state more stay where they are."""
        said = (
            IN_LISBON,
            "I'm living in Lisbon now",
            "My brother lives in Porto",
            "I used to live in Porto",
            "I would like to live in Faro",
            "I live in Porto and Lisbon",
            "I work at Acme",
            MESSI,
            "My brother's favourite player is Ronaldo",
        )
        stored = add(ana, *said)
        assert texts(ana.all()) == list(said)
        assert [item.conflicts for item in stored[:5]] == [()] * 5
        assert stored[5].conflicts == ids(stored[1::-1])
        assert [item.conflicts for item in stored[6:]] == [()] * 3
        whole, *_ = add(ana, "I live in Braga, and I have two cats")
        assert whole.conflicts == (stored[5].id,), "it takes the place of what states a home and nothing else"
        faro, *_ = add(ana, IN_FARO)
        assert set(faro.conflicts) == {whole.id, stored[5].id}
        (braga,) = ana.add([{"role": "assistant", "content": "I live in Coimbra"}], infer=False)
        assert braga.conflicts == ()

    def test_any_relation_of_a_text_may_conflict(self, ana: Memory) -> None:
        """A text with several keeps its name and its home: a new one of either is in conflict with it."""
        (both, job) = add(ana, "My name is Ana and I live in Porto.", "I work at Acme")
        (lisbon,) = add(ana, IN_LISBON)
        (eva,) = add(ana, "My name is Eva")
        assert (lisbon.conflicts, eva.conflicts, job.conflicts) == ((both.id,), (both.id,), ())
        (third,) = add(ana, "My name is Ana and I live in Faro.")
        assert (ana.get(lisbon.id).superseded_by, ana.get(eva.id).superseded_by) == (third.id, third.id)
        assert third.conflicts == (both.id,)
        add(ana, "My favourite player is Messi and my favourite food is rice")
        assert [ids((pair.older, pair.newer)) for pair in ana.conflicts()] == [(both.id, third.id)]
        add(ana, "My favourite player is Pele and my favourite food is fish")
        assert len(ana.conflicts()) == 2, "a pair is listed once"
        (braga,) = add(ana, "The user lives in Braga and works at Globex")
        assert braga.conflicts == (third.id, both.id)
        assert ana.get(job.id).superseded_by == braga.id

    def test_a_doubt_replaces_nothing(self, ana: Memory) -> None:
        """Words of another do nothing; a tail that takes a statement back, a part of an address and an end conflict."""
        (porto,) = add(ana, IN_PORTO)
        told = (
            "My friend said: I live in Lisbon",
            "Meine Katze: Ich wohne in Lissabon",
            "My boss told me, I live in Faro",
        )
        assert [item.conflicts for item in add(ana, *told)] == [()] * 3
        for text in (
            "I live in Lisbon (just kidding)",
            "I live in Lisbon, says my brother",
            "I moved to Lisbon, but I came back",
            "I live in Lisbon. That was a lie.",
            "I live in Porto, Ohio",
            "I don't live in Porto",
            "Ich lebe in Scheidung",
        ):
            (doubtful,) = add(ana, text)
            assert porto.id in doubtful.conflicts, text
            ana.delete(doubtful.id)
        assert texts(ana.all()) == [IN_PORTO, *told]

    def test_conflicts_are_named_and_decided(self, ana: Memory) -> None:
        """``conflicts`` of the new item and of the memory; one supersedes the other, or both are true."""
        messi, other, ronaldo = add(ana, MESSI, "I like tea", RONALDO)
        assert (ronaldo.conflicts, other.conflicts) == ((messi.id,), ())
        (pair,) = ana.conflicts()
        assert (pair.older.id, pair.newer.id) == (messi.id, ronaldo.id)
        assert ana.get(ronaldo.id).conflicts == ()
        ana.keep_both(messi.id, ronaldo.id)
        assert ana.conflicts() == []
        (pele,) = add(ana, "My favourite player is Pele")
        assert pele.conflicts == (ronaldo.id, messi.id)
        assert [ids((pair.older, pair.newer)) for pair in ana.conflicts()] == [
            (ronaldo.id, pele.id),
            (messi.id, pele.id),
        ]
        assert len(ana.conflicts(limit=1)) == 1
        assert ana.supersede([messi.id, ronaldo.id], by=pele.id).id == pele.id
        assert ana.supersede(messi.id, by=pele.id).id == pele.id, "a call that is sent again"
        assert (texts(ana.all()), ana.conflicts()) == (["I like tea", pele.text], [])
        assert texts(ana.versions(pele.id)) == [MESSI, RONALDO, pele.text]
        with pytest.raises(InvalidInputError, match="by"):
            ana.supersede(other.id, by=messi.id)
        with pytest.raises(InvalidInputError, match="it says the same"):
            ana.supersede(pele.id, by=pele.id)

    def test_an_older_statement_may_be_the_true_one(self, ana: Memory) -> None:
        """It holds from now on, and what was held true before stays so."""
        (york,) = add(ana, "I live in York", at="2024-01-01")
        (new,) = add(ana, "I live in New York", at="2025-01-01")
        assert new.conflicts == (york.id,), "York is a part of New York by its letters"
        ana.supersede(new.id, by=york.id)
        assert texts(ana.all()) == ["I live in York"]
        assert set(texts(ana.all(as_of="2025-06-01"))) == {"I live in York", "I live in New York"}

    def test_both_true_takes_the_rule_back(self, ana: Memory) -> None:
        """The superseded one holds again, and nothing supersedes two that are kept beside each other."""
        porto, lisbon = add(ana, IN_PORTO, IN_LISBON)
        ana.keep_both(lisbon.id, porto.id)
        assert texts(ana.all()) == [IN_PORTO, IN_LISBON]
        assert (ana.get(porto.id).valid_until, ana.conflicts()) == (None, [])
        (faro,) = add(ana, IN_FARO)
        assert faro.conflicts == (lisbon.id, porto.id)
        assert texts(ana.all()) == [IN_PORTO, IN_LISBON, IN_FARO]
        exported = ana.export()
        ana.erase()
        ana.restore(exported)
        assert same_export(ana.export(), exported)
        assert len(ana.conflicts()) == 2

    def test_a_mistaken_move_is_taken_back(self, ana: Memory) -> None:
        """Deleting the new memory deletes what it superseded, unless both are kept before."""
        porto, lisbon = add(ana, IN_PORTO, IN_LISBON)
        ana.keep_both(porto.id, lisbon.id)
        ana.delete(lisbon.id)
        assert texts(ana.all()) == [IN_PORTO]
        (lisbon,) = add(ana, IN_LISBON)
        assert lisbon.conflicts == (), "what was kept beside it is gone"
        ana.delete(lisbon.id)
        assert ana.all(include_inactive=True) == []

    def test_an_import_in_any_order(self, ana: Memory) -> None:
        """Values hold one after the other in the order of their times, and the same import adds nothing."""
        homes = {IN_PORTO: "2020-01-01", IN_FARO: "2022-01-01", IN_LISBON: "2024-01-01"}
        for text in (IN_LISBON, IN_PORTO, IN_FARO, IN_PORTO, IN_FARO, IN_LISBON):
            add(ana, text, at=homes[text])
        assert texts(ana.all()) == [IN_LISBON]
        assert sorted(texts(ana.all(include_inactive=True))) == sorted(homes)
        for moment, expected in (("2019", []), ("2021", [IN_PORTO]), ("2023", [IN_FARO]), ("2025", [IN_LISBON])):
            assert texts(ana.all(as_of=f"{moment}-06-01")) == expected
        assert set(texts(ana.versions(ana.all()[0].id))) == set(homes)

    def test_times_of_the_caller(self, ana: Memory) -> None:
        """A beginning in the future, and memories that are true for a time only, which take no place for good."""
        now = utc_now()
        (porto,) = add(ana, IN_PORTO)
        ana.add(IN_FARO, valid_from=now - timedelta(days=1), valid_until=now + timedelta(days=9), infer=False)
        assert texts(ana.all()) == [IN_PORTO, IN_FARO]
        (lisbon,) = ana.add(IN_LISBON, valid_from=now + timedelta(days=30), infer=False)
        assert IN_PORTO in texts(ana.all())
        assert ana.get(porto.id).superseded_by == lisbon.id
        assert texts(ana.all(as_of=now + timedelta(days=31))) == [IN_LISBON]

    def test_a_beginning_in_the_past_of_what_is_added_now(self, ana: Memory) -> None:
        """The words said last win; the older item ends where the new one begins, but not before its own beginning."""
        began, now = utc_now() - timedelta(days=20), utc_now()
        (porto,) = add(ana, IN_PORTO)
        (lisbon,) = ana.add(IN_LISBON, valid_from=began, infer=False)
        assert texts(ana.all()) == [IN_LISBON]
        old = ana.get(porto.id)
        assert (old.superseded_by, old.valid_until, lisbon.conflicts) == (lisbon.id, porto.created_at, ())
        assert texts(ana.versions(lisbon.id)) == [IN_PORTO, IN_LISBON]
        (faro,) = ana.add(IN_FARO, valid_from=began - timedelta(days=9), infer=False)
        assert ana.get(faro.id).superseded_by == lisbon.id, "both have a beginning: the later one holds"
        (braga,) = ana.add("I live in Braga", created_at=now - timedelta(days=90), infer=False)
        assert ana.get(braga.id).valid_until == faro.valid_from, "an import has its place in time"
        assert texts(ana.all()) == [IN_LISBON]
        add(ana, IN_PORTO)
        assert texts(ana.all()) == [IN_PORTO]

    def test_the_caller_decides(self, ana: Memory) -> None:
        """The caller's ``supersedes`` overrides the rule; an empty list supersedes nothing."""
        (porto,) = add(ana, IN_PORTO)
        (lisbon,) = ana.add(IN_LISBON, supersedes=[], infer=False)
        assert lisbon.conflicts == (porto.id,)
        assert texts(ana.all()) == [IN_PORTO, IN_LISBON]
        ana.update(porto.id, "I have a boat in Porto")
        assert ana.conflicts() == []
        ana.update(porto.id, IN_FARO)
        assert len(ana.conflicts()) == 1
        (braga,) = add(ana, "I live in Braga")
        assert (texts(ana.all()), braga.conflicts) == (["I live in Braga"], ())
        (letter,) = ana.add(IN_PORTO, source="document", infer=False)
        assert letter.conflicts == (braga.id,), "who is I in a document?"

    def test_only_what_a_scope_sees(self, backend: Backend, ana: Memory, bob: Memory) -> None:
        """Not another user's, no agent's own memory; an agent's part sees itself, and the user all parts."""
        add(bob, IN_PORTO)
        agent = backend.agent("guide")
        add(agent, "The user lives in Porto", "The user lives in Lisbon")
        assert len(agent.all()) == 2, "an agent may know several users"
        cook = backend.user("ana", agent_id="cook")
        (porto,) = add(ana, IN_PORTO)
        (lisbon,) = add(cook, IN_LISBON)
        assert (lisbon.conflicts, cook.conflicts(), texts(bob.all())) == ((), [], [IN_PORTO])
        assert [pair.newer.id for pair in ana.conflicts()] == [lisbon.id]
        for memory, one in ((bob, porto.id), (cook, porto.id)):
            with pytest.raises(MemoryNotFoundError):
                memory.supersede(one, by=memory.all()[0].id)
            with pytest.raises(MemoryNotFoundError):
                memory.keep_both(memory.all()[0].id, one)
        add(ana, IN_FARO)
        assert (texts(ana.all()), cook.all(), texts(bob.all())) == ([IN_FARO], [], [IN_PORTO])
        theme = ana.preferences.set("home", IN_PORTO)
        with pytest.raises(InvalidInputError, match="preference"):
            ana.keep_both(theme.id, ana.all(kinds="item")[0].id)

    def test_each_speaker_has_a_home(self, ana: Memory) -> None:
        """Speakers with names have values of their own, and the user is the speaker without a name."""
        said = [{"role": "user", "name": name, "content": f"I live in {city}"} for name, city in (
            ("Clara", "Porto"), ("Rui", "Lisbon"), ("ana", "Faro"), ("user", "Braga"),
        )]  # fmt: skip
        ana.add(said, infer=False)
        assert texts(ana.all()) == [IN_PORTO, IN_LISBON, "I live in Braga"]

    def test_extracted_facts(self, make: Callable[..., Backend]) -> None:
        """The rule reads "The user lives in …", too; facts of one answer never supersede each other."""
        llm = ScriptedExtractor(
            [
                facts("The user lives in Porto", "The user has a dog"),
                facts("The user no longer lives in Porto", "The user lives in Lisbon"),
                facts("The user lives in Faro", "The user lives in Braga"),
            ]
        )
        ana = make(llm=llm).user("ana")
        ana.add("My flat is in Porto, and I have a dog")
        ana.add("I have left Porto for Lisbon")
        assert "The user lives in Porto" not in texts(ana.all())
        assert {"The user has a dog", "The user lives in Lisbon"} <= set(texts(ana.all()))
        added = ana.add("Faro or Braga, who knows")
        assert [item.conflicts for item in added] == [(added[1].id,), (added[0].id,)]
        assert "The user lives in Lisbon" not in texts(ana.all())

    def test_an_llm_names_what_a_fact_replaces(self, make: Callable[..., Backend]) -> None:
        """Among the facts that it was shown, by their numbers; every other answer loses nothing."""
        coffee, stopped = "The user drinks coffee every day", "The user stopped drinking coffee"
        numbers: list[object] = []

        def answer(messages: list[tuple[str, str]]) -> str:
            lines = messages[1][1].splitlines()
            number = next((line.partition(".")[0] for line in lines if line.endswith(f'. "{coffee}"')), "0")
            replaces = numbers.pop() if numbers else [int(number)]
            return json.dumps({"facts": [{"text": stopped, "replaces": replaces}]})

        backend = make(llm=ScriptedExtractor([answer]))
        ana, bob = backend.user("ana"), backend.user("bob")
        (other,) = bob.add(coffee, infer=False)
        ana.preferences.set("coffee", coffee)
        (known,) = ana.add(coffee, infer=False)
        numbers += [0, -1, 9, True, "1", 1.5, None, [[1]], [99], [1, 1, 1, 1], {"1": 1}, known.id, [other.id]]
        while numbers:
            ana.add("I drink coffee every day no more")
            assert coffee in texts(ana.all(kinds="item")), numbers
            assert ana.conflicts() == []
        (new, *_) = ana.add("I drink coffee every day no more, really")
        old = ana.get(known.id)
        assert (old.superseded_by, old.changed_by, new.text) == (new.id, "llm", stopped)
        assert texts(ana.versions(new.id)) == [coffee, stopped]
        assert (texts(bob.all()), ana.preferences.get("coffee")) == ([coffee], coffee)

    def test_a_turn_with_a_new_home(self, ana: Memory) -> None:
        """Captured words supersede captured words: recall shows the last alone."""
        for words in (IN_PORTO, "I moved to Lisbon last week, what is the best bakery?"):
            ana.capture([{"role": "user", "content": words}, {"role": "assistant", "content": "Nice!"}], session_id="s")
        block = ana.recall("Where do I live?")
        assert ("Lisbon" in block, "Porto" in block) == (True, False)

    @pytest.mark.parametrize("undo", ["edit", "clear", "delete", "update"])
    def test_no_memory_is_lost_behind_an_extracted_fact(self, make: Callable[..., Backend], undo: str) -> None:
        """What a fact superseded holds again if its message is edited or cleared, and goes or stays with its source."""
        learnt = (facts(f"The user lives in {town}") for town in ("Porto", "Lisbon"))
        ana = make(llm=ScriptedExtractor([*learnt, facts()])).user("ana")
        for number, text in enumerate(("I live in Porto", "I moved to Lisbon")):
            ana.capture([{"role": "user", "content": text, "id": f"m{number}"}], session_id=f"s{number}")
        (source,) = ana.all(kinds="source", session_id="s1")
        (porto, lisbon) = ana.all(include_inactive=True)
        assert porto.superseded_by == lisbon.id
        if undo == "edit":
            ana.capture([{"role": "user", "content": "I love Lisbon", "id": "m1"}], session_id="s1")
        elif undo == "clear":
            ana.history("s1").clear(facts=True)
        elif undo == "delete":
            ana.delete(source.id)
        else:
            ana.update(source.id, "I moved to Faro")
        if undo == "delete":
            assert ana.all(include_inactive=True) == []
        elif undo == "update":
            assert [item.text for item in ana.all()] == ["I moved to Faro"]
            assert [item.text for item in ana.versions(source.id)][-1] == "I moved to Faro"
            assert ana.get(porto.id).superseded_by == source.id
        else:
            assert [item.text for item in ana.all()] == ["The user lives in Porto"]
            assert ana.get(porto.id).valid_until is None

    def test_tools_name_conflicts(self, ana: Memory) -> None:
        """A model reads which memory may be wrong, and decides with the tools that it has."""
        said = [{"role": "user", "content": RONALDO}]
        (messi,) = add(ana, MESSI)
        outcome = run_tool(TOOLS["add_memory"], lambda: ana, {"messages": said, "supersedes": []})
        assert not outcome.is_error
        assert f"{messi.id} - {MESSI}" in outcome.marked
        (ronaldo,) = [item for item in ana.all() if item.text == RONALDO]
        outcome = run_tool(TOOLS["add_memory"], lambda: ana, {"messages": said, "supersedes": [messi.id]})
        assert "say something else" not in outcome.marked
        assert f"No longer true, because the new ones replace them:\n1. ID: {messi.id}" in outcome.marked
        assert texts(ana.all()) == [RONALDO]
        assert texts(asyncio.run(ana.aio.versions(ronaldo.id))) == [MESSI, RONALDO]
        assert asyncio.run(ana.aio.conflicts()) == []
        (old,) = add(ana, IN_PORTO, at=datetime(2024, 1, 1, tzinfo=timezone.utc))
        outcome = run_tool(TOOLS["add_memory"], lambda: ana, {"messages": [{"role": "user", "content": IN_LISBON}]})
        assert f"1. ID: {old.id} - {IN_PORTO}" in outcome.marked
        assert texts(ana.all()) == [RONALDO, IN_LISBON]
        said = [{"role": "user", "content": "I moved to Faro"}]
        outcome = run_tool(TOOLS["add_memory"], lambda: ana, {"messages": said})
        assert IN_LISBON in outcome.marked
        assert IN_PORTO not in outcome.marked, "replaced before"
        outcome = run_tool(TOOLS["add_memory"], lambda: ana, {"messages": said, "ttl": 1e-6})
        assert not outcome.is_error, "what is gone at once was added"
