"""A store of memories: hands out memories bound to a scope, and does what is for whoever runs it."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from ..engine.protocol import Engine
from ..errors import ConfigurationError
from ..scope import Scope
from .capture_queue import GRACE_SECONDS, capture_queue_of
from .memory import Memory

if TYPE_CHECKING:
    from ..engine.projections.neo4j.consistency import GraphHealth

__all__ = ["SECRET_PARAMETERS", "Backend", "redacted"]

SECRET_PARAMETERS = frozenset({"password", "sslpassword", "token", "binding_key"})
"""The parameters of a URL that nobody is shown, and that are not saved."""


class Backend:
    """A store of memories, shared by all users and threads. Close it when the program ends, or use ``with``."""

    def __init__(self, engine: Engine, *, url: str) -> None:
        self._engine = engine
        self.url = url

    def user(self, user_id: str, *, agent_id: str | None = None) -> Memory:
        """The memory of a user; with an agent, the part of it that this agent keeps.

        Raises:
            InvalidInputError: An id breaks a rule (see `memweld.scope.validate_identity`).
        """
        return self.scoped(Scope(user_id=user_id, agent_id=agent_id))

    def agent(self, agent_id: str) -> Memory:
        """An agent's own memory, which belongs to no user.

        Raises:
            InvalidInputError: The id breaks a rule.
        """
        return self.scoped(Scope(agent_id=agent_id))

    def scoped(self, scope: Scope) -> Memory:
        """The memory of a scope that is validated already."""
        return Memory(self._engine, scope, url=self.url)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was captured in the background before is kept; at most ``timeout`` seconds if given.

        Returns:
            Whether it is.
        """
        return capture_queue_of(self._engine).flush(timeout)

    def sweep(self) -> int:
        """Delete all users' state values whose time has come; how many. A server sweeps by itself: 0."""
        return self._engine.sweep_values()

    def reindex(self, progress: Callable[[int, int], object] | None = None) -> int:
        """Embed the memories of all users again, after a change of the embedder.

        Until it is finished the embedder before works on as it did. What is interrupted is continued by the next call.

        Args:
            progress: Called now and then with the number of memories that are done, and of all.

        Returns:
            How many memories it embedded; 0 if they were of this embedder already.

        Raises:
            BackendUnavailableError: The embedder fails; what was done stays done.
            ConfigurationError: The embedder is not for this side to choose.
        """
        reindex = getattr(self._engine, "reindex", None)
        if reindex is None:
            raise ConfigurationError(
                f"{redacted(self.url)} chooses its embedder itself: run `memweld reindex` where its memory is kept."
            )
        return int(reindex(progress))

    def deliver(self) -> int:
        """Bring what waits to the mem0 store that holds the vectors; how many memories. Elsewhere nothing waits: 0.

        Raises:
            BackendUnavailableError: It does not take some of them; these go on waiting.
        """
        deliver = getattr(self._engine, "deliver_all", None)
        return 0 if deliver is None else int(deliver())

    def graph_standing(self) -> GraphHealth | None:
        """How the graph stands, compared with the memory item by item; None where there is none to compare.

        Of a graph that cannot be asked it says what waits to be told, since when and why (``compared`` is False).
        """
        standing = getattr(self._engine, "graph_standing", None)
        return None if standing is None else standing()

    def repair_graph(self, memory: Memory | None = None, *, whole: bool = False) -> int:
        """Tell the graph again what is out of step; how many memories.

        Args:
            memory: Tell all of this memory again, whether it is out of step or not.
            whole: Tell all of all users again.

        Raises:
            ConfigurationError: There is no graph, or it is the server's.
            BackendUnavailableError: The graph cannot be reached, or was not told all of it in time; the rest follows.
        """
        repair = getattr(self._engine, "repair_graph", None)
        if repair is None:
            raise ConfigurationError(
                f"{redacted(self.url)} has no graph that is told from here: connect with graph=, or do it where its "
                "memory is kept."
            )
        return int(repair(None if memory is None else memory.scope, whole=whole))

    def graph_waiting(self) -> int | None:
        """How many changes wait to be told to a graph; None where there never was one, or nobody here can know."""
        waiting = getattr(self._engine, "graph_waiting", None)
        return None if waiting is None else waiting()

    def forget_graph(self) -> int:
        """There is no graph any more: keep no changes for it; how many waited.

        Raises:
            ConfigurationError: The graph is the server's, or the role of the URL may not do this.
        """
        forget = getattr(self._engine, "forget_graph", None)
        if forget is None:
            raise ConfigurationError(
                f"{redacted(self.url)} has no graph that is told from here: forget it where its memory is kept."
            )
        return int(forget())

    def migrate(self, *, role: str | None = None, signed: bool = False) -> str | None:
        """Bring the tables of a database server to what this memweld works with; an embedded file does it by itself.

        Args:
            role: The role as which applications connect: it gets its rights, and row-level security is put in force.

            signed: Make a new key, without which nobody can bind a transaction of that role to a user.

        Returns:
            The revision of the tables, and behind a blank the new key; None where there is nothing to do.

        Raises:
            BackendUnavailableError: The database cannot be reached, or a newer memweld wrote it.
            ConfigurationError: The role of the URL may not do this, or ``role`` is not fit for it.
        """
        migrate = getattr(self._engine, "migrate", None)
        if migrate is not None:
            return str(migrate(role, signed=signed))
        if role is not None or signed:
            raise ConfigurationError(f"{redacted(self.url)} has no roles: leave --role and --signed out.")
        return None

    def standing(self) -> list[tuple[str, str, bool]]:
        """What there is to say of a database server: label, what was found, whether it is wrong. Changes nothing."""
        standing = getattr(self._engine, "standing", None)
        return [] if standing is None else standing()

    def close(self, *, grace: float = GRACE_SECONDS) -> None:
        """Release files and connections, after what was captured in the background is kept.

        Args:
            grace: Seconds to wait for LLMs. What they have not answered then is kept as it was said; to wait for them
                as long as it takes, `flush` before.
        """
        capture_queue_of(self._engine).finish(grace)
        self._engine.close()

    def __enter__(self) -> Backend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<memweld.Backend {redacted(self.url)}>"


def redacted(url: str) -> str:
    """The URL without user, password and keys, for people to read; nothing of what is no URL."""
    if not re.match(r"(?i)([a-z][a-z0-9+.-]*://|stdio:)", url):
        return "…"
    url = re.sub(rf"([?&](?:{'|'.join(SECRET_PARAMETERS)})=)[^&]*", r"\1…", url, flags=re.IGNORECASE)
    head, at, tail = url.rpartition("@")
    return f"{head.split('://')[0]}://…@{tail}" if at and "://" in head else url
