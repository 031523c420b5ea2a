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

from .. import Backend, ChatMessage, Memory, MemweldError, connect
from ..tools import TOOLS, TOOLSETS, MemoryTool, select_tools
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
