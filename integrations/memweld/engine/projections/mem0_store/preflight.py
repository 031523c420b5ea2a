"""Whether the server of a store can be reached, asked before mem0 opens what would not say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["reach"]

_SECONDS = 5
_PARTS = ("dbname", "user", "password", "host", "port", "sslmode")


def reach(provider: str, settings: Mapping[str, Any]) -> None:
    """Connect once to the Postgres of pgvector.

    mem0 2.2 opens a pool of psycopg_pool, which tries for 30 s, logs every attempt that fails and tells nobody why.

    Raises:
        psycopg.Error: It cannot be reached, or refuses the login.
    """
    if provider != "pgvector" or settings.get("connection_pool") is not None:
        return
    try:
        import psycopg
    except ImportError:
        return  # mem0 says what is missing, or takes psycopg2, which connects at once
    url = settings.get("connection_string")
    names = ("sslmode",) if url else _PARTS
    parts: dict[str, Any] = {name: settings[name] for name in names if settings.get(name) is not None}
    psycopg.connect(str(url or ""), connect_timeout=_SECONDS, **parts).close()
