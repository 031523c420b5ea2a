"""Tokens that only read, servers with few tools, and who may use a server as a backend: on MCP and on REST."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar, cast

import anyio
import httpx
import pytest
from fastmcp import Client, FastMCP
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.server.auth import StaticTokenVerifier
from mcp.shared.exceptions import McpError

import memweld
from memweld import AccessDeniedError, Backend, ConfigurationError, Memory
from memweld.engine.operations import OPERATIONS
from memweld.mcp import (
    ANY_USER_SCOPE,
    ENGINE_SCOPE,
    READ_SCOPE,
    WRITE_SCOPE,
    create_app,
    create_server,
    current_memory,
    use_backend,
)
from memweld.testing.serving import serving
from memweld.tools import TOOLS, TOOLSETS

T = TypeVar("T")

TOKENS = {
    "plain": [],
    "reader": [READ_SCOPE],
    "both": [READ_SCOPE, WRITE_SCOPE],
    "analyst": [READ_SCOPE, ANY_USER_SCOPE],
    "program": [ENGINE_SCOPE],
    "reading-program": [ENGINE_SCOPE, READ_SCOPE],
}


@pytest.fixture
def backend() -> Iterator[Backend]:
    with memweld.connect("sqlite://") as backend:
        backend.user("ana").add("Ana keeps bees")
        backend.user("ana").state("trip")["plan"] = "by train"
        yield backend


def application(backend: Backend, **options: Any) -> Any:
    tokens = {name: {"client_id": name, "sub": "ana", "scopes": scopes} for name, scopes in TOKENS.items()}
    return create_app(backend, auth=StaticTokenVerifier(tokens), stateless=True, **options)


def use(app: Any, token: str, work: Callable[[Client[Any]], Awaitable[T]]) -> T:
    """Work with a client over HTTP."""

    def http(**arguments: Any) -> httpx.AsyncClient:
        arguments.pop("follow_redirects", None)
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), **arguments)

    async def run() -> T:
        transport = StreamableHttpTransport("http://127.0.0.1/mcp", auth=token, httpx_client_factory=cast("Any", http))
        async with app.lifespan(app), Client(transport) as client:
            return await work(client)

    return anyio.run(run)


async def error_of(client: Client[Any], tool: str, **arguments: Any) -> str:
    with pytest.raises(McpError) as caught:
        await client.call_tool(tool, arguments)
    data: Any = caught.value.error.data
    return str(data["type"])


def rest(app: Any, token: str, *requests: tuple[str, str]) -> list[int]:
    async def run() -> list[int]:
        transport = httpx.ASGITransport(app)
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            return [(await client.request(method, path, json={"value": 1})).status_code for method, path in requests]

    return anyio.run(run)


KEY, NAMESPACE = "/memory/trip/plan", "/memory/trip"


class TestReading:
    def test_a_reader_sees_and_calls_tools_that_read(self, backend: Backend) -> None:
        app = application(backend, toolsets=TOOLSETS)

        async def reads(client: Client[Any]) -> None:
            listed = {tool.name for tool in await client.list_tools()}
            assert listed == {name for name, tool in TOOLS.items() if tool.read_only}
            assert "bees" in str(await client.call_tool("search_memories", {"query": "bees"}))
            for name, tool in TOOLS.items():
                if not tool.read_only:
                    assert await error_of(client, name, **tool.example) == "AccessDeniedError", name

        use(app, "reader", reads)
        assert [item.text for item in backend.user("ana").all()] == ["Ana keeps bees"]
        assert backend.user("ana").counts() == {**backend.user("ana").counts(), "items": 1, "values": 1}

    @pytest.mark.parametrize("token", ["plain", "both"])
    def test_a_token_with_neither_scope_or_both_writes(self, backend: Backend, token: str) -> None:
        async def writes(client: Client[Any]) -> None:
            assert {tool.name for tool in await client.list_tools()} == set(TOOLS)
            await client.call_tool("set_preference", {"key": "theme", "value": "dark"})

        use(application(backend, toolsets=TOOLSETS), token, writes)
        assert backend.user("ana").preferences.get("theme") == "dark"

    def test_a_reader_of_any_user_writes_to_none(self, backend: Backend) -> None:
        async def tries(client: Client[Any]) -> None:
            await client.call_tool("get_all_memories", {"user_id": "bob"})
            assert await error_of(client, "delete_all_memories", user_id="bob") == "AccessDeniedError"

        use(application(backend), "analyst", tries)

    def test_rest(self, backend: Backend) -> None:
        requests = [("GET", KEY), ("GET", NAMESPACE), ("PUT", KEY), ("DELETE", KEY), ("PUT", "/users/ana" + KEY)]
        assert rest(application(backend), "reader", *requests) == [200, 200, 403, 403, 403]
        assert backend.user("ana").state("trip")["plan"] == "by train"
        assert rest(application(backend), "plain", *requests) == [200, 200, 200, 200, 200]

    def test_tools_of_your_own_get_a_memory_that_reads(self, backend: Backend) -> None:
        elsewhere = memweld.connect("sqlite://")
        server: FastMCP[Any] = FastMCP(
            "own", auth=StaticTokenVerifier({"reader": {"client_id": "c", "sub": "ana", "scopes": [READ_SCOPE]}})
        )
        use_backend(server, backend)

        @server.tool
        def note(text: str, memory: Memory = current_memory()) -> int:
            memory.add(text)
            return 1

        @server.tool
        def note_elsewhere(text: str, memory: Memory = current_memory(elsewhere)) -> int:
            memory.add(text)
            return 1

        @server.tool
        def count(memory: Memory = current_memory()) -> int:
            return len(memory.all())

        async def tries(client: Client[Any]) -> None:
            assert (await client.call_tool("count", {})).data == 1
            for tool in ("note", "note_elsewhere"):
                answer = await client.call_tool_mcp(tool, {"text": "planted"})
                assert answer.isError

        use(server.http_app(stateless_http=True), "reader", tries)
        assert len(backend.user("ana").all()) == 1
        assert elsewhere.user("ana").all() == []
        elsewhere.close()

    def test_operations_of_a_backend(self, backend: Backend) -> None:
        with serving(application(backend)) as url, memweld.connect(url, token="reading-program") as remote:
            ana = remote.user("ana")
            assert [hit.text for hit in ana.search("bees")] == ["Ana keeps bees"]
            assert ana.export()["items"]
            for write in (
                lambda: ana.add("planted"),
                lambda: ana.preferences.set("a", "b"),
                lambda: ana.state("trip").set("plan", 1),
                lambda: ana.history("s").append("planted"),
                ana.clear,
                ana.erase,
            ):
                with pytest.raises(AccessDeniedError, match=WRITE_SCOPE):
                    write()
        assert backend.user("ana").counts()["items"] == 1

    def test_every_operation_says_whether_it_reads(self) -> None:
        reads = (
            "get",
            "search",
            "list",
            "read",
            "scan",
            "find",
            "count_stored",
            "export",
            "related",
            "settle",
            "item_versions",
            "plan_consolidation",
        )
        for name, operation in OPERATIONS.items():
            assert operation.read_only is name.startswith(reads), name
            assert not (operation.read_only and (operation.changes_items or operation.overwrites))


class TestEngineTools:
    def test_a_token_needs_the_scope(self, backend: Backend) -> None:
        app = application(backend)
        unknown = use(app, "plain", lambda client: error_of(client, "engine_info"))
        assert unknown == use(app, "plain", lambda client: error_of(client, "no_such_tool")) == "ToolNotFoundError"
        with serving(app) as url:
            with memweld.connect(url, token="program") as remote:
                assert len(remote.user("ana").all()) == 1
            for token in ("plain", "reader", "both"):
                with memweld.connect(url, token=token) as remote, pytest.raises(ConfigurationError, match=ENGINE_SCOPE):
                    remote.user("ana").all()

    def test_without_tokens_a_program_of_this_machine_asks(self, backend: Backend) -> None:
        app = create_app(backend, stateless=True)

        async def calls(client: Client[Any]) -> None:
            assert await error_of(client, "engine_export", user_id="ana") == "ToolNotFoundError"

        use(app, "", calls)
        with serving(create_app(backend)) as url, memweld.connect(url) as remote:
            assert len(remote.user("ana").all()) == 1

    def test_the_operator_decides(self, backend: Backend) -> None:
        async def works(client: Client[Any]) -> None:
            await client.call_tool("engine_info", {})

        async def fails(client: Client[Any]) -> None:
            assert await error_of(client, "engine_info") == "ToolNotFoundError"

        use(application(backend, engine_tools=True), "plain", works)
        use(application(backend, engine_tools=False), "program", fails)
        use(application(backend, toolsets=["memory"]), "program", fails)
        use(application(backend, toolsets=["memory"], engine_tools=True), "program", works)

    def test_stdio_and_this_process(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        async def calls() -> None:
            async with Client(create_server(backend)) as client:
                assert await error_of(client, "engine_info") == "ToolNotFoundError"
            monkeypatch.setenv("MEMWELD_ENGINE_TOOLS", "1")  # As connect() sets it for a server that it starts.
            async with Client(create_server(backend)) as client:
                await client.call_tool("engine_info", {})

        anyio.run(calls)


class TestToolsets:
    def test_a_tool_outside_is_unknown_on_every_way(self, backend: Backend) -> None:
        async def calls(client: Client[Any]) -> None:
            assert [tool.name for tool in await client.list_tools()] == ["get_preferences", "set_preference"]
            for name in ("add_memory", "get_state", "clear_messages", "engine_search"):
                assert await error_of(client, name) == "ToolNotFoundError"

        app = application(backend, toolsets=["preferences"])
        use(app, "plain", calls)
        assert (
            rest(app, "plain", ("GET", KEY), ("PUT", KEY), ("GET", NAMESPACE), ("DELETE", "/users/ana" + KEY))
            == [404] * 4
        )
        assert backend.user("ana").state("trip")["plan"] == "by train"

    def test_the_key_value_api_has_the_methods_of_the_tools(self, backend: Backend) -> None:
        ways = [("GET", KEY), ("GET", NAMESPACE), ("PUT", KEY), ("HEAD", KEY), ("DELETE", KEY)]
        assert rest(application(backend), "plain", *ways) == [200] * 5
        assert rest(application(backend, toolsets=["state"]), "plain", *ways) == [404, 200, 200, 200, 200]
        assert rest(application(backend, toolsets=["set_state"]), "plain", *ways) == [405, 404, 200, 405, 405]
        assert rest(application(backend, toolsets=["get_state"]), "plain", *ways) == [200, 404, 405, 200, 405]
