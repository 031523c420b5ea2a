"""AutoGen's McpWorkbench: its tools, by themselves and in an agent, and what it makes of errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import ToolCallExecutionEvent
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, RequestUsage
from autogen_ext.models.replay import ReplayChatCompletionClient
from autogen_ext.tools.mcp import McpWorkbench, StdioServerParams, StreamableHttpServerParams

# autogen-ext 0.7.5 calls mcp's client by its old name.
pytestmark = pytest.mark.filterwarnings("ignore:Use `streamable_http_client` instead:DeprecationWarning")

SPOKEN = [{"role": "user", "content": "I love Python programming"}]


def over(kind: str, errors: str, serve: Callable[..., str], stdio: Callable[..., list[str]]) -> McpWorkbench:
    if kind == "http":
        return McpWorkbench(StreamableHttpServerParams(url=serve(errors)))
    command = stdio(errors)
    return McpWorkbench(StdioServerParams(command=command[0], args=command[1:], read_timeout_seconds=60))


def agent_that_calls(workbench: McpWorkbench, name: str, arguments: dict[str, Any]) -> AssistantAgent:
    call = FunctionCall(id="1", name=name, arguments=json.dumps(arguments))
    usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
    model = ReplayChatCompletionClient(
        [CreateResult(finish_reason="function_calls", content=[call], usage=usage, cached=False), "Done."],
        model_info={
            "vision": False,
            "function_calling": True,
            "json_output": False,
            "family": "unknown",
            "structured_output": False,
        },
    )
    return AssistantAgent("helper", model, workbench=workbench, reflect_on_tool_use=True)


@pytest.mark.parametrize("kind", ["http", "stdio"])
async def test_its_tools(kind: str, serve: Callable[..., str], stdio: Callable[..., list[str]]) -> None:
    async with over(kind, "jsonrpc", serve, stdio) as workbench:
        assert "add_memory" in {tool["name"] for tool in await workbench.list_tools()}
        result = await workbench.call_tool("add_memory", {"messages": SPOKEN, "user_id": "gen"})
    assert (result.is_error, result.to_text()) == (False, "Added 1 memories for user gen")


async def test_a_token_is_the_user(serve: Callable[..., str]) -> None:
    url = serve(auth=True)
    for name in ("ana", "bob"):
        parameters = StreamableHttpServerParams(url=url, headers={"Authorization": f"Bearer {name}s-token"})
        async with McpWorkbench(parameters) as workbench:
            result = await workbench.call_tool("set_preference", {"key": "size", "value": "large"})
        assert result.to_text() == f"Preference size set to large for user {name}"


@pytest.mark.parametrize("errors", ["jsonrpc", "tool"])
async def test_an_error_of_either_kind_is_for_the_model(
    errors: str, serve: Callable[..., str], stdio: Callable[..., list[str]]
) -> None:
    async with over("http", errors, serve, stdio) as workbench:
        result = await agent_that_calls(workbench, "get_memory", {"memory_id": "mem_xyz789"}).run(task="Go on.")
    (event,) = [message for message in result.messages if isinstance(message, ToolCallExecutionEvent)]
    assert event.content[0].is_error
    assert "Memory not found" in event.content[0].content
    # AutoGen takes no more of a JSON-RPC error than its message.
    assert ("mem_xyz789" in event.content[0].content) is (errors == "tool")
    assert result.messages[-1].to_text() == "Done."
