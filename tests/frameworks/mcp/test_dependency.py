"""`current_memory` in tools of anybody's server: invisible, the caller's own, on every transport; and the example."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest
from fastmcp import Client, FastMCP
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from fastmcp.exceptions import ToolError
from fastmcp.server.auth import StaticTokenVerifier
from fastmcp.server.tasks.context import TaskContextInfo
from mcp.shared.exceptions import McpError

import memweld
from memweld import Backend, ConfigurationError, InvalidInputError, Memory, connect
from memweld.mcp import create_server, current_memory, use_backend
from memweld.testing import HashEmbedder
from memweld.testing.serving import serving

T = TypeVar("T")
EXAMPLE = Path(__file__).parents[3] / "examples" / "mcp_preference_server.py"


def strangers_server(**settings: Any) -> FastMCP[Any]:
    """A server that is not ours, with tools that use the caller's memory."""
    server: FastMCP[Any] = FastMCP("stranger", **settings)

    @server.tool
    async def whoami(greeting: str, memory: Memory = current_memory()) -> str:
        return f"{greeting}, {memory.scope}"

    @server.tool
    def count(memory: Memory = current_memory()) -> int:
        state = memory.state("counter")
        return int(str(state.update("n", lambda n: int(str(n)) + 1, default=0)))

    @server.tool
    def read_page(memory: Memory = current_memory()) -> str:
        memory.add("The page is about bees")
        memory.add("The user reads", source="user")
        memory.capture("I keep bees", session_id="s")
        memory.preferences.set("pages", "long")
        return ", ".join(f"{item.text}: {item.source}" for item in memory.all())

    @server.tool
    async def as_writer(memory: Memory = current_memory(agent_id="writer")) -> str:
        return str(memory.scope)

    @server.resource("memory://whoami")
    async def about(memory: Memory = current_memory()) -> str:
        return str(memory.scope)

    @server.prompt
    async def greet(memory: Memory = current_memory()) -> str:
        return f"Greet {memory.scope}"

    return server


def bound(backend: Backend | Memory, **settings: Any) -> FastMCP[Any]:
    server = strangers_server(**settings)
    use_backend(server, backend)
    return server


def with_client(transport: Any, use: Callable[[Client[Any]], Awaitable[T]]) -> T:
    async def run() -> T:
        async with Client(transport) as client:
            return await use(client)

    return anyio.run(run)


def asked(transport: Any, tool: str, **arguments: Any) -> Any:
    """The answer of a tool in a session of its own."""

    async def use(client: Client[Any]) -> Any:
        return (await client.call_tool(tool, arguments)).data

    return with_client(transport, use)


def test_a_tool_is_the_source_of_what_it_stores_on_purpose() -> None:
    with connect("sqlite://", embedder=HashEmbedder()) as backend:
        server = bound(backend.user("ana"))
        assert asked(server, "read_page") == (
            "The page is about bees: tool, The user reads: user, I keep bees: user, pages: long: tool"
        )


class TestTheParameter:
    def test_no_schema_shows_it(self, backend: Backend) -> None:
        async def use(client: Client[Any]) -> None:
            tools = {tool.name: tool.inputSchema for tool in await client.list_tools()}
            assert set(tools["whoami"]["properties"]) == {"greeting"}
            assert tools["count"].get("properties", {}) == {}
            assert "memory" not in str(list(tools.values()))
            assert (await client.list_prompts())[0].arguments == []

        with_client(bound(backend), use)

    def test_no_caller_can_fill_it_in(self, backend: Backend) -> None:
        with memweld.user_scope("ana"), pytest.raises(ToolError, match="memory"):
            asked(bound(backend), "whoami", greeting="Hi", memory="bob")

    def test_resources_and_prompts_have_it_too(self, backend: Backend) -> None:
        async def use(client: Client[Any]) -> tuple[str, str]:
            (resource,) = await client.read_resource("memory://whoami")
            prompt: Any = (await client.get_prompt("greet")).messages[0].content
            return getattr(resource, "text", ""), prompt.text

        with memweld.user_scope("ana"):
            assert with_client(bound(backend), use) == ("user ana", "Greet user ana")

    def test_what_it_takes(self) -> None:
        with pytest.raises(InvalidInputError, match="must be a memweld Memory or Backend"):
            current_memory("sqlite://")  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError, match="must be a memweld Memory or Backend"):
            use_backend(FastMCP("x"), None)  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError, match="agent_id"):
            current_memory(agent_id="*")


class TestInThisProcess:
    def test_the_named_user(self, backend: Backend) -> None:
        server = bound(backend)
        for user in ("ana", "bob"):
            with memweld.user_scope(user):
                assert asked(server, "whoami", greeting="Hi") == f"Hi, user {user}"
                assert asked(server, "count") == 1
        assert backend.user("ana").state("counter")["n"] == 1

    def test_the_user_of_the_environment(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MEMWELD_USER_ID", "ana")
        server = bound(backend)
        assert asked(server, "whoami", greeting="Hi") == "Hi, user ana"
        assert asked(server, "as_writer") == "user ana and agent writer"
        with memweld.user_scope("bob", agent_id="reader"):
            assert asked(server, "whoami", greeting="Hi") == "Hi, user bob and agent reader"
            assert asked(server, "as_writer") == "user bob and agent writer"

    def test_a_locked_environment_has_one_user(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MEMWELD_USER_ID", "ana")
        monkeypatch.setenv("MEMWELD_LOCK_USER", "1")
        with memweld.user_scope("bob"), pytest.raises(ToolError, match="acts for one user_id only"):
            asked(bound(backend), "count")
        assert asked(bound(backend), "count") == 1

    def test_nobody_is_refused_before_the_tool_runs(self, backend: Backend) -> None:
        for tool in ("count", "as_writer"):
            with pytest.raises(ToolError, match=r"No user is known .* MEMWELD_USER_ID"):
                asked(bound(backend), tool)
        assert backend.agent("writer").export()["state"] == []

    def test_a_user_whose_block_has_ended_is_nobody(self, backend: Backend) -> None:
        async def use() -> None:
            client = Client(bound(backend))
            with memweld.user_scope("ana"):
                await client.__aenter__()
                assert (await client.call_tool("count", {})).data == 1
            with pytest.raises(ToolError, match="No user is known"):
                await client.call_tool("count", {})
            await client.__aexit__(None, None, None)

        anyio.run(use)

    def test_a_background_task_is_nobody(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MEMWELD_USER_ID", "operator")
        monkeypatch.setattr("memweld.mcp.dependency.get_task_context", lambda: TaskContextInfo("t1", None))
        with pytest.raises(ToolError, match="background task"):
            asked(bound(backend), "count")

    def test_a_lock_without_a_user_is_said_at_once(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MEMWELD_LOCK_USER", "1")
        with pytest.raises(ConfigurationError, match="only if there is one"):
            bound(backend)

    def test_no_backend_is_said(self) -> None:
        with memweld.user_scope("ana"), pytest.raises(ToolError, match=r"use_backend\(server, backend\)"):
            asked(strangers_server(), "count")

    def test_one_memory_for_all(self, backend: Backend) -> None:
        server = bound(backend.user("ana", agent_id="writer"))
        assert asked(server, "whoami", greeting="Hi") == "Hi, user ana and agent writer"
        with pytest.raises(ToolError, match="memory of user ana only"):
            asked(bound(backend.user("ana")), "as_writer")

    def test_a_tool_may_bring_its_backend(self, backend: Backend) -> None:
        server: FastMCP[Any] = FastMCP("own")

        @server.tool
        async def count(memory: Memory = current_memory(backend)) -> int:
            return int(str(await memory.aio.state("counter").update("n", lambda n: int(str(n)) + 1, default=0)))

        with memweld.user_scope("ana"):
            assert asked(server, "count") == 1
        with connect("sqlite://", embedder=HashEmbedder()) as other:
            own = create_server(other, user_id="carl")
            own.add_tool(with_count := anyio.run(server.get_tool, "count"))  # type: ignore[arg-type]
            assert with_count is not None
            assert asked(own, "count") == 1
            assert "n" not in other.user("carl").state("counter")
        assert backend.user("carl").state("counter")["n"] == 1

    def test_mounted_servers_have_the_nearest_backend(self, backend: Backend) -> None:
        parent: FastMCP[Any] = FastMCP("parent")
        parent.mount(strangers_server(), "child")
        use_backend(parent, backend)
        with memweld.user_scope("ana"):
            assert asked(parent, "child_count") == 1
            with connect("sqlite://", embedder=HashEmbedder()) as other:
                parent.mount(bound(other), "nearer")
                assert asked(parent, "nearer_count") == 1
                assert other.user("ana").state("counter")["n"] == 1
        assert backend.user("ana").state("counter")["n"] == 1

    def test_errors_of_the_memory_reach_the_client(self, backend: Backend) -> None:
        server = bound(backend)
        backend.close()
        with memweld.user_scope("ana"), pytest.raises(ToolError, match="closed"):
            asked(server, "count")


class TestOurServer:
    def test_its_user_is_the_caller(self, backend: Backend) -> None:
        server = create_server(backend, user_id="ana")
        server.mount(strangers_server())
        assert asked(server, "whoami", greeting="Hi") == "Hi, user ana"
        assert asked(server, "as_writer") == "user ana and agent writer"
        with memweld.user_scope("bob"):
            assert asked(server, "whoami", greeting="Hi") == "Hi, user ana"

    def test_a_tool_of_its_own(self, backend: Backend) -> None:
        server = create_server(backend.user("ana"))

        @server.tool
        async def liked(memory: Memory = current_memory()) -> dict[str, Any]:
            return await memory.aio.preferences.all()

        backend.user("ana").preferences.set("diet", "vegan")
        assert asked(server, "liked") == {"diet": "vegan"}

    def test_without_a_user_it_is_the_contract_s_error(self, backend: Backend) -> None:
        server = create_server(backend)
        server.mount(strangers_server())
        with pytest.raises(McpError) as caught:
            asked(server, "count")
        assert caught.value.error.code == -32603
        assert caught.value.error.data is not None
        assert caught.value.error.data["type"] == "ConfigurationError"
        assert "No user is known" in caught.value.error.data["details"]

    def test_an_agent_s_memory_is_nobody_s_fallback(self, backend: Backend) -> None:
        server = create_server(backend.agent("writer"))
        server.mount(strangers_server())
        assert asked(server, "whoami", greeting="Hi") == "Hi, agent writer"
        with pytest.raises(McpError, match="Configuration error"):
            asked(server, "as_writer")


TOKENS = StaticTokenVerifier(
    {
        "anas": {"client_id": "app", "sub": "ana", "scopes": []},
        "bobs": {"client_id": "app", "sub": "bob", "scopes": []},
        "service": {"client_id": "app", "sub": "svc", "scopes": ["memory:any-user", "memory:agents"]},
        "nobodys": {"client_id": "app", "scopes": []},
    }
)


class TestOverHttp:
    def test_the_token_says_who_calls(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        # Neither of them is who calls over HTTP.
        monkeypatch.setenv("MEMWELD_USER_ID", "operator")
        with memweld.user_scope("operator"), serving(bound(backend, auth=TOKENS).http_app()) as url:

            def ask(token: str, tool: str, **arguments: Any) -> Any:
                return asked(StreamableHttpTransport(f"{url}/mcp", auth=token), tool, **arguments)

            assert ask("anas", "whoami", greeting="Hi") == "Hi, user ana"
            assert ask("bobs", "as_writer") == "user bob and agent writer"
            assert ask("service", "as_writer") == "user svc and agent writer"
            assert [ask("anas", "count"), ask("anas", "count"), ask("bobs", "count")] == [1, 2, 1]
            with pytest.raises(ToolError, match="subject"):
                ask("nobodys", "count")
        assert backend.user("operator").export()["state"] == []

    def test_one_memory_is_not_for_other_tokens(self, backend: Backend) -> None:
        with serving(bound(backend.user("ana"), auth=TOKENS).http_app()) as url:
            assert asked(StreamableHttpTransport(f"{url}/mcp", auth="anas"), "count") == 1
            for token in ("bobs", "service"):
                with pytest.raises(ToolError, match="acts for one user only"):
                    asked(StreamableHttpTransport(f"{url}/mcp", auth=token), "count")

    def test_without_tokens_nobody_calls(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MEMWELD_USER_ID", "operator")
        for source in (backend, backend.user("ana")):
            with serving(bound(source).http_app()) as url, pytest.raises(ToolError, match="verified token"):
                asked(f"{url}/mcp", "count")
        assert backend.user("operator").export()["state"] == []


class TestTheExample:
    def test_as_a_script(self, capsys: pytest.CaptureFixture[str]) -> None:
        runpy.run_path(str(EXAMPLE), run_name="__main__")
        lines = capsys.readouterr().out.splitlines()
        calls = [(line[:20].strip(), line[20:55].strip(), line[55:].strip()) for line in lines[1:8]]
        assert [with_memory for _, _, with_memory in calls[:6]] == [
            "Mushroom risotto",
            "Lentil dal",
            "Beef Wellington",
            "read 1 of 3: Handbook of Heating",
            "read 2 of 3: Field study",
            "read 3 of 3: Price list",
        ]
        assert calls[6][2].startswith("done: heat pumps move")
        assert {without for call, without, _ in calls if call.endswith("dish")} == {"Beef Wellington"}
        assert {without for call, without, _ in calls if call.endswith("research")} == {
            "read 1 of 3: Handbook of Heating"
        }
        assert lines[-1].endswith("the pump pays for itself in nine years")

    def test_over_stdio(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'evenings.db'}"
        with connect(url) as backend:
            backend.user("ana").preferences.set("diet", "fish")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MEMWELD_")}

        def transport(**user: str) -> StdioTransport:
            environment = {**kept, "MEMWELD_URL": url, **user}
            return StdioTransport(sys.executable, [str(EXAMPLE), "serve"], env=environment, keep_alive=False)

        assert asked(transport(MEMWELD_USER_ID="ana"), "recommend_dish") == "Sole meunière"
        with pytest.raises(ToolError, match="MEMWELD_USER_ID"):
            asked(transport(), "recommend_dish")
        with connect(url) as backend:
            assert backend.user("ana").state("recommend_dish")["recommended"] == ["Sole meunière"]
