"""State: key-value pairs of one namespace, a mapping that all processes on the backend share."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, ItemsView, Iterator, MutableMapping, ValuesView
from typing import Any

from ..display import Displayed, html_table
from ..engine.operations import DeleteValue, GetValue, Lane, ListKeys, PutValue, ScanValues, StoredValue, WriteValues
from ..engine.protocol import Engine
from ..errors import BackendUnavailableError, InvalidInputError
from ..models import JSON, ValueEntry, ValueWrite
from ..scope import Scope
from ..validation import validate_json, validate_key, validate_prefix
from .asynchronous import AsyncFacade, async_list, async_method

__all__ = ["AsyncState", "State"]

_MAX_ATTEMPTS = 10_000
_PAGE = 500
_SHOWN = 20


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


class State(MutableMapping[str, JSON], Displayed):
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
            ttl: Seconds after which the value expires; None: never.
            text: What the value says, in words: searches and recalls of every framework find the value by it, as a
                memory of the kind ``record``. It goes with the value.

        Raises:
            InvalidInputError: An argument breaks a rule.
        """
        put = PutValue(namespace=self.namespace, key=key, value=value, text=text, ttl=ttl)
        self._engine.run(self._scope, put)

    def get(self, key: str, default: JSON = None) -> JSON:
        """The value, or ``default`` where the key holds none."""
        stored = self._stored(key)
        return default if stored is None else stored.value

    def delete(self, key: str) -> bool:
        """Remove the key; whether it was there."""
        return self._delete(key)

    def list_keys(self) -> list[str]:
        """All keys, sorted."""
        return self._engine.run(self._scope, ListKeys(namespace=self.namespace))

    def modify(self, key: str, fn: Callable[[JSON], JSON], *, default: JSON = None) -> JSON:
        """Change one value atomically: ``state.modify("count", lambda n: n + 1, default=0)``.

        ``fn`` gets the current value (``default`` where there is none) and returns the new one. It is called again
        when another thread, process or machine wrote in between, so it must have no side effects. The value keeps its
        end and its text.

        Returns:
            The new value.

        Raises:
            InvalidInputError: The key or the new value breaks a rule.
        """
        value = None
        for _ in self._attempts(key):
            stored = self._stored(key)
            value = fn(default if stored is None else stored.value)
            version = 0 if stored is None else stored.version
            if self._put_if(key, value, version):
                break
        return value

    def update(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, key: Any = (), fn: Callable[[JSON], JSON] | None = None, /, *, default: JSON = None, **values: JSON
    ) -> JSON:
        """The ordinary `MutableMapping.update`, key by key; ``update(key, fn)`` is `modify`."""
        if fn is not None:
            return self.modify(key, fn, default=default)
        super().update(key, **values)
        return None

    def pop(self, key: str, *default: JSON) -> JSON:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Remove the key and return its value, atomically: of several callers at once, one gets it and none is lost.

        Raises:
            KeyError: There is none, and no default was given.
        """
        for _ in self._attempts(key):
            stored = self._stored(key)
            if stored is None:
                break
            if self._delete(key, stored.version):
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
            page = self._engine.run(self._scope, ScanValues(namespace=self.namespace, limit=1))
            if not page:
                break
            (first,) = page
            if self._delete(first.key, first.version):
                return first.key, first.value
        raise KeyError("there is no key")

    def setdefault(self, key: str, default: JSON = None) -> JSON:
        """The value of the key, or ``default``, which it then stores: of several callers one stores, and all get that.

        Raises:
            InvalidInputError: The key or value breaks a rule.
        """
        validate_json("value", default)
        for _ in self._attempts(key):
            stored = self._stored(key)
            if stored is not None:
                return stored.value
            if self._put_if(key, default, 0):
                break
        return default

    def clear(self) -> None:
        """Remove all keys."""
        writes = [ValueWrite(namespace=self.namespace, key=key, delete=True) for key in self.list_keys()]
        if writes:
            self._engine.run(self._scope, WriteValues(writes=writes))

    def entries(self, prefix: str = "") -> Iterator[ValueEntry]:
        """Values with their keys and times, sorted by key; only keys that begin with ``prefix``.

        Raises:
            InvalidInputError: The prefix can begin no key.
        """
        return self._pages(validate_prefix("prefix", prefix))

    def _pages(self, prefix: str) -> Iterator[ValueEntry]:
        after: str | None = None
        while True:
            scan = ScanValues(namespace=self.namespace, prefix=prefix, after=after, limit=_PAGE)
            page = self._engine.run(self._scope, scan)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].key

    def items(self) -> ItemsView[str, JSON]:
        """Keys and values, sorted by key."""
        return _Items(self)

    def values(self) -> ValuesView[JSON]:
        """Values, sorted by key."""
        return _Values(self)

    def __getitem__(self, key: str) -> JSON:
        stored = self._stored(key)
        if stored is None:
            raise KeyError(key)
        return stored.value

    def __setitem__(self, key: str, value: JSON) -> None:
        self.set(key, value)

    def __delitem__(self, key: str) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        try:
            return isinstance(key, str) and self._stored(key) is not None
        except InvalidInputError:
            return False

    def __iter__(self) -> Iterator[str]:
        return iter(self.list_keys())

    def __len__(self) -> int:
        return len(self.list_keys())

    def __repr__(self) -> str:
        return f"<State {self.namespace!r} of {self._scope}>"

    def _html(self) -> str:
        entries = self._engine.run(self._scope, ScanValues(namespace=self.namespace, limit=_SHOWN))
        rows = [{"key": each.key, "value": each.value, "updated_at": each.updated_at} for each in entries]
        return html_table(rows, title=repr(self))

    def _stored(self, key: str) -> StoredValue | None:
        return self._engine.run(self._scope, GetValue(namespace=self.namespace, key=key))

    def _put_if(self, key: str, value: JSON, version: int) -> bool:
        """Replace the value alone where its version is this one; whether it was."""
        put = PutValue(namespace=self.namespace, key=key, value=value, if_version=version, in_place=True)
        return self._engine.run(self._scope, put) is not None

    def _delete(self, key: str, version: int | None = None) -> bool:
        return self._engine.run(self._scope, DeleteValue(namespace=self.namespace, key=key, if_version=version))

    def _attempts(self, key: str) -> Iterator[None]:
        """As many as are worth while, some time apart, to change what other writers change at the same time."""
        for attempt in range(_MAX_ATTEMPTS):
            yield
            time.sleep(random.uniform(0, min(0.0005 * (attempt + 1), 0.02)))  # noqa: S311 - jitter, not a secret
        raise BackendUnavailableError(
            f"The state {key!r} in {self.namespace!r} changed {_MAX_ATTEMPTS} times under an update; try again later."
        )


def _lane_of_set(*_: Any, text: str | None = None, **__: Any) -> Lane:
    return "quick" if text is None else "write"


class AsyncState(AsyncFacade[State]):
    """`State` for async code: the named methods; a mapping's operators cannot be awaited."""

    @property
    def namespace(self) -> str:
        """The namespace of these pairs."""
        return self._sync.namespace

    set = async_method(State.set, lane=_lane_of_set)
    get = async_method(State.get)
    delete = async_method(State.delete)
    list_keys = async_method(State.list_keys)
    modify = async_method(State.modify)
    update = async_method(State.update)
    pop = async_method(State.pop)
    popitem = async_method(State.popitem)
    setdefault = async_method(State.setdefault)
    clear = async_method(State.clear)
    entries = async_list(State.entries)
    keys = async_method(State.list_keys)
    values = async_list(State.values)
    items = async_list(State.items)
