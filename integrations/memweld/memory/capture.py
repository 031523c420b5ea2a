"""Captures: what of a finished turn becomes history, and what becomes facts, now or in the background."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from ..engine.delegate import deferred
from ..engine.operations import AddItems, AppendMessages, GetEpoch, ItemDraft
from ..engine.protocol import Engine
from ..errors import InvalidInputError, invalid, log_line
from ..models import JSON, Captured, ChatMessage, MemoryItem
from ..scope import Scope
from ..validation import validate_text
from .capture_queue import capture_queue_of
from .messages import MessagesLike, read_messages, to_messages

__all__ = ["capture_turn", "drafts_of", "drop_captures"]

logger = logging.getLogger("memweld.memory")

_PATIENCE_SECONDS = 30.0
"""How long the clearing of a session waits for a capture of it that is at work."""


def drafts_of(messages: Sequence[ChatMessage], roles: Sequence[str]) -> list[ItemDraft]:
    """The texts of these roles as drafts of facts.

    Raises:
        InvalidInputError: A text breaks a rule for facts.
    """
    texts = ((message, message.text) for message in messages if message.role in roles)
    return [
        ItemDraft(
            text=validate_text("message", text),
            role=message.role,
            name=message.name,
            message_id=message.id,
            created_at=message.created_at,
        )
        for message, text in texts
        if text.strip()
    ]


def capture_turn(
    engine: Engine,
    scope: Scope,
    messages: MessagesLike,
    *,
    session_id: str | None,
    metadata: Mapping[str, JSON],
    infer: bool,
    keep: Captured,
    background: bool,
    timezone: str | None,
) -> list[MemoryItem]:
    """Keep a turn (see `Memory.capture`); ``infer`` says whether the LLM extracts its facts."""
    if keep not in ("turn", "history", "facts"):
        raise invalid("keep", keep, "it is turn, history or facts", "Choose one.")
    # Validated first: a refused call writes nothing.
    add = AddItems(drafts=(), infer=infer, metadata=metadata, session_id=session_id, timezone=timezone)
    append = None
    read = read_messages(messages, timezone)
    if session_id is None or keep == "facts":
        named: Sequence[ChatMessage] = to_messages(read)
    else:
        append = AppendMessages(session_id=session_id, messages=read)
        named = append.messages
    # Facts have the times of callers alone, so that a retry changes none.
    turn = [replace(message, created_at=each.created_at) for message, each in zip(named, read, strict=True)]
    drafts, error = ([], None) if keep == "history" else _facts_of(turn, infer=infer)
    statements = _statements(drafts)
    # An LLM reads the whole turn; of its texts no others are kept than without one.
    drafts = [replace(draft, is_kept=draft in statements) for draft in drafts] if infer else statements
    if drafts and (infer or background):
        add = replace(add, epoch=engine.run(scope, GetEpoch()))
    work = deferred(engine, scope, replace(add, drafts=drafts)) if drafts else None
    if append is not None:
        engine.run(scope, append)
    if error is not None:
        if append is None or not background:
            raise error
        logger.warning("memweld: a turn is in its session, and no facts of it are: %s", log_line(error))
    if work is None:
        return []
    if not background:
        return work()
    verbatim = deferred(engine, scope, replace(add, drafts=statements, infer=False)) if statements else _do_nothing
    capture_queue_of(engine).submit((scope, session_id), work, instead=verbatim)
    return []


def _facts_of(turn: Sequence[ChatMessage], *, infer: bool) -> tuple[list[ItemDraft], InvalidInputError | None]:
    """The drafts of a turn; none, and the error, where a text breaks a rule for facts."""
    try:
        return drafts_of(turn, ("user", "assistant") if infer else ("user",)), None
    except InvalidInputError as error:
        return [], error


def _statements(drafts: Sequence[ItemDraft]) -> list[ItemDraft]:
    """The drafts that are kept without an LLM: what the user states."""
    # The word tables are made at first use, and not with `import memweld`.
    from ..engine.statements import worth_keeping

    return [draft for draft in drafts if worth_keeping(draft.text, role=draft.role)]


def _do_nothing() -> None:
    """The quicker way of a capture that says nothing worth keeping."""


def drop_captures(engine: Engine, scope: Scope, session_id: str | None = None) -> None:
    """Forget the captures that wait in the background.

    Args:
        engine: Has the queue.
        scope: The scope for which they wait. Without a session, also those of the scopes that it contains.
        session_id: Only those of this session of exactly the scope; then the call waits for one that is at work.
    """
    queue = capture_queue_of(engine)
    if session_id is not None:
        queue.drop(lambda key: key == (scope, session_id), patience=_PATIENCE_SECONDS)
        return

    def concerns(key: Hashable) -> bool:
        return isinstance(key, tuple) and scope.contains(cast("tuple[Scope, str | None]", key)[0])

    queue.drop(concerns)
