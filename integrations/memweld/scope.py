"""The scope of a memory, the rules for its ids, and the user of the current context."""

from __future__ import annotations

import contextlib
import contextvars
import unicodedata
from collections.abc import Generator
from dataclasses import dataclass, field

from .errors import ConfigurationError, InvalidInputError, for_clients, invalid

__all__ = [
    "MAX_IDENTITY_CHARACTERS", "Scope", "current_user", "known_timezone", "user_scope", "validate_identity",
    "validate_timezone",
]  # fmt: skip

MAX_IDENTITY_CHARACTERS = 256

# No identity may contain these Unicode categories: control, format (zero-width and bidirectional marks), surrogate,
# private use, line and paragraph separators. Two ids that look the same must be the same. Characters unknown to an
# older Python ("unassigned") are allowed, because an id must be valid on every Python that shares a memory.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# Invisible letters and signs of ordinary categories.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    *map(chr, range(0xFE00, 0xFE10)),
    *map(chr, range(0x180B, 0x1810)),
    *map(chr, range(0xE0100, 0xE01F0)),
}


def validate_identity(name: str, value: object) -> str:
    """Return ``value`` in its stored form: NFC-normalised.

    Args:
        name: The argument's name (``"user_id"``), for the error.
        value: The identity from the caller.

    Raises:
        InvalidInputError: It is not a string; empty; blank at either end; ``*``; over 256 characters; or it contains a
            control, zero-width or otherwise invisible character.
    """
    remedy = "Pass the printable id by which your application knows the user or agent."
    if not isinstance(value, str):
        raise invalid(name, value, f"it must be a string, not {type(value).__name__}", remedy)
    if len(value) > 4 * MAX_IDENTITY_CHARACTERS:  # a long one would take long to normalise
        raise invalid(name, value, f"it has {len(value):,} characters, at most {MAX_IDENTITY_CHARACTERS}", remedy)
    identity = unicodedata.normalize("NFC", value)
    if not identity.strip():
        raise invalid(name, value, "it must not be empty or blank", remedy)
    if identity != identity.strip():
        raise invalid(name, value, "it must not begin or end with white space", "Strip it first.")
    if identity == "*":
        raise invalid(name, value, "a wildcard is no id", remedy)
    if len(identity) > MAX_IDENTITY_CHARACTERS:
        raise invalid(name, value, f"it has {len(identity)} characters, at most {MAX_IDENTITY_CHARACTERS}", remedy)
    for character in identity:
        if unicodedata.category(character) in _FORBIDDEN_CATEGORIES or character in _INVISIBLE:
            rule = f"it holds the invisible or control character U+{ord(character):04X}"
            raise invalid(name, value, rule, "Remove it.")
    return identity


def validate_timezone(value: object) -> str | None:
    """The name of a time zone; None for none.

    Raises:
        InvalidInputError: It is no zone of the IANA database on this machine.
    """
    if value is None:
        return None
    rule, remedy = "it must be the name of a time zone of the IANA database", "Pass a name such as Europe/Lisbon."
    if isinstance(value, str):
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            ZoneInfo(value)
        except ZoneInfoNotFoundError as error:
            rule, remedy = "this machine knows no such time zone", f"{remedy} Without any zones: pip install tzdata."
            raise invalid("timezone", value, rule, remedy) from error
        except (ValueError, OSError) as error:
            raise invalid("timezone", value, rule, remedy) from error
        return value
    raise invalid("timezone", value, rule, remedy)


def known_timezone(name: str | None) -> str | None:
    """The zone, or None where this machine lacks it: a server may have fewer zones than its client."""
    try:
        return validate_timezone(name)
    except InvalidInputError:
        return None


@dataclass(frozen=True, slots=True)
class Scope:
    """The owner of memories: a user, an agent, or one agent's part of a user's memory.

    A user's scope contains every agent's part; a scope with both ids is the part of one agent. An agent's own scope (no
    user) contains nothing of any user.

    Attributes:
        user_id: The end user, or None for an agent's own memory.
        agent_id: The agent, or None for everything kept of the user.
        timezone: The zone of the dates that a model is shown, such as ``Europe/Lisbon``. It is no part of the identity.
    """

    user_id: str | None = None
    agent_id: str | None = None
    timezone: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.user_id is None and self.agent_id is None:
            raise InvalidInputError(
                "A scope needs a user_id, an agent_id or both: neither was given. "
                "Name whose memory it is; there is no default user."
            )
        if self.user_id is not None:
            object.__setattr__(self, "user_id", validate_identity("user_id", self.user_id))
        if self.agent_id is not None:
            object.__setattr__(self, "agent_id", validate_identity("agent_id", self.agent_id))
        validate_timezone(self.timezone)

    @classmethod
    def stored(cls, user_id: str | None, agent_id: str | None) -> Scope:
        """The scope of a stored row. It was validated when stored; a stricter rule must not lock its owner out."""
        scope = object.__new__(cls)
        object.__setattr__(scope, "user_id", user_id)
        object.__setattr__(scope, "agent_id", agent_id)
        object.__setattr__(scope, "timezone", None)
        return scope

    def contains(self, other: Scope) -> bool:
        """Whether a caller with this scope may see a row of ``other``."""
        if self.user_id != other.user_id:
            return False
        return self.agent_id is None or self.agent_id == other.agent_id

    def __str__(self) -> str:
        """The scope as text for answers: ``user ana``, ``agent researcher``."""
        named = [("user", self.user_id), ("agent", self.agent_id)]
        return " and ".join(f"{word} {identity}" for word, identity in named if identity is not None)


@dataclass(slots=True)
class _Named:
    """The scope named by a ``with`` block, and whether the block still runs."""

    scope: Scope
    is_open: bool = True


_CURRENT: contextvars.ContextVar[_Named | None] = contextvars.ContextVar("memweld_user_scope", default=None)


@contextlib.contextmanager
def user_scope(user_id: str, *, agent_id: str | None = None, timezone: str | None = None) -> Generator[Scope]:
    """Name the user for every adapter call inside the ``with`` block.

    The name travels with the context: into tasks and ``asyncio.to_thread``, not into bare threads. There, too, it ends
    with the block. A task that outlives the block has no user any more. So a long-lived worker, started for one user,
    never serves the next user with the first one's memory.

    Args:
        user_id: The user.
        agent_id: The agent whose part of the memory it is.
        timezone: The user's time zone, in which dates are shown to a model.

    Raises:
        InvalidInputError: An argument breaks a rule.
    """
    scope = Scope(user_id=user_id, agent_id=agent_id, timezone=timezone)
    named = _Named(scope)
    token = _CURRENT.set(named)
    try:
        yield scope
    finally:
        named.is_open = False
        _CURRENT.reset(token)


def current_user() -> Scope:
    """Return the scope that `user_scope` set.

    Raises:
        ConfigurationError: No user is named, or the block that named one has ended. There is never a default user.
    """
    named = _CURRENT.get()
    if named is None or not named.is_open:
        ended = "" if named is None else " (the block that named one has ended)"
        raise for_clients(
            ConfigurationError(
                f"No user is known here{ended}: call inside `with memweld.user_scope(user_id):`, "
                "or give the adapter a Memory that is bound to one, backend.user(user_id)."
            )
        )
    return named.scope
