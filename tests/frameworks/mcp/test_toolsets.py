"""The toolsets that have to be chosen, state and history: their answers, their memory, their schemas over MCP."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from fastmcp import Client
from mcp.shared.exceptions import McpError

from memweld import Backend, ChatMessage, InvalidInputError, Memory, ToolCall
from memweld.mcp import create_server
from memweld.tools import DEFAULT_TOOLSETS, TOOLS, TOOLSETS, Answer, select_tools

STATE = {"set_state", "get_state", "delete_state", "list_state_keys"}
HISTORY = {"add_messages", "get_messages", "clear_messages"}


def run(memory: Memory, tool: str, /, **arguments: Any) -> Answer:
    return TOOLS[tool](memory, arguments)


class TestSelection:
    def test_the_default_leaves_them_out(self) -> None:
        default = {tool.name for tool in select_tools()}
        assert default == {tool.name for tool in TOOLS.values() if tool.toolset in DEFAULT_TOOLSETS}
        assert default == set(TOOLS) - STATE - HISTORY

    def test_they_can_be_chosen(self) -> None:
        assert {tool.name for tool in select_tools(["state"])} == STATE
        assert {tool.name for tool in select_tools(["history"])} == HISTORY
        assert {tool.name for tool in select_tools(["history", "get_state"])} == HISTORY | {"get_state"}
        assert {tool.name for tool in select_tools(TOOLSETS)} == set(TOOLS)
        assert select_tools([]) == []

    def test_a_word_is_no_list_of_words(self) -> None:
        with pytest.raises(InvalidInputError, match=r"Pass \['preferences'\]"):
            select_tools("preferences")

    def test_every_description_says_something_of_its_own(self) -> None:
        descriptions = [tool.description for tool in TOOLS.values()]
        assert len(set(descriptions)) == len(descriptions)
        assert all(len(tool.description) < 300 for tool in TOOLS.values())

    def test_what_reads_destroys_nothing(self) -> None:
        for name in STATE | HISTORY:
            tool = TOOLS[name]
            assert tool.read_only is name.startswith(("get_", "list_"))
            assert tool.destructive is not tool.read_only
            assert tool.idempotent is (name != "add_messages")


class TestState:
    def test_the_answers(self, ana: Memory) -> None:
        place = {"namespace": "trip", "key": "plan"}
        assert run(ana, "get_state", **place) == Answer(
            "No key plan in namespace trip for user ana", {**place, "found": False, "value": None}
        )
        value = {"days": [1, 2], "by": "train", "paid": None}
        assert run(ana, "set_state", **place, value=value) == Answer(
            "Key plan set in namespace trip for user ana", place
        )
        assert run(ana, "get_state", **place) == Answer(
            'Key plan in namespace trip for user ana: {"days":[1,2],"by":"train","paid":null}',
            {**place, "found": True, "value": value},
        )
        run(ana, "set_state", namespace="trip", key="draft", value="Dear all")
        assert run(ana, "get_state", namespace="trip", key="draft").text.endswith(": Dear all")
        assert run(ana, "list_state_keys", namespace="trip") == Answer(
            "Found 2 keys in namespace trip for user ana:\n1. draft\n2. plan",
            {"namespace": "trip", "keys": ["draft", "plan"]},
        )
        assert run(ana, "delete_state", **place) == Answer(
            "Key plan deleted from namespace trip for user ana", {**place, "deleted": True}
        )
        assert run(ana, "delete_state", **place) == Answer(
            "No key plan in namespace trip for user ana", {**place, "deleted": False}
        )
        assert run(ana, "list_state_keys", namespace="other").text == "Found 0 keys in namespace other for user ana"

    def test_it_is_the_state_of_the_memory(self, ana: Memory, backend: Backend) -> None:
        ana.state("trip")["step"] = 3
        assert run(ana, "get_state", namespace="trip", key="step").data["value"] == 3
        run(ana, "set_state", namespace="trip", key="step", value=4)
        assert ana.state("trip")["step"] == 4
        assert run(backend.user("bob"), "get_state", namespace="trip", key="step").data["found"] is False

    @pytest.mark.parametrize("value", [None, False, 0, "", [], {}, "null", 1e300, "日本語 \u2028"])
    def test_a_value_that_says_little_is_a_value(self, ana: Memory, value: Any) -> None:
        run(ana, "set_state", namespace="n", key="k", value=value)
        data = run(ana, "get_state", namespace="n", key="k").data
        assert data == {"namespace": "n", "key": "k", "found": True, "value": value}

    @pytest.mark.parametrize(
        "arguments",
        [
            {"namespace": "n", "key": "k"},
            {"namespace": "n", "key": " ", "value": 1},
            {"namespace": "", "key": "k", "value": 1},
            {"namespace": "n", "key": "k" * 513, "value": 1},
            {"namespace": "n", "key": "k", "value": float("nan")},
            {"namespace": "n", "key": "k", "value": 1, "user_id": "bob"},
        ],
    )
    def test_bad_arguments(self, ana: Memory, arguments: dict[str, Any]) -> None:
        with pytest.raises(InvalidInputError):
            run(ana, "set_state", **arguments)
        assert ana.export()["state"] == []


class TestHistory:
    def test_the_answers(self, ana: Memory) -> None:
        said = [
            {"role": "user", "content": "Hello, I am Ana", "name": "Ana"},
            {"role": "assistant", "content": "Hello Ana"},
        ]
        added = run(ana, "add_messages", session_id="s1", messages=said)
        assert added.text == "Added 2 messages to session s1 for user ana"
        run(ana, "add_messages", session_id="s1", messages=[{"role": "user", "content": "Bye"}])
        read = run(ana, "get_messages", session_id="s1")
        assert read.text == (
            "Found 3 messages in session s1 for user ana:\n"
            "1. user (Ana): Hello, I am Ana\n2. assistant: Hello Ana\n3. user: Bye"
        )
        messages: Any = read.data["messages"]
        assert messages[:2] == added.data["messages"]
        assert {key: messages[0][key] for key in said[0]} == said[0]
        assert set(messages[1]) == {"id", "role", "content", "created_at"}
        latest = run(ana, "get_messages", session_id="s1", limit=1)
        assert "for user ana:\n1. user: Bye\nThere are earlier ones" in latest.text
        earlier = run(ana, "get_messages", session_id="s1", cursor=latest.data["next_cursor"])
        assert earlier.text.endswith("\n1. user (Ana): Hello, I am Ana\n2. assistant: Hello Ana")
        assert run(ana, "clear_messages", session_id="s1") == Answer(
            "Deleted 3 messages of session s1 for user ana", {"session_id": "s1", "deleted": 3}
        )
        assert run(ana, "get_messages", session_id="s1") == Answer(
            "Found 0 messages in session s1 for user ana", {"session_id": "s1", "messages": []}
        )

    def test_it_is_the_history_of_the_memory(self, ana: Memory, backend: Backend) -> None:
        image: Any = [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
        call = ToolCall(id="c1", name="search_memories", arguments={"query": "bees"})
        ana.history("s1").append(
            [
                ChatMessage(role="user", content=image),
                ChatMessage(role="assistant", content="", tool_calls=(call,), native={"framework": "x", "message": {}}),
                ChatMessage(role="tool", content="Found 0 memories", tool_call_id="c1"),
            ]
        )
        read = run(ana, "get_messages", session_id="s1")
        assert read.text.splitlines()[1:] == [
            "1. user: Look",
            "2. assistant: [calls search_memories]",
            "3. tool: Found 0 memories",
        ]
        messages: Any = read.data["messages"]
        assert messages[0]["content"] == image
        assert messages[1]["tool_calls"] == [{"id": "c1", "name": "search_memories", "arguments": {"query": "bees"}}]
        assert "native" not in messages[1]
        assert messages[2]["tool_call_id"] == "c1"
        assert run(backend.user("bob"), "get_messages", session_id="s1").data["messages"] == []

    def test_a_retry_with_ids_doubles_nothing(self, ana: Memory) -> None:
        messages = [{"role": "user", "content": "Hello", "id": "m1"}]
        for _ in range(2):
            run(ana, "add_messages", session_id="s1", messages=messages)
        assert [(message.id, message.text) for message in ana.history("s1").messages()] == [("m1", "Hello")]

    @pytest.mark.parametrize(
        "messages", [[], [{"role": "robot", "content": "x"}], [{"content": "x"}], [{"role": "user"}], "hello"]
    )
    def test_bad_messages(self, ana: Memory, messages: Any) -> None:
        with pytest.raises(InvalidInputError):
            run(ana, "add_messages", session_id="s1", messages=messages)
        assert ana.sessions() == []

    @pytest.mark.parametrize("limit", [0, -1, 1_001, 1.5])
    def test_bad_limits(self, ana: Memory, limit: Any) -> None:
        with pytest.raises(InvalidInputError, match="limit"):
            run(ana, "get_messages", session_id="s1", limit=limit)


class TestOverMcp:
    def test_schemas_name_identities_where_there_is_a_choice(self, backend: Backend) -> None:
        async def listed(server: Any) -> dict[str, Any]:
            async with Client(server) as client:
                return {tool.name: tool for tool in await client.list_tools()}

        chosen = ["state", "history"]
        tools = anyio.run(listed, create_server(backend, toolsets=chosen))
        assert set(tools) == STATE | HISTORY
        for name, tool in tools.items():
            properties = set(tool.inputSchema["properties"])
            assert properties == {*TOOLS[name].arguments.model_fields, "user_id", "agent_id"}
            assert tool.annotations.idempotentHint is TOOLS[name].idempotent
            assert tool.outputSchema is None
        locked = anyio.run(listed, create_server(backend, toolsets=chosen, user_id="ana", lock_user=True))
        assert all("user_id" not in str(tool.inputSchema) for tool in locked.values())

    def test_each_user_has_their_own(self, backend: Backend) -> None:
        async def use() -> None:
            async with Client(create_server(backend, toolsets=["state", "history"], user_id="ana")) as client:
                step = {"namespace": "trip", "key": "step"}
                bob = {"user_id": "bob"}

                async def get(**whose: str) -> Any:
                    return (await client.call_tool_mcp("get_state", {**step, **whose})).structuredContent

                await client.call_tool("set_state", {**step, "value": {"n": 1}, **bob})
                assert (await get())["found"] is False
                assert await get(**bob) == {**step, "found": True, "value": {"n": 1}}
                assert (await get(**bob, agent_id="writer"))["found"] is False
                said = [{"role": "user", "content": "Hi"}]
                await client.call_tool("add_messages", {"session_id": "s", "messages": said})
                with pytest.raises(McpError, match="limit"):
                    await client.call_tool("get_messages", {"session_id": "s", "limit": 0})

        anyio.run(use)
        assert backend.user("bob").state("trip")["step"] == {"n": 1}
        assert [message.text for message in backend.user("ana").history("s").messages()] == ["Hi"]
        assert backend.user("bob").sessions() == []

    def test_a_locked_server_refuses_other_users(self, backend: Backend) -> None:
        backend.user("bob").state("trip")["step"] = "Bob's"

        async def use() -> None:
            server = create_server(backend, toolsets=["state", "history"], user_id="ana", lock_user=True)
            async with Client(server) as client:
                for name, arguments in (
                    ("get_state", {"namespace": "trip", "key": "step"}),
                    ("delete_state", {"namespace": "trip", "key": "step"}),
                    ("clear_messages", {"session_id": "s"}),
                ):
                    with pytest.raises(McpError, match="Access denied"):
                        await client.call_tool(name, {**arguments, "user_id": "bob"})

        anyio.run(use)
        assert backend.user("bob").state("trip")["step"] == "Bob's"
