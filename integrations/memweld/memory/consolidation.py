"""The methods of a Memory that tidy it up, and take that back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, overload

from ..consolidation import ConsolidationPlan, ConsolidationReceipt
from ..engine.operations import Consolidate, PlanConsolidation, UndoConsolidation
from ..engine.protocol import Engine
from ..errors import invalid
from ..models import JSON
from ..scope import Scope
from ..validation import validate_flag

__all__ = ["ConsolidationMethods"]


class ConsolidationMethods:
    """The methods of `Memory` for consolidations."""

    _engine: Engine
    scope: Scope
    timezone: str | None

    @overload
    def consolidate(
        self, *, dry_run: Literal[True] | None = None, keep_versions: int | None = None, summarize: bool = True
    ) -> ConsolidationPlan: ...
    @overload
    def consolidate(
        self, *, dry_run: Literal[False], keep_versions: int | None = None, summarize: bool = True
    ) -> ConsolidationReceipt: ...
    @overload
    def consolidate(
        self, *, plan: ConsolidationPlan | Mapping[str, JSON], dry_run: Literal[False] | None = None
    ) -> ConsolidationReceipt: ...
    def consolidate(
        self,
        *,
        dry_run: bool | None = None,
        keep_versions: int | None = None,
        summarize: bool = True,
        plan: ConsolidationPlan | Mapping[str, JSON] | None = None,
    ) -> ConsolidationPlan | ConsolidationReceipt:
        """Merge memories that say the same, delete what has expired, and have the LLM summarise long sessions.

        Memories are merged if they say the same in the same words (see the guide), never because they are alike. The
        latest one stays; the others become earlier versions of it. It gets their sessions, metadata and pin.

        Args:
            dry_run: True, or not given without ``plan``: only plan, which changes nothing and asks no LLM. False: plan,
                and do it.
            keep_versions: So many earlier versions of each memory stay, the first and the latest ones; the others are
                deleted. None: all stay.
            summarize: Whether sessions with 40 new messages are summarised; only with an LLM.
            plan: Do this plan, which a dry run returned, or its ``to_dict()``.

        Returns:
            The plan; or, if it is done, the receipt, which `undo` takes.

        Raises:
            InvalidInputError: The plan is none, is of another memory, or a part of it breaks a rule; or it stands
                beside ``dry_run=True``.
            ConfigurationError: The LLM cannot be made.
        """
        if dry_run is not None:
            validate_flag("dry_run", dry_run)
        if plan is None:
            planning = PlanConsolidation(keep_versions=keep_versions, summarize=summarize, timezone=self.timezone)
            plan = self._engine.run(self.scope, planning)
            plan = replace(plan, user_id=self.scope.user_id, agent_id=self.scope.agent_id)
            if dry_run is not False:
                return plan
        elif dry_run:
            raise invalid("dry_run", dry_run, "a plan is what a dry run returns", "Leave dry_run out to do the plan.")
        elif isinstance(plan, Mapping):
            plan = ConsolidationPlan.from_dict(plan)
        elif not isinstance(plan, ConsolidationPlan):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid("plan", plan, "it is no plan", "Pass what consolidate() returned.")
        self._check_owner("plan", plan)
        return self._stamped(self._engine.run(self.scope, Consolidate(plan=plan, timezone=self.timezone)))

    def undo(self, receipt: ConsolidationReceipt | Mapping[str, JSON]) -> ConsolidationReceipt:
        """Take a consolidation back: texts, ids, times, pins and versions are as they were.

        A step stays as it is if a memory in it was changed since, and is then in ``skipped`` with the reason. What has
        expired does not come back.

        Args:
            receipt: What `consolidate` returned, or its ``to_dict()``, perhaps in another process.

        Returns:
            A receipt of the undoing, which `undo` takes back in turn.

        Raises:
            InvalidInputError: It is no receipt, is of another memory, or a part of it breaks a rule; nothing was
                written.
        """
        if isinstance(receipt, Mapping):
            receipt = ConsolidationReceipt.from_dict(receipt)
        elif not isinstance(receipt, ConsolidationReceipt):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid("receipt", receipt, "it is no receipt", "Pass what consolidate() returned.")
        self._check_owner("receipt", receipt)
        return self._stamped(self._engine.run(self.scope, UndoConsolidation(receipt=receipt)))

    def _stamped(self, receipt: ConsolidationReceipt) -> ConsolidationReceipt:
        return replace(receipt, user_id=self.scope.user_id, agent_id=self.scope.agent_id)

    def _check_owner(self, name: str, made: ConsolidationPlan | ConsolidationReceipt) -> None:
        """Refuse a plan or a receipt of another memory, without a look at its ids."""
        if made.user_id is None and made.agent_id is None:
            return  # a program wrote it; a step about memories of others is skipped
        if self.scope.user_id != made.user_id or self.scope.agent_id not in (None, made.agent_id):
            owner = str(Scope(user_id=made.user_id, agent_id=made.agent_id))
            raise invalid(name, owner, f"it belongs to {owner}, not to {self.scope}", "Use that memory.")
