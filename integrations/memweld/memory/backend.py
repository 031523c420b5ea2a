"""A store of memories: hands out memories bound to a scope, and the operator's view of it all."""

from __future__ import annotations

from types import TracebackType

from ..engine.protocol import Engine, EngineAdmin
from ..engine.traced import traced
from ..scope import Scope
from ..urls import public_url
from .asynchronous import AsyncFacade, async_method
from .capture_queue import GRACE_SECONDS, capture_queue_of
from .memory import Memory
from .recall_counts import write_all_recalls

__all__ = ["AsyncBackend", "Backend"]

_PAGE = 10_000


class Backend:
    """A store of memories, shared by all users and threads. Close it when the program ends, or use ``with``.

    Attributes:
        url: The place of the store as it may be shown and saved, without login and query (`memweld.urls.public_url`).
    """

    def __init__(self, engine: Engine, *, url: str, timezone: str | None = None) -> None:
        self._engine = engine
        self.url = public_url(url)
        # Here, so that each operation of a memory is one span, whatever stands between the engine and its store.
        self._traced = traced(engine, self.url)
        # Two stores are told apart without the password of either.
        self._url_hash = hash(url)
        self._timezone = timezone

    def is_same_store(self, other: Backend) -> bool:
        """Whether both were opened by one URL, not counting databases in RAM."""
        return self is other or (self._url_hash == other._url_hash and self.url != "sqlite://")

    def user(self, user_id: str, *, agent_id: str | None = None, timezone: str | None = None) -> Memory:
        """The memory of a user; with an agent, the part of it that this agent keeps.

        Args:
            user_id: The user.
            agent_id: The agent.
            timezone: The user's time zone, such as ``Europe/Lisbon``: a recall shows dates in it. If None, that of
                `memweld.connect`; without either, each date is in the zone in which it was given, else in UTC.

        Raises:
            InvalidInputError: An id breaks a rule (see `memweld.scope.validate_identity`), or the zone is not known.
        """
        return self.scoped(Scope(user_id=user_id, agent_id=agent_id, timezone=timezone))

    def agent(self, agent_id: str) -> Memory:
        """An agent's own memory, which belongs to no user.

        Raises:
            InvalidInputError: The id breaks a rule.
        """
        return self.scoped(Scope(agent_id=agent_id))

    def scoped(self, scope: Scope) -> Memory:
        """The memory of a scope that is validated already."""
        return Memory(self._traced, scope, url=self.url, timezone=scope.timezone or self._timezone)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was captured in the background before is kept; at most ``timeout`` seconds if given.

        Returns:
            Whether it is.
        """
        write_all_recalls(self._engine)
        return capture_queue_of(self._engine).flush(timeout)

    def users(self) -> list[str]:
        """All users of whom something is stored, in the order of their ids.

        Raises:
            AccessDeniedError: The token of a server may not know which users there are.
            ConfigurationError: The role of the URL sees one user at a time: connect as the owner of the tables.
        """
        users: dict[str, None] = {}
        after: Scope | None = None
        while scopes := self.admin.list_scopes(after=after, limit=_PAGE):
            users |= dict.fromkeys(scope.user_id for scope in scopes if scope.user_id is not None)
            after = scopes[-1]
        return list(users)

    @property
    def aio(self) -> AsyncBackend:
        """The methods that wait, for async code."""
        return AsyncBackend(self)

    @property
    def admin(self) -> EngineAdmin:
        """The operator's view: all users, maintenance, migrations, health."""
        return self._engine.admin

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._engine.closed

    def close(self, *, grace: float = GRACE_SECONDS) -> None:
        """Release files and connections, after what was captured in the background is kept.

        Args:
            grace: Seconds to wait for LLMs. Then the rest is stored as the user said it; to wait for them
                as long as it takes, `flush` before.
        """
        if not self.closed:
            write_all_recalls(self._engine)
        capture_queue_of(self._engine).finish(grace)
        self._engine.close()

    def __enter__(self) -> Backend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<memweld.Backend {self.url}>"


class AsyncBackend(AsyncFacade[Backend]):
    """`Backend` for async code. Get it as ``backend.aio``."""

    users = async_method(Backend.users)
    flush = async_method(Backend.flush, lane="flush")
    close = async_method(Backend.close, lane="flush")
