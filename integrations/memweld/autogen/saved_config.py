"""How the config of a component names its memory."""

from __future__ import annotations

from pydantic import BaseModel

from ..adapters.binding import MemorySource
from ..adapters.saved_config import given_backend, opened, without_secrets
from ..memory.memory import Memory
from ..scope import Scope

__all__ = ["SourceConfig", "config_of", "load_source"]


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


def config_of(source: MemorySource) -> SourceConfig:
    """What a config says of a memory or a backend."""
    bound = source.scope if isinstance(source, Memory) else None
    return SourceConfig(
        url=without_secrets(source.url) if source.url else None,
        user_id=None if bound is None else bound.user_id,
        agent_id=None if bound is None else bound.agent_id,
    )


def load_source(config: SourceConfig) -> MemorySource:
    """What a component is made with, from its config.

    Raises:
        ConfigurationError: The config does not lead to a store: it names none, one in RAM, or one that only
            ``MEMWELD_URL`` may name.
    """
    backend = given_backend() or opened(config.url)
    if config.user_id is None and config.agent_id is None:
        return backend
    return backend.scoped(Scope(user_id=config.user_id, agent_id=config.agent_id))
