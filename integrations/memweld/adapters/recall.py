"""Recall for a turn: one search, without what the model is shown anyway, written as one block."""

from __future__ import annotations

import functools
import threading
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass

from cachetools import TTLCache

from ..memory.asynchronous import in_thread
from ..memory.memory import Memory
from ..memory.profile import NO_PROFILE, Profile
from ..memory.recall import drop_already_shown, recall_lines, recall_query, write_block
from ..memory.recall_counts import count_recalls
from ..models import Hit
from ..scope import Scope
from ..validation import MAX_LIMIT
from .failures import FailurePolicy
from .options import TurnOptions

__all__ = ["RecallResult", "TurnRecall"]

# Some hits only repeat what the model is shown anyway. So a search asks for a few more; and for many more, where these
# are too few.
_FEW_SPARE, _MANY_SPARE = 5, 100
# One turn of each place, for as long as a turn may take: what is erased must not stay here as text.
_PLACES, _SECONDS = 1_024, 600.0


@dataclass(frozen=True, slots=True)
class RecallResult:
    """The result of a recall for one turn.

    Attributes:
        hits: The memories, best first.
        block: The text that shows them to a model, before the user's words; empty where there are none.
        profile: The user's profile for the system message; empty without the option ``profile``. Neither text repeats
            a memory of the other.
    """

    hits: Sequence[Hit] = ()
    block: str = ""
    profile: str = ""


class TurnRecall:
    """Recalls for the turns of one adapter object. Thread-safe; one object serves many users.

    Args:
        options: The options of the adapter.
        failures: What a failing search does to the run.
    """

    def __init__(self, options: TurnOptions, failures: FailurePolicy) -> None:
        self.options = options
        self._failures = failures
        self._turns: TTLCache[Hashable, tuple[Scope, Hashable, RecallResult]] = TTLCache(_PLACES, _SECONDS)
        self._profiles: TTLCache[Hashable, Profile] = TTLCache(_PLACES, _SECONDS)
        self._lock = threading.Lock()

    def recall(
        self,
        memory: Memory,
        text: str,
        *,
        session_id: str | None = None,
        shown: Collection[str] = (),
        turn: Hashable = None,
        place: Hashable = None,
    ) -> RecallResult:
        """Find the memories that fit a text.

        Args:
            memory: The user's memory.
            text: The user's words; of a long text the end is the query. Blank text finds nothing.
            session_id: The session of the turn.
            shown: The texts that the model is shown anyway; memories of this session that repeat one are left out.
            turn: The id of the turn: its further calls get the first one's result. None searches each time.
            place: Where the turn runs, if one user may have several turns at once: a stream, a context. Each place
                remembers its latest turn.

        Raises:
            MemweldError: The search fails and ``on_error`` is ``raise``.
        """
        known = self._known(memory, turn, place)
        if known is not None:
            return known
        profile = self.profile(memory, session_id=session_id, shown=shown, place=place)
        hits = self.search(memory, text, session_id=session_id, shown=shown, profile=profile)
        recalled = self.select(memory, hits, session_id=session_id, shown=shown, query=text, profile=profile)
        count_recalls(memory, recalled.hits)
        if turn is not None:
            with self._lock:
                self._turns[_key(memory, place)] = (memory.scope, turn, recalled)
        return recalled

    async def recall_async(
        self,
        memory: Memory,
        text: str,
        *,
        session_id: str | None = None,
        shown: Collection[str] = (),
        turn: Hashable = None,
        place: Hashable = None,
    ) -> RecallResult:
        """`recall` for async code; a turn that is known needs no thread."""
        known = self._known(memory, turn, place)
        if known is not None:
            return known
        work = functools.partial(self.recall, memory, text, session_id=session_id, shown=shown, turn=turn, place=place)
        return await in_thread(work, lane="search")

    def profile(
        self,
        memory: Memory,
        *,
        session_id: str | None = None,
        shown: Collection[str] = (),
        place: Hashable = None,
    ) -> Profile:
        """The user's profile, as it was when the session's first turn here began, as long as that still holds.

        The session itself says what is new since. A text that stays remains in a provider's cache.

        Raises:
            MemweldError: It cannot be read and ``on_error`` is ``raise``.
        """
        if not self.options.profile_budget:
            return NO_PROFILE
        key = (memory.scope, place if session_id is None else session_id)
        with self._lock:
            known = self._profiles.get(key)
        with self._failures.guard("the profile"):
            profile = memory.profile(budget=self.options.profile_budget, shown=shown, earlier=known)
            sources = self.options.sources
            if isinstance(sources, tuple):
                profile = profile.without(lambda item: item.source not in sources)
            with self._lock:
                self._profiles[key] = profile
            return profile
        return NO_PROFILE

    def search(
        self,
        memory: Memory,
        text: str,
        *,
        session_id: str | None = None,
        shown: Collection[str] = (),
        profile: Profile = NO_PROFILE,
    ) -> list[Hit]:
        """The candidates: more than `recall_limit`, as some of them may only repeat what the model is shown anyway.

        Raises:
            MemweldError: The search fails and ``on_error`` is ``raise``.
        """
        limit = self.options.recall_limit
        query = recall_query(text) if limit else ""
        if not query:
            return []
        with self._failures.guard("recall"):
            known = len(shown) + len(profile.whole_ids)
            few, many = (min(limit + min(known, spare), MAX_LIMIT) for spare in (_FEW_SPARE, _MANY_SPARE))
            hits = memory.search(query, limit=few, **self.options.search)
            fitting = self.options.fitting(hits, query)
            if few == many or len(hits) < few:
                return fitting
            new = drop_already_shown(fitting, session_id=session_id, shown=shown)
            if sum(hit.id not in profile.whole_ids for hit in new) >= limit:
                return fitting
            return self.options.fitting(memory.search(query, limit=many, **self.options.search), query)
        return []

    def select(
        self,
        memory: Memory,
        hits: Sequence[Hit],
        *,
        session_id: str | None,
        shown: Iterable[str],
        query: str = "",
        profile: Profile = NO_PROFILE,
    ) -> RecallResult:
        """Of the candidates those that say something new to the model, within the options' limits."""
        if any(hit.session_id == session_id for hit in hits):
            hits = drop_already_shown(hits, session_id=session_id, shown=shown)
        in_profile = profile.whole_ids
        hits = [hit for hit in hits if hit.id not in in_profile][: self.options.recall_limit]
        lines = recall_lines(hits, budget=self.options.recall_budget, query=query, timezone=memory.timezone)
        return RecallResult([hit for hit, _ in lines], write_block(line for _, line in lines), str(profile))

    def _known(self, memory: Memory, turn: Hashable, place: Hashable) -> RecallResult | None:
        if self.options.recall_limit == 0 and not self.options.profile_budget:
            return RecallResult()
        if turn is None:
            return None
        with self._lock:
            scope, latest, recalled = self._turns.get(_key(memory, place), (None, None, None))
        return recalled if scope == memory.scope and latest == turn else None


def _key(memory: Memory, place: Hashable) -> Hashable:
    return memory.scope if place is None else place
