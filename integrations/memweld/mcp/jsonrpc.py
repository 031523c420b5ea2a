"""JSON-RPC errors for messages that mcp 1.30 does not answer, or answers with the wrong error.

mcp does not answer lines that it cannot parse, and takes a request with an unusable id for a notification. It answers
unknown methods, early requests and bad parameters alike with -32602 and no reason. `ValidatingReader` stands between
every transport and its session and answers those itself. Over HTTP, where one request carries one message,
`read_message` and `error_message` answer in the same words before the session is reached.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, TypeGuard, cast, get_args

import anyio
import mcp.types as mt
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from pydantic import BaseModel, ValidationError

from ..errors import InvalidInputError
from .budget import OVER_BUDGET
from .errors import error_object, invalid_params, invalid_request, method_not_found, over_budget, parse_error

__all__ = [
    "METHODS",
    "NOT_INITIALIZED",
    "CountingWriter",
    "UnusableMessageError",
    "ValidatingReader",
    "error_message",
    "read_message",
]

METHODS: Mapping[str, type[BaseModel]] = {
    method: kind
    for kind in cast("tuple[type[BaseModel], ...]", get_args(mt.ClientRequestType))
    for method in get_args(kind.model_fields["method"].annotation)
}
"""The methods that mcp knows, with the model of their requests."""

DRAIN_SECONDS = 7.0
"""How long the server goes on with its answers after the client has closed its side."""

NOT_INITIALIZED = "initialize comes first"
_BAD_ID = "an id is a string or an integer"
_SHAPE = "a message is one JSON-RPC 2.0 object with a method and, for a request, a string or integer id"


class _UnaddressedError(mt.JSONRPCMessage):
    """An error whose id is null. mcp's models refuse a null and leave it out when they write."""

    def model_dump_json(self, **_: Any) -> str:
        """The error as the transports write it."""
        error = cast("mt.JSONRPCError", self.root).error
        return f'{{"jsonrpc":"2.0","id":null,"error":{error.model_dump_json(exclude_none=True)}}}'


def error_message(request_id: object, error: mt.ErrorData) -> mt.JSONRPCMessage:
    """The message that answers with an error; its id is null where the request's id is unusable or unknown."""
    if _is_id(request_id):
        return mt.JSONRPCMessage(mt.JSONRPCError(jsonrpc="2.0", id=request_id, error=error))
    unaddressed = mt.JSONRPCError.model_construct(jsonrpc="2.0", id=None, error=error)
    return _UnaddressedError.model_construct(root=unaddressed)


class UnusableMessageError(Exception):
    """A body without a message that can be served; ``answer`` is the error for the client."""

    def __init__(self, request_id: object, error: mt.ErrorData) -> None:
        super().__init__(error.message)
        self.answer = error_message(request_id, error)


def read_message(body: bytes) -> mt.JSONRPCMessage:
    """The one message of an HTTP body.

    Raises:
        UnusableMessageError: There is none.
    """
    try:
        message = mt.JSONRPCMessage.model_validate_json(body)
    except ValidationError as error:
        raise UnusableMessageError(*(_unreadable(error) or (None, parse_error()))) from error
    refusal = _unusable_id(message.root)
    if refusal is not None:
        raise UnusableMessageError(*refusal)
    return message


def _unreadable(error: Exception) -> tuple[object, mt.ErrorData] | None:
    """The id and the error that answer a line which is no message; None for an empty line."""
    if not isinstance(error, ValidationError):
        return None, parse_error()
    problems = error.errors(include_url=False)
    line = problems[0]["input"]
    if problems[0]["type"] in ("json_invalid", "string_unicode"):
        return None if isinstance(line, str) and not line.strip() else (_readable_id(line), parse_error())
    # At least one kind of message in mcp's union misses a field, and that problem holds the whole message.
    wholes = [problem["input"] for problem in problems if problem["type"] == "missing"]
    whole = cast("dict[str, Any]", wholes[0]) if wholes and isinstance(wholes[0], dict) else {}
    # The id of a malformed answer is the server's own: an error with this id would answer the server's request.
    return whole.get("id") if "method" in whole else None, invalid_request(_SHAPE)


def _readable_id(line: object) -> str | int | None:
    """The id of a request whose text holds half a character (a lone surrogate, bytes that are not UTF-8).

    JavaScript writes such a text when it cuts an emoji in two. Without the id its caller would wait for ever.
    """
    text = line.decode("utf-8", "surrogateescape") if isinstance(line, bytes) else line
    try:
        found: Any = json.loads(text) if isinstance(text, str) else None
        whole = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
        request_id = whole["id"] if "method" in whole else None
        if not _is_id(request_id):
            return None
        str(request_id).encode()  # An id can hold half a character, too.
        return request_id
    except (ValueError, KeyError, RecursionError):
        return None


def _is_id(value: object) -> TypeGuard[str | int]:
    return isinstance(value, (str, int)) and not isinstance(value, bool)


def _unusable_id(message: BaseModel) -> tuple[object, mt.ErrorData] | None:
    if isinstance(message, mt.JSONRPCNotification) and "id" in (message.model_extra or {}):
        return (message.model_extra or {})["id"], invalid_request(_BAD_ID)
    return None


def _unusable_params(message: mt.JSONRPCRequest) -> mt.ErrorData | None:
    if not _is_finite(message.params):
        # mcp 1.30 makes null of them when it hands the request on, and the tool would store that.
        return error_object(InvalidInputError("JSON has no NaN or infinite number: use null or a text."))
    try:
        METHODS[message.method].model_validate(message.model_dump(by_alias=True, mode="json", exclude_none=True))
    except ValidationError as error:
        return invalid_params(message.method, error)
    return None


def _is_finite(value: object) -> bool:
    """Whether all numbers in a JSON value are finite: Python's parsers take NaN, Infinity and 1e999."""
    pending: list[Any] = [value]
    while pending:
        found = pending.pop()
        if isinstance(found, float) and not math.isfinite(found):
            return False
        if isinstance(found, (dict, list)):
            inner = cast("dict[str, Any] | list[Any]", found)
            pending.extend(inner.values() if isinstance(inner, dict) else inner)
    return True


def _over_budget(message: SessionMessage) -> tuple[object, mt.ErrorData] | None:
    """The refusal of an SSE message above its user's limits; None for what needs no answer."""
    root, metadata = message.message.root, message.metadata
    if not isinstance(root, mt.JSONRPCRequest) or not isinstance(metadata, ServerMessageMetadata):
        return None
    request: Any = metadata.request_context
    error = None if request is None else request.scope.get(OVER_BUDGET)
    return None if error is None else (root.id, over_budget(str(error), error.seconds))


class CountingWriter:
    """The stream to the client; it counts the requests that have no answer yet.

    Attributes:
        used_at: When the last request came, on the monotonic clock.
    """

    def __init__(self, stream: MemoryObjectSendStream[SessionMessage]) -> None:
        self._stream = stream
        self._pending: set[str | int] = set()
        self.used_at = time.monotonic()
        self._answered = anyio.Event()

    async def __aenter__(self) -> CountingWriter:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._stream.__aexit__(*error)

    @property
    def pending(self) -> bool:
        """Whether a request has no answer yet."""
        return bool(self._pending)

    @property
    def count(self) -> int:
        """How many requests have no answer yet."""
        return len(self._pending)

    def expect(self, request_id: str | int) -> None:
        """Count a request that goes to the session."""
        self.used_at = time.monotonic()
        self._pending.add(request_id)

    async def send(self, message: SessionMessage) -> None:
        """Pass a message on."""
        try:
            await self._stream.send(message)
        finally:
            if isinstance(message.message.root, (mt.JSONRPCResponse, mt.JSONRPCError)):
                self._pending.discard(message.message.root.id)
                self._answered.set()

    async def drain(self) -> None:
        """Wait for the answers to all requests; not longer than `DRAIN_SECONDS`."""
        with anyio.move_on_after(DRAIN_SECONDS):
            while self._pending:
                self._answered = anyio.Event()
                await self._answered.wait()


class ValidatingReader:
    """The stream from the client, as an async iterator over the messages that the session can serve.

    Args:
        stream: The messages of the transport.
        writer: The stream for answers.
        served: The methods that have a handler.
        initialized: Whether the client need not initialize first.
        most_pending: How many requests may wait for their answers; None for any number.
    """

    def __init__(
        self,
        stream: MemoryObjectReceiveStream[SessionMessage | Exception],
        writer: CountingWriter,
        served: Collection[str],
        *,
        initialized: bool,
        most_pending: int | None = None,
    ) -> None:
        self._stream = stream
        self._writer = writer
        self._served = served
        self._initialized = initialized
        self._most_pending = most_pending

    async def __aenter__(self) -> ValidatingReader:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._stream.__aexit__(*error)

    async def __aiter__(self) -> AsyncIterator[SessionMessage]:
        async for message in self._stream:
            if isinstance(message, Exception):
                answer = _unreadable(message)
            else:
                answer = _over_budget(message) or self._refusal(message.message.root)
                if answer is None:
                    yield message
            if answer is not None:
                await self._writer.send(SessionMessage(error_message(*answer)))
        # The session drops its unanswered requests when this iterator ends. Some clients (`… | memweld serve`) close
        # their side right after the last request.
        await self._writer.drain()

    def _refusal(self, message: BaseModel) -> tuple[object, mt.ErrorData] | None:
        if not isinstance(message, mt.JSONRPCRequest):
            return _unusable_id(message)
        if message.method not in self._served:
            return message.id, method_not_found(message.method)
        if not self._initialized and message.method not in ("initialize", "ping"):
            return message.id, invalid_request(NOT_INITIALIZED)
        unusable = _unusable_params(message)
        if unusable is not None:
            return message.id, unusable
        # Over SSE a request ends long before its answer: the limit of requests under way does not hold there.
        if self._most_pending is not None and self._writer.count >= self._most_pending:
            text = f"Too many calls at the same time: a session may have {self._most_pending:,}. Try again in a second."
            return message.id, over_budget(text, 1)
        self._initialized = self._initialized or message.method == "initialize"
        self._writer.expect(message.id)
        return None
