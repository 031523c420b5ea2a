"""The primitives of the seam below as tools for another memweld, which models are not shown.

What the tools for models lack (pages, kinds, filters, versions, every field of a message, export, erasure) goes through
these. They can be called by name and stand in no list. Who calls, and whose memory they may touch, is decided where it
is decided for every other tool.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import anyio.to_thread
import mcp.types as mt
from fastmcp import FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool, ToolResult
from pydantic import PrivateAttr

from ..engine.codec import PRIMITIVES, decode_arguments, encode_answer
from ..engine.filters import validate_conditions
from ..engine.protocol import Engine, ItemDraft, KeyedDraft
from ..errors import MemweldError, invalid
from ..memory.backend import Backend
from ..memory.export_format import validate_export_data
from ..memory.memory import Memory
from ..memory.messages import to_messages
from ..models import ValueWrite
from ..scope import Scope
from ..validation import (
    validate_filters,
    validate_json,
    validate_key,
    validate_limit,
    validate_metadata,
    validate_prefix,
    validate_text,
    validate_ttl,
)
from .access import AccessPolicy
from .principal import Principal

__all__ = ["EngineTool", "add_engine_tools"]

PREFIX = "engine_"
_MAX_LIMIT = 1_000_000
_MAX_VERSION = 2**63 - 1
_MOST_SECONDS = 60


def _final_text(name: str, text: str) -> None:
    if validate_text(name, text) != text:
        raise invalid(name, text, "it is not in the form in which texts are kept", "Strip and NFC-normalise it.")


def _drafts(drafts: Sequence[ItemDraft]) -> None:
    for draft in drafts:
        _final_text("message", draft.text)
        if draft.role not in ("user", "assistant"):
            raise invalid("role", draft.role, "facts come from the user or the assistant", "Leave the message out.")
        if draft.name is not None:
            validate_key("message name", draft.name)


def _draft(draft: KeyedDraft) -> None:
    validate_key("key", draft.key)
    _final_text("text", draft.text)
    validate_json("metadata", draft.metadata)
    if draft.kind not in ("preference", "task"):
        raise invalid("kind", draft.kind, "it is stored in another way", "Store a preference or a task.")


def _half_life(seconds: float) -> None:
    if not seconds > 0:
        raise invalid("half_life", seconds, "it must be more than nothing", "Leave it out where age does not count.")


def _timeout(seconds: float) -> None:
    if not 0 <= seconds <= _MOST_SECONDS:
        raise invalid("timeout", seconds, f"it is 0 to {_MOST_SECONDS} seconds", "Wait for less, and ask again.")


def _writes(writes: Sequence[ValueWrite]) -> None:
    for write in writes:
        validate_key("namespace", write.namespace)
        validate_key("key", write.key)
        validate_json("value", write.value)
        validate_ttl(write.ttl)
        if write.text is not None:
            _final_text("text", write.text)


def _wanted(wanted: Sequence[tuple[str, str]]) -> None:
    for namespace, key in wanted:
        validate_key("namespace", namespace)
        validate_key("key", key)


def _version(version: int, name: str = "if_version") -> None:
    if not 0 <= version <= _MAX_VERSION:
        raise invalid(name, version, f"a version is 0 to {_MAX_VERSION}", "Pass the version that you read.")


# The rules that the caller's own memweld has applied, for callers that are something else. Nothing is changed here:
# what has passed the rules once is in its final form.
_RULES: Mapping[str, Callable[[Any], object]] = {
    "drafts": _drafts,
    "draft": _draft,
    "metadata": validate_metadata,
    "filters": validate_filters,
    "limit": lambda limit: validate_limit(limit, maximum=_MAX_LIMIT),
    "query": lambda text: validate_text("query", text),
    "text": lambda text: _final_text("text", text),
    "value": lambda value: validate_json("value", value),
    "if_version": _version,
    "epoch": lambda number: _version(number, name="epoch"),
    "ttl": validate_ttl,
    "half_life": _half_life,
    "timeout": _timeout,
    "writes": _writes,
    "wanted": _wanted,
    "where": validate_conditions,
    "kept": validate_export_data,
    "offset": lambda offset: validate_limit(offset, name="offset", minimum=0, maximum=_MAX_LIMIT),
    **{name: lambda text, name=name: validate_prefix(name, text) for name in ("under", "prefix")},
    **{
        name: lambda key, name=name: validate_key(name, key)
        for name in ("session_id", "memory_id", "about", "after", "before", "namespace", "key")
    },
}


def _checked(primitive: str, data: Mapping[str, Any]) -> dict[str, Any]:
    arguments = decode_arguments(primitive, data)
    for name, value in arguments.items():
        if name in _RULES and (value is not None or name == "value"):
            _RULES[name](value)
    if "messages" in arguments:
        arguments["messages"] = to_messages(arguments["messages"])
    return arguments


class EngineTool(Tool):
    """One primitive over the scopes that the caller may touch; or what the engine can do, or whose scopes there are."""

    _primitive: str = PrivateAttr()
    _access: AccessPolicy = PrivateAttr()
    _engine: Engine = PrivateAttr()

    def bind(self, primitive: str, access: AccessPolicy, engine: Engine) -> None:
        """Say which primitive it is, who decides whose memory it may touch, and what keeps that memory."""
        self._primitive, self._access, self._engine = primitive, access, engine

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Answer a call; the event loop stays free meanwhile.

        Raises:
            ToolError: The call failed; the cause is what went wrong.
        """
        own = dict(arguments)
        named = own.pop("user_id", None), own.pop("agent_id", None)
        try:
            if self._primitive == "info":
                self._access.principal()
                answer = {"has_graph": self._engine.has_graph, "can_extract": self._engine.can_extract}
            elif self._primitive == "list_scopes":
                principal = self._access.operator()
                answer = await anyio.to_thread.run_sync(self._scopes, principal, own)
            else:
                # No default is filled in: an engine is asked for exactly one scope.
                scope = self._access.scoped(Scope(*named)).scope
                answer = await anyio.to_thread.run_sync(self._answer, scope, own)
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
        while listed := self._engine.list_scopes(after=after, limit=limit):
            allowed = [scope for scope in listed if principal.agents or scope.user_id is not None]
            # An empty page would say that this was all.
            if allowed:
                return [[scope.user_id, scope.agent_id] for scope in allowed]
            after = listed[-1]
        return []

    def _answer(self, scope: Scope, data: dict[str, Any]) -> Any:
        arguments = _checked(self._primitive, data)
        return encode_answer(self._primitive, getattr(self._engine, self._primitive)(scope, **arguments))


class _Unlisted(Middleware):
    """Leaves the engine's tools out of every list."""

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
        access: Whose memory a call may touch; the one that the other tools have.
        source: What the server serves.
    """
    engine = source._engine  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    # mcp 1.30 lists all tools again at each call of one that it does not know from a list.
    known = server._mcp_server._tool_cache  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    # One memory is no store: whoever serves it has no list of scopes to give.
    whole = ("list_scopes",) if isinstance(source, Backend) else ()
    for primitive in ("info", *whole, *PRIMITIVES):
        tool = EngineTool(name=PREFIX + primitive, parameters={"type": "object"})
        tool.bind(primitive, access, engine)
        server.add_tool(tool)
        known[tool.name] = mt.Tool(name=tool.name, inputSchema=tool.parameters)
    server.add_middleware(_Unlisted())
