"""Where a component gets its memory: bound to a user or asked for at each call, and how a config names it."""

from __future__ import annotations

from pydantic import BaseModel

from ..backend import Backend
from ..memory import Memory
from ..reference import given_backend, opened, without_secrets
from ..scope import Scope
from ..source import check_source, memory_now

__all__ = ["MemorySource", "SourceConfig"]


class SourceConfig(BaseModel):
    """What the config of every component says of its memory. It holds no password and no token.

    Attributes:
        url: Where memory is kept, without its password; None where the source does not say.
        user_id: The user it is bound to; None where the user is asked for at each call.
        agent_id: The agent it is bound to, if any.
    """

    url: str | None = None
    user_id: str | None = None
    agent_id: str | None = None


class MemorySource:
    """A `Memory` that is bound to its scope, or a `Backend` and the user of the moment.

    Raises:
        InvalidInputError: It is neither.
    """

    def __init__(self, source: Memory | Backend) -> None:
        self._source = check_source(source)

    def memory(self) -> Memory:
        """The memory to use now.

        Raises:
            ConfigurationError: It is not bound and no `memweld.user_scope` names a user. There is no default user.
        """
        return memory_now(self._source)

    def config(self) -> SourceConfig:
        """What a config says of it."""
        bound = self._source.scope if isinstance(self._source, Memory) else None
        url = self._source.url
        return SourceConfig(
            url=without_secrets(url) if url else None,
            user_id=None if bound is None else bound.user_id,
            agent_id=None if bound is None else bound.agent_id,
        )

    @classmethod
    def load(cls, config: SourceConfig) -> Memory | Backend:
        """What a component is made with, from its config.

        Raises:
            ConfigurationError: The config does not lead to a store: it names none, one in RAM, or one that only
                ``MEMWELD_URL`` may name.
        """
        backend = given_backend() or opened(config.url)
        if config.user_id is None and config.agent_id is None:
            return backend
        return backend.scoped(Scope(user_id=config.user_id, agent_id=config.agent_id))
