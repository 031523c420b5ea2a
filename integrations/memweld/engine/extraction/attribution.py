"""Attribution of facts: from which message of a turn an LLM has learnt each."""

from __future__ import annotations

from collections.abc import Sequence

from ..operations import ItemDraft
from ..search.tokenizer import query_words

__all__ = ["learnt_from"]

# A fact is learnt from the texts that are kept if these have this share of its telling words.
_SHARE = 1 / 3
_CHARACTERS = 4_000


def learnt_from(fact: str, drafts: Sequence[ItemDraft]) -> str | None:
    """The id of the message from which a fact is learnt; None where that is a text that is kept as its source.

    Sources lead to their facts by links. An assistant's answer and a question are no sources, so the fact has the id of
    the message: it goes when that is edited.
    """
    words = _telling(fact)
    kept = set[str]().union(*(_telling(draft.text) for draft in drafts if draft.is_kept))
    others = [draft for draft in drafts if not draft.is_kept]
    if not others or len(words & kept) >= max(_SHARE * len(words), 1):
        return None
    best = max(others, key=lambda draft: len(words & _telling(draft.text)))
    return best.message_id if len(words & _telling(best.text)) > len(words & kept) else None


def _telling(text: str) -> set[str]:
    return {term for word in query_words(text[:_CHARACTERS]) if not word.asks for term in word.terms} - {"user"}
