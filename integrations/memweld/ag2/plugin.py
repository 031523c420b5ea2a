"""MemweldPlugin: tools, recall and capture in one, for ``Agent(plugins=[…])`` or ``agent.ask(…, plugins=[…])``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ag2 import Plugin

from ..adapters.binding import MemorySource, validate_source
from ..adapters.failures import OnError
from ..memory.recall import DEFAULT_BUDGET
from ..validation import validate_limit
from .binding import USER_VARIABLE
from .capture import MemweldCapture
from .recall import MemweldRecall
from .tools import memory_tools

__all__ = ["MemweldPlugin"]


class MemweldPlugin(Plugin):
    """What is remembered reaches the model, what is said is remembered, and the agent has the memory tools.

    The user of a backend is named by a variable of the turn, ``agent.ask(…, variables={"user_id": "ana"})``, which no
    model sees, or by `memweld.user_scope`. One plugin serves many agents, users and turns at once.

    Args:
        memory: A memory; or a backend, then each turn is for the user whom it names.
        tools: Toolsets or names of tools (see `memweld.tools`); memory, preferences and tasks if None; ``()`` for none.
        recall_limit: How many memories at most a turn recalls; 0 for no recall.
        recall_budget: How many characters of them at most.
        capture: Whether turns are kept, as in `MemweldCapture`. An agent that other agents call, and not the user,
            should not: what it is told are their words.
        infer: Whether the backend's LLM extracts facts from a turn; None means if there is one.
        session_id: The session of turns whose stream is no `session_stream` and whose variables name none.
        user_variable: The variable that names the user of a backend. Variables travel with A2A, AG-UI and MCP
            requests: where others may call the agent, verify who they are and pass None, so that only
            `memweld.user_scope` counts.
        on_error: What a failing memory does to a run. ``warn``: it is logged as ``memweld.ag2`` and the run goes on;
            ``raise``: it ends. A turn without a user, or with two, always raises.

    Raises:
        InvalidInputError: An argument breaks a rule.
    """

    def __init__(
        self,
        memory: MemorySource,
        *,
        tools: Sequence[str] | None = None,
        recall_limit: int = 5,
        recall_budget: int = DEFAULT_BUDGET,
        capture: bool | Literal["awaited", "background"] = True,
        infer: bool | None = None,
        session_id: str | None = None,
        user_variable: str | None = USER_VARIABLE,
        on_error: OnError = "warn",
    ) -> None:
        source = validate_source(memory)
        kept = MemweldCapture(
            source,
            capture=capture,
            infer=infer,
            session_id=session_id,
            user_variable=user_variable,
            on_error=on_error,
        )
        super().__init__(tools=memory_tools(source, tools, user_variable=user_variable), middleware=[kept])
        if validate_limit(recall_limit, name="recall_limit", minimum=0):
            self.add_policy(
                MemweldRecall(
                    source,
                    recall_limit=recall_limit,
                    recall_budget=recall_budget,
                    user_variable=user_variable,
                    on_error=on_error,
                )
            )
