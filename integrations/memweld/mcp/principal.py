"""The principal of a request, and the scopes that it may touch; read from a verified token or from the settings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.requests import HTTPConnection

from ..errors import AccessDeniedError, ConfigurationError, InvalidInputError
from ..scope import Scope, validate_identity

__all__ = [
    "AGENTS_SCOPE",
    "ANY_USER_SCOPE",
    "ENGINE_SCOPE",
    "METRICS_SCOPE",
    "READ_SCOPE",
    "WRITE_SCOPE",
    "Principal",
    "subject_of",
    "token_of",
    "validate_scopes",
]

ANY_USER_SCOPE = "memory:any-user"
"""The scope of a token that may name other users than its subject: a trusted service's."""

AGENTS_SCOPE = "memory:agents"
"""The scope of a token that may read and write the memories of agents, which belong to no user."""

READ_SCOPE = "memory:read"
"""The scope of a token that reads and does not write, unless it has `WRITE_SCOPE` as well."""

WRITE_SCOPE = "memory:write"
"""The scope by which a token with `READ_SCOPE` writes, too. A token with neither reads and writes."""

ENGINE_SCOPE = "memory:engine"
"""The scope of a token that ``memweld.connect("https://…", token=…)`` uses: it may call the engine's tools."""

METRICS_SCOPE = "memory:metrics"
"""The scope of a token that reads the metrics of the server."""

_SCOPES = (READ_SCOPE, WRITE_SCOPE, ENGINE_SCOPE, ANY_USER_SCOPE, AGENTS_SCOPE, METRICS_SCOPE)
_BEGINNINGS = tuple(f"memory{mark}" for mark in ":._-/")


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a request.

    Attributes:
        user_id: The default user of a call that names none.
        agent_id: The default agent of a call that names none.
        locked: The principal is this user and may name no other.
        verified: A token says so. A call of such a principal that names only an agent means the agent's own memory.
        agents: The principal may touch the memories of agents, which belong to no user.
        read_only: The principal may read and not write.
    """

    user_id: str | None = None
    agent_id: str | None = None
    locked: bool = False
    verified: bool = False
    agents: bool = True
    read_only: bool = False

    def __post_init__(self) -> None:
        for name in ("user_id", "agent_id"):
            identity = getattr(self, name)
            if identity is not None:
                object.__setattr__(self, name, validate_identity(name, identity))
        if self.locked and self.user_id is None and self.agent_id is None:
            raise ConfigurationError(
                "A server can be locked to a user only if there is one: give user_id (--user) as well."
            )

    def scope(self, user_id: object, agent_id: object) -> Scope:
        """The scope of a call, from its arguments and the defaults.

        Args:
            user_id: The call's argument; None where it has none.
            agent_id: The same.

        Raises:
            AccessDeniedError: The principal may not touch the memory that the call names.
            InvalidInputError: An id breaks a rule, or the call names no one and there is no default user.
        """
        user = None if user_id is None else validate_identity("user_id", user_id)
        agent = None if agent_id is None else validate_identity("agent_id", agent_id)
        if user is None and not (self.verified and agent is not None and agent != self.agent_id):
            user = self.user_id
        return self.authorize(Scope(user_id=user, agent_id=agent if agent is not None else self.agent_id))

    def authorize(self, scope: Scope) -> Scope:
        """Return the scope, if the principal may touch it.

        Raises:
            AccessDeniedError: It is another user's; or an agent's own, and the principal may not touch those.
        """
        if self.locked and scope.user_id != self.user_id and not (scope.user_id is None and self.verified):
            raise AccessDeniedError(self._refusal("user_id", scope.user_id))
        # A locked user may choose among the agents that keep memories of this user.
        if self.locked and self.agent_id is not None and scope.agent_id != self.agent_id:
            raise AccessDeniedError(self._refusal("agent_id", scope.agent_id))
        if scope.user_id is None and not self.agents:
            raise AccessDeniedError(
                f"The own memory of agent {scope.agent_id!r} belongs to no user and needs a token with the scope "
                f"{AGENTS_SCOPE}. For what the agent keeps of a user, give user_id as well."
            )
        return scope

    def may_touch(self, scope: Scope) -> bool:
        """Whether `authorize` accepts the scope."""
        try:
            self.authorize(scope)
        except AccessDeniedError:
            return False
        return True

    def _refusal(self, name: str, identity: str | None) -> str:
        other = "none is" if identity is None else f"{identity!r} is another"
        if self.verified and name == "user_id":
            return (
                f"The token belongs to user {self.user_id!r}, and {other}: that needs a token with the scope "
                f"{ANY_USER_SCOPE}. Leave user_id out."
            )
        return f"This server acts for one {name} only, and {other}. Leave {name} out."


def subject_of(token: AccessToken) -> str:
    """The user to whom a token belongs.

    Raises:
        InvalidInputError: The token names no subject, or one that breaks a rule of `validate_identity`.
    """
    subject = (token.claims or {}).get("sub")
    return validate_identity("subject of the token", token.subject if subject is None else subject)


def token_of(request: HTTPConnection) -> AccessToken | None:
    """The verified token of a request; None if there is none."""
    user = request.scope.get("user")
    return user.access_token if isinstance(user, AuthenticatedUser) else None


def validate_scopes(scopes: Collection[str], required: Collection[str] = ()) -> None:
    """Check that a token has no scope which only looks like memweld's: a mistyped ``memory:read`` would let it write.

    Args:
        scopes: Of the token. Those of other services are none of ours.
        required: Scopes that every token of this server needs, whatever their names.

    Raises:
        InvalidInputError: A scope begins with ``memory`` and one of ``:._-/``, in any case, and is none of memweld's.
    """
    for scope in scopes:
        is_ours = scope.strip().lower().startswith(_BEGINNINGS)
        if is_ours and scope not in _SCOPES and scope not in required:
            raise InvalidInputError(
                f"the token has the scope {scope[:100]!r}, and there is none of that name. "
                f"Choose among {', '.join(_SCOPES)}."
            )
