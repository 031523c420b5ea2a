"""AutoGen: the adapter suite through real agents, and what is AutoGen's own."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import io
import json
import logging
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import PIL.Image
import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.messages import (
    MemoryQueryEvent,
    ModelClientStreamingChunkEvent,
    TextMessage,
    ToolCallExecutionEvent,
)
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import CancellationToken, ComponentModel, FunctionCall, Image, SingleThreadedAgentRuntime
from autogen_core.memory import MemoryContent, MemoryMimeType
from autogen_core.model_context import (
    BufferedChatCompletionContext,
    ChatCompletionContext,
    HeadAndTailChatCompletionContext,
    TokenLimitedChatCompletionContext,
    UnboundedChatCompletionContext,
)
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import BaseTool, StaticWorkbench, Workbench
from observed import DATA, Held, messages_of, runs_beside, texts

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
from memweld.adapters.options import TurnOptions
from memweld.autogen import (
    MemweldChatCompletionContext,
    MemweldMemory,
    loading_with,
    memory_tools,
    memory_workbench,
)
from memweld.autogen.messages import to_autogen, to_neutral
from memweld.testing import AdapterSuite, BrokenMemory, HashEmbedder, Mode, ToolReply, Turn
from memweld.testing.adapters import INTERRUPTIONS, Talk
from memweld.testing.autogen import ScriptedChatCompletionClient, tool_call
from memweld.testing.llm import ScriptedExtractor, facts
from memweld.tools import select_tools


def agent(model: ScriptedChatCompletionClient, name: str = "assistant", **options: Any) -> AssistantAgent:
    return AssistantAgent(name, model_client=model, system_message="You are helpful.", **options)


def answer(result: TaskResult) -> str:
    return result.messages[-1].to_text()  # type: ignore[union-attr]


class AutoGenDriver:
    modes: tuple[Mode, ...] = ("async",)
    has_turns = True
    has_history = True
    sessions_end_turns = True
    interruptions = ("closed", "outage", "cancelled")
    options = tuple(field.name for field in dataclasses.fields(TurnOptions))

    def tool_schemas(self, memory: Memory, tools: Sequence[str] | None = None) -> Mapping[str, Mapping[str, Any]]:
        model = ScriptedChatCompletionClient(["Hello"])
        asyncio.run(agent(model, tools=memory_tools(memory, tools)).run(task="Hello"))
        return {schema["name"]: schema for schema in model.calls[0].tools}

    def _call(self, source: Memory | Backend, name: str, arguments: Mapping[str, Any]) -> ToolReply:
        model = ScriptedChatCompletionClient([tool_call(name, arguments)])
        result = asyncio.run(agent(model, tools=memory_tools(source)).run(task="Use the tool"))
        event = next(message for message in result.messages if isinstance(message, ToolCallExecutionEvent))
        return ToolReply(event.content[0].content, bool(event.content[0].is_error))

    def call_tool(self, memory: Memory, name: str, arguments: Mapping[str, Any], mode: Mode) -> ToolReply:
        return self._call(memory, name, arguments)

    def call_tool_as(self, backend: Backend, user_id: str | None, name: str, arguments: Mapping[str, Any]) -> ToolReply:
        if user_id is None:
            return self._call(backend, name, arguments)
        with memweld.user_scope(user_id):
            return self._call(backend, name, arguments)

    def _turn(self, source: Memory | Backend, text: str, reply: str, session_id: str | None, **options: Any) -> Turn:
        model = ScriptedChatCompletionClient([reply])
        context = MemweldChatCompletionContext(source, session_id or str(uuid4()), **options)
        result = asyncio.run(agent(model, model_context=context).run(task=text))
        return Turn(model.seen, answer(result))

    def run_turn(
        self, memory: Memory, text: str, reply: str, *, session_id: str | None, mode: Mode, **options: Any
    ) -> Turn:
        return self._turn(memory, text, reply, session_id, **options)

    def interrupt(self, memory: Memory, texts: Sequence[str], how: str, *, session_id: str | None, mode: Mode) -> None:
        model = ScriptedChatCompletionClient([INTERRUPTIONS[how] or "Well …", "Noted."])
        context = MemweldChatCompletionContext(memory, session_id or str(uuid4()))
        helper = agent(model, model_context=context, model_client_stream=how == "closed")

        async def close() -> None:
            stream = helper.run_stream(task=texts[0])
            async for part in stream:
                if isinstance(part, ModelClientStreamingChunkEvent):
                    break
            await stream.aclose()

        if how == "closed":
            asyncio.run(close())
        else:
            with pytest.raises((TimeoutError, asyncio.CancelledError)):
                asyncio.run(helper.run(task=texts[0]))
        asyncio.run(helper.run(task=texts[1]))

    def run_turn_as(self, backend: Backend, user_id: str | None, text: str, reply: str) -> Turn:
        if user_id is None:
            return self._turn(backend, text, reply, None)
        with memweld.user_scope(user_id):
            return self._turn(backend, text, reply, None)

    def run_tools(self, memory: Memory, calls: Sequence[tuple[str, Any]], reply: str) -> Turn:
        model = ScriptedChatCompletionClient([[tool_call(*call) for call in calls], reply])
        helper = agent(model, tools=memory_tools(memory), max_tool_iterations=3)
        result = asyncio.run(helper.run(task="Use the tools"))
        return Turn(model.calls[1].text, answer(result))

    def shared_agents(self, backend: Backend) -> list[Talk]:
        model = ScriptedChatCompletionClient(lambda call: call.text)
        helper = agent(model, model_context=MemweldChatCompletionContext(backend, "s"))

        async def talk(user: str, text: str) -> str:
            with memweld.user_scope(user):
                return answer(await helper.run(task=text))

        return [talk]

    def read_session(self, memory: Memory, session_id: str) -> list[tuple[str, str]]:
        context = MemweldChatCompletionContext(memory, session_id, recall_limit=0)
        roles = {UserMessage: "user", AssistantMessage: "assistant", SystemMessage: "system"}
        return [(roles[type(message)], str(message.content)) for message in asyncio.run(context.get_messages())]  # type: ignore[index]


class TestAutoGen(AdapterSuite):
    driver = AutoGenDriver()


class Slow(Memory):
    """A memory that holds its searches."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory._engine, memory.scope)
        self.held = Held()

    def search(self, *args: Any, **options: Any) -> Any:
        self.held.wait()
        return super().search(*args, **options)


# tools


class TestTools:
    async def test_the_workbench_has_the_same_tools(self, ana: Memory) -> None:
        workbench = memory_workbench(ana)
        assert {schema["name"] for schema in await workbench.list_tools()} == {tool.name for tool in select_tools()}
        model = ScriptedChatCompletionClient(
            [tool_call("add_memory", {"messages": [{"role": "user", "content": "I sail"}]})]
        )
        await agent(model, workbench=workbench).run(task="Remember that I sail")
        assert texts(ana) == ["I sail"]

    async def test_the_answer_has_text_and_data(self, ana: Memory) -> None:
        tool = memory_tools(ana, ["get_preferences"])[0]
        ana.preferences.set("theme", "dark")
        value = await tool.run_json({}, CancellationToken())
        assert value.data == {"preferences": {"theme": "dark"}}
        assert tool.return_value_as_string(value) == value.text

    async def test_a_cancelled_call_is_cancelled(self, ana: Memory) -> None:
        tool = memory_tools(ana, ["get_preferences"])[0]
        token = CancellationToken()
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await tool.run(tool.args_type()(), token)

    async def test_a_cancelled_token_hangs_no_agent(self, ana: Memory) -> None:
        slow = Slow(ana)
        model = ScriptedChatCompletionClient([tool_call("search_memories", {"query": "bees"}), "Hello again"])
        token = CancellationToken()
        helper = agent(model, tools=memory_tools(slow))
        run = asyncio.create_task(helper.run(task="Bees?", cancellation_token=token))
        await slow.held.until_begun()
        token.cancel()
        assert "was cancelled" in answer(await asyncio.wait_for(run, 15))
        slow.held.released.set()

    async def test_one_agent_serves_many_users_at_once(self, backend: Backend) -> None:
        tools = memory_tools(backend)
        users = [f"user-{number}" for number in range(20)]

        async def one(user: str) -> None:
            with memweld.user_scope(user):
                call = tool_call("set_preference", {"key": "name", "value": user})
                await agent(ScriptedChatCompletionClient([call]), tools=tools).run(task="Remember me")

        await asyncio.gather(*map(one, users))
        assert [backend.user(user).preferences.all() for user in users] == [{"name": user} for user in users]

    async def test_tools_do_not_block_the_loop(self, ana: Memory) -> None:
        slow = Slow(ana)
        call = memory_workbench(slow).call_tool("search_memories", {"query": "bees"})
        assert await runs_beside(call, slow.held)


# the Memory protocol


class TestMemory:
    async def test_recall_stands_once_with_the_last_words_and_is_not_kept(self, ana: Memory) -> None:
        ana.add("My sister Clara is allergic to peanuts")
        context = UnboundedChatCompletionContext()
        model = ScriptedChatCompletionClient(["To peanuts.", "Yes.", "Hello."])
        helper = agent(model, memory=[MemweldMemory(ana)], model_context=context)
        result = await helper.run(task="What is Clara allergic to?")
        event = next(message for message in result.messages if isinstance(message, MemoryQueryEvent))
        assert event.content[0].content == "My sister Clara is allergic to peanuts"
        assert "user_id" not in (event.content[0].metadata or {})
        await helper.run(task="Is Clara really allergic?")
        for call in model.calls:
            assert isinstance(call.messages[-1], UserMessage)
            assert DATA in str(call.messages[-1].content)
            assert call.text.count(DATA) == 1
        assert model.calls[1].messages[1].content == "What is Clara allergic to?"
        assert texts(ana) == ["My sister Clara is allergic to peanuts"], "no block is taken for the user's words"
        assert DATA not in json.dumps(await helper.save_state())
        assert len((await context.save_state())["messages"]) == 4

    async def test_what_no_longer_fits_is_gone(self, ana: Memory) -> None:
        fact = ana.add("My sister Clara is allergic to peanuts")[0]
        model = ScriptedChatCompletionClient(["a", "b"])
        helper = agent(model, memory=[MemweldMemory(ana)])
        await helper.run(task="What is Clara allergic to?")
        ana.delete(fact.id)
        await helper.run(task="What is Clara allergic to?")
        assert DATA in model.calls[0].text
        assert DATA not in model.calls[1].text

    @pytest.mark.parametrize(
        "context",
        [
            BufferedChatCompletionContext(2),
            HeadAndTailChatCompletionContext(1, 1),
            TokenLimitedChatCompletionContext(ScriptedChatCompletionClient(), token_limit=6),
        ],
        ids=lambda context: type(context).__name__,
    )
    async def test_any_context_of_autogen_shows_it(self, ana: Memory, context: ChatCompletionContext) -> None:
        ana.add("I keep bees")
        model = ScriptedChatCompletionClient(["a", "b"])
        helper = agent(model, memory=[MemweldMemory(ana)], model_context=context)
        await helper.run(task="What do I keep?")
        await helper.run(task="What do I keep?")
        assert [call.text.count(DATA) for call in model.calls] == [1, 1]
        assert DATA not in json.dumps(await context.save_state())

    async def test_two_memories_are_both_shown(self, backend: Backend, ana: Memory) -> None:
        ana.add("I keep bees")
        backend.agent("assistant").add("Bees are insects")
        model = ScriptedChatCompletionClient(["a"])
        await agent(model, memory=[MemweldMemory(ana), MemweldMemory(backend.agent("assistant"))]).run(task="Bees?")
        assert "I keep bees" in model.seen
        assert "Bees are insects" in model.seen
        assert [type(message) for message in model.calls[0].messages] == [SystemMessage, UserMessage]

    async def test_beside_our_context_the_block_stands_once(self, backend: Backend, ana: Memory) -> None:
        ana.add("I keep bees")
        for source, memory, recall in ((ana, ana, True), (backend, ana, True), (ana, backend, True), (ana, ana, False)):
            with memweld.user_scope("ana"):
                model = ScriptedChatCompletionClient(["Bees."])
                context = MemweldChatCompletionContext(source, str(uuid4()), recall_limit=5 if recall else 0)
                result = await agent(model, memory=[MemweldMemory(memory)], model_context=context).run(task="Bees?")
            assert model.calls[0].text.count(DATA) == 1
            assert any(isinstance(message, MemoryQueryEvent) for message in result.messages)

    async def test_beside_our_context_another_memory_is_asked_for_the_users_words(
        self, backend: Backend, ana: Memory
    ) -> None:
        for number in range(5):
            ana.add(
                f"I keep bees in Porto, said in the year {number}, and wrote about the violin of my sister at length"
            )
        backend.agent("helper").add("Bees sleep in winter")
        model = ScriptedChatCompletionClient(["They sleep."])
        context = MemweldChatCompletionContext(ana, "s")
        memories = [MemweldMemory(backend.agent("helper"))]
        await agent(model, memory=memories, model_context=context).run(task="What do bees do in winter?")
        assert model.calls[0].text.count(DATA) == 2
        assert "Bees sleep in winter" in model.seen

    async def test_what_the_user_says_is_captured_once(self, ana: Memory) -> None:
        model = ScriptedChatCompletionClient(lambda call: "I have no bees myself")
        agents = [agent(model, name, memory=[MemweldMemory(ana)]) for name in ("one", "two")]
        team = RoundRobinGroupChat(agents, termination_condition=MaxMessageTermination(3))  # type: ignore[arg-type]
        await team.run(task="I keep bees")
        await team.run(task="I sell honey")
        assert texts(ana) == ["I keep bees", "I sell honey"]
        assert DATA not in model.calls[0].text
        await agent(model, memory=[MemweldMemory(ana, capture=False)]).run(task="I have a dog")
        context = MemweldChatCompletionContext(ana, "s", capture=False)
        await agent(model, memory=[MemweldMemory(ana)], model_context=context).run(task="I have a cat")
        assert texts(ana) == ["I keep bees", "I sell honey"]

    async def test_what_is_said_is_captured_for_each_store(self, ana: Memory) -> None:
        with memweld.connect("sqlite://", embedder=HashEmbedder()) as other:
            for memory in (ana, other.user("ana")):
                model = ScriptedChatCompletionClient(["Noted"])
                await agent(model, memory=[MemweldMemory(memory)]).run(task="I keep bees")
                assert texts(memory) == ["I keep bees"]

    async def test_query_add_clear(self, ana: Memory) -> None:
        memory = MemweldMemory(ana)
        own = {"room": 1, "kind": "insects"}
        await memory.add(MemoryContent(content="I keep bees", mime_type=MemoryMimeType.TEXT, metadata=own))
        await memory.add(MemoryContent(content={"pet": "cat"}, mime_type=MemoryMimeType.JSON))
        found = (await memory.query("bees", CancellationToken(), limit=1)).results
        assert [content.content for content in found] == ["I keep bees"]
        assert found[0].metadata is not None
        assert (found[0].metadata["room"], found[0].metadata["kind"]) == (1, "insects")
        assert found[0].metadata["id"] == ana.search("bees")[0].id
        filtered = await memory.query(MemoryContent(content="cat", mime_type="text/plain"), filters={"room": 1})
        assert [content.content for content in filtered.results] == ["I keep bees"]
        choices: list[dict[str, Any]] = [
            {"filters": {"room": {"$in": [1, 2]}}}, {"before": "2001-01-01"}, {"session_id": "none"},
        ]  # fmt: skip
        for options in choices:
            expected = ["I keep bees"] if "filters" in options else []
            assert [each.content for each in (await memory.query("bees cat", **options)).results] == expected
        (pet,) = (await memory.query("pet cat", limit=1)).results
        assert (pet.content, pet.mime_type) == ({"pet": "cat"}, MemoryMimeType.JSON)
        with pytest.raises(InvalidInputError, match="user_id"):
            await memory.query("bees", user_id="bob")
        with pytest.raises(InvalidInputError, match="bytes"):
            await memory.add(MemoryContent(content=b"\x00", mime_type=MemoryMimeType.BINARY))
        token = CancellationToken()
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await memory.query("bees", token)
        await memory.clear()
        await memory.close()
        assert texts(ana) == []

    async def test_no_user_ends_the_run(self, backend: Backend) -> None:
        model = ScriptedChatCompletionClient(["Hello"])
        with pytest.raises(ConfigurationError, match="No user is known"):
            await agent(model, memory=[MemweldMemory(backend)]).run(task="Hello")
        assert model.calls == []

    async def test_a_failing_store_is_logged_or_raised(self, ana: Memory, caplog: pytest.LogCaptureFixture) -> None:
        model = ScriptedChatCompletionClient(["Hello"])
        with caplog.at_level(logging.WARNING, "memweld.autogen"):
            result = await agent(model, memory=[MemweldMemory(BrokenMemory(ana, "wrong"))]).run(task="Hello")
        assert answer(result) == "Hello"
        assert "recall failed" in caplog.text
        assert "capture failed" in caplog.text
        for broken in ("search", "capture"):
            strict = MemweldMemory(BrokenMemory(ana, broken), on_error="raise")
            with pytest.raises(BackendUnavailableError):
                await agent(ScriptedChatCompletionClient(["Hello"]), memory=[strict]).run(task="Hello")
        with pytest.raises(InvalidInputError):
            MemweldMemory(ana, on_error="ignore")  # type: ignore[arg-type]

    async def test_one_context_shows_each_user_their_own(self, backend: Backend) -> None:
        """Even where an application shares one stock context, the block is the user's own."""
        for user in ("ana", "bob"):
            backend.user(user).add(f"{user} keeps bees")
        memory, context = MemweldMemory(backend), UnboundedChatCompletionContext()
        await context.add_message(UserMessage(content="Who keeps bees?", source="user"))
        seen: dict[str, str] = {}
        ready = asyncio.Barrier(2) if sys.version_info >= (3, 11) else None

        async def one(user: str) -> None:
            with memweld.user_scope(user):
                await memory.update_context(context)
                if ready is not None:
                    await ready.wait()
                seen[user] = str((await context.get_messages())[0].content)

        await asyncio.gather(one("ana"), one("bob"))
        assert "ana keeps bees" in seen["ana"]
        assert "bob" not in seen["ana"]
        assert "bob keeps bees" in seen["bob"]
        assert "ana" not in seen["bob"]
        assert len(await context.get_messages()) == 1


# messages


def picture(colour: str = "red") -> Image:
    return Image.from_pil(PIL.Image.new("RGB", (3, 2), colour))


CONVERSATION: list[LLMMessage] = [
    SystemMessage(content="Be brief."),
    UserMessage(content="Hello", source="user"),
    UserMessage(content="I am Ana", source="ana"),
    UserMessage(content="", source=""),
    AssistantMessage(content="Hello Ana", source="assistant", thought="She is polite."),
    AssistantMessage(
        content=[
            FunctionCall(id="1", name="look", arguments='{"where":  "left"}'),
            FunctionCall(id="", name="shout", arguments="not json"),
            FunctionCall(id="3", name="count", arguments="[1, NaN]"),
            FunctionCall(id="4", name="wait", arguments=""),
        ],
        source="writer",
        thought="Let me look.",
    ),
    FunctionExecutionResultMessage(
        content=[
            FunctionExecutionResult(content="a tree", name="look", call_id="1", is_error=False),
            FunctionExecutionResult(content="", name="", call_id=""),
            FunctionExecutionResult(content="boom", name="count", call_id="3", is_error=True),
            FunctionExecutionResult(content="x", name="wait", call_id="4"),
        ]
    ),
    AssistantMessage(content="A tree.", source="writer"),
]


class TestMessages:
    async def test_its_own_messages_read_back_exactly(self, ana: Memory) -> None:
        context = MemweldChatCompletionContext(ana, "s", recall_limit=0, capture=False)
        for message in CONVERSATION:
            await context.add_message(message)
        assert to_autogen(ana.history("s").messages()) == CONVERSATION
        # Models refuse a message that says nothing, an answer to none, and a call without a result.
        shown = await context.get_messages()
        assert shown[:6] == [*CONVERSATION[:3], UserMessage(content="…", source="user"), *CONVERSATION[4:6]]
        call, results = shown[5:7]
        assert isinstance(results, FunctionExecutionResultMessage)
        assert [result.call_id for result in results.content] == [one.id for one in call.content]  # type: ignore[union-attr]
        assert [result.is_error for result in results.content] == [False, True, True, None]

    async def test_images_read_back_and_are_kept_once(self, ana: Memory) -> None:
        message = UserMessage(content=["What is", picture(), "and", picture("blue"), "?"], source="user")
        context = MemweldChatCompletionContext(ana, "s", recall_limit=0)
        await context.add_message(message)
        read = (await context.get_messages())[0]
        assert read.model_dump() == message.model_dump()
        stored = ana.history("s").messages()[0]
        assert stored.text == "What is\nand\n?"
        assert picture().to_base64() in json.dumps(stored.content)
        assert picture().to_base64() not in json.dumps(stored.native)

    def test_the_neutral_fields_say_the_same(self) -> None:
        neutral = [part for message in CONVERSATION for part in to_neutral(message)]
        assert [(message.role, message.text, message.name) for message in neutral[:5]] == [
            ("system", "Be brief.", None),
            ("user", "Hello", None),
            ("user", "I am Ana", "ana"),
            ("user", "", None),
            ("assistant", "Hello Ana", None),
        ]
        assert (neutral[5].content, neutral[5].name) == ("Let me look.", "writer")
        assert [(call.name, call.arguments) for call in neutral[5].tool_calls] == [
            ("look", {"where": "left"}),
            ("shout", {"__raw__": "not json"}),
            ("count", {"__raw__": "[1, NaN]"}),
            ("wait", {}),
        ]
        assert [(message.tool_call_id, message.text) for message in neutral[6:10]] == [
            ("1", "a tree"),
            (None, ""),
            ("3", "boom"),
            ("4", "x"),
        ]

    def test_messages_of_others_become_autogens(self) -> None:
        buffer = io.BytesIO()
        PIL.Image.new("RGB", (1, 1)).save(buffer, "WEBP")
        webp = f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
        calls = (
            ToolCall(id="a", name="look", arguments={"where": "ü"}),
            ToolCall(id="b", name="go", arguments={"__raw__": "??"}),
        )
        read = to_autogen(
            [
                ChatMessage(role="system", content="Be brief."),
                ChatMessage(role="user", content=[{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]),
                ChatMessage(
                    role="user",
                    name="ana@example.com",
                    content=[
                        {"type": "text", "text": "See"},
                        {"type": "image_url", "image_url": {"url": webp}},
                        {"type": "image_url", "image_url": "https://example.com/a.png"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,broken"}},
                        {"type": "input_audio", "input_audio": {"data": "…"}},
                    ],
                ),
                ChatMessage(
                    role="assistant",
                    content="Looking",
                    tool_calls=calls,
                    native={"framework": "langchain", "message": {}},
                ),
                ChatMessage(role="tool", content="a tree", tool_call_id="a"),
                ChatMessage(role="tool", content="gone", tool_call_id="b", name="went"),
                ChatMessage(
                    role="assistant", content="A tree.", native={"framework": "autogen", "message": {"type": "?"}}
                ),
            ]
        )
        image = read[2].content[1]
        assert isinstance(image, Image)
        assert read == [
            SystemMessage(content="Be brief."),
            UserMessage(content="One\nTwo", source="user"),
            UserMessage(
                content=["See", image, "[https://example.com/a.png]", "[image]", "[input_audio]"],
                source="ana_example_com",
            ),
            AssistantMessage(
                content=[
                    FunctionCall(id="a", name="look", arguments='{"where": "ü"}'),
                    FunctionCall(id="b", name="go", arguments="??"),
                ],
                thought="Looking",
                source="assistant",
            ),
            FunctionExecutionResultMessage(
                content=[
                    FunctionExecutionResult(content="a tree", name="look", call_id="a"),
                    FunctionExecutionResult(content="gone", name="went", call_id="b"),
                ]
            ),
            AssistantMessage(content="A tree.", source="assistant"),
        ]


# the context


class TestContext:
    async def test_recall_stands_with_the_last_words_and_is_not_kept(self, ana: Memory) -> None:
        ana.add("I keep bees")
        context = MemweldChatCompletionContext(ana, "s")
        model = ScriptedChatCompletionClient([tool_call("get_preferences"), "Bees."])
        helper = agent(model, model_context=context, tools=memory_tools(ana), max_tool_iterations=2)
        await helper.run(task="Do I keep bees?")
        for call in model.calls:
            assert isinstance(call.messages[0], SystemMessage)
            assert call.messages[0].content == "You are helpful."
            assert DATA in str(call.messages[1].content)
            assert call.text.count(DATA) == 1
        assert model.calls[0].messages[1] == model.calls[1].messages[1]
        kept = json.dumps([await helper.save_state(), ana.export()], default=str)
        assert DATA not in kept
        assert [role for role, _ in messages_of(ana, "s")] == ["user", "assistant", "tool", "assistant"]

    async def test_what_is_just_said_is_not_recalled_to_its_speaker(self, ana: Memory) -> None:
        model = ScriptedChatCompletionClient([tool_call("get_preferences"), "Nice."])
        context = MemweldChatCompletionContext(ana, "s")
        helper = agent(model, model_context=context, tools=memory_tools(ana), max_tool_iterations=2)
        await helper.run(task="I moved to a houseboat")
        assert texts(ana) == ["I moved to a houseboat"]
        assert DATA not in model.seen

    async def test_a_run_that_fails_is_repeated_without_doubles(self, ana: Memory) -> None:
        model = ScriptedChatCompletionClient([RuntimeError("overloaded"), "Nice."])
        helper = agent(model, model_context=MemweldChatCompletionContext(ana, "s"))
        task = [TextMessage(content=text, source="user") for text in ("I live in Porto", "I sail")]
        with pytest.raises(RuntimeError, match="overloaded"):
            await helper.run(task=task)
        assert texts(ana) == ["I live in Porto", "I sail"]
        # The retry comes from a fresh agent, as after a restart.
        await agent(model, model_context=MemweldChatCompletionContext(ana, "s")).run(task=task)
        assert messages_of(ana, "s") == [("user", "I live in Porto"), ("user", "I sail"), ("assistant", "Nice.")]
        assert sorted(texts(ana)) == ["I live in Porto", "I sail"]
        assert {item.session_id for item in ana.all()} == {"s"}

    async def test_said_again_is_captured_again(self, ana: Memory) -> None:
        model = ScriptedChatCompletionClient(["Noted"] * 3)
        helper = agent(model, model_context=MemweldChatCompletionContext(ana, "s"))
        await helper.run(task="I live in Porto")
        ana.clear()
        await helper.run(task="I live in Porto")
        assert texts(ana) == ["I live in Porto"]
        ana.update(ana.all()[0].id, "I sail to Lisbon")
        await helper.run(task="I live in Porto")
        assert sorted(texts(ana)) == ["I live in Porto", "I sail to Lisbon"]

    async def test_said_again_after_a_correction_is_captured_again(self, ana: Memory) -> None:
        model = ScriptedChatCompletionClient(["Noted"] * 3)
        helper = agent(model, model_context=MemweldChatCompletionContext(ana, "s"))
        for place in ("Porto", "Lisbon", "Porto"):
            await helper.run(task=f"I live in {place}")
            assert texts(ana) == [f"I live in {place}"]

    @pytest.mark.parametrize("answer", [facts("Ana keeps bees"), "no JSON"])
    @pytest.mark.parametrize("forget", [Memory.erase, Memory.clear])
    async def test_said_again_is_extracted_again(self, answer: str, forget: Callable[[Memory], object]) -> None:
        """In the background, where nothing tells the adapter which memories the words became."""
        llm = ScriptedExtractor([answer])
        with memweld.connect("sqlite://", embedder=HashEmbedder(), llm=llm) as backend:
            ana = backend.user("ana")
            model = ScriptedChatCompletionClient(["Noted"] * 3)
            helper = agent(model, model_context=MemweldChatCompletionContext(ana, "s"))
            for extractions in (1, 1, 2):
                if extractions == 2:
                    forget(ana)
                await helper.run(task="I keep bees")
                assert ana.flush(20)
                assert texts(ana) == ["I keep bees" if answer == "no JSON" else "Ana keeps bees"]
                assert len(llm.prompts) == extractions

    async def test_each_backend_captures_the_same_words(self, ana: Memory) -> None:
        memories = [ana]
        for _ in range(2):
            with memweld.connect("sqlite://", embedder=HashEmbedder()) as other:
                memories.append(other.user("ana"))
                for memory in memories:
                    model = ScriptedChatCompletionClient(["Noted"] * 3)
                    helper = agent(model, model_context=MemweldChatCompletionContext(memory, "s"))
                    await helper.run(task="I live in Porto")
                    assert texts(memory) == ["I live in Porto"]
                memories.pop()

    async def test_only_the_users_own_words_are_captured(self, ana: Memory) -> None:
        context = MemweldChatCompletionContext(ana, "s", user_names=["ana"])
        for source, text in (("ana", "I keep bees"), ("writer", "I keep wasps"), ("user", "I keep ants")):
            await context.add_message(UserMessage(content=text, source=source))
        await context.add_message(AssistantMessage(content="I keep cats", source="assistant"))
        assert texts(ana) == ["I keep bees"]

    async def test_the_window_is_any_context(self, ana: Memory) -> None:
        class InPlace(UnboundedChatCompletionContext):
            """It changes its list instead of replacing it, and keeps two messages."""

            async def add_message(self, message: LLMMessage) -> None:
                self._messages.append(message)
                del self._messages[:-2]

        ana.history("s").append([{"role": "user", "content": f"{number}"} for number in range(9)])
        initial = UserMessage(content="Example", source="user")
        for inner, shown in (
            (BufferedChatCompletionContext(2), ["7", "8"]),
            (HeadAndTailChatCompletionContext(1, 1), ["0", "Skipped 7 messages.", "8"]),
            (UnboundedChatCompletionContext([initial]), ["Example", *"012345678"]),
            (TokenLimitedChatCompletionContext(ScriptedChatCompletionClient(), token_limit=3), ["0", "1", "8"]),
            (InPlace(), ["7", "8"]),
        ):
            context = MemweldChatCompletionContext(ana, "s", inner=inner, recall_limit=0)
            for _ in range(2):
                assert [message.content for message in await context.get_messages()] == shown
        assert len(messages_of(ana, "s")) == 9

    async def test_a_call_without_an_answer_is_answered(self, ana: Memory) -> None:
        """A cancelled run leaves a call behind, which model APIs refuse: the session must live on."""
        slow = Slow(ana)
        model = ScriptedChatCompletionClient([tool_call("search_memories", {"query": "bees"}), "Hello again"])
        context = MemweldChatCompletionContext(ana, "s", recall_limit=0)
        helper = agent(model, model_context=context, tools=memory_tools(slow))
        run = asyncio.create_task(helper.run(task="Bees?"))
        await slow.held.until_begun()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        slow.held.released.set()
        await helper.run(task="Are you there?")
        call, result = model.calls[1].messages[2:4]
        assert isinstance(call, AssistantMessage)
        assert isinstance(result, FunctionExecutionResultMessage)
        assert result.content[0].call_id == call.content[0].id  # type: ignore[union-attr]
        assert result.content[0].is_error
        assert "interrupted" in result.content[0].content
        assert "tool" not in [role for role, _ in messages_of(ana, "s")]

    async def test_state_goes_round_without_the_block(self, backend: Backend, ana: Memory) -> None:
        ana.add("I keep bees")
        model = ScriptedChatCompletionClient(["Bees.", "Still bees."])
        helper = agent(model, model_context=MemweldChatCompletionContext(ana, "s"))
        await helper.run(task="Do I keep bees?")
        state = json.loads(json.dumps(await helper.save_state()))
        assert DATA not in json.dumps(state)
        before = [(message.id, message.created_at) for message in ana.history("s").messages()]
        # Loaded where it came from, nothing is doubled; loaded into another session, it is a branch.
        await helper.load_state(state)
        assert [(message.id, message.created_at) for message in ana.history("s").messages()] == before
        branch = agent(model, model_context=MemweldChatCompletionContext(ana, "branch"))
        await branch.load_state(state)
        assert [(message.id, message.created_at) for message in ana.history("branch").messages()] == before
        # After a reset the state brings the session back.
        await helper.on_reset(CancellationToken())
        assert messages_of(ana, "s") == []
        await helper.load_state(state)
        assert messages_of(ana, "s") == [("user", "Do I keep bees?"), ("assistant", "Bees.")]
        with pytest.raises(AccessDeniedError):
            await agent(model, model_context=MemweldChatCompletionContext(backend.user("bob"), "s")).load_state(state)
        assert backend.user("bob").sessions() == []

    async def test_state_of_autogens_own_context_is_taken(self, ana: Memory) -> None:
        plain = UnboundedChatCompletionContext(CONVERSATION)
        context = MemweldChatCompletionContext(ana, "s", recall_limit=0)
        for state in (await plain.save_state(), await UnboundedChatCompletionContext().save_state()):
            await context.load_state(state)
            assert to_autogen(ana.history("s").messages()) == CONVERSATION

    async def test_clear_takes_the_session_and_no_fact(self, ana: Memory) -> None:
        context = MemweldChatCompletionContext(ana, "s")
        await agent(ScriptedChatCompletionClient(["Hello"]), model_context=context).run(task="I keep bees")
        await context.clear()
        assert await context.get_messages() == []
        assert texts(ana) == ["I keep bees"]

    async def test_streams_keep_the_user(self, backend: Backend) -> None:
        backend.user("ana").add("Ana keeps bees")
        model = ScriptedChatCompletionClient(["Bees it is"])
        context = MemweldChatCompletionContext(backend, "s")
        helper = agent(model, model_context=context, model_client_stream=True)
        with memweld.user_scope("ana"):
            async for _ in helper.run_stream(task="Who keeps bees?"):
                pass
        assert "Ana keeps bees" in model.seen
        with memweld.user_scope("ana"):
            stream = helper.run_stream(task="Who keeps bees?")
        with pytest.raises(ConfigurationError):
            await _drained(stream)


async def _drained(stream: AsyncIterator[Any]) -> list[Any]:
    return [message async for message in stream]


# teams


class Counting:
    """An LLM for extraction that counts its calls and words each fact anew."""

    def __init__(self) -> None:
        self.calls = 0

    def invoke(self, messages: Sequence[Any]) -> str:
        self.calls += 1
        return json.dumps({"memory": [{"id": "0", "text": f"Fact number {self.calls} in words"}]})


def team_of(source: Memory | Backend, names: Sequence[str], **options: Any) -> RoundRobinGroupChat:
    agents = [
        agent(
            ScriptedChatCompletionClient([f"{name} says one", f"{name} says two"]),
            name,
            model_context=MemweldChatCompletionContext(source, f"trip/{name}"),
        )
        for name in names
    ]
    return RoundRobinGroupChat(agents, termination_condition=MaxMessageTermination(5), **options)  # type: ignore[arg-type]


class TestTeams:
    async def test_agents_share_a_memory_without_doubles(self, ana: Memory) -> None:
        await team_of(ana, ["writer", "critic"]).run(task="I want to see Porto")
        assert texts(ana) == ["I want to see Porto"]
        assert [text for _, text in messages_of(ana, "trip/writer")] == [
            "I want to see Porto",
            "writer says one",
            "critic says one",
            "writer says two",
        ]
        roles = [role for role, _ in messages_of(ana, "trip/critic")]
        assert roles == ["user", "user", "assistant", "user", "assistant"]

    async def test_an_llm_extracts_once_for_all_agents(self, tmp_path: Path) -> None:
        llm = Counting()
        with memweld.connect(f"sqlite:///{tmp_path / 'llm.db'}", embedder=HashEmbedder(), llm=llm) as backend:
            ana = backend.user("ana")
            await team_of(ana, ["writer", "critic"]).run(task="I want to see Porto")
            assert backend.flush(20)
            assert llm.calls == 1
            assert len(texts(ana)) == 1

    async def test_the_user_of_the_moment_reaches_the_agents(self, backend: Backend) -> None:
        with memweld.user_scope("ana"):
            await team_of(backend, ["writer", "critic"]).run(task="I want to see Porto")
        assert texts(backend.user("ana")) == ["I want to see Porto"]
        # AutoGen carries errors out of a team as text.
        with pytest.raises(RuntimeError, match="No user is known"):
            await team_of(backend, ["writer", "critic"]).run(task="I want to see Rome")

    async def test_a_runtime_of_your_own_has_the_user_it_was_started_with(self, backend: Backend) -> None:
        """The warning of docs/guides/autogen.md: with a runtime of its own, a team's agents need a bound memory."""
        runtime = SingleThreadedAgentRuntime()
        runtime.start()
        try:
            with memweld.user_scope("ana"), pytest.raises(RuntimeError, match="No user is known"):
                await team_of(backend, ["writer", "critic"], runtime=runtime).run(task="I want to see Porto")
        finally:
            await runtime.close()
        assert texts(backend.user("ana")) == []


# components


class TestComponents:
    async def test_an_agent_goes_round(self, backend: Backend, ana: Memory) -> None:
        ana.add("I keep bees")
        helper = agent(
            ScriptedChatCompletionClient(["Bees."]),
            tools=memory_tools(ana),
            memory=[
                MemweldMemory(ana, recall_limit=3, recall_budget=500, user_names=["user", "ana"], on_error="raise")
            ],
            model_context=MemweldChatCompletionContext(
                ana, "s", inner=BufferedChatCompletionContext(9), recall_limit=7
            ),
        )
        dump = json.loads(helper.dump_component().model_dump_json())
        with loading_with(backend):
            loaded = AssistantAgent.load_component(dump)
        again = json.loads(loaded.dump_component().model_dump_json())
        assert again == dump
        assert dump["config"]["memory"][0]["config"]["user_names"] == ["user", "ana"]
        assert dump["config"]["model_context"]["config"]["inner"]["config"]["buffer_size"] == 9
        result = await loaded.run(task="Do I keep bees?")
        assert answer(result) == "Bees."
        assert loaded._model_client.calls[0].text.count(DATA) == 1  # type: ignore[attr-defined]
        assert messages_of(ana, "s") == [("user", "Do I keep bees?"), ("assistant", "Bees.")]

    async def test_a_backend_is_found_by_its_url(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("MEMWELD_URL", raising=False)
        with memweld.connect(f"sqlite:///{tmp_path / 'memory.db'}") as backend:
            backend.user("ana").preferences.set("theme", "dark")
            dump = memory_workbench(backend, ["get_preferences"]).dump_component()
            context = MemweldChatCompletionContext(backend, "s").dump_component()
        assert dump.config["tools"][0]["config"] == {"url": backend.url, "tool": "get_preferences"}
        workbench = Workbench.load_component(dump)
        assert isinstance(workbench, StaticWorkbench)
        with memweld.user_scope("ana"):
            assert "theme: dark" in (await workbench.call_tool("get_preferences")).to_text()
            assert await ChatCompletionContext.load_component(context).get_messages() == []
        assert (await workbench.call_tool("get_preferences")).is_error

    def test_tools_load_one_by_one(self, backend: Backend, ana: Memory) -> None:
        for tool in memory_tools(ana):
            with loading_with(backend):
                loaded = BaseTool.load_component(ComponentModel(**json.loads(tool.dump_component().model_dump_json())))

            assert loaded.schema == tool.schema
