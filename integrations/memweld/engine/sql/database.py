"""What the stores ask of a database: connections as ``sqlite3`` has them, and transactions on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from ...scope import Scope
from .candidates import Archive

__all__ = ["Connection", "Cursor", "Database"]


class Cursor(Protocol):
    """The rows of a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows were written."""
        ...

    def fetchone(self) -> Any:
        """The next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """The rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection in a transaction. The stores' SQL is what SQLite and Postgres both understand."""

    @property
    def total_changes(self) -> int:
        """How many rows were written through it."""
        ...

    def execute(self, sql: str, parameters: Any = ..., /) -> Cursor:
        """Run one statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Cursor:
        """Run one statement with each of the variables."""
        ...


@runtime_checkable
class Database(Protocol):
    """Where the tables are.

    Attributes:
        where: The database in words, for errors.
        after_fork: What is called in a forked child.
    """

    where: str
    after_fork: list[Callable[[], None]]

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection for reading: all statements inside see one moment, and this thread's own open unit."""
        ...

    def first(self, sql: str, parameters: Sequence[Any]) -> Any:
        """The first row of one statement that reads, or None, as inside of `reading`."""
        ...

    def writing(self) -> AbstractContextManager[Connection]:
        """A connection inside a write transaction: joins the unit of this thread, else is one of its own."""
        ...

    def archive(self, connection: Connection, root: int, scope: Scope) -> Archive | None:
        """What searches for a user with too many memories to be read into RAM; None for everybody else."""
        ...

    def unit(self) -> AbstractContextManager[None]:
        """All writes inside are one transaction, begun by the first of them."""
        ...
