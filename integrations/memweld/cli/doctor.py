"""The findings of ``memweld doctor`` about versions, settings, the file, the graph, the embedder and the extras."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..connect import connect
from ..errors import AccessDeniedError, ConfigurationError, MemweldError
from ..memory.backend import Backend
from ..scope import Scope
from ..settings import Settings, default_file, load_settings
from ..urls import public_url

if TYPE_CHECKING:
    from ..engine.protocol import GraphHealth

__all__ = ["Finding", "Repair", "examine", "forget_graph"]

_SENTENCE = "My name is Ana and I live in Lisbon."
_PACKAGES = ("pydantic", "numpy")
_EXTRAS = {
    "mem0": "mem0ai",
    "langchain": "langchain",
    "crewai": "crewai",
    "autogen": "autogen-agentchat",
    "mcp": "fastmcp",
    "postgres": "psycopg",
    "neo4j": "neo4j",
    "ag2": "ag2",
    "agent-framework": "agent-framework-core",
    "fastembed": "fastembed",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        label: The part that was examined.
        text: The finding.
        problem: Whether it is wrong.
    """

    label: str
    text: str
    problem: bool = False


@dataclass(frozen=True, slots=True)
class Repair:
    """What to deliver again: waiting changes and differences; everything of one user; or everything."""

    user: str | None = None
    whole: bool = False


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _provider(config: dict[str, object] | str | None) -> str | None:
    if config is None or isinstance(config, str):
        return config
    return str(config.get("provider", "without a provider"))


def _failed(label: str, error: MemweldError, what: str = "") -> Finding:
    return Finding(label, what + " ".join(str(error).split()), problem=True)


def _tried(label: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(label, attempt())
    except MemweldError as error:
        return _failed(label, error)


def _path(url: str) -> Path | None:
    from ..engine.sqlite.url import path_of

    found = path_of(url) if url.lower().startswith("sqlite://") else None
    return None if found is None else Path(found)


def _round_trip() -> str:
    """Add and find a memory in RAM, with the configured embedder: the user's own file is not touched."""
    started = time.perf_counter()
    with connect("sqlite://") as backend:
        memory = backend.user("memweld-doctor")
        item = memory.add("The doctor looks in", infer=False)[0]
        found = memory.search("doctor")
    took = time.perf_counter() - started
    if [hit.id for hit in found] != [item.id]:
        raise MemweldError("A memory that was just added is not found again.")
    return f"a memory is added and found again ({took:.1f} s with loading)"


def _llm(settings: Settings) -> str:
    """Whether the LLM extracts the fact in a sentence, with the prompt of every extraction. It is asked once."""
    if settings.llm is None:
        return "none: texts are kept as they are said"
    name = _provider(settings.llm)
    started = time.perf_counter()
    # The embedder has a line of its own.
    with connect("sqlite://", embedder="static") as backend:
        item = backend.user("memweld-doctor").add(_SENTENCE, infer=True)[0]
    took = time.perf_counter() - started
    if item.extraction == "failed":
        raise MemweldError(f"{name}: {item.extraction_error}")
    if item.extraction == "verbatim":
        raise MemweldError(f"{name} answers, but finds no fact in {_SENTENCE!r}: try a larger model")
    return f"{name} extracts {item.text!r} ({took:.1f} s)"


def _settings(settings: Settings, url: str) -> Iterator[Finding]:
    yield Finding("url", public_url(url))
    embedder = _provider(settings.embedder)
    yield Finding("embedder", embedder or "static, from the wordllama wheel (no key, no server, no download)")
    yield _tried("llm", lambda: _llm(settings))
    if settings.lock_user and settings.user_id is None:
        yield Finding("user", "MEMWELD_LOCK_USER is set without MEMWELD_USER_ID: give both or neither", problem=True)
    else:
        locked = ", the only one (MEMWELD_LOCK_USER)" if settings.lock_user else ""
        yield Finding("user", f"{settings.user_id or 'no default (MEMWELD_USER_ID is not set)'}{locked}")


def _read(backend: Backend, user: str | None) -> str:
    try:
        backend.user(user or "memweld-doctor").all(limit=1)
    except AccessDeniedError:
        if user:
            raise
        return "answers, and its token is for one user: set MEMWELD_USER_ID to read this user's memory"
    return "can be read"


def _store(url: str, user: str | None) -> Iterator[Finding]:
    path = _path(url)
    with connect(url) as backend:
        server = [Finding(*found) for found in backend.admin.health()]
        yield from server
        # Reading would make the tables of a database that has none.
        if any(found.problem or found.text.startswith("none yet") for found in server):
            return
        if path is not None:
            place = next(parent for parent in (path, *path.parents) if parent.exists())
            writable = os.access(place, os.W_OK)
            if place == path:
                text = f"{path.stat().st_size / 1e6:.1f} MB{'' if writable else ', not writable'}"
            else:
                text = "made at the first use" if writable else f"cannot be made: {place} is not writable"
            yield Finding("file", f"{path} ({text})", problem=not writable)
            if place != path:
                return

        yield _tried("store", lambda: _read(backend, user))


def _graph(url: str, settings: Settings, repair: Repair | None) -> Iterator[Finding]:
    remote = url.partition(":")[0].lower() in ("http", "https", "stdio")
    if remote or settings.graph is None:
        # A store of mem0's is repaired, too.
        if repair is not None and (settings.mem0 is None or repair.user is not None or repair.whole):
            where = "the graph is the server's, repair it there" if remote else "there is no graph (set MEMWELD_GRAPH)"
            yield Finding("graph repaired", f"nothing: {where}", problem=True)
        if not remote:
            yield _without_graph(url)
        return
    yield Finding("graph", public_url(settings.graph))
    path = _path(url)
    if path is not None and not path.exists():
        return
    try:
        with connect(url) as backend:
            if repair is not None:
                yield _repaired(backend, repair)
            health = backend.admin.graph_health()
    except MemweldError as error:
        yield _failed("graph store", error)
        return
    if health is None or not health.begun:
        yield Finding("graph store", "was not told anything yet: the first change of a memory begins it")
    elif health.agrees:
        yield Finding("graph store", f"agrees with all {health.items} memories")
    else:
        yield Finding("graph store", _disagreement(health), problem=True)


def _repaired(backend: Backend, repair: Repair) -> Finding:
    scope = None if repair.user is None else Scope(repair.user)
    try:
        count = backend.admin.repair_graph(scope, whole=repair.whole)
    except MemweldError as error:
        return _failed("graph repaired", error, "not all of it: ")
    return Finding("graph repaired", f"{count} memories told again")


def _disagreement(health: GraphHealth) -> str:
    counts = {"missing": health.missing, "outdated": health.outdated, "of deleted memories": health.orphans}
    parts = [f"{count} {what}" for what, count in counts.items() if count]
    if health.pending:
        since = f", the oldest for {time.time() - health.oldest:.0f} s" if health.oldest is not None else ""
        parts.append(f"{health.pending} changes wait to be told{since}")
    if health.problem:
        parts.append(health.problem.rstrip("."))
    if not health.compared:
        return f"cannot be compared with {health.items} memories: {', '.join(parts)}"
    advice = "" if health.pending else ". Run `memweld doctor --repair`"
    return f"out of step with {health.items} memories: {', '.join(parts)}{advice}"


def _mem0(url: str, settings: Settings, repair: Repair | None) -> Iterator[Finding]:
    """The changes that wait for a mem0 store, where the vectors are not in the file."""
    path = _path(url)
    if path is None or not path.exists() or (waiting := _mem0_waiting(path)) is None:
        return
    if repair is not None and settings.mem0 is not None:
        try:
            with connect(url) as backend:
                yield Finding("mem0 repaired", f"{backend.admin.sync_projections()} changes delivered")
        except MemweldError as error:
            yield _failed("mem0 store", error)
        waiting = _mem0_waiting(path) or waiting
    count, problem, since = waiting
    if not count:
        if settings.mem0 is not None:
            yield Finding("mem0 store", "has received all memories")
        return
    text = f"{count} changes wait to be delivered"
    if settings.mem0 is None:
        advice = "set MEMWELD_MEM0, or run `memweld reindex` to take the vectors into the file"
        yield Finding("mem0 store", f"{text}, and it is not named: {advice}", problem=True)
        return
    if since is not None:
        text += f"; failing for {time.time() - since:.0f} s: {(problem or '').rstrip('.')}"
    yield Finding("mem0 store", f"{text}. Run `memweld doctor --repair`", problem=True)


def _mem0_waiting(path: Path) -> tuple[int, str | None, float | None] | None:
    """How many changes wait, the problem and its beginning; None where the vectors are in the file."""
    from ..engine.sql.delivery_lease import DeliveryLease
    from ..engine.sql.outbox import Outbox
    from ..engine.sqlite.transactions import SqliteDatabase

    database = SqliteDatabase(str(path))
    try:
        outbox = Outbox(database, "mem0")
        lease = DeliveryLease(outbox).state()
        return (outbox.pending().count, lease.problem, lease.failing_since) if outbox.is_in_use() else None
    except MemweldError:
        return None  # the store's own line says what is wrong
    finally:
        database.close()


def _without_graph(url: str) -> Finding:
    try:
        with connect(url) as backend:
            waiting = backend.admin.graph_backlog() if _is_made(url, backend) else None
    except MemweldError:
        waiting = None  # the store's own line says what is wrong
    if waiting:
        advice = "set MEMWELD_GRAPH, or run `memweld doctor --forget-graph` if there is none any more"
        return Finding("graph", f"none, but {waiting} changes wait to be told to one: {advice}", problem=True)
    return Finding("graph", "none (MEMWELD_GRAPH is not set)")


def _is_made(url: str, backend: Backend) -> bool:
    """Whether there are tables already, which to read would make."""
    if url.lower().startswith("sqlite:"):
        return (path := _path(url)) is not None and path.exists()
    return not any(text.startswith("none yet") for _, text, _ in backend.admin.health())


def forget_graph(url: str | None = None) -> int:
    """Keep no changes for a graph any more; how many waited.

    Raises:
        ConfigurationError: Nothing is kept there, or the graph is a server's.
    """
    place = url or load_settings().url or f"sqlite:///{default_file()}"
    with connect(place) as backend:
        if not _is_made(place, backend):
            raise ConfigurationError(f"{public_url(place)} keeps no memories that could wait for a graph.")
        return backend.admin.detach_graph()


def examine(url: str | None = None, *, repair: Repair | None = None) -> list[Finding]:
    """Look at everything that memory depends on. Nothing is written to the store that the URL names.

    Args:
        url: Where memory is kept; as the settings say if None.
        repair: What a graph and a mem0 store are told again, if that is wanted.
    """
    installed = ", ".join(f"{package} {_version(package) or 'missing'}" for package in _PACKAGES)
    findings = [
        Finding("memweld", f"{__version__}, with {installed}"),
        Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
    ]
    try:
        settings = load_settings()
        place = url or settings.url or f"sqlite:///{default_file()}"
        findings += _settings(settings, place)
        findings += _store(place, settings.user_id)
        findings += _mem0(place, settings, repair)
        findings += _graph(place, settings, repair)
        findings.append(_tried("embedded memory", _round_trip))
    except MemweldError as error:
        findings.append(_failed("settings", error))
    for extra, package in _EXTRAS.items():
        found = _version(package)
        text = f"{package} {found}" if found else f"not installed; for it: pip install 'memweld[{extra}]'"
        findings.append(Finding(f"extra {extra}", text))
    return findings
