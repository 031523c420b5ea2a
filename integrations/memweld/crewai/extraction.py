"""The facts of a finished task, extracted by a model of CrewAI's."""

from __future__ import annotations

import logging

from crewai import LLM
from crewai.hooks.dispatch import HookAborted
from crewai.llms.base_llm import BaseLLM
from crewai.memory.analyze import extract_memories_from_content

from .task_parser import Turn

__all__ = ["extracted"]

_log = logging.getLogger("memweld.crewai")


def extracted(turn: Turn, llm: BaseLLM | str) -> list[str] | None:
    """What the model finds worth keeping in a turn, in CrewAI's own words to it; None if its answer is of no use."""
    content = f"User: {turn}\nAssistant: {turn.answer}"
    try:
        model = LLM(model=llm) if isinstance(llm, str) else llm
        found = extract_memories_from_content(content, model)
    except HookAborted:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a model's client raises, nothing that was said is lost
        _log.warning("CrewAI's model cannot extract, what the user said is kept as it is: %s", error)
        return None
    # CrewAI 1.15 answers with the text itself where the model failed.
    return None if found == [content] else [fact.strip() for fact in found if fact.strip()]
