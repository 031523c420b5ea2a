"""Validation of ``connect(mem0=…)``, without loading mem0."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from ....errors import ConfigurationError, shown_name

if TYPE_CHECKING:
    from ...search.embedder_check import EmbedderCheck
    from ...search.embedders import GuardedEmbedding
    from ...sql.database import Database
    from .projection import Mem0Projection

__all__ = ["Mem0Configuration", "read_configuration"]

_KNOWN = ("vector_store", "llm", "embedder", "platform")
_REFUSED = {
    "graph_store": "mem0 2 has no graph stores",
    "reranker": "memweld ranks by itself",
    "custom_instructions": "they are instructions= of connect",
    "custom_fact_extraction_prompt": "wishes are instructions= of connect",
    "custom_update_memory_prompt": "mem0 2 has no such prompt",
}
# Common keys of mem0 configurations without a meaning here: memweld writes no mem0 history.
_IGNORED = ("version", "history_db_path")


@dataclass(frozen=True, slots=True)
class Mem0Configuration:
    """The settings of a mem0 vector store, or of mem0's hosted service.

    Attributes:
        provider: mem0's name of the vector store; ``platform`` is the service.
        details: The store's configuration in mem0's form; for the service ``api_key`` and ``host``.
    """

    provider: str
    details: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """The name under which a file records where its vectors are. A new host or folder does not change it."""
        collection = "" if self.provider == "platform" else f"/{self.details.get('collection_name') or 'memweld'}"
        return f"mem0 {self.provider}{collection}"

    def open(self, database: Database, embedding: GuardedEmbedding, check: EmbedderCheck) -> Mem0Projection:
        """Open the store; this loads mem0 (see `Mem0Projection` for the errors)."""
        from .projection import Mem0Projection

        return Mem0Projection(self, database, embedding, check)


def read_configuration(mem0: Any) -> Mem0Configuration:
    """Read ``"platform"`` or a mapping in the form of mem0's ``Memory.from_config``.

    Raises:
        ConfigurationError: Something is missing, unknown, or cannot be used here.
    """
    if mem0 == "platform":
        mem0 = {"platform": {}}
    if not isinstance(mem0, Mapping):
        raise ConfigurationError(
            f"mem0= is {shown_name(mem0)}: pass 'platform' or a mem0 configuration "
            "{'vector_store': {'provider': …}}."
        )
    given = cast("Mapping[str, Any]", mem0)
    for name in given:
        if name in _REFUSED and given[name] is not None:
            raise ConfigurationError(f"mem0= has {name!r}, and {_REFUSED[name]}; leave it out.")
        if name not in _KNOWN and name not in _IGNORED and name not in _REFUSED:
            raise ConfigurationError(f"mem0= has {name!r}, which is not known; it takes {', '.join(_KNOWN)}.")
    for name in ("llm", "embedder"):
        _mapping(given, name)
    if given.get("platform") is not None:
        return _platform(given)
    store = _mapping(given, "vector_store")
    provider = None if store is None else store.get("provider")
    if store is None or not isinstance(provider, str):
        raise ConfigurationError("mem0= names no vector_store: pass {'vector_store': {'provider': …, 'config': {…}}}.")
    return Mem0Configuration(provider, dict(_mapping(store, "config") or {}))


def _platform(given: Mapping[str, Any]) -> Mem0Configuration:
    if given.get("vector_store") is not None:
        raise ConfigurationError("mem0= has both 'platform' and 'vector_store'; choose one.")
    details = dict(_mapping(given, "platform") or {})
    for name in details:
        if name not in ("api_key", "host"):
            raise ConfigurationError(f"mem0= has 'platform' with {name!r}; it takes api_key and host.")
    details["api_key"] = details.get("api_key") or os.environ.get("MEM0_API_KEY")
    if not details["api_key"]:
        raise ConfigurationError("mem0's service needs a key: set MEM0_API_KEY, or pass {'platform': {'api_key': …}}.")
    return Mem0Configuration("platform", details)


def _mapping(given: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value = given.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise ConfigurationError(f"mem0= has {name!r} as a {type(value).__name__}; it must be a dict.")
    return cast("Mapping[str, Any] | None", value)
