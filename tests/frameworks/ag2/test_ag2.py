"""AG2: the adapter suite through real agents, and what is AG2's own."""

from __future__ import annotations

import asyncio
import functools
import json
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from ag2 import Agent, KnowledgeConfig, MemoryStream, Plugin
from ag2 import tool as ag2_tool
from ag2.compact import CompactionSummary, CompactTrigger, TailWindowCompact
from ag2.context import ConversationContext
from ag2.events import (
    BaseEvent,
    BinaryInput,
    BinaryType,
    DataInput,
    ImageInput,
    ModelMessage,
    ModelMessageChunk,
    ModelRequest,
    ModelResponse,
    TextInput,
    ToolCallEvent,
    ToolCallsEvent,
    ToolErrorEvent,
    ToolResult,
    ToolResultEvent,
    ToolResultsEvent,
    UnknownEvent,
    Usage,
    UsageEvent,
)
from ag2.knowledge import MemoryKnowledgeStore
from ag2.policies import SlidingWindowPolicy
from ag2.testing import TestConfig as AG2TestConfig
from blockbuster import blockbuster_ctx
from observed import DATA, messages_of, texts

import memweld
from memweld import (
    AccessDeniedError,
    Backend,
    BackendUnavailableError,
    ChatMessage,
    ConfigurationError,
    InvalidInputError,
    Memory,
    ToolCall,
)
from memweld.adapters.options import TurnKeywords
from memweld.ag2 import (
    MemweldCapture,
    MemweldPlugin,
    MemweldRecall,
    MemweldStorage,
    memory_tools,
    session_stream,
)
from memweld.ag2.content import text_of
from memweld.ag2.messages import to_events, to_neutral
from memweld.ag2.serialization import dump_event, load_event
from memweld.ag2.window import SessionWindow
from memweld.testing import AdapterSuite, Mode, ToolReply, Turn
from memweld.testing.adapters import INTERRUPTIONS, Talk
from memweld.testing.ag2 import ScriptedConfig, tool_call


def agent(config: ScriptedConfig, *plugins: Plugin, **options: Any) -> Agent[Any]:
    return Agent("assistant", "You are helpful.", config=config, plugins=plugins, **options)


def named(user_id: str | None) -> dict[str, Any]:
    return {} if user_id is None else {"user_id": user_id}


def only_tools(source: Memory | Backend, tools: Sequence[str] | None = None) -> MemweldPlugin:
    return MemweldPlugin(source, tools=tools, recall_limit=0, capture=False)


class AG2Driver:
    modes: tuple[Mode, ...] = ("async",)
    has_turns = True
    has_history = True
    has_user_channel = True
    sessions_end_turns = True
    keeps_failed_turns = True
    interruptions = ("outage", "cancelled")
    options = tuple(TurnKeywords.__optional_keys__)

    def tool_schemas(self, memory: Memory, tools: Sequence[str] | None = None) -> Mapping[str, Mapping[str, Any]]:
        config = ScriptedConfig(["Hello"])
        asyncio.run(agent(config, only_tools(memory, tools)).ask("Hello"))
        shown = [schema.function for schema in config.calls[0].tools]  # type: ignore[attr-defined]
        return {each.name: {"description": each.description, "parameters": each.parameters} for each in shown}

    def _call(
        self, source: Memory | Backend, user_id: str | None, name: str, arguments: Mapping[str, Any]
    ) -> ToolReply:
        config = ScriptedConfig([tool_call(name, arguments), "Done"])
        helper = Agent("assistant", config=config, tools=memory_tools(source))
        asyncio.run(helper.ask("Use the tool", variables=named(user_id)))
        results = next(event for event in config.calls[1].messages if isinstance(event, ToolResultsEvent))
        return ToolReply(text_of(results.results[0].result.parts), isinstance(results.results[0], ToolErrorEvent))

    def call_tool(self, memory: Memory, name: str, arguments: Mapping[str, Any], mode: Mode) -> ToolReply:
        return self._call(memory, None, name, arguments)

    def call_tool_as(self, backend: Backend, user_id: str | None, name: str, arguments: Mapping[str, Any]) -> ToolReply:
        return self._call(backend, user_id, name, arguments)

    def run_turn(
        self, memory: Memory, text: str, reply: str, *, session_id: str | None, mode: Mode, **options: Any
    ) -> Turn:
        config = ScriptedConfig([reply])
        stream = None if session_id is None else session_stream(memory, session_id)
        answer = asyncio.run(agent(config, MemweldPlugin(memory, **options)).ask(text, stream=stream))
        return Turn(config.seen, answer.body or "")

    def interrupt(self, memory: Memory, texts: Sequence[str], how: str, *, session_id: str | None, mode: Mode) -> None:
        error: Any = INTERRUPTIONS[how]
        helper = agent(ScriptedConfig([error, "Noted."]), MemweldPlugin(memory))
        stream = None if session_id is None else session_stream(memory, session_id)
        with pytest.raises(type(error)):
            asyncio.run(helper.ask(texts[0], stream=stream))
        asyncio.run(helper.ask(texts[1], stream=stream))

    def run_turn_as(self, backend: Backend, user_id: str | None, text: str, reply: str) -> Turn:
        config = ScriptedConfig([reply])
        answer = asyncio.run(agent(config, MemweldPlugin(backend)).ask(text, variables=named(user_id)))
        return Turn(config.seen, answer.body or "")

    def run_tools(self, memory: Memory, calls: Sequence[tuple[str, Any]], reply: str) -> Turn:
        config = ScriptedConfig([[tool_call(*call) for call in calls], reply])
        answer = asyncio.run(agent(config, MemweldPlugin(memory)).ask("Use the tools"))
        return Turn(config.calls[1].text, answer.body or "")

    def shared_agents(self, backend: Backend) -> list[Talk]:
        helper = agent(ScriptedConfig(lambda call: call.text), MemweldPlugin(backend))
        stream_of = functools.cache(lambda user: session_stream(backend.user(user), "s"))

        async def talk(user: str, text: str) -> str:
            return (await helper.ask(text, stream=stream_of(user), variables=named(user))).body or ""

        return [talk]

    def read_session(self, memory: Memory, session_id: str) -> list[tuple[str, str]]:
        events = asyncio.run(read(session_stream(memory, session_id)))
        return [spoken(event) for event in events]


async def read(stream: MemoryStream) -> list[BaseEvent]:
    return list(await stream.history.get_events())


def spoken(event: BaseEvent) -> tuple[str, str]:
    if isinstance(event, ModelRequest):
        return "user", "\n".join(part.content for part in event.parts if isinstance(part, TextInput))
    assert isinstance(event, ModelResponse)
    return "assistant", event.content or ""


class TestAG2(AdapterSuite):
    driver = AG2Driver()


class TestWindow:
    async def test_a_long_result_of_the_turn_is_cut_and_the_rest_stays(self, ana: Memory) -> None:
        def look(what: str) -> str:
            return what * 50_000 if what == "x" else what

        ana.add("I keep bees")
        config = ScriptedConfig(["Noted", [tool_call("look", {"what": "x"}), tool_call("look", {"what": "y"})], "Yes"])
        helper = agent(config, MemweldPlugin(ana, tools=(), history_budget=10_000, capture=False), tools=[look])
        await helper.ask("z" * 8_000, stream=session_stream(ana, "s"))
        await helper.ask("Look for my bees", stream=session_stream(ana, "s"))
        kinds = (ModelRequest, ModelResponse, ToolResultsEvent)
        request, response, results = (event for event in config.calls[-1].messages if isinstance(event, kinds))
        assert "I keep bees" in text_of(cast("ModelRequest", request).parts), "the recall is not cut"
        calls = [call.id for call in cast("ModelResponse", response).tool_calls.calls]
        shown = cast("ToolResultsEvent", results).results
        assert [result.parent_id for result in shown] == calls
        long, short = (text_of(result.result.parts) for result in shown)
        assert short == "y"
        assert 3_000 < len(long) < 10_000
        assert max(len(message.text) for message in ana.history("s").messages()) == 50_000

    async def test_events_that_are_no_messages_go_with_theirs(self, ana: Memory) -> None:
        stream = session_stream(ana, "s")
        usage = [UnknownEvent(type_name="usage", data={"turn": turn}) for turn in range(3)]
        turns = [
            [ModelRequest([TextInput(f"Turn {turn}")]), ModelResponse(ModelMessage("Yes")), usage[turn]]
            for turn in range(3)
        ]
        context = ConversationContext(stream)
        _, events = await SessionWindow(2).apply([], [event for turn in turns for event in turn], context)
        assert [id(event) for event in events] == list(map(id, turns[2]))
        _, events = await SessionWindow(20).apply([], [event for turn in turns for event in turn], context)
        assert len(events) == 9
        blank = [ModelRequest([TextInput(" ")]), ModelResponse(ModelMessage("Pardon?"))]
        _, events = await SessionWindow(20).apply([], [*blank, *turns[0]], context)
        assert [spoken(event)[1] for event in events if not isinstance(event, UnknownEvent)][:3] == [
            "…",
            "Pardon?",
            "Turn 0",
        ]


class Counted(Memory):
    """A memory that counts its searches."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory._engine, memory.scope)
        self.searches = 0

    def search(self, *args: Any, **options: Any) -> Any:
        self.searches += 1
        return super().search(*args, **options)


class TestTools:
    async def test_errors_are_one_line_for_the_model(self, ana: Memory) -> None:
        call = ToolCallEvent("get_memory", arguments="[1]")
        broken = ToolCallEvent("get_memory", arguments="{")
        wrong = tool_call("get_memory", {"memory_id": "x", "colour": "red"})
        config = ScriptedConfig([[call, broken, wrong], "Sorry"])
        await agent(config, only_tools(ana)).ask("Go")
        results = next(event for event in config.calls[1].messages if isinstance(event, ToolResultsEvent)).results
        assert all(isinstance(result, ToolErrorEvent) for result in results)
        shown = [result.result.parts[0].content for result in results]  # type: ignore[attr-defined]
        example = '. Example: {"memory_id":"01K9XEXAMPLE"}'
        assert shown[:2] == [f"Invalid arguments for get_memory: they are no JSON object{example}"] * 2
        assert shown[2] == f"Invalid arguments for get_memory: colour: Extra inputs are not permitted{example}"

    async def test_ag2s_own_test_config_drives_it(self, ana: Memory) -> None:
        script = AG2TestConfig(tool_call("set_preference", {"key": "theme", "value": "dark"}), "Done")
        reply = await Agent("a", config=script, plugins=[MemweldPlugin(ana)]).ask("Make it dark")
        assert reply.body == "Done"
        assert ana.preferences.get("theme") == "dark"

    async def test_subagents_act_for_the_same_user(self, backend: Backend) -> None:
        helper = Agent(
            "clerk",
            config=ScriptedConfig([tool_call("set_preference", {"key": "diet", "value": "vegan"}), "Noted"]),
            tools=memory_tools(backend),
        )
        config = ScriptedConfig([tool_call("task_clerk", {"objective": "Note the diet"}), "Done"])
        lead = Agent("lead", config=config, tools=[helper.as_tool(description="Keeps notes")])
        await lead.ask("I am vegan", variables={"user_id": "ana"})
        assert backend.user("ana").preferences.all() == {"diet": "vegan"}


class TestRecall:
    async def test_it_is_searched_once_a_turn_and_kept_nowhere(self, ana: Memory) -> None:
        ana.add("I keep bees")
        config = ScriptedConfig([tool_call("get_preferences"), "Bees.", "Still bees."])
        helper = agent(config, MemweldPlugin(ana, capture=False))
        reply = await helper.ask("Do I keep bees?")
        assert [call.text.count(DATA) for call in config.calls] == [1, 1]
        assert config.calls[0].prompt[0] == "You are helpful."
        assert DATA not in repr(list(await reply.history.get_events()))
        assert DATA not in repr(reply.context.prompt)
        await reply.ask("Do I keep bees still?")
        assert config.calls[2].text.count(DATA) == 1

    async def test_a_turn_searches_once_and_the_next_one_again(self, ana: Memory) -> None:
        ana.add("I keep bees")
        ana.add("My sister plays the violin")
        counted = Counted(ana)
        config = ScriptedConfig([tool_call("get_preferences"), "Bees.", "The violin."])
        helper = agent(config, MemweldPlugin(counted, recall_limit=1, capture=False))
        reply = await helper.ask("Which bees do I keep?")
        assert counted.searches == 1
        await reply.ask("Who plays the violin?")
        assert counted.searches == 2
        assert config.calls[2].prompt == config.calls[0].prompt == ("You are helpful.",)
        block = config.calls[2].text.partition("<memories>")[2].partition("</memories>")[0]
        assert "plays the violin" in block
        assert "I keep bees" not in block

    async def test_a_second_recall_asks_for_the_users_words_alone(self, backend: Backend, ana: Memory) -> None:
        for number in range(5):
            ana.add(
                f"I keep bees in Porto, said in the year {number}, and wrote about the violin of my sister at length"
            )
        backend.agent("helper").add("Bees sleep in winter")
        config = ScriptedConfig(["They sleep."])
        policies = [MemweldRecall(ana), MemweldRecall(backend.agent("helper"))]
        await Agent("a", config=config, assembly=policies).ask("What do bees do in winter?")
        assert config.seen.count(DATA) == 2
        assert "Bees sleep in winter" in config.seen

    async def test_alone_and_before_a_window(self, ana: Memory) -> None:
        ana.add("I keep bees")
        config = ScriptedConfig(["Bees."])
        policies = [MemweldRecall(ana, recall_limit=1), SlidingWindowPolicy(5)]
        await Agent("a", config=config, assembly=policies).ask("Do I keep bees?")
        assert DATA in config.seen


class TestCapture:
    async def test_a_continued_conversation_is_captured_turn_by_turn(self, ana: Memory) -> None:
        config = ScriptedConfig(["Nice", "Lovely"])
        reply = await agent(config, MemweldPlugin(ana, session_id="s")).ask("I keep bees")
        await reply.ask("I live in Porto")
        assert texts(ana) == ["I keep bees", "I live in Porto"]
        assert messages_of(ana, "s") == [
            ("user", "I keep bees"),
            ("assistant", "Nice"),
            ("user", "I live in Porto"),
            ("assistant", "Lovely"),
        ]

    async def test_the_session_of_a_turn(self, ana: Memory) -> None:
        config = ScriptedConfig(["Nice"] * 3)
        helper = agent(config, MemweldPlugin(ana, session_id="fallback"))
        await helper.ask("I keep bees", variables={"session_id": "named"})
        await helper.ask("I keep hens", stream=session_stream(ana, "streamed"))
        await helper.ask("I keep goats")
        assert {session.session_id for session in ana.sessions()} == {"named", "streamed", "fallback"}
        assert [item.session_id for item in ana.all()] == ["named", "streamed", "fallback"]
        assert len(messages_of(ana, "streamed")) == 2

    async def test_what_others_enqueue_is_no_fact(self, ana: Memory) -> None:
        @ag2_tool
        async def look() -> str:
            """Look."""
            run.enqueue("The weather service says rain")
            return "Looking"

        config = ScriptedConfig([tool_call("look"), "Rain", "Rain"])
        helper = agent(config, MemweldPlugin(ana, session_id="s"), tools=[look])
        async with helper.run("I keep bees") as run:
            await run.result()
        assert texts(ana) == ["I keep bees"]
        assert "The weather service says rain" in [text for _, text in messages_of(ana, "s")]

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_what_the_user_said_survives_a_cancelled_turn(self, ana: Memory, streamed: bool) -> None:
        started = asyncio.Event()

        @ag2_tool
        async def wait() -> str:
            """Wait."""
            started.set()
            await asyncio.sleep(60)
            return "Done"

        stream = session_stream(ana, "s") if streamed else None
        helper = agent(ScriptedConfig([tool_call("wait")]), MemweldPlugin(ana, session_id="s"), tools=[wait])
        turn = asyncio.create_task(helper.ask("I keep bees", stream=stream))
        await started.wait()
        assert messages_of(ana, "s")[0] == ("user", "I keep bees")
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert texts(ana) == ["I keep bees"]
        assert [text for role, text in messages_of(ana, "s") if role == "user"] == ["I keep bees"]

    async def test_alone_as_a_middleware(self, ana: Memory) -> None:
        await Agent("a", config=ScriptedConfig(["Nice"]), middleware=[MemweldCapture(ana)]).ask("I keep bees")
        assert texts(ana) == ["I keep bees"]

    async def test_a_plugin_of_one_call(self, backend: Backend) -> None:
        config = ScriptedConfig(["Nice"])
        await agent(config).ask("I keep bees", plugins=[MemweldPlugin(backend)], variables={"user_id": "ana"})
        assert texts(backend.user("ana")) == ["I keep bees"]


class TestIdentity:
    async def test_the_session_of_another_user_is_refused(self, backend: Backend) -> None:
        config = ScriptedConfig(["Nice"])
        stream = session_stream(backend.user("bob"), "s")
        with pytest.raises(AccessDeniedError) as caught:
            await agent(config, MemweldPlugin(backend)).ask("I keep bees", stream=stream, variables={"user_id": "ana"})
        assert "bob" not in str(caught.value)
        assert config.calls == []
        assert texts(backend.user("ana")) == texts(backend.user("bob")) == []

    async def test_a_variable_that_is_not_to_be_believed(self, backend: Backend) -> None:
        helper = agent(ScriptedConfig(["Nice"]), MemweldPlugin(backend, user_variable=None))
        with pytest.raises(ConfigurationError):
            await helper.ask("I keep bees", variables={"user_id": "bob"})
        with memweld.user_scope("ana"):
            await helper.ask("I keep bees", variables={"user_id": "bob"})
        assert texts(backend.user("ana")) == ["I keep bees"]
        assert texts(backend.user("bob")) == []

    async def test_a_variable_of_another_name(self, backend: Backend) -> None:
        helper = agent(ScriptedConfig(["Nice"]), MemweldPlugin(backend, user_variable="customer"))
        await helper.ask("I keep bees", variables={"customer": "ana", "agent_id": "clerk"})
        assert texts(backend.user("ana", agent_id="clerk")) == ["I keep bees"]
        with pytest.raises(InvalidInputError):
            await helper.ask("I keep bees", variables={"customer": "*"})

    async def test_a_stream_serves_whom_the_turn_names(self, backend: Backend) -> None:
        """Two users with a stream of the same id: each has a session of that name, and nobody the other's."""
        stream_id = uuid4()
        backend.user("ana").add("I keep bees")
        storage = MemweldStorage(backend)
        config = ScriptedConfig(["Nice", "Hello"])
        helper = agent(config, MemweldPlugin(backend))
        await helper.ask("Do I keep bees?", stream=MemoryStream(storage, id=stream_id), variables=named("ana"))
        assert DATA in config.calls[0].text
        await helper.ask("Do I keep bees?", stream=MemoryStream(storage, id=stream_id), variables=named("bob"))
        assert DATA not in config.calls[1].text
        assert messages_of(backend.user("bob"), str(stream_id)) == [("user", "Do I keep bees?"), ("assistant", "Hello")]
        with pytest.raises(ConfigurationError):
            await storage.get_history(stream_id)


class TestFailures:
    def test_the_event_loop_is_never_blocked(self, backend: Backend) -> None:
        async def turn() -> None:
            config = ScriptedConfig([tool_call("search_memories", {"query": "bees"}), "Hello"])
            stream = session_stream(backend.user("ana"), "s")
            await agent(config, MemweldPlugin(backend)).ask("I keep bees", stream=stream, variables=named("ana"))

        asyncio.run(turn())  # AG2 itself reads files when it is used first
        with blockbuster_ctx():
            asyncio.run(turn())
        assert len(messages_of(backend.user("ana"), "s")) == 8


class TestStreams:
    async def test_a_stream_of_chunks(self, ana: Memory) -> None:
        chunks: list[str] = []
        stream = session_stream(ana, "s")
        stream.where(ModelMessageChunk).subscribe(lambda event: chunks.append(event.content))
        async with agent(ScriptedConfig(["Bees it is"]), MemweldPlugin(ana)).run("I keep bees", stream=stream) as run:
            reply = await run.result()
        assert "".join(chunks) == reply.body == "Bees it is"
        assert texts(ana) == ["I keep bees"]
        assert messages_of(ana, "s") == [("user", "I keep bees"), ("assistant", "Bees it is")]

    async def test_a_session_goes_on_in_another_process(self, ana: Memory) -> None:
        config = ScriptedConfig([tool_call("get_preferences"), "None.", "As I said, none."])
        await agent(config, MemweldPlugin(ana)).ask("My preferences?", stream=session_stream(ana, "s"))
        before = await read(session_stream(ana, "s"))
        code = f"""
import asyncio, memweld
from memweld.ag2 import session_stream
from memweld.testing import HashEmbedder
with memweld.connect({ana.url!r}, embedder=HashEmbedder()) as backend:
    print([type(e).__name__ for e in asyncio.run(session_stream(backend.user("ana"), "s").history.get_events())])
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == str([type(event).__name__ for event in before])
        await agent(config).ask("Sure?", stream=session_stream(ana, "s"))
        shown = [spoken_or_type(event) for event in config.calls[2].messages]
        assert shown == [
            "My preferences?",
            "",
            "ToolCallsEvent",
            "ToolCallEvent",
            "ToolResultEvent",
            "ToolResultsEvent",
            "None.",
            "Sure?",
        ]

    async def test_every_event_reads_back_as_it_was(self, ana: Memory) -> None:
        call = ToolCallEvent("look", id="c1", arguments='{"where": "garden"}', vendor_metadata={"caller": "x"})
        calls = [call, ToolCallEvent("gone", id="c2"), ToolCallEvent("look", id="c3")]
        written: list[BaseEvent] = [
            UsageEvent(Usage(prompt_tokens=1)),
            ModelRequest(
                [TextInput("Look"), DataInput({"a": [1, None]}), ImageInput(data=b"\x89", media_type="image/png")]
            ),
            ModelRequest([BinaryInput(b"pdf", media_type="application/pdf", kind=BinaryType.DOCUMENT)]),
            UsageEvent(Usage(prompt_tokens=3, total_tokens=4), model="m"),
            ModelResponse(tool_calls=ToolCallsEvent(calls), usage=Usage(prompt_tokens=3), model="m"),
            ToolCallsEvent(calls),
            ToolResultEvent(parent_id="c1", name="look", result=ToolResult("bees", metadata={"k": 1})),
            ToolResultsEvent(
                [
                    ToolResultEvent(parent_id="c1", name="look", result=ToolResult("bees", {"n": 2})),
                    ToolErrorEvent(parent_id="c2", name="gone", error=Exception("no"), result=ToolResult("no")),
                ]
            ),
            ToolResultsEvent([ToolResultEvent(parent_id="c3", name="look", result=ToolResult("hens"))]),
            ModelResponse(AG2Message("Bees", metadata={"q": "r"}), response_id="r1", finish_reason="stop"),
        ]
        stream = session_stream(ana, "s")
        await stream.history.replace(written)
        back = await read(session_stream(ana, "s"))
        assert back == written
        assert [event.created_at for event in back] == [event.created_at for event in written]
        # Written again, a session is the same session: no message twice, none under a new id.
        before = ana.history("s").messages()
        await stream.history.replace(back)
        assert ana.history("s").messages() == before
        assert [message.role for message in before] == ["user"] * 2 + ["assistant"] + ["tool"] * 3 + ["assistant"]

    async def test_other_frameworks_messages_read_natively_and_stay_theirs(self, ana: Memory) -> None:
        image = "data:image/png;base64,iVBORw0KGgo="
        theirs = [
            ChatMessage(role="system", content="Be brief"),
            ChatMessage(
                role="user",
                content=[{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": image}}],
                native={"framework": "langchain", "message": {"any": "thing"}},
            ),
            ChatMessage(role="assistant", tool_calls=(ToolCall(id="c1", name="look", arguments={"at": "it"}),)),
            ChatMessage(role="tool", content="a bee", tool_call_id="c1", name="look"),
            ChatMessage(role="assistant", content="A bee"),
        ]
        stored = ana.history("s").append(theirs)
        stream = session_stream(ana, "s")
        events = await read(stream)
        assert [type(event).__name__ for event in events] == [
            "ModelRequest",
            "ModelResponse",
            "ToolResultsEvent",
            "ModelResponse",
        ]
        request, asked, result, _ = events
        assert isinstance(request, ModelRequest)
        assert request.parts[0] == TextInput("What is this?")
        assert isinstance(request.parts[1], BinaryInput)
        assert request.parts[1].kind is BinaryType.IMAGE
        assert isinstance(asked, ModelResponse)
        assert asked.tool_calls.calls[0].serialized_arguments == {"at": "it"}
        assert isinstance(result, ToolResultsEvent)
        assert (result.results[0].parent_id, result.results[0].name) == ("c1", "look")
        # AG2 writes the history anew when it compacts: messages of other frameworks stay theirs, and so does a prompt,
        # which AG2 is not shown.
        await stream.history.replace(events[1:])
        assert ana.history("s").messages() == [stored[0], *stored[2:]]

    async def test_compaction_shortens_the_session(self, ana: Memory) -> None:
        config = ScriptedConfig(["One", "Two", "Three"])
        knowledge = KnowledgeConfig(
            store=MemoryKnowledgeStore(),
            compact=TailWindowCompact(target=2),
            compact_trigger=CompactTrigger(max_events=3),
        )
        helper = agent(config, MemweldPlugin(ana), knowledge=knowledge)
        for text in ("I keep bees", "I keep hens", "I keep goats"):
            await helper.ask(text, stream=session_stream(ana, "s"))
        assert messages_of(ana, "s") == [("user", "I keep goats"), ("assistant", "Three")]
        assert texts(ana) == ["I keep bees", "I keep hens", "I keep goats"]

    async def test_compaction_keeps_what_others_append_meanwhile(self, ana: Memory) -> None:
        """It may ask a model for its summary; and a write that fails leaves the session as it was."""
        ana.history("s").append([{"role": "user", "content": "One"}, {"role": "assistant", "content": "Two"}])
        stream = session_stream(ana, "s")
        events = await read(stream)
        ana.history("s").add_user_message("Three")
        summary = CompactionSummary(summary="One and two", event_count=2)
        await stream.history.replace([summary])
        assert messages_of(ana, "s") == [("system", "One and two"), ("user", "Three")]
        events = await read(stream)
        assert [type(event).__name__ for event in events] == ["CompactionSummary", "ModelRequest"]
        await stream.history.replace(events[1:])
        assert messages_of(ana, "s") == [("user", "Three")]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "memweld.engine.sql.sessions.insert_messages",
                lambda *_: (_ for _ in ()).throw(sqlite3.OperationalError),
            )
            with pytest.raises(BackendUnavailableError):
                await stream.history.replace([summary])
        assert messages_of(ana, "s") == [("user", "Three")]

    async def test_drop_takes_the_session_and_no_fact(self, ana: Memory) -> None:
        stream = session_stream(ana, "s")
        await agent(ScriptedConfig(["Nice"]), MemweldPlugin(ana)).ask("I keep bees", stream=stream)
        await stream.history.storage.drop_history(stream.id)
        assert await read(stream) == []
        assert texts(ana) == ["I keep bees"]

    async def test_turns_of_one_session_come_one_after_the_other(self, ana: Memory) -> None:
        helper = agent(ScriptedConfig(lambda call: "Fine"), MemweldPlugin(ana, recall_limit=0))
        await asyncio.gather(*(helper.ask(f"Line {n}", stream=session_stream(ana, "s")) for n in range(5)))
        assert [role for role, _ in messages_of(ana, "s")] == ["user", "assistant"] * 5


class Trap:
    """The function that a hostile dump tries to call."""

    sprung = 0

    def __init__(self, **_fields: Any) -> None:
        Trap.sprung += 1


class TestDumps:
    @pytest.mark.parametrize(
        "data",
        [
            {"parts": {"__dataclass__": f"{__name__}.Trap", "data": {}}},
            {"parts": [{"__event__": "nothing.at.all", "__dataclass__": f"{__name__}.Trap", "data": {}}]},
            {"parts": [{"__enum__": "antigravity.Nothing", "value": 1}]},
            {"parts": [{"__bytes__": "", "__pydantic__": f"{__name__}.Trap", "data": {}}]},
            {"parts": [{"__event__": "ag2.nothing.Here"}]},
        ],
    )
    async def test_a_dump_makes_events_and_nothing_else(self, ana: Memory, data: Any) -> None:
        module = sys.modules[__name__]
        assert hasattr(module, "Trap")
        native = {"framework": "ag2", "message": {"type": "ag2.events.input_events.ModelRequest", "data": data}}
        beside = {**native, "after": [{"type": "subprocess.Popen", "data": {"args": "x"}}]}
        ana.history("s").append(ChatMessage(role="user", content="Hello", native=beside))
        events = await read(session_stream(ana, "s"))
        assert isinstance(events[0], ModelRequest)
        assert isinstance(events[1], UnknownEvent)
        assert Trap.sprung == 0
        assert "antigravity" not in sys.modules

    def test_what_json_cannot_hold_comes_nearest(self) -> None:
        event = ModelRequest([DataInput({"path": Path("/x"), "nan": float("nan"), "nul": "a\x00b"})])  # type: ignore[arg-type, list-item]
        back = load_event(json.loads(json.dumps(dump_event(event))))
        assert isinstance(back, ModelRequest)
        part = back.parts[0]
        assert isinstance(part, DataInput)
        assert part.data == {"path": "/x", "nan": "nan", "nul": "a\N{REPLACEMENT CHARACTER}b"}

    def test_what_a_model_wrote_badly_is_kept(self) -> None:
        response = ModelResponse(tool_calls=ToolCallsEvent([ToolCallEvent("", id="", arguments="{oops")]))
        (message,) = to_neutral(response)
        assert message.tool_calls[0].name == "unknown"
        assert message.tool_calls[0].arguments == {"__raw__": "{oops"}
        assert to_events([message]) == [response]


def spoken_or_type(event: BaseEvent) -> str:
    return spoken(event)[1] if isinstance(event, (ModelRequest, ModelResponse)) else type(event).__name__


def AG2Message(*args: Any, **options: Any) -> Any:  # noqa: N802
    from ag2.events import ModelMessage

    return ModelMessage(*args, **options)
