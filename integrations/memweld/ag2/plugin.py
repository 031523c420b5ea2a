"""MemweldPlugin: tools, recall and capture in one, for ``Agent(plugins=[…])`` or ``agent.ask(…, plugins=[…])``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from ag2 import Plugin
from typing_extensions import Unpack

from ..adapters.binding import MemorySource, validate_source
from ..adapters.options import CaptureKeywords, RecallKeywords, TurnKeywords, TurnOptions, shows_options
from .binding import USER_VARIABLE
from .capture import MemweldCapture
from .recall import MemweldRecall
from .tools import memory_tools
from .window import SessionWindow

__all__ = ["MemweldPlugin"]


class MemweldPlugin(Plugin):
    """Automatic memory and the memory tools for an agent.

    A variable of the turn, which no model sees, names the user of a backend:
    ``agent.ask(…, variables={"user_id": "ana"})``; or `memweld.user_scope` does. One plugin serves many agents, users
    and turns at once.

    Args:
        memory: A memory; or a backend, then each turn names its user.
        tools: Toolsets or names of tools (see `memweld.tools`); memory, preferences and tasks if None; ``()`` for none.
        session_id: The session of turns whose stream is no `session_stream` and whose variables name none.
        user_variable: The variable that names the user of a backend. Variables travel with A2A, AG-UI and MCP
            requests: where others may call the agent, verify who they are and pass None, so that only
            `memweld.user_scope` counts.
        options: The fields of `memweld.adapters.options.TurnOptions`. An agent that other agents call should have
            ``capture=False``: what it is told are their words. ``history_limit`` and ``history_budget``
            are for a `session_stream`.

    Raises:
        InvalidInputError: An argument breaks a rule.
    """

    @shows_options(TurnKeywords)
    def __init__(
        self,
        memory: MemorySource,
        *,
        tools: Sequence[str] | None = None,
        session_id: str | None = None,
        user_variable: str | None = USER_VARIABLE,
        **options: Unpack[TurnKeywords],
    ) -> None:
        source = validate_source(memory)
        turn_options = TurnOptions(**options)
        capturing = cast("CaptureKeywords", _among(options, CaptureKeywords))
        super().__init__(
            tools=memory_tools(source, tools, user_variable=user_variable),
            middleware=[MemweldCapture(source, session_id=session_id, user_variable=user_variable, **capturing)],
        )
        # First the window, so that the recall repeats nothing that the model sees, and is not cut.
        if (turn_options.history_limit, turn_options.history_budget) != (None, None):
            self.add_policy(SessionWindow(turn_options.history_limit, turn_options.history_budget))
        if turn_options.recall_limit or turn_options.profile_budget:
            recalling = cast("RecallKeywords", _among(options, RecallKeywords))
            self.add_policy(MemweldRecall(source, user_variable=user_variable, **recalling))


def _among(options: TurnKeywords, keywords: type[RecallKeywords | CaptureKeywords]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in keywords.__optional_keys__}
