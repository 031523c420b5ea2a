"""What a consolidation changes: its plan, and the receipt that undoes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

from .display import MOST_ROWS, Readable, html_table
from .errors import invalid
from .models import JSON, MemoryItem

__all__ = ["ConsolidationPlan", "ConsolidationReceipt", "ConsolidationStep", "ItemChange", "StepKind"]

T = TypeVar("T", bound="_Written")

StepKind: TypeAlias = Literal["merge", "expire", "drop_versions", "summarize"]
"""What a step does: it merges memories that say the same, deletes expired ones, deletes earlier versions of a memory,
or has an LLM summarise a session."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ItemChange(Readable):
    """A memory before and after a step.

    Attributes:
        before: As it was; None: the step added it.
        after: As it is; None: the step deleted it.
    """

    before: MemoryItem | None = None
    after: MemoryItem | None = None

    @property
    def memory_id(self) -> str:
        """The id of the memory."""
        item = self.before or self.after
        return "" if item is None else item.id


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ConsolidationStep(Readable):
    """One step.

    Attributes:
        kind: What it does.
        ids: The memories that it is about. Of a merge the first one stays, and supersedes the others. Of dropped
            versions: those that are deleted. Of a summary: the one that it supersedes, if any.
        texts: Their texts, in the same order; of a summary that is made the summary.
        reason: Why, in one line; of a step that was not done why not.
        session_id: The session that a summary is of.
        changes: The memories before and after; empty until the step is done.
    """

    kind: StepKind
    reason: str
    ids: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    session_id: str | None = None
    changes: tuple[ItemChange, ...] = ()


@cache
def _adapter(kind: type[Any]) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


class _Written(Readable):
    """The base of what a program stores as JSON."""

    __slots__ = ()
    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    def to_dict(self) -> dict[str, JSON]:
        """A JSON object of it, for `from_dict`. Times are in ISO 8601; what says nothing is left out."""
        return _adapter(type(self)).dump_python(self, mode="json", exclude_defaults=True, warnings=False, fallback=dict)

    @classmethod
    def from_dict(cls: type[T], data: Mapping[str, JSON]) -> T:
        """Read what `to_dict` gave.

        Raises:
            InvalidInputError: It is something else.
        """
        from pydantic import ValidationError

        try:
            return _adapter(cls).validate_python(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "it"
            remedy = "Pass what to_dict() returned."
            raise invalid(cls.__name__, place, first["msg"], remedy) from error


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ConsolidationPlan(_Written):
    """The steps that a consolidation would do. Nothing is changed yet.

    Attributes:
        steps: The steps.
        has_more: Whether more is left for another consolidation, because a plan has at most 500 steps.
        user_id: The user of the memory that it is for.
        agent_id: The agent.
    """

    steps: tuple[ConsolidationStep, ...] = ()
    has_more: bool = False
    user_id: str | None = None
    agent_id: str | None = None

    def _html(self) -> str:
        return _steps_table(self.steps, "A plan: nothing is changed yet")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ConsolidationReceipt(_Written):
    """The steps of a consolidation, or of its undoing, with all that undoes them.

    Attributes:
        done: The steps that were done.
        skipped: Those that were not, each with the reason.
        made_at: When (UTC).
        has_more: Whether more is left for another consolidation.
        user_id: The user of the memory that it is for.
        agent_id: The agent.
    """

    made_at: datetime
    done: tuple[ConsolidationStep, ...] = ()
    skipped: tuple[ConsolidationStep, ...] = ()
    has_more: bool = False
    user_id: str | None = None
    agent_id: str | None = None

    def _html(self) -> str:
        done = _steps_table(self.done, f"Done at {self.made_at:%Y-%m-%d %H:%M}")
        return done + (_steps_table(self.skipped, "Not done") if self.skipped else "")


def _steps_table(steps: tuple[ConsolidationStep, ...], title: str) -> str:
    rows = [{"kind": step.kind, "texts": "\n".join(step.texts), "reason": step.reason} for step in steps[:MOST_ROWS]]
    return html_table(rows, total=len(steps), title=title)
