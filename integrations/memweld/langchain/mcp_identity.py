"""The ``user_id`` and ``agent_id`` with which tools of an MCP server are called; a model never chooses them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.runnables import RunnableConfig, ensure_config
from mcp.types import Tool

from ..errors import ConfigurationError
from ..scope import Scope, validate_identity
from .binding import runtime_of, scope_of_run

__all__ = ["IDENTITIES", "Identities", "IdentityBinding", "identities_of", "shown_schema"]

IDENTITIES = ("user_id", "agent_id")


@dataclass(frozen=True, slots=True)
class Identities:
    """The identities among a tool's arguments.

    Attributes:
        listed: Those in its schema.
        accepted: Those, and others that it takes. Tools of memweld name them in their metadata: all users of the
            session share it, so a call with a memory's id must say whose memory it is.
    """

    listed: frozenset[str]
    accepted: frozenset[str]


def identities_of(tool: Tool) -> Identities:
    """The identities that a tool lists in its schema and in its metadata."""
    properties = cast("Mapping[str, Any]", tool.inputSchema.get("properties") or {})
    listed = frozenset(name for name in IDENTITIES if name in properties)
    metadata = (tool.meta or {}).get("memweld")
    named: Any = cast("Mapping[str, Any]", metadata).get("identities") if isinstance(metadata, Mapping) else None
    extra = cast("list[object]", named) if isinstance(named, list) else []
    return Identities(listed, listed | frozenset(name for name in IDENTITIES if name in extra))


def shown_schema(tool: Tool) -> dict[str, Any]:
    """The tool's schema without the identities, for a model."""
    schema = dict(tool.inputSchema)
    shown = _strict if (tool.meta or {}).get("memweld") else dict[str, Any]
    properties = cast("Mapping[str, dict[str, Any]]", schema.get("properties") or {})
    schema["properties"] = {name: shown(value) for name, value in properties.items() if name not in IDENTITIES}
    if "required" in schema:
        schema["required"] = [name for name in cast("list[str]", schema["required"]) if name not in IDENTITIES]
    return schema


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """An argument of memweld's as strict tools have it: no default, and text for an object without named fields.

    Gemini and strict forms refuse such an object, or send it empty. The server reads its text.
    """
    shown = {name: value for name, value in schema.items() if name != "default"}
    if "anyOf" in shown:
        shown["anyOf"] = [{"type": "string"} if each == {"type": "object"} else each for each in shown["anyOf"]]
    return shown


class IdentityBinding:
    """Binds the calls of one server's tools to a user and an agent.

    Args:
        user_id: The user of every call; None for the run's.
        agent_id: The agent of every call; None for the run's.
        tools: The identities of all the tools that the server lists.
        server: The name of the server, for errors.

    Raises:
        ConfigurationError: A user is given and no tool takes one.
        InvalidInputError: An id breaks a rule.
    """

    def __init__(self, user_id: str | None, agent_id: str | None, tools: Sequence[Identities], *, server: str) -> None:
        self._agent_id = None if agent_id is None else validate_identity("agent_id", agent_id)
        self._fixed = None if user_id is None else Scope(user_id=user_id, agent_id=agent_id)
        # Where no tool lists the user, the server knows the user by itself or keeps nothing of users.
        self._is_asked = any("user_id" in tool.listed for tool in tools)
        if self._fixed is not None and not any("user_id" in tool.accepted for tool in tools):
            raise ConfigurationError(f"{server} has no tool that takes a user_id: leave it out.")

    def arguments(self, tool: Identities, config: RunnableConfig | None) -> dict[str, str]:
        """The identities of one call of the tool.

        Raises:
            ConfigurationError: The server asks for the user, and nothing names one. There is never a default user.
            AccessDeniedError: The run's channels name different users.
            InvalidInputError: An id breaks a rule.
        """
        if not tool.accepted:
            return {}
        user_id, agent_id = self._named(config)
        named = {"user_id": user_id, "agent_id": agent_id}
        return {name: value for name, value in named.items() if value is not None and name in tool.accepted}

    def _named(self, config: RunnableConfig | None) -> tuple[str | None, str | None]:
        if self._fixed is not None:
            return self._fixed.user_id, self._fixed.agent_id
        if not self._is_asked:
            return None, self._agent_id
        config = ensure_config(config)
        scope = scope_of_run(runtime_of(config), config)
        return scope.user_id, self._agent_id or scope.agent_id
