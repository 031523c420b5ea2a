"""`current_memory`: the memory of the user who calls, in any tool of any FastMCP server."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import mcp.types as mt
from fastmcp import FastMCP
from fastmcp.dependencies import Depends
from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import get_task_context
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext

from ..adapters.binding import MemorySource, surrounding_scope
from ..errors import ConfigurationError, MemweldError, for_clients
from ..memory.backend import Backend
from ..memory.memory import Memory, with_source
from ..scope import Scope, validate_identity
from ..settings import load_settings
from .access import AccessPolicy, memory_opener
from .principal import Principal

__all__ = ["MemoryMiddleware", "current_memory", "use_backend"]

_ACCESS: ContextVar[AccessPolicy | None] = ContextVar("memweld_mcp_access", default=None)


class MemoryMiddleware(Middleware):
    """Tells `current_memory` which policy holds for the requests of a server, those to mounted servers included."""

    def __init__(self, access: AccessPolicy) -> None:
        self._access = access

    async def on_request(
        self, context: MiddlewareContext[mt.Request[Any, Any]], call_next: CallNext[mt.Request[Any, Any], Any]
    ) -> Any:
        """Serve the request."""
        token = _ACCESS.set(self._access)
        try:
            return await call_next(context)
        finally:
            _ACCESS.reset(token)


def use_backend(server: FastMCP[Any], backend: MemorySource) -> None:
    """Give the tools, resources and prompts of your FastMCP server a memory; they get it by `current_memory`.

    A server that `memweld.mcp.create_server` made has one already.

    Args:
        server: Any FastMCP server.
        backend: Where memory is kept. With a `Memory` every call works on this one; other users are refused.

    Raises:
        InvalidInputError: ``backend`` is neither.
        ConfigurationError: ``MEMWELD_LOCK_USER`` without ``MEMWELD_USER_ID``.
    """
    server.add_middleware(MemoryMiddleware(_access(backend)))


def current_memory(backend: MemorySource | None = None, *, agent_id: str | None = None) -> Memory:
    """The memory of the user who calls, as the default of a parameter that clients neither see nor fill in.

        @server.tool
        async def recommend(topic: str, memory: Memory = current_memory()) -> str:
            known = await memory.aio.recall(topic)

    The server knows the user. Over HTTP it is the subject of the verified token. On stdio and in the same process it
    is the user that `memweld.user_scope` names, else ``MEMWELD_USER_ID``. On a server of `memweld.mcp.create_server`
    it is that server's user. Without a user the tool does not run, and an error answers the call.

    Args:
        backend: Where memory is kept; what `use_backend` gave to the server, if not given.
        agent_id: The part of the user's memory that this agent keeps; all of it, if not given.

    Raises:
        InvalidInputError: ``backend`` is neither a backend nor a memory, or ``agent_id`` breaks a rule.
        ConfigurationError: ``MEMWELD_LOCK_USER`` without ``MEMWELD_USER_ID``.
    """
    own = None if backend is None else _access(backend)
    open_own = None if backend is None else memory_opener(backend)
    agent = None if agent_id is None else validate_identity("agent_id", agent_id)

    def memory() -> Memory:
        try:
            # The server's policy says who calls, also where the tool keeps its memory elsewhere.
            return with_source(_memory(_ACCESS.get() or own, agent, open_own), "tool")
        except MemweldError as error:
            # FastMCP 3.4 passes on only its own errors of a dependency as they are.
            raise ToolError(str(error), log_level=logging.DEBUG) from error

    return Depends(memory)


def _memory(access: AccessPolicy | None, agent_id: str | None, elsewhere: Callable[[Scope], Memory] | None) -> Memory:
    if access is None:
        raise ConfigurationError(
            "No backend is known for this server: call memweld.mcp.use_backend(server, backend) where it is made, "
            "or give one to current_memory(backend)."
        )
    if get_task_context() is not None:
        # FastMCP may have dropped the request when its task runs, and the task then looks like a local call.
        raise _client_error(
            "A background task has no caller: do without the task, or pass on to it what it needs from the memory."
        )
    principal = access.principal()
    # An agent's own memory belongs to all users of the agent: it must not replace the memory of a missing user.
    if principal.user_id is None and (principal.agent_id is None or agent_id is not None):
        raise _client_error(
            "No user is known for this call: set MEMWELD_USER_ID for a stdio server; in the same process, open the "
            "client inside `with memweld.user_scope(user_id):`."
        )
    scope = Scope(user_id=principal.user_id, agent_id=agent_id or principal.agent_id)
    return access.scoped(scope, elsewhere)


def _client_error(text: str) -> ConfigurationError:
    return for_clients(ConfigurationError(text))


class _ForeignServerPolicy(AccessPolicy):
    """The policy of a FastMCP server that is not ours: the token's user over HTTP, else the user of this process."""

    def __init__(self, backend: Backend) -> None:
        settings = load_settings()
        self._configured = Principal(user_id=settings.user_id, locked=settings.lock_user)
        super().__init__(self._configured, memory_opener(backend))

    def principal(self) -> Principal:
        principal = super().principal()
        named = surrounding_scope() if principal is self._configured else None
        if named is None:
            return principal
        scope = principal.scope(named.user_id, named.agent_id)
        return Principal(user_id=scope.user_id, agent_id=scope.agent_id)


def _access(source: MemorySource) -> AccessPolicy:
    if isinstance(source, Backend):
        return _ForeignServerPolicy(source)
    open_memory = memory_opener(source)
    return AccessPolicy(Principal(user_id=source.user_id, agent_id=source.agent_id, locked=True), open_memory)
