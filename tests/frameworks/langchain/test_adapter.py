"""The LangChain adapter: the conformance suite, its tools, and whose memory a run touches."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolCall, ToolMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel
from typing_extensions import NotRequired, TypedDict

import memweld
from memweld import AccessDeniedError, Backend, InvalidInputError, Memory, connect
from memweld.adapters.options import TurnKeywords
from memweld.langchain import MemweldChatMessageHistory, MemweldMiddleware, memory_tools
from memweld.testing import AdapterSuite, HashEmbedder, Mode, ToolReply, Turn
from memweld.testing.adapters import INTERRUPTIONS, Talk
from memweld.testing.langchain import ModelCall, Response, ScriptedChatModel, tool_call
from memweld.testing.script import split_words


class Context(TypedDict):
    user_id: NotRequired[str]
    agent_id: NotRequired[str]


def run(agent: Any, text: str, mode: Mode = "sync", **kwargs: Any) -> list[BaseMessage]:
    state = {"messages": [{"role": "user", "content": text}]}
    result = agent.invoke(state, **kwargs) if mode == "sync" else asyncio.run(agent.ainvoke(state, **kwargs))
    return result["messages"]


def thread(session_id: str | None, **configurable: Any) -> dict[str, Any]:
    if session_id is not None:
        configurable["thread_id"] = session_id
    return {"configurable": configurable}


class StreamingModel(ScriptedChatModel):
    """Streams word by word."""

    def __init__(self, responses: Sequence[Response]) -> None:
        super().__init__(responses)

    def _stream(self, *args: Any, **options: Any) -> Iterator[ChatGenerationChunk]:
        message = self._generate(*args, **options).generations[0].message
        for word in split_words(str(message.text)):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
        assert isinstance(message, AIMessage)
        if message.tool_calls:
            calls = [tool_call_chunk(name=each["name"], args="{}", id=each["id"]) for each in message.tool_calls]
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=calls))


def book() -> str:
    """Book the train."""
    return "Booked"


def close_stream(agent: Any, text: str, mode: Mode, config: Any) -> None:
    """Read the first token of the answer, and no other."""
    state = {"messages": [{"role": "user", "content": text}]}

    async def close() -> None:
        stream = agent.astream(state, config, stream_mode="messages")
        await anext(stream)
        await stream.aclose()

    if mode == "async":
        asyncio.run(close())
        return
    stream = agent.stream(state, config, stream_mode="messages")
    next(stream)
    stream.close()


class LangChainDriver:
    """Drives `create_agent` with a scripted model."""

    modes: tuple[Mode, ...] = ("sync", "async")
    has_turns = True
    has_history = True
    options = frozenset(TurnKeywords.__optional_keys__)
    keeps_failed_turns = True
    interruptions = tuple(INTERRUPTIONS)

    def tool_schemas(self, memory: Memory, tools: Sequence[str] | None = None) -> Mapping[str, Mapping[str, Any]]:
        functions = [convert_to_openai_tool(tool)["function"] for tool in memory_tools(memory, tools)]
        return {function["name"]: function for function in functions}

    def call_tool(self, memory: Memory, name: str, arguments: Mapping[str, Any], mode: Mode) -> ToolReply:
        agent = create_agent(ScriptedChatModel([tool_call(name, arguments), "Done."]), tools=memory_tools(memory))
        return self._reply(run(agent, "Go on.", mode))

    def call_tool_as(self, backend: Backend, user_id: str | None, name: str, arguments: Mapping[str, Any]) -> ToolReply:
        model = ScriptedChatModel([tool_call(name, arguments), "Done."])
        agent = create_agent(model, tools=memory_tools(backend), context_schema=Context)
        return self._reply(run(agent, "Go on.", context={} if user_id is None else {"user_id": user_id}))

    def _reply(self, messages: list[BaseMessage]) -> ToolReply:
        (answer,) = [message for message in messages if isinstance(message, ToolMessage)]
        return ToolReply(str(answer.text), answer.status == "error")

    def run_turn(
        self, memory: Memory, text: str, reply: str, *, session_id: str | None, mode: Mode, **options: Any
    ) -> Turn:
        model = ScriptedChatModel([reply])
        agent = create_agent(model, system_prompt="Be brief.", middleware=[MemweldMiddleware(memory, **options)])
        messages = run(agent, text, mode, config=thread(session_id))
        return Turn(seen=model.seen, reply=str(messages[-1].text))

    def interrupt(self, memory: Memory, texts: Sequence[str], how: str, *, session_id: str | None, mode: Mode) -> None:
        if how == "approval" and mode == "async" and sys.version_info < (3, 11):
            pytest.skip("LangGraph's interrupts need Python 3.11 in async code")
        first = tool_call("book", {}) if how == "approval" else INTERRUPTIONS[how] or "Well …"
        model = StreamingModel([first, "Noted."])
        waits: list[Any] = [HumanInTheLoopMiddleware(interrupt_on={"book": True})]
        middleware = [MemweldMiddleware(memory), *(waits if how == "approval" else ())]
        agent = create_agent(model, tools=[book], middleware=middleware, checkpointer=InMemorySaver())
        config = thread(session_id)
        if how == "closed":
            close_stream(agent, texts[0], mode, config)
        elif how == "approval":
            run(agent, texts[0], mode, config=config)
        else:
            with pytest.raises(BaseException):  # noqa: B017, PT011 - LangGraph has its own class for some
                run(agent, texts[0], mode, config=config)
        run(agent, texts[1], mode, config=config)

    def run_turn_as(self, backend: Backend, user_id: str | None, text: str, reply: str) -> Turn:
        model = ScriptedChatModel([reply])
        agent = create_agent(model, middleware=[MemweldMiddleware(backend)])
        messages = run(agent, text, config=thread(None, **({} if user_id is None else {"user_id": user_id})))
        return Turn(seen=model.seen, reply=str(messages[-1].text))

    def run_tools(self, memory: Memory, calls: Sequence[tuple[str, Any]], reply: str) -> Turn:
        asked = AIMessage("", tool_calls=[tool_call(*call).tool_calls[0] for call in calls])
        model = ScriptedChatModel([asked, reply])
        messages = run(create_agent(model, tools=memory_tools(memory)), "Use the tools")
        return Turn(seen=model.calls[1].text, reply=str(messages[-1].text))

    def shared_agents(self, backend: Backend) -> list[Talk]:
        model = ScriptedChatModel(lambda call: call.text)
        agent = create_agent(model, middleware=[MemweldMiddleware(backend)], checkpointer=InMemorySaver())

        def invoke(user: str, text: str) -> str:
            return str(run(agent, text, config=thread(f"thread of {user}", user_id=user))[-1].text)

        async def talk_in_thread(user: str, text: str) -> str:
            return await asyncio.to_thread(invoke, user, text)

        async def talk(user: str, text: str) -> str:
            state: Any = {"messages": [HumanMessage(text)]}
            result = await agent.ainvoke(state, thread(f"thread of {user}", user_id=user))  # type: ignore[arg-type]
            return str(result["messages"][-1].text)

        return [talk_in_thread, talk]

    def read_session(self, memory: Memory, session_id: str) -> list[tuple[str, str]]:
        roles = {"human": "user", "ai": "assistant"}
        messages = MemweldChatMessageHistory(memory, session_id).messages
        return [(roles[message.type], str(message.text)) for message in messages]


class TestLangChain(AdapterSuite):
    driver = LangChainDriver()


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    with connect(f"sqlite:///{tmp_path / 'memory.db'}", embedder=HashEmbedder()) as backend:
        backend.user("ana").add("Ana keeps bees")
        yield backend


def search(backend: Backend, *, schema: Any = Context, **kwargs: Any) -> ToolReply:
    """One search for bees by an agent whose tools are made from the backend."""
    model = ScriptedChatModel([tool_call("search_memories", {"query": "bees"}), "Done."])
    agent = create_agent(model, tools=memory_tools(backend, ["search_memories"]), context_schema=schema)
    return LangChainDriver()._reply(run(agent, "Go on.", **kwargs))


# tools


def call(tool: BaseTool, arguments: Any, config: Any = None) -> ToolMessage:
    return tool.invoke(ToolCall(name=tool.name, args=arguments, id="1", type="tool_call"), config=config)


def tool(memory: Memory | Backend, name: str) -> BaseTool:
    (chosen,) = memory_tools(memory, [name])
    return chosen


def test_a_tool_message_has_text_and_data(backend: Backend) -> None:
    answer = call(tool(backend.user("ana"), "search_memories"), {"query": "bees"})
    assert str(answer.text).startswith("Found 1 memories:\n1. ID: ")
    assert [memory["text"] for memory in answer.artifact["memories"]] == ["Ana keeps bees"]


def test_text_alone_is_the_first_argument(backend: Backend) -> None:
    assert "Ana keeps bees" in tool(backend.user("ana"), "search_memories").invoke("bees")


def test_toolsets_and_names_choose(backend: Backend) -> None:
    names = [tool.name for tool in memory_tools(backend, ["preferences", "search_memories"])]
    assert names == ["search_memories", "get_preferences", "set_preference"]
    with pytest.raises(InvalidInputError, match="names no toolset and no tool"):
        memory_tools(backend, ["memories"])
    with pytest.raises(InvalidInputError, match="must be a memweld Memory or Backend, not str"):
        memory_tools("ana")  # pyright: ignore[reportArgumentType]


def test_bad_arguments_are_told_in_one_line(backend: Backend) -> None:
    answer = call(tool(backend.user("ana"), "search_memories"), {"limit": 500, "sort": "up"})
    assert answer.status == "error"
    assert answer.text == (
        "Invalid arguments for search_memories: query: Field required; limit: Input should be less than or equal to "
        '50; sort: Extra inputs are not permitted. Example: {"query":"Where does the user live?"}'
    )


@pytest.mark.parametrize("spoof", [{"user_id": "ana"}, {"config": {"configurable": {"user_id": "ana"}}}])
@pytest.mark.parametrize("name", ["search_memories", "get_all_memories"])
def test_a_model_cannot_name_the_user(backend: Backend, name: str, spoof: dict[str, Any]) -> None:
    arguments = {**spoof, **({"query": "bees"} if name == "search_memories" else {})}
    for config in ({}, {"configurable": {"user_id": "bob"}}):
        assert "Ana keeps bees" not in str(call(tool(backend, name), arguments, config).text)
    runtime = {"state": {}, "context": {"user_id": "ana"}, "config": {}, "stream_writer": None}
    assert "Ana keeps bees" not in str(call(tool(backend, name), {**arguments, "runtime": runtime}).text)


# whose memory


@dataclass
class DataContext:
    user_id: str
    agent_id: str | None = None


class ModelContext(BaseModel):
    user_id: str


class Authenticated:
    is_authenticated = True
    display_name = "Ana"
    permissions = ()

    def __init__(self, identity: str) -> None:
        self.identity = identity


class Anonymous(Authenticated):
    is_authenticated = False


CHANNELS: dict[str, Callable[[str], dict[str, Any]]] = {
    "context": lambda user: {"context": {"user_id": user}},
    "dataclass": lambda user: {"context": DataContext(user), "schema": DataContext},
    "model": lambda user: {"context": ModelContext(user_id=user), "schema": ModelContext},
    "configurable": lambda user: {"config": {"configurable": {"user_id": user}}},
    "authenticated": lambda user: {"config": {"configurable": {"langgraph_auth_user": Authenticated(user)}}},
}


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("channel", CHANNELS)
def test_each_channel_names_the_user(backend: Backend, channel: str, mode: Mode) -> None:
    assert "Ana keeps bees" in search(backend, mode=mode, **CHANNELS[channel]("ana")).text
    assert search(backend, mode=mode, **CHANNELS[channel]("bob")) == ToolReply("Found 0 memories", False)


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("channel", CHANNELS)
def test_each_channel_names_the_user_of_the_middleware(backend: Backend, channel: str, mode: Mode) -> None:
    for user, knows in (("ana", True), ("bob", False)):
        options = CHANNELS[channel](user)
        model = ScriptedChatModel(["Good."])
        middleware = [MemweldMiddleware(backend, session_id="s")]
        agent = create_agent(model, middleware=middleware, context_schema=options.pop("schema", Context))
        run(agent, f"I am {user} and ask for bees", mode, **options)
        assert ("Ana keeps bees" in model.seen) == knows
        kept = [message.text for message in backend.user(user).history("s").messages()]
        assert kept == [f"I am {user} and ask for bees", "Good."]


@pytest.mark.parametrize("user_id", ["", "  ", "*", 7, "ana\u200b"])
def test_a_bad_id_ends_a_run_of_the_middleware(backend: Backend, user_id: Any) -> None:
    model = ScriptedChatModel(["Hi."])
    agent = create_agent(model, middleware=[MemweldMiddleware(backend, on_error="warn")])
    with pytest.raises(InvalidInputError, match="Invalid user_id"):
        run(agent, "bees?", config={"configurable": {"user_id": user_id}})
    assert model.calls == []


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_the_surrounding_scope_names_the_user(backend: Backend, mode: Mode) -> None:
    with memweld.user_scope("ana"):
        assert "Ana keeps bees" in search(backend, mode=mode).text
    with memweld.user_scope("bob"):
        assert search(backend, mode=mode) == ToolReply("Found 0 memories", False)


@pytest.mark.parametrize(
    "channels",
    [
        {"context": {"user_id": "ana"}, "config": {"configurable": {"langgraph_auth_user": Authenticated("bob")}}},
        {"config": {"configurable": {"user_id": "ana", "langgraph_auth_user": Authenticated("bob")}}},
        {"context": {"user_id": "ana"}, "config": {"configurable": {"user_id": "bob"}}},
    ],
)
def test_channels_that_disagree_are_refused(backend: Backend, channels: dict[str, Any]) -> None:
    reply = search(backend, **channels)
    assert reply.is_error
    assert "Different users are named" in reply.text
    assert "ana" not in reply.text.lower().replace("langgraph", "")
    agent = create_agent(ScriptedChatModel(["Hi."]), middleware=[MemweldMiddleware(backend, on_error="warn")])
    with pytest.raises(AccessDeniedError):
        run(agent, "bees?", **channels)


def test_a_client_cannot_override_the_surrounding_scope(backend: Backend) -> None:
    with memweld.user_scope("bob"):
        assert "Different users are named" in search(backend, **CHANNELS["configurable"]("ana")).text


def test_channels_that_agree_are_one(backend: Backend) -> None:
    config = {"configurable": {"user_id": "ana", "langgraph_auth_user": Authenticated("ana")}}
    with memweld.user_scope("ana"):
        assert "Ana keeps bees" in search(backend, context={"user_id": "ana"}, config=config).text


@pytest.mark.parametrize("user_id", ["", "  ", "*", 7, "ana\u200b"])
def test_a_bad_id_does_not_fall_through_to_another_channel(backend: Backend, user_id: Any) -> None:
    config = {"configurable": {"user_id": "ana"}}
    reply = search(backend, context={"user_id": user_id}, config=config)
    assert reply.is_error
    assert "Invalid user_id" in reply.text


def test_without_a_user_the_error_says_what_to_do(backend: Backend) -> None:
    for config in ({}, {"configurable": {"langgraph_auth_user": Anonymous("ana")}}):
        reply = search(backend, config=config)
        assert reply.is_error
        assert "No user is known in this run, and there is no default user" in reply.text


def test_an_agent_id_beside_the_user_narrows(backend: Backend) -> None:
    backend.user("ana", agent_id="gardener").add("The bees of Ana live behind the shed")
    own = search(backend, context={"user_id": "ana", "agent_id": "gardener"})
    assert "shed" in own.text
    assert "Ana keeps bees" not in own.text
    with memweld.user_scope("ana", agent_id="cook"):
        assert search(backend) == ToolReply("Found 0 memories", False)


def test_a_bound_memory_stays_bound(backend: Backend) -> None:
    memory = backend.user("ana")
    model = ScriptedChatModel([tool_call("search_memories", {"query": "bees"}), "Done."])
    agent = create_agent(model, tools=memory_tools(memory))
    messages = run(agent, "Go on.", config={"configurable": {"user_id": "bob"}})
    assert "Ana keeps bees" in LangChainDriver()._reply(messages).text


def test_one_agent_serves_many_users_at_once(backend: Backend) -> None:
    def answer(call: ModelCall) -> Response:
        if isinstance(call.messages[-1], ToolMessage):
            return f"Answer: {call.messages[-1].text}"
        return tool_call("search_memories", {"query": "secret", "limit": 50})

    agent = create_agent(
        ScriptedChatModel(answer),
        tools=memory_tools(backend),
        middleware=[MemweldMiddleware(backend)],
        context_schema=Context,
    )

    def kwargs(number: int) -> dict[str, Any]:
        return {"context": {"user_id": f"user-{number}"}, "config": thread(f"thread-{number}")}

    def text(number: int) -> str:
        return f"secret of user-{number} is word{number}x"

    def check(number: int, messages: list[BaseMessage]) -> None:
        assert all(f"word{other}x" not in str(messages[-1].text) for other in range(12) if other != number)

    with ThreadPoolExecutor(6) as pool:
        for number, messages in enumerate(pool.map(lambda n: run(agent, text(n), **kwargs(n)), range(12))):
            check(number, messages)

    async def together() -> list[dict[str, Any]]:
        runs = (agent.ainvoke({"messages": [HumanMessage(text(n))]}, **kwargs(n)) for n in range(12))
        return await asyncio.gather(*runs)

    for number, result in enumerate(asyncio.run(together())):
        check(number, result["messages"])
    for number in range(12):
        memory = backend.user(f"user-{number}")
        assert [item.text for item in memory.all()] == [text(number)]
        assert [session.session_id for session in memory.sessions()] == [f"thread-{number}"]
        assert len(memory.history(f"thread-{number}").messages()) == 8


# the package


def test_the_core_loads_no_framework_and_tools_load_no_agents() -> None:
    program = (
        "import sys, memweld, memweld.tools, memweld.memory\n"
        "assert not [m for m in sys.modules if m.startswith(('langchain', 'langgraph'))]\n"
        "from memweld.langchain import memory_tools\n"
        "assert 'langchain.agents' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_exported_members() -> None:
    module = importlib.import_module("memweld.langchain")
    assert dir(module) == [
        "MemweldChatMessageHistory",
        "MemweldMiddleware",
        "MemweldRetriever",
        "MemweldStore",
        "mcp_tools",
        "memory_tools",
    ]
    assert all(getattr(module, name) is not None for name in dir(module))
    with pytest.raises(AttributeError, match="no attribute 'MemweldEverything'"):
        module.MemweldEverything  # noqa: B018
