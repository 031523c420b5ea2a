"""Whose memory a call is about: who calls, whom the arguments name, and what a session has named before.

Everything that answers a caller asks here: the tools through `Access`, routes of other protocols through
`Access.identify`. Over HTTP it is the verified token that says who calls; the arguments never do.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from fastmcp.server.dependencies import get_http_request
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from ..errors import AccessDeniedError, ConfigurationError, InvalidInputError
from ..memory.memory import Memory
from ..scope import Scope, validate_identity

__all__ = [
    "AGENTS_SCOPE",
    "ANY_USER_SCOPE",
    "TRUSTED",
    "Access",
    "Caller",
    "named_in_session",
    "new_session",
    "subject_of",
    "token_of",
]

ANY_USER_SCOPE = "memory:any-user"
"""The scope of a token that may name other users than its subject: a trusted service's."""

AGENTS_SCOPE = "memory:agents"
"""The scope of a token that may read and write the memories of agents, which belong to no user."""

TRUSTED = "memweld.trusted"
"""The key by which our HTTP application marks a request's ASGI scope that needs no token."""

MAX_NAMED = 1_000
"""How many scopes a session remembers; the one named longest ago is forgotten first."""

_NAMED: ContextVar[OrderedDict[Scope, None] | None] = ContextVar("memweld_mcp_named", default=None)


@contextmanager
def new_session() -> Generator[None]:
    """Begin a session, which has named nobody yet. It lasts for the block and for the tasks started in it."""
    token = _NAMED.set(OrderedDict())
    try:
        yield
    finally:
        _NAMED.reset(token)


def named_in_session() -> list[Scope]:
    """The scopes that the calls of this session have named, the latest first."""
    return list(reversed(_NAMED.get() or ()))


def _remember(scope: Scope) -> None:
    named = _NAMED.get()
    if named is not None:
        named[scope] = None
        named.move_to_end(scope)
        if len(named) > MAX_NAMED:
            named.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        user_id: The user that is meant where a call names none.
        agent_id: The agent that is meant where a call names none.
        locked: The caller is this user and may name no other.
        verified: A token says so. A call of such a caller that names an agent alone means that agent's own memory.
        agents: The caller may touch the memories of agents, which belong to no user.
    """

    user_id: str | None = None
    agent_id: str | None = None
    locked: bool = False
    verified: bool = False
    agents: bool = True

    def __post_init__(self) -> None:
        for name in ("user_id", "agent_id"):
            identity = getattr(self, name)
            if identity is not None:
                object.__setattr__(self, name, validate_identity(name, identity))
        if self.locked and self.user_id is None and self.agent_id is None:
            raise ConfigurationError("A server can be locked to a user only if there is one: give user_id as well.")

    def scope(self, user_id: object, agent_id: object) -> Scope:
        """The scope that a call is about, from its arguments and the defaults.

        Args:
            user_id: The call's argument; None where it has none.
            agent_id: The same.

        Raises:
            AccessDeniedError: The caller may not touch the memory that is named.
            InvalidInputError: An id breaks a rule, or nobody is named and there is no default user.
        """
        user = None if user_id is None else validate_identity("user_id", user_id)
        agent = None if agent_id is None else validate_identity("agent_id", agent_id)
        if user is None and not (self.verified and agent is not None and agent != self.agent_id):
            user = self.user_id
        return self.check(Scope(user_id=user, agent_id=agent if agent is not None else self.agent_id))

    def check(self, scope: Scope) -> Scope:
        """Return the scope, if the caller may touch it.

        Raises:
            AccessDeniedError: It is another user's; or an agent's own, and the caller is not allowed those.
        """
        if self.locked and scope.user_id != self.user_id and not (scope.user_id is None and self.verified):
            raise AccessDeniedError(self._refusal("user_id", scope.user_id))
        # A locked user may choose among the agents that keep something of them: it is all theirs.
        if self.locked and self.agent_id is not None and scope.agent_id != self.agent_id:
            raise AccessDeniedError(self._refusal("agent_id", scope.agent_id))
        if scope.user_id is None and not self.agents:
            raise AccessDeniedError(
                f"The own memory of agent {scope.agent_id!r} belongs to no user and needs a token with the scope "
                f"{AGENTS_SCOPE}. For what the agent keeps of a user, give user_id as well."
            )
        return scope

    def _refusal(self, name: str, identity: str | None) -> str:
        other = "none is" if identity is None else f"{identity!r} is another"
        if self.verified and name == "user_id":
            return (
                f"The token is user {self.user_id!r}'s, and {other}: that needs a token with the scope "
                f"{ANY_USER_SCOPE}. Leave user_id out."
            )
        return f"This server acts for one {name} only, and {other}. Leave {name} out."


def subject_of(token: AccessToken) -> str:
    """The user whose token it is.

    Raises:
        InvalidInputError: The token names no subject, or one that breaks a rule of `validate_identity`.
    """
    subject = (token.claims or {}).get("sub")
    return validate_identity("subject of the token", token.subject if subject is None else subject)


def token_of(request: HTTPConnection) -> AccessToken | None:
    """The verified token of a request; None if there is none."""
    user = request.scope.get("user")
    return user.access_token if isinstance(user, AuthenticatedUser) else None


def _current_request() -> HTTPConnection | None:
    try:
        return get_http_request()
    except RuntimeError:  # Not over HTTP: stdio, or a client in this process.
        return None


class Access:
    """From who calls to the memories that they may touch.

    One object for a server: every tool, of whatever set, and every route asks it. It holds nothing of a caller.

    Args:
        default: Who calls where there is no token: on stdio, in this process, and over HTTP where our application
            has marked the request as trusted.
        open_memory: Gives the memory of a scope.
        required_scopes: What every token must have, for `identify`; the MCP endpoints check it themselves.
    """

    def __init__(
        self, default: Caller, open_memory: Callable[[Scope], Memory], *, required_scopes: Collection[str] = ()
    ) -> None:
        self._default = default
        self._open = open_memory
        self._required = frozenset(required_scopes)

    def caller(self) -> Caller:
        """Who makes the MCP request that is being answered.

        Raises:
            AccessDeniedError: It comes over HTTP without a token, to an application that is not ours or has not
                said that none is needed; or the token is of somebody whom this server does not act for.
        """
        request = _current_request()
        return self._default if request is None else self._caller_over_http(request)

    def identify(self, request: HTTPConnection) -> Caller:
        """Who makes a request to a route of our application.

        Args:
            request: A Starlette request.

        Raises:
            HTTPException: 401, there is no valid token although one is needed; 403, its bearer may not use this
                server. Starlette answers with it.
        """
        token = token_of(request)
        if token is None and not request.scope.get(TRUSTED):
            given = ' error="invalid_token"' if "authorization" in request.headers else ""
            raise HTTPException(401, "A valid bearer token is needed.", headers={"WWW-Authenticate": f"Bearer{given}"})
        if token is not None and (missing := self._required.difference(token.scopes)):
            scopes = " ".join(sorted(missing))
            challenge = f'Bearer error="insufficient_scope", scope="{scopes}"'
            raise HTTPException(403, f"The token lacks: {scopes}", headers={"WWW-Authenticate": challenge})
        try:
            return self._caller_over_http(request)
        except AccessDeniedError as error:
            raise HTTPException(403, str(error)) from error

    def _caller_over_http(self, request: HTTPConnection) -> Caller:
        default, token = self._default, token_of(request)
        if token is None:
            if request.scope.get(TRUSTED):
                return default
            raise AccessDeniedError(
                "Over HTTP a call needs a verified token: give the server auth=, or let memweld serve the application."
            )
        try:
            subject = subject_of(token)
        except InvalidInputError as error:
            raise AccessDeniedError(str(error)) from error
        if default.locked and default.user_id not in (None, subject):
            raise AccessDeniedError(f"This server acts for one user only, and {subject!r} is another.")
        return Caller(
            user_id=subject,
            agent_id=default.agent_id,
            locked=default.locked or ANY_USER_SCOPE not in token.scopes,
            verified=True,
            agents=AGENTS_SCOPE in token.scopes and not default.locked,
        )

    def memory(self, user_id: object = None, agent_id: object = None) -> Memory:
        """The memory of a call that says whose it is, or leaves it to the default.

        Raises:
            AccessDeniedError: The caller may not touch that memory.
            InvalidInputError: An id breaks a rule, or nobody is named.
        """
        scope = self.caller().scope(user_id, agent_id)
        if user_id is not None or agent_id is not None:
            _remember(scope)
        return self._open(scope)

    def scoped(self, scope: Scope) -> Memory:
        """The memory of exactly this scope: no default is filled in. For programs that know both ids.

        Raises:
            AccessDeniedError: The caller may not touch it.
        """
        return self._open(self.caller().check(scope))

    def operator(self) -> Caller:
        """The caller, if it may know whose memories are kept here.

        Raises:
            AccessDeniedError: It acts for one user only, or comes over HTTP without a token that says otherwise.
        """
        caller = self.caller()
        # On stdio it is whoever started the server, who has the store as well.
        if caller.locked or (_current_request() is not None and not caller.verified):
            raise AccessDeniedError(
                f"Whose memories are kept here is for operators: over HTTP it needs a token with the scope "
                f"{ANY_USER_SCOPE}, and on stdio a server that is not locked to a user. Name one user instead."
            )
        return caller

    def memories(self, user_id: object = None, agent_id: object = None) -> list[Memory]:
        """Where a call that names a memory by its id alone may look, in this order.

        The contract gives these calls no user. So it is, first, the default user; then whom this very session has
        named in other calls: what the caller could read anyway, and nothing else. A call that does name a user looks
        there only. The list may be empty.

        Raises:
            AccessDeniedError: The caller may not touch that memory.
            InvalidInputError: An id breaks a rule.
        """
        caller = self.caller()
        if user_id is not None or agent_id is not None:
            return [self.memory(user_id, agent_id)]
        scopes = [] if caller.user_id is None and caller.agent_id is None else [caller.scope(None, None)]
        if not caller.locked or caller.agents:
            scopes += [scope for scope in named_in_session() if _allowed(caller, scope)]
        return [self._open(scope) for scope in dict.fromkeys(scopes)]


def _allowed(caller: Caller, scope: Scope) -> bool:
    # Asked again: in the session of one program, a later request may come with a token that may do less.
    try:
        caller.check(scope)
    except AccessDeniedError:
        return False
    return True
