"""The running turn of the middleware, out of reach of checkpoints, clients and serialisers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast

from langchain.agents.middleware.types import AgentState, PrivateStateAttr
from langchain_core.messages import BaseMessage
from langgraph.channels import UntrackedValue  # pyright: ignore[reportMissingTypeStubs]
from typing_extensions import NotRequired, Self

from ..memory.memory import Memory
from ..memory.profile import Profile
from ..models import Hit
from .transcript import is_spoken

__all__ = ["THREAD_START", "MemweldState", "Turn", "turn_of"]

THREAD_START = ""
"""The mark of a thread of which no message was dealt with yet."""


@dataclass(eq=False, repr=False, frozen=True, kw_only=True)
class Turn(str):
    """The running turn.

    To all other code it is the word ``memweld``: LangGraph streams the private state in the modes ``values`` and
    ``updates``, and a program that writes a stream down must not write down memories.

    Attributes:
        memory: The user's memory.
        session_id: The session, if the run has one.
        query: The user's last words.
        hits: The memories that fit the user's message, best first: more than go before the model, where some of them
            may only repeat what stands there already.
        profile: The user's profile; empty without the option.
        counted: The ids of the hits that were counted as recalled.
        earlier: The session's messages that the agent does not hold itself.
        earlier_until: The id of the last of them, then and in later runs of the thread.
        opening: The turn's messages when the run began.
        before: The ids of all of the agent's messages when the run began.
    """

    memory: Memory
    session_id: str | None
    query: str
    hits: Sequence[Hit]
    profile: Profile
    counted: set[str]
    earlier: Sequence[BaseMessage]
    earlier_until: str | None
    opening: Sequence[BaseMessage]
    before: frozenset[str | None]

    def __new__(cls, **_fields: Any) -> Self:
        """Make the word; a dataclass's ``__init__`` sets the fields."""
        return super().__new__(cls, "memweld")

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A memory is a handle and cannot be copied."""
        return self

    def messages(self, current: Sequence[BaseMessage]) -> list[BaseMessage]:
        """The turn's messages as they are now: those that began it and those that came since.

        A message that another middleware changed (redacted, say) is taken as it is now. One that it took away to save
        room is still part of the turn.
        """
        now = {message.id: message for message in current}
        opening = [now.get(message.id, message) for message in self.opening]
        since = [message for message in current if message.id not in self.before]
        return [message for message in (*opening, *since) if is_spoken(message)]

    def is_beginning(self, current: Sequence[BaseMessage]) -> bool:
        """Whether the agent has said nothing yet in this run."""
        return all(message.id in self.before for message in current)


class MemweldState(AgentState[Any]):
    """The agent's state with what the middleware needs."""

    memweld_turn: NotRequired[Annotated[Any, UntrackedValue, PrivateStateAttr]]
    # Of the session only ids of messages are checkpointed: the last of its past that the agent does not hold, the first
    # behind it, and the last that was dealt with.
    memweld_earlier: NotRequired[Annotated[str | None, PrivateStateAttr]]
    memweld_before: NotRequired[Annotated[str | None, PrivateStateAttr]]
    memweld_seen: NotRequired[Annotated[str | None, PrivateStateAttr]]


def turn_of(state: Any) -> Turn | None:
    """The running turn; None where a run was resumed, since a checkpoint has none.

    A client can write into any channel when it resumes a run, but it cannot write a `Turn`.
    """
    turn = cast("Mapping[str, Any]", state).get("memweld_turn") if isinstance(state, Mapping) else None
    return turn if isinstance(turn, Turn) else None
