"""An export put back: everything of it, in any backend, as often as one likes."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ... import Backend, Memory
from ...engine.operations import Export, Restore, Search
from ...errors import InvalidInputError, MemoryNotFoundError
from ...models import ValueWrite
from ...validation import utc_now
from .base import BackendFixtures

__all__ = ["RestoringTests", "fill", "same_export"]


def fill(backend: Backend, user_id: str) -> None:
    """Give a user something of everything, with an agent's part."""
    ana = backend.user(user_id)
    (item,) = ana.add("I was born in Porto", metadata={"a": [1, None, {"b": "ü"}]}, session_id="s 1")
    spoken = {"role": "assistant", "content": "You keep bees", "name": "guide"}
    ana.add([spoken], created_at="2020-02-03T04:05:06+01:00")
    ana.update(item.id, "I was born in Faro")
    ana.preferences.set("theme", {"dark": True})
    ana.tasks.record("ship-42", outcome="Came late", success=False, metadata={"by": "boat"})
    ana.state("z").set("first", [1, 2.5, "x", None])
    ana.state("a/b").set("text", {"water": "Mondays"}, text="The ficus gets water on Mondays")
    ana.state("a/b").set("ends", "soon", ttl=3600)
    ana.state("a/b").set("both", 1, ttl=3600, text="The key is under the mat")
    ana.history("s 1").append(
        [
            {"id": "m1", "role": "user", "content": "Which trams?"},
            {"id": "m2", "role": "assistant", "tool_calls": [{"id": "c", "name": "trams", "arguments": {"to": "Foz"}}]},
            {"id": "m3", "role": "tool", "content": "18", "tool_call_id": "c", "name": "trams"},
            {"id": "m4", "role": "assistant", "content": [{"type": "text", "text": "The 18"}], "refusal": None},
        ]
    )
    agent = backend.user(user_id, agent_id="researcher")
    agent.add("I was born in Faro")
    agent.preferences.set("theme", "light")
    agent.state("z").set("first", "the agent's", text="The agent's own ficus")
    agent.history("s 1").append("of the agent")


def same_export(one: Any, other: Any) -> bool:
    """Whether two exports hold the same, leaving aside when each was made."""
    return {**one, "exported_at": ""} == {**other, "exported_at": ""}


class RestoringTests(BackendFixtures):
    """An export put back."""

    def test_what_was_exported_and_erased_comes_back_whole(self, backend: Backend, ana: Memory, bob: Memory) -> None:
        """Ids, times, order, kinds, keys, records, ends, sessions and agents' parts: the next export is the same."""
        fill(backend, "ana")
        bob.add("I was born in Faro")
        exported = json.loads(json.dumps(ana.export()))
        sessions, found = ana.sessions(), [hit.id for hit in ana.search("born in Faro", limit=50)]
        assert len(exported["items"]) == 10, "one of them is an earlier text"
        ana.erase()
        counts = ana.restore(exported)
        assert counts == {"items": 10, "values": 5, "sessions": 2, "messages": 5}
        assert same_export(ana.export(), exported)
        assert ana.sessions() == sessions
        assert [hit.id for hit in ana.search("born in Faro", limit=50)] == found
        assert backend.user("ana", agent_id="researcher").preferences.get("theme") == "light"
        assert [item.text for item in bob.all()] == ["I was born in Faro"]

    def test_to_restore_again_changes_nothing(self, backend: Backend, ana: Memory) -> None:
        """Over the same data, and over what is left of it."""
        fill(backend, "ana")
        exported = ana.export()
        for _ in range(2):
            assert ana.restore(exported) == {"items": 0, "values": 0, "sessions": 0, "messages": 0}
            assert same_export(ana.export(), exported)
        gone = ana.search("Faro", kinds="item")[0]
        ana.delete(gone.id)
        ana.state("a/b").delete("text")
        ana.history("s 1").clear()
        assert ana.restore(exported) == {"items": 3, "values": 1, "sessions": 1, "messages": 4}
        assert ana.get(gone.id).text == gone.text
        assert ana.search("ficus water", kinds="record")[0].metadata == {"namespace": "a/b", "key": "text"}

    def test_much_is_restored_in_batches(self, backend: Backend, ana: Memory) -> None:
        """Whole, in order, each row counted once; a value with its text."""
        ana.add([{"role": "user", "content": f"fact {number}"} for number in range(250)], infer=False)
        ana.values.write(
            [
                ValueWrite(
                    namespace="n", key=f"k{number:03}", value=number, text=f"value {number}" if number % 2 else None
                )
                for number in range(250)
            ]
        )
        for session, count in (("long", 450), ("a", 3), ("b", 1)):
            ana.history(session).append([{"role": "user", "content": f"{session} {number}"} for number in range(count)])
        exported = ana.export()
        counts = {"items": 375, "values": 250, "sessions": 3, "messages": 454}
        ana.erase()
        assert ana.restore(exported) == counts
        assert same_export(ana.export(), exported)
        assert ana.restore(exported) == dict.fromkeys(counts, 0)
        assert ana.search("value 249", kinds="record", limit=1)[0].metadata["key"] == "k249"
        assert len(backend.user("ana").history("long").messages()) == 450

    def test_more_than_one_message_to_a_server_is_restored(self, ana: Memory) -> None:
        """A server takes requests of 4 MiB: bytes count, not rows, and a session counts once."""
        ana.history("long").append([{"role": "user", "content": f"{number} {'ü' * 300_000}"} for number in range(6)])
        ana.history("short").append("hello")
        ana.values.write([ValueWrite(namespace="n", key=f"k{number}", value="ü" * 300_000) for number in range(4)])
        ana.add("I live in Porto")
        exported = ana.export()
        assert len(json.dumps(exported, ensure_ascii=False).encode()) > 5_500_000
        ana.erase()
        counts = {"items": 1, "values": 4, "sessions": 2, "messages": 7}
        assert ana.restore(exported) == counts
        assert same_export(ana.export(), exported)
        assert ana.restore(exported) == dict.fromkeys(counts, 0)

    def test_values_and_their_records_stay_together(self, backend: Backend, ana: Memory) -> None:
        """A restored value and its text are one thing again: deleted, changed and expired together."""
        fill(backend, "ana")
        exported = ana.export()
        ana.erase()
        ana.restore(exported)
        state = ana.state("a/b")
        assert state.delete("text")
        assert [hit.metadata["key"] for hit in ana.search("ficus mat", kinds="record") if not hit.agent_id] == ["both"]
        (entry,) = [entry for entry in state.entries() if entry.key == "ends"]
        assert entry.expires_at is not None
        assert timedelta(minutes=50) < entry.expires_at - utc_now() <= timedelta(hours=1)
        (refreshed,) = ana.values.read([("a/b", "ends")], refresh=True)
        assert refreshed is not None
        assert refreshed.expires_at is not None
        assert refreshed.expires_at >= entry.expires_at

    def test_what_was_changed_last_stays(self, backend: Backend, ana: Memory) -> None:
        """A restoration never takes back what was written after the export."""
        fill(backend, "ana")
        exported = ana.export()
        item = ana.search("Faro", kinds="item")[0]
        backend.user("ana", agent_id=item.agent_id).update(item.id, "I was born in Braga")
        ana.preferences.set("theme", "new")
        ana.state("z")["first"] = "new"
        ana.state("a/b").set("text", 1, text="A new text")
        assert ana.restore(exported)["items"] == 0
        assert ana.get(item.id).text == "I was born in Braga"
        assert (ana.preferences.get("theme"), ana.state("z")["first"], ana.state("a/b")["text"]) == ("new", "new", 1)
        assert ana.search("new text", kinds="record", limit=1)[0].text == "A new text"

    def test_another_users_export_and_ids(self, backend: Backend, ana: Memory, bob: Memory) -> None:
        """An export is its user's own. Under a new name all of it is the other user's, ids included."""
        fill(backend, "ana")
        exported = ana.export()
        with pytest.raises(InvalidInputError, match="another user"):
            bob.restore(exported)
        assert bob.export()["items"] == []
        renamed = {**exported, "user_id": "bob", "items": [{**item, "user_id": "bob"} for item in exported["items"]]}
        for _ in range(2):
            bob.restore(renamed)
            assert same_export(bob.export(), renamed)
        assert {item.user_id for item in bob.all()} == {"bob"}
        assert same_export(ana.export(), exported)
        bob.erase()
        assert same_export(ana.export(), exported)

    def test_ids_of_two_users_never_meet(self, backend: Backend, ana: Memory, bob: Memory) -> None:
        """With the ids of Ana's memories Bob reads, changes, searches and deletes his own alone."""
        fill(backend, "ana")
        exported = ana.export()
        renamed = [{**item, "text": f"Bob: {item['text']}"} for item in exported["items"]]
        bob.restore({**exported, "user_id": "bob", "items": renamed})
        before, ids = ana.export(), [item.id for item in ana.all()]
        assert [item.id for item in bob.all()] == ids
        for memory_id in ids:
            assert bob.get(memory_id).text == f"Bob: {ana.get(memory_id).text}"
        assert {hit.user_id for hit in bob.search("Faro", limit=50)} == {"bob"}
        run = bob._engine.run  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        found = run(bob.scope, Search(query="Faro", limit=50, ids=ids))
        assert {(hit.user_id, hit.id in ids) for hit in found} == {("bob", True)}
        for item in bob.all():
            if item.kind == "item" and item.agent_id is None:
                assert bob.update(item.id, f"{item.text}!").text.endswith("!")
        bob.state("a/b").set("text", 1, text="Bob's ficus")
        bob.state("a/b").delete("both")
        assert same_export(ana.export(), before)
        for number, memory_id in enumerate(ids):
            if number % 2:
                with contextlib.suppress(MemoryNotFoundError):  # the text of the value that was deleted
                    bob.delete(memory_id)
                with pytest.raises(MemoryNotFoundError):
                    bob.get(memory_id)
        bob.history("s 1").clear()
        assert same_export(ana.export(), before)
        bob.erase()
        assert same_export(ana.export(), before)
        assert [hit.id for hit in ana.search("mat", kinds="record")][:1] != []

    def test_an_expired_value_hides_no_other_users_text(self, ana: Memory, bob: Memory) -> None:
        """Also where both texts have the same id."""
        ana.state("n").set("k", 1, text="The key is under the mat")
        exported = ana.export()
        soon = {"ttl": 0.05, "expires_at": (utc_now() + timedelta(seconds=0.3)).isoformat()}
        bob.restore({**exported, "user_id": "bob", "state": [{**exported["state"][0], **soon}]})
        time.sleep(0.35)
        assert bob.search("key", kinds="record") == []
        assert [hit.text for hit in ana.search("key", kinds="record")] == ["The key is under the mat"]
        assert ana.state("n")["k"] == 1
        bob.add("a write that may sweep")
        assert same_export(ana.export(), exported)

    def test_an_id_of_another_agent_of_the_user(self, backend: Backend) -> None:
        """Ids are unique in all that is kept of one user. The second agent's item gets another one, always the same."""
        cook, nurse = (backend.user("ana", agent_id=name) for name in ("cook", "nurse"))
        (item,) = cook.add("I eat no nuts")
        exported = cook.export()
        for part in exported["items"]:
            part["agent_id"] = "nurse"
        for _ in range(2):
            nurse.restore({**exported, "agent_id": "nurse"})
            (other,) = nurse.all()
            assert (other.text, other.id != item.id) == ("I eat no nuts", True)
        (_, other) = backend.user("ana").all()
        nurse.delete(other.id)
        assert cook.get(item.id) == item

    def test_parts_of_agents(self, backend: Backend) -> None:
        """An agent's part is restored for the whole user or for itself, a user's never into an agent's."""
        fill(backend, "ana")
        part, ana = backend.user("ana", agent_id="researcher"), backend.user("ana")
        exported, whole = part.export(), ana.export()
        part.erase()
        with pytest.raises(InvalidInputError, match="does not contain"):
            part.restore(whole)
        part.restore(exported)
        assert same_export(part.export(), exported)
        robot = backend.agent("robot")
        robot.add("I am a robot")
        robot.state("n")["k"] = 1
        exported = robot.export()
        robot.erase()
        robot.restore(exported)
        assert same_export(robot.export(), exported)

    def test_what_is_no_export_is_refused_whole(self, ana: Memory) -> None:
        """Each refusal names the place, and nothing is written."""
        ana.add("kept")
        good = ana.export()
        item: Any = good["items"][0]
        message = {"session_id": "s", "id": "m", "role": "user", "content": "x", "created_at": item["created_at"]}
        bad: list[Any] = [
            None,
            [],
            {},
            {**good, "format": "other"},
            {**good, "version": 2},
            {**good, "items": {}},
            {**good, "items": [7]},
            *({**good, "items": [{**item, "id": "n"}, {**item, **change}]} for change in _BAD_ITEMS),
            {**good, "state": [{"namespace": "n", "key": "k", "value": 1}]},
            {**good, "state": [{"namespace": "n", "key": "", "value": 1, **_times(item)}]},
            {**good, "state": [{"namespace": "n", "key": "k", "value": "\ud800", **_times(item)}]},
            {**good, "state": [{"namespace": "n", "key": "k", "ttl": -1, **_times(item)}]},
            {**good, "messages": [{**message, "role": "god"}]},
            {**good, "messages": [{**message, "session_id": " "}]},
            {**good, "messages": [{**message, "content": 7}]},
            {**good, "sessions": [{"session_id": "s"}]},
        ]
        for number, export in enumerate(bad):
            with pytest.raises(InvalidInputError) as caught:
                ana.restore(export)
            assert len(str(caught.value)) > 20, number
        assert same_export(ana.export(), good)

    def test_one_backend_to_another(self, make: Callable[..., Backend], ana: Memory) -> None:
        """A second connection to the same place sees what the first restored, in its next search."""
        other = make().user("ana")
        ana.add("I love tea")
        exported = ana.export()
        assert len(other.search("tea")) == 1
        ana.erase()
        assert other.search("tea") == []
        ana.restore(exported)
        assert [hit.text for hit in other.search("tea")] == ["I love tea"]

    def test_whatever_was_taken_is_taken_again(self, ana: Memory) -> None:
        """Every text is kept in the form in which it is taken back, however it came to be."""
        ana.tasks.record(" cafe\u0301 ", outcome=" Came late ")
        ana.state("n").set("a", 1, text=" cafe\u0301\n")
        ana.values.write([ValueWrite(namespace="n", key="b", value=1, text=" the ficus\u0301 ", ttl=3600)])
        deep: Any = 1
        for _ in range(63):
            deep = [deep]
        ana.preferences.set(" deep ", deep)
        with pytest.raises(InvalidInputError, match="nests"):
            ana.preferences.set("deeper", [deep])
        with pytest.raises(InvalidInputError, match="task"):
            ana.tasks.record("long", outcome="x" * 1_000_000)
        exported = json.loads(json.dumps(ana.export()))
        page = ana._engine.run(ana.scope, Export(limit=100))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        Restore(data=page.data)
        ana.erase()
        assert ana.restore(exported) == {"items": 4, "values": 2, "sessions": 0, "messages": 0}
        assert same_export(ana.export(), exported)

    @pytest.mark.parametrize(
        ("part", "field", "value"),
        [
            ("items", "metadata", [1]),
            ("items", "metadata", None),
            ("items", "extraction_error", "\ud800"),
            ("items", "extraction_error", ["x"]),
            ("items", "agent_id", ["x"]),
            ("items", "agent_id", 7),
            ("state", "agent_id", ["x"]),
            ("sessions", "agent_id", ["x"]),
            ("messages", "agent_id", {"x": 1}),
        ],
    )
    def test_what_was_tampered_with_is_refused(
        self, backend: Backend, ana: Memory, part: str, field: str, value: Any
    ) -> None:
        """With an error of ours; nothing is written."""
        fill(backend, "ana")
        exported = json.loads(json.dumps(ana.export()))
        ana.erase()
        exported[part][0][field] = value
        with pytest.raises(InvalidInputError, match=field):
            ana.restore(exported)
        assert (ana.all(), ana.values.find(), ana.sessions()) == ([], [], [])


_BAD_ITEMS: list[dict[str, Any]] = [
    {"id": ""},
    {"id": None},
    {"text": " "},
    {"text": "\x00"},
    {"text": 7},
    {"kind": "god"},
    {"kind": "preference"},
    {"key": "k"},
    {"role": "system"},
    {"metadata": []},
    {"metadata": {"": 1}},
    {"created_at": None},
    {"updated_at": "yesterday"},
    {"extraction": "perfect"},
    {"agent_id": "*"},
    {"agent_id": 7},
    {"name": 7},
]


def _times(item: Any) -> dict[str, Any]:
    return {"created_at": item["created_at"], "updated_at": item["updated_at"]}
