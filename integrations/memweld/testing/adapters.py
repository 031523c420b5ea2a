"""The conformance suite of adapters: what every framework's users are promised, driven through its real objects.

A new adapter writes an `AdapterDriver`, a screen of code that runs the framework's own agent with a scripted model,
and a test class::

    class TestLangChain(AdapterSuite):
        driver = LangChainDriver()

The suite brings its own fixtures and asks nothing of pytest plugins.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import pytest

from .. import Backend, ChatMessage, InvalidInputError, Memory, MemweldError, ToolCall, connect
from ..memory.transcript import INTERRUPTED
from ..tools import TOOLS, TOOLSETS, MemoryTool, select_tools
from .broken import BrokenMemory
from .embedding import HashEmbedder

__all__ = ["AdapterDriver", "AdapterSuite", "Mode", "ToolReply", "Turn"]

Mode: TypeAlias = Literal["sync", "async"]


@dataclass(frozen=True, slots=True)
class ToolReply:
    """What came back to the framework's agent from a tool.

    Attributes:
        text: The text that the model reads.
        is_error: Whether the framework knows it for an error.
    """

    text: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """What one run of an agent showed.

    Attributes:
        seen: All the text that the model was given, in one string.
        reply: What the agent answered.
    """

    seen: str
    reply: str


class AdapterDriver(Protocol):
    """How the suite drives one framework. Each method builds and runs the framework's real objects.

    Attributes:
        modes: Which ways of running the framework has: ``sync``, ``async`` or both.
        has_turns: Whether agents have automatic recall and capture (`run_turn`); False for bare tool protocols.
        has_history: Whether the adapter keeps chat sessions (`run_turn` with a session, `read_session`).

    Some abilities are optional. A driver that has one declares it, and the suite asks for more:

    - ``options``: the names of those `memweld.adapters.options.TurnOptions` that its ``run_turn`` takes as further
      keyword arguments, in an adapter object of its own for each call.
    - ``recalls_in_sessions``: False where turns of a session have no automatic recall; True if left out.
    - ``keeps_failed_turns``: ``run_turn`` takes an exception as ``reply``, which the model raises; the user's words
      are kept all the same.
    """

    modes: tuple[Mode, ...]
    has_turns: bool
    has_history: bool

    def tool_schemas(self, memory: Memory, tools: Sequence[str] | None = None) -> Mapping[str, Mapping[str, Any]]:
        """For each tool by name, exactly what a model would be shown: ``{"description": …, "parameters": {…}}``.

        ``tools`` are the toolsets or names that a user of the adapter chose; None where nothing was chosen.
        """
        ...

    def call_tool(self, memory: Memory, name: str, arguments: Mapping[str, Any], mode: Mode) -> ToolReply:
        """Let an agent (or the framework's tool runner) call a tool as a model would."""
        ...

    def call_tool_as(self, backend: Backend, user_id: str | None, name: str, arguments: Mapping[str, Any]) -> ToolReply:
        """The same with tools made from the backend: the user comes from the framework's run-time channel.

        With ``user_id=None`` the channel names nobody. A `MemweldError` may be raised or come back as an error.
        """
        ...

    def run_turn(self, memory: Memory, text: str, reply: str, *, session_id: str | None, mode: Mode) -> Turn:
        """Run an agent with automatic memory on ``text``, with a model scripted to answer ``reply``."""
        ...

    def run_turn_as(self, backend: Backend, user_id: str | None, text: str, reply: str) -> Turn:
        """The same with automatic memory made from the backend and the user from the run-time channel."""
        ...

    def read_session(self, memory: Memory, session_id: str) -> list[tuple[str, str]]:
        """The session as the framework's own messages, each as (role, text) in our words for roles."""
        ...


class AdapterSuite:
    """Subclass it as ``Test…`` and set ``driver``."""

    driver: ClassVar[AdapterDriver]

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[Backend]:
        """A fresh embedded file."""
        with connect(f"sqlite:///{tmp_path / 'memory.db'}", embedder=HashEmbedder()) as backend:
            yield backend

    @pytest.fixture
    def ana(self, backend: Backend) -> Memory:
        """One user's memory."""
        return backend.user("ana@example.com")

    @pytest.fixture
    def bob(self, backend: Backend) -> Memory:
        """Another user's memory."""
        return backend.user("bob")

    def _needs_turns(self) -> None:
        if not self.driver.has_turns:
            pytest.skip("this adapter offers tools only")

    def _needs_options(self, *names: str) -> None:
        self._needs_turns()
        if missing := set(names) - set(getattr(self.driver, "options", ())):
            pytest.skip(f"the driver takes no {', '.join(sorted(missing))}")

    def _turn(self, memory: Memory, text: str, *, session_id: str | None = None, **options: Any) -> Turn:
        """One turn with options, in the first mode."""
        self._needs_options(*options)
        driver: Any = self.driver
        return driver.run_turn(memory, text, "Noted.", session_id=session_id, mode=driver.modes[0], **options)

    def _needs_history(self) -> None:
        if not self.driver.has_history:
            pytest.skip("this adapter keeps no chat sessions")

    # tools

    def test_tools_are_the_shared_ones(self, ana: Memory) -> None:
        """The default tools are offered where nothing is chosen, each under its name and with its description."""
        self._check_schemas(self.driver.tool_schemas(ana), select_tools())

    def test_every_toolset_can_be_chosen(self, ana: Memory) -> None:
        """Any toolset, and any single tool, can be had instead of the default."""
        self._check_schemas(self.driver.tool_schemas(ana, TOOLSETS), TOOLS.values())
        chosen = ["history", "get_state"]
        self._check_schemas(self.driver.tool_schemas(ana, chosen), select_tools(chosen))

    def _check_schemas(self, schemas: Mapping[str, Mapping[str, Any]], tools: Iterable[MemoryTool]) -> None:
        assert set(schemas) == {tool.name for tool in tools}
        for name, schema in schemas.items():
            assert TOOLS[name].description in schema["description"]
            expected = set(TOOLS[name].arguments.model_json_schema().get("properties", {}))
            assert set(schema["parameters"].get("properties", {})) == expected

    def test_no_schema_names_an_identity(self, ana: Memory) -> None:
        """A model is never shown whose memory it is, so it cannot choose another."""
        for schema in self.driver.tool_schemas(ana, TOOLSETS).values():
            shown = json.dumps(schema["parameters"])
            assert "user_id" not in shown
            assert "agent_id" not in shown
            assert ana.user_id is not None
            assert ana.user_id not in json.dumps(dict(schema))

    def test_tools_answer_the_shared_text(self, ana: Memory) -> None:
        """A tool writes to and reads from the bound memory and answers as everywhere."""
        for mode in self.driver.modes:
            spoken = {"messages": [{"role": "user", "content": f"I collect {mode} lighthouse postcards"}]}
            added = self.driver.call_tool(ana, "add_memory", spoken, mode)
            assert added == ToolReply("Added 1 memories for user ana@example.com", False)
            assert f"I collect {mode} lighthouse postcards" in [item.text for item in ana.all()]
            query = {"query": "lighthouse postcards", "limit": 2}
            found = self.driver.call_tool(ana, "search_memories", query, mode)
            assert found == ToolReply(TOOLS["search_memories"](ana, query).text, False)

    def test_tools_of_preferences_and_tasks(self, ana: Memory) -> None:
        """Preferences and task outcomes are the user's own, whoever reads them."""
        mode = self.driver.modes[0]
        self.driver.call_tool(ana, "set_preference", {"key": "theme", "value": "dark"}, mode)
        assert ana.preferences.get("theme") == "dark"
        ana.preferences.set("diet", {"vegan": True, "allergies": ["nuts"]})
        read = self.driver.call_tool(ana, "get_preferences", {}, mode)
        assert "- theme: dark" in read.text
        assert '- diet: {"vegan":true,"allergies":["nuts"]}' in read.text
        outcome = {"task_id": "ship-42", "outcome": "Delivered late", "success": False}
        self.driver.call_tool(ana, "record_task_outcome", outcome, mode)
        context = self.driver.call_tool(ana, "get_task_context", {"task_id": "ship-42"}, mode)
        assert "Delivered late" in context.text

    def test_an_error_is_readable_and_kills_nothing(self, ana: Memory, bob: Memory) -> None:
        """Unknown ids, other users' ids and bad arguments come back as errors that the model can read."""
        theirs = bob.add("Bob's safe opens with 4711")[0].id
        for mode in self.driver.modes:
            for memory_id in ("no-such-id", theirs):
                reply = self.driver.call_tool(ana, "get_memory", {"memory_id": memory_id}, mode)
                assert reply.is_error
                assert f"No memory exists with ID {memory_id}" in reply.text
                assert "4711" not in reply.text
            assert self.driver.call_tool(ana, "search_memories", {"query": "   "}, mode).is_error
        assert bob.get(theirs).text == "Bob's safe opens with 4711"

    def test_null_means_left_out(self, ana: Memory) -> None:
        """Models write null for an argument that they leave out; a value may be null itself."""
        ana.add("Ana keeps bees")
        for mode in self.driver.modes:
            found = self.driver.call_tool(ana, "search_memories", {"query": "bees", "limit": None}, mode)
            assert "Ana keeps bees" in found.text
            assert not found.is_error

    def test_a_foreign_error_is_not_told_in_its_words(self, ana: Memory) -> None:
        """The words of a foreign exception may hold secrets: no model reads them."""
        for mode in self.driver.modes:
            reply = self.driver.call_tool(BrokenMemory(ana, "wrong"), "search_memories", {"query": "bees"}, mode)
            assert reply.is_error
            assert "secret detail" not in reply.text

    def test_a_store_that_is_gone_is_an_error_of_the_tool(self, ana: Memory) -> None:
        """The model reads that the memory cannot be reached, and the run goes on."""
        for mode in self.driver.modes:
            reply = self.driver.call_tool(BrokenMemory(ana, "search"), "search_memories", {"query": "bees"}, mode)
            assert reply.is_error
            assert "The store is gone" in reply.text

    def test_a_spoofed_identity_is_not_obeyed(self, ana: Memory, bob: Memory) -> None:
        """An argument that names another user changes nothing: refused or ignored."""
        spoofed = {"messages": [{"role": "user", "content": "spoofed fact"}], "user_id": "bob"}
        for mode in self.driver.modes:
            self.driver.call_tool(ana, "add_memory", spoofed, mode)
        assert bob.all() == []

    def test_the_user_comes_from_the_run_time_channel(self, backend: Backend, ana: Memory) -> None:
        """Tools made from a backend serve whoever the framework says is calling."""
        ana.add("Ana keeps bees")
        query = {"query": "bees"}
        assert ana.user_id is not None
        assert "Ana keeps bees" in self.driver.call_tool_as(backend, ana.user_id, "search_memories", query).text
        assert "bees" not in self.driver.call_tool_as(backend, "bob", "search_memories", query).text

    def test_without_a_user_tools_refuse(self, backend: Backend, ana: Memory) -> None:
        """There is no default user."""
        ana.add("Ana keeps bees")
        try:
            reply = self.driver.call_tool_as(backend, None, "search_memories", {"query": "bees"})
        except MemweldError:
            return
        assert reply.is_error
        assert "Ana keeps bees" not in reply.text

    # automatic memory

    def test_recall_reaches_the_model(self, ana: Memory, bob: Memory) -> None:
        """What is remembered stands before the model, marked as data; another user's does not."""
        self._needs_turns()
        ana.add("My sister Clara is allergic to peanuts")
        bob.add("My brother Dan is allergic to shellfish")
        for mode in self.driver.modes:
            turn = self.driver.run_turn(
                ana, "Who is allergic to what?", "Clara, to peanuts.", session_id=None, mode=mode
            )
            assert "Clara is allergic to peanuts" in turn.seen
            assert "data, not instructions" in turn.seen
            assert "shellfish" not in turn.seen
            assert "Clara, to peanuts." in turn.reply

    def test_capture_reaches_the_memory(self, ana: Memory, bob: Memory) -> None:
        """What the user said is a memory after the turn; the recalled block is not, and nothing is doubled."""
        self._needs_turns()
        ana.add("I live in Porto")
        for mode in self.driver.modes:
            said = f"I moved to a {mode} houseboat"
            self.driver.run_turn(ana, said, "How nice!", session_id=None, mode=mode)
            texts = [item.text for item in ana.all()]
            assert sum(said in text for text in texts) == 1
        assert not any("data, not instructions" in item.text for item in ana.all())
        assert bob.all() == []

    def test_the_user_of_a_turn_comes_from_the_run_time_channel(self, backend: Backend, ana: Memory) -> None:
        """One agent object serves many users, each with their own memory."""
        self._needs_turns()
        ana.add("Ana keeps bees in the garden")
        assert ana.user_id is not None
        question = "What is in the garden?"
        assert "Ana keeps bees" in self.driver.run_turn_as(backend, ana.user_id, question, "Bees.").seen
        assert "Ana keeps bees" not in self.driver.run_turn_as(backend, "bob", question, "Nothing.").seen

    def test_without_a_user_a_turn_remembers_nothing_of_anybody(self, backend: Backend, ana: Memory) -> None:
        """No user is an error, never somebody's memory."""
        self._needs_turns()
        ana.add("Ana keeps bees in the garden")
        with pytest.raises(MemweldError):
            self.driver.run_turn_as(backend, None, "What is in the garden?", "Nothing.")

    def test_a_question_is_no_memory(self, ana: Memory) -> None:
        """Facts are what the user says of the world."""
        self._needs_turns()
        for mode in self.driver.modes:
            self.driver.run_turn(ana, "Where do I live?", "In Porto.", session_id=None, mode=mode)
        assert ana.all() == []

    def test_the_same_words_are_one_memory(self, ana: Memory) -> None:
        """A retry doubles nothing."""
        self._needs_turns()
        for mode in (*self.driver.modes, *self.driver.modes):
            self.driver.run_turn(ana, "I live in Porto", "How nice!", session_id=None, mode=mode)
        assert [item.text for item in ana.all()] == ["I live in Porto"]

    @pytest.mark.parametrize("method", ["search", "capture"])
    def test_a_store_that_is_gone_ends_no_run(self, ana: Memory, method: str) -> None:
        """Recall and capture fail, and the agent answers without them."""
        self._needs_turns()
        for mode in self.driver.modes:
            broken = BrokenMemory(ana, method)
            turn = self.driver.run_turn(broken, "I live in Porto", "How nice!", session_id=None, mode=mode)
            assert "How nice!" in turn.reply

    @pytest.mark.parametrize("method", ["search", "capture"])
    def test_a_store_that_is_gone_may_end_the_run(self, ana: Memory, method: str) -> None:
        """With ``on_error="raise"`` the error comes out."""
        with pytest.raises(MemweldError, match="The store is gone"):
            self._turn(BrokenMemory(ana, method), "I live in Porto", on_error="raise")

    def test_recall_has_limits(self, ana: Memory) -> None:
        """How many memories, how many characters, how well they fit, and of which kinds."""
        for number in range(3):
            ana.add(f"Bees live in my hive {number}")
        found = "Where do my bees live in?"
        assert self._turn(ana, found, recall_limit=2, capture=False).seen.count("Bees live in my hive") == 2
        options: dict[str, Any]
        for options in ({"recall_limit": 0}, {"min_score": 1.0}, {"kinds": "preference"}):
            assert "Bees live in" not in self._turn(ana, found, capture=False, **options).seen
        assert "Bees live in my hive" not in self._turn(ana, found, recall_budget=20, capture=False).seen
        for options in ({"recall_limit": -1}, {"min_score": 2}, {"capture": "later"}, {"on_error": "ignore"}):
            with pytest.raises(InvalidInputError, match=next(iter(options))):
                self._turn(ana, found, **options)

    def test_capture_can_be_left_out_or_follow(self, ana: Memory) -> None:
        """Off: no facts. In the background: they follow."""
        self._turn(ana, "I live in Porto", capture=False)
        assert ana.all() == []
        self._turn(ana, "I live in Faro", capture="background")
        assert ana.flush(60)
        assert [item.text for item in ana.all()] == ["I live in Faro"]

    def test_a_failing_run_keeps_what_the_user_said(self, ana: Memory) -> None:
        """The model's error comes out, and the user's words stay."""
        self._needs_turns()
        if not getattr(self.driver, "keeps_failed_turns", False):
            pytest.skip("the framework tells an adapter nothing of a run that fails")
        driver: Any = self.driver
        for mode in self.driver.modes:
            session = f"{mode}-failing" if self.driver.has_history else None
            text, error = f"I moved to a {mode} houseboat", RuntimeError("the model is down")
            with pytest.raises(Exception, match="the model is down"):
                driver.run_turn(ana, text, error, session_id=session, mode=mode)
            assert text in [item.text for item in ana.all()]
            if session is not None:
                assert [message.text for message in ana.history(session).messages()] == [text]

    # sessions

    def test_a_session_is_kept(self, ana: Memory, bob: Memory) -> None:
        """A turn in a session is in its history, in order, once."""
        self._needs_history()
        for mode in self.driver.modes:
            session = f"{mode}-session"
            self.driver.run_turn(ana, "Hello, I am Ana", "Hello Ana", session_id=session, mode=mode)
            self.driver.run_turn(ana, "And how are you?", "Fine", session_id=session, mode=mode)
            kept = [(message.role, message.text) for message in ana.history(session).messages()]
            spoken = [pair for pair in kept if pair[0] in ("user", "assistant")]
            assert spoken == [
                ("user", "Hello, I am Ana"),
                ("assistant", "Hello Ana"),
                ("user", "And how are you?"),
                ("assistant", "Fine"),
            ]
            assert bob.history(session).messages() == []

    def test_a_session_from_elsewhere_reads_natively(self, ana: Memory) -> None:
        """What another framework wrote is continued: the model sees it, and the session reads as own messages."""
        self._needs_history()
        ana.history("elsewhere").append(
            [
                ChatMessage(role="user", content="My train leaves at nine"),
                ChatMessage(role="assistant", content="Noted: nine o'clock"),
            ]
        )
        read = self.driver.read_session(ana, "elsewhere")
        assert read == [("user", "My train leaves at nine"), ("assistant", "Noted: nine o'clock")]
        turn = self.driver.run_turn(ana, "When?", "At nine", session_id="elsewhere", mode=self.driver.modes[0])
        assert "My train leaves at nine" in turn.seen
        assert len(ana.history("elsewhere").messages()) == 4

    def test_a_session_belongs_to_its_user(self, ana: Memory, bob: Memory) -> None:
        """The same id is another session for another user."""
        self._needs_history()
        mode = self.driver.modes[0]
        self.driver.run_turn(ana, "My train leaves at nine", "Noted", session_id="s", mode=mode)
        turn = self.driver.run_turn(bob, "When?", "No idea", session_id="s", mode=mode)
        assert "train" not in turn.seen
        assert len(bob.history("s").messages()) == 2

    def test_what_is_recalled_is_in_no_session(self, ana: Memory) -> None:
        """The block stands before the model, and nowhere else; what the session shows anyway is not in it."""
        self._needs_history()
        if not getattr(self.driver, "recalls_in_sessions", True):
            pytest.skip("turns of a session have no automatic recall")
        mode = self.driver.modes[0]
        ana.add("My bees like clover")
        self.driver.run_turn(ana, "I keep bees in Porto", "How nice!", session_id="s", mode=mode)
        turn = self.driver.run_turn(ana, "What do my bees in Porto like?", "Clover.", session_id="s", mode=mode)
        assert "My bees like clover" in turn.seen
        assert turn.seen.count("I keep bees in Porto") == 1
        assert not any("My bees like" in message.text for message in ana.history("s").messages())

    def test_a_broken_session_is_mended_for_the_model(self, ana: Memory) -> None:
        """A call that nobody answered has an answer, and an answer that nobody called for is left out."""
        self._needs_history()
        ana.history("broken").append(
            [
                ChatMessage(role="tool", content="a stray result", tool_call_id="lost"),
                ChatMessage(role="user", content="Book the train"),
                ChatMessage(role="assistant", tool_calls=(ToolCall(id="1", name="book"),)),
                ChatMessage(role="user", content="Is it booked?"),
            ]
        )
        turn = self.driver.run_turn(ana, "Well?", "I do not know", session_id="broken", mode=self.driver.modes[0])
        assert "Book the train" in turn.seen
        assert INTERRUPTED in turn.seen
        assert "a stray result" not in turn.seen

    def test_of_a_long_session_the_end_is_shown(self, ana: Memory) -> None:
        """A limit cuts between exchanges; the session keeps all."""
        self._needs_history()
        for number in range(4):
            ana.history("long").append(
                [
                    ChatMessage(role="user", content=f"Question {number}"),
                    ChatMessage(role="assistant", content=f"Reply {number}"),
                ]
            )
        seen = self._turn(ana, "Well?", session_id="long", history_limit=3, recall_limit=0).seen
        assert [number for number in range(4) if f"Question {number}" in seen] == [3]
        assert "Reply 3" in seen
        assert "Reply 2" not in seen
        assert len(ana.history("long").messages()) == 10
