"""How the suite drives a framework: the protocol of a driver, what a tool and a turn gave, fixtures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import pytest

from ... import Backend, Memory, connect
from ..embedding import HashEmbedder

__all__ = ["INTERRUPTIONS", "AdapterDriver", "Mode", "Scenarios", "Talk", "ToolDriver", "ToolReply", "Turn"]

Mode: TypeAlias = Literal["sync", "async"]

INTERRUPTIONS: Mapping[str, BaseException | None] = {
    "approval": None,
    "closed": None,
    "outage": TimeoutError("The model is away"),
    "cancelled": asyncio.CancelledError(),
    "ctrl-c": KeyboardInterrupt(),
}
"""How a run may break off, with the exception that the model raises then.

``approval``: it waits for one, and the user writes something else; ``closed``: the program stops reading its stream.
``ctrl-c`` is for synchronous runs.
"""

Talk: TypeAlias = Callable[[str, str], Coroutine[Any, Any, str]]
"""One turn of a shared agent: takes a user's id and text, and returns the reply."""


@dataclass(frozen=True, slots=True)
class ToolReply:
    """The answer of a tool to the framework's agent.

    Attributes:
        text: The text that the model reads.
        is_error: Whether the framework knows it for an error.
    """

    text: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """The observations of one run of an agent.

    Attributes:
        seen: All the text that the model was given, in one string.
        reply: What the agent answered.
    """

    seen: str
    reply: str


class AdapterDriver(Protocol):
    """How the suite drives one framework. Each method builds and runs the framework's real objects.

    Attributes:
        modes: Which ways of running the framework has: ``sync``, ``async`` or both.
        has_turns: Whether agents have automatic recall and capture (`run_turn`); False for bare tool protocols.
        has_history: Whether the adapter keeps chat sessions (`run_turn` with a session, `read_session`).

    Some abilities are optional. A driver that has one declares it, and the suite asks for more:

    - ``options``: the names of those `memweld.adapters.options.TurnOptions` that its ``run_turn`` takes as further
      keyword arguments, in an adapter object of its own for each call.
    - ``has_user_channel``: the framework itself names users, and so may contradict `memweld.user_scope`.
    - ``recalls_in_sessions``: False where turns of a session have no automatic recall, and their words become history
      alone; True if left out.
    - ``sessions_end_turns``: a session that cannot be read or written ends the turn.
    - ``run_tools(memory, calls, reply)``: runs an agent with a model that makes these calls at once, each given as name
      and arguments, and then answers ``reply``; returns a `Turn`.
    - ``shared_agents(backend)``: returns a list of `Talk`, one for each way to run an agent. Each uses one agent object
      for all users, with one session for each user. Its model replies with all the text that it was given.
    - ``interruptions``: which of `INTERRUPTIONS` its ``interrupt(memory, texts, how, session_id=, mode=)`` can do: an
      agent gets the first text, in a run that breaks off, and then the second one, in a run with the answer "Noted."
    - ``keeps_failed_turns``: ``run_turn`` takes an exception as ``reply``, which the model raises; the user's words
      are kept all the same.
    """

    modes: tuple[Mode, ...]
    has_turns: bool
    has_history: bool

    def tool_schemas(self, memory: Memory, tools: Sequence[str] | None = None) -> Mapping[str, Mapping[str, Any]]:
        """For each tool by name, exactly what a model would be shown: ``{"description": …, "parameters": {…}}``.

        ``tools`` are the toolsets or names that a user of the adapter chose; None where nothing was chosen.
        """
        ...

    def call_tool(self, memory: Memory, name: str, arguments: Mapping[str, Any], mode: Mode) -> ToolReply:
        """Let an agent (or the framework's tool runner) call a tool as a model would."""
        ...

    def call_tool_as(self, backend: Backend, user_id: str | None, name: str, arguments: Mapping[str, Any]) -> ToolReply:
        """The same with tools made from the backend: the user comes from the framework's run-time channel.

        With ``user_id=None`` the channel names no user. A `MemweldError` may be raised or come back as an error.
        """
        ...

    def run_turn(self, memory: Memory, text: str, reply: str, *, session_id: str | None, mode: Mode) -> Turn:
        """Run an agent with automatic memory on ``text``, with a model scripted to answer ``reply``."""
        ...

    def run_turn_as(self, backend: Backend, user_id: str | None, text: str, reply: str) -> Turn:
        """The same with automatic memory made from the backend and the user from the run-time channel."""
        ...

    def read_session(self, memory: Memory, session_id: str) -> list[tuple[str, str]]:
        """The session as the framework's own messages, each as (role, text) in our words for roles."""
        ...


class ToolDriver(AdapterDriver):
    """The base of drivers of bare tools, without turns and sessions."""

    has_turns = False
    has_history = False

    def run_turn(self, memory: Memory, text: str, reply: str, *, session_id: str | None, mode: Mode) -> Turn:
        """There are no turns."""
        raise NotImplementedError

    def run_turn_as(self, backend: Backend, user_id: str | None, text: str, reply: str) -> Turn:
        """There are no turns."""
        raise NotImplementedError

    def read_session(self, memory: Memory, session_id: str) -> list[tuple[str, str]]:
        """There are no sessions."""
        raise NotImplementedError


class Scenarios:
    """The fixtures that the parts of the suite share."""

    driver: ClassVar[AdapterDriver]

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Iterator[Backend]:
        """A fresh embedded file."""
        with connect(f"sqlite:///{tmp_path / 'memory.db'}", embedder=HashEmbedder()) as backend:
            yield backend

    @pytest.fixture
    def ana(self, backend: Backend) -> Memory:
        """One user's memory."""
        return backend.user("ana@example.com")

    @pytest.fixture
    def bob(self, backend: Backend) -> Memory:
        """Another user's memory."""
        return backend.user("bob")

    def _needs_turns(self) -> None:
        if not self.driver.has_turns:
            pytest.skip("this adapter offers tools only")

    def _needs_options(self, *names: str) -> None:
        self._needs_turns()
        if missing := set(names) - set(getattr(self.driver, "options", ())):
            pytest.skip(f"the driver takes no {', '.join(sorted(missing))}")

    def _turn(self, memory: Memory, text: str, *, session_id: str | None = None, **options: Any) -> Turn:
        """One turn with options, in the first mode."""
        self._needs_options(*options)
        driver: Any = self.driver
        return driver.run_turn(memory, text, "Noted.", session_id=session_id, mode=driver.modes[0], **options)

    def _needs_history(self) -> None:
        if not self.driver.has_history:
            pytest.skip("this adapter keeps no chat sessions")

    def _sessions(self, name: str) -> list[tuple[str | None, bool]]:
        """The sessions in which a turn may run, None for none, and whether the turn's facts become memories there."""
        driver: Any = self.driver
        if not driver.has_history:
            return [(None, True)]
        return [(name, True)] if getattr(driver, "recalls_in_sessions", True) else [(name, False), (None, True)]
