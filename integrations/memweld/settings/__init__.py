"""Settings from the environment: everything that `connect` takes, as ``MEMWELD_*`` variables."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

__all__ = ["PREFIX", "Settings", "default_file", "load_settings"]

PREFIX = "MEMWELD_"
"""The beginning of every variable's name, in capitals or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in the environment. Complex values are JSON, e.g. ``MEMWELD_LLM='{"provider": "openai", …}'``.

    Attributes:
        url: Where memory is kept; without it, the embedded file in the user's data directory.
        token: The bearer token for a memweld server.
        graph: The URL of a graph store.
        graph_user: The login for the graph store, if the URL has none.
        graph_password: The password of that login.
        llm: The name of a model (``openai:gpt-4o-mini``), or a mem0 LLM configuration.
        extraction: ``compact``, memweld's own prompt, or ``mem0``.
        instructions: What an extraction keeps or leaves out.
        categories: Categories of extracted facts, as a JSON list.
        llm_timeout: Seconds for an extraction; then memweld keeps the text verbatim.
        embedder: A mem0 embedder configuration, ``static``, ``fastembed`` or ``fastembed:MODEL``.
        durability: ``normal``, or ``full``: writes to the embedded file survive a power loss.
        cache_mb: The RAM for the vectors and words of the users that searched last, in millions of bytes.
        timezone: The time zone of days in arguments, and of the dates that a model or a terminal is shown.
        redact: ``secrets``: take keys, tokens, passwords and card numbers out of every text before it is stored.
        mem0: A mem0 configuration as JSON, or ``platform``; a database in RAM has none.
        user_id: The default user of the command line and of a stdio server.
        lock_user: Whether that user is the only one.
        engine_tools: Whether a server lets every caller use it as a backend; without it, as the caller's token says.
    """

    url: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    graph: str | None = field(default=None, repr=False)
    graph_user: str | None = field(default=None, repr=False)
    graph_password: str | None = field(default=None, repr=False)
    llm: dict[str, Any] | str | None = field(default=None, repr=False)
    extraction: Literal["compact", "mem0"] | None = None
    instructions: str | None = None
    categories: list[str] | None = None
    llm_timeout: float = 60.0
    embedder: dict[str, Any] | str | None = field(default=None, repr=False)
    durability: Literal["normal", "full"] | None = None
    cache_mb: int = 512
    timezone: str | None = None
    redact: Literal["secrets"] | None = None
    mem0: dict[str, Any] | str | None = field(default=None, repr=False)
    user_id: str | None = None
    lock_user: bool = False
    engine_tools: bool | None = None


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        ConfigurationError: A variable has a value that it cannot have.
    """
    # Without variables there is nothing to validate, and loading pydantic would take longer than the rest of `connect`.
    if not any(name.upper().startswith(PREFIX) for name in os.environ):
        return Settings()
    from .environment import read_environment

    return read_environment()


def default_file() -> Path:
    """The embedded file in the user's data directory, as the platform defines it."""
    from platformdirs import user_data_path

    return user_data_path("memweld", appauthor=False) / "memory.db"
