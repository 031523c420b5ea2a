"""`mcp_tools`: the conformance suite, one session for everybody, whose memory a call touches, and a rough world."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fastmcp import FastMCP
from fastmcp.server.auth import AccessToken, TokenVerifier
from fastmcp.server.dependencies import get_http_headers
from fastmcp.tools import ToolResult
from langchain.agents import create_agent
from langchain_core.messages import BaseMessage, ToolCall, ToolMessage
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from mcp.types import AudioContent, ImageContent, TextContent
from mcp_servers import Counting, Losing, children, said, served, stdio, threads

import memweld
from memweld import AccessDeniedError, Backend, BackendUnavailableError, ConfigurationError, InvalidInputError, Memory
from memweld.langchain import mcp_tools
from memweld.mcp import create_server
from memweld.testing import AdapterSuite, Mode, ToolDriver, ToolReply
from memweld.testing.langchain import ScriptedChatModel, tool_call
from memweld.testing.serving import reserved_port


def run(agent: Any, mode: Mode = "sync", **kwargs: Any) -> list[BaseMessage]:
    state = {"messages": [{"role": "user", "content": "Go on."}]}
    result = agent.invoke(state, **kwargs) if mode == "sync" else asyncio.run(agent.ainvoke(state, **kwargs))
    return result["messages"]


def in_agent(tools: list[BaseTool], name: str, arguments: Mapping[str, Any], **kwargs: Any) -> ToolMessage:
    """The answer of a tool to an agent's model; the run goes on whatever it is."""
    messages = run(create_agent(ScriptedChatModel([tool_call(name, arguments), "Done."]), tools), **kwargs)
    (answer,) = [message for message in messages if isinstance(message, ToolMessage)]
    assert messages[-1].text == "Done."
    return answer


def named(tools: Sequence[BaseTool], name: str) -> BaseTool:
    return next(tool for tool in tools if tool.name == name)


def of(name: str, **arguments: Any) -> ToolCall:
    return ToolCall(name=name, args=arguments, id="1", type="tool_call")


def call(tools: Sequence[BaseTool], name: str, *, user: str | None = None, **arguments: Any) -> ToolMessage:
    return named(tools, name).invoke(of(name, **arguments), config=who(user))


async def acall(tools: Sequence[BaseTool], name: str, *, user: str | None = None, **arguments: Any) -> ToolMessage:
    return await named(tools, name).ainvoke(of(name, **arguments), config=who(user))


def who(user: str | None, **more: Any) -> Any:
    return {"configurable": {**({} if user is None else {"user_id": user}), **more}}


class LangChainMcpDriver(ToolDriver):
    """Drives `create_agent` with the tools of a memweld server over HTTP."""

    modes: tuple[Mode, ...] = ("sync", "async")

    def tool_schemas(self, memory: Memory, tools: Sequence[str] | None = None) -> Mapping[str, Mapping[str, Any]]:
        with served(create_server(memory, toolsets=tools).http_app()) as url, mcp_tools(url, tools=tools) as given:
            functions = [convert_to_openai_tool(tool)["function"] for tool in given]
        return {function["name"]: function for function in functions}

    def call_tool(self, memory: Memory, name: str, arguments: Mapping[str, Any], mode: Mode) -> ToolReply:
        with served(create_server(memory).http_app()) as url, mcp_tools(url) as tools:
            return self._reply(in_agent(tools, name, arguments, mode=mode))

    def call_tool_as(self, backend: Backend, user_id: str | None, name: str, arguments: Mapping[str, Any]) -> ToolReply:
        with served(create_server(backend).http_app()) as url, mcp_tools(url) as tools:
            return self._reply(in_agent(tools, name, arguments, config=who(user_id)))

    def _reply(self, answer: ToolMessage) -> ToolReply:
        return ToolReply(str(answer.text), answer.status == "error")


class TestLangChainMcp(AdapterSuite):
    driver: ClassVar[Any] = LangChainMcpDriver()


@pytest.fixture
def url(backend: Backend) -> Iterator[str]:
    with served(create_server(backend).http_app()) as url:
        yield url


@pytest.fixture
def tools(url: str) -> Iterator[list[BaseTool]]:
    with mcp_tools(url) as tools:
        yield tools


class Stranger:
    """An MCP server that is not ours, and what its tools were given."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.meeting: dict[int, int] = {}
        server: FastMCP[Any] = FastMCP("stranger")
        for tool in (self.note, self.look, self.count, self.meet, self.fails, self.picture, self.sound, self.words):
            server.tool(tool)
        server.tool(self.count, name="count_once", annotations={"idempotentHint": True})
        server.tool(self.secret)
        self.app = server.http_app()

    def note(self, user_id: str, text: str, agent_id: str = "none") -> str:
        """Note something of a user."""
        self.calls.append({"user_id": user_id, "text": text, "agent_id": agent_id})
        return f"noted for {user_id}"

    def look(self, key: str) -> dict[str, str]:
        """Look something up."""
        return {"key": key}

    def count(self) -> int:
        """Count the calls."""
        self.calls.append({})
        return len(self.calls)

    async def meet(self, number: int) -> str:
        """Return when so many callers are here."""
        self.meeting[number] = self.meeting.get(number, 0) + 1
        deadline = time.monotonic() + 60
        while self.meeting[number] < number:
            if time.monotonic() > deadline:
                return "alone"
            await asyncio.sleep(0.005)
        return "met"

    def fails(self) -> str:
        """Fail."""
        raise ValueError("the moon is full")

    def picture(self) -> ToolResult:
        """A picture with a title."""
        image = ImageContent(type="image", data="aGVsbG8=", mimeType="image/png")
        return ToolResult(content=[TextContent(type="text", text="A bee"), image])

    def sound(self) -> ToolResult:
        """A value that no LangChain tool message can hold."""
        return ToolResult(content=[AudioContent(type="audio", data="aGVsbG8=", mimeType="audio/wav")])

    def words(self, config: str, runtime: str, run_manager: str, tool_call_id: str) -> str:
        """Arguments with names that LangChain uses."""
        return f"{config} {runtime} {run_manager} {tool_call_id}"

    def secret(self) -> str:
        """The header that came along."""
        return get_http_headers().get("x-team", "none")


@pytest.fixture
def stranger() -> Stranger:
    return Stranger()


class TestWhose:
    @pytest.mark.parametrize("mode", ["sync", "async"])
    def test_the_users_of_one_tools_object_stay_apart(self, mode: Mode, tools: list[BaseTool]) -> None:
        def work(user: str) -> list[str]:
            texts = []
            for number in range(3):
                in_agent(tools, "add_memory", said(f"{user} has fact {number}"), mode=mode, config=who(user))
                texts.append(in_agent(tools, "get_all_memories", {}, mode=mode, config=who(user)).text)
            return texts

        users = ["ana", "bob", "carl", "dora"]
        with ThreadPoolExecutor(4) as pool:
            for user, texts in zip(users, pool.map(work, users), strict=True):
                assert texts[-1].startswith(f"Found 3 memories for user {user}:")
                assert not any(other in text for other in users if other != user for text in texts)

    def test_another_users_memory_cannot_be_had_by_its_id(self, tools: list[BaseTool], backend: Backend) -> None:
        call(tools, "add_memory", user="bob", **said("Bob's safe opens with 4711"))
        (theirs,) = backend.user("bob").all()
        # The session has named Bob, and the tools that take an id ask for no user.
        assert "4711" in call(tools, "get_memory", user="bob", memory_id=theirs.id).text
        for name, more in (("get_memory", {}), ("update_memory", {"data": "x"}), ("delete_memory", {})):
            answer = call(tools, name, user="ana", memory_id=theirs.id, **more)
            assert (answer.text, answer.status) == (f"No memory exists with ID {theirs.id}", "error")
        assert [item.text for item in backend.user("bob").all()] == ["Bob's safe opens with 4711"]

    @pytest.mark.parametrize("mode", ["sync", "async"])
    def test_what_a_model_says_reaches_nobody(self, stranger: Stranger, mode: Mode) -> None:
        with served(stranger.app) as url, mcp_tools(url) as tools:
            schema = convert_to_openai_tool(named(tools, "note"))["function"]["parameters"]
            assert (set(schema["properties"]), schema["required"]) == ({"text"}, ["text"])
            spoofed = {"text": "hello", "user_id": "eve", "agent_id": "eve"}
            assert in_agent(tools, "note", spoofed, mode=mode, config=who("ana")).text == "noted for ana"
            in_agent(tools, "note", spoofed, mode=mode, config=who("ana", agent_id="writer"))
            refused = in_agent(tools, "note", spoofed, mode=mode)
            assert refused.status == "error"
            assert "No user is known in this run" in refused.text
            look = in_agent(tools, "look", {"key": "k", "user_id": "eve"}, mode=mode)
            assert look.artifact == {"structured_content": {"key": "k"}}
        ana = {"user_id": "ana", "text": "hello"}
        assert stranger.calls == [{**ana, "agent_id": "none"}, {**ana, "agent_id": "writer"}]

    def test_channels_that_disagree(self, tools: list[BaseTool]) -> None:
        with memweld.user_scope("bob"):
            answer = call(tools, "get_all_memories", user="ana")
            assert (answer.status, "Different users" in answer.text) == ("error", True)
            assert call(tools, "get_all_memories").text.endswith("user bob")

    def test_a_user_of_every_call(self, url: str, backend: Backend) -> None:
        with mcp_tools(url, user_id="ana", agent_id="writer") as tools:
            call(tools, "add_memory", user="bob", **said("Ana keeps bees"))
        assert [item.text for item in backend.user("ana", agent_id="writer").all()] == ["Ana keeps bees"]
        assert backend.user("bob").all() == []

    def test_an_agent_of_every_call(self, url: str, backend: Backend) -> None:
        with mcp_tools(url, agent_id="writer") as tools:
            call(tools, "add_memory", user="ana", **said("Ana keeps bees"))
        assert [item.agent_id for item in backend.user("ana").all()] == ["writer"]

    def test_a_locked_server_knows_the_user(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MEMWELD_USER_ID", "ana")
        monkeypatch.setenv("MEMWELD_LOCK_USER", "1")
        with mcp_tools(stdio("--url", f"sqlite:///{tmp_path / 'm.db'}")) as tools:
            assert call(tools, "add_memory", **said("Ana keeps bees")).text == "Added 1 memories for user ana"
            assert "bees" in call(tools, "get_all_memories", user_id="eve").text
        with mcp_tools(stdio("--url", "sqlite://"), user_id="bob") as tools:
            assert "another" in call(tools, "get_all_memories").text

    def test_a_default_user_of_the_server_is_nobodys(self) -> None:
        with mcp_tools(stdio("--url", "sqlite://", "--user", "ana")) as tools:
            assert call(tools, "get_all_memories").status == "error"
            assert call(tools, "get_all_memories", user="bob").text.endswith("user bob")

    def test_a_user_that_no_tool_takes(self) -> None:
        plain: FastMCP[Any] = FastMCP("plain")
        plain.tool(lambda: "noon", name="time")
        with served(plain.http_app()) as url:
            with pytest.raises(ConfigurationError, match="no tool that takes a user_id"):
                mcp_tools(url, user_id="ana")
            with mcp_tools(url) as tools:
                assert call(tools, "time").text == "noon"
        assert threads() == []

    @pytest.mark.parametrize("bad", [{"user_id": ""}, {"agent_id": "a\nb"}, {"tools": ["no_such"]}])
    def test_bad_arguments(self, url: str, bad: Any) -> None:
        with pytest.raises(InvalidInputError):
            mcp_tools(url, **bad)
        assert threads() == []


class Tokens(TokenVerifier):
    SCOPES: ClassVar[dict[str, list[str]]] = {"ana": [], "bob": [], "service": ["memory:any-user"]}

    async def verify_token(self, token: str) -> AccessToken | None:
        if token not in self.SCOPES:
            return None
        return AccessToken(token=token, client_id="test", subject=token, scopes=self.SCOPES[token])


class TestTokens:
    @pytest.fixture
    def guarded(self, backend: Backend) -> Iterator[str]:
        with served(create_server(backend, auth=Tokens()).http_app()) as url:
            yield url

    def test_the_token_is_the_user(self, guarded: str, backend: Backend) -> None:
        with mcp_tools(guarded, token="ana") as anas, mcp_tools(guarded, token="bob") as bobs:
            call(anas, "add_memory", **said("Ana keeps bees"), user_id="bob")
            (item,) = backend.user("ana").all()
            assert "bees" in call(anas, "get_memory", memory_id=item.id).text
            assert call(bobs, "get_memory", memory_id=item.id).status == "error"
            assert call(bobs, "get_all_memories").text.endswith("user bob")
        with mcp_tools(guarded, token="ana", user_id="bob") as wrong:
            answer = call(wrong, "get_all_memories")
            assert (answer.status, "another" in answer.text) == ("error", True)

    def test_a_service_acts_for_the_user_of_the_run(self, guarded: str, backend: Backend) -> None:
        with mcp_tools(guarded, token="service") as tools:
            call(tools, "add_memory", user="ana", **said("Ana keeps bees"))
            assert call(tools, "get_all_memories").status == "error"
            assert call(tools, "get_all_memories", user="bob").text.endswith("user bob")
        assert [item.text for item in backend.user("ana").all()] == ["Ana keeps bees"]
        assert backend.user("service").all() == []

    @pytest.mark.parametrize("token", [None, "eve"])
    def test_no_valid_token(self, guarded: str, token: str | None) -> None:
        with pytest.raises(AccessDeniedError, match="HTTP 401"):
            mcp_tools(guarded, token=token)
        assert threads() == []

    def test_headers(self, stranger: Stranger) -> None:
        with served(stranger.app) as url, mcp_tools(url, headers={"X-Team": "bees"}) as tools:
            assert call(tools, "secret").text == "bees"


class TestAnswers:
    def test_text_is_text_and_data_is_beside_it(self, tools: list[BaseTool]) -> None:
        answer = call(tools, "add_memory", user="ana", **said("Ana keeps bees"))
        assert answer.content == "Added 1 memories for user ana"
        (memory,) = answer.artifact["structured_content"]["memories"]
        assert memory["text"] == "Ana keeps bees"
        assert "Ana keeps bees" in named(tools, "search_memories").invoke("bees", config=who("ana"))
        assert named(tools, "search_memories").metadata is not None

    def test_what_is_not_only_text_comes_in_blocks(self, stranger: Stranger) -> None:
        with served(stranger.app) as url, mcp_tools(url) as tools:
            content = in_agent(tools, "picture", {}).content
            assert [block["type"] for block in content if isinstance(block, dict)] == ["text", "image"]
            assert in_agent(tools, "sound", {}).status == "error"

    def test_arguments_with_names_that_langchain_uses(self, stranger: Stranger) -> None:
        words = {"config": "a", "runtime": "b", "run_manager": "c", "tool_call_id": "d"}
        with served(stranger.app) as url, mcp_tools(url) as tools:
            assert in_agent(tools, "words", words).text == "a b c d"
            assert in_agent(tools, "words", words, mode="async").text == "a b c d"

    def test_names_and_toolsets_choose(self, url: str) -> None:
        with mcp_tools(url, tools=["get_memory", "preferences", "get_memory"]) as tools:
            assert [tool.name for tool in tools] == ["get_memory", "get_preferences", "set_preference"]


class TestErrors:
    @pytest.mark.parametrize("mode", ["sync", "async"])
    @pytest.mark.parametrize("errors", ["jsonrpc", "tool"])
    def test_the_model_reads_what_went_wrong(self, backend: Backend, errors: Any, mode: Mode) -> None:
        with served(create_server(backend, errors=errors).http_app()) as url, mcp_tools(url) as tools:
            missing = in_agent(tools, "get_memory", {"memory_id": "mem_xyz789"}, mode=mode, config=who("ana"))
            assert (missing.text, missing.status) == ("No memory exists with ID mem_xyz789", "error")
            bad = in_agent(tools, "search_memories", {"limit": 3}, mode=mode, config=who("ana"))
            assert bad.text.startswith("Invalid arguments for search_memories: query: Field required. Example: {")

    def test_a_strangers_errors(self, stranger: Stranger) -> None:
        with served(stranger.app) as url, mcp_tools(url) as tools:
            failed = in_agent(tools, "fails", {})
            assert (failed.status, "the moon is full" in failed.text) == ("error", True)
            assert in_agent(tools, "look", {}).status == "error"

    @pytest.mark.parametrize("mode", ["sync", "async"])
    def test_a_server_that_is_gone(self, backend: Backend, mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("memweld.engine.remote.mcp_client.connection.PAUSES", (0.1,))
        with served(create_server(backend).http_app()) as url:
            tools = mcp_tools(url)
        with tools:
            answer = in_agent(tools, "get_all_memories", {}, mode=mode, config=who("ana"))
            assert (answer.status, "cannot be reached" in answer.text) == ("error", True)

    def test_no_server(self) -> None:
        unreached = pytest.raises(BackendUnavailableError, match=r"The MCP server at .* cannot be reached")
        with reserved_port() as port, unreached:
            mcp_tools(f"http://127.0.0.1:{port}/mcp")
        with pytest.raises(ConfigurationError, match="cannot be started"):
            mcp_tools("stdio:no-such-command")
        for url in ("ftp://host/mcp", "memory.db", "stdio:", "http://"):
            with pytest.raises(ConfigurationError):
                mcp_tools(url)
        with pytest.raises(ConfigurationError, match="headers="):
            mcp_tools("stdio:memweld serve", headers={"a": "b"})
        assert threads() == []

    def test_a_mistake_in_the_program_stays_one(self, tools: list[BaseTool], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("memweld.engine.remote.mcp_client.client.McpClient.call", lambda *_, **__: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            in_agent(tools, "get_all_memories", {}, config=who("ana"))

    def test_a_call_that_takes_too_long(self, stranger: Stranger, monkeypatch: pytest.MonkeyPatch) -> None:
        with served(stranger.app) as url, mcp_tools(url, timeout=60) as tools:
            session: Any = tools._client._connection._session  # pyright: ignore[reportPrivateUsage]
            monkeypatch.setattr(session, "_timeout", 0.2)
            late = call(tools, "meet", number=2)
            assert (late.status, "did not answer within 0.2 seconds" in late.text) == ("error", True)
            monkeypatch.undo()
            assert call(tools, "meet", number=1).text == "met"

    def test_the_extra_is_named(self) -> None:
        code = """
import sys
sys.modules["langchain_mcp_adapters"] = None
import memweld.langchain
try:
    memweld.langchain.mcp_tools
except memweld.MissingExtraError as error:
    print(error)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
        assert "langchain_mcp_adapters is not installed; run: pip install 'memweld[langchain]'" in done.stdout


class TestOneSession:
    def test_over_http(self, backend: Backend) -> None:
        app = Counting(create_server(backend).http_app())
        with served(app) as url, mcp_tools(url) as tools:
            for number in range(5):
                call(tools, "add_memory", user=f"user {number}", **said("hello"))
                asyncio.run(acall(tools, "get_all_memories", user=f"user {number}"))
        assert (app.asked.count("initialize"), app.asked.count("tools/list")) == (1, 1)
        assert (app.asked.count("add_memory"), app.asked.count("get_all_memories")) == (5, 5)

    def test_over_stdio(self) -> None:
        with mcp_tools(stdio("--url", "sqlite://")) as tools:
            (child,) = children()
            for number in range(5):
                in_agent(tools, "add_memory", said("hello"), mode="sync" if number % 2 else "async", config=who("ana"))
            assert children() == [child]
        assert (children(), threads()) == ([], [])

    def test_three_event_loops_at_once(self, stranger: Stranger) -> None:
        def loop(_: int) -> list[str]:
            async def work(tools: list[BaseTool]) -> list[str]:
                return [
                    answer.text for answer in await asyncio.gather(*(acall(tools, "meet", number=9) for _ in "abc"))
                ]

            return asyncio.run(work(shared))

        # Each waits for all the others: calls that waited for one another would never meet.
        with served(stranger.app) as url, mcp_tools(url) as shared, ThreadPoolExecutor(3) as pool:
            assert list(pool.map(loop, range(3))) == [["met"] * 3] * 3
            assert len(threads()) == 1

    def test_sync_calls_at_once(self, stranger: Stranger) -> None:
        with served(stranger.app) as url, mcp_tools(url) as tools, ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda _: call(tools, "meet", number=8).text, range(8))) == ["met"] * 8

    def test_inside_a_running_loop(self, url: str) -> None:
        async def cell() -> str:
            with mcp_tools(url) as tools:
                call(tools, "add_memory", user="ana", **said("Ana keeps bees"))
                return (await acall(tools, "get_all_memories", user="ana")).text

        assert "bees" in asyncio.run(cell())

    def test_a_call_that_is_cancelled_disturbs_nobody(self, stranger: Stranger) -> None:
        async def work(tools: list[BaseTool]) -> str:
            waiting = asyncio.create_task(acall(tools, "meet", number=2))
            while not stranger.meeting:
                await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            return (await acall(tools, "meet", number=2)).text

        with served(stranger.app) as url, mcp_tools(url) as tools:
            assert asyncio.run(work(tools)) == "met"

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")
    @pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
    def test_a_forked_process_connects_for_itself(self, tools: list[BaseTool], backend: Backend) -> None:
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(acall(tools, "add_memory", user="ana", **said("hello from the child")))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        call(tools, "add_memory", user="ana", **said("hello from the parent"))
        assert len(backend.user("ana").all()) == 2


class TestRestart:
    @pytest.mark.parametrize("mode", ["sync", "async"])
    def test_over_http(self, backend: Backend, mode: Mode) -> None:
        with reserved_port() as port, ExitStack() as stack:
            with served(create_server(backend).http_app(), port) as url:
                tools = stack.enter_context(mcp_tools(url))
            for number in range(2):
                with served(create_server(backend).http_app(), port):
                    added = in_agent(tools, "add_memory", said(f"fact {number}"), mode=mode, config=who("ana"))
                    assert added.text == "Added 1 memories for user ana"
        assert len(backend.user("ana").all()) == 2

    def test_a_killed_process_is_started_again(self, tmp_path: Path) -> None:
        with mcp_tools(stdio("--url", f"sqlite:///{tmp_path / 'm.db'}")) as tools:
            call(tools, "add_memory", user="ana", **said("Ana keeps bees"))
            (child,) = children()
            os.kill(child, signal.SIGKILL)
            assert "bees" in call(tools, "get_all_memories", user="ana").text
            assert children() != [child]
        assert children() == []

    def test_only_what_does_no_harm_is_repeated(self, stranger: Stranger) -> None:
        app = Losing(stranger.app)
        with served(app) as url, mcp_tools(url) as tools:
            app.tool, app.losing = "count", 1
            lost = call(tools, "count")
            assert (lost.status, "not known" in lost.text, len(stranger.calls)) == ("error", True, 1)
            app.tool, app.losing = "count_once", 1
            assert call(tools, "count_once").text == "3"

    def test_an_error_after_a_repetition_says_so(self, backend: Backend) -> None:
        app = Losing(create_server(backend).http_app())
        (item,) = backend.user("ana").add("Ana keeps bees")
        with served(app) as url, mcp_tools(url) as tools:
            app.tool, app.losing = "delete_memory", 1
            answer = call(tools, "delete_memory", user="ana", memory_id=item.id)
        assert answer.text.startswith(f"No memory exists with ID {item.id} (The answer to a first attempt was lost")

    def test_a_failed_request_ends_nobody_elses(self, stranger: Stranger) -> None:
        app = Counting(stranger.app)
        losing = Losing(app)
        with served(losing) as url, mcp_tools(url) as tools, ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(call, tools, "meet", number=2)
            while not stranger.meeting:
                time.sleep(0.01)
            losing.tool, losing.losing = "count", 1
            assert call(tools, "count").status == "error"
            assert call(tools, "meet", number=2).text == "met"
            assert waiting.result(timeout=60).text == "met"
        assert app.asked.count("initialize") == 1


class TestClosing:
    def gone(self) -> bool:
        deadline = time.monotonic() + 60
        while (threads() or children()) and time.monotonic() < deadline:
            gc.collect()
            time.sleep(0.02)
        return not threads() and not children()

    def test_a_closed_tool_says_so(self, url: str) -> None:
        tools = mcp_tools(url)
        tools.close()
        tools.close()
        assert threads() == []
        for answer in (
            call(tools, "get_all_memories", user="ana"),
            asyncio.run(acall(tools, "get_memory", user="ana")),
        ):
            assert (answer.status, "closed" in answer.text) == ("error", True)

    @pytest.mark.parametrize("mode", ["sync", "async"])
    def test_calls_under_way_fail(self, stranger: Stranger, mode: Mode) -> None:
        with served(stranger.app) as url, ThreadPoolExecutor(1) as pool:
            tools = mcp_tools(url)
            waiting = pool.submit(in_agent, tools, "meet", {"number": 2}, mode=mode)
            while not stranger.meeting:
                time.sleep(0.01)
            tools.close()
            answer = waiting.result(timeout=60)
            assert (answer.status, "closed" in answer.text) == ("error", True)
        assert threads() == []

    def test_async_with(self) -> None:
        async def work() -> str:
            async with await asyncio.to_thread(mcp_tools, stdio("--url", "sqlite://")) as tools:
                return (await acall(tools, "get_all_memories", user="ana")).text

        assert asyncio.run(work()).endswith("user ana")
        assert self.gone()

    def test_the_last_tool_that_is_let_go_closes(self) -> None:
        agent = create_agent(
            ScriptedChatModel([tool_call("get_all_memories"), "Done."]), mcp_tools(stdio("--url", "sqlite://"))
        )
        gc.collect()
        assert run(agent, config=who("ana"))[-2].text.endswith("user ana")
        assert len(children()) == 1
        del agent
        assert self.gone()

    def test_a_copy_is_a_tool_of_the_same_server(self, tools: list[BaseTool]) -> None:
        copied = copy.deepcopy(list(tools))
        assert call(copied, "get_all_memories", user="ana").text.endswith("user ana")
        assert len(threads()) == 1

    def test_a_program_that_just_ends_does_end(self) -> None:
        code = f"""
from memweld.langchain import mcp_tools
kept = mcp_tools({stdio("--url", "sqlite://")!r}, user_id="ana")
listing = next(tool for tool in kept if tool.name == "get_all_memories")
print(listing.invoke({{}}))
"""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.stdout, done.stderr) == ("Found 0 memories for user ana\n", "")
