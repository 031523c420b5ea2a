"""Key-value memory over HTTP, for any client: ``/memory/{namespace}/{key}``, values as JSON.

The paths, bodies and status codes are those of the ``botwire`` client 0.2.1, which works against them unchanged.
"""

from __future__ import annotations

import functools
import json
import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, cast
from urllib.parse import quote, unquote_to_bytes

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope

from ..adapters.binding import MemorySource
from ..errors import (
    AccessDeniedError,
    BackendUnavailableError,
    InvalidInputError,
    MemoryNotFoundError,
    MemweldError,
    for_log,
    invalid,
)
from ..memory.asynchronous import in_thread
from ..memory.memory import Memory
from ..models import JSON
from ..scope import Scope
from ..tools.errors import OutageLog
from ..tools.state import key_page
from ..validation import MAX_LIMIT, validate_key
from .access import TRUSTED, memory_opener, restricted
from .call_records import RECORDED, REFUSED, CallRecord, caller_of, identity_in, operation_of
from .errors import client_details
from .http_errors import error_body, error_name
from .principal import Principal, token_of
from .rest_limits import DailyWrites, RefusedError, read_body
from .spans import request_span

__all__ = ["MAX_BODY_BYTES", "read_error", "rest_routes"]

MAX_BODY_BYTES = 4 * 1024 * 1024
"""The default limit for the body of a request."""

_log = logging.getLogger("memweld.mcp")
_outages = OutageLog(_log)

_TOOLS: Mapping[tuple[bool, str], str] = {
    (False, "GET"): "list_state_keys",
    (True, "GET"): "get_state",
    (True, "PUT"): "set_state",
    (True, "DELETE"): "delete_state",
}
"""The tool that does the same as a method of a path, with a key or without."""

_STATUS: tuple[tuple[type[MemweldError], int], ...] = (
    (InvalidInputError, 400),
    (AccessDeniedError, 403),
    (MemoryNotFoundError, 404),
    (BackendUnavailableError, 503),
    (MemweldError, 500),
)


def rest_routes(
    backend: MemorySource,
    identify: Callable[[Request], Principal],
    *,
    max_body: int = MAX_BODY_BYTES,
    writes_per_day: int | None = None,
    tools: Collection[str] | None = None,
    record: CallRecord | None = None,
) -> list[BaseRoute]:
    """Make the routes ``/memory/…`` and ``/users/{user_id}/memory/…`` for a Starlette application.

    ``PUT`` (with ``{"value": …}``), ``GET`` and ``DELETE /memory/{namespace}/{key}``, and ``GET /memory/{namespace}``
    for ``{"keys": […]}``. They read and write `Memory.state`. A key may hold slashes, encoded or not; a namespace and
    a user id only encoded ones. Errors are ``{"error": {"type": …, "message": …}}``.

    Args:
        backend: Where memory is kept. A `Memory` serves its one scope and no other.
        identify: Who makes a request. It raises Starlette's ``HTTPException`` (401 or 403), or `AccessDeniedError`
            for 403. Plain paths are about this principal; it may need rights for a path that names a user.
        max_body: How many bytes a body may have; 413 above.
        writes_per_day: How many values may be stored in a namespace of a user on a day (UTC); 429 with ``Retry-After``
            above, None for no limit. Counted by this process, from its start.
        tools: The tools whose methods are served: ``get_state``, ``set_state``, ``delete_state``, ``list_state_keys``.
            None: all.
        record: Of each request.

    Raises:
        InvalidInputError: A limit is not positive, or ``backend`` is neither a backend nor a memory.
    """
    for name, limit in (("max_body", max_body), ("writes_per_day", writes_per_day)):
        if limit is not None and limit < 1:
            raise invalid(name, limit, "a limit is positive", "Leave it out for the default.")
    if tools is not None and not set(_TOOLS.values()) & set(tools):
        return []
    endpoint = _KeyValue(
        memory_opener(backend),
        identify,
        max_body=max_body,
        writes=DailyWrites(writes_per_day),
        tools=tools,
        record=record,
    )
    # Whole paths, because Starlette decodes before it matches: %2F would separate a namespace from its key.
    return [Route("/memory/{path:path}", endpoint), Route("/users/{path:path}", endpoint)]


def _answer(content: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> JSONResponse:
    # No cache on the way may keep a user's values.
    return JSONResponse(content, status, {"Cache-Control": "no-store", **(headers or {})})


def read_error(error: Exception) -> tuple[int, str, dict[str, str]]:
    """The status, the text for the client and the headers of an error. It is logged where the operator should know."""
    if isinstance(error, RefusedError):
        return error.status, str(error), error.headers or {}
    if isinstance(error, HTTPException):
        return error.status_code, error.detail, dict(error.headers or {})
    if isinstance(error, MemweldError):
        _outages.note(error)
        return next(status for known, status in _STATUS if isinstance(error, known)), client_details(error), {}
    # The text of a foreign exception may hold secrets.
    _log.error("A request failed", exc_info=for_log(error))
    return 500, client_details(error), {}


def _error(error: Exception) -> JSONResponse:
    status, message, headers = read_error(error)
    kind = type(error).__name__
    if isinstance(error, RefusedError):
        kind = error.kind
    elif isinstance(error, HTTPException):
        kind = error_name(status)
    return _answer(error_body(kind, message), status, headers)


def _segments(scope: ASGIScope) -> list[str]:
    """The decoded segments of the path behind the mount point, split where the client wrote a slash."""
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    root = scope.get("root_path", "").rstrip("/")
    mounted = root.count("/") if scope["path"].startswith(f"{root}/") else 0
    try:
        return [unquote_to_bytes(segment).decode() for segment in raw.split(b"/")[1 + mounted :]]
    except UnicodeDecodeError as error:
        raise invalid("path", raw.decode("latin-1"), "it is not UTF-8", "Encode it as UTF-8, then with %.") from error


def _place(scope: ASGIScope) -> tuple[str | None, str, str | None]:
    """The user, the namespace and the key that the path names."""
    match _segments(scope):
        case ["memory", namespace]:
            return None, namespace, None
        case ["memory", namespace, *key]:
            return None, namespace, "/".join(key)
        case ["users", user_id, "memory", namespace]:
            return user_id, namespace, None
        case ["users", user_id, "memory", namespace, *key]:
            return user_id, namespace, "/".join(key)
        case _:
            raise RefusedError(404, "PathNotFoundError", "Paths are /memory/{namespace} and /memory/{namespace}/{key}.")


def _value(body: bytes) -> JSON:
    try:
        sent: object = json.loads(body.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidInputError('The body is not JSON in UTF-8: send {"value": …}.') from error
    if not isinstance(sent, dict) or set(cast("dict[str, JSON]", sent)) != {"value"}:
        raise InvalidInputError('The body must be {"value": …} and nothing else, the value being any JSON.')
    return cast("dict[str, JSON]", sent)["value"]


def _page(request: Request, *, is_list: bool) -> dict[str, Any]:
    """The part of a list that the query asks for."""
    query = dict(request.query_params)
    if query.keys() - ({"cursor", "limit"} if is_list else set()) or (not is_list and request.scope["query_string"]):
        # A client that does not encode its keys would read and write another key than it says.
        takes = "A list of keys takes cursor and limit" if is_list else "The path takes no query"
        raise InvalidInputError(f"{takes}: write a ? within a name as %3F.")
    limit = query.get("limit")
    if limit is not None and not (limit.isascii() and limit.isdecimal() and 0 < int(limit[:9]) <= MAX_LIMIT):
        raise invalid("limit", limit, f"a page has 1 to {MAX_LIMIT:,} keys", "Leave it out for as many as fit.")
    return {"cursor": query.get("cursor"), "limit": None if limit is None else int(limit)}


def _no_key(namespace: str, key: str) -> RefusedError:
    return RefusedError(404, "KeyNotFoundError", f"No key {key!a} in namespace {namespace!a}.")


def _get(memory: Memory, namespace: str, key: str) -> JSONResponse:
    try:
        value = memory.state(namespace)[key]
    except KeyError:
        raise _no_key(namespace, key) from None
    return _answer({"namespace": namespace, "key": key, "value": value})


def _put(memory: Memory, namespace: str, key: str, body: bytes) -> JSONResponse:
    memory.state(namespace).set(key, _value(body))
    return _answer({"namespace": namespace, "key": key, "stored": True})


def _delete(memory: Memory, namespace: str, key: str) -> JSONResponse:
    if not memory.state(namespace).delete(key):
        raise _no_key(namespace, key)
    return _answer({"namespace": namespace, "key": key, "deleted": True})


class _KeyValue:
    """The endpoint, as an ASGI application: it answers every method, errors included, in JSON."""

    def __init__(
        self,
        open_memory: Callable[[Scope], Memory],
        identify: Callable[[Request], Principal],
        *,
        max_body: int,
        writes: DailyWrites,
        tools: Collection[str] | None,
        record: CallRecord | None,
    ) -> None:
        self._open = open_memory
        self._identify = identify
        self._max_body = max_body
        self._writes = writes
        self._tools = tools
        self._record = record

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        fields: dict[str, Any] = {}
        request = Request(scope, receive)
        started_at = time.perf_counter()
        with request_span(request, operation_of(scope)) as answer:
            response = await self._answered(request, fields)
            answer(499 if response is None else response.status_code)
        if self._record is not None:
            scope[RECORDED] = True
            seconds = time.perf_counter() - started_at
            self._write(self._record, request, response, {**caller_of(request), **fields, "seconds": seconds})
        if response is not None:
            await response(scope, receive, send)

    async def _answered(self, request: Request, fields: dict[str, Any]) -> JSONResponse | None:
        """The answer, in JSON for every error; None for a client that has gone."""
        try:
            if self._record is not None:
                self._record.require()
            response = await self._respond(request, fields)
        except ClientDisconnect:
            return None
        except Exception as error:  # noqa: BLE001 - the client gets JSON for every error
            return _error(error)
        fields.setdefault("count", 1)
        return response

    @staticmethod
    def _write(record: CallRecord, request: Request, response: JSONResponse | None, fields: dict[str, Any]) -> None:
        operation = operation_of(request.scope)
        status = 0 if response is None else response.status_code
        is_stranger = token_of(request) is None and not request.scope.get(TRUSTED)
        if status in REFUSED or (is_stranger and status >= 400):
            record.refused("rest", operation, status, **fields)
        else:
            record.write("rest", operation, {0: "disconnected", 200: "ok"}.get(status, str(status)), **fields)

    async def _respond(self, request: Request, fields: dict[str, Any]) -> JSONResponse:
        """The answer; it notes in ``fields`` for the audit log whose memory that is about, and how many keys."""
        user_id, namespace, key = _place(request.scope)
        served = [
            method for (at_key, method), tool in _TOOLS.items() if at_key is (key is not None) and self._has(tool)
        ]
        if not served:
            raise RefusedError(404, "PathNotFoundError", "This server does not serve this path (--toolsets).")
        allowed = ["GET", "HEAD", *served[1:]] if served[0] == "GET" else served
        if request.method not in allowed:
            methods = ", ".join(allowed)
            raise RefusedError(405, "MethodNotAllowedError", f"This path takes {methods}.", {"Allow": methods})
        fields["user"] = identity_in(user_id)
        memory = self._memory(self._identify(request), user_id)
        fields |= {"user": memory.user_id, "agent": memory.agent_id}
        page = _page(request, is_list=key is None)
        validate_key("namespace", namespace)
        if key is None:
            keys = await in_thread(memory.state(namespace).list_keys)
            answer = key_page(keys, **page)
            fields["count"] = len(answer["keys"])
            return _answer({"namespace": namespace, **answer})
        validate_key("key", key)
        if request.method != "PUT":
            answer = _delete if request.method == "DELETE" else _get
            return await in_thread(functools.partial(answer, memory, namespace, key))
        body = await read_body(request, self._max_body)
        with self._writes.count(memory.scope, namespace):
            return await in_thread(functools.partial(_put, memory, namespace, key, body))

    def _memory(self, principal: Principal, user_id: str | None) -> Memory:
        if user_id is None and principal.user_id is None and principal.agent_id is None:
            raise InvalidInputError(
                "No user is known: this server has no default user (MEMWELD_USER_ID) and the request no token. "
                "Use /users/{user_id}/memory/…"
            )
        return restricted(self._open(principal.scope(user_id, None)), principal)

    def _has(self, tool: str) -> bool:
        return self._tools is None or tool in self._tools
