"""Opening a vector store of mem0's: checked, shared within the process, and locked against other processes."""

# mem0 2.2 has no type stubs, and its base classes declare None where they mean a result.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import contextlib
import os
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ....errors import BackendUnavailableError, ConfigurationError, MemweldError, MissingExtraError
from ...extraction.mem0.side_effects import load_mem0

try:
    import fcntl
except ImportError:  # Windows, where Qdrant holds a lock of its own and the others none
    fcntl = None  # type: ignore[assignment]

__all__ = ["OpenStore", "close_store", "one_line", "open_store"]

_SERVERS = {"qdrant": ("url", "host", "api_key", "client"), "chroma": ("host", "api_key", "client")}
_IN_FILES = ("qdrant", "chroma", "faiss")
_PATIENCE_SECONDS = 30.0
_CONNECT_SECONDS = 5


def _nothing() -> None:
    pass


@dataclass(slots=True)
class OpenStore:
    """A vector store of mem0's with what is shared by all who use it in this process.

    Attributes:
        provider: Its name in mem0.
        store: The ``VectorStoreBase``.
        where: The store in words.
        lock: To be held around each call: local Qdrant loses acknowledged writes of concurrent threads, FAISS and
            Chroma were not made for them.
        is_exclusive: Whether no other process can have it open.
        overwrites: Whether what is deleted is overwritten where it stood.
        is_lent: Whether its connection is the program's own, which is not ours to close.
    """

    provider: str
    store: Any
    where: str
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_exclusive: bool = False
    overwrites: bool = False
    is_lent: bool = False
    users: int = 0
    release: Callable[[], None] = _nothing


_open: dict[tuple[str, ...], OpenStore] = {}
_opening = threading.Lock()
_left_to_the_parent: list[object] = []


def _leave_to_the_parent() -> None:
    global _open, _opening
    # Kept, because a local Qdrant that is collected unlocks its folder, for the parent as well.
    _left_to_the_parent.append(_open)
    _open, _opening = {}, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_the_parent)


def open_store(provider: str, details: Mapping[str, Any], dimensions: int) -> OpenStore:
    """Open a store, or share the one that this process has open; give it back with `close_store`.

    Raises:
        ConfigurationError: The configuration is wrong, or the collection is for vectors of another length.
        MissingExtraError: A package of the store is not installed.
        BackendUnavailableError: It does not answer, or another process has its files open.
    """
    load_mem0()
    settings = _settings(provider, details, dimensions)
    collection = str(settings["collection_name"])
    folder, client = _folder(provider, settings), settings.get("client")
    if folder is None and client is None:
        return _made(provider, settings, f"mem0's {provider} store, collection {collection!r}", dimensions)
    key = (provider, folder or f"client {id(client)}", collection)
    where = f"mem0's {provider} store in {folder}" if folder else f"the program's own {provider} client"
    with _opening:
        store = _open.get(key)
        if store is None:
            unlock = _nothing if folder is None else _locked(folder, collection, where)
            try:
                store = _made(provider, settings, where, dimensions)
            except BaseException:
                unlock()
                raise
            store.release, store.is_lent = unlock, client is not None
            store.is_exclusive = unlock is not _nothing
            _open[key] = store
        store.users += 1
        return store


def close_store(opened: OpenStore) -> None:
    """Give a store back; with the last user it is closed."""
    with _opening:
        opened.users -= 1
        if opened.users > 0:
            return
        for key in [key for key, held in _open.items() if held is opened]:
            del _open[key]
        with opened.lock:
            close = getattr(getattr(opened.store, "client", None), "close", None)
            if callable(close) and not opened.is_lent:
                for session in _sessions(opened.store):
                    session.close()
                with contextlib.suppress(Exception):
                    close()
        opened.release()


def _settings(provider: str, details: Mapping[str, Any], dimensions: int) -> dict[str, Any]:
    """The configuration with what follows from the embedder, checked by mem0."""
    from mem0.vector_stores.configs import VectorStoreConfig

    given = dict(details)
    in_files = _is_in_files(provider, given)
    if in_files and not given.get("path"):
        # mem0 2.2 would take a directory under /tmp that every user of the machine can read.
        raise ConfigurationError(f"mem0= names no place for {provider}: pass its 'path' (or the address of a server).")
    if in_files:
        given["path"] = os.path.abspath(os.path.expanduser(str(given["path"])))  # noqa: PTH100, PTH111
    if provider == "qdrant" and in_files:
        # Without it mem0 2.2 asks for a collection in RAM, which local Qdrant takes for one on disk all the same.
        given.setdefault("on_disk", True)
    given.setdefault("collection_name", "memweld")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            checked = cast("Any", VectorStoreConfig(provider=provider, config=dict(given)).config)
            fields = cast("dict[str, Any]", type(checked).model_fields)
            if "embedding_model_dims" in fields:
                requested = given.setdefault("embedding_model_dims", dimensions)
                if requested != dimensions:
                    raise ConfigurationError(
                        f"mem0= says embedding_model_dims={requested!r} for {provider}, and the embedder's vectors "
                        f"have {dimensions}; leave it out."
                    )
                checked = cast("Any", VectorStoreConfig(provider=provider, config=dict(given)).config)
    except MemweldError:
        raise
    except ImportError as error:
        raise _not_installed(provider, error) from error
    except Exception as error:
        raise ConfigurationError(f"mem0= cannot be used with {provider}: {one_line(error)}") from error
    return {name: getattr(checked, name) for name in fields}


def _folder(provider: str, settings: Mapping[str, Any]) -> str | None:
    """The directory that only one process may have open; None for a server."""
    return os.path.realpath(str(settings["path"])) if _is_in_files(provider, settings) else None


def _is_in_files(provider: str, settings: Mapping[str, Any]) -> bool:
    return provider in _IN_FILES and not any(settings.get(name) for name in _SERVERS.get(provider, ()))


def _made(provider: str, settings: Mapping[str, Any], where: str, dimensions: int) -> OpenStore:
    from mem0.utils.factory import VectorStoreFactory

    try:
        _reach(provider, settings)
        store: Any = VectorStoreFactory.create(provider, dict(settings))
        if provider == "qdrant":
            # With fastembed installed and no network, mem0 2.2 tries for 40 s to download a model at the first write;
            # words are ranked in our own tables.
            store._bm25_encoder = False  # noqa: SLF001 - mem0's own sign for "tried, not there"
        if settings.get("client") is None:
            for session in _sessions(store):
                session.timeout = _PATIENCE_SECONDS
        _try(store, dimensions)
    except ImportError as error:
        raise _not_installed(provider, error) from error
    except Exception as error:
        text = one_line(error)
        if "already accessed" in text:
            raise BackendUnavailableError(
                f"{where} is in use, by another process or as another collection: give each its own path, or use a "
                "server of the store for several processes."
            ) from error
        if "dim" in text.lower():
            raise ConfigurationError(
                f"{where} holds vectors of another length than the embedder's {dimensions}: name another "
                f"collection_name, or the embedder that it was made with. ({text})"
            ) from error
        raise BackendUnavailableError(f"{where} does not answer: {type(error).__name__}: {text}") from error
    return OpenStore(provider, store, where, overwrites=_overwrites(store))


def _reach(provider: str, settings: Mapping[str, Any]) -> None:
    """Connect once to the Postgres of pgvector.

    mem0 2.2 opens a pool of psycopg_pool, which tries for 30 s, logs every attempt that fails, without the reason.

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
    names = ("sslmode",) if url else ("dbname", "user", "password", "host", "port", "sslmode")
    parts: dict[str, Any] = {name: settings[name] for name in names if settings.get(name) is not None}
    psycopg.connect(str(url or ""), connect_timeout=_CONNECT_SECONDS, **parts).close()


def _sessions(store: Any) -> list[Any]:
    """The HTTP sessions of a Chroma client, which wait without end and stay open (chromadb 1.5)."""
    client = getattr(store, "client", None)
    clients = (client, getattr(client, "_admin_client", None))
    sessions = [getattr(getattr(each, "_server", None), "_session", None) for each in clients]
    return [session for session in sessions if session is not None and hasattr(session, "timeout")]


def _overwrites(store: Any) -> bool:
    """Have local Qdrant's SQLite file overwrite what is deleted; no other store can be made to."""
    try:
        file = store.client._client.collections[store.collection_name].storage.storage  # noqa: SLF001 - qdrant-client 1.20
        return bool(file.execute("PRAGMA secure_delete = ON").fetchone()[0])
    except Exception:  # noqa: BLE001 - another store, or another version of it
        return False


def _try(store: Any, dimensions: int) -> None:
    """Ask for nothing in particular: shows whether the store answers and takes vectors of this length."""
    size = _size(store)
    if size is not None and size != dimensions:
        raise ValueError(f"the collection's dimension is {size}")
    store.search(query="", vectors=[1.0, *([0.0] * (dimensions - 1))], top_k=1, filters={"user_id": "memweld:no-user"})


def _size(store: Any) -> int | None:
    """The length of a Qdrant or FAISS collection's vectors, which an empty one does not complain about."""
    if hasattr(store, "index") and hasattr(store.index, "d"):
        return int(store.index.d)
    get_collection = getattr(getattr(store, "client", None), "get_collection", None)
    try:
        vectors = get_collection(store.collection_name).config.params.vectors  # type: ignore[misc]
        return int(vectors.size)
    except Exception:  # noqa: BLE001 - another store, or one with named vectors
        return None


def _locked(folder: str, collection: str, where: str) -> Callable[[], None]:
    """Lock a store in files against other processes; what unlocks it."""
    if fcntl is None:
        return _nothing
    try:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(Path(folder) / f".memweld-{collection}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise BackendUnavailableError(f"{where} cannot be opened: {error.strerror or error}.") from error
    try:
        # POSIX locks end with the process, kill -9 included, and do not pass to the child of a fork.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise BackendUnavailableError(
            f"{where} is in use by another process, and only one at a time may have it open: run `memweld serve` over "
            "it and connect to that, or use a server of the store."
        ) from error
    return lambda: os.close(descriptor)


def _not_installed(provider: str, error: ImportError) -> MissingExtraError:
    package = error.name or one_line(error)
    return MissingExtraError(f"mem0's {provider} store needs a package that is not installed: {package}", name=package)


def one_line(error: BaseException) -> str:
    """The first line of an error that says something; pydantic's own heading says nothing."""
    problems = getattr(error, "errors", None)
    if callable(problems):
        with contextlib.suppress(Exception):
            first = cast("list[dict[str, Any]]", problems())[0]
            place = ".".join(str(part) for part in first["loc"])
            return f"{place}: {first['msg']}" if place else str(first["msg"])
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
