"""The engine's operations as tools for another memweld; models do not see them.

The tools for models lack pages, kinds, filters, versions, every field of a message, export and erasure. Another
memweld calls these by name; they stand in no list. Who calls, and whose memory the caller may use, is decided in the
same place as for every other tool.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import Any, cast

import mcp.types as mt
from fastmcp import FastMCP
from fastmcp.exceptions import NotFoundError, ToolError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool, ToolResult
from pydantic import PrivateAttr

from ..engine.codec import decode_operation, encode_answer
from ..engine.operations import OPERATIONS, Operation
from ..engine.protocol import Engine
from ..errors import MemweldError, invalid
from ..memory.asynchronous import in_thread
from ..memory.backend import Backend
from ..memory.memory import Memory
from ..scope import Scope
from ..validation import validate_limit
from .access import AccessPolicy
from .principal import Principal

__all__ = ["EngineTool", "add_engine_tools"]

PREFIX = "engine_"
_MAX_LIMIT = 1_000_000


class EngineTool(Tool):
    """One operation over the scopes that the caller may use; or the engine's abilities, or the list of its scopes."""

    _access: AccessPolicy = PrivateAttr()
    _engine: Engine = PrivateAttr()
    _operation: type[Operation[Any]] | None = PrivateAttr(default=None)

    def bind(self, access: AccessPolicy, engine: Engine, operation: type[Operation[Any]] | None) -> None:
        """Say which operation it is, who decides whose memory a call may use, and what stores that memory."""
        self._access, self._engine, self._operation = access, engine, operation

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Answer a call; the event loop stays free meanwhile.

        Raises:
            ToolError: The call failed; the cause is what went wrong.
        """
        operands = dict(arguments)
        owner = operands.pop("user_id", None), operands.pop("agent_id", None)
        try:
            if self._operation is not None:
                # No default is filled in: an engine is asked for exactly one scope.
                memory = self._access.scoped(Scope(*owner))
                operation = await in_thread(functools.partial(decode_operation, self._operation, operands))
                work = functools.partial(_answer, memory, operation)
                answer = await in_thread(work, lane=operation.lane)
            elif self.name == PREFIX + "info":
                self._access.principal()
                answer = {"has_graph": self._engine.has_graph, "can_extract": self._engine.can_extract}
            else:
                answer = await in_thread(functools.partial(self._scopes, self._access.operator(), operands))
        except MemweldError as error:
            # FastMCP logs any other exception with its traceback.
            raise ToolError(str(error), log_level=logging.DEBUG) from error
        return ToolResult(content=[], structured_content={"answer": answer})

    def _scopes(self, principal: Principal, data: dict[str, Any]) -> list[list[str | None]]:
        place = data.get("after")
        if place is not None and not (isinstance(place, list) and len(cast("list[Any]", place)) == 2):
            raise invalid("after", place, "it is a pair of user_id and agent_id", "Pass the last of the page before.")
        limit = validate_limit(data.get("limit"), maximum=_MAX_LIMIT)
        after = None if place is None else Scope(*cast("list[Any]", place))
        while listed := self._engine.admin.list_scopes(after=after, limit=limit):
            allowed = [scope for scope in listed if principal.agents or scope.user_id is not None]
            # An empty page would say that this was all.
            if allowed:
                return [[scope.user_id, scope.agent_id] for scope in allowed]
            after = listed[-1]
        return []


def _answer(memory: Memory, operation: Operation[Any]) -> Any:
    engine = memory._engine  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return encode_answer(type(operation), engine.run(memory.scope, operation))


class _Unlisted(Middleware):
    """Leaves the engine's tools out of every list, and serves them only to callers that may use them."""

    def __init__(self, access: AccessPolicy) -> None:
        self._access = access

    async def on_call_tool(
        self,
        context: MiddlewareContext[mt.CallToolRequestParams],
        call_next: CallNext[mt.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Run the call.

        Raises:
            NotFoundError: The tool is the engine's, and not for this caller.
        """
        name = context.message.name
        if name.startswith(PREFIX) and not self._access.serves_engines():
            raise NotFoundError(f"Unknown tool: {name!r}")
        return await call_next(context)

    async def on_list_tools(
        self,
        context: MiddlewareContext[mt.ListToolsRequest],
        call_next: CallNext[mt.ListToolsRequest, Sequence[Tool]],
    ) -> Sequence[Tool]:
        """List the tools for models."""
        return [tool for tool in await call_next(context) if not isinstance(tool, EngineTool)]


def add_engine_tools(server: FastMCP[Any], access: AccessPolicy, source: Backend | Memory) -> None:
    """Let another memweld use this server as its backend (``memweld.connect("http://…/mcp")``).

    Args:
        server: The server.
        access: The policy that decides whose memory a call may touch; the other tools share it.
        source: The memory or backend that the server serves.
    """
    engine = source._engine  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    # mcp 1.30 lists all tools again at each call of one that it does not know from a list.
    known = server._mcp_server._tool_cache  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    # A server of one memory has no list of scopes to give.
    tools: dict[str, type[Operation[Any]] | None] = {"info": None}
    tools |= {"list_scopes": None} if isinstance(source, Backend) else {}
    for name, operation in {**tools, **OPERATIONS}.items():
        tool = EngineTool(name=PREFIX + name, parameters={"type": "object"})
        tool.bind(access, engine, operation)
        server.add_tool(tool)
        known[tool.name] = mt.Tool(name=tool.name, inputSchema=tool.parameters)
    server.add_middleware(_Unlisted(access))
