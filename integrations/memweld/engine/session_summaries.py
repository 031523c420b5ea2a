"""Summaries of the long sessions in a plan, made by the LLM before the transaction that stores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ..consolidation import ConsolidationPlan, ConsolidationStep
from ..scope import Scope
from .extraction.failures import ExtractionFailedError
from .operations import ReadMessages
from .sql.consolidation import Summary
from .sql.consolidation_plan import summarized_messages
from .sql.items import Items
from .sql.sessions import SessionStore

__all__ = ["summarize_sessions"]


class _Summarize(Protocol):
    def __call__(self, messages: Sequence[Mapping[str, str]], *, earlier: str) -> str: ...


def summarize_sessions(
    scope: Scope, plan: ConsolidationPlan, items: Items, sessions: SessionStore, summarize: _Summarize
) -> dict[str, Summary]:
    """The summaries of a plan, by session. One that the LLM does not make says why.

    Args:
        scope: Whose sessions.
        plan: The plan.
        items: The items, for the summaries that are there.
        sessions: The histories.
        summarize: Asks the LLM.
    """

    def summary(step: ConsolidationStep, session_id: str) -> Summary:
        former = list(items.by_ids(scope, step.ids).values())[:1]
        count = sum(map(summarized_messages, former))
        everything = sessions.read(scope, ReadMessages(session_id=session_id))
        messages = [
            {"role": message.role, "content": message.text}
            for message in everything[count:]
            if message.role in ("user", "assistant") and message.text.strip()
        ]
        if not messages:
            return Summary(problem="the session has no new message")
        earlier = "".join(row.text for row in former)
        try:
            text = summarize(messages, earlier=earlier)
        except ExtractionFailedError as error:
            return Summary(problem=" ".join(str(error).split()))
        return Summary(text=text, messages=everything, earlier=earlier)

    steps = [step for step in plan.steps if step.kind == "summarize" and step.session_id is not None]
    return {step.session_id or "": summary(step, step.session_id or "") for step in steps}
