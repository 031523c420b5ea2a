"""Memory for the tools that you write: `current_memory`, the caller's memory in any tool of any FastMCP server."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any

import mcp.types as mt
from fastmcp import FastMCP
from fastmcp.dependencies import Depends
from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import get_task_context
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext

from ..adapters.binding import MemorySource
from ..errors import ConfigurationError, MemweldError
from ..memory.backend import Backend
from ..memory.memory import Memory
from ..scope import Scope, current_user, validate_identity
from ..settings import load_settings
from .principal import Access, Caller
from .served_memory import opener

__all__ = ["MemoryMiddleware", "current_memory", "use_backend"]

_ACCESS: ContextVar[Access | None] = ContextVar("memweld_mcp_access", default=None)


class MemoryMiddleware(Middleware):
    """Tells `current_memory` whose memory the requests of a server may touch, those to mounted servers included."""

    def __init__(self, access: Access) -> None:
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
    """Give the tools, resources and prompts of your FastMCP server a memory, to be had with `current_memory`.

    A server that `memweld.mcp.create_server` made has one already.

    Args:
        server: Any FastMCP server.
        backend: Where memory is kept. With a `Memory` every call works on this one, and a caller who is somebody else
            is refused.

    Raises:
        InvalidInputError: ``backend`` is neither.
        ConfigurationError: ``MEMWELD_LOCK_USER`` without ``MEMWELD_USER_ID``.
    """
    server.add_middleware(MemoryMiddleware(_access(backend)))


def current_memory(backend: MemorySource | None = None, *, agent_id: str | None = None) -> Memory:
    """The caller's memory, as the default of a parameter that no client sees and none can fill in.

    ::

        @server.tool
        async def recommend(topic: str, memory: Memory = current_memory()) -> str:
            known = await memory.aio.recall(topic)

    The caller is whom the server knows: over HTTP the subject of the verified token and nobody else; on stdio and in
    the same process the user that `memweld.user_scope` names, else ``MEMWELD_USER_ID``; on a server of
    `memweld.mcp.create_server`, that server's user. Without a caller the tool is not run, and the call is answered
    with the error.

    Args:
        backend: Where memory is kept; what `use_backend` gave to the server, if not given.
        agent_id: The part of the user's memory that this agent keeps; all of it, if not given.

    Raises:
        InvalidInputError: ``backend`` is neither a backend nor a memory, or ``agent_id`` breaks a rule.
        ConfigurationError: ``MEMWELD_LOCK_USER`` without ``MEMWELD_USER_ID``.
    """
    own = None if backend is None else _access(backend)
    open_own = None if backend is None else opener(backend)
    agent = None if agent_id is None else validate_identity("agent_id", agent_id)

    def memory() -> Memory:
        try:
            # A server's own rules say who calls, also where the tool keeps its memory elsewhere.
            memory = _memory(_ACCESS.get() or own, agent)
            return memory if open_own is None else open_own(memory.scope)
        except MemweldError as error:
            # Of what a dependency raises, FastMCP 3.4 passes on only its own errors as they are.
            raise ToolError(str(error), log_level=logging.DEBUG) from error

    return Depends(memory)


def _memory(access: Access | None, agent_id: str | None) -> Memory:
    if access is None:
        raise ConfigurationError(
            "No backend is known for this server: call memweld.mcp.use_backend(server, backend) where it is made, "
            "or give one to current_memory(backend)."
        )
    if get_task_context() is not None:
        # What FastMCP keeps of the request for a task may be gone when it runs, and then it looks like a local call.
        raise ConfigurationError(
            "A background task has no caller: do without the task, or pass on to it what it needs from the memory."
        )
    caller = access.caller()
    # An agent's own memory belongs to all who use the agent: it is nothing to fall back to where a user is missing.
    if caller.user_id is None and (caller.agent_id is None or agent_id is not None):
        raise ConfigurationError(
            "No user is known for this call: set MEMWELD_USER_ID for a stdio server; in the same process, open the "
            "client inside `with memweld.user_scope(user_id):`."
        )
    return access.scoped(Scope(user_id=caller.user_id, agent_id=agent_id or caller.agent_id))


class _AuthorsAccess(Access):
    """Who calls a server that is not ours: over HTTP whoever the token says; else whom this process is run for."""

    def __init__(self, backend: Backend) -> None:
        settings = load_settings()
        self._configured = Caller(user_id=settings.user_id, locked=settings.lock_user)
        super().__init__(self._configured, opener(backend))

    def caller(self) -> Caller:
        caller = super().caller()
        if caller is not self._configured:
            return caller
        try:
            named = current_user()
        except ConfigurationError:
            return caller
        scope = caller.scope(named.user_id, named.agent_id)
        return Caller(user_id=scope.user_id, agent_id=scope.agent_id)


def _access(source: MemorySource) -> Access:
    if isinstance(source, Backend):
        return _AuthorsAccess(source)
    open_memory = opener(source)
    return Access(Caller(user_id=source.user_id, agent_id=source.agent_id, locked=True), open_memory)
