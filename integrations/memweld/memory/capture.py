"""Captures: what of a finished turn becomes history, and what becomes facts, now or in the background."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from ..engine.operations import AddItems, AppendMessages, GetEpoch, ItemDraft
from ..engine.protocol import Engine
from ..errors import InvalidInputError, invalid
from ..models import JSON, Captured, ChatMessage, MemoryItem
from ..scope import Scope
from ..validation import validate_text
from .capture_queue import capture_queue_of
from .messages import MessagesLike, read_messages, to_messages

__all__ = ["capture_turn", "drafts_of", "drop_captures"]

logger = logging.getLogger("memweld.memory")

# One question and nothing else, not "I live in Porto, and you?"; Arabic and full-width marks ask too.
_QUESTION = re.compile(r"[^.!。！?？؟;；,，،…\n]*[?？؟]+\s*")


def drafts_of(messages: Sequence[ChatMessage], roles: Sequence[str]) -> list[ItemDraft]:
    """The texts of these roles as drafts of facts.

    Raises:
        InvalidInputError: A text breaks a rule for facts.
    """
    texts = ((message, message.text) for message in messages if message.role in roles)
    return [
        ItemDraft(text=validate_text("message", text), role=message.role, name=message.name)
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
) -> list[MemoryItem]:
    """Keep a turn (see `Memory.capture`); ``infer`` says whether the LLM extracts its facts."""
    if keep not in ("turn", "history", "facts"):
        raise invalid("keep", keep, "it is turn, history or facts", "Choose one.")
    # Validated first: a refused call writes nothing.
    add = AddItems(drafts=(), infer=infer, metadata=metadata, session_id=session_id)
    append = None
    if session_id is None or keep == "facts":
        turn: Sequence[ChatMessage] = to_messages(messages)
    else:
        append = AppendMessages(session_id=session_id, messages=read_messages(messages))
        turn = append.messages
    if keep != "history" and (infer or background):
        add = replace(add, epoch=engine.run(scope, GetEpoch()))
    if append is not None:
        engine.run(scope, append)
    drafts = [] if keep == "history" else _facts_of(turn, infer=infer, is_required=not background or append is None)
    if not drafts:
        return []
    add = replace(add, drafts=drafts)
    if not background:
        return engine.run(scope, add)
    work, verbatim = (functools.partial(engine.run, scope, each) for each in (add, replace(add, infer=False)))
    capture_queue_of(engine).submit((scope, session_id), work, instead=verbatim)
    return []


def _facts_of(turn: Sequence[ChatMessage], *, infer: bool, is_required: bool) -> list[ItemDraft]:
    """The drafts of a turn; without an LLM what the user states: a message that only asks is no fact."""
    try:
        drafts = drafts_of(turn, ("user", "assistant") if infer else ("user",))
    except InvalidInputError as error:
        if is_required:
            raise
        logger.warning("memweld: a turn is in its session, and no facts of it are: %s", error)
        return []
    return drafts if infer else [draft for draft in drafts if _QUESTION.fullmatch(draft.text) is None]


def drop_captures(engine: Engine, scope: Scope) -> None:
    """Forget the captures in the background that wait for a scope, or for one that it contains."""

    def concerns(key: Hashable) -> bool:
        return isinstance(key, tuple) and scope.contains(cast("tuple[Scope, str | None]", key)[0])

    capture_queue_of(engine).drop(concerns)
