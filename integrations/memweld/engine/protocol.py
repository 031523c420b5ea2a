"""The seam between memory and storage: an engine runs operations for a scope; its admin serves the operator.

An engine never sees a framework and never chooses a user: every operation comes with its `Scope`. The operands are
valid already (see ``operations``). The engine itself makes sure that every row in an answer belongs to the scope.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

from ..errors import ConfigurationError
from ..scope import Scope
from .operations import Operation

__all__ = ["Engine", "EngineAdmin", "GraphHealth", "HealthCheck", "Migration", "Progress", "StoreUsage"]

T = TypeVar("T")

Progress = Callable[[int, int], object]
"""Called now and then with the number of memories that are done, and of all."""


class Engine(Protocol):
    """One store of memories. Thread-safe; every method blocks."""

    @property
    def has_graph(self) -> bool:
        """Whether items are projected into a graph store besides the vectors."""
        ...

    @property
    def can_extract(self) -> bool:
        """Whether an LLM is configured that extracts facts."""
        ...

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        ...

    @property
    def admin(self) -> EngineAdmin:
        """The operator's view of the store: all users, maintenance, health. Never for a model or a `Memory`."""
        ...

    def run(self, scope: Scope, operation: Operation[T]) -> T:
        """Do one operation for the scope; its answer.

        Raises:
            BackendUnavailableError: The store cannot be reached.
            MemoryNotFoundError: An item id does not exist **in this scope**.
            MemweldError: As the operation says.
        """
        ...

    def close(self) -> None:
        """Release files, connections and threads. Further calls raise `BackendUnavailableError`."""
        ...


class HealthCheck(NamedTuple):
    """One thing worth saying about a store."""

    label: str
    found: str
    is_wrong: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphHealth:
    """The state of a graph beside the memory.

    Attributes:
        where: The graph, in words.
        begun: Whether it ever received anything.
        compared: Whether it could be compared. If not, the numbers of missing, outdated and orphaned items are unknown.
        pending: How many changes wait for it.
        oldest: Since when the oldest waits (seconds since 1970).
        problem: Why it takes no changes now, as far as is known.
        items: How many items the memory has.
        missing: How many the graph lacks.
        outdated: How many it has with another text, owner, session or other ties than it received.
        orphans: How many of its memories are no items any more.
    """

    where: str
    begun: bool = True
    compared: bool = True
    pending: int = 0
    oldest: float | None = None
    problem: str | None = None
    items: int = 0
    missing: int = 0
    outdated: int = 0
    orphans: int = 0

    @property
    def agrees(self) -> bool:
        """Whether nothing is out of step, and no change waits."""
        return not (self.pending or self.problem or self.missing or self.outdated or self.orphans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """The state of the tables after `EngineAdmin.migrate`.

    Attributes:
        revision: Their revision.
        binding_key: The new key for the URL of the application, if one was made. It is shown this once.
    """

    revision: str
    binding_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUsage:
    """Numbers of a store for its operator.

    Attributes:
        index_bytes: About how much RAM of this process the indexes of users take.
        waiting: How many changes wait for each projection (``graph``, ``mem0``); empty where this role may not see it.
    """

    index_bytes: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict[str, int])


class EngineAdmin:
    """Operations for the operator of a store. The defaults suit a store without the feature in question."""

    def list_scopes(self, *, after: Scope | None, limit: int) -> list[Scope]:
        """The scopes for which something was stored, in an order that stays, from behind ``after``.

        Where one agent stores something of a user, the list has both the user and that agent's part of the user.

        Raises:
            AccessDeniedError: The caller may not know which users the store has.
            ConfigurationError: The role of the URL sees one user at a time.
        """
        raise NotImplementedError

    def ping(self) -> None:
        """Ask the store for an answer.

        Raises:
            MemweldError: It cannot be reached, or cannot be used.
        """

    def usage(self) -> StoreUsage:
        """Numbers for metrics. Reads no memory."""
        return StoreUsage()

    def purge_expired(self) -> int:
        """Delete the expired state values of all users; how many. A server does it by itself: 0."""
        return 0

    def reindex(self, progress: Progress | None = None) -> int:  # noqa: ARG002 - for those who can
        """Embed the memories of all users again, after a change of the embedder.

        Until it is finished the embedder before works on as it did. The next call continues an interrupted one.

        Returns:
            How many memories it embedded; 0 if they were of this embedder already.

        Raises:
            BackendUnavailableError: The embedder fails; the finished part stays.
            ConfigurationError: The embedder is not for this side to choose.
        """
        raise ConfigurationError(
            f"{self._kind} chooses its embedder itself: run `memweld reindex` where its memory is stored."
        )

    def sync_projections(self) -> int:
        """Bring waiting changes to the mem0 store that holds the vectors; how many memories. Elsewhere: 0.

        Raises:
            BackendUnavailableError: The store refuses some of them; these go on waiting.
        """
        return 0

    def graph_health(self) -> GraphHealth | None:
        """The state of the graph, compared with the memory item by item; None where there is none to compare.

        Of a graph that does not answer it says what waits, since when and why (``compared`` is False).
        """
        return None

    def graph_backlog(self) -> int | None:
        """How many changes wait for a graph; None where there never was one, or where this role may not see it."""
        return None

    def repair_graph(self, scope: Scope | None = None, *, whole: bool = False) -> int:  # noqa: ARG002
        """Write again to the graph what is out of step; how many memories.

        Args:
            scope: Write all memories of this scope again, whether they are out of step or not.
            whole: Write all memories of all users again.

        Raises:
            ConfigurationError: There is no graph, or another process writes it.
            BackendUnavailableError: The graph does not answer, or not in time; the rest follows.
        """
        raise ConfigurationError(
            f"{self._kind} has no graph that this process writes: connect with graph=, or repair it where its memory "
            "is stored."
        )

    def detach_graph(self) -> int:
        """There is no graph any more: drop the changes that wait for it; how many waited.

        Raises:
            ConfigurationError: Another process writes the graph, or the role of the URL may not do this.
        """
        raise ConfigurationError(
            f"{self._kind} has no graph that this process writes: detach it where its memory is stored."
        )

    def migrate(self, *, role: str | None = None, signed: bool = False) -> Migration | None:
        """Bring the tables of a database server to what this memweld works with; an embedded file needs no call.

        Args:
            role: The role as which applications connect: it gets its rights, and row-level security is put in force.
            signed: Make a new key. Without it no transaction of that role can be bound to a user.

        Returns:
            The state of the tables; None where there is nothing to do.

        Raises:
            BackendUnavailableError: The database cannot be reached, or a newer memweld wrote it.
            ConfigurationError: The role of the URL may not do this, or ``role`` is not fit for it.
        """
        if role is not None or signed:
            raise ConfigurationError(f"{self._kind} has no roles: leave --role and --signed out.")
        return None

    def health(self) -> list[HealthCheck]:
        """Findings about a database server. Changes nothing."""
        return []

    @property
    def _kind(self) -> str:
        """The kind of store, as the subject of an error."""
        return "This memory"
