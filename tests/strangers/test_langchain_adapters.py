"""langchain-mcp-adapters: its tools, by themselves and in an agent, and what it makes of errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langchain_mcp_adapters.client import MultiServerMCPClient
from mcp.shared.exceptions import McpError

from memweld.testing.langchain import ScriptedChatModel, tool_call

Tools = dict[str, BaseTool]


async def tools_of(connection: dict[str, Any]) -> Tools:
    client = MultiServerMCPClient({"memory": connection})  # pyright: ignore[reportArgumentType]
    return {tool.name: tool for tool in await client.get_tools()}


def over_http(url: str, **more: Any) -> dict[str, Any]:
    return {"transport": "streamable_http", "url": url, **more}


def agent_that_calls(tools: Tools, name: str, arguments: dict[str, Any]) -> Any:
    return create_agent(ScriptedChatModel([tool_call(name, arguments), "Done."]), list(tools.values()))


GO = {"messages": [{"role": "user", "content": "Go on."}]}
SPOKEN = [{"role": "user", "content": "I love Python programming"}]


class TestTools:
    @pytest.mark.parametrize("transport", ["http", "stdio"])
    async def test_text_for_the_model_and_data_beside_it(
        self, transport: str, serve: Callable[..., str], stdio: Callable[..., list[str]]
    ) -> None:
        command = stdio()
        connection = {"transport": "stdio", "command": command[0], "args": command[1:]}
        tools = await tools_of(over_http(serve()) if transport == "http" else connection)
        assert {"add_memory", "search_memories", "set_preference"} <= set(tools)
        call = {"type": "tool_call", "id": "1", "name": "add_memory", "args": {"messages": SPOKEN, "user_id": "lin"}}
        message = await tools["add_memory"].ainvoke(call)
        assert message.content[0]["text"] == "Added 1 memories for user lin"
        assert message.artifact["structured_content"]["memories"][0]["text"] == SPOKEN[0]["content"]

    async def test_a_token_is_the_user(self, serve: Callable[..., str]) -> None:
        url = serve(auth=True)
        anas = await tools_of(over_http(url, headers={"Authorization": "Bearer anas-token"}))
        bobs = await tools_of(over_http(url, headers={"Authorization": "Bearer bobs-token"}))
        assert "user_id" not in anas["set_preference"].args
        await anas["set_preference"].ainvoke({"key": "theme", "value": "plum"})
        assert "plum" in str(await anas["get_preferences"].ainvoke({}))
        assert "plum" not in str(await bobs["get_preferences"].ainvoke({}))


class TestAgent:
    async def test_it_remembers_over_the_server(self, serve: Callable[..., str]) -> None:
        tools = await tools_of(over_http(serve()))
        await agent_that_calls(tools, "add_memory", {"messages": SPOKEN, "user_id": "ag"}).ainvoke(GO)
        found = await agent_that_calls(tools, "search_memories", {"query": "languages", "user_id": "ag"}).ainvoke(GO)
        assert SPOKEN[0]["content"] in str(found["messages"][-2].content)
        assert found["messages"][-1].content == "Done."

    async def test_a_json_rpc_error_ends_the_run(self, serve: Callable[..., str]) -> None:
        agent = agent_that_calls(await tools_of(over_http(serve())), "get_memory", {"memory_id": "mem_xyz789"})
        with pytest.raises(McpError, match="Memory not found"):
            await agent.ainvoke(GO)

    async def test_an_error_result_is_for_the_model(self, serve: Callable[..., str]) -> None:
        agent = agent_that_calls(await tools_of(over_http(serve("tool"))), "get_memory", {"memory_id": "mem_xyz789"})
        result = await agent.ainvoke(GO)
        (answer,) = [message for message in result["messages"] if isinstance(message, ToolMessage)]
        assert answer.status == "error"
        assert "No memory exists with ID mem_xyz789" in str(answer.content)
        assert result["messages"][-1].content == "Done."
