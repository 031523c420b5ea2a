"""The plans that CrewAI's planner appends to the descriptions of tasks: a model's words, and not the user's."""

from __future__ import annotations

import functools
import hashlib
import threading
from typing import Any

from cachetools import LRUCache
from crewai import Crew

__all__ = ["note_plans", "without_plan"]

_MAX_PLANS = 256
# By the digest of a description with its plan: its length, and that without the plan. The text must not stay here.
_plans: LRUCache[str, tuple[int, int]] = LRUCache(_MAX_PLANS)
_lock = threading.Lock()


def without_plan(text: str) -> str:
    """A text that begins with a task's description, without the plan in it."""
    with _lock:
        # The longest first: a crew that is kicked off again appends a plan to a plan.
        plans = sorted(_plans.items(), key=lambda plan: -plan[1][0])
    digests: dict[int, str] = {}
    for digest, (length, kept) in plans:
        if length <= len(text) and digests.setdefault(length, _digest(text[:length])) == digest:
            return text[:kept] + text[length:]
    return text


def note_plans() -> None:
    """Let each crew note where its planner's text begins. Later calls change nothing.

    CrewAI 1.15 appends the plan to ``Task.description``, and hands a memory that text alone.
    """
    name = "_handle_crew_planning"
    original = getattr(Crew, name, None)
    if original is None or hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def handle_crew_planning(self: Crew) -> Any:
        before = [task.description for task in self.tasks]
        result = original(self)
        for description, task in zip(before, self.tasks, strict=True):
            if task.description != description and task.description.startswith(description):
                _note(description, task.description)
        return result

    setattr(Crew, name, handle_crew_planning)


def _note(description: str, planned: str) -> None:
    # A crew that is kicked off again may have a plan in its description already.
    kept = len(without_plan(description))
    with _lock:
        _plans[_digest(planned)] = len(planned), kept


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
