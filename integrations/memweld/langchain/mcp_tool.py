"""One tool of an MCP server as a LangChain tool."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, ToolException
from langchain_mcp_adapters.interceptors import MCPToolCallRequest
from langchain_mcp_adapters.tools import convert_mcp_tool_to_langchain_tool
from mcp.shared.exceptions import McpError
from mcp.types import CallToolResult, Tool
from pydantic import PrivateAttr

from ..engine.remote.mcp_client.client import McpClient
from ..engine.remote.mcp_client.connection import CallResult
from ..errors import MemweldError
from .mcp_identity import IDENTITIES, Identities, IdentityBinding, identities_of, shown_schema

__all__ = ["McpTool"]

_REPEATED = " (The answer to a first attempt was lost: that one may have been carried out.)"


async def _given_result(request: MCPToolCallRequest, handler: Any) -> CallToolResult:  # noqa: ARG001
    """An interceptor in the place of the call: the runtime of the request is the result."""
    return cast("CallToolResult", request.runtime)


def _plain(content: Any) -> Any:
    """The text of blocks that are all text; other content as it is."""
    if not isinstance(content, list):
        return content
    blocks = cast("list[dict[str, Any]]", content)
    if all(block["type"] == "text" for block in blocks):
        return "\n".join(block["text"] for block in blocks)
    return blocks


def _error_content(error: ToolException) -> Any:
    # langchain-mcp-adapters 0.3.2 keeps the blocks of an error result in the exception.
    return _plain(getattr(error, "tool_content", None)) or str(error)


def _details(error: object) -> str | None:
    """The details in the error of a memweld server, which tell a model more than the message."""
    data: Any = cast("Mapping[str, Any]", error).get("data") if isinstance(error, Mapping) else None
    details: Any = cast("Mapping[str, Any]", data).get("details") if isinstance(data, Mapping) else None
    return details if isinstance(details, str) and details else None


@contextlib.contextmanager
def _raises_tool_exception() -> Generator[None]:
    try:
        yield
    except MemweldError as error:
        raise ToolException(str(error)) from error


class McpTool(BaseTool):
    """One tool of an MCP server. `mcp_tools` makes them."""

    _client: McpClient = PrivateAttr()
    _binding: IdentityBinding = PrivateAttr()
    _tool: Tool = PrivateAttr()
    _identities: Identities = PrivateAttr()
    _repeatable: bool = PrivateAttr()
    _converted: Any = PrivateAttr()

    def __init__(self, client: McpClient, tool: Tool, binding: IdentityBinding) -> None:
        # The interceptor keeps langchain-mcp-adapters from using the client as its session: it converts results only.
        converted = convert_mcp_tool_to_langchain_tool(cast("Any", client), tool, tool_interceptors=[_given_result])
        super().__init__(
            name=converted.name,
            description=converted.description,
            args_schema=shown_schema(tool),
            metadata=converted.metadata,
            response_format="content_and_artifact",
            handle_tool_error=cast("Any", _error_content),
        )
        self._client, self._tool, self._binding, self._converted = client, tool, binding, converted
        self._identities = identities_of(tool)
        hints = tool.annotations
        self._repeatable = hints is not None and bool(hints.readOnlyHint or hints.idempotentHint)

    def _to_args_and_kwargs(self, tool_input: str | dict[str, Any], tool_call_id: str | None) -> Any:  # noqa: ARG002
        # As one argument: langchain-core 1.7 would overwrite an argument of the server's tool that is named `config`.
        if isinstance(tool_input, str):
            return ({next(iter(self.args), "input"): tool_input},), {}
        return (tool_input,), {}

    def _run(self, *args: Any, config: RunnableConfig, **_: Any) -> tuple[Any, Any]:
        with _raises_tool_exception():
            arguments = self._arguments(args[0], config)
            result = self._client.call(self._tool.name, arguments, repeatable=self._repeatable)
        return self._content(result)

    async def _arun(self, *args: Any, config: RunnableConfig, **_: Any) -> tuple[Any, Any]:
        with _raises_tool_exception():
            arguments = self._arguments(args[0], config)
            result = await self._client.acall(self._tool.name, arguments, repeatable=self._repeatable)
        return self._content(result)

    def _arguments(self, given: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        """The arguments for the server: identities that a model wrote never reach it, listed or not."""
        identities = self._binding.arguments(self._identities, config)
        return {name: value for name, value in given.items() if name not in IDENTITIES} | identities

    def _content(self, result: CallResult[CallToolResult]) -> tuple[Any, Any]:
        """Content and artifact of the tool message.

        Raises:
            ToolException: The answer is an error.
        """
        outcome, note = result.outcome, _REPEATED if result.repeated else ""
        if isinstance(outcome, McpError):
            error = outcome.error
            raise ToolException((_details({"data": error.data}) or error.message) + note) from outcome
        if outcome.isError and (details := _details(outcome.structuredContent)):
            raise ToolException(details + note)
        try:
            content, artifact = self._convert(outcome)
        except (NotImplementedError, ValueError) as error:
            kind = type(error).__name__
            raise ToolException(f"{self.name} answered with what no tool message can hold: {kind}") from error
        return _plain(content), artifact

    def _convert(self, outcome: CallToolResult) -> tuple[Any, Any]:
        """Run the coroutine of langchain-mcp-adapters, which with the result at hand suspends nowhere."""
        conversion = self._converted.coroutine(runtime=outcome)
        try:
            conversion.send(None)
        except StopIteration as done:
            return done.value
        raise RuntimeError("The conversion of a result waits for something.")
