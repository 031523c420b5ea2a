"""Microsoft Agent Framework: the adapter suite through real agents, and what is the framework's own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from agent_framework import (
    Agent,
    AgentResponse,
    AgentSession,
    ChatContext,
    Content,
    InMemoryHistoryProvider,
    Message,
    MiddlewareTermination,
    chat_middleware,
    tool,
)
from blockbuster import blockbuster_ctx
from observed import DATA, messages_of, texts

import memweld
from memweld import (
    Backend,
    ChatMessage,
    ConfigurationError,
    InvalidInputError,
    Memory,
    ToolCall,
)
from memweld.adapters.options import TurnKeywords
from memweld.agent_framework import MemweldContextProvider, MemweldHistoryProvider, memory_tools
from memweld.agent_framework.messages import to_agent_framework, to_neutral
from memweld.testing import AdapterSuite, Mode, ScriptedExtractor, ToolReply, Turn
from memweld.testing.adapters import INTERRUPTIONS, Talk
from memweld.testing.agent_framework import ScriptedChatClient, tool_call
from memweld.testing.llm import facts

IMAGE = "data:image/png;base64,iVBORw0KGgo="


def agent(client: ScriptedChatClient, *providers: Any, **options: Any) -> Agent[Any]:
    return Agent(client, "You are helpful.", context_providers=providers, **options)


async def ran(helper: Agent[Any], text: str, **options: Any) -> AgentResponse[Any]:
    return await helper.run(text, **options)


def session_of(user_id: str | None = None, session_id: str | None = None) -> AgentSession:
    session = AgentSession(session_id=session_id)
    if user_id is not None:
        session.state["user_id"] = user_id
    return session


class AgentFrameworkDriver:
    modes: tuple[Mode, ...] = ("async",)
    has_turns = True
    has_history = True
    has_user_channel = True
    sessions_end_turns = True
    keeps_failed_turns = True
    interruptions = ("approval", "outage", "cancelled")
    options = tuple(TurnKeywords.__optional_keys__)

    def tool_schemas(self, memory: Memory, tools: Sequence[str] | None = None) -> Mapping[str, Mapping[str, Any]]:
        client = ScriptedChatClient(["Hello"])
        asyncio.run(ran(agent(client, tools=memory_tools(memory, tools)), "Hello"))
        return {each["function"]["name"]: each["function"] for each in client.calls[0].tools}

    def _call(
        self, source: Memory | Backend, user_id: str | None, name: str, arguments: Mapping[str, Any]
    ) -> ToolReply:
        client = ScriptedChatClient([tool_call(name, arguments), "Done"])
        helper = agent(client, tools=memory_tools(source))
        asyncio.run(ran(helper, "Use the tool", session=session_of(user_id)))
        result = client.calls[1].messages[-1].contents[0]
        assert result.items
        return ToolReply(str(result.result), "error" in result.items[0].additional_properties)

    def call_tool(self, memory: Memory, name: str, arguments: Mapping[str, Any], mode: Mode) -> ToolReply:
        return self._call(memory, None, name, arguments)

    def call_tool_as(self, backend: Backend, user_id: str | None, name: str, arguments: Mapping[str, Any]) -> ToolReply:
        return self._call(backend, user_id, name, arguments)

    def run_turn(
        self, memory: Memory, text: str, reply: str, *, session_id: str | None, mode: Mode, **options: Any
    ) -> Turn:
        client = ScriptedChatClient([reply])
        limit = {name: options[name] for name in ("history_limit", "history_budget") if name in options}
        history = [] if session_id is None else [MemweldHistoryProvider(memory, **limit)]
        helper = agent(client, *history, MemweldContextProvider(memory, **options))
        answer = asyncio.run(ran(helper, text, session=session_of(session_id=session_id)))
        return Turn(client.seen, answer.text)

    def interrupt(self, memory: Memory, texts: Sequence[str], how: str, *, session_id: str | None, mode: Mode) -> None:
        @tool(approval_mode="always_require")
        def book() -> str:
            """Book the train."""
            return "Booked"

        first = tool_call("book", {}) if how == "approval" else INTERRUPTIONS[how] or ""
        history = [] if session_id is None else [MemweldHistoryProvider(memory)]
        helper = agent(ScriptedChatClient([first, "Noted."]), *history, MemweldContextProvider(memory), tools=[book])

        if how == "approval":
            asyncio.run(ran(helper, texts[0], session=session_of(session_id=session_id)))
        else:
            with pytest.raises((TimeoutError, asyncio.CancelledError)):
                asyncio.run(ran(helper, texts[0], session=session_of(session_id=session_id)))
        asyncio.run(ran(helper, texts[1], session=session_of(session_id=session_id)))

    def run_turn_as(self, backend: Backend, user_id: str | None, text: str, reply: str) -> Turn:
        client = ScriptedChatClient([reply])
        helper = agent(client, MemweldContextProvider(backend))
        answer = asyncio.run(ran(helper, text, session=session_of(user_id)))
        return Turn(client.seen, answer.text)

    def run_tools(self, memory: Memory, calls: Sequence[tuple[str, Any]], reply: str) -> Turn:
        client = ScriptedChatClient([[tool_call(*call) for call in calls], reply])
        answer = asyncio.run(ran(agent(client, tools=memory_tools(memory)), "Use the tools"))
        return Turn(client.calls[1].text, answer.text)

    def shared_agents(self, backend: Backend) -> list[Talk]:
        client = ScriptedChatClient(lambda call: call.text)
        helper = agent(client, MemweldHistoryProvider(backend), MemweldContextProvider(backend))

        async def talk(user: str, text: str) -> str:
            return (await helper.run(text, session=session_of(user, "s"))).text

        async def talk_streamed(user: str, text: str) -> str:
            return (await helper.run(text, stream=True, session=session_of(user, "s")).get_final_response()).text

        return [talk, talk_streamed]

    def read_session(self, memory: Memory, session_id: str) -> list[tuple[str, str]]:
        messages = asyncio.run(MemweldHistoryProvider(memory).get_messages(session_id))
        return [(message.role, message.text) for message in messages]


class TestAgentFramework(AdapterSuite):
    driver = AgentFrameworkDriver()


class TestTools:
    async def test_the_provider_brings_tools_where_asked(self, ana: Memory) -> None:
        client = ScriptedChatClient(["Hello"] * 2)
        await agent(client, MemweldContextProvider(ana)).run("Hello")
        await agent(client, MemweldContextProvider(ana, tools=["preferences"])).run("Hello")
        names = [[tool["function"]["name"] for tool in call.tools] for call in client.calls]
        assert names == [[], ["get_preferences", "set_preference"]]

    async def test_a_model_cannot_pass_the_run_off_as_anothers(self, backend: Backend) -> None:
        backend.user("bob").add("Bob keeps bees")
        call = tool_call(
            "search_memories", {"query": "bees", "_invocation": {"session": {"state": {"user_id": "bob"}}}}
        )
        client = ScriptedChatClient([call, "Sorry"])
        await agent(client, tools=memory_tools(backend)).run("Go", session=session_of("ana"))
        assert "Bob" not in client.calls[1].text

    async def test_an_agent_as_a_tool_acts_for_the_surrounding_user(self, backend: Backend) -> None:
        helper = agent(
            ScriptedChatClient([tool_call("set_preference", {"key": "diet", "value": "vegan"}), "Noted"]),
            name="clerk",
            tools=memory_tools(backend),
        )
        client = ScriptedChatClient([tool_call("clerk", {"task": "Note the diet"}), "Done"])
        with memweld.user_scope("ana"):
            await agent(client, tools=[helper.as_tool()]).run("I am vegan")
        assert backend.user("ana").preferences.all() == {"diet": "vegan"}


class TestRecall:
    async def test_it_is_searched_once_a_run_and_kept_nowhere(self, ana: Memory) -> None:
        ana.add("I keep bees")
        client = ScriptedChatClient([tool_call("get_preferences"), "Bees.", "Still bees."])
        helper = agent(client, MemweldContextProvider(ana), tools=memory_tools(ana))
        session = session_of(session_id="s")
        await helper.run("Do I keep bees?", session=session)
        await helper.run("Do I keep bees still?", session=session)
        assert [call.text.count(DATA) for call in client.calls] == [1, 1, 1]
        assert client.calls[0].instructions.startswith("You are helpful.")
        assert DATA not in json.dumps(session.to_dict())

    async def test_nor_what_a_history_of_one_session_for_all_runs_shows(self, ana: Memory) -> None:
        client = ScriptedChatClient(["Nice", "Bees"])
        helper = agent(client, MemweldHistoryProvider(ana, session_id="fixed"), MemweldContextProvider(ana))
        await helper.run("I keep bees")
        await helper.run("Which animals do I keep, bees?")
        assert client.calls[1].text.count("I keep bees") == 1


class TestCapture:
    async def test_beside_another_history(self, ana: Memory) -> None:
        client = ScriptedChatClient(["Nice", "Lovely"])
        helper = agent(client, InMemoryHistoryProvider(), MemweldContextProvider(ana, session_id="kept"))
        session = session_of(session_id="s")
        for text in ("I keep bees", "I live in Porto"):
            await helper.run(text, session=session)
        assert texts(ana) == ["I keep bees", "I live in Porto"]
        assert messages_of(ana, "kept") == [
            ("user", "I keep bees"),
            ("assistant", "Nice"),
            ("user", "I live in Porto"),
            ("assistant", "Lovely"),
        ]

    async def test_without_a_session_only_facts_are_kept(self, ana: Memory) -> None:
        await agent(ScriptedChatClient(["Nice"]), MemweldContextProvider(ana)).run("I keep bees")
        assert texts(ana) == ["I keep bees"]
        assert ana.sessions() == []

    async def test_a_caller_who_sends_the_whole_conversation(self, ana: Memory) -> None:
        client = ScriptedChatClient(["Nice", "Lovely"])
        helper = agent(client, MemweldHistoryProvider(ana, load_messages=False), MemweldContextProvider(ana))
        session = session_of(session_id="s")
        talk = [Message("user", ["I keep bees"])]
        talk += (await helper.run(talk, session=session)).messages
        talk.append(Message("user", ["I live in Porto"]))
        await helper.run(talk, session=session)
        assert [text for _, text in messages_of(ana, "s")] == ["I keep bees", "Nice", "I live in Porto", "Lovely"]
        assert texts(ana) == ["I keep bees", "I live in Porto"]

    async def test_what_other_agents_say_is_no_fact(self, ana: Memory) -> None:
        told = [Message("user", ["I keep bees"]), Message("user", ["The writer hates bees"], author_name="writer")]
        helper = agent(ScriptedChatClient(["Nice"] * 2), MemweldContextProvider(ana, user_names=("user", "Ana")))
        await helper.run(told)
        assert texts(ana) == ["I keep bees"]
        await helper.run(Message("user", ["I keep hens"], author_name="Ana"))
        assert texts(ana) == ["I keep bees", "I keep hens"]

    async def test_a_stream(self, ana: Memory) -> None:
        ana.add("I keep bees")
        client = ScriptedChatClient(["Bees it is"])
        helper = agent(client, MemweldHistoryProvider(ana), MemweldContextProvider(ana))
        stream = helper.run("I keep hens too", stream=True, session=session_of(session_id="s"))
        pieces = [update.text async for update in stream]
        assert pieces == ["Bees ", "it ", "is"]
        assert DATA in client.seen
        assert messages_of(ana, "s") == [("user", "I keep hens too"), ("assistant", "Bees it is")]
        assert texts(ana) == ["I keep bees", "I keep hens too"]


class TestFirstTurn:
    """The user's message is kept, whatever becomes of the run."""

    @pytest.mark.parametrize("providers", ["history", "context", "both"])
    async def test_it_survives_a_failing_model_once(self, ana: Memory, providers: str) -> None:
        history, context = MemweldHistoryProvider(ana), MemweldContextProvider(ana, session_id="s")
        chosen = {"history": [history], "context": [context], "both": [history, context]}[providers]
        client = ScriptedChatClient([TimeoutError("The model is away"), "Nice"])
        with pytest.raises(TimeoutError):
            await agent(client, *chosen).run("I keep bees", session=session_of(session_id="s"))
        assert messages_of(ana, "s") == [("user", "I keep bees")]
        if providers != "context":
            # The caller tries again: the session and the model have the message once.
            await agent(client, *chosen).run("I keep bees", session=session_of(session_id="s"))
            assert [message.text for message in client.calls[1].messages] == ["I keep bees"]
            assert messages_of(ana, "s") == [("user", "I keep bees"), ("assistant", "Nice")]

    async def test_it_survives_a_stream_that_nothing_reads_to_its_end(self, ana: Memory) -> None:
        helper = agent(ScriptedChatClient(["Bees it is"]), MemweldHistoryProvider(ana), MemweldContextProvider(ana))
        async for _ in helper.run("I keep bees", stream=True, session=session_of(session_id="s")):
            break
        assert messages_of(ana, "s") == [("user", "I keep bees")]
        assert texts(ana) == ["I keep bees"]

    @pytest.mark.parametrize("session", ["s", None])
    @pytest.mark.parametrize("leave", ["close", "break", "cancel"])
    async def test_it_survives_a_stream_that_its_caller_leaves(
        self, make: Callable[..., Backend], leave: str, session: str | None
    ) -> None:
        """Also where an LLM was to read the finished turn."""
        ana = make(llm=ScriptedExtractor([facts("Ana keeps bees")])).user("ana")
        history = [] if session is None else [MemweldHistoryProvider(ana)]
        helper = agent(ScriptedChatClient(["Bees it is"]), *history, MemweldContextProvider(ana))
        stream = helper.run("I keep bees", stream=True, session=session_of(session_id=session))

        async def read(updates: AsyncIterable[object]) -> None:
            async for _ in updates:
                if leave == "cancel":
                    raise asyncio.CancelledError
                break

        with contextlib.suppress(asyncio.CancelledError):
            await read(stream)
        if leave == "close":
            await stream.close()
        del stream
        gc.collect()
        for _ in range(600):
            if texts(ana):
                break
            await asyncio.sleep(0.05)
        assert texts(ana) == ["I keep bees"]

    async def test_a_retry_in_front_keeps_it_once(self, make: Callable[..., Backend]) -> None:
        @chat_middleware
        async def retrying(_: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
            with contextlib.suppress(TimeoutError):
                await call_next()
                return
            await call_next()

        ana = make(llm=ScriptedExtractor([facts("Ana keeps bees"), facts("Ana keeps hens")])).user("ana")
        client = ScriptedChatClient([TimeoutError("The model is away"), "Nice", "Nice"])
        helper = agent(client, MemweldContextProvider(ana), middleware=[retrying])
        await helper.run("I keep bees")
        assert ana.flush(20)
        assert texts(ana) == ["I keep bees"]
        await helper.run("I keep hens")
        assert ana.flush(20)
        assert texts(ana) == ["I keep bees", "Ana keeps bees"]  # the LLM reads the turns that did not fail

    async def test_a_run_that_middleware_ends_is_no_failure(self, make: Callable[..., Backend]) -> None:
        @chat_middleware
        async def ending(context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
            await call_next()
            raise MiddlewareTermination(result=context.result)

        ana = make(llm=ScriptedExtractor([facts("Ana keeps bees")])).user("ana")
        helper = agent(ScriptedChatClient(["Nice"]), MemweldContextProvider(ana), middleware=[ending])
        assert (await helper.run("I keep bees")).text == "Nice"
        assert ana.flush(20)
        assert texts(ana) == ["Ana keeps bees"]

    async def test_a_pending_approval_and_other_words(self, ana: Memory) -> None:
        """A call that waits for approval stays open for it; where the user says something else, it is interrupted."""
        looks: list[str] = []

        @tool(approval_mode="always_require")
        def look(where: str) -> str:
            """Look."""
            looks.append(where)
            return "A bee"

        client = ScriptedChatClient(
            [tool_call("look", {"where": "here"}), "Well", tool_call("look", {"where": "there"}), "A bee"]
        )
        helper = agent(client, MemweldHistoryProvider(ana), tools=[look])
        session = session_of(session_id="s")
        await helper.run("Look", session=session)
        assert [role for role, _ in messages_of(ana, "s")] == ["user", "assistant"]
        await helper.run("Never mind", session=session)
        assert "interrupted" in client.calls[1].text
        pending = await helper.run("Look there", session=session)
        approval = pending.user_input_requests[0].to_function_approval_response(approved=True)
        await helper.run(Message("user", [approval]), session=session)
        assert looks == ["there"]
        assert client.calls[-1].text.count("interrupted") == 1


class TestIdentity:
    async def test_a_state_that_is_not_to_be_believed(self, backend: Backend) -> None:
        providers = [MemweldHistoryProvider(backend, user_key=None), MemweldContextProvider(backend, user_key=None)]
        helper = agent(ScriptedChatClient(["Nice"]), *providers)
        with pytest.raises(ConfigurationError):
            await helper.run("I keep bees", session=session_of("bob"))
        with memweld.user_scope("ana"):
            await helper.run("I keep bees", session=session_of("bob"))
        assert texts(backend.user("ana")) == ["I keep bees"]
        assert texts(backend.user("bob")) == []

    async def test_no_user_no_history(self, backend: Backend) -> None:
        with pytest.raises(ConfigurationError):
            await agent(ScriptedChatClient(["Nice"]), MemweldHistoryProvider(backend)).run(
                "Hello", session=session_of()
            )
        with pytest.raises(ConfigurationError):
            await MemweldHistoryProvider(backend).get_messages("s")


class TestFailures:
    def test_the_event_loop_is_never_blocked(self, backend: Backend) -> None:
        async def turn() -> None:
            client = ScriptedChatClient([tool_call("search_memories", {"query": "bees"}), "Hello"])
            providers = [MemweldHistoryProvider(backend), MemweldContextProvider(backend)]
            helper = agent(client, *providers, tools=memory_tools(backend))
            await helper.run("I keep bees", session=session_of("ana", "s"))

        asyncio.run(turn())  # the framework itself reads files when it is used first
        with blockbuster_ctx():
            asyncio.run(turn())
        assert len(messages_of(backend.user("ana"), "s")) == 8


class TestHistory:
    async def test_every_message_reads_back_as_it_was(self, ana: Memory) -> None:
        written = [
            Message("system", ["Be brief"]),
            Message("user", [Content.from_text("Look"), Content.from_uri(IMAGE, media_type="image/png")]),
            Message("user", ["Now"], author_name="Ana", message_id="m1", additional_properties={"k": [1, None]}),
            Message(
                "assistant",
                [
                    Content.from_text_reasoning(text="Hm", protected_data="abc"),
                    Content.from_text("Looking"),
                    Content.from_function_call("c1", "look", arguments='{"at": "it"}'),
                    Content.from_function_call("c2", "look", arguments={"at": "that"}),
                    Content.from_function_call("c3", "look", arguments={}),
                ],
                author_name="assistant",
            ),
            Message(
                "tool",
                [
                    Content.from_function_result("c1", result="a bee"),
                    Content.from_function_result("c2", result=[Content.from_text("a"), Content.from_text("hen")]),
                ],
            ),
            Message("tool", [Content.from_function_result("c3", result="late")]),
            Message("assistant", [Content.from_data(b"pdf", "application/pdf"), Content.from_error(message="oops")]),
            Message("critic", ["A role of its own"]),
        ]
        provider = MemweldHistoryProvider(ana)
        await provider.save_messages("s", written)
        back = await provider.get_messages("s")
        assert [message.to_dict() for message in back] == [message.to_dict() for message in written]
        stored = ana.history("s").messages()
        assert [message.role for message in stored] == [
            "system",
            "user",
            "user",
            "assistant",
            "tool",
            "tool",
            "tool",
            "assistant",
            "assistant",
        ]
        assert [call.arguments for call in stored[3].tool_calls] == [{"at": "it"}, {"at": "that"}, {}]
        assert [(message.text, message.tool_call_id) for message in stored[4:7]] == [
            ("a bee", "c1"),
            ("a\nhen", "c2"),
            ("late", "c3"),
        ]
        # Sent again as a whole, nothing is doubled.
        await provider.save_messages("s", written)
        assert ana.history("s").messages() == stored

    async def test_other_frameworks_messages_read_natively(self, ana: Memory) -> None:
        ana.history("s").append(
            [
                ChatMessage(
                    role="user",
                    name="Ana",
                    content=[
                        {"type": "text", "text": "What is it?"},
                        {"type": "image_url", "image_url": {"url": IMAGE}},
                    ],
                ),
                ChatMessage(
                    role="assistant",
                    content="Looking",
                    tool_calls=(
                        ToolCall(id="c1", name="look", arguments={"at": "it"}),
                        ToolCall(id="c2", name="look", arguments={"__raw__": "{oops"}),
                    ),
                ),
                ChatMessage(role="tool", content="a bee", tool_call_id="c1"),
                ChatMessage(role="tool", content="nothing", tool_call_id="c2"),
                ChatMessage(role="assistant", content="A bee"),
            ]
        )
        asked, called, results, answer = await MemweldHistoryProvider(ana).get_messages("s")
        assert (asked.role, asked.author_name, asked.text) == ("user", "Ana", "What is it?")
        assert (asked.contents[1].uri, asked.contents[1].media_type) == (IMAGE, "image/png")
        assert [content.type for content in called.contents] == ["text", "function_call", "function_call"]
        assert [content.arguments for content in called.contents[1:]] == ['{"at": "it"}', "{oops"]
        assert [(content.call_id, content.result) for content in results.contents] == [
            ("c1", "a bee"),
            ("c2", "nothing"),
        ]
        assert answer.text == "A bee"

    async def test_a_call_that_was_never_answered(self, ana: Memory) -> None:
        ana.history("s").append(
            [
                ChatMessage(role="user", content="Look"),
                ChatMessage(role="assistant", tool_calls=(ToolCall(id="c1", name="look", arguments={}),)),
            ]
        )
        client = ScriptedChatClient(["Hello"])
        helper = agent(client, MemweldHistoryProvider(ana))
        await helper.run("Are you there?", session=session_of(session_id="s"))
        messages = client.calls[0].messages
        assert [message.role for message in messages] == ["user", "assistant", "tool", "user"]
        assert "interrupted" in str(messages[2].contents[0].result)
        assert "tool" not in [role for role, _ in messages_of(ana, "s")]

    async def test_a_tool_loop_is_kept_whole(self, ana: Memory) -> None:
        client = ScriptedChatClient([tool_call("get_preferences"), "None.", "As I said."])
        helper = agent(client, MemweldHistoryProvider(ana), tools=memory_tools(ana))
        await helper.run("My preferences?", session=session_of(session_id="s"))
        assert [role for role, _ in messages_of(ana, "s")] == ["user", "assistant", "tool", "assistant"]
        again = agent(client, MemweldHistoryProvider(ana))
        await again.run("Sure?", session=session_of(session_id="s"))
        assert [message.role for message in client.calls[2].messages] == [
            "user",
            "assistant",
            "tool",
            "assistant",
            "user",
        ]

    async def test_a_service_call_at_a_time(self, ana: Memory) -> None:
        client = ScriptedChatClient([tool_call("get_preferences"), "None."])
        helper = agent(
            client,
            MemweldHistoryProvider(ana),
            tools=memory_tools(ana),
            require_per_service_call_history_persistence=True,
        )
        await helper.run("My preferences?", session=session_of(session_id="s"))
        assert [role for role, _ in messages_of(ana, "s")] == ["user", "assistant", "tool", "assistant"]

    async def test_an_audit_trail_is_written_only(self, ana: Memory) -> None:
        client = ScriptedChatClient(["Nice"] * 2)
        helper = agent(
            client, InMemoryHistoryProvider(), MemweldHistoryProvider(ana, load_messages=False, store_outputs=False)
        )
        session = session_of(session_id="s")
        for text in ("One", "Two"):
            await helper.run(text, session=session)
        assert messages_of(ana, "s") == [("user", "One"), ("user", "Two")]
        assert client.calls[1].text.count("One") == 1

    async def test_the_sessions_state_holds_no_message(self, ana: Memory) -> None:
        session = session_of(session_id="s")
        helper = agent(ScriptedChatClient(["Nice"]), MemweldHistoryProvider(ana), MemweldContextProvider(ana))
        await helper.run("I keep bees", session=session)
        assert "bees" not in json.dumps(session.to_dict())

    async def test_a_history_without_a_session(self, ana: Memory) -> None:
        with pytest.raises(InvalidInputError):
            await MemweldHistoryProvider(ana).get_messages(None)
        assert await MemweldHistoryProvider(ana, session_id="s").get_messages(None) == []

    def test_what_a_model_wrote_badly_is_kept(self) -> None:
        message = Message("assistant", [Content.from_function_call("", "", arguments="{oops")])
        (neutral,) = to_neutral(message)
        assert neutral.tool_calls[0].name == "unknown"
        assert neutral.tool_calls[0].arguments == {"__raw__": "{oops"}
        assert to_agent_framework([neutral])[0].to_dict() == message.to_dict()

    def test_what_json_cannot_hold_comes_nearest(self) -> None:
        message = Message("user", ["a\x00b"], additional_properties={"path": Path("/x"), "nan": float("nan")})
        (neutral,) = to_neutral(message)
        back = to_agent_framework([neutral])[0]
        assert back.text == neutral.content == "a\N{REPLACEMENT CHARACTER}b"
        assert back.additional_properties["nan"] == "nan"
