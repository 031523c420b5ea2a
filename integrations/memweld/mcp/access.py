"""Access to memories: from the principal of a request, and the ids that it names, to the memory that is opened.

Every tool and every route asks one `AccessPolicy`. Over HTTP the verified token says who calls; arguments never do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from contextvars import ContextVar

from cachetools import LRUCache
from fastmcp.server.dependencies import get_http_request
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from ..adapters.binding import MemorySource, validate_source
from ..engine.read_only import ReadOnlyEngine
from ..errors import AccessDeniedError, InvalidInputError
from ..memory.backend import Backend
from ..memory.memory import Memory, over_engine
from ..scope import Scope
from .http_errors import ASKS_FOR_BEARER
from .principal import (
    AGENTS_SCOPE,
    ANY_USER_SCOPE,
    ENGINE_SCOPE,
    READ_SCOPE,
    WRITE_SCOPE,
    Principal,
    subject_of,
    token_of,
    validate_scopes,
)

__all__ = [
    "TRUSTED",
    "AccessPolicy",
    "current_request",
    "memory_opener",
    "new_session",
    "note_scope",
    "record_scope",
    "restricted",
]

TRUSTED = "memweld.trusted"
"""The key by which our HTTP application marks a request's ASGI scope that needs no token."""

ENGINE_HEADER = "memweld-engine"
"""The header by which `memweld.connect` asks a server without tokens for the engine's tools."""

MAX_SESSION_SCOPES = 1_000
"""How many scopes a session remembers; it forgets the least recently named first."""

# Each MCP session has its own map, and one event loop serves a session.
_SESSION_SCOPES: ContextVar[LRUCache[Scope, Scope] | None] = ContextVar("memweld_mcp_session_scopes", default=None)


_USED_SCOPES: ContextVar[list[Scope] | None] = ContextVar("memweld_mcp_used_scopes", default=None)


@contextmanager
def record_scope() -> Generator[list[Scope]]:
    """The list of the scopes that the call within the block uses; the last one is the one that answers."""
    used: list[Scope] = []
    token = _USED_SCOPES.set(used)
    try:
        yield used
    finally:
        _USED_SCOPES.reset(token)


def note_scope(scope: Scope) -> Scope:
    """Record that the current call uses a scope."""
    used = _USED_SCOPES.get()
    if used is not None:
        used.append(scope)
    return scope


@contextmanager
def new_session() -> Generator[None]:
    """Begin an MCP session, for the block and for the tasks that start in it."""
    token = _SESSION_SCOPES.set(LRUCache(MAX_SESSION_SCOPES))
    try:
        yield
    finally:
        _SESSION_SCOPES.reset(token)


def memory_opener(source: MemorySource) -> Callable[[Scope], Memory]:
    """The function that opens the memory of a scope.

    A backend opens any scope. A `Memory` opens its own and raises `AccessDeniedError` for others.

    Raises:
        InvalidInputError: ``source`` is neither a backend nor a memory.
    """
    source = validate_source(source)
    if isinstance(source, Backend):
        return source.scoped

    def open_bound(scope: Scope) -> Memory:
        if scope != source.scope:
            raise AccessDeniedError(f"This server serves the memory of {source.scope} only, not of {scope}.")
        return source

    return open_bound


def restricted(memory: Memory, principal: Principal) -> Memory:
    """The memory as the principal may use it: one that only reads refuses every change."""
    if not principal.read_only:
        return memory
    reason = f"This token may only read ({READ_SCOPE}). To write, use one that has {WRITE_SCOPE} as well."
    engine = ReadOnlyEngine(memory._engine, reason)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return over_engine(memory, engine)


def current_request() -> HTTPConnection | None:
    """The HTTP request that is being answered; None on stdio, and for a client in this process."""
    try:
        return get_http_request()
    except RuntimeError:  # Not over HTTP: stdio, or a client in this process.
        return None


class AccessPolicy:
    """Decides whose memory a request may touch. One object for a server; it holds nothing of a caller.

    Args:
        default: The principal where there is no token: on stdio, in this process, and over HTTP where our application
            has marked the request as trusted.
        open_memory: Opens the memory of a scope.
        required_scopes: Scopes that every token needs, for `identify`; the MCP endpoints check them themselves.
        engine_tools: Whether the engine's tools are served, to every caller or to none. None: to tokens with the scope
            `ENGINE_SCOPE`, and without tokens to programs on this machine that ask for them.
    """

    def __init__(
        self,
        default: Principal,
        open_memory: Callable[[Scope], Memory],
        *,
        required_scopes: Collection[str] = (),
        engine_tools: bool | None = None,
    ) -> None:
        self._default = default
        self._open_memory = open_memory
        self._required = frozenset(required_scopes)
        self._engine_tools = engine_tools

    def principal(self) -> Principal:
        """The principal of the MCP request that the server is answering.

        Raises:
            AccessDeniedError: The request came over HTTP without a token, to an application that is not ours or that
                needs one; or this server does not act for the token's user.
        """
        request = current_request()
        return self._default if request is None else self._principal_over_http(request)

    def identify(self, request: HTTPConnection) -> Principal:
        """The principal of a request to a route of the application.

        Args:
            request: A Starlette request.

        Raises:
            HTTPException: 401, a valid token is needed and missing; 403, its bearer may not use this server.
                Starlette answers with it.
        """
        token = token_of(request)
        if token is None and not request.scope.get(TRUSTED):
            given = ' error="invalid_token"' if "authorization" in request.headers else ""
            raise HTTPException(
                401,
                ASKS_FOR_BEARER,
                headers={"WWW-Authenticate": f"Bearer{given}"},
            )
        if token is not None and (missing := self._required.difference(token.scopes)):
            scopes = " ".join(sorted(missing))
            challenge = f'Bearer error="insufficient_scope", scope="{scopes}"'
            raise HTTPException(403, f"The token lacks: {scopes}", headers={"WWW-Authenticate": challenge})
        try:
            return self._principal_over_http(request)
        except AccessDeniedError as error:
            raise HTTPException(403, str(error)) from error

    def _principal_over_http(self, request: HTTPConnection) -> Principal:
        default, token = self._default, token_of(request)
        if token is None:
            if request.scope.get(TRUSTED):
                return default
            raise AccessDeniedError(
                "Over HTTP a call needs a verified token: give the server auth=, or let memweld serve the application."
            )
        try:
            subject = subject_of(token)
            validate_scopes(token.scopes, self._required)
        except InvalidInputError as error:
            raise AccessDeniedError(str(error)) from error
        if default.locked and default.user_id not in (None, subject):
            raise AccessDeniedError(f"This server acts for one user only, and {subject!r} is another.")
        return Principal(
            user_id=subject,
            agent_id=default.agent_id,
            locked=default.locked or ANY_USER_SCOPE not in token.scopes,
            verified=True,
            agents=AGENTS_SCOPE in token.scopes and not default.locked,
            read_only=READ_SCOPE in token.scopes and WRITE_SCOPE not in token.scopes,
        )

    def serves_engines(self) -> bool:
        """Whether the caller of the current request may call the engine's tools."""
        request = current_request()
        if self._engine_tools is not None or request is None:
            return bool(self._engine_tools)
        token = token_of(request)
        return ENGINE_HEADER in request.headers if token is None else ENGINE_SCOPE in token.scopes

    def _open(self, scope: Scope, principal: Principal) -> Memory:
        return restricted(self._open_memory(scope), principal)

    def memory(self, user_id: object = None, agent_id: object = None) -> Memory:
        """The memory of a call that names its scope, or leaves it to the default.

        Raises:
            AccessDeniedError: The principal may not touch that memory.
            InvalidInputError: An id breaks a rule, or the call names no one and there is no default user.
        """
        principal = self.principal()
        scope = note_scope(principal.scope(user_id, agent_id))
        named = _SESSION_SCOPES.get()
        if named is not None and (user_id is not None or agent_id is not None):
            named.pop(scope, None)
            named[scope] = scope
        return self._open(scope, principal)

    def scoped(self, scope: Scope, elsewhere: Callable[[Scope], Memory] | None = None) -> Memory:
        """The memory of exactly this scope, without defaults. For programs that know both ids.

        Args:
            scope: The scope.
            elsewhere: Opens the memory in another store than the server's.

        Raises:
            AccessDeniedError: The principal may not touch it.
        """
        principal = self.principal()
        memory = self._open(note_scope(principal.authorize(scope)), principal)
        return memory if elsewhere is None else restricted(elsewhere(memory.scope), principal)

    def operator(self) -> Principal:
        """The principal, if it may list the scopes of this store.

        Raises:
            AccessDeniedError: It acts for one user only, or comes over HTTP without a token that says otherwise.
        """
        principal = self.principal()
        # On stdio the principal is the program that started the server. It can open the store as well.
        if principal.locked or (current_request() is not None and not principal.verified):
            raise AccessDeniedError(
                f"Whose memories are kept here is for operators: over HTTP it needs a token with the scope "
                f"{ANY_USER_SCOPE}, and on stdio a server that is not locked to a user. Name one user instead."
            )
        return principal

    def memories(self, user_id: object = None, agent_id: object = None) -> list[Memory]:
        """The memories that a call with only a memory's id may search, in this order.

        The contract gives such calls no user. They search the default user's memory first, then those that other calls
        of the same session have named. A call that does name a user searches that one only. The list may be empty.

        Raises:
            AccessDeniedError: The principal may not touch that memory.
            InvalidInputError: An id breaks a rule.
        """
        principal = self.principal()
        if user_id is not None or agent_id is not None:
            return [self.memory(user_id, agent_id)]
        scopes = [] if principal.user_id is None and principal.agent_id is None else [principal.scope(None, None)]
        if not principal.locked or principal.agents:
            # Checked again: a later request of the session may come with a token that may do less.
            named = reversed(list(_SESSION_SCOPES.get() or ()))
            scopes += [scope for scope in named if principal.may_touch(scope)]
        return [self._open(scope, principal) for scope in dict.fromkeys(scopes)]
