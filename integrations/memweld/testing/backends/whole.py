"""Bad input, everything at once, other connections, and async."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from ... import Backend, Memory
from ...engine.operations import CountStored
from ...errors import (
    BackendUnavailableError,
    InvalidInputError,
    MemweldError,
)
from .base import BackendFixtures

__all__ = ["WholeTests"]


class WholeTests(BackendFixtures):
    """Bad input, everything at once, other connections, and async."""

    def test_bad_facts_are_refused_and_leave_nothing(self, ana: Memory) -> None:
        """Each refusal names the value or the rule, is ours and also a ValueError, and nothing was written."""
        deep: Any = []
        for _ in range(100_000):
            deep = [deep]
        _assert_refused(
            ana,
            lambda: ana.add(""),
            lambda: ana.add(" \n"),
            lambda: ana.add("a\x00b"),
            lambda: ana.add("\ud800"),
            lambda: ana.add("x" * 1_000_001),
            lambda: ana.add([]),
            lambda: ana.add(7),  # pyright: ignore[reportArgumentType]
            lambda: ana.add([{"role": "user"}]),
            lambda: ana.add([{"role": "user", "content": 7}]),
            lambda: ana.add([{"role": "system", "content": "only me"}]),
            lambda: ana.add("x", metadata={"a": object()}),
            lambda: ana.add("x", metadata={"": 1}),
            lambda: ana.add("x", metadata=[]),  # pyright: ignore[reportArgumentType]
            lambda: ana.add("x", created_at="yesterday"),
            lambda: ana.add("x", session_id=" "),
            lambda: ana.search(""),
            lambda: ana.search("x", limit=0),
            lambda: ana.search("x", limit=True),
            lambda: ana.search("x", filters={"AND": [{"user_id": "bob"}]}),
            lambda: ana.search("x", filters={"n": {"gt": None}}),
            lambda: ana.search("x", kinds="secret"),  # pyright: ignore[reportArgumentType]
            lambda: ana.all(limit=10_001),
            lambda: ana.get(""),
            lambda: ana.update("x", ""),
            lambda: ana.search("x", limit=10**5000),
            lambda: ana.search(deep),
            lambda: ana.add("x", metadata=deep),
            lambda: ana.search("x", filters={"a": deep}),
            lambda: ana.search("x", kinds=5),  # pyright: ignore[reportArgumentType]
            lambda: ana.recall(None),  # pyright: ignore[reportArgumentType]
            lambda: ana.capture([{"role": "user", "content": "a\x00b"}]),
        )

    def test_bad_keys_values_and_messages_are_refused_and_leave_nothing(self, ana: Memory) -> None:
        """So are those of preferences, tasks, state and history."""
        _assert_refused(
            ana,
            lambda: ana.preferences.set("", 1),
            lambda: ana.preferences.set("k", {1, 2}),
            lambda: ana.tasks.record("t", outcome=""),
            lambda: ana.tasks.record("t", outcome="x", success="yes"),  # pyright: ignore[reportArgumentType]
            lambda: ana.state(""),
            lambda: ana.state("n").set("", 1),
            lambda: ana.state("n").set("x" * 513, 1),
            lambda: ana.state("n").set("k", 1, text=" "),
            lambda: ana.state("n").set("k", 1, ttl=-1),
            lambda: ana.state("n").set("k", 1, ttl="1"),  # pyright: ignore[reportArgumentType]
            lambda: ana.history(""),
            lambda: ana.history("s").append([]),
            lambda: ana.history("s").messages(limit=0),
            lambda: ana.history("s").append({"role": "assistant", "content": "", "tool_calls": 5}),
            lambda: ana.history("s").append({"role": "assistant", "content": "", "tool_calls": [{"function": "f"}]}),
            lambda: ana.history("s").append(
                {"role": "assistant", "content": "", "tool_calls": [{"name": "f", "args": object()}]}
            ),
        )

    def test_export_and_erase(self, backend: Backend, ana: Memory, bob: Memory) -> None:
        """Everything comes out, and everything goes, of this user alone."""
        for memory in (ana, bob):
            memory.add(f"{memory.user_id} loves tea", metadata={"a": [1]})
            memory.preferences.set("theme", "dark")
            memory.tasks.record("t", outcome="done")
            memory.state("n")["k"] = {"v": 1}
            memory.history("s").append([{"role": "user", "content": "hello"}])
        backend.user("ana", agent_id="r").add("noted")
        exported = ana.export()
        assert [item["text"] for item in exported["items"]] == ["ana loves tea", "theme: dark", "t: done", "noted"]
        assert exported["items"][0]["metadata"] == {"a": [1]}
        assert [(value["namespace"], value["key"], value["value"]) for value in exported["state"]] == [
            ("n", "k", {"v": 1})
        ]
        assert [message["content"] for message in exported["messages"]] == ["hello"]
        assert "bob" not in str(exported)
        receipt = ana.erase()
        assert receipt.user_id == "ana"
        assert [receipt.counts[name] for name in ("items", "values", "messages")] == [4, 1, 1]
        assert receipt.total >= 6
        assert (ana.all(), ana.search("tea"), ana.preferences.all()) == ([], [], {})
        assert (list(ana.state("n")), ana.sessions()) == ([], [])
        assert ana.erase().total == 0
        assert (len(bob.all()), bob.preferences.get("theme")) == (3, "dark")
        assert (bob.state("n")["k"], len(bob.sessions())) == ({"v": 1}, 1)
        ana.add("ana is back")
        assert [hit.text for hit in ana.search("ana")] == ["ana is back"]

    def test_what_one_connection_writes_another_reads_next(self, make: Callable[..., Backend]) -> None:
        """Adds, changes and deletions are seen by the next call of any other connection."""
        here, there = make().user("ana"), make().user("ana")
        (item,) = here.add("I live in Lisbon")
        assert [hit.text for hit in there.search("Lisbon")] == ["I live in Lisbon"]
        there.update(item.id, "I live in Porto")
        assert [hit.text for hit in here.search("Porto")] == ["I live in Porto"]
        (second,) = here.add("I have a cat")
        assert {hit.id for hit in there.search("cat Porto")} == {item.id, second.id}
        here.delete(item.id)
        assert [hit.id for hit in there.search("cat Porto")] == [second.id]
        there.erase()
        assert here.search("cat") == []
        here.add("I have a dog")
        assert [hit.text for hit in there.search("cat or dog")] == ["I have a dog"]

    def test_a_closed_backend_says_so(self, make: Callable[..., Backend]) -> None:
        """Using it after close is a clear error; closing twice is none."""
        backend = make()
        ana = backend.user("ana")
        ana.add("x")
        backend.close()
        backend.close()
        with pytest.raises(BackendUnavailableError):
            ana.all()
        with pytest.raises(MemweldError):
            ana.add("y")

    def test_async_is_the_same(self, ana: Memory) -> None:
        """Every method works awaited, several at once, inside a running loop."""

        async def scenario() -> None:
            aio = ana.aio
            await asyncio.gather(*(aio.add(f"fact {number}") for number in range(8)))
            assert len(await aio.all()) == 8
            (item,) = await aio.add("I love tea")
            assert (await aio.get(item.id)).text == "I love tea"
            assert (await aio.search("tea", limit=1))[0].id == item.id
            assert (await aio.update(item.id, "I love coffee")).text == "I love coffee"
            await aio.delete(item.id)
            await aio.preferences.set("theme", "dark")
            assert (await aio.preferences.get("theme"), await aio.preferences.all()) == ("dark", {"theme": "dark"})
            assert (await aio.preferences.search("theme"))[0].key == "theme"
            assert await aio.preferences.delete("theme")
            await aio.tasks.record("t", outcome="done")
            assert (await aio.tasks.context("t"))[0].outcome == "done"
            state = aio.state("n")
            await state.set("k", 1)
            assert await state.update("k", lambda value: value + 1) == 2
            assert (await state.get("k"), await state.list_keys(), await state.delete("k")) == (2, ["k"], True)
            history = aio.history("s")
            await history.append("hello")
            await history.add_user_message("a")
            await history.add_ai_message("b")
            assert [message.text for message in await history.messages(2)] == ["a", "b"]
            assert ((await aio.sessions())[0].messages, await history.clear()) == (3, 3)
            await aio.capture("I like trams", session_id="s")
            assert "trams" in await aio.recall("trams")
            assert len((await aio.export())["items"]) == 10
            assert await aio.clear() == 10
            assert (await aio.erase()).total > 0

        asyncio.run(scenario())

    def test_async_has_every_method_with_the_same_signature(self, ana: Memory) -> None:
        """Parity is compared, not promised."""
        pairs = [
            (ana, ana.aio),
            (ana.preferences, ana.aio.preferences),
            (ana.tasks, ana.aio.tasks),
            (ana.state("n"), ana.aio.state("n")),
            (ana.values, ana.aio.values),
            (ana.history("s"), ana.aio.history("s")),
        ]
        for one, other in pairs:
            for name, method in inspect.getmembers(one, inspect.ismethod):
                if name.startswith("_"):
                    continue
                twin = getattr(other, name)
                assert inspect.signature(method).parameters == inspect.signature(twin).parameters, name
                assert inspect.iscoroutinefunction(twin) or name in ("state", "history"), name

    def test_bytes_are_counted_with_those_of_agents(self, backend: Backend) -> None:
        """A server limits what a user keeps, in every store and agent's part; no other user's counts."""

        def kept() -> int:
            memory = backend.user("ana")
            return memory._engine.run(memory.scope, CountStored(with_bytes=True))["bytes"]  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001

        assert kept() == 0
        backend.user("bob").add("b" * 5_000)
        backend.user("ana").add("a" * 5_000)
        first = kept()
        assert 5_000 <= first < 10_000
        backend.user("ana", agent_id="cook").state("n")["k"] = "v" * 5_000
        second = kept()
        assert first + 5_000 <= second < first + 10_000
        backend.user("ana").history("s").add_user_message("m" * 5_000)
        assert second + 5_000 <= kept() < second + 20_000
        backend.user("ana").erase()
        assert kept() == 0


def _assert_refused(memory: Memory, *calls: Callable[[], Any]) -> None:
    for number, call in enumerate(calls):
        with pytest.raises(InvalidInputError) as caught:
            call()
        assert isinstance(caught.value, ValueError), number
        assert len(str(caught.value)) > 20, number
    assert (memory.all(), memory.sessions(), memory.erase().total) == ([], [], 0)
