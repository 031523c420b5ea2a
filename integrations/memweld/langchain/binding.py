"""The user of a run, from LangChain's run-time channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.runnables.config import set_config_context
from langgraph.runtime import Runtime, get_runtime

from ..adapters.binding import Channels, MemorySource, resolve_scope
from ..errors import InvalidInputError
from ..memory.memory import Memory
from ..scope import Scope

__all__ = ["memory_of_run", "runtime_of", "scope_of_run", "thread_of_run"]


def memory_of_run(
    source: MemorySource, *, runtime: Runtime[Any] | None = None, config: RunnableConfig | None = None
) -> Memory:
    """The memory of the user of this run. A memory that is bound already stays the one it is.

    Args:
        source: A memory, or a backend.
        runtime: The run's LangGraph runtime; where it is not given, the one that ``config`` carries.
        config: The run's config; where it is not given, that of the surrounding runnable.

    Raises:
        ConfigurationError: Nothing names a user. There is never a default user.
        AccessDeniedError: The channels name different users.
        InvalidInputError: The id breaks a rule of `memweld.scope.validate_identity`.
    """
    if isinstance(source, Memory):
        return source
    config = ensure_config(config)
    return source.scoped(scope_of_run(runtime_of(config) if runtime is None else runtime, config))


def runtime_of(config: RunnableConfig) -> Runtime[Any] | None:
    """The LangGraph runtime that a config carries, or None outside of a graph."""
    # get_runtime() reads a context variable that Python 3.10 does not carry into async code: set it here.
    with set_config_context(config) as context:
        return cast("Runtime[Any] | None", context.run(get_runtime))


def scope_of_run(runtime: Runtime[Any] | None, config: RunnableConfig) -> Scope:
    """The scope that a run's channels name.

    The channels are, from the most to the least trusted: the authenticated user of LangGraph's server, the runtime
    context (``user_id`` as attribute or key), ``config["configurable"]["user_id"]`` and `memweld.user_scope`. All that
    name a user must name the same one: some of them are filled in by clients, and a client must not choose another
    user than the one who was authenticated. An ``agent_id`` beside the user's id narrows the scope.
    """
    context = getattr(runtime, "context", None)
    configurable = config.get("configurable")
    channels = Channels(
        users={
            "the authenticated user": _authenticated_user(runtime),
            "the runtime context": _named(context, "user_id"),
            'config["configurable"]': _named(configurable, "user_id"),
        },
        agents=[_named(context, "agent_id"), _named(configurable, "agent_id")],
        remedy=(
            'name one in the runtime context (context={"user_id": …}), in config={"configurable": {"user_id": …}}, '
            "or with memweld.user_scope(user_id)."
        ),
    )
    return resolve_scope(channels)


def thread_of_run(runtime: Runtime[Any] | None, config: RunnableConfig) -> str | None:
    """The thread that a run belongs to, or None; LangGraph also takes numbers and UUIDs."""
    thread = _named(config.get("configurable"), "thread_id")
    if thread is None:
        thread = getattr(getattr(runtime, "execution_info", None), "thread_id", None)
    return None if thread is None else str(thread)


def _named(holder: object, key: str) -> Any:
    if isinstance(holder, Mapping):
        return cast("Mapping[str, Any]", holder).get(key)
    return getattr(holder, key, None)


def _authenticated_user(runtime: Runtime[Any] | None) -> Any:
    user = getattr(getattr(runtime, "server_info", None), "user", None)
    # A server without authentication has a user, too: one that says it is not authenticated.
    if user is None or _named(user, "is_authenticated") is False:
        return None
    identity = _named(user, "identity")
    if identity is None:
        raise InvalidInputError("The server's authenticated user has no identity; set it in the auth handler.")
    return identity
