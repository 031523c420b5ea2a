"""Preferences: what the user likes, exact by key and found by meaning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta

from ..display import MOST_ROWS, Displayed, ResultList, html_table
from ..engine.operations import DeleteKeyed, GetKeyed, ItemVersions, ListItems, PutKeyed, Search
from ..engine.protocol import Engine
from ..errors import MemoryNotFoundError
from ..models import JSON, Hit, MemoryItem
from ..scope import Scope
from ..validation import MAX_LIMIT, validate_end, validate_json
from .asynchronous import AsyncFacade, async_method

__all__ = ["AsyncPreferences", "Preferences", "keyed_versions"]

_MAX_CHARACTERS = 65_536


class Preferences(Displayed):
    """The user's preferences: exact by key, and found by meaning. A key belongs to exactly this scope."""

    def __init__(self, engine: Engine, scope: Scope, *, timezone: str | None = None) -> None:
        self._engine = engine
        self._scope = scope
        self._timezone = timezone

    def __repr__(self) -> str:
        return f"<Preferences of {self._scope}>"

    def _html(self) -> str:
        items = self._engine.run(self._scope, ListItems(limit=MOST_ROWS, kinds=["preference"], newest_first=True)).items
        own = (item for item in items if item.agent_id == self._scope.agent_id)
        rows = [{"key": item.key, "value": item.metadata.get("value"), "updated_at": item.updated_at} for item in own]
        return html_table(rows, title=repr(self))

    def set(
        self,
        key: str,
        value: JSON,
        *,
        expires_at: datetime | date | str | None = None,
        ttl: float | timedelta | None = None,
    ) -> MemoryItem:
        """Store a preference in the place of what the key held, which becomes an earlier version.

        Args:
            key: 1 to 512 characters, e.g. ``"theme"``.
            value: Any JSON value of at most 65,536 characters, nested at most 63 levels.
            expires_at: When it is deleted, together with its earlier values. Set again without an end, it stays.
            ttl: The same as seconds or a timedelta from now.

        Raises:
            InvalidInputError: An argument breaks a rule.
        """
        written = validate_json("value", value, maximum=_MAX_CHARACTERS, inside=1)
        text = f"{key}: {value if isinstance(value, str) else written}"
        end = validate_end(expires_at, ttl, self._timezone)
        operation = PutKeyed(kind="preference", key=key, text=text, metadata={"value": value}, expires_at=end)
        return self._engine.run(self._scope, operation)

    def get(self, key: str, default: JSON = None) -> JSON:
        """The preference's value, or ``default`` where none is set."""
        item = self._engine.run(self._scope, GetKeyed(kind="preference", key=key))
        return default if item is None else item.metadata.get("value")

    def all(self) -> dict[str, JSON]:
        """All preferences, by key."""
        # The scope of a user contains what agents store of the user under keys of their own.
        own = (item for item in self._items() if item.agent_id == self._scope.agent_id)
        return {item.key: item.metadata.get("value") for item in own if item.key is not None}

    def _items(self) -> Iterator[MemoryItem]:
        page = ListItems(limit=MAX_LIMIT, kinds=["preference"])
        while True:
            answer = self._engine.run(self._scope, page)
            yield from answer.items
            if answer.next is None:
                return
            page = replace(page, cursor=answer.next)

    def search(self, query: str, *, limit: int = 5) -> list[Hit]:
        """The preferences that fit a question, best first."""
        return ResultList(self._engine.run(self._scope, Search(query=query, limit=limit, kinds=["preference"])))

    def versions(self, key: str) -> list[MemoryItem]:
        """The values that the key held and holds, oldest first, each as ``item.metadata["value"]``; empty: none is set.

        Setting an equal value again makes no version. Up to 100 earlier values stay.
        """
        return keyed_versions(self._engine, self._scope, GetKeyed(kind="preference", key=key))

    def delete(self, key: str) -> bool:
        """Forget the preference and its earlier values; whether there was one."""
        return self._engine.run(self._scope, DeleteKeyed(kind="preference", key=key))


def keyed_versions(engine: Engine, scope: Scope, keyed: GetKeyed) -> ResultList[MemoryItem]:
    """What a key held and holds, oldest first."""
    item = engine.run(scope, keyed)
    if item is None:
        return ResultList()
    try:
        return ResultList(engine.run(scope, ItemVersions(memory_id=item.id)))
    except MemoryNotFoundError:
        return ResultList()  # deleted meanwhile


class AsyncPreferences(AsyncFacade[Preferences]):
    """`Preferences` for async code."""

    set = async_method(Preferences.set, lane="write")
    get = async_method(Preferences.get)
    all = async_method(Preferences.all)
    search = async_method(Preferences.search, lane="search")
    versions = async_method(Preferences.versions)
    delete = async_method(Preferences.delete)
