"""Where memory is kept: `connect` finds the engine for a URL, `Backend` hands out memories bound to a scope."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .engine import Engine
from .errors import ConfigurationError
from .memory import Memory
from .scope import Scope

if TYPE_CHECKING:
    from .settings import Settings

__all__ = ["Backend", "connect", "redacted"]


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

    def close(self) -> None:
        """Release files and connections."""
        self._engine.close()

    def __enter__(self) -> Backend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<memweld.Backend {redacted(self.url)}>"


def connect(
    url: str | None = None,
    *,
    llm: Mapping[str, Any] | Any | None = None,
    embedder: Mapping[str, Any] | Any | None = None,
    graph: str | None = None,
    mem0: Mapping[str, Any] | None = None,
    token: str | None = None,
) -> Backend:
    """Find the backend for a URL. Nothing is opened or loaded before the first use.

    Every argument may come from the environment instead (``MEMWELD_URL``, ``MEMWELD_LLM`` …); an argument wins.

    Args:
        url: ``sqlite:///team.db`` (a relative path), ``sqlite:////data/team.db`` (an absolute one), ``sqlite://`` (in
            memory, for tests). ``http://host:8710/mcp`` (or ``https``): a memweld server; ``stdio:memweld serve …``:
            one that this command starts. None: a file in the user's data directory.
        llm: What extracts facts: a mem0 LLM configuration ``{"provider": …, "config": {…}}`` or a LangChain chat
            model. None: texts are kept verbatim.
        embedder: What turns text into vectors: a mem0 embedder configuration or a LangChain ``Embeddings``. None: the
            static embeddings of the wordllama wheel, which need no key, no server and no download.
        graph: The URL of a graph store.
        mem0: A mem0 configuration for the facts.
        token: The bearer token for a memweld server.

    Raises:
        ConfigurationError: The URL or a combination of arguments is not supported.
    """
    from .settings import default_file, load_settings

    settings = load_settings()
    url = url or settings.url or f"sqlite:///{default_file()}"
    scheme = url.partition(":")[0].lower()
    if scheme in ("http", "https", "stdio"):
        return _connect_remote(url, settings, token, {"llm": llm, "embedder": embedder, "graph": graph, "mem0": mem0})
    if scheme != "sqlite" or "://" not in url:
        raise ConfigurationError(
            f"Cannot connect to {redacted(url)!r}: this version keeps memory in an embedded file. "
            "Pass sqlite:///path/to/memory.db, or nothing for the file in your data directory, or the http:// URL of "
            "a memweld server."
        )
    for name, value in (("graph", graph or settings.graph), ("mem0", mem0 or settings.mem0), ("token", token)):
        if value is not None:
            raise ConfigurationError(f"{name}= does not go with an embedded file in this version; leave it out.")
    from .engines.local import LocalEngine

    engine = LocalEngine(
        url,
        llm=llm if llm is not None else settings.llm,
        llm_timeout=settings.llm_timeout,
        embedder=embedder if embedder is not None else settings.embedder,
    )
    return Backend(engine, url=url)


def _connect_remote(url: str, settings: Settings, token: str | None, options: Mapping[str, Any]) -> Backend:
    for name, value in options.items():
        if value is not None:
            raise ConfigurationError(
                f"{name}= is for the server to decide; give it to the server and leave it out here."
            )
    from .engines.remote import RemoteEngine

    if token is None and not url.lower().startswith("stdio:"):
        token = settings.token
    # A call may wait for an extraction, and for the server's own work.
    return Backend(RemoteEngine(url, token=token, timeout=settings.llm_timeout + 30), url=url)


def redacted(url: str) -> str:
    """The URL without user and password, for people to read."""
    head, at, tail = url.rpartition("@")
    return f"{head.split('://')[0]}://…@{tail}" if at and "://" in head else url
