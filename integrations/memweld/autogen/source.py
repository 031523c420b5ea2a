"""Where a component gets its memory: bound to a user or asked for at each call, and how a config names it."""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import threading
from collections.abc import Generator
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import BaseModel

from ..backend import Backend, connect
from ..errors import ConfigurationError
from ..memory import Memory
from ..scope import Scope
from ..settings import load_settings
from ..source import check_source, memory_now

__all__ = ["MemorySource", "SourceConfig", "loading_with", "without_secrets"]

_IN_MEMORY = {"sqlite:", "sqlite:///:memory:"}
_SECRET_PARAMETERS = {"password", "sslpassword", "token"}
_WITH: contextvars.ContextVar[Backend | None] = contextvars.ContextVar("memweld_autogen_backend", default=None)
_OPENED: dict[str, Backend] = {}
_OPENING = threading.Lock()


class SourceConfig(BaseModel):
    """What the config of every component says of its memory. It holds no password and no token.

    Attributes:
        url: Where memory is kept, without its password; None where the source does not say.
        user_id: The user it is bound to; None where the user is asked for at each call.
        agent_id: The agent it is bound to, if any.
    """

    url: str | None = None
    user_id: str | None = None
    agent_id: str | None = None


@contextlib.contextmanager
def loading_with(backend: Backend) -> Generator[None, None, None]:
    """Give the components that are loaded inside the ``with`` block this backend, whatever URL their config names.

    Without it a component connects to its URL by itself, with what the environment says (``MEMWELD_*``).
    """
    token = _WITH.set(backend)
    try:
        yield
    finally:
        _WITH.reset(token)


class MemorySource:
    """A `Memory` that is bound to its scope, or a `Backend` and the user of the moment.

    Raises:
        InvalidInputError: It is neither.
    """

    def __init__(self, source: Memory | Backend) -> None:
        self._source = check_source(source)

    def memory(self) -> Memory:
        """The memory to use now.

        Raises:
            ConfigurationError: It is not bound and no `memweld.user_scope` names a user. There is no default user.
        """
        return memory_now(self._source)

    def config(self) -> SourceConfig:
        """What a config says of it."""
        bound = self._source.scope if isinstance(self._source, Memory) else None
        url = self._source.url
        return SourceConfig(
            url=without_secrets(url) if url else None,
            user_id=None if bound is None else bound.user_id,
            agent_id=None if bound is None else bound.agent_id,
        )

    @classmethod
    def load(cls, config: SourceConfig) -> Memory | Backend:
        """What a component is made with, from its config.

        Raises:
            ConfigurationError: The config does not lead to a store: it names none, or one in RAM.
        """
        backend = _WITH.get() or _open(config.url)
        if config.user_id is None and config.agent_id is None:
            return backend
        return backend.scoped(Scope(user_id=config.user_id, agent_id=config.agent_id))


def without_secrets(url: str) -> str:
    """The URL as a config may show it: without password and token."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    query = parse_qsl(parts.query, keep_blank_values=True)
    shown = [(key, value) for key, value in query if key.lower() not in _SECRET_PARAMETERS]
    if ":" not in user and shown == query:
        return url
    return urlunsplit(parts._replace(netloc=user.partition(":")[0] + at + host, query=urlencode(shown)))


def _open(url: str | None) -> Backend:
    known = load_settings().url
    if url is None or (known is not None and without_secrets(known) == url):
        url = known
    if url is None or url.rstrip("/") in _IN_MEMORY:
        raise ConfigurationError(
            "The component's config does not lead to a store, because it was in RAM or is not named: "
            "load it inside `with memweld.autogen.loading_with(backend):`, or set MEMWELD_URL."
        )
    with _OPENING:
        if url not in _OPENED:
            # An agent's config holds many components: they share one backend, open until the process ends.
            backend = connect(url)
            atexit.register(backend.close)
            _OPENED[url] = backend
        return _OPENED[url]
