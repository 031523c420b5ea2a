"""LangChain's messages from its own dumps, without LangChain.

A message is dumped by ``message_to_dict`` (``{"type": "ai", "data": {…}}``; also in a ``FileChatMessageHistory`` and in
the rows of a ``SQLChatMessageHistory``) or by ``dumpd`` (``{"lc": 1, "type": "constructor", "id": […, "AIMessage"],
"kwargs": {…}}``), as langchain-core 1.x writes them.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from ...engine.export_data import ExportedSession
from ...errors import BackendUnavailableError, InvalidInputError, invalid
from ...memory.messages import storable, to_message
from ...models import JSON, ChatMessage, Role, ToolCall
from ...scope import Scope
from ...validation import utc_now, validate_key
from ..import_plan import Plan, checked
from .files import changed_at, load, objects

__all__ = ["is_history", "plan_session", "read_langchain", "read_langchain_file"]

_ROLES: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "ai": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
    "chat": "assistant",
}
_SQLITE = b"SQLite format 3\x00"
# What a provider writes for itself; its meaning is in the tool calls, or nobody else's business.
_PRIVATE_PARTS = frozenset({"tool_use", "tool_call", "function_call", "thinking", "redacted_thinking", "reasoning"})


def read_langchain_file(
    path: Path, *, scope: Scope, session_id: str | None = None, table: str = "message_store"
) -> Plan:
    """Plan to store the messages of a file: JSON, JSON lines, or the database of a ``SQLChatMessageHistory`` (SQLite).

    Args:
        path: The file.
        scope: Whose messages they are.
        session_id: The session that they become. Of a database: the one that is wanted; None for all.
        table: The table of a database.

    Raises:
        BackendUnavailableError: The file cannot be read.
        InvalidInputError: A row breaks a rule (its place is named), or a dump is given no session.
    """
    at = changed_at(path)
    try:
        with path.open("rb") as file:
            is_database = file.read(len(_SQLITE)) == _SQLITE
    except OSError as error:
        raise BackendUnavailableError(f"Cannot read {path}: {error.strerror}") from error
    if not is_database:
        if session_id is None:
            raise invalid("session", None, "a dump does not say which session it is", "Name the session.")
        return read_langchain(load(path), scope=scope, session_id=session_id, at=at)
    plan = Plan()
    sessions = _database(path, table)
    if session_id is not None and session_id not in sessions:
        raise InvalidInputError(f"{path} has no session {session_id!a}.")
    for name, rows in sessions.items():
        if session_id in (None, name):
            plan_session(plan, rows, scope=scope, session_id=checked(str(path), lambda name=name: name), at=at)
    return plan


def read_langchain(data: object, *, scope: Scope, session_id: str, at: datetime | None = None) -> Plan:
    """Plan to store the messages of a dump as a session. Ids stay, or are made such that the next time has the same.

    Args:
        data: A list of dumped messages, one of them, or an object with ``messages``.
        scope: Whose messages they are.
        session_id: The session that they become.
        at: The time of the messages, whose dumps have none; now if not given.

    Raises:
        InvalidInputError: It is something else, or a row breaks a rule (its place is named).
    """
    rows = data
    if isinstance(data, Mapping):
        whole = cast("Mapping[str, Any]", data)
        rows = whole.get("messages", [whole])
    if not isinstance(rows, list):
        raise invalid("dump", rows, "it must be a list of messages", "Pass what messages_to_dict or dumpd returned.")
    plan = Plan()
    plan_session(plan, cast("list[object]", rows), scope=scope, session_id=session_id, at=at)
    return plan


def is_history(value: object) -> bool:
    """Whether a value is a list of messages as ``messages_to_dict`` writes them."""
    if not isinstance(value, list) or not value:
        return False
    return all(_is_dumped(row) for row in cast("list[object]", value))


def _is_dumped(row: object) -> bool:
    if not isinstance(row, Mapping):
        return False
    dump = cast("Mapping[str, Any]", row)
    data = dump.get("data")
    return set(dump) == {"type", "data"} and isinstance(data, Mapping) and "content" in data


def plan_session(
    plan: Plan, rows: Sequence[object], *, scope: Scope, session_id: str, at: datetime | None = None
) -> None:
    """Plan to store dumped messages as a session.

    Raises:
        InvalidInputError: A row is no message or breaks a rule.
    """
    validate_key("session_id", session_id)
    moment = at or utc_now()
    taken: set[str] = set()
    seen: Counter[str] = Counter()
    messages: list[ChatMessage] = []
    for place, row in objects(rows, "message of LangChain"):
        name = place if len(plan.parts) == 0 else f"Session {session_id!a}, {place.lower()}"
        kind, data = checked(name, lambda row=row: _dump(row))
        if kind == "remove":
            plan.skipped["commands to remove a message"] += 1
            continue
        native = cast("dict[str, JSON]", storable({"type": kind, "data": data}))
        said = json.dumps(native, ensure_ascii=False, sort_keys=True)
        identity = data.get("id")
        if not isinstance(identity, str) or not identity.strip() or identity in taken:
            # The n-th message that is exactly so: the same id next time, also when the dump has grown.
            seen[said] += 1
            identity = str(uuid.uuid5(uuid.NAMESPACE_OID, f"memweld:langchain:{session_id}:{seen[said]}:{said}"))
        taken.add(identity)
        messages.append(checked(name, lambda k=kind, d=data, i=identity, n=native: _message(k, d, i, n, moment)))
    if messages:
        plan.add(
            scope,
            ExportedSession(session_id=session_id, started_at=moment, updated_at=moment, messages=tuple(messages)),
        )


def _dump(row: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The type and the fields of a dumped message."""
    kind, data = row.get("type"), row.get("data")
    if "lc" in row and kind == "constructor":
        path, data = row.get("id"), row.get("kwargs")
        name = str(cast("list[object]", path)[-1]) if isinstance(path, list) and path else ""
        kind = name.removesuffix("Message").lower() if not name.endswith("Chunk") else name
        if isinstance(data, Mapping):
            data = {**_unpacked(cast("Mapping[str, Any]", data)), "type": name if name.endswith("Chunk") else kind}
    if not isinstance(kind, str) or not isinstance(data, Mapping):
        raise invalid("message", dict(row), "it is no dumped message", "Dump it with messages_to_dict or dumpd.")
    fields = cast("Mapping[str, Any]", data)
    if kind != "remove" and "content" not in fields:
        raise invalid("message", dict(row), "it has no content", "Dump it with messages_to_dict or dumpd.")
    if kind.removesuffix("MessageChunk").lower() not in (*_ROLES, "remove"):
        raise invalid("message type", kind, f"it is one of {', '.join(_ROLES)}", "Dump it with messages_to_dict.")
    return kind, fields


def _unpacked(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields without the wrapping that ``dumpd`` puts around what is no JSON."""
    return {name: value for name, value in fields.items() if name != "lc_attributes"}


def _message(
    kind: str, data: Mapping[str, Any], identity: str, native: Mapping[str, JSON], at: datetime
) -> ChatMessage:
    word = kind.removesuffix("MessageChunk").lower()
    role = _ROLES.get(str(data.get("role", "")).lower(), "assistant") if word == "chat" else _ROLES[word]
    return to_message(
        ChatMessage(
            role=role,
            content=_content(data.get("content")),
            id=identity,
            name=data.get("name") or None,
            tool_calls=tuple(_calls(data)) if role == "assistant" else (),
            tool_call_id=data.get("tool_call_id") or None,
            created_at=at,
            native={"framework": "langchain", "message": native},
        )
    )


def _calls(data: Mapping[str, Any]) -> Iterable[ToolCall]:
    calls = data.get("tool_calls")
    if calls:
        for call in cast("list[Mapping[str, Any]]", calls):
            arguments = cast("dict[str, JSON]", storable(call.get("args") or {}))
            yield ToolCall(id=call.get("id") or call["name"], name=call["name"], arguments=arguments)
        return
    # Dumps of LangChain before 0.1 have OpenAI's calls alone.
    given = cast("Mapping[str, Any]", data.get("additional_kwargs") or {}).get("tool_calls")
    if given:
        yield from to_message({"role": "assistant", "content": "", "tool_calls": given}).tool_calls


def _content(content: object) -> str | list[dict[str, JSON]]:
    if isinstance(content, str) or content is None:
        return cast("str", storable(content or ""))
    if not isinstance(content, list):
        raise invalid("content", content, "it must be text or a list of parts", "Dump it with messages_to_dict.")
    parts = [_part(part) for part in cast("list[object]", content)]
    return [part for part in parts if part is not None] or ""


def _part(part: object) -> dict[str, JSON] | None:
    if not isinstance(part, Mapping):
        return {"type": "text", "text": storable(part if isinstance(part, str) else str(part))}
    block = cast("dict[str, Any]", storable(part))
    if block.get("type") in _PRIVATE_PARTS:
        return None
    if block.get("type") == "image" and (url := _image_url(block)):
        return {"type": "image_url", "image_url": {"url": url}}
    return block


def _image_url(block: Mapping[str, Any]) -> str | None:
    source = block.get("source")
    fields = cast("Mapping[str, Any]", source) if isinstance(source, Mapping) else block
    if isinstance(url := fields.get("url"), str):
        return url
    data = fields.get("base64") or fields.get("data")
    mime_type = fields.get("mime_type") or fields.get("media_type") or "image/png"
    return f"data:{mime_type};base64,{data}" if isinstance(data, str) else None


def _database(path: Path, table: str) -> dict[str, list[object]]:
    """The rows of each session, in order."""
    quoted = table.replace('"', '""')
    sessions: dict[str, list[object]] = {}
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            for number, session_id, message in connection.execute(
                f'SELECT id, session_id, message FROM "{quoted}" ORDER BY id'  # noqa: S608 - a quoted name
            ):
                try:
                    sessions.setdefault(str(session_id), []).append(json.loads(message))
                except (TypeError, ValueError) as error:
                    raise InvalidInputError(f"{path}: the message with the id {number} is no JSON: {error}") from error
    except sqlite3.Error as error:
        raise InvalidInputError(
            f"{path} is no database of a SQLChatMessageHistory with the table {table!a}: {error}"
        ) from error
    return sessions
