"""Between a framework's messages and neutral ones: its own dump, names and ids, tool calls, limits of the store."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..engine.message_rules import ROLES
from ..errors import InvalidInputError
from ..memory.content import attempt, note_change, noting_changes, program_ends, storable, text_part
from ..memory.messages import to_message
from ..models import JSON, ChatMessage, ToolCall
from ..validation import MAX_KEY_CHARACTERS, MAX_TEXT_CHARACTERS, dump_json, validate_json

if TYPE_CHECKING:
    from ..memory.history import History

__all__ = [
    "append_fitting",
    "arguments_text",
    "fit_fact",
    "fit_message",
    "native_dump",
    "neutral_call",
    "neutral_key",
    "read_native",
    "tells_changes",
    "write_fitting",
]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., "ChatMessage | list[ChatMessage]"])

_CHANGED = "shortened"
_RAW = "__raw__"
_DIGEST_CHARACTERS = 32
_HISTORY_CHARACTERS = 2_000_000
_NOTE_CHARACTERS = 500
_SERVED_CHARACTERS = 100_000


def tells_changes(convert: F) -> F:
    """Decorate a conversion to neutral messages: ``native["shortened"]`` tells what it had to cut or replace.

    A message that cannot be read becomes one of the assistant that names its class. The others stay.
    """
    returns_list = str(convert.__annotations__["return"]).startswith("list")

    @functools.wraps(convert)
    def converted(*args: Any, **options: Any) -> ChatMessage | list[ChatMessage]:
        with noting_changes() as changes:
            try:
                messages = convert(*args, **options)
            except (InvalidInputError, *program_ends()):
                raise
            except BaseException as error:  # noqa: BLE001 - whatever the class of a foreign value raises
                note_change(f"the message cannot be read ({type(error).__name__})")
                unread = ChatMessage(role="assistant", content=f"[{type(args[0]).__name__}]")
                messages = [unread] if returns_list else unread
        if not changes:
            return messages
        note = "; ".join(changes)[:_NOTE_CHARACTERS]
        return [_marked(each, note) for each in messages] if isinstance(messages, list) else _marked(messages, note)

    return cast("F", converted)


def _marked(message: ChatMessage, note: str) -> ChatMessage:
    return dataclasses.replace(message, native={**(message.native or {}), _CHANGED: note})


def native_dump(
    framework: str, dump: Callable[[], object] | Mapping[str, Any] | None, **marks: JSON
) -> dict[str, JSON]:
    """The field ``native`` of a message: the framework's own dump, from which it reads the message back exactly.

    Without a dump, because its code raises, the framework reads the message from the neutral fields.
    """
    read = attempt(dump, None, what="the framework's own form") if callable(dump) else dump
    if read is None:
        return {"framework": framework, **marks}
    return {"framework": framework, "message": storable(read), **marks}


def read_native(message: ChatMessage, framework: str) -> Mapping[str, JSON] | None:
    """The dump that `native_dump` wrote; None where another framework, or none, wrote the message."""
    native = message.native or {}
    dump = native.get("message")
    if native.get("framework") != framework or not isinstance(dump, Mapping):
        return None
    return cast("Mapping[str, JSON]", dump)


def neutral_key(value: object) -> str | None:
    """A name or id that a model or provider wrote, in a form that a store takes; None where it says nothing.

    A long one keeps its beginning and gets a digest, so that calls and results still find each other. Gateways put
    signatures of some 900 characters into ids of tool calls.
    """
    if value is None:
        return None
    text = cast("str", storable(_as_text(value, "an id")))
    if len(text) > MAX_KEY_CHARACTERS:
        note_change(f"an id of {len(text):,} characters is cut")
        digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARACTERS]
        text = f"{text[: MAX_KEY_CHARACTERS - _DIGEST_CHARACTERS - 1]}…{digest}"
    return text if text.strip() else None


def neutral_call(call_id: object, name: object, arguments: object) -> ToolCall:
    """A tool call of any framework. Arguments that are no JSON object are kept raw, as the model wrote them."""
    arguments = attempt(lambda: _plain(arguments), {}, what="the arguments of a call")
    parsed: object = arguments
    if isinstance(arguments, str):
        try:
            parsed = json.loads(arguments) if arguments else {}
            validate_json("arguments", parsed)
        except (ValueError, RecursionError):
            parsed = arguments
    parsed = {} if parsed is None else parsed
    fields = storable(parsed if isinstance(parsed, Mapping) else {_RAW: arguments})
    named = neutral_key(name) or "unknown"
    return ToolCall(id=neutral_key(call_id) or named, name=named, arguments=cast("dict[str, JSON]", fields))


def _plain(arguments: object) -> object:
    """The arguments of the type that they claim to have, without a subclass's code."""
    if isinstance(arguments, str):
        return str.__str__(arguments)
    return dict(cast("Mapping[str, Any]", arguments)) if isinstance(arguments, Mapping) else arguments


def _as_text(value: object, what: str) -> str:
    return attempt(lambda: str.__str__(value) if isinstance(value, str) else str(value), "", what=what)


def arguments_text(call: ToolCall) -> str:
    """The arguments of a call as JSON text: what the model wrote, where it was no JSON object."""
    raw = call.arguments.get(_RAW) if len(call.arguments) == 1 else None
    return raw if isinstance(raw, str) else json.dumps(dict(call.arguments), ensure_ascii=False)


def fit_message(message: ChatMessage) -> ChatMessage:
    """The message as the store takes it: shortened or replaced where it breaks a rule, and marked so.

    ``native["shortened"]`` tells the changes. A message that breaks no rule comes back unchanged.
    """
    try:
        return to_message(message)
    except program_ends():
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a foreign value raises
        reason = attempt(error.__str__, type(error).__name__, what="the error")[:_NOTE_CHARACTERS]
    content = cast("str | list[dict[str, JSON]]", storable(message.content))
    if not isinstance(content, str):
        content = [_part(part) for part in cast("list[Any]", content)]
        message = dataclasses.replace(message, content=content)
    try:
        validate_json("content", content)
    except InvalidInputError:
        content = _cut(message.text, _HISTORY_CHARACTERS)
    calls = tuple(_fit_call(call) for call in cast("Sequence[Any]", message.tool_calls) if _is_call(call))
    fitted = dataclasses.replace(
        message,
        content=content,
        id=neutral_key(message.id),
        name=neutral_key(message.name),
        tool_calls=calls,
        tool_call_id=neutral_key(message.tool_call_id),
        native=_fit_native(message.native, reason),
    )
    try:
        return to_message(fitted)
    except InvalidInputError:
        role = ROLES.get(message.role, "assistant")
        return to_message(ChatMessage(role=role, content=_cut(message.text, _HISTORY_CHARACTERS), native=fitted.native))


def append_fitting(
    history: History,
    messages: Sequence[ChatMessage],
    *,
    replace: bool = False,
    known: Collection[str] | None = None,
) -> list[ChatMessage]:
    """Append messages of a framework to a session; one that breaks a rule of the store is shortened, not refused.

    Args:
        history: The session.
        messages: The messages, oldest first.
        replace: Whether they take the place of all that the session has, in one transaction.
        known: With ``replace`` the ids of the messages whose place they take (see `History.replace`).

    Returns:
        The messages as they are stored, with their ids.

    Raises:
        MemweldError: The session cannot be written.
    """
    if not messages and not replace:
        return []
    write = functools.partial(history.replace, known=known) if replace else history.append
    return write_fitting(write, messages)


def write_fitting(write: Callable[[list[ChatMessage]], T], messages: Sequence[ChatMessage]) -> T:
    """Write messages as they are; where the store refuses that, shortened; where it refuses that, their text alone.

    A server takes less at once than a database keeps.

    Raises:
        MemweldError: They cannot be written.
    """
    try:
        return write(list(messages))
    except InvalidInputError:
        fitted = [fit_message(message) for message in messages]
    try:
        return write(fitted)
    except InvalidInputError as error:
        return write([_shrunk(message, str(error)) for message in fitted])


def _shrunk(message: ChatMessage, reason: str) -> ChatMessage:
    if len(dump_json(dataclasses.asdict(message) | {"created_at": None})) <= _SERVED_CHARACTERS:
        return message
    native: dict[str, JSON] = {_CHANGED: storable(reason[:_NOTE_CHARACTERS])}
    calls = tuple(dataclasses.replace(call, arguments={}) for call in message.tool_calls)
    return dataclasses.replace(message, content=_cut(message.text, _SERVED_CHARACTERS), tool_calls=calls, native=native)


def fit_fact(message: ChatMessage) -> ChatMessage | None:
    """The message as facts are made of it: text only, within the limits of a memory; None where there are none."""
    text = _cut(message.text, MAX_TEXT_CHARACTERS)
    if message.role not in ("user", "assistant") or not text.strip():
        return None
    name, message_id = neutral_key(message.name), neutral_key(message.id)
    return ChatMessage(role=message.role, content=text, name=name, id=message_id, created_at=message.created_at)


def _part(part: Any) -> dict[str, JSON]:
    return cast("dict[str, JSON]", part) if isinstance(part, dict) else text_part(str(part))


def _is_call(call: object) -> bool:
    return isinstance(call, (ToolCall, Mapping))


def _fit_call(call: ToolCall | Mapping[str, Any]) -> ToolCall:
    if isinstance(call, ToolCall):
        fitted = neutral_call(call.id, call.name, call.arguments)
    else:  # of a message that was made of a dict
        function: Mapping[str, Any] = call.get("function") or call
        fitted = neutral_call(call.get("id"), function.get("name"), function.get("arguments"))
    try:
        validate_json("arguments", fitted.arguments)
    except InvalidInputError:
        return dataclasses.replace(fitted, arguments={_RAW: _cut(str(fitted.arguments), _HISTORY_CHARACTERS)})
    return fitted


def _fit_native(native: Mapping[str, Any] | None, reason: str) -> dict[str, JSON]:
    # Without its dump a framework reads the message from the neutral fields.
    dump = cast("dict[str, JSON]", storable(dict(native or {})))
    try:
        validate_json("native message", dump)
    except InvalidInputError:
        dump = {}
    return {**dump, _CHANGED: storable(reason)}


def _cut(text: str, characters: int) -> str:
    text = cast("str", storable(text))
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
