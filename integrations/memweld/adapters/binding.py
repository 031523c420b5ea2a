"""The user of a run: from the memory or backend that an adapter was given, and from the channels of the run."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import Self

from ..errors import AccessDeniedError, ConfigurationError, for_clients
from ..memory.memory import Memory
from ..memory.source import MemorySource, validate_source
from ..scope import Scope, current_user, user_scope, validate_identity

__all__ = [
    "Channels",
    "MemorySource",
    "bind_user",
    "resolve_memory",
    "resolve_scope",
    "surrounding_scope",
    "validate_source",
]

_REMEDY = "name one with {}memweld.user_scope(user_id), or give a Memory that is bound to one, backend.user(user_id)."


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """The users and agents that a run's channels name, beside `memweld.user_scope`.

    Attributes:
        users: The user that each channel names, by the channel's name in errors; None where it names no user.
        agents: The agents that the channels name; the first that is not None narrows the scope.
        unit: What the framework calls a run: ``run``, ``turn``.
        remedy: How a program names a user, for the error.
    """

    users: Mapping[str, object]
    agents: Sequence[object] = ()
    unit: str = "run"
    remedy: str = _REMEDY.format("")

    @classmethod
    def of(
        cls, values: Mapping[str, Any] | None, key: str | None, *, channel: str, example: str, unit: str = "run"
    ) -> Self:
        """Read the channel from a mapping of the framework, such as its variables or a session's state.

        Args:
            values: The mapping; None where the run has none.
            key: The key that names the user; None where the mapping is not trusted, because clients fill it in.
            channel: What errors call the channel.
            example: How a program fills it, for the error.
            unit: What the framework calls a run.
        """
        trusted: Mapping[str, Any] = {} if values is None or key is None else values
        return cls(
            users={channel: trusted.get(key or "")},
            agents=[trusted.get("agent_id")],
            unit=unit,
            remedy=_REMEDY.format("" if key is None else f"{example} or "),
        )


def resolve_memory(source: MemorySource, channels: Channels | None = None) -> Memory:
    """The memory of a run's user. A memory that is bound already comes back unchanged.

    Args:
        source: A memory, or a backend.
        channels: The run's channels; None where only `memweld.user_scope` names users.

    Raises:
        ConfigurationError: A backend was given and nothing names a user. There is never a default user.
        AccessDeniedError: The channels name different users.
        InvalidInputError: An id breaks a rule of `memweld.scope.validate_identity`.
    """
    if isinstance(source, Memory):
        return source
    return source.scoped(current_user() if channels is None else resolve_scope(channels))


def resolve_scope(channels: Channels) -> Scope:
    """The scope that the channels of a run name, `memweld.user_scope` among them.

    All that name a user must name the same one. Clients fill in some channels, and a client must not choose another
    user than the one who was authenticated.

    Raises:
        ConfigurationError: Nothing names a user. There is never a default user.
        AccessDeniedError: The channels name different users.
        InvalidInputError: An id breaks a rule of `memweld.scope.validate_identity`.
    """
    surrounding = surrounding_scope()
    users = {**channels.users, "memweld.user_scope": surrounding and surrounding.user_id}
    named = {channel: validate_identity("user_id", user) for channel, user in users.items() if user is not None}
    unit = channels.unit
    if not named:
        if surrounding is not None:
            return surrounding
        rule = f"No user is known in this {unit}, and there is no default user"
        raise for_clients(ConfigurationError(f"{rule}: {channels.remedy}"))
    if len(set(named.values())) > 1:
        # Without the ids: a model reads this error.
        raise AccessDeniedError(f"Different users are named by {' and '.join(named)}; a {unit} acts for one user only.")
    agents = (*channels.agents, surrounding and surrounding.agent_id)
    agent = next((agent for agent in agents if agent is not None), None)
    agent_id = None if agent is None else validate_identity("agent_id", agent)
    zone = None if surrounding is None else surrounding.timezone
    return Scope(user_id=next(iter(named.values())), agent_id=agent_id, timezone=zone)


def surrounding_scope() -> Scope | None:
    """The scope of the surrounding `memweld.user_scope`; None outside of one."""
    try:
        return current_user()
    except ConfigurationError:
        return None


@contextlib.contextmanager
def bind_user(source: MemorySource, memory: Memory) -> Generator[None]:
    """Name the user of a backend's memory for all code in the block that does not see the run's channels."""
    if isinstance(source, Memory) or memory.user_id is None:
        yield
        return
    with user_scope(memory.user_id, agent_id=memory.agent_id, timezone=memory.timezone):
        yield
