"""The MCP server through a real client in memory: the suite, the contract, identities and errors."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import anyio
import anyio.to_thread
import httpx
import mcp.types as mt
import pytest
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError
from mcp.shared.exceptions import McpError
from mcp.types import CallToolResult, ErrorData, Tool
from mcp_servers import said, text_of
from pydantic import AnyUrl

from memweld import Backend, ConfigurationError, InvalidInputError, Memory, MemoryNotFoundError, connect
from memweld.engine.operations import AddItems, Operation, ReadProfile
from memweld.mcp import create_app, create_server
from memweld.scope import Scope
from memweld.testing import AdapterSuite, HashEmbedder, Mode, ScriptedExtractor, ToolDriver, ToolReply, facts
from memweld.tools import TOOLS, select_tools

T = TypeVar("T")
WITH_IDENTITY = {
    "add_memory",
    "search_memories",
    "get_all_memories",
    "delete_all_memories",
    "get_preferences",
    "set_preference",
    "get_task_context",
    "record_task_outcome",
}


def with_client(server: Any, use: Callable[[Client[Any]], Awaitable[T]]) -> T:
    """Open one session with the server and use it."""

    async def run() -> T:
        async with Client(server) as client:
            return await use(client)

    return anyio.run(run)


def call(server: Any, name: str, **arguments: Any) -> CallToolResult:
    """One call in a session of its own."""
    return with_client(server, lambda client: client.call_tool_mcp(name, arguments))


def refused(server: Any, name: str, **arguments: Any) -> ErrorData:
    """The JSON-RPC error that a call in a session of its own is answered with."""
    with pytest.raises(McpError) as caught:
        call(server, name, **arguments)
    return caught.value.error


class McpDriver(ToolDriver):
    modes: tuple[Mode, ...] = ("async",)

    def tool_schemas(self, memory: Memory, tools: Sequence[str] | None = None) -> Mapping[str, Mapping[str, Any]]:
        listed = with_client(create_server(memory, toolsets=tools), lambda client: client.list_tools())
        return {tool.name: {"description": tool.description, "parameters": tool.inputSchema} for tool in listed}

    def call_tool(self, memory: Memory, name: str, arguments: Mapping[str, Any], mode: Mode) -> ToolReply:
        return self._reply(create_server(memory), name, arguments)

    def call_tool_as(self, backend: Backend, user_id: str | None, name: str, arguments: Mapping[str, Any]) -> ToolReply:
        named = {} if user_id is None else {"user_id": user_id}
        return self._reply(create_server(backend), name, {**arguments, **named})

    def _reply(self, server: Any, name: str, arguments: Mapping[str, Any]) -> ToolReply:
        try:
            result = call(server, name, **arguments)
        except McpError as error:
            data: Any = error.error.data
            return ToolReply(f"{error.error.message}: {data['details']}", True)
        return ToolReply(text_of(result), bool(result.isError))


class TestMcp(AdapterSuite):
    driver: ClassVar[Any] = McpDriver()


def listed(server: Any) -> dict[str, Tool]:
    return {tool.name: tool for tool in with_client(server, lambda client: client.list_tools())}


class TestContract:
    def test_the_seven_answers(self, backend: Backend) -> None:
        async def use(client: Client[Any]) -> None:
            who = {"user_id": "user_123"}

            async def answer(name: str, **arguments: Any) -> tuple[str, dict[str, Any]]:
                result = await client.call_tool_mcp(name, arguments)
                assert not result.isError
                assert result.structuredContent is not None
                return text_of(result), result.structuredContent

            added = await answer("add_memory", **said("User loves Python programming"), **who, metadata={"from": "a"})
            assert added[0] == "Added 1 memories for user user_123"
            (stored,) = added[1]["memories"]
            assert stored["metadata"] == {"from": "a"}
            found = await answer("search_memories", query="Python programming", limit=5, **who)
            score = found[1]["memories"][0]["score"]
            assert found[0] == (
                f"Found 1 memories:\n1. ID: {stored['id']} - User loves Python programming (score: {score:.2f})"
                f" [{stored['created_at'][:16].replace('T', ' ')}]"
            )
            assert await answer("get_memory", memory_id=stored["id"]) == (
                f"Memory: User loves Python programming\nCreated: {stored['created_at']}\nUser: user_123",
                {"memory": stored},
            )
            assert await answer("update_memory", memory_id=stored["id"], data="User loves Rust") == (
                f"Memory {stored['id']} updated successfully",
                {"memory": backend_item(backend, stored["id"])},
            )
            listed = (await answer("get_all_memories", **who))[0]
            assert listed.startswith(f"Found 1 memories for user user_123:\n1. ID: {stored['id']} - User loves Rust [")
            assert await answer("delete_memory", memory_id=stored["id"]) == (
                f"Memory {stored['id']} deleted successfully from the vector store",
                {"deleted": stored["id"]},
            )
            await answer("add_memory", **said("one"), **who)
            await answer("add_memory", **said("two"), **who)
            assert await answer("delete_all_memories", **who) == (
                "Deleted 2 memories for user user_123",
                {"deleted": 2},
            )

        with_client(create_server(backend), use)

    def test_an_agent_has_a_memory_of_its_own(self, backend: Backend) -> None:
        server = create_server(backend)
        assert text_of(call(server, "add_memory", **said("be brief"), agent_id="writer")) == (
            "Added 1 memories for agent writer"
        )
        assert [item.text for item in backend.agent("writer").all()] == ["be brief"]
        call(server, "add_memory", **said("Ana likes tables"), user_id="ana", agent_id="writer")
        assert [item.agent_id for item in backend.user("ana").all()] == ["writer"]
        assert "be brief" not in text_of(call(server, "get_all_memories", user_id="ana"))

    def test_every_schema_has_the_identities_where_there_is_a_choice(self, backend: Backend) -> None:
        tools = listed(create_server(backend))
        assert set(tools) == {tool.name for tool in select_tools()}
        for name, tool in tools.items():
            properties = set(tool.inputSchema.get("properties", {}))
            assert properties == {*TOOLS[name].arguments.model_fields, "user_id", "agent_id"}
            assert "user_id" not in tool.inputSchema.get("required", [])
        assert tools["add_memory"].inputSchema["required"] == ["messages"]
        assert tools["search_memories"].inputSchema["properties"]["limit"]["default"] == 10
        assert tools["search_memories"].inputSchema["properties"]["limit"]["maximum"] == 50

    def test_schemas_are_lean_and_annotated(self, backend: Backend) -> None:
        for name, tool in listed(create_server(backend)).items():
            assert tool.outputSchema is None
            assert "'title'" not in str(tool.inputSchema)
            assert "$ref" not in str(tool.inputSchema)
            assert tool.annotations is not None
            assert tool.annotations.readOnlyHint is TOOLS[name].read_only
            assert tool.annotations.destructiveHint is TOOLS[name].destructive
            assert tool.annotations.idempotentHint is True

    def test_toolsets_choose(self, backend: Backend) -> None:
        assert set(listed(create_server(backend, toolsets=["tasks", "add_memory"]))) == {
            "get_task_context",
            "record_task_outcome",
            "add_memory",
        }
        with pytest.raises(InvalidInputError, match="no toolset"):
            create_server(backend, toolsets=["everything"])

    def test_a_limit_above_fifty_is_refused(self, backend: Backend) -> None:
        error = refused(create_server(backend), "search_memories", query="x", user_id="ana", limit=51)
        assert error.code == -32602

    def test_null_means_not_given(self, backend: Backend) -> None:
        call(create_server(backend, user_id="ana"), "add_memory", **said("hello"), user_id=None, metadata=None)
        assert len(backend.user("ana").all()) == 1


def backend_item(backend: Backend, memory_id: str) -> dict[str, Any]:
    from memweld.tools import item_data

    return item_data(backend.user("user_123").get(memory_id))


class TestWhoseMemory:
    @pytest.mark.parametrize("name", sorted(WITH_IDENTITY))
    def test_nobody_named_is_refused(self, backend: Backend, name: str) -> None:
        needed: dict[str, dict[str, Any]] = {
            "add_memory": said("x"),
            "search_memories": {"query": "x"},
            "set_preference": {"key": "k", "value": 1},
            "get_task_context": {"task_id": "t"},
            "record_task_outcome": {"task_id": "t", "outcome": "o"},
        }
        error = refused(create_server(backend), name, **needed.get(name, {}))
        assert error.code == -32602
        assert error.data is not None
        assert error.data["type"] == "InvalidInputError"
        assert "no default user" in error.data["details"]

    def test_the_default_user_is_meant_where_nobody_is_named(self, backend: Backend) -> None:
        server = create_server(backend, user_id="ana")
        call(server, "add_memory", **said("I am Ana"))
        call(server, "add_memory", **said("I am Bob"), user_id="bob")
        assert [item.text for item in backend.user("ana").all()] == ["I am Ana"]
        assert [item.text for item in backend.user("bob").all()] == ["I am Bob"]

    def test_a_locked_server_knows_one_user(self, backend: Backend) -> None:
        bobs = backend.user("bob").add("Bob's safe opens with 4711")[0].id
        server = create_server(backend, user_id="ana", lock_user=True)
        for name, arguments in (
            ("add_memory", said("spoofed")),
            ("search_memories", {"query": "safe"}),
            ("get_all_memories", {}),
            ("delete_all_memories", {}),
            ("get_preferences", {}),
            ("get_memory", {"memory_id": bobs}),
            ("delete_memory", {"memory_id": bobs}),
        ):
            error = refused(server, name, **arguments, user_id="bob")
            assert (error.code, error.message) == (-32603, "Internal error: Access denied")
            assert error.data is not None
            assert error.data["type"] == "AccessDeniedError"
        assert refused(server, "get_memory", memory_id=bobs).message == "Internal error: Memory not found"
        assert [item.text for item in backend.user("bob").all()] == ["Bob's safe opens with 4711"]

    def test_a_locked_server_takes_its_own_user_and_any_agent(self, backend: Backend) -> None:
        server = create_server(backend, user_id="caf\u00e9", lock_user=True)
        call(server, "add_memory", **said("decomposed"), user_id="cafe\u0301")
        call(server, "add_memory", **said("kept by the writer"), agent_id="writer")
        assert [item.agent_id for item in backend.user("café").all()] == [None, "writer"]
        assert all("user_id" not in str(tool.inputSchema) for tool in listed(server).values())

    def test_a_lock_needs_a_user(self, backend: Backend) -> None:
        with pytest.raises(ConfigurationError, match="give user_id"):
            create_server(backend, lock_user=True)

    def test_a_memory_is_served_alone(self, backend: Backend) -> None:
        server = create_server(backend.user("ana", agent_id="writer"))
        call(server, "add_memory", **said("mine"), user_id="ana", agent_id="writer")
        for other in ({"user_id": "bob"}, {"agent_id": "reader"}, {"user_id": "bob", "agent_id": "writer"}):
            data = refused(server, "get_all_memories", **other).data
            assert data is not None
            assert data["type"] == "AccessDeniedError"
        whole = create_server(backend.user("ana"))
        assert refused(whole, "get_all_memories", agent_id="writer").code == -32603
        agents = create_server(backend.agent("writer"))
        assert refused(agents, "get_all_memories", user_id="ana").code == -32603
        with pytest.raises(InvalidInputError, match="another user"):
            create_server(backend.user("ana"), user_id="bob")

    @pytest.mark.parametrize("user_id", ["", "  ", "*", "a\u200bb", 7, ["ana"], "x" * 300])
    def test_an_unusable_id_is_refused(self, backend: Backend, user_id: Any) -> None:
        assert refused(create_server(backend, user_id="ana"), "get_all_memories", user_id=user_id).code == -32602


class TestMemoriesById:
    """get, update and delete have no user in the contract."""

    def test_a_session_reaches_whom_it_has_named(self, backend: Backend) -> None:
        anas, bobs = backend.user("ana").add("Ana's")[0].id, backend.user("bob").add("Bob's")[0].id
        carls = backend.user("carl").add("Carl's")[0].id

        async def use(client: Client[Any]) -> None:
            async def reads(memory_id: str) -> bool:
                try:
                    await client.call_tool_mcp("get_memory", {"memory_id": memory_id})
                except McpError as error:
                    data: Any = error.error.data
                    return data != {
                        "type": "MemoryNotFoundError",
                        "details": f"No memory exists with ID {memory_id}",
                    }
                return True

            assert [await reads(each) for each in (anas, bobs, carls)] == [False, False, False]
            await client.call_tool_mcp("search_memories", {"query": "x", "user_id": "ana"})
            assert [await reads(each) for each in (anas, bobs, carls)] == [True, False, False]
            await client.call_tool_mcp("get_all_memories", {"user_id": "bob"})
            assert [await reads(each) for each in (anas, bobs, carls)] == [True, True, False]
            await client.call_tool_mcp("delete_memory", {"memory_id": anas})
            await client.call_tool_mcp("update_memory", {"memory_id": bobs, "data": "Bob's own"})

        server = create_server(backend)
        with_client(server, use)
        assert backend.user("ana").all() == []
        assert backend.user("bob").get(bobs).text == "Bob's own"
        # Another session of the same server has named nobody.
        assert refused(server, "get_memory", memory_id=bobs).message == "Internal error: Memory not found"

    def test_only_the_scope_that_was_named(self, backend: Backend) -> None:
        kept = backend.user("ana").add("not the writer's")[0].id

        async def use(client: Client[Any]) -> None:
            await client.call_tool_mcp("get_all_memories", {"user_id": "ana", "agent_id": "writer"})
            with pytest.raises(McpError):
                await client.call_tool_mcp("get_memory", {"memory_id": kept})

        with_client(create_server(backend), use)

    def test_a_call_may_say_whose_it_is(self, backend: Backend) -> None:
        anas = backend.user("ana").add("Ana's")[0].id
        server = create_server(backend, user_id="ana")
        assert text_of(call(server, "get_memory", memory_id=anas, user_id="ana")).startswith("Memory: Ana's")
        assert refused(server, "get_memory", memory_id=anas, user_id="bob").code == -32603

    def test_a_client_with_a_session_for_each_call(self, backend: Backend) -> None:
        """It sees the argument in the schemas, and passes it with every call."""
        server = create_server(backend)
        assert "user_id" in listed(server)["get_memory"].inputSchema["properties"]
        who = {"user_id": "ana", "agent_id": None}
        added = call(server, "add_memory", **said("I keep bees"), **who).structuredContent
        assert added is not None
        memory_id = added["memories"][0]["id"]
        assert "I keep bees" in text_of(call(server, "get_memory", memory_id=memory_id, **who))
        call(server, "update_memory", memory_id=memory_id, data="I kept bees", metadata={"edited": True}, **who)
        assert backend.user("ana").get(memory_id).metadata == {"edited": True}
        assert refused(server, "delete_memory", memory_id=memory_id, user_id="bob").message.endswith("not found")
        call(server, "delete_memory", memory_id=memory_id, **who)
        assert backend.user("ana").all() == []

    def test_the_default_user_is_looked_at(self, backend: Backend) -> None:
        anas, bobs = backend.user("ana").add("Ana's")[0].id, backend.user("bob").add("Bob's")[0].id
        server = create_server(backend, user_id="ana")
        assert text_of(call(server, "get_memory", memory_id=anas)).startswith("Memory: Ana's")
        assert refused(server, "delete_memory", memory_id=bobs).code == -32603

    def test_arguments_are_checked_before_anybody_is_looked_at(self, backend: Backend) -> None:
        assert refused(create_server(backend), "update_memory", memory_id="x").code == -32602
        assert refused(create_server(backend), "get_memory").code == -32602

    def test_a_session_forgets_whom_it_named_longest_ago(
        self, backend: Backend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("memweld.mcp.access.MAX_SESSION_SCOPES", 2)
        anas = backend.user("ana").add("Ana's")[0].id

        async def use(client: Client[Any]) -> None:
            for name in ("ana", "bob", "carl"):
                await client.call_tool_mcp("get_all_memories", {"user_id": name})
            with pytest.raises(McpError):
                await client.call_tool_mcp("get_memory", {"memory_id": anas})

        with_client(create_server(backend), use)


NOT_FOUND = {
    "code": -32603,
    "message": "Internal error: Memory not found",
    "data": {"type": "MemoryNotFoundError", "details": "No memory exists with ID mem_xyz789"},
}


class TestErrors:
    def test_the_error_of_the_contract(self, backend: Backend) -> None:
        error = refused(create_server(backend, user_id="ana"), "get_memory", memory_id="mem_xyz789")
        assert error.model_dump(exclude_none=True) == NOT_FOUND

    def test_the_same_object_as_a_result(self, backend: Backend) -> None:
        result = call(create_server(backend, user_id="ana", errors="tool"), "get_memory", memory_id="mem_xyz789")
        assert result.isError
        assert result.structuredContent == NOT_FOUND
        assert "No memory exists with ID mem_xyz789" in text_of(result)

    def test_an_unknown_tool(self, backend: Backend) -> None:
        error = refused(create_server(backend), "remember_everything")
        assert error.code == -32601
        assert error.data == {"type": "ToolNotFoundError", "details": "There is no tool remember_everything"}
        assert call(create_server(backend, errors="tool"), "nope").isError

    def test_arguments_that_clients_add_are_ignored(self, backend: Backend) -> None:
        """n8n's agents add these to each call; a user who is not allowed stays refused."""
        added = {"toolCallId": "call_1", "sessionId": "s", "action": "sendMessage", "chatInput": "Hi", "tool": "x"}
        server = create_server(backend, user_id="ana", lock_user=True)
        call(server, "add_memory", **said("I keep bees"), **added)
        assert "I keep bees" in text_of(call(server, "search_memories", query="bees", **added))
        assert refused(server, "get_all_memories", user_id="bob", **added).message == "Internal error: Access denied"

    def test_unknown_arguments_are_refused(self, backend: Backend) -> None:
        error = refused(create_server(backend, user_id="ana"), "get_memory", memory_id="x", colour="red")
        assert error.code == -32602
        assert "colour" in error.message

    def test_a_store_that_is_gone(self, backend: Backend) -> None:
        server = create_server(backend, user_id="ana")
        backend.close()
        error = refused(server, "get_all_memories")
        assert (error.code, error.message) == (-32603, "Internal error: Backend unavailable")

    @pytest.mark.parametrize(
        "url", ["postgresql://dbadmin@127.0.0.1:1/crm_production", "sqlite:////proc/x/customers.db"]
    )
    def test_clients_are_told_no_address(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        """The text of an outage names files, hosts and roles: it goes to the log."""
        with connect(url) as backend:
            error = refused(create_server(backend, user_id="ana"), "get_preferences")
            assert error.data is not None
            assert error.data["type"] == "BackendUnavailableError"

            async def get() -> str:
                transport = httpx.ASGITransport(create_app(backend, user_id="ana"))
                async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                    return (await client.get("/memory/n")).text

            for told in (error.model_dump_json(), anyio.run(get)):
                assert not any(secret in told for secret in ("dbadmin", "127.0.0.1", "crm", "/proc", "customers"))
        assert "crm_production" in caplog.text or "customers.db" in caplog.text

    def test_tools_of_others_are_translated_too(self, backend: Backend) -> None:
        server = create_server(backend)

        @server.tool
        def strange() -> str:
            raise ZeroDivisionError("the password is 4711")

        @server.tool
        def forgetful(memory_id: int) -> str:
            raise MemoryNotFoundError(str(memory_id))

        @server.tool
        def frank() -> str:
            raise ToolError("Try again tomorrow")

        hidden = refused(server, "strange")
        assert (hidden.code, hidden.message) == (-32603, "Internal error")
        assert hidden.data is not None
        assert hidden.data["type"] == "ZeroDivisionError"
        assert "4711" not in str(hidden)
        assert refused(server, "forgetful", memory_id=7).message == "Internal error: Memory not found"
        assert refused(server, "forgetful", memory_id="seven").code == -32602
        told = refused(server, "frank").data
        assert told is not None
        assert told["details"] == "Try again tomorrow"

    def test_a_mounted_server_answers_the_same(self, backend: Backend) -> None:
        outer: FastMCP[Any] = FastMCP("outer")
        outer.mount(create_server(backend, user_id="ana"))
        error = refused(outer, "get_memory", memory_id="mem_xyz789")
        assert error.model_dump(exclude_none=True) == NOT_FOUND
        assert text_of(call(outer, "add_memory", **said("x"))) == "Added 1 memories for user ana"

    def test_an_unknown_way_to_answer(self, backend: Backend) -> None:
        with pytest.raises(InvalidInputError, match="jsonrpc or tool"):
            create_server(backend, errors="loud")  # pyright: ignore[reportArgumentType]


class TestConcurrency:
    def test_many_users_in_one_session(self, backend: Backend) -> None:
        users = [f"user-{number}" for number in range(12)]
        answers: dict[str, str] = {}

        async def use(client: Client[Any]) -> None:
            async def live(user_id: str) -> None:
                for number in range(3):
                    await client.call_tool_mcp(
                        "add_memory", {**said(f"secret {number} of {user_id}."), "user_id": user_id}
                    )
                found = await client.call_tool_mcp("search_memories", {"query": "secret", "user_id": user_id})
                answers[user_id] = text_of(found)

            async with anyio.create_task_group() as group:
                for user_id in users:
                    group.start_soon(live, user_id)

        with_client(create_server(backend), use)
        for user_id in users:
            assert answers[user_id].startswith("Found 3 memories")
            assert answers[user_id].count(f"of {user_id}.") == 3

    def test_a_slow_memory_does_not_stop_the_server(self, tmp_path: Path) -> None:
        ponged = threading.Event()
        waited: list[bool] = []

        class SlowEmbedder(HashEmbedder):
            def embed_query(self, text: str) -> list[float]:
                waited.append(ponged.wait(timeout=30))
                return super().embed_query(text)

        async def use(client: Client[Any]) -> None:
            await client.call_tool_mcp("get_all_memories", {})
            async with anyio.create_task_group() as group:
                group.start_soon(client.call_tool_mcp, "add_memory", said("slowly"))
                await anyio.sleep(0.1)
                await client.ping()
                ponged.set()

        with connect(f"sqlite:///{tmp_path / 'slow.db'}", embedder=SlowEmbedder()) as backend:
            with_client(create_server(backend, user_id="ana"), use)
            assert len(backend.user("ana").all()) == 1
        assert all(waited), "the ping was answered while the memory was at work"

    @pytest.mark.parametrize("cancelled", ["tool", "resource", "function"])
    def test_a_client_that_cancels_a_call_goes_on(self, backend: Backend, cancelled: str) -> None:
        """In mcp 1.30 an answer to a cancelled request ends the session, with all its other calls."""
        begun, ending = threading.Event(), threading.Event()
        plain = backend._engine.run

        def run(scope: Scope, operation: Operation[Any]) -> Any:
            if isinstance(operation, (AddItems, ReadProfile)):
                hold()
            return plain(scope, operation)

        server = create_server(backend, user_id="ana")

        @server.tool
        def hold() -> str:
            begun.set()
            assert ending.wait(60)
            return "held"

        requests: dict[str, Any] = {
            "tool": mt.CallToolRequest(
                params=mt.CallToolRequestParams(name="add_memory", arguments=said("I like tea"))
            ),
            "resource": mt.ReadResourceRequest(params=mt.ReadResourceRequestParams(uri=AnyUrl("memory://profile"))),
            "function": mt.CallToolRequest(params=mt.CallToolRequestParams(name="hold", arguments={})),
        }

        async def use(client: Client[Any]) -> None:
            session = client.session
            request_id = session._request_id

            async def ask() -> None:
                with pytest.raises(McpError, match="Request cancelled"):
                    await session.send_request(mt.ClientRequest(requests[cancelled]), mt.EmptyResult)

            async with anyio.create_task_group() as group:
                group.start_soon(ask)
                await anyio.to_thread.run_sync(begun.wait, 60)
                note = mt.CancelledNotification(params=mt.CancelledNotificationParams(requestId=request_id))
                await session.send_notification(mt.ClientNotification(note))
                await client.ping()
                ending.set()
            for _ in range(20):
                assert not (await client.call_tool_mcp("get_all_memories", {})).isError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(backend._engine, "run", run)
            with_client(server, use)

    def test_slow_adds_hold_up_neither_searches_nor_the_key_value_api(self) -> None:
        answered = threading.Event()
        extractor = ScriptedExtractor([lambda _: facts("A fact") if answered.wait(timeout=60) else ""])

        async def use(client: Client[Any], http: httpx.AsyncClient) -> None:
            async with anyio.create_task_group() as group:
                # More than anyio's default threads, which tools and routes would otherwise share.
                for number in range(45):
                    group.start_soon(client.call_tool_mcp, "add_memory", said(f"fact {number}"))
                while not extractor.prompts:
                    await anyio.sleep(0.02)
                await anyio.sleep(0.3)
                with anyio.fail_after(20):
                    await client.call_tool_mcp("search_memories", {"query": "fact"})
                    await http.put("/memory/notes/today", json={"value": 1})
                    assert (await http.get("/memory/notes/today")).json()["value"] == 1
                assert not answered.is_set()
                answered.set()

        async def run(backend: Backend) -> None:
            server = create_server(backend, user_id="ana")
            app = server.http_app()
            transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
            async with (
                Client(server) as client,
                httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
            ):
                await use(client, http)

        with connect("sqlite://", embedder=HashEmbedder(), llm=extractor) as backend:
            anyio.run(run, backend)
