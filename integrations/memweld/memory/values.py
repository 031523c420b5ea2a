"""All of a scope's state at once: many values read and written together, found by conditions, across namespaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..engine.operations import FindValues, ListNamespaces, PurgeExpired, ReadValues, SearchValues, WriteValues
from ..engine.protocol import Engine
from ..models import JSON, ValueEntry, ValueHit, ValueWrite
from ..scope import Scope
from .asynchronous import AsyncFacade, async_method

__all__ = ["AsyncValues", "Values"]


class Values:
    """The state of all namespaces of one scope. Slashes in a namespace separate levels."""

    def __init__(self, engine: Engine, scope: Scope) -> None:
        self._engine = engine
        self._scope = scope

    def __repr__(self) -> str:
        return f"<Values of {self._scope}>"

    def read(self, places: Sequence[tuple[str, str]], *, refresh: bool = False) -> list[ValueEntry | None]:
        """The values at these places.

        Args:
            places: Pairs of namespace and key.
            refresh: Let those that expire live their whole time again from now.

        Returns:
            An entry for each place, in order; None where there is no value.
        """
        operation = ReadValues(places=places, refresh=refresh)
        return self._engine.run(self._scope, operation) if operation.places else []

    def write(self, writes: Sequence[ValueWrite]) -> None:
        """Store and delete values in order, all or none.

        Raises:
            InvalidInputError: A write breaks a rule; nothing was written.
        """
        operation = WriteValues(writes=writes)
        if operation.writes:
            self._engine.run(self._scope, operation)

    def find(
        self,
        under: str = "",
        *,
        where: Mapping[str, JSON] | None = None,
        offset: int = 0,
        limit: int | None = None,
        refresh: bool = False,
    ) -> list[ValueEntry]:
        """The values that fit, by namespace, the oldest of each first.

        Args:
            under: Only this namespace and those below it; all if it is empty.
            where: What the values must be, e.g. ``{"status": "active", "score": {"$gte": 3}}``: equality, or the
                operators ``$eq``, ``$ne``, ``$gt``, ``$gte``, ``$lt`` and ``$lte``.
            offset: How many of those that fit to leave out at the beginning.
            limit: How many at most; all if None.
            refresh: Let those that expire live their whole time again from now.

        Raises:
            InvalidInputError: An argument breaks a rule.
        """
        operation = FindValues(under=under, where=where, offset=offset, limit=limit, refresh=refresh)
        return self._engine.run(self._scope, operation)

    def search(
        self,
        query: str,
        under: str = "",
        *,
        where: Mapping[str, JSON] | None = None,
        offset: int = 0,
        limit: int = 10,
        refresh: bool = False,
    ) -> list[ValueHit]:
        """The values that `find` would find, those whose texts fit the query best first.

        Args:
            query: A question or some words.
            under: Only this namespace and those below it; all if it is empty.
            where: What the values must be, as in `find`.
            offset: How many to leave out at the beginning.
            limit: How many at most.
            refresh: Let those that expire live their whole time again from now.

        Returns:
            Values with a text, each with its score; behind them the values without one, in the order of `find`.

        Raises:
            InvalidInputError: An argument breaks a rule.
        """
        operation = SearchValues(query=query, under=under, where=where, offset=offset, limit=limit, refresh=refresh)
        return self._engine.run(self._scope, operation)

    def namespaces(self, under: str = "") -> list[str]:
        """The namespaces that hold values, in the order of the oldest value of each."""
        return self._engine.run(self._scope, ListNamespaces(under=under))

    def purge_expired(self) -> int:
        """Delete the expired values of this scope; how many.

        Expired values are absent from every answer anyway: this only frees their room, sooner than writes do.
        """
        return self._engine.run(self._scope, PurgeExpired())


class AsyncValues(AsyncFacade[Values]):
    """`Values` for async code."""

    read = async_method(Values.read)
    write = async_method(Values.write, lane="write")
    find = async_method(Values.find)
    search = async_method(Values.search, lane="search")
    namespaces = async_method(Values.namespaces)
    purge_expired = async_method(Values.purge_expired)
