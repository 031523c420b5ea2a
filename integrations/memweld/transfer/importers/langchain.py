"""LangChain's messages, read from its own dumps without LangChain.

Dumps come from ``message_to_dict`` (``{"type": "ai", "data": {…}}``; also in a ``FileChatMessageHistory`` and in
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
from ...engine.message_rules import ROLES
from ...errors import BackendUnavailableError, InvalidInputError, invalid
from ...memory.content import neutral_content, storable
from ...memory.messages import to_message
from ...models import JSON, ChatMessage, ToolCall
from ...scope import Scope
from ...validation import utc_now, validate_key
from ..import_plan import Plan, validated
from .files import changed_at, load, objects

__all__ = ["is_history", "plan_session", "read_langchain", "read_langchain_file"]

_SQLITE = b"SQLite format 3\x00"
# A message of type chat names its role itself.
_TYPES = (*ROLES, "chat")


def read_langchain_file(
    path: Path, *, scope: Scope, session_id: str | None = None, table: str = "message_store"
) -> Plan:
    """Plan to store the messages of a file: JSON, JSON lines, or the database of a ``SQLChatMessageHistory`` (SQLite).

    Args:
        path: The file.
        scope: The owner of the messages.
        session_id: The session that they become. For a database the session to import; None for all.
        table: The table of a database.

    Raises:
        BackendUnavailableError: The file cannot be read.
        InvalidInputError: A row breaks a rule (the message names it), or a dump is given no session.
    """
    at = changed_at(path)
    try:
        with path.open("rb") as file:
            is_database = file.read(len(_SQLITE)) == _SQLITE
    except OSError as error:
        raise BackendUnavailableError(f"Cannot read {path}: {error.strerror}") from error
    if not is_database:
        if session_id is None:
            raise invalid("session", None, "a dump does not say which session it is", "Name the session (--session).")
        return read_langchain(load(path), scope=scope, session_id=session_id, at=at)
    plan = Plan()
    sessions = _database(path, table)
    if session_id is not None and session_id not in sessions:
        raise InvalidInputError(f"{path} has no session {session_id!a}.")
    for name, rows in sessions.items():
        if session_id in (None, name):
            plan_session(plan, rows, scope=scope, session_id=validated(str(path), lambda name=name: name), at=at)
    return plan


def read_langchain(data: object, *, scope: Scope, session_id: str, at: datetime | None = None) -> Plan:
    """Plan to store the messages of a dump as a session. Missing ids are made so that a second import has the same.

    Args:
        data: A list of dumped messages, one of them, or an object with ``messages``.
        scope: The owner of the messages.
        session_id: The session that they become.
        at: The time of the messages, whose dumps have none; now if not given.

    Raises:
        InvalidInputError: It is something else, or a row breaks a rule (the message names it).
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
        kind, data = validated(name, lambda row=row: _dump(row))
        if kind == "remove":
            plan.skipped["commands to remove a message"] += 1
            continue
        native = cast("dict[str, JSON]", storable({"type": kind, "data": data}))
        dump = json.dumps(native, ensure_ascii=False, sort_keys=True)
        identity = data.get("id")
        if not isinstance(identity, str) or not identity.strip() or identity in taken:
            # The n-th message with this dump has the same id in every import, also after the dump has grown.
            seen[dump] += 1
            identity = str(uuid.uuid5(uuid.NAMESPACE_OID, f"memweld:langchain:{session_id}:{seen[dump]}:{dump}"))
        taken.add(identity)
        messages.append(validated(name, lambda k=kind, d=data, i=identity, n=native: _message(k, d, i, n, moment)))
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
            fields = {key: value for key, value in cast("Mapping[str, Any]", data).items() if key != "lc_attributes"}
            data = {**fields, "type": name if name.endswith("Chunk") else kind}
    if not isinstance(kind, str) or not isinstance(data, Mapping):
        raise invalid("message", dict(row), "it is no dumped message", "Dump it with messages_to_dict or dumpd.")
    fields = cast("Mapping[str, Any]", data)
    if kind != "remove" and "content" not in fields:
        raise invalid("message", dict(row), "it has no content", "Dump it with messages_to_dict or dumpd.")
    if kind.removesuffix("MessageChunk").lower() not in (*_TYPES, "remove"):
        raise invalid("message type", kind, f"it is one of {', '.join(_TYPES)}", "Dump it with messages_to_dict.")
    return kind, fields


def _message(
    kind: str, data: Mapping[str, Any], identity: str, native: Mapping[str, JSON], at: datetime
) -> ChatMessage:
    word = kind.removesuffix("MessageChunk").lower()
    role = ROLES.get(str(data.get("role", "")).lower(), "assistant") if word == "chat" else ROLES[word]
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
    if content is not None and not isinstance(content, (str, list)):
        raise invalid("content", content, "it must be text or a list of parts", "Dump it with messages_to_dict.")
    return neutral_content(cast("str | list[object]", content or ""))


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
