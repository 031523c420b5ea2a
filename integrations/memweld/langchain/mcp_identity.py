"""Which tools of an MCP server are about a user, and who that is in a call: never whom the model says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from langchain_core.runnables import RunnableConfig, ensure_config
from mcp.types import Tool

from ..errors import ConfigurationError
from ..scope import Scope, validate_identity
from .binding import runtime_of, scope_of_run

__all__ = ["IDENTITIES", "Caller", "Identities", "identities_of", "shown_schema"]

IDENTITIES = ("user_id", "agent_id")


@dataclass(frozen=True, slots=True)
class Identities:
    """The identities among a tool's arguments.

    Attributes:
        listed: Those that its schema has: the server asks for them.
        understood: Those, and the ones that it takes although its schema does not have them. The tools of memweld say
            so: what they find by a memory's id must be the caller's as well, and the session is everybody's.
    """

    listed: frozenset[str]
    understood: frozenset[str]


def identities_of(tool: Tool) -> Identities:
    """Read what a tool says of itself."""
    properties = cast("Mapping[str, Any]", tool.inputSchema.get("properties") or {})
    listed = frozenset(name for name in IDENTITIES if name in properties)
    said = (tool.meta or {}).get("memweld")
    named: Any = cast("Mapping[str, Any]", said).get("identities") if isinstance(said, Mapping) else None
    extra = cast("list[object]", named) if isinstance(named, list) else []
    return Identities(listed, listed | frozenset(name for name in IDENTITIES if name in extra))


def shown_schema(tool: Tool) -> dict[str, Any]:
    """The tool's schema without the identities, as a model is shown it."""
    schema = dict(tool.inputSchema)
    properties = cast("Mapping[str, Any]", schema.get("properties") or {})
    schema["properties"] = {name: value for name, value in properties.items() if name not in IDENTITIES}
    if "required" in schema:
        schema["required"] = [name for name in cast("list[str]", schema["required"]) if name not in IDENTITIES]
    return schema


class Caller:
    """For whom the tools of one server are called.

    Args:
        user_id: The user of every call; None for the run's.
        agent_id: The agent of every call; None for the run's.
        tools: The identities of all the tools that the server lists.
        server: The server in words.

    Raises:
        ConfigurationError: A user is given and no tool takes one.
        InvalidInputError: An id breaks a rule.
    """

    def __init__(self, user_id: str | None, agent_id: str | None, tools: Sequence[Identities], *, server: str) -> None:
        self._agent_id = None if agent_id is None else validate_identity("agent_id", agent_id)
        self._fixed = None if user_id is None else Scope(user_id=user_id, agent_id=agent_id)
        # Where no tool asks for the user the server knows who it is, or keeps nothing of users.
        self._is_asked = any("user_id" in tool.listed for tool in tools)
        if self._fixed is not None and not any("user_id" in tool.understood for tool in tools):
            raise ConfigurationError(f"{server} has no tool that takes a user_id: leave it out.")

    def arguments(self, tool: Identities, config: RunnableConfig | None) -> dict[str, str]:
        """The identities that a call of the tool is sent with.

        Raises:
            ConfigurationError: The server asks for the user, and nothing names one. There is never a default user.
            AccessDeniedError: The run's channels name different users.
            InvalidInputError: An id breaks a rule.
        """
        if not tool.understood:
            return {}
        user_id, agent_id = self._named(config)
        named = {"user_id": user_id, "agent_id": agent_id}
        return {name: value for name, value in named.items() if value is not None and name in tool.understood}

    def _named(self, config: RunnableConfig | None) -> tuple[str | None, str | None]:
        if self._fixed is not None:
            return self._fixed.user_id, self._fixed.agent_id
        if not self._is_asked:
            return None, self._agent_id
        config = ensure_config(config)
        scope = scope_of_run(runtime_of(config), config)
        return scope.user_id, self._agent_id or scope.agent_id
