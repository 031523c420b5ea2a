"""Attribution of facts: from which message of a turn an LLM has learnt each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ...scope import Scope
from ..operations import ItemDraft
from ..search.tokenizer import query_words
from ..sql.item_rows import ItemRow, RowTemplate

__all__ = ["Origin", "origin_of"]

# A fact is learnt from the texts that are kept if these have this share of its telling words.
_SHARE = 1 / 3
# "Sorry, Faro.": an answer has so few telling words.
_ANSWER = 2
_CHARACTERS = 4_000


class Origin(NamedTuple):
    """The text that a fact was most probably learnt from.

    Attributes:
        role: Its speaker.
        message_id: Its message.
        is_kept: Whether it is kept as a source, which leads to the fact by a link. An assistant's answer and a question
            are no sources: there the message alone leads to the fact, which goes when that is edited.
        created_at: When it was said, if known.
    """

    role: str
    message_id: str | None
    is_kept: bool
    created_at: datetime | None = None

    def row(
        self, template: RowTemplate, scope: Scope, text: str, created_at: str, *, memory_id: str | None = None
    ) -> ItemRow:
        """The row of a fact of this origin; without a session no message is known."""
        created_at = created_at if self.created_at is None else self.created_at.isoformat()
        message_id = self.message_id if template.session_id else None
        return template.row(scope, text, created_at, memory_id=memory_id, message_id=message_id, speaker=self.role)


def origin_of(fact: str, drafts: Sequence[ItemDraft]) -> Origin:
    """The draft from which a fact is learnt: one that is kept, unless another has more of its words.

    The user's short answer is the origin also where the assistant repeats it in a sentence.
    """
    words = _telling(fact)
    shared = [(len(words & _telling(draft.text)), draft.role == "user", draft) for draft in drafts]
    kept = [each for each in shared if each[2].is_kept]
    others = [each for each in shared if not each[2].is_kept]
    of_kept = len(words & set[str]().union(*(_telling(draft.text) for _, _, draft in kept)))
    least = max(_SHARE * len(words), 1)
    if others and of_kept < least:
        answers = [each for each in others if each[1] and each[0] >= least and _is_answer(each[2].text)]
        count, _, best = max(answers or others, key=lambda each: each[0])
        if count > of_kept or not kept:
            # Words that stand in no message are not taken for the user's.
            is_foreign = count == 0 and any(draft.role == "assistant" for _, _, draft in others)
            role = "assistant" if is_foreign else best.role
            return Origin(role, best.message_id, False, best.created_at) if count else Origin(role, None, True)
    _, _, draft = max(kept, key=lambda each: each[:2])
    return Origin(draft.role, draft.message_id, True, draft.created_at)


def _is_answer(text: str) -> bool:
    asks = "?" in text or "？" in text or any(word.asks for word in query_words(text[:_CHARACTERS]))
    return not asks and len(_telling(text)) <= _ANSWER


def _telling(text: str) -> set[str]:
    return {term for word in query_words(text[:_CHARACTERS]) if not word.asks for term in word.terms} - {"user"}
