"""The address of a memory in a saved configuration or checkpoint: written without secrets, and opened again."""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import threading
import weakref
from collections.abc import Callable, Generator
from typing import Any

from pydantic import BaseModel
from typing_extensions import Self

from ..connect import connect
from ..engine.protocol import Engine
from ..errors import ConfigurationError, for_clients
from ..memory.backend import Backend
from ..memory.memory import Memory
from ..memory.messages import new_id
from ..scope import Scope
from ..settings import load_settings
from ..urls import public_url
from .binding import MemorySource

__all__ = ["SavedMemory", "loading_backend", "loading_with", "open_saved", "open_shared"]

_IN_MEMORY = ("sqlite:", "sqlite:///:memory:")

_WITH: contextvars.ContextVar[Backend | None] = contextvars.ContextVar("memweld_loading_with", default=None)
_GUARD = threading.Lock()
_OPENING = threading.Lock()
_OPENED: dict[str, Backend] = {}
# The stores of this process by a name that no other process has: a memory in RAM is found again too, and exactly it.
_STORES: weakref.WeakValueDictionary[str, Engine] = weakref.WeakValueDictionary()


@contextlib.contextmanager
def loading_with(backend: Backend) -> Generator[None, None, None]:
    """Give what is loaded or restored inside the ``with`` block this backend, whatever was saved of the place.

    The user stays the one that was saved. Without it the store is opened again: the file that was saved, or the server
    that ``MEMWELD_URL`` names. A checkpoint of this very process finds its store as it is.
    """
    token = _WITH.set(backend)
    try:
        yield
    finally:
        _WITH.reset(token)


def loading_backend() -> Backend | None:
    """The backend of the surrounding `loading_with`, if there is one."""
    return _WITH.get()


class SavedMemory(BaseModel):
    """The place and the user of a memory. It holds no password, no token and no memories.

    Attributes:
        url: Where memory is kept, without its secrets.
        store: The open store in the process that wrote this.
        user_id: The user it is bound to; None where the user is asked for at each call.
        agent_id: The agent it is bound to, if any.
        timezone: The time zone of the user, if one is known.
    """

    url: str | None = None
    store: str | None = None
    user_id: str | None = None
    agent_id: str | None = None
    timezone: str | None = None

    @classmethod
    def of(cls, source: MemorySource, *, in_process: bool = True, **fields: Any) -> Self:
        """Describe a memory or a backend for saving.

        Args:
            source: The memory or backend.
            in_process: Whether the process that saves it finds the open store again, one in RAM too: for checkpoints,
                and not for configurations that others load.
            fields: The fields that a subclass adds.
        """
        scope = source.scope if isinstance(source, Memory) else None
        return cls(
            url=source.url or None,
            store=_name(_engine(source)) if in_process else None,
            user_id=None if scope is None else scope.user_id,
            agent_id=None if scope is None else scope.agent_id,
            timezone=source.timezone if isinstance(source, Memory) else None,
            **fields,
        )

    def load(self, backend: Backend | None = None) -> MemorySource:
        """The memory or backend that was saved: on ``backend``, or that of `loading_with`, if there is one.

        Raises:
            ConfigurationError: It does not lead to a store.
        """
        backend = backend or loading_backend() or self._open_store() or open_saved(self.url)
        if self.user_id is None and self.agent_id is None:
            return backend
        return backend.scoped(Scope(user_id=self.user_id, agent_id=self.agent_id, timezone=self.timezone))

    def _open_store(self) -> Backend | None:
        engine = None if self.store is None else _STORES.get(self.store)
        return None if engine is None or engine.closed else Backend(engine, url=self.url or "")


def _engine(source: MemorySource) -> Engine:
    """The engine that the memories of the source share."""
    return source._traced if isinstance(source, Backend) else source._engine  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001


def _name(engine: Engine) -> str:
    with _GUARD:
        for name, store in _STORES.items():
            if store is engine:
                return name
        name = new_id()
        _STORES[name] = engine
        return name


def open_saved(url: str | None) -> Backend:
    """The backend at a URL that was saved; ``MEMWELD_URL`` has the secrets that were left out of it.

    Raises:
        ConfigurationError: It leads to no store, or to a server or command that ``MEMWELD_URL`` does not name.
    """
    known = load_settings().url
    if url is None or (known is not None and public_url(known) == url):
        url = known
    elif not url.lower().startswith("sqlite:"):
        # A writer of the saved file must not choose the program that is started, or the server that gets the token.
        raise ConfigurationError(
            f"What was saved names the store {url!r}, which is opened only if MEMWELD_URL names it too: set it, "
            "or load inside `with loading_with(backend):`."
        )
    if url is None or url.rstrip("/") in _IN_MEMORY:
        raise for_clients(
            ConfigurationError(
                "What was saved does not lead to a store, because that was in RAM, or is not named: "
                "load inside `with loading_with(backend):`, or set MEMWELD_URL."
            )
        )
    return open_shared(url, lambda: connect(url))


def open_shared(key: str, make: Callable[[], Backend]) -> Backend:
    """The backend of this key, which all that is loaded shares until the program ends; made anew once closed."""
    with _OPENING:
        backend = _OPENED.get(key)
        if backend is None or backend.closed:
            if backend is not None:
                atexit.unregister(backend.close)
            backend = _OPENED[key] = make()
            atexit.register(backend.close)
        return backend
