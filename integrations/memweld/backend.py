"""Where memory is kept: `connect` finds the engine for a URL, `Backend` hands out memories bound to a scope."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, cast

from .background import background_of
from .engine import Engine
from .errors import ConfigurationError, missing_extra
from .memory import Memory
from .scope import Scope

if TYPE_CHECKING:
    from .engines.graph.checkup import Standing as GraphStanding
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

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was captured in the background before is kept; at most ``timeout`` seconds if given.

        Returns:
            Whether it is.
        """
        return background_of(self._engine).flush(timeout)

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

    def graph_standing(self) -> GraphStanding | None:
        """How the graph stands, compared with the memory item by item; None where there is none to compare.

        Raises:
            BackendUnavailableError: The graph cannot be asked.
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

    def close(self) -> None:
        """Release files and connections, after what was captured in the background is kept."""
        background_of(self._engine).flush()
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
    embedder: Mapping[str, Any] | str | Any | None = None,
    graph: str | None = None,
    mem0: Mapping[str, Any] | str | None = None,
    token: str | None = None,
    durability: Literal["normal", "full"] | None = None,
) -> Backend:
    """Find the backend for a URL. Nothing is opened or loaded before the first use.

    Every argument may come from the environment instead (``MEMWELD_URL``, ``MEMWELD_LLM`` …); an argument wins.

    Args:
        url: ``sqlite:///team.db`` (a relative path), ``sqlite:////data/team.db`` (an absolute one), ``sqlite://`` (in
            memory, for tests). ``http://host:8710/mcp`` (or ``https``): a memweld server; ``stdio:memweld serve …``:
            one that this command starts. None: a file in the user's data directory.
        llm: What extracts facts: a mem0 LLM configuration ``{"provider": …, "config": {…}}`` or a LangChain chat
            model. None: texts are kept verbatim.
        embedder: What turns text into vectors: a mem0 embedder configuration, a LangChain ``Embeddings``,
            ``"fastembed"`` or ``"fastembed:MODEL"`` (a transformer). None or ``"static"``: the static embeddings of the
            wordllama wheel, which need no key, no server and no download.
        graph: The URL of a Neo4j server, ``neo4j://user:password@host:7687``, which is told what memories mention and
            how they hang together. None: no graph.
        mem0: Where the vectors are, if not in the file: a mem0 configuration ``{"vector_store": {"provider": …,
            "config": {…}}, "llm": …, "embedder": …}``, or ``"platform"`` for mem0's hosted service.
        token: The bearer token for a memweld server.
        durability: What an acknowledged write to the embedded file survives: ``normal`` (if None), the end of the
            process, kill -9 included; ``full``, also a power loss, at the price of a sync for each write.

    Raises:
        ConfigurationError: The URL or a combination of arguments is not supported.
    """
    from .settings import default_file, load_settings

    settings = load_settings()
    url = url or settings.url or f"sqlite:///{default_file()}"
    scheme = url.partition(":")[0].lower()
    if scheme in ("http", "https", "stdio"):
        options = {"llm": llm, "embedder": embedder, "graph": graph, "mem0": mem0, "durability": durability}
        return _connect_remote(url, settings, token, options)
    if scheme in ("postgresql", "postgres"):
        options = {"mem0": mem0 or settings.mem0, "token": token, "durability": durability}
        return _connect_postgres(url, settings, options, llm=llm, embedder=embedder, graph=graph)
    if scheme != "sqlite" or "://" not in url:
        raise ConfigurationError(
            f"Cannot connect to {redacted(url)!r}: this version keeps memory in an embedded file. "
            "Pass sqlite:///path/to/memory.db, or nothing for the file in your data directory, or the http:// URL of "
            "a memweld server."
        )
    if token is not None:
        raise ConfigurationError("token= is for a memweld server and does not go with an embedded file; leave it out.")
    chosen = durability or settings.durability or "normal"
    if chosen not in ("normal", "full"):
        raise ConfigurationError(f"durability={chosen!r} is not known: it is normal or full.")
    engine = _make_embedded(url, settings, mem0, {"llm": llm, "embedder": embedder, "durability": chosen})
    return Backend(_with_graph(engine, graph, settings, llm), url=url)


def _make_embedded(url: str, settings: Settings, mem0: Any, options: Mapping[str, Any]) -> Any:
    """The engine on a file, with its vectors in it or in a store of mem0's."""
    from .engines.stores.sqlite import path_of

    if mem0 is None and path_of(url) is not None:
        # A database in RAM is for trying something, and not what the environment is about.
        mem0 = settings.mem0
    defaults: dict[str, Any] = {"llm": settings.llm, "embedder": settings.embedder, "cache_mb": settings.cache_mb}
    if isinstance(mem0, Mapping):
        given = cast("Mapping[str, Any]", mem0)
        defaults |= {name: given.get(name) or defaults[name] for name in ("llm", "embedder")}
    for name, value in options.items():
        if value is not None:
            defaults[name] = value
    if mem0 is None:
        from .engines.local import LocalEngine

        return LocalEngine(url, llm_timeout=settings.llm_timeout, **defaults)
    from .engines.mem0 import Mem0Engine

    return Mem0Engine(url, mem0=mem0, llm_timeout=settings.llm_timeout, **defaults)


def _with_graph(engine: Any, graph: str | None, settings: Settings, llm: Any) -> Engine:
    """The engine, with a graph beside it where one is wanted."""
    url = graph or (None if engine.in_ram else settings.graph)
    if url is None:
        return engine
    from .engines.graph import address_of, with_graph

    return with_graph(
        engine,
        address_of(url, user=settings.graph_user, password=settings.graph_password),
        llm=llm if llm is not None else settings.llm,
        llm_timeout=settings.llm_timeout,
    )


def _connect_postgres(
    url: str, settings: Settings, options: Mapping[str, Any], *, llm: Any, embedder: Any, graph: str | None
) -> Backend:
    for name, value in options.items():
        if value is not None:
            raise ConfigurationError(f"{name}= does not go with Postgres in this version; leave it out.")
    try:
        from .engines.postgres import PostgresEngine
    except ModuleNotFoundError as error:
        if error.name not in ("psycopg", "psycopg_pool"):
            raise
        raise missing_extra("postgres", error.name) from error
    engine = PostgresEngine(
        url,
        llm=llm if llm is not None else settings.llm,
        llm_timeout=settings.llm_timeout,
        cache_mb=settings.cache_mb,
        embedder=embedder if embedder is not None else settings.embedder,
    )
    return Backend(_with_graph(engine, graph, settings, llm), url=url)


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
    """The URL without user, password and keys, for people to read."""
    url = re.sub(r"([?&](?:password|sslpassword|binding_key)=)[^&]*", r"\1…", url)
    head, at, tail = url.rpartition("@")
    return f"{head.split('://')[0]}://…@{tail}" if at and "://" in head else url
