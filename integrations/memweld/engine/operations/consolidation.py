"""Operations that tidy up the memory of a scope: plan, do it, take it back."""

from dataclasses import dataclass
from typing import Annotated, get_args

from ...consolidation import ConsolidationPlan, ConsolidationReceipt, ConsolidationStep, StepKind
from ...errors import invalid
from ..export_data import validate_item
from .base import Key, Lane, Operation, between
from .operands import validate_keys

__all__ = ["MAX_STEPS", "Consolidate", "PlanConsolidation", "UndoConsolidation", "validate_receipt"]

MAX_STEPS = 500
"""So many steps a plan has at most."""

_REMEDY = "Pass what Memory.consolidate() returned."


def _validate_steps(name: str, steps: tuple[ConsolidationStep, ...]) -> None:
    """Apply the rules for input to steps, and to the items in them.

    Raises:
        InvalidInputError: A part breaks one.
    """
    if len(steps) > MAX_STEPS:
        raise invalid(name, len(steps), f"it has at most {MAX_STEPS} steps", _REMEDY)
    for step in steps:
        if step.kind not in get_args(StepKind):
            raise invalid("kind", step.kind, f"it is one of {', '.join(get_args(StepKind))}", _REMEDY)
        validate_keys("ids", step.ids)
        for change in step.changes:
            items = tuple(item for item in (change.before, change.after) if item is not None)
            if not items or len({item.id for item in items}) > 1:
                raise invalid("changes", change.memory_id, "each is about one memory", _REMEDY)
            if items[0].kind == "record" or items[-1].kind == "record":
                raise invalid("kind", "record", "a record changes with its state value alone", _REMEDY)
            for item in items:
                validate_item(item)


def _validate_plan(name: str, plan: ConsolidationPlan) -> ConsolidationPlan:
    _validate_steps(name, plan.steps)
    return plan


def validate_receipt(name: str, receipt: ConsolidationReceipt) -> ConsolidationReceipt:
    """Apply the rules for input to a receipt.

    Raises:
        InvalidInputError: A part breaks one.
    """
    _validate_steps(name, receipt.done)
    return receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanConsolidation(Operation[ConsolidationPlan]):
    """The steps that would tidy up the scope. Nothing is changed, and no LLM is asked.

    Attributes:
        keep_versions: So many earlier versions of a memory stay: the first and the latest ones; None: all.
        summarize: Whether long sessions are summarised; without an LLM none is.
        timezone: The zone in which days begin (see `Search.timezone`).
    """

    read_only = True
    usual_lane = "search"

    keep_versions: Annotated[int, between(0, 1_000)] | None = None
    summarize: bool = True
    timezone: Key | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consolidate(Operation[ConsolidationReceipt]):
    """Do the steps of a plan in one transaction, and answer with all that takes them back.

    A step is skipped if a memory in it was changed after the plan was made, or if the LLM fails.

    Attributes:
        plan: The plan.
        timezone: The zone in which days begin (see `Search.timezone`).
    """

    changes_items = True
    overwrites = True

    plan: Annotated[ConsolidationPlan, _validate_plan]
    timezone: Key | None = None

    @property
    def lane(self) -> Lane:
        """The reason why it may wait: the LLM if it summarises."""
        return "llm" if any(step.kind == "summarize" for step in self.plan.steps) else "write"

    @property
    def is_repeatable(self) -> bool:
        """The answer is the only receipt."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoConsolidation(Operation[ConsolidationReceipt]):
    """Take back the steps of a receipt in one transaction; the answer takes that back.

    A step stays as it is, and is among the skipped ones, if a memory in it was changed after the receipt was made.
    """

    changes_items = True
    overwrites = True
    usual_lane = "write"

    receipt: Annotated[ConsolidationReceipt, validate_receipt]

    @property
    def is_repeatable(self) -> bool:
        """The second time its steps would count as changed meanwhile; and the answer is the only receipt."""
        return False
