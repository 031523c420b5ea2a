"""Whose memory a call is about: who calls, whom the arguments name, and what a session has named before."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from ..errors import AccessDeniedError, ConfigurationError
from ..memory import Memory
from ..scope import Scope, validate_identity

__all__ = ["Access", "Caller", "named_in_session", "new_session"]

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
    """

    user_id: str | None = None
    agent_id: str | None = None
    locked: bool = False

    def __post_init__(self) -> None:
        for name in ("user_id", "agent_id"):
            identity = getattr(self, name)
            if identity is not None:
                object.__setattr__(self, name, validate_identity(name, identity))
        if self.locked and self.user_id is None and self.agent_id is None:
            raise ConfigurationError("A server can be locked to a user only if there is one: give user_id as well.")

    def scope(self, user_id: object, agent_id: object) -> Scope:
        """The scope that a call is about.

        Args:
            user_id: The call's argument; None where it has none.
            agent_id: The same.

        Raises:
            AccessDeniedError: A locked caller names somebody else.
            InvalidInputError: An id breaks a rule, or nobody is named and there is no default user.
        """
        return Scope(
            user_id=self._identity("user_id", user_id, self.user_id),
            agent_id=self._identity("agent_id", agent_id, self.agent_id),
        )

    def _identity(self, name: str, given: object, default: str | None) -> str | None:
        if given is None:
            return default
        identity = validate_identity(name, given)
        # A locked user may choose among the agents that keep something of them: it is all theirs.
        may_choose = not self.locked or (name == "agent_id" and default is None and self.user_id is not None)
        if not may_choose and identity != default:
            raise AccessDeniedError(
                f"This server acts for one {name} only, and {identity!r} is another. Leave {name} out."
            )
        return identity


class Access:
    """From a call's arguments to the memories that it may touch.

    Args:
        caller: Tells who calls; asked at each call.
        open_memory: Gives the memory of a scope.
    """

    def __init__(self, caller: Callable[[], Caller], open_memory: Callable[[Scope], Memory]) -> None:
        self._caller = caller
        self._open = open_memory

    def memory(self, user_id: object = None, agent_id: object = None) -> Memory:
        """The memory of a call that says whose it is, or leaves it to the default.

        Raises:
            AccessDeniedError: The caller may not act for that user.
            InvalidInputError: An id breaks a rule, or nobody is named.
        """
        scope = self._caller().scope(user_id, agent_id)
        if user_id is not None or agent_id is not None:
            _remember(scope)
        return self._open(scope)

    def memories(self, user_id: object = None, agent_id: object = None) -> list[Memory]:
        """Where a call that names a memory by its id alone may look, in this order.

        The contract gives these calls no user. So it is, first, the default user; then, for a caller that may name
        anybody, whom this very session has named in other calls: what it could read anyway, and nothing else. A call
        that does name a user looks there only. The list may be empty.

        Raises:
            AccessDeniedError: The caller may not act for that user.
            InvalidInputError: An id breaks a rule.
        """
        caller = self._caller()
        if caller.locked or user_id is not None or agent_id is not None:
            return [self.memory(user_id, agent_id)]
        default = [] if caller.user_id is None and caller.agent_id is None else [caller.scope(None, None)]
        return [self._open(scope) for scope in dict.fromkeys([*default, *named_in_session()])]
