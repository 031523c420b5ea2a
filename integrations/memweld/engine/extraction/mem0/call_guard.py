"""The guard of a call through mem0: which scope mem0 may touch, and what its callbacks need to know.

mem0 2.2 checks no owner when it reads, changes or deletes by id. It lets a caller's filters replace the user, and
swallows what its store raises. Our stores ask the guard: outside a call they refuse, inside one they serve its scope
alone. The guard keeps what they raise for the caller.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ....errors import AccessDeniedError
from ....scope import Scope
from ...operations import ItemDraft, Search
from ...search.coverage import Ranked
from ...sql.item_rows import ItemRow, RowTemplate

if TYPE_CHECKING:
    from ...search.time_boost import TimedQuery

__all__ = ["Call", "CallGuard", "in_a_call"]


class _Depth(threading.local):
    """How many calls of any guard the current thread is in, one inside another."""

    calls = 0


_depth = _Depth()


def in_a_call() -> bool:
    """Whether mem0 works for memweld in the current thread."""
    return _depth.calls > 0


@dataclass(slots=True, kw_only=True)
class Call:
    """One call through mem0.

    Attributes:
        scope: The scope that mem0 may touch.
        drafts: The texts of an extraction.
        earlier: Messages of the session before this turn, the context of an extraction.
        template: The common columns of extracted facts; None where mem0 extracts nothing.
        search: The search that mem0 does; None where it extracts facts.
        timed: The query with the time that it names, if it does.
        changed: The row as it shall be, where mem0 changes one.
        found: What the search has shown to mem0, by id.
        stored: How many new facts mem0 has stored.
        error: The first error of a store.
    """

    scope: Scope
    drafts: Sequence[ItemDraft] = ()
    earlier: Sequence[dict[str, str]] = ()
    template: RowTemplate | None = None
    search: Search | None = None
    timed: TimedQuery | None = None
    changed: ItemRow | None = None
    found: dict[str, Ranked] = field(default_factory=dict[str, Ranked])
    stored: int = 0
    error: Exception | None = None


class CallGuard(threading.local):
    """Knows the call that the current thread is in."""

    _call: Call | None = None

    @property
    def call(self) -> Call:
        """The call of the current thread.

        Raises:
            AccessDeniedError: There is none: the program uses mem0 past the guard.
        """
        if self._call is None:
            raise AccessDeniedError("The vector store is memweld's own: use it through a Memory.")
        return self._call

    def validate(self, scope: Scope) -> Scope:
        """Compare the scope that mem0 names with the one of the call.

        mem0 2.2 lets a caller's ``AND`` and ``*`` replace the user in its filters.

        Raises:
            AccessDeniedError: It is another scope.
        """
        if scope != self.call.scope:
            raise AccessDeniedError(f"The call is for {self.call.scope}, and mem0 asked for rows of {scope}.")
        return scope

    @contextlib.contextmanager
    def entered(self, call: Call) -> Generator[Call]:
        """Let mem0 work for this call in the current thread.

        Raises:
            Exception: The first error of a store inside, whatever mem0 made of it.
        """
        before, self._call = self._call, call
        _depth.calls += 1
        try:
            yield call
            if call.error is not None:
                raise call.error
        except Exception as error:
            if call.error is not None and error is not call.error:
                raise call.error from error
            raise
        finally:
            self._call = before
            _depth.calls -= 1

    @contextlib.contextmanager
    def keeping_errors(self) -> Generator[None]:
        """Remember the first error of a store, because mem0 2.2 logs it and goes on."""
        try:
            yield
        except Exception as error:
            if self._call is not None:
                self._call.error = self._call.error or error
            raise
