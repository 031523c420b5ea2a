"""One tool of an MCP server as a LangChain tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, ToolException
from langchain_mcp_adapters.interceptors import MCPToolCallRequest
from langchain_mcp_adapters.tools import convert_mcp_tool_to_langchain_tool
from mcp.shared.exceptions import McpError
from mcp.types import CallToolResult, Tool
from pydantic import PrivateAttr

from ..engine.remote.mcp_client.client import Reply
from ..errors import MemweldError
from .mcp_connection import McpServer
from .mcp_identity import IDENTITIES, Caller, Identities, identities_of, shown_schema

__all__ = ["McpTool"]

_REPEATED = " (The answer to a first attempt was lost: that one may have been carried out.)"


async def _answered(request: MCPToolCallRequest, handler: Any) -> CallToolResult:  # noqa: ARG001
    """An interceptor in the place of the call: the answer is there already."""
    return cast("CallToolResult", request.runtime)


def _plain(blocks: Any) -> Any:
    """The text alone, where there is nothing but text."""
    if not isinstance(blocks, list):
        return blocks
    found = cast("list[dict[str, Any]]", blocks)
    if all(block["type"] == "text" for block in found):
        return "\n".join(block["text"] for block in found)
    return found


def _explained(error: ToolException) -> Any:
    # langchain-mcp-adapters 0.3.2 keeps the blocks of a result that is an error with the exception.
    return _plain(getattr(error, "tool_content", None)) or str(error)


def _details(error: object) -> str | None:
    """What memweld says in an error's data; a model can do more with it than with the error's message."""
    data: Any = cast("Mapping[str, Any]", error).get("data") if isinstance(error, Mapping) else None
    details: Any = cast("Mapping[str, Any]", data).get("details") if isinstance(data, Mapping) else None
    return details if isinstance(details, str) and details else None


class McpTool(BaseTool):
    """One tool of an MCP server. `mcp_tools` makes them."""

    _server: McpServer = PrivateAttr()
    _caller: Caller = PrivateAttr()
    _tool: Tool = PrivateAttr()
    _identities: Identities = PrivateAttr()
    _repeatable: bool = PrivateAttr()
    _converted: Any = PrivateAttr()

    def __init__(self, server: McpServer, tool: Tool, caller: Caller) -> None:
        # What langchain-mcp-adapters calls a session is never asked here: `_answered` stands before it.
        converted = convert_mcp_tool_to_langchain_tool(cast("Any", server), tool, tool_interceptors=[_answered])
        super().__init__(
            name=converted.name,
            description=converted.description,
            args_schema=shown_schema(tool),
            metadata=converted.metadata,
            response_format="content_and_artifact",
            handle_tool_error=cast("Any", _explained),
        )
        self._server, self._tool, self._caller, self._converted = server, tool, caller, converted
        self._identities = identities_of(tool)
        hints = tool.annotations
        self._repeatable = hints is not None and bool(hints.readOnlyHint or hints.idempotentHint)

    def _to_args_and_kwargs(self, tool_input: str | dict[str, Any], tool_call_id: str | None) -> Any:  # noqa: ARG002
        # As one argument: langchain-core 1.7 puts its own over those of the server's tool that are named `config`.
        if isinstance(tool_input, str):
            return ({next(iter(self.args), "input"): tool_input},), {}
        return (tool_input,), {}

    def _run(self, *args: Any, config: RunnableConfig, **_: Any) -> tuple[Any, Any]:
        arguments = self._arguments(args[0], config)
        try:
            reply = self._server.call(self._tool.name, arguments, repeatable=self._repeatable)
        except MemweldError as error:
            raise ToolException(str(error)) from error
        return self._shown(reply)

    async def _arun(self, *args: Any, config: RunnableConfig, **_: Any) -> tuple[Any, Any]:
        arguments = self._arguments(args[0], config)
        try:
            reply = await self._server.acall(self._tool.name, arguments, repeatable=self._repeatable)
        except MemweldError as error:
            raise ToolException(str(error)) from error
        return self._shown(reply)

    def _arguments(self, given: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        """What the server is sent: a model's own word on whose memory it is never reaches it, listed or not."""
        try:
            named = self._caller.arguments(self._identities, config)
        except MemweldError as error:
            raise ToolException(str(error)) from error
        return {name: value for name, value in given.items() if name not in IDENTITIES} | named

    def _shown(self, reply: Reply[CallToolResult]) -> tuple[Any, Any]:
        """Content and artifact of the tool message.

        Raises:
            ToolException: The answer is an error.
        """
        outcome, lost = reply.outcome, _REPEATED if reply.repeated else ""
        if isinstance(outcome, McpError):
            said = outcome.error
            raise ToolException((_details({"data": said.data}) or said.message) + lost) from outcome
        if outcome.isError and (details := _details(outcome.structuredContent)):
            raise ToolException(details + lost)
        try:
            content, artifact = self._in_blocks(outcome)
        except (NotImplementedError, ValueError) as error:
            raise ToolException(f"{self.name} answered with what no tool message can hold: {error}") from error
        return _plain(content), artifact

    def _in_blocks(self, outcome: CallToolResult) -> tuple[Any, Any]:
        conversion = self._converted.coroutine(runtime=outcome)
        try:
            conversion.send(None)
        except StopIteration as done:
            return done.value
        raise RuntimeError("The conversion of an answer waits for something.")
