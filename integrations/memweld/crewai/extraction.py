"""The facts that a model of CrewAI's extracts from a finished task."""

from __future__ import annotations

import logging

from crewai import LLM
from crewai.hooks.dispatch import HookAborted
from crewai.llms.base_llm import BaseLLM
from crewai.memory.analyze import extract_memories_from_content

from ..engine.extraction.attribution import origin_of
from ..engine.operations import ItemDraft
from ..errors import log_line
from .task_parser import Turn

__all__ = ["extract_facts"]

_logger = logging.getLogger("memweld.crewai")


def extract_facts(turn: Turn, llm: BaseLLM | str) -> list[ItemDraft] | None:
    """The facts that a model of CrewAI's extracts from a turn, each with the speaker from whom it is learnt.

    None if its answer is unusable.
    """
    content = f"User: {turn}\nAssistant: {turn.answer}"
    try:
        model = LLM(model=llm) if isinstance(llm, str) else llm
        found = extract_memories_from_content(content, model)
    except HookAborted:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a model's client raises, nothing that was said is lost
        _logger.warning("CrewAI's model cannot extract, what the user said is kept as it is: %s", log_line(error))
        return None
    # CrewAI 1.15 answers with the text itself where the model failed.
    if found == [content]:
        return None
    from ..engine.statements import worth_keeping  # its tables take time

    said = ItemDraft(text=turn, is_kept=worth_keeping(turn, role="user"))
    read = [said, ItemDraft(text=turn.answer or "", role="assistant", is_kept=False)]
    facts = [fact.strip() for fact in found if fact.strip()]
    return [ItemDraft(text=fact, role=origin_of(fact, read).role) for fact in facts]
