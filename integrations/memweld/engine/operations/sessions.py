"""Operations on messages, which are exact by session in exactly this scope, and on all that a scope contains."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from ...models import ChatMessage, EraseReceipt, Session
from ..export_data import ExportData, ExportPage, validate_export_data
from ..message_rules import validate_messages
from .base import Key, ManyLimit, Operation
from .operands import validate_keys

__all__ = [
    "AppendMessages",
    "ClearMessages",
    "CountStored",
    "Erase",
    "Export",
    "ListSessions",
    "ReadMessages",
    "Restore",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendMessages(Operation[list[str]]):
    """Append messages to a session; one with an id that the session has already replaces that message in place.

    If the text of such a message changes, the memories that say the old one are deleted, unless they were added
    otherwise, too; and the facts that an LLM extracted from it alone. The next capture learns the new text. The answer
    holds the ids of these messages.

    A message without id or time gets them: read them from ``messages``.

    Attributes:
        session_id: The session.
        messages: The messages, oldest first.
        replace: Whether they take the place of all that the session has, in the same transaction.
        known: With ``replace`` the ids of the messages whose place they take; None: of all. What was appended behind
            these meanwhile stays behind the new messages, and other messages stay in front.
    """

    session_id: Key
    messages: Annotated[Sequence[ChatMessage], validate_messages]
    replace: bool = False
    known: Annotated[Sequence[str], validate_keys] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMessages(Operation[list[ChatMessage]]):
    """The last ``limit`` messages (None: all) of those before the message ``before``, oldest first.

    It raises `MemoryNotFoundError` if the session has no message with the id ``before``.
    """

    read_only = True

    session_id: Key
    limit: ManyLimit | None = None
    before: Key | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearMessages(Operation[int]):
    """Delete the session; the answer counts its messages.

    Attributes:
        session_id: The session.
        facts: Whether what it says is forgotten, too: the memories that it alone says, as `DeleteItem` deletes them,
            and its occurrences of the others.
    """

    changes_items = True
    overwrites = True

    session_id: Key
    facts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSessions(Operation[list[Session]]):
    """The sessions of exactly this scope, the latest used first."""

    read_only = True


# everything


@dataclass(frozen=True, slots=True, kw_only=True)
class CountStored(Operation[dict[str, int]]):
    """How many rows of each kind the scope contains.

    Attributes:
        with_bytes: Whether the answer also has the ``bytes`` of texts, metadata, values and messages, with a kilobyte
            for each row. That reads all rows.
    """

    with_bytes: bool = False

    read_only = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Export(Operation[ExportPage]):
    """Part of all that the scope contains, in an order that stays: free and keyed facts, values, messages.

    A value's record is on its page. A session that goes over several pages is on each of them, with its times and some
    of its messages. It raises `InvalidInputError` where ``cursor`` belongs to no page.

    Attributes:
        cursor: The ``next`` of the page before; None for the first.
        limit: How many facts, values and messages at most; fewer where they are large. None: everything, as it is at
            one moment.
    """

    read_only = True

    cursor: Key | None = None
    limit: ManyLimit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore(Operation[dict[str, int]]):
    """Store what an export holds, with its ids and times. All of it is valid, or nothing is stored.

    Much is stored in several transactions, between which others write: do it again after an interruption, which
    stores nothing twice. An erasure ends it.

    Where the scope has something under the same id, key or place, the one that changed last stays. A free fact with a
    text that the scope has gives its sessions, metadata and times to that one. A message with an id that its session
    has is left out; so is what has expired. An id that another scope has is replaced by a new one.

    The answer counts the ``items``, ``values``, ``sessions`` and ``messages`` that are new or changed; and as
    ``merged``, if there are any, the facts that changed one with an equal text. It raises
    `InvalidInputError` if a part belongs to an agent that the scope does not contain.

    Attributes:
        data: What to store.
        settles: Whether new facts supersede each other by their relations, as those of `AddItems` do; for imports of a
            program that knows no superseding.
    """

    changes_items = True
    usual_lane = "write"

    data: Annotated[ExportData, validate_export_data]
    settles: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase(Operation[EraseReceipt]):
    """Remove all that the scope contains, and what waits to be added to it."""

    changes_items = True
    usual_lane = "write"
