"""Mem0Memory: the arguments and results of ``autogen_ext.memory.mem0.Mem0Memory``, over memweld."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from autogen_core import CancellationToken
from autogen_core.memory import MemoryContent, MemoryMimeType
from pydantic import BaseModel
from typing_extensions import Self

from ..adapters.saved_config import SavedMemory, loading_backend, open_shared
from ..connect import connect
from ..errors import ConfigurationError, invalid
from ..memory.backend import Backend
from ..models import Hit
from .memory import MemweldMemory

__all__ = ["Mem0Memory"]

_MODELS = {"llm", "embedder"}
_WITHOUT_MEANING = {"version"}


class Mem0MemoryConfig(BaseModel):
    """The config of a `Mem0Memory`, in the shape of AutoGen's. A dump has neither ``api_key`` nor ``config``."""

    user_id: str | None = None
    limit: int = 10
    is_cloud: bool = False
    api_key: str | None = None
    config: dict[str, Any] | None = None
    url: str | None = None


class Mem0Memory(MemweldMemory):
    """A `MemweldMemory` with the arguments and results of AutoGen's ``Mem0Memory``, which finds nothing with mem0 2.

    Its store is that of `memweld.connect`: at ``MEMWELD_URL``, else a file in the user's data directory; inside
    `loading_with`, its backend. Like AutoGen's class it recalls and does not capture.

    Args:
        user_id: The user. Without one AutoGen's class makes up an id, whose memories no later run finds; this class
            raises an error.
        limit: How many memories at most a turn recalls.
        is_cloud: False, as there is no mem0 cloud behind memweld.
        api_key: None, likewise.
        config: A mem0 configuration, for its ``llm`` and ``embedder``. It does not choose the store: any other key is
            an error.
        backend: The store, for programs that have it open; then without ``config``.

    Raises:
        ConfigurationError: No user, the cloud, or a key of ``config`` that has no meaning here.
    """

    component_config_schema = Mem0MemoryConfig  # pyright: ignore[reportAssignmentType, reportIncompatibleVariableOverride]
    component_provider_override = "memweld.autogen.Mem0Memory"

    def __init__(
        self,
        user_id: str | None = None,
        limit: int = 10,
        is_cloud: bool = False,
        api_key: str | None = None,
        config: Mapping[str, Any] | None = None,
        *,
        backend: Backend | None = None,
    ) -> None:
        if user_id is None:
            raise ConfigurationError(
                "No user is known: pass user_id. No later run would find the memories of a made-up user."
            )
        if is_cloud or api_key is not None:
            raise ConfigurationError(
                "There is no mem0 cloud behind memweld: leave is_cloud and api_key out, and bring what the cloud "
                "holds over with memweld.connect().user(user_id).add(text, infer=False, created_at=…)."
            )
        if backend is not None and config:
            raise ConfigurationError("The models are the backend's: pass config or backend, not both.")
        backend = backend or loading_backend() or _backend(config or {})
        super().__init__(backend.user(user_id), recall_limit=limit, capture=False)
        self._user_id = user_id

    @property
    def user_id(self) -> str:
        """The user."""
        return self._user_id

    @property
    def limit(self) -> int:
        """How many memories at most a turn recalls."""
        return self._options.recall_limit

    async def add(self, content: MemoryContent | str, cancellation_token: CancellationToken | None = None) -> None:
        """Remember a text or a JSON object, with its metadata.

        Raises:
            InvalidInputError: Its metadata names another user, or what `MemweldMemory.add` raises.
        """
        if isinstance(content, str):
            content = MemoryContent(content=content, mime_type=MemoryMimeType.TEXT)
        metadata = dict(content.metadata or {})
        named = metadata.pop("user_id", self._user_id)
        if named != self._user_id:
            rule = f"this memory belongs to {self._user_id!r}"
            raise invalid("user_id", named, rule, "Make a Mem0Memory for that user.")
        await super().add(content.model_copy(update={"metadata": metadata or None}), cancellation_token)

    def _content(self, hit: Hit) -> MemoryContent:
        content = super()._content(hit)
        times = {"created_at": hit.created_at, "updated_at": hit.updated_at}
        content.metadata = {**hit.metadata, "id": hit.id, "score": hit.score, **times}
        return content

    def _to_config(self) -> Mem0MemoryConfig:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Mem0MemoryConfig(
            user_id=self._user_id, limit=self.limit, url=SavedMemory.of(self._source, in_process=False).url
        )

    @classmethod
    def _from_config(cls, config: Mem0MemoryConfig) -> Self:  # pyright: ignore[reportIncompatibleMethodOverride]
        given = config.model_dump(exclude={"url"})
        if config.url is None:
            return cls(**given)
        backend = SavedMemory(url=config.url).load()
        return cls(**given, backend=backend if isinstance(backend, Backend) else None)


def _backend(config: Mapping[str, Any]) -> Backend:
    if unknown := sorted(set(config) - _MODELS - _WITHOUT_MEANING):
        raise ConfigurationError(
            f"config[{unknown[0]!r}] has no meaning here: memweld uses llm and embedder of a mem0 configuration. "
            "memweld.connect chooses the store: set MEMWELD_URL, or leave it out for a file of the user."
        )
    models = {name: config[name] for name in sorted(_MODELS & set(config))}
    # The key is a digest, as a configuration may hold API keys.
    return open_shared(f"mem0:{hashlib.sha256(repr(models).encode()).hexdigest()}", lambda: connect(None, **models))
