"""What ``memweld doctor`` finds: versions, settings, the file, the embedder, the extras, and what is wrong."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from . import __version__
from .backend import connect, redacted
from .errors import MemweldError
from .settings import Settings, load_settings

__all__ = ["Finding", "examine"]

_PACKAGES = ("mem0ai", "pydantic", "numpy")
_EXTRAS = {
    "langchain": "langchain",
    "crewai": "crewai",
    "autogen": "autogen-agentchat",
    "mcp": "fastmcp",
    "postgres": "psycopg",
    "neo4j": "neo4j",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        label: What was looked at.
        text: What was found.
        problem: Whether it is wrong.
    """

    label: str
    text: str
    problem: bool = False


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _provider(config: dict[str, object] | None) -> str | None:
    return None if config is None else str(config.get("provider", "without a provider"))


def _tried(label: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(label, attempt())
    except MemweldError as error:
        return Finding(label, " ".join(str(error).split()), problem=True)


def _path(url: str) -> Path | None:
    from .engines.stores.sqlite import path_of

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


def _settings(settings: Settings, url: str) -> Iterator[Finding]:
    yield Finding("url", redacted(url))
    embedder = _provider(settings.embedder)
    yield Finding("embedder", embedder or "static, from the wordllama wheel (no key, no server, no download)")
    yield Finding("llm", _provider(settings.llm) or "none: texts are kept as they are said")
    if settings.lock_user and settings.user_id is None:
        yield Finding("user", "MEMWELD_LOCK_USER is set without MEMWELD_USER_ID: give both or neither", problem=True)
    else:
        locked = ", the only one (MEMWELD_LOCK_USER)" if settings.lock_user else ""
        yield Finding("user", f"{settings.user_id or 'no default (MEMWELD_USER_ID is not set)'}{locked}")


def _store(url: str) -> Iterator[Finding]:
    path = _path(url)
    if path is not None and not path.exists():
        home = next(parent for parent in path.parents if parent.exists())
        writable = os.access(home, os.W_OK)
        text = "made at the first use" if writable else f"cannot be made: {home} is not writable"
        yield Finding("file", f"{path} ({text})", problem=not writable)
        return
    if path is not None:
        writable = os.access(path, os.W_OK)
        text = f"{path.stat().st_size / 1e6:.1f} MB{'' if writable else ', not writable'}"
        yield Finding("file", f"{path} ({text})", problem=not writable)

    def read() -> str:
        with connect(url) as backend:
            backend.user("memweld-doctor").all(limit=1)
        return "can be read"

    yield _tried("store", read)


def examine(url: str | None = None) -> list[Finding]:
    """Look at everything that memory depends on. Nothing is written to the store that the URL names."""
    from .settings import default_file

    installed = ", ".join(f"{package} {_version(package) or 'missing'}" for package in _PACKAGES)
    findings = [
        Finding("memweld", f"{__version__}, with {installed}"),
        Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
    ]
    try:
        settings = load_settings()
        place = url or settings.url or f"sqlite:///{default_file()}"
        findings += _settings(settings, place)
        findings += _store(place)
        findings.append(_tried("embedded memory", _round_trip))
    except MemweldError as error:
        findings.append(Finding("settings", " ".join(str(error).split()), problem=True))
    for extra, package in _EXTRAS.items():
        found = _version(package)
        text = f"{package} {found}" if found else f"not installed; for it: pip install 'memweld[{extra}]'"
        findings.append(Finding(f"extra {extra}", text))
    return findings
