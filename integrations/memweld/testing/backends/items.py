"""Items: added, found, filtered, paged, changed, removed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any, cast

import pytest

from ... import Backend, Memory
from ...errors import (
    InvalidInputError,
    MemoryNotFoundError,
)
from .base import BackendFixtures

__all__ = ["ItemTests"]


class ItemTests(BackendFixtures):
    """Items: added, found, filtered, paged, changed, removed."""

    def test_add_and_read_back(self, ana: Memory) -> None:
        """An item comes back with all that was given."""
        before = datetime.now(timezone.utc).replace(microsecond=0)
        (item,) = ana.add("  I love Python ", metadata={"source": {"page": 3, "tags": ["a", None, 1.5]}})
        assert (item.text, item.user_id, item.agent_id, item.kind, item.key) == (
            "  I love Python ",
            "ana",
            None,
            "item",
            None,
        )
        assert item.metadata == {"source": {"page": 3, "tags": ["a", None, 1.5]}}
        assert before <= item.created_at == item.updated_at <= datetime.now(timezone.utc)
        assert item.extraction == "verbatim"
        assert ana.get(item.id) == item
        assert ana.all() == [item]

    def test_add_messages(self, ana: Memory) -> None:
        """Each message of the user and the assistant is an item; other messages hold no facts about the user."""
        items = ana.add(
            [
                {"role": "system", "content": "You are helpful"},
                {"role": "user", "content": "I live in Lisbon", "name": "ana"},
                {"role": "assistant", "content": "Lisbon is lovely"},
                {"role": "tool", "content": "22 degrees", "tool_call_id": "t"},
            ],
            session_id="s1",
        )
        assert [(item.text, item.role, item.name, item.session_id) for item in items] == [
            ("I live in Lisbon", "user", "ana", "s1"),
            ("Lisbon is lovely", "assistant", None, "s1"),
        ]

    def test_an_equal_text_is_stored_once(self, ana: Memory, bob: Memory) -> None:
        """Adding again answers with the item that is there, in this scope only."""
        (first,) = ana.add("I love tea")
        assert ana.add("I love tea ") == [first]
        (cafe,) = ana.add("Le caf\u00e9 est bon")
        assert ana.add("Le cafe\u0301 est bon\n") == [cafe]
        ana.delete(cafe.id)
        assert ana.add([{"role": "user", "content": "I love tea"}] * 2) == [first]
        assert len(ana.all()) == 1
        assert bob.add("I love tea")[0].id != first.id

    def test_an_equal_text_with_other_data_is_merged(self, ana: Memory, bob: Memory) -> None:
        """One memory has the metadata, sessions and times of all; filters and sessions find it under each."""
        (first,) = ana.add("I like the window seat", metadata={"trip": "rome", "a": 1}, session_id="rome")
        (item,) = ana.add("I like the window seat", metadata={"trip": "oslo", "b": 2}, session_id="oslo")
        (old,) = ana.add("I like the window seat ", created_at="2020-01-01")
        (late,) = ana.add("I like the window seat", session_id="lima", created_at="2021-01-01")
        assert {each.id for each in (first, item, old, late)} == {each.id for each in ana.all()} == {first.id}
        assert (item.metadata, item.sessions) == ({"trip": "oslo", "a": 1, "b": 2}, ("rome", "oslo"))
        assert late.created_at == datetime(2020, 1, 1, tzinfo=timezone.utc) < first.created_at
        assert (late.updated_at, late.sessions) == (item.updated_at, ("rome", "oslo", "lima"))
        assert ana.get(first.id) == late
        found: list[dict[str, Any]] = [{"trip": "rome"}, {"trip": "oslo"}, {"a": 1, "b": 2}, {"trip": "rome", "a": 1}]
        for filters in found:
            assert [each.id for each in ana.all(filters=filters)] == [first.id]
            assert [hit.id for hit in ana.search("seat", filters=filters)] == [first.id]
        for session in ("rome", "oslo", "lima"):
            assert [each.id for each in ana.all(session_id=session)] == [first.id]
            assert [hit.id for hit in ana.search("seat", session_id=session)] == [first.id]
        assert ana.all(session_id="oslo", filters={"trip": "oslo"}) == [late]
        for session, trip in (("oslo", "rome"), ("kyiv", "oslo"), ('oslo","x', "oslo")):
            assert ana.all(session_id=session, filters={"trip": trip}) == []
        assert ana.add("I like the window seat", metadata={"trip": "rome", "a": 1}, session_id="rome") == [late]
        export = ana.export()
        ana.erase()
        ana.restore(export)
        assert ana.all() == [late]
        bob.add("I like the window seat", session_id="home")
        assert bob.restore({**export, "user_id": "bob"})["merged"] == 1
        assert bob.restore({**export, "user_id": "bob"}) == {"items": 0, "values": 0, "sessions": 0, "messages": 0}
        (his,) = bob.all(filters={"trip": "rome"})
        assert his.sessions == ("home", "rome", "oslo", "lima")
        assert ana.update(first.id, "I like the aisle seat", metadata={"c": 3}).metadata == {"c": 3}
        assert ana.all(filters={"trip": "rome"}) == []
        assert [each.id for each in ana.all(session_id="lima", filters={"c": 3})] == [first.id]

    def test_texts_are_stored_exactly(self, ana: Memory) -> None:
        """White space and normal forms stay, wherever a text goes; searches and equality see past them."""
        markdown, decomposed = "\n    # Me\n      I live in Lisbon\n  ", "I love the Cafe\u0301 Luso\u2003"
        for number, text in enumerate((markdown, decomposed)):
            (item,) = ana.add(text, session_id="s")
            assert (item.text, ana.get(item.id).text) == (text, text)
            assert ana.add(text.strip()) == [item]
            ana.delete(item.id)
            (item,) = ana.capture([{"role": "user", "content": text}], session_id="s")
            assert ana.history("s").messages()[-1].text == item.text == text
            assert ana.update(item.id, f"{text}\n").text == f"{text}\n"
            ana.tasks.record(f"t{number}", outcome=text)
            assert ana.tasks.context(f"t{number}")[0].outcome == text
            ana.state("n").set("k", text, text=text)
            assert [hit.text for hit in ana.search("Lisbon café", kinds="record")] == [text]
        assert ana.search("Caf\u00e9 Luso", kinds="item")[0].score > 0.5
        stored, export = ana.all(), ana.export()
        ana.erase()
        ana.restore(export)
        assert ana.all() == stored
        for blank in ("", " \n", "\u2003"):
            with pytest.raises(InvalidInputError):
                ana.add(blank)

    def test_equal_texts_added_at_once_are_stored_once(self, make: Callable[..., Backend]) -> None:
        """Also when threads and connections race."""
        backends = [make(), make()]
        start = threading.Barrier(8)

        def add(number: int) -> str:
            start.wait()
            return backends[number % 2].user("ana").add("I love tea")[0].id

        with ThreadPoolExecutor(8) as pool:
            ids = set(pool.map(add, range(8)))
        assert len(ids) == 1
        assert len(backends[0].user("ana").all()) == 1

    def test_created_at_for_imports(self, ana: Memory) -> None:
        """An imported fact keeps its time with the offset from UTC: a recall shows the day that it was for the user."""
        (item,) = ana.add("I was born in Faro", created_at="2020-05-01T12:00:00+02:00")
        assert item.created_at == datetime(2020, 5, 1, 10, tzinfo=timezone.utc)
        (evening,) = ana.add("The dentist is tomorrow", created_at="2025-07-24T20:00:00-07:00")
        for stored in (evening, ana.get(evening.id), ana.search("dentist", limit=1)[0], ana.all()[1]):
            assert stored.created_at.isoformat() == stored.updated_at.isoformat() == "2025-07-24T20:00:00-07:00"
        assert "- [2025-07-24] The dentist is tomorrow" in ana.recall("dentist", limit=1)

    def test_search_finds_by_words(self, ana: Memory) -> None:
        """The best comes first, scores fall and lie between 0 and 1, and limit holds."""
        ana.add("My sister Clara is allergic to peanuts")
        ana.add("I take the train to work")
        ana.add("The train to Porto leaves at nine", metadata={"city": "Porto"})
        hits = ana.search("Which train goes to Porto?", limit=2)
        assert [hit.text for hit in hits] == ["The train to Porto leaves at nine", "I take the train to work"]
        assert 1 >= hits[0].score > hits[1].score >= 0
        assert hits[0].metadata == {"city": "Porto"}

    def test_search_in_an_empty_memory(self, ana: Memory) -> None:
        """Nothing is found where nothing is."""
        assert ana.search("anything") == []
        assert ana.recall("anything") == ""

    @pytest.mark.parametrize(
        "query", ['"', "a OR b", "NEAR(a b)", "text:x", "*", "-x", "(", "what is the", "😀", "x" * 9000]
    )
    def test_search_takes_any_text(self, ana: Memory, query: str) -> None:
        """No query is an error of the keyword index's language."""
        ana.add("Something to find")
        assert isinstance(ana.search(query), list)

    def test_filters_are_equality(self, ana: Memory) -> None:
        """Values and their types must be equal; keys are taken literally."""
        ana.add("one", metadata={"n": 1, 'we"ird.key$[0]': "x"})
        ana.add("two", metadata={"n": "1"})
        ana.add("three", metadata={"n": True})
        ana.add("four", metadata={"n": None})
        ana.add("five", metadata={"AND": "*"})

        def found(filters: dict[str, Any]) -> list[str]:
            listed = [item.text for item in ana.all(filters=filters)]
            assert {hit.text for hit in ana.search("one two three four five", filters=filters)} == set(listed)
            return listed

        assert found({"n": 1}) == ["one"]
        assert found({"n": "1"}) == ["two"]
        assert found({"n": True}) == ["three"]
        assert found({"n": None}) == ["four"]
        assert found({'we"ird.key$[0]': "x"}) == ["one"]
        assert found({"n": 1, "missing": 1}) == []
        assert found({"AND": "*"}) == ["five"]
        assert found({"n": {"$eq": "*"}}) == []

    def test_metadata_cannot_set_our_fields(self, ana: Memory, bob: Memory) -> None:
        """Whatever the keys, metadata is only data."""
        forged = dict.fromkeys(("user_id", "agent_id", "run_id", "kind", "key", "data", "hash", "memory"), "bob")
        forged |= {"created_at": "1999-01-01", "role": "system", "expiration_date": "1999-01-01", "memweld": "x"}
        (item,) = ana.add("I am Ana", metadata=forged)
        assert ana.get(item.id).metadata == forged
        assert (item.user_id, item.role, item.created_at.year > 2000) == ("ana", "user", True)
        assert ana.search("Ana")[0].metadata == forged
        assert bob.all() == []

    def test_pages(self, ana: Memory) -> None:
        """Pages follow each other without a gap, in the order of adding, and a page may start behind any item."""
        ids = [ana.add(f"fact {number}")[0].id for number in range(25)]
        first = ana.all(limit=10)
        second = ana.all(limit=10, cursor=first.next)
        third = ana.all(limit=10, cursor=second[-1].id)
        assert [item.id for item in first + second + third] == ids
        assert (len(third), third.next) == (5, None)
        assert ana.all(limit=25).next is None
        assert ana.all(cursor=ids[-1]) == []
        with pytest.raises(MemoryNotFoundError):
            ana.all(cursor="nothing")

    def test_pages_of_the_newest(self, ana: Memory, bob: Memory) -> None:
        """What was stored last comes first, through all pages, also behind a memory that is deleted meanwhile."""
        ids = [ana.add(f"number {number}")[0].id for number in range(5)]
        bob.add("number of Bob")
        first = ana.all(limit=2, newest_first=True)
        ana.delete(first[-1].id)
        second = ana.all(limit=2, newest_first=True, cursor=first.next)
        third = ana.all(limit=2, newest_first=True, cursor=second.next)
        assert [item.id for item in (*first, *second, *third)] == ids[::-1]
        assert third.next is None
        assert [item.id for item in ana.all(newest_first=True, cursor=ids[1])] == [ids[0]]
        assert ana.all(newest_first=True, cursor=ids[0]) == []

    def test_a_page_behind_one_that_is_deleted(self, ana: Memory, bob: Memory) -> None:
        """A reader of pages may delete what it has read and skips nothing; another user's id is no cursor."""
        for number in range(9):
            ana.add(f"fact {number}")
        seen: list[str] = []
        page = ana.all(limit=3)
        cursor = page.next
        while page:
            seen += [item.text for item in page]
            for item in page:
                ana.delete(item.id)
            if page.next is None:
                break
            cursor = page.next
            with pytest.raises(MemoryNotFoundError):
                bob.all(cursor=cursor)
            page = ana.all(limit=3, cursor=cursor)
        assert seen == [f"fact {number}" for number in range(9)]
        ana.erase()
        assert ana.all(cursor=cursor) == []

    def test_a_cut_is_visible(self, ana: Memory) -> None:
        """Without a limit of its own, a caller who does not see everything is warned."""
        ana.add([{"role": "user", "content": f"fact {number}"} for number in range(101)])
        with pytest.warns(UserWarning, match="more follow"):
            page = ana.all()
        assert (len(page), len(ana.all(cursor=page.next))) == (100, 1)

    def test_a_cursor_tells_nothing_of_other_users(self, ana: Memory, bob: Memory) -> None:
        """Equal positions have unrelated cursors, and a changed one is refused."""
        for memory in (ana, bob):
            memory.add([{"role": "user", "content": f"fact {number}"} for number in range(3)])
        cursors = [memory.all(limit=limit).next for memory in (ana, bob) for limit in (1, 2)]
        assert all(cursor is not None and len(cursor) == 32 for cursor in cursors)
        for cursor in cursors[:2]:
            assert cursor is not None
            for forged in (f"{cursor[:-1]}{'A' if cursor[-1] != 'A' else 'B'}", f"B{cursor[1:]}"[::-1], cursor[4:]):
                with pytest.raises(MemoryNotFoundError):
                    ana.all(cursor=forged)

    def test_update(self, ana: Memory) -> None:
        """The text changes, its time is told, the search follows, metadata stays unless given."""
        (item,) = ana.add("I live in Lisbon", metadata={"a": 1})
        changed = ana.update(item.id, "I live in Porto")
        assert (changed.id, changed.text, changed.metadata) == (item.id, "I live in Porto", {"a": 1})
        assert changed.created_at == item.created_at < changed.updated_at
        assert [hit.text for hit in ana.search("Porto")] == ["I live in Porto"]
        assert ana.update(item.id, "I live in Faro", metadata={"b": 2}).metadata == {"b": 2}
        assert ana.get(item.id).text == "I live in Faro"

    def test_update_refuses_what_another_item_says(self, ana: Memory) -> None:
        """Two items never say the same."""
        ana.add("I love tea")
        (coffee,) = ana.add("I love coffee")
        with pytest.raises(InvalidInputError, match="another memory"):
            ana.update(coffee.id, "I love tea")
        assert ana.get(coffee.id).text == "I love coffee"
        assert ana.update(coffee.id, "I love coffee").text == "I love coffee"

    def test_delete_and_clear(self, ana: Memory, bob: Memory) -> None:
        """A deleted memory is gone from lists and searches; clear counts, and leaves others alone."""
        one, two, three = (ana.add(f"fact number {number}")[0] for number in ("one", "two", "three"))
        bob.add("fact number four")
        ana.delete(one.id)
        assert [item.id for item in ana.all()] == [two.id, three.id]
        assert {hit.id for hit in ana.search("fact number one")} == {two.id, three.id}
        with pytest.raises(MemoryNotFoundError):
            ana.delete(one.id)
        ana.preferences.set("theme", "dark")
        assert ana.clear() == 3
        assert (ana.all(), ana.search("fact"), ana.preferences.all(), ana.clear()) == ([], [], {}, 0)
        assert len(bob.all()) == 1
        (again,) = ana.add("fact number one")
        assert [hit.id for hit in ana.search("fact")] == [again.id]

    def test_wrong_arguments_have_a_remedy(self, ana: Memory) -> None:
        """Items in place of ids, texts in place of booleans, and numbers outside of a range."""
        (item,) = ana.add("I live in Porto", infer=False)
        wrong: Any = item
        calls: list[tuple[str, Callable[[], Any]]] = [
            *(
                ("item.id", lambda given=given: ana.add("I live in Faro", supersedes=given, infer=False))
                for given in cast("list[Any]", [item, [item], {item.id: 1}, 5])
            ),
            *(("item.id", lambda call=call: call(wrong)) for call in (ana.get, ana.delete, ana.pin, ana.delete_many)),
            ("item.id", lambda: ana.search("Porto", ids=item.id)),
            ("what profile\\(\\) returned", lambda: ana.profile(earlier=cast("Any", "x"))),
            ("pinned .*Pass a bool", lambda: ana.add("I live in Faro", pinned=cast("Any", "no"), infer=False)),
            ("facts .*Pass a bool", lambda: ana.history("s").clear(facts=cast("Any", "no"))),
            ("include_inactive .*Pass a bool", lambda: ana.all(include_inactive=cast("Any", "no"))),
            ("pinned .*Pass a bool", lambda: ana.all(pinned=cast("Any", "no"))),
            ("NaN", lambda: ana.all(filters={"p": {"$gt": float("nan")}})),
            ("Pass a number such as 1", lambda: ana.all(limit=0)),
            ("in pages", lambda: ana.all(limit=10_001)),
            ("Pass a number such as 1", lambda: ana.profile(budget=0)),
            ("Pass a number such as 1", lambda: ana.consolidate(keep_versions=-1)),
        ]
        for remedy, call in calls:
            with pytest.raises(InvalidInputError, match=remedy):
                call()
        assert [each.text for each in ana.all()] == ["I live in Porto"]

    def test_too_many_filters_are_refused(self, ana: Memory) -> None:
        """A hundred are answered, more are an error of ours."""
        metadata = {f"k{number}": "v" for number in range(100)}
        (item,) = ana.add("I like tea", metadata=metadata)
        assert [found.id for found in ana.all(filters=metadata)] == [item.id]
        assert [hit.id for hit in ana.search("tea", filters=metadata)] == [item.id]
        metadata["k100"] = "v"
        for refused in (lambda: ana.all(filters=metadata), lambda: ana.search("tea", filters=metadata)):
            with pytest.raises(InvalidInputError, match="at most 100"):
                refused()
