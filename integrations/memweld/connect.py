"""`connect`: a backend for a URL."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from .engine.protocol import Engine
from .errors import ConfigurationError, missing_extra
from .memory.backend import Backend
from .scope import validate_timezone
from .urls import public_url

if TYPE_CHECKING:
    from .engine.extraction.options import ExtractionOptions
    from .engine.redaction.texts import Redaction
    from .engine.sql_engine import SqlEngine
    from .settings import Settings

__all__ = ["connect", "redact_secrets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """The arguments of `connect` that configure an engine; None where the settings decide."""

    llm: Any = field(default=None, repr=False)
    extraction: str | None = None
    instructions: str | None = None
    categories: Sequence[str] | None = None
    embedder: Any = field(default=None, repr=False)
    graph: str | None = field(default=None, repr=False)
    mem0: Mapping[str, Any] | str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    durability: str | None = None
    redaction: Redaction | None = None

    def refuse(self, names: Sequence[str], reason: str) -> None:
        """Refuse those of the arguments that are given.

        Raises:
            ConfigurationError: One is given.
        """
        for name in names:
            if getattr(self, name) is not None:
                raise ConfigurationError(f"{name}= {reason}")


def connect(
    url: str | os.PathLike[str] | None = None,
    *,
    llm: str | Mapping[str, Any] | Any | None = None,
    extraction: Literal["compact", "mem0"] | None = None,
    instructions: str | None = None,
    categories: Sequence[str] | None = None,
    embedder: Mapping[str, Any] | str | Any | None = None,
    graph: str | None = None,
    mem0: Mapping[str, Any] | str | None = None,
    token: str | None = None,
    durability: Literal["normal", "full"] | None = None,
    timezone: str | None = None,
    redact: Callable[[str], str] | Literal["secrets"] | None = None,
) -> Backend:
    """Find the backend for a URL. Nothing is opened or loaded before the first use.

    Every argument may come from the environment instead (``MEMWELD_URL``, ``MEMWELD_LLM`` …); an argument wins.

    Args:
        url: ``sqlite:///team.db`` (a relative path), ``sqlite:////data/team.db`` (an absolute one), ``sqlite://`` (in
            memory, for tests). A path, such as ``Path("team.db")``, is a SQLite file, too.
            ``postgresql://user:password@host/app``: a Postgres database. ``http://host:8710/mcp`` (or ``https``): a
            memweld server; ``unix:/run/memweld.sock``: one on this machine; ``stdio:memweld serve …``: one that this
            command starts. None: a file in the user's data directory.
        llm: Extracts facts: the name of a model as LangChain's ``init_chat_model`` takes it
            (``"openai:gpt-4o-mini"``), a LangChain chat model, or a mem0 LLM configuration
            ``{"provider": …, "config": {…}}``. None: texts are kept verbatim.
        extraction: ``compact``: memweld's own prompt of some 700 tokens. ``mem0``: mem0's pipeline, whose prompt has
            8,000. None: mem0's for a mem0 configuration, else memweld's.
        instructions: What the extraction shall keep or leave out, in your words.
        categories: Names of which the LLM gives each fact one; a fact has it as ``category`` in its metadata.
        embedder: Turns text into vectors: a mem0 embedder configuration, a LangChain ``Embeddings``,
            ``"fastembed"`` or ``"fastembed:MODEL"`` (a transformer). None or ``"static"``: the static embeddings of the
            wordllama wheel, which need no key, no server and no download.
        graph: The URL of a Neo4j server, ``neo4j://user:password@host:7687``. It receives the entities that memories
            mention, and how they hang together. None: no graph.
        mem0: Where the vectors are, if not in the file: a mem0 configuration ``{"vector_store": {"provider": …,
            "config": {…}}, "llm": …, "embedder": …}``, or ``"platform"`` for mem0's hosted service.
        token: The bearer token for a memweld server.
        durability: What an acknowledged write to the embedded file survives: ``normal`` (if None), the end of the
            process, kill -9 included; ``full``, also a power loss, at the price of a sync for each write.
        timezone: The time zone of users for whom `Backend.user` names none, such as ``Europe/Lisbon``.
        redact: Takes out of each text what must not be stored, before anything is stored or an LLM reads it:
            ``"secrets"`` (keys, tokens, passwords, card numbers), or a function that gets a text and returns it,
            changed or not, the same each time. If it raises, nothing is stored. None: nothing is taken out.

    Raises:
        InvalidInputError: The time zone is not known.
        ConfigurationError: The URL or a combination of arguments is not supported.
    """
    from .settings import default_file, load_settings

    settings = load_settings()
    zone = validate_timezone(timezone or settings.timezone)
    if isinstance(url, os.PathLike):
        url = f"sqlite:///{os.fsdecode(url)}"
    url = url or settings.url or f"sqlite:///{default_file()}"
    options = _Options(
        llm=llm,
        extraction=extraction,
        instructions=instructions,
        categories=categories,
        embedder=embedder,
        graph=graph,
        mem0=mem0,
        token=token,
        durability=durability,
    )
    redaction = redact if redact is not None else settings.redact
    if redaction is None:
        return Backend(_make_engine(url, settings, options), url=url, timezone=zone)
    from .engine.redaction.engine import redacting
    from .engine.redaction.texts import redaction_of

    known = redaction_of(redaction)
    engine = _make_engine(url, settings, replace(options, redaction=known))
    return Backend(redacting(engine, known, public_url(url)), url=url, timezone=zone)


def redact_secrets(text: str) -> str:
    """The text as ``connect(redact="secrets")`` keeps it; for functions that take out more than that."""
    from .engine.redaction.secrets import redact_secrets as redact

    return redact(text)


def _make_engine(url: str, settings: Settings, options: _Options) -> Engine:
    scheme = url.partition(":")[0].lower()
    if scheme in ("http", "https", "unix", "stdio"):
        return _make_remote(url, settings, options)
    if scheme in ("postgresql", "postgres"):
        return _projected(_make_postgres(url, settings, options), settings, options)
    if scheme == "sqlite" and "://" in url:
        return _projected(_make_embedded(url, settings, options), settings, options)
    # What cannot be read is not repeated: it may hold a password.
    shown = f" {scheme}://…" if "://" in url and scheme.isalnum() else ""
    raise ConfigurationError(
        f"Cannot connect: the URL{shown} is of no kind that is known here. Pass sqlite:///path/to/memory.db, or "
        "nothing for the file in your data directory, or postgresql://user:password@host/database, or the http:// "
        "URL of a memweld server."
    )


def _make_embedded(url: str, settings: Settings, options: _Options) -> SqlEngine:
    """The engine on a file, with its vectors in it or in a store of mem0's."""
    from .engine.sql_engine import SqlEngine
    from .engine.sqlite.transactions import SqliteDatabase
    from .engine.sqlite.url import path_of

    options.refuse(["token"], "is for a memweld server and does not go with an embedded file; leave it out.")
    durability = options.durability or settings.durability or "normal"
    if durability not in ("normal", "full"):
        raise ConfigurationError(f"durability={durability!r} is not known: it is normal or full.")
    path, mem0 = path_of(url), options.mem0
    if mem0 is None and path is not None:
        # A database in RAM is for trying something, and not what the environment is about.
        mem0 = settings.mem0
    configured: Mapping[str, Any] = mem0 if isinstance(mem0, Mapping) else {}
    store = None
    if mem0 is not None:
        from .engine.extraction.mem0.side_effects import require_mem0
        from .engine.projections.mem0_store.configuration import read_configuration

        store = read_configuration(mem0)
        require_mem0()
    return SqlEngine(
        SqliteDatabase(path, durability=durability),
        extraction=_extraction(settings, options, configured.get("llm")),
        embedder=_first(options.embedder, configured.get("embedder") or settings.embedder),
        cache_mb=settings.cache_mb,
        mem0=store,
    )


def _make_postgres(url: str, settings: Settings, options: _Options) -> SqlEngine:
    if options.mem0 or settings.mem0:
        raise ConfigurationError(
            "mem0= does not go with Postgres, which keeps the vectors itself (pgvector); leave it out."
        )
    options.refuse(["token", "durability"], "does not go with Postgres; leave it out.")
    try:
        from .engine.postgres.transactions import PostgresDatabase
        from .engine.postgres.url import address_of
    except ModuleNotFoundError as error:
        if error.name not in ("psycopg", "psycopg_pool"):
            raise
        raise missing_extra("postgres", error.name) from error
    from .engine.sql_engine import SqlEngine

    return SqlEngine(
        PostgresDatabase(address_of(url)),
        extraction=_extraction(settings, options),
        cache_mb=settings.cache_mb,
        embedder=_first(options.embedder, settings.embedder),
    )


def _make_remote(url: str, settings: Settings, options: _Options) -> Engine:
    from .engine.remote import RemoteEngine

    decided_there = ["llm", "embedder", "graph", "mem0", "durability", "extraction", "instructions", "categories"]
    options.refuse(decided_there, "is for the server to decide; give it to the server and leave it out here.")
    token = options.token
    if token is None and not url.lower().startswith("stdio:"):
        token = settings.token
    # A call may wait for an extraction, and for the server's own work.
    return RemoteEngine(url, token=token, timeout=settings.llm_timeout + 30)


def _first(argument: Any, default: Any) -> Any:
    return default if argument is None else argument


def _extraction(settings: Settings, options: _Options, configured_llm: Any = None) -> ExtractionOptions:
    """How facts are extracted: the arguments, and the settings where an argument is None."""
    from .engine.extraction.options import ExtractionOptions

    redaction = {} if options.redaction is None else {"redact": options.redaction.text}
    return ExtractionOptions(
        **redaction,
        llm=_first(options.llm, configured_llm or settings.llm),
        timeout=settings.llm_timeout,
        mode=_first(options.extraction, settings.extraction),
        instructions=_first(options.instructions, settings.instructions),
        categories=_first(options.categories, settings.categories or ()),
    )


def _projected(sql: SqlEngine, settings: Settings, options: _Options) -> Engine:
    """The engine with its projections: a store of mem0's for its vectors, and a graph."""
    engine: Engine = sql
    if sql.has_mem0_store:
        from .engine.projections.engine import ProjectedEngine
        from .engine.projections.mem0_store.store import StoreProjection

        engine = ProjectedEngine(engine, StoreProjection(sql))
    url = options.graph or (None if sql.in_ram else settings.graph)
    if url is None:
        return engine
    from .engine.projections.engine import ProjectedEngine
    from .engine.projections.neo4j import GraphProjection, parse_graph_url

    address = parse_graph_url(url, user=settings.graph_user, password=settings.graph_password)
    llm = _first(options.llm, settings.llm)
    return ProjectedEngine(engine, GraphProjection(sql.database, address, llm=llm, llm_timeout=settings.llm_timeout))
