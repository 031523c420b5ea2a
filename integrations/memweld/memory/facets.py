"""What a Memory offers beside free facts: preferences, tasks, state and history, from the engine's primitives."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, ItemsView, Iterator, Mapping, MutableMapping, ValuesView
from typing import Any

from ..engine.protocol import Engine, KeyedDraft
from ..errors import BackendUnavailableError, InvalidInputError, invalid
from ..models import JSON, ChatMessage, Hit, MemoryItem, TaskOutcome, ValueEntry, ValueWrite
from ..scope import Scope
from ..validation import (
    validate_json,
    validate_key,
    validate_kinds,
    validate_limit,
    validate_metadata,
    validate_prefix,
    validate_text,
    validate_ttl,
)
from .messages import MessagesLike, to_messages

__all__ = ["History", "Preferences", "State", "Tasks"]

_MAX_CONFLICTS = 10_000
_PAGE = 10_000
_ENTRIES = 500


def _keyed(engine: Engine, scope: Scope, kind: str) -> Iterator[MemoryItem]:
    """All items of one kind that are kept in exactly this scope."""
    after: str | None = None
    while True:
        page = engine.list_items(scope, limit=_PAGE, after=after, kinds=validate_kinds(kind), filters={})
        yield from (item for item in page if item.agent_id == scope.agent_id)
        if len(page) < _PAGE:
            return
        after = page[-1].id


class Preferences:
    """What the user likes: exact by key, and found by meaning. A key belongs to exactly this scope."""

    def __init__(self, engine: Engine, scope: Scope) -> None:
        self._engine = engine
        self._scope = scope

    def set(self, key: str, value: JSON) -> MemoryItem:
        """Store a preference, replacing what the key held.

        Args:
            key: 1 to 512 characters, e.g. ``"theme"``.
            value: Any JSON value, nested at most 63 levels.

        Raises:
            InvalidInputError: The key or value breaks a rule.
        """
        key = validate_key("key", key)
        written = validate_json("value", value, maximum=65_536, inside=1)
        text = validate_text("preference", f"{key}: {value if isinstance(value, str) else written}")
        return self._engine.put_keyed(
            self._scope, KeyedDraft(kind="preference", key=key, text=text, metadata={"value": value})
        )

    def get(self, key: str, default: JSON = None) -> JSON:
        """The preference's value, or ``default`` where none is set."""
        item = self._engine.get_keyed(self._scope, "preference", validate_key("key", key))
        return default if item is None else item.metadata.get("value")

    def all(self) -> dict[str, JSON]:
        """All preferences, by key."""
        items = _keyed(self._engine, self._scope, "preference")
        return {item.key: item.metadata.get("value") for item in items if item.key is not None}

    def search(self, query: str, *, limit: int = 5) -> list[Hit]:
        """The preferences that fit a question, best first."""
        query = validate_text("query", query)
        kinds = validate_kinds("preference")
        return self._engine.search_items(self._scope, query, limit=validate_limit(limit), kinds=kinds, filters={})

    def delete(self, key: str) -> bool:
        """Forget the preference; whether there was one."""
        item = self._engine.get_keyed(self._scope, "preference", validate_key("key", key))
        if item is not None:
            self._engine.delete_item(self._scope, item.id)
        return item is not None


def _outcome(item: MemoryItem, *, score: float) -> TaskOutcome:
    metadata = dict(item.metadata)
    outcome = metadata.pop("outcome", item.text)
    success = metadata.pop("success", None)
    return TaskOutcome(
        task_id=item.key or item.id,
        outcome=outcome,
        success=success,
        metadata=metadata,
        recorded_at=item.updated_at,
        score=score,
    )


class Tasks:
    """What came of the user's tasks: exact by id, and similar ones found by meaning."""

    def __init__(self, engine: Engine, scope: Scope) -> None:
        self._engine = engine
        self._scope = scope

    def record(
        self,
        task_id: str,
        *,
        outcome: str,
        success: bool | None = None,
        metadata: Mapping[str, JSON] | None = None,
    ) -> TaskOutcome:
        """Record what came of a task, replacing an earlier outcome of it.

        Args:
            task_id: 1 to 512 characters; a name that says something (``"ship-42"``) helps to find similar tasks.
            outcome: What happened, in words.
            success: Whether it went well; None where that is not known.
            metadata: Your own JSON data; the keys ``outcome`` and ``success`` are taken.

        Raises:
            InvalidInputError: An argument breaks a rule.
        """
        task_id = validate_key("task_id", task_id)
        outcome = validate_text("outcome", outcome)
        if success is not None and not isinstance(success, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid("success", success, "it must be true, false or null", "Say whether the task went well.")
        own = validate_metadata(metadata)
        if taken := {"outcome", "success"} & set(own):
            raise invalid("metadata", own, f"the key {min(taken)!r} is taken", "Rename it.")
        verdict = {True: " (succeeded)", False: " (failed)", None: ""}[success]
        draft = KeyedDraft(
            kind="task",
            key=task_id,
            text=validate_text("task", f"{task_id}: {outcome}{verdict}"),
            metadata={**own, "outcome": outcome, "success": success},
        )
        return _outcome(self._engine.put_keyed(self._scope, draft), score=1.0)

    def context(self, task_id: str, *, limit: int = 5) -> list[TaskOutcome]:
        """What is known for a task: its own outcome first (score 1.0), then those of similar tasks.

        Args:
            task_id: The id of a recorded task, or a description of a new one.
            limit: How many outcomes at most.
        """
        task_id = validate_key("task_id", task_id)
        limit = validate_limit(limit)
        own = self._engine.get_keyed(self._scope, "task", task_id)
        outcomes = [] if own is None else [_outcome(own, score=1.0)]
        query = task_id if own is None else own.text
        kinds = validate_kinds("task")
        hits = self._engine.search_items(self._scope, query, limit=limit + 1, kinds=kinds, filters={})
        similar = (hit for hit in hits if own is None or hit.id != own.id)
        outcomes += [_outcome(hit, score=hit.score) for hit in similar]
        return outcomes[:limit]


class _Items(ItemsView[str, JSON]):
    """Keys and values, read by the page."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._state = state

    def __iter__(self) -> Iterator[tuple[str, JSON]]:
        return ((entry.key, entry.value) for entry in self._state.entries())


class _Values(ValuesView[JSON]):
    """Values, read by the page."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._state = state

    def __iter__(self) -> Iterator[JSON]:
        return (entry.value for entry in self._state.entries())


class State(MutableMapping[str, JSON]):
    """Key-value pairs of one namespace: any JSON value, exact, shared by all processes on the backend.

    A `MutableMapping`; `set`, `get`, `delete` and `list_keys` are the same by the names of key-value stores.
    """

    def __init__(self, engine: Engine, scope: Scope, namespace: str) -> None:
        self._engine = engine
        self._scope = scope
        self.namespace = validate_key("namespace", namespace)

    def set(self, key: str, value: JSON, *, ttl: float | None = None, text: str | None = None) -> None:
        """Store a value, replacing what the key held together with its end and its text.

        Args:
            key: 1 to 512 characters.
            value: Any JSON value of at most 16 M characters.
            ttl: Seconds after which the value is gone; None keeps it.
            text: What the value says, in words: by it the value is found as a memory of the kind ``record``, in
                searches and recalls of every framework. It goes with the value.

        Raises:
            InvalidInputError: An argument breaks a rule.
        """
        validate_json("value", value)
        checked = None if text is None else validate_text("text", text)
        key = validate_key("key", key)
        self._engine.put_value(self._scope, self.namespace, key, value, text=checked, ttl=validate_ttl(ttl))

    def get(self, key: str, default: JSON = None) -> JSON:
        """The value, or ``default`` where the key holds none."""
        stored = self._engine.get_value(self._scope, self.namespace, validate_key("key", key))
        return default if stored is None else stored.value

    def delete(self, key: str) -> bool:
        """Remove the key; whether it was there."""
        return self._engine.delete_value(self._scope, self.namespace, validate_key("key", key))

    def list_keys(self) -> list[str]:
        """All keys, sorted."""
        return self._engine.list_keys(self._scope, self.namespace)

    def update(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, key: Any = (), fn: Callable[[JSON], JSON] | None = None, /, *, default: JSON = None, **values: JSON
    ) -> JSON:
        """Change one value atomically: ``state.update("count", lambda n: n + 1, default=0)``.

        ``fn`` gets the current value (``default`` where there is none) and returns the new one. It is called again
        when another thread, process or machine wrote in between, so it must have no side effects. As after `set`
        without them, the value has no end and no text then. Without ``fn`` this is the ordinary
        `MutableMapping.update`, key by key.

        Returns:
            The value that was stored; None without ``fn``.
        """
        if fn is None:
            super().update(key, **values)
            return None
        key = validate_key("key", key)
        value = None
        for _ in self._attempts(key):
            stored = self._engine.get_value(self._scope, self.namespace, key)
            value = fn(default if stored is None else stored.value)
            validate_json("value", value)
            version = 0 if stored is None else stored.version
            if self._engine.put_value(self._scope, self.namespace, key, value, if_version=version) is not None:
                break
        return value

    def pop(self, key: str, *default: JSON) -> JSON:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Remove the key and return its value, atomically: of several that pop at once one gets it, and none is lost.

        Raises:
            KeyError: There is none, and no default was given.
        """
        key = validate_key("key", key)
        for _ in self._attempts(key):
            stored = self._engine.get_value(self._scope, self.namespace, key)
            if stored is None:
                break
            if self._engine.delete_value(self._scope, self.namespace, key, if_version=stored.version):
                return stored.value
        if default:
            return default[0]
        raise KeyError(key)

    def popitem(self) -> tuple[str, JSON]:
        """Remove the first key and return it with its value, atomically as `pop`.

        Raises:
            KeyError: There is none.
        """
        for _ in self._attempts("the first"):
            page = self._engine.scan_values(self._scope, self.namespace, limit=1)
            if not page:
                break
            (first,) = page
            if self._engine.delete_value(self._scope, self.namespace, first.key, if_version=first.version):
                return first.key, first.value
        raise KeyError("there is no key")

    def setdefault(self, key: str, default: JSON = None) -> JSON:
        """The value of the key, or ``default``, which is stored then: of several at once one stores, and all get that.

        Raises:
            InvalidInputError: The key or value breaks a rule.
        """
        key = validate_key("key", key)
        validate_json("value", default)
        for _ in self._attempts(key):
            stored = self._engine.get_value(self._scope, self.namespace, key)
            if stored is not None:
                return stored.value
            if self._engine.put_value(self._scope, self.namespace, key, default, if_version=0) is not None:
                break
        return default

    def _attempts(self, key: str) -> Iterator[None]:
        """As many as are worth while, some time apart, to change what others change at the same time."""
        for attempt in range(_MAX_CONFLICTS):
            yield
            time.sleep(random.uniform(0, min(0.0005 * (attempt + 1), 0.02)))  # noqa: S311 - jitter, not a secret
        raise BackendUnavailableError(
            f"The state {key!r} in {self.namespace!r} changed {_MAX_CONFLICTS} times under an update; try again later."
        )

    def clear(self) -> None:
        """Remove all keys."""
        gone = [ValueWrite(namespace=self.namespace, key=key, delete=True) for key in self.list_keys()]
        if gone:
            self._engine.write_values(self._scope, gone)

    def entries(self, prefix: str = "") -> Iterator[ValueEntry]:
        """Values with their keys and times, sorted by key; only keys that begin with ``prefix``.

        Raises:
            InvalidInputError: The prefix can begin no key.
        """
        return self._pages(validate_prefix("prefix", prefix))

    def _pages(self, prefix: str) -> Iterator[ValueEntry]:
        after: str | None = None
        while True:
            page = self._engine.scan_values(self._scope, self.namespace, prefix=prefix, after=after, limit=_ENTRIES)
            yield from page
            if len(page) < _ENTRIES:
                return
            after = page[-1].key

    def items(self) -> ItemsView[str, JSON]:
        """Keys and values, sorted by key."""
        return _Items(self)

    def values(self) -> ValuesView[JSON]:
        """Values, sorted by key."""
        return _Values(self)

    def __getitem__(self, key: str) -> JSON:
        stored = self._engine.get_value(self._scope, self.namespace, validate_key("key", key))
        if stored is None:
            raise KeyError(key)
        return stored.value

    def __setitem__(self, key: str, value: JSON) -> None:
        self.set(key, value)

    def __delitem__(self, key: str) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str):
            return False
        try:
            return self._engine.get_value(self._scope, self.namespace, validate_key("key", key)) is not None
        except InvalidInputError:
            return False

    def __iter__(self) -> Iterator[str]:
        return iter(self.list_keys())

    def __len__(self) -> int:
        return len(self.list_keys())

    def __repr__(self) -> str:
        return f"<State {self.namespace!r} of {self._scope}>"


class History:
    """The messages of one session, in order, readable from every framework."""

    def __init__(self, engine: Engine, scope: Scope, session_id: str) -> None:
        self._engine = engine
        self._scope = scope
        self.session_id = validate_key("session_id", session_id)

    def append(self, messages: MessagesLike) -> list[ChatMessage]:
        """Append one message or several, all or none.

        Args:
            messages: `ChatMessage` or ``{"role", "content", …}``, one or a list; a bare string is said by the user.

        Returns:
            The messages as stored, with their ids and times.

        Raises:
            InvalidInputError: A message breaks a rule; nothing was appended.
        """
        appended = to_messages(messages)
        self._engine.append_messages(self._scope, self.session_id, appended)
        return appended

    def add_user_message(self, content: str) -> ChatMessage:
        """Append what the user said."""
        return self.append({"role": "user", "content": content})[0]

    def add_ai_message(self, content: str) -> ChatMessage:
        """Append what the assistant said."""
        return self.append({"role": "assistant", "content": content})[0]

    def messages(self, limit: int | None = None, before: str | None = None) -> list[ChatMessage]:
        """The last ``limit`` messages, oldest first; all where it is None.

        Args:
            limit: How many at most.
            before: The id of a message: only those that stand before it. With the id of a page's first message it
                gives the page before.

        Raises:
            MemoryNotFoundError: The session has no message with the id ``before``.
        """
        checked = None if limit is None else validate_limit(limit, maximum=1_000_000)
        place = None if before is None else validate_key("before", before)
        return self._engine.read_messages(self._scope, self.session_id, limit=checked, before=place)

    def clear(self) -> int:
        """Delete the session; how many messages it had."""
        return self._engine.clear_messages(self._scope, self.session_id)

    def __repr__(self) -> str:
        return f"<History {self.session_id!r} of {self._scope}>"
