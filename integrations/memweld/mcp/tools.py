"""The shared tools as FastMCP tools: the schema with the ids of the contract, the call in a thread of its lane."""

from __future__ import annotations

import contextlib
import functools
import logging
from typing import Any

from fastmcp.exceptions import ToolError
from fastmcp.tools import Tool, ToolResult
from mcp.types import ToolAnnotations
from pydantic import PrivateAttr

from ..errors import MemoryNotFoundError, MemweldError
from ..memory.asynchronous import in_thread
from ..memory.memory import Memory
from ..tools import Answer, MemoryTool
from .access import AccessPolicy, note_scope

__all__ = ["IDENTITIES", "ServedTool", "serve_tool"]

IDENTITIES: dict[str, dict[str, Any]] = {
    "user_id": {"type": "string", "description": "Whose memory it is."},
    "agent_id": {"type": "string", "description": "The agent that keeps it."},
}

_OBJECTS = ("metadata", "filters")

_META = {"memweld": {"identities": list(IDENTITIES)}}
"""Metadata for programs: each tool takes these arguments, also where its schema does not show them."""


def _by_id(tool: MemoryTool) -> bool:
    return "memory_id" in tool.arguments.model_fields


def _parameters(tool: MemoryTool, *, show_identities: bool) -> dict[str, Any]:
    schema = tool.parameters
    properties = schema["properties"]
    for name, field in tool.arguments.model_fields.items():
        if name in _OBJECTS:
            # As the contract has it: an MCP client is often a program. The text of an object is read, too.
            properties[name]["anyOf"][0]["type"] = "object"
        if isinstance(field.default, int):
            properties[name]["default"] = field.default
    if show_identities:
        properties.update(IDENTITIES)
    return schema


class ServedTool(Tool):
    """One shared tool over the memories that the principal may touch."""

    _tool: MemoryTool = PrivateAttr()
    _access: AccessPolicy = PrivateAttr()

    @property
    def read_only(self) -> bool:
        """Whether it changes nothing."""
        return self._tool.read_only

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Answer a call; the event loop stays free meanwhile.

        Raises:
            ToolError: The call failed; the cause is the error.
        """
        own = dict(arguments)
        named = own.pop("user_id", None), own.pop("agent_id", None)
        try:
            memories = self._access.memories(*named) if _by_id(self._tool) else [self._access.memory(*named)]
            if memories:
                note_scope(memories[0].scope)
            # A call that waits for an LLM has a lane of its own: it must not hold up a search.
            work = functools.partial(_answer, self._tool, memories, own)
            answer = await in_thread(work, lane=self._tool.lane)
        except MemweldError as error:
            # FastMCP logs any other exception with its traceback.
            raise ToolError(str(error), log_level=logging.DEBUG) from error
        return ToolResult(content=answer.text, structured_content=answer.data)


def _answer(tool: MemoryTool, memories: list[Memory], arguments: dict[str, Any]) -> Answer:
    """Run the tool on its one memory, or on the first that knows the id."""
    checked = tool.validate(arguments)
    if not _by_id(tool):
        return tool.run(memories[0], checked)
    for memory in memories:
        with contextlib.suppress(MemoryNotFoundError):
            answer = tool.run(memory, checked)
            note_scope(memory.scope)
            return answer
    raise MemoryNotFoundError(arguments["memory_id"])


def serve_tool(tool: MemoryTool, access: AccessPolicy, *, show_identities: bool) -> ServedTool:
    """Make the FastMCP tool.

    Args:
        tool: The shared tool.
        access: Opens the memories that its calls may touch.
        show_identities: Whether ``user_id`` and ``agent_id`` are in the schema. They are not where a principal has
            nothing to choose.
    """
    served = ServedTool(
        name=tool.name,
        description=tool.description,
        parameters=_parameters(tool, show_identities=show_identities),
        meta=_META,
        annotations=ToolAnnotations(
            readOnlyHint=tool.read_only,
            destructiveHint=tool.destructive,
            idempotentHint=tool.idempotent,
            openWorldHint=False,
        ),
    )
    served._tool = tool  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    served._access = access  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return served
