"""The methods of a Memory on facts: add, search, read, change, delete, and what a graph links."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import cast

from ..display import ResultList
from ..engine.operations import (
    AddItems,
    ClearItems,
    DeleteItem,
    DeleteItems,
    DeleteMatching,
    GetEpoch,
    GetItem,
    ListItems,
    RelatedItems,
    Search,
    SettleGraph,
)
from ..errors import ConfigurationError, invalid
from ..models import JSON, Hit, Kind, MemoryItem, Page, Related, Source, Sources
from ..validation import (
    validate_end,
    validate_item_sources,
    validate_kinds,
    validate_moment,
    validate_score,
)
from .capture import drafts_of
from .change_methods import ChangeMethods, as_ids
from .messages import MessagesLike, to_messages

__all__ = ["FactMethods"]

DEFAULT_PAGE = 100


class FactMethods(ChangeMethods):
    """The methods of `Memory` for facts; see `ChangeMethods` for those that change them."""

    def add(
        self,
        messages: MessagesLike,
        *,
        metadata: Mapping[str, JSON] | None = None,
        infer: bool | None = None,
        session_id: str | None = None,
        created_at: datetime | date | str | None = None,
        valid_from: datetime | date | str | None = None,
        valid_until: datetime | date | str | None = None,
        supersedes: str | Sequence[str] | None = None,
        pinned: bool = False,
        expires_at: datetime | date | str | None = None,
        ttl: float | timedelta | None = None,
        source: Source | None = None,
    ) -> list[MemoryItem]:
        """Remember messages, or a text of the user.

        With an LLM configured, it extracts the facts; without one memweld stores each message verbatim. No answer of
        the LLM loses a text: the text behind new facts is kept as a ``source``. If the LLM finds no new fact, memweld
        stores the text itself; likewise if the LLM fails, with ``failed`` as the item's ``extraction``. A text that the
        scope has already is not stored twice: its item gains the metadata, the session and the time.

        Args:
            messages: Text, a message or a list of messages: ``{"role", "content"}``, or message objects of LangChain,
                OpenAI, CrewAI or AutoGen. System and tool messages state no facts and are left out.
            metadata: Your own JSON data, returned exactly and usable in filters.
            infer: Whether the LLM extracts; None means if there is one.
            session_id: The conversation it belongs to; neighbours in it help search.
            created_at: The time of the messages, for imports; if not given, each one's own ``created_at``, else now.
                Like all times here it is a datetime, ISO 8601 text, or a day, which means its first moment; without an
                offset, in the memory's zone.
            valid_from: When it becomes true; before, no search finds it.
            valid_until: When it stops being true; then no search finds it, but it is not lost (see `all`).
            supersedes: The id of a memory, or several, that the first new one replaces from ``valid_from`` on, else
                from ``created_at`` on. From then on searches leave them out, and `versions` shows them. None: those
                with another value of the same relation, such as the user's home; an empty list: none.
            pinned: Whether to `pin` the items, also those that the scope has already.
            expires_at: When it is deleted, with its versions; no answer contains them from then on. If the scope has
                the text already, the last `add` decides: without an end it stays.
            ttl: The same as seconds or a timedelta from now.
            source: Where it comes from: ``user``, ``assistant``, ``tool``, ``document``, ``import`` or ``agent``. If
                not given, the speaker of each message; an extracted fact has the source of its text.

        Returns:
            The items that hold it, in order, also those that the scope had already; ``item.conflicts`` are the ids of
            memories that are perhaps no longer true. Empty only if the scope was erased while the LLM was answering: an
            erasure drops earlier messages, too.

        Raises:
            InvalidInputError: An argument breaks a rule; nothing was written.
            MemoryNotFoundError: ``supersedes`` names a memory that this scope does not have.
            ConfigurationError: ``infer=True`` without an LLM.
        """
        drafts = drafts_of(to_messages(messages, timezone=self.timezone, named=False), ("user", "assistant"))
        if not drafts:
            raise invalid("messages", messages, "no message of the user or assistant has text", "Add what was said.")
        add = AddItems(
            drafts=drafts if created_at is None else [replace(draft, created_at=None) for draft in drafts],
            infer=self._wants_extraction(infer),
            metadata={} if metadata is None else metadata,
            session_id=session_id,
            created_at=self._moment("created_at", created_at),
            valid_from=self._moment("valid_from", valid_from),
            valid_until=self._moment("valid_until", valid_until),
            supersedes=None if supersedes is None else as_ids(supersedes),
            pinned=pinned,
            expires_at=validate_end(expires_at, ttl, self.timezone),
            # An LLM that finds nothing worth keeping does not overrule a caller who said: remember this.
            is_explicit=True,
            source=source,
            timezone=self.timezone,
        )
        if add.infer:
            add = replace(add, epoch=self._engine.run(self.scope, GetEpoch()))
        return ResultList(self._engine.run(self.scope, add))

    @property
    def can_extract(self) -> bool:
        """Whether an LLM extracts facts where ``infer`` is not False."""
        return self._engine.can_extract

    def _wants_extraction(self, infer: bool | None) -> bool:
        if infer and not self._engine.can_extract:
            raise ConfigurationError(
                "infer=True needs an LLM, and none is configured: give one to connect(llm=…), or leave infer out."
            )
        return self._engine.can_extract if infer is None else infer

    def search(
        self,
        query: str,
        *,
        limit: int = 5,
        kinds: Kind | Sequence[Kind] | None = None,
        sources: Sources | None = None,
        filters: Mapping[str, JSON] | None = None,
        min_score: float | None = None,
        recency: timedelta | None = None,
        ids: Collection[str] | None = None,
        session_id: str | None = None,
        after: datetime | date | str | None = None,
        before: datetime | date | str | None = None,
        explain: bool = False,
        include_inactive: bool = False,
        as_of: datetime | date | str | None = None,
        now: datetime | date | str | None = None,
    ) -> list[Hit]:
        """Find memories by meaning and by words, best first.

        A time in the query ("in March", "last week", "vor drei Tagen") ranks memories that were said or valid then
        higher. It is read in the time zone of the memory (see docs/how-to/times.md).

        Args:
            query: A question or some words; of a long text its last 4,000 characters.
            limit: How many at most, 1 to 10,000.
            kinds: Only these of ``item``, ``source``, ``preference``, ``task``, ``record``; all if not given. A source
                is found where the facts that an LLM extracted from it do not cover it.
            sources: Only from ``user``, ``assistant``, ``tool``, ``document``, ``import`` or ``agent``; or
                ``"trusted"``, all but what an LLM extracted from the words of the assistant or of a tool.
            filters: Conditions on metadata: ``{key: value}``, or operators, ``{"price": {"$gte": 3}}``: ``$eq``,
                ``$ne``, ``$gt``, ``$gte``, ``$lt``, ``$lte``, ``$in``, ``$nin``, ``$exists``, ``$contains``,
                ``$icontains``, ``$not``, and between conditions ``$and``, ``$or``, ``$not``; mem0's spelling, too.
            min_score: Only hits with at least this score, so that a question about something unknown finds nothing;
                with ``recency`` the score that age leaves.
            recency: The age at which a memory counts half; age does not count if not given.
            ids: Only the memories with these ids; all if not given.
            session_id: Only what belongs to this conversation.
            after: Only what was said at this time or later: a datetime, ISO 8601 text, or a day, which means its first
                moment; without an offset, in the memory's zone. A text that was added several times was said at each of
                these times.
            before: Only what was said before this time.
            explain: Give each hit the parts of its score as ``hit.explanation``.
            include_inactive: Also find memories that are superseded, or not valid now.
            as_of: Find memories that were valid at this time instead of now. A time in the query then has no effect.
            now: The moment from which a time in the query counts; now if not given.

        Raises:
            InvalidInputError: An argument breaks a rule.
        """
        least = validate_score("min_score", min_score)
        search = Search(
            query=query,
            limit=limit,
            kinds=validate_kinds(kinds),
            sources=validate_item_sources(sources),
            filters={} if filters is None else filters,
            recency=recency,
            ids=cast("Sequence[str] | None", ids),
            session_id=session_id,
            after=self._moment("after", after),
            before=self._moment("before", before),
            explain=explain,
            include_inactive=include_inactive,
            as_of=self._moment("as_of", as_of),
            now=self._moment("now", now),
            timezone=self.timezone,
        )
        hits = self._engine.run(self.scope, search)
        return ResultList(hits if least is None else [hit for hit in hits if hit.score >= least])

    def get(self, memory_id: str) -> MemoryItem:
        """The memory with this id.

        Raises:
            MemoryNotFoundError: There is none in this scope.
        """
        return self._engine.run(self.scope, GetItem(memory_id=memory_id))

    def all(
        self,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        kinds: Kind | Sequence[Kind] | None = None,
        sources: Sources | None = None,
        filters: Mapping[str, JSON] | None = None,
        session_id: str | None = None,
        pinned: bool = False,
        after: datetime | date | str | None = None,
        before: datetime | date | str | None = None,
        newest_first: bool = False,
        include_inactive: bool = False,
        as_of: datetime | date | str | None = None,
    ) -> Page:
        """Memories in the order in which they were stored, a page at a time.

        ``page.next`` is the cursor of the page behind it. It holds the position, so it continues in another process,
        and after memories were deleted.

        Args:
            limit: The size of the page, 1 to 10,000. If not given it is 100, and a warning says that more follow.
            cursor: ``page.next`` of the page before, or the id of a memory of this scope.
            kinds: Only these kinds; all but sources if not given.
            sources: See `search`.
            filters: See `search`.
            session_id: Only what belongs to this conversation.
            pinned: Only what is pinned.
            after: See `search`.
            before: See `search`.
            newest_first: Begin with what was stored last. Pass it with each cursor of such a list.
            include_inactive: Also list memories that are superseded, or not valid now.
            as_of: List what was held true at this time, not what is now.

        Raises:
            MemoryNotFoundError: ``cursor`` is no cursor and no memory of this scope.
        """
        operation = ListItems(
            limit=DEFAULT_PAGE if limit is None else limit,
            cursor=cursor,
            kinds=validate_kinds(kinds),
            sources=validate_item_sources(sources),
            filters={} if filters is None else filters,
            session_id=session_id,
            pinned=pinned,
            after=self._moment("after", after),
            before=self._moment("before", before),
            newest_first=newest_first,
            include_inactive=include_inactive,
            as_of=self._moment("as_of", as_of),
        )
        answer = self._engine.run(self.scope, operation)
        if limit is None and answer.next is not None:
            text = (
                f"all() returned the first {DEFAULT_PAGE} memories and more follow: pass cursor=page.next, or limit=."
            )
            warnings.warn(text, stacklevel=2)
        return Page(answer.items, next=answer.next)

    def delete(self, memory_id: str) -> None:
        """Delete a memory, and those that it supersedes; of a record the state value, too.

        Raises:
            MemoryNotFoundError: There is none in this scope.
        """
        self._engine.run(self.scope, DeleteItem(memory_id=memory_id))

    def delete_many(self, memory_ids: Sequence[str]) -> int:
        """Delete memories in one transaction, all or none; of a record the state value, too.

        Returns:
            How many of them this scope had.
        """
        return self._engine.run(self.scope, DeleteItems(memory_ids=memory_ids)) if memory_ids else 0

    def delete_all(
        self,
        *,
        kinds: Kind | Sequence[Kind] | None = None,
        sources: Sources | None = None,
        filters: Mapping[str, JSON] | None = None,
        session_id: str | None = None,
        after: datetime | date | str | None = None,
        before: datetime | date | str | None = None,
    ) -> int:
        """Delete the memories that meet all conditions, in one transaction, all or none.

        Each takes along its sources and what it supersedes. What is superseded or not valid now is deleted, too. A
        memory that other sessions also say is deleted as well; `History.clear` with ``facts=True`` keeps it for them.

        Args:
            kinds: Only these kinds. All but records if not given; a record takes its state value along.
            sources: See `search`.
            filters: See `search`.
            session_id: Only what belongs to this conversation.
            after: See `search`.
            before: See `search`.

        Returns:
            How many there were. One that supersedes others counts once; sources count where ``kinds`` names them.

        Raises:
            InvalidInputError: There is no condition (`clear` deletes all facts), or one breaks a rule.
        """
        operation = DeleteMatching(
            kinds=validate_kinds(kinds),
            sources=validate_item_sources(sources),
            filters={} if filters is None else filters,
            session_id=session_id,
            after=self._moment("after", after),
            before=self._moment("before", before),
        )
        return self._engine.run(self.scope, operation)

    def _moment(self, name: str, value: datetime | date | str | None) -> datetime | None:
        return validate_moment(name, value, self.timezone)

    def clear(self) -> int:
        """Delete all facts of the scope: items, preferences and tasks. State, its records and history stay.

        Returns:
            How many there were.
        """
        return self._engine.run(self.scope, ClearItems())

    # the graph

    def related(self, about: str, *, limit: int = 10) -> list[Related]:
        """The memories that the graph links to something, the closest first.

        Args:
            about: The name of an entity (a person, a place, …), or the id of a memory.
            limit: How many at most, 1 to 1,000.

        Returns:
            Memories with the entities that they have in common with it, and the path that leads to each. Empty where
            nothing is known of it.

        Raises:
            ConfigurationError: There is no graph (``connect(graph=…)``).
            BackendUnavailableError: The graph cannot be asked. Everything else works without it.
            InvalidInputError: An argument breaks a rule.
        """
        return ResultList(self._engine.run(self.scope, RelatedItems(about=about, limit=limit)))

    def settle_graph(self, timeout: float | None = None) -> bool:
        """Wait until the graph has all earlier changes of this scope.

        Args:
            timeout: Seconds to wait at most, up to 60; meanwhile a graph that is down is tried again. None: five
                seconds, and none if it was down some seconds ago.

        Returns:
            Whether it has; True where there is no graph. Later deliveries bring the rest.
        """
        seconds = None if timeout is None else min(max(timeout, 0.0), 60.0)
        return self._engine.run(self.scope, SettleGraph(timeout=seconds))
