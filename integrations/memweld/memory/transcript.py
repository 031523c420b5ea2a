"""The part of a session that may stand before a model: what the strictest provider takes, and no more than fits.

The rules of OpenAI, Anthropic and Gemini together: prompts come first; the conversation begins with the user; each tool
call is followed at once by its result; a call comes right behind the user or a result, so that words of the model in
front of it stand in the same message; there is no result without a call, no id for two calls, and no empty message.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ..errors import MemoryNotFoundError
from ..models import JSON, ChatMessage, ToolCall
from ..validation import dump_json

if TYPE_CHECKING:
    from .history import History

__all__ = ["DEFAULT_HISTORY_BUDGET", "INTERRUPTED", "is_cut_of", "model_window", "read_tail", "read_window"]

INTERRUPTED = "The call was interrupted; whether it took effect is not known."
"""The result of a tool call that the session has no result of: the run was cancelled, or died."""

# An image counts as much as it costs a model, about a thousand tokens, and not by the length of its data.
DEFAULT_HISTORY_BUDGET = 100_000
"""Characters of a session's messages that stand before a model; about 25,000 tokens of English."""

_BLANK = "…"
_CUT = " … (cut, since it is too long)"
_LEAST_CUT = 100
_PART_CHARACTERS = 4_000
_PAGE = 100
_MAX_PAGES = 50

Step: TypeAlias = "list[ChatMessage]"
"""A message; with tool calls, the results behind it."""


def model_window(
    messages: Sequence[ChatMessage],
    *,
    limit: int | None = None,
    characters: int | None = None,
    prompts: bool = True,
    open_end: bool = False,
    joins: bool = True,
) -> list[ChatMessage]:
    """The latest messages of a session, as a request that every provider takes.

    Whole exchanges (a message of the user, and all that followed it) are taken from the end as far as they fit. Of a
    last exchange that is too long alone, the user's message stays with the latest steps that fit, without a gap between
    them. If the last step alone is too long in characters, its results are cut. If it has more messages than the
    limit leaves, it stays whole behind the user's message: a model that does not see a result calls again.

    Args:
        messages: The session, oldest first.
        limit: How many messages at most, without prompts; all if None. Only a last step with calls may exceed it.
        characters: How many characters of text and arguments at most, an image for 4,000; any number if None.
        prompts: Whether messages of the role ``system`` stay; they come first, the latest ones in half of the
            characters.
        open_end: Whether tool calls at the very end stay without a result, since the run is to give it.
        joins: Whether words of the model and calls right behind them become one message, with the id of the calls.
            Gemini refuses them in two. AutoGen's messages are text or calls, and its contexts show both apart: there
            they stay so.

    Returns:
        The messages; calls that have no result are followed by one that says `INTERRUPTED`. A call whose id an
        earlier one has gets another.
    """
    kept = _prompts(messages, characters) if prompts else []
    window: list[list[Step]] = []
    count, size = limit, None if characters is None else characters - _size_of(kept)
    for exchange in reversed(_exchanges(_steps(messages, open_end=open_end, joins=joins))):
        taken = exchange if _fits(exchange, count, size) else [] if window else _latest_steps(exchange, count, size)
        if not taken:
            break
        window.append(taken)
        if taken is not exchange:
            break
        count, size = _rest(exchange, count, size)
    return kept + [message for exchange in reversed(window) for step in exchange for message in step]


def read_window(
    history: History,
    *,
    limit: int | None = None,
    characters: int | None = None,
    prompts: bool = True,
    open_end: bool = False,
) -> list[ChatMessage]:
    """`model_window` over a session that is kept, read from its end as far back as needed.

    Raises:
        MemweldError: The session cannot be read.
    """
    messages = read_tail(history, limit)
    return model_window(messages, limit=limit, characters=characters, prompts=prompts, open_end=open_end)


def read_tail(history: History, limit: int | None, before: str | None = None) -> list[ChatMessage]:
    """The latest messages of a session: ``limit`` of them, and more if the user's last message lies further back.

    Args:
        history: The session.
        limit: How many messages; all if None.
        before: The id of the message behind the last one to read; the end of the session if None.

    Raises:
        MemoryNotFoundError: The session has no message with the id ``before``.
    """
    messages = page = history.messages(limit, before)
    requested = limit
    for _ in range(_MAX_PAGES):
        if not page or requested is None or len(page) < requested or any(message.role == "user" for message in page):
            break
        requested = _PAGE
        try:
            page = history.messages(requested, page[0].id)
        except MemoryNotFoundError:  # another writer has cleared the session meanwhile
            break
        messages = [*page, *messages]
    return messages


def _prompts(messages: Sequence[ChatMessage], characters: int | None) -> list[ChatMessage]:
    """The latest messages of the role ``system``, oldest first, that fit into half of the characters."""
    kept, room = list[ChatMessage](), None if characters is None else characters // 2
    for message in reversed(messages):
        if message.role != "system" or not _says_something(message):
            continue
        size = _size(message)
        if room is not None and size > room:
            start = "" if kept else message.text[:room]
            return [dataclasses.replace(message, content=start, native=None)] if start.strip() else kept[::-1]
        kept.append(message)
        room = None if room is None else room - size
    return kept[::-1]


def _steps(messages: Sequence[ChatMessage], *, open_end: bool, joins: bool) -> list[Step]:
    """The messages other than prompts, each call with its results behind it."""
    steps: list[tuple[ChatMessage, dict[str, ChatMessage]]] = []
    # Ids come back: some clients number the calls from nought, each for itself. The latest call of an id counts.
    waiting: dict[str, dict[str, ChatMessage]] = {}
    for message in map(_not_blank, messages):
        if message.role == "tool":
            results = waiting.pop(message.tool_call_id or "", None)
            if results is not None:
                results[message.tool_call_id or ""] = message
        elif message.role != "system" and _says_something(message):
            while joins and message.tool_calls and steps and _is_answer(steps[-1][0]):
                message = _joined(steps.pop()[0], message)  # noqa: PLW2901
            steps.append((message, {}))
            waiting |= {call.id: steps[-1][1] for call in message.tool_calls}
    last = steps[-1][0] if steps and open_end else None
    whole = [
        [message, *(results.get(call.id) or _interrupted(message, call) for call in _calls(message, results, last))]
        for message, results in steps
    ]
    return list(_with_unique_ids(whole, last))


def _is_answer(message: ChatMessage) -> bool:
    return message.role == "assistant" and not message.tool_calls


def _joined(answer: ChatMessage, calls: ChatMessage) -> ChatMessage:
    """The calls with the words before them; the words of another agent of a team begin with its name."""
    parts = _parts(answer)
    if answer.name not in (None, calls.name):
        parts = [{"type": "text", "text": f"{answer.name}:"}, *parts]
    parts += _parts(calls) if _has_words(calls) else []
    texts = [part.get("text") for part in parts if part.get("type") == "text"]
    if len(texts) == len(parts):
        return dataclasses.replace(calls, content="\n\n".join(map(str, texts)), native=None)
    return dataclasses.replace(calls, content=parts, native=None)


def _calls(message: ChatMessage, results: dict[str, ChatMessage], last: ChatMessage | None) -> Iterable[ToolCall]:
    """The calls of a message that are to have a result, each id once."""
    calls = {call.id: call for call in message.tool_calls}
    return [call for call in calls.values() if message is not last or call.id in results]


def _with_unique_ids(steps: Iterable[Step], last: ChatMessage | None) -> Iterator[Step]:
    """The steps, without an id for two calls. The run is to answer the calls of ``last`` by the ids that they have."""
    seen = Counter[str]()
    for step in steps:
        message, *results = step
        ids = {call.id for call in message.tool_calls}
        names = {each: f"{each}-{seen[each] + 1}" for each in ids if seen[each]}
        seen.update(ids)
        if (names and message is not last) or len(ids) < len(message.tool_calls):
            calls = {call.id: dataclasses.replace(call, id=names.get(call.id, call.id)) for call in message.tool_calls}
            message = dataclasses.replace(message, tool_calls=tuple(calls.values()), native=None)
            results = [_answering(result, names) for result in results]
        yield [message, *results]


def _answering(result: ChatMessage, names: Mapping[str, str]) -> ChatMessage:
    name = names.get(result.tool_call_id or "")
    return result if name is None else dataclasses.replace(result, tool_call_id=name, native=None)


def _interrupted(message: ChatMessage, call: ToolCall) -> ChatMessage:
    return ChatMessage(
        role="tool",
        content=INTERRUPTED,
        id=None if message.id is None else f"{message.id}/{call.id}",
        name=call.name,
        tool_call_id=call.id,
        created_at=message.created_at,
    )


def _says_something(message: ChatMessage) -> bool:
    return bool(message.tool_calls) or _has_words(message)


def _has_words(message: ChatMessage) -> bool:
    return bool(message.text.strip()) or any(part.get("type") != "text" for part in _parts(message))


def _not_blank(message: ChatMessage) -> ChatMessage:
    """The message; of a user who said nothing a sign of it, since the answer needs a message before it."""
    if message.role != "user" or _says_something(message):
        return message
    return dataclasses.replace(message, content=_BLANK, native=None)


def _parts(message: ChatMessage) -> list[dict[str, JSON]]:
    return [{"type": "text", "text": message.content}] if isinstance(message.content, str) else message.content


def _exchanges(steps: Sequence[Step]) -> list[list[Step]]:
    """The steps in groups that begin with a message of the user; steps before the first such message are left out."""
    exchanges: list[list[Step]] = []
    for step in steps:
        if step[0].role == "user":
            exchanges.append([])
        if exchanges:
            exchanges[-1].append(step)
    return exchanges


def _latest_steps(exchange: Sequence[Step], count: int | None, size: int | None) -> list[Step]:
    """Of an exchange that is too long: the user's message, cut if need be, and the latest steps that fit."""
    (question,) = exchange[0]
    room = size if size is None or len(exchange) == 1 else max(size // 2, 1)
    if room is not None and _size(question) > room:
        question = _not_blank(dataclasses.replace(question, content=question.text[-room:], native=None))
    count, size = _rest([[question]], count, size)
    taken: list[Step] = []
    for step in reversed(exchange[1:]):
        if not taken and size is not None and _size_of(step) > size:
            step = _cut(step, size)  # noqa: PLW2901
        if not _fits([step], None if not taken and step[0].tool_calls else count, size):
            break
        taken.append(step)
        count, size = _rest([step], count, size)
    return [[question], *reversed(taken)]


def _cut(step: Step, size: int) -> Step:
    """The step with the beginnings of its results: a model that never sees the result of a call makes it again."""
    message, *results = step
    share = max(size - _size(message), 0) // max(len(results), 1) - len(_CUT)
    if share <= 0:
        if not (message.tool_calls and message.content):
            return step
        return _cut([dataclasses.replace(message, content="", native=None), *results], size)
    texts = [result.text if _size(result) <= share else f"{result.text[:share]}{_CUT}" for result in results]
    return [
        message,
        *(
            result if text == result.text else dataclasses.replace(result, content=text, native=None)
            for result, text in zip(results, texts, strict=True)
        ),
    ]


def is_cut_of(text: str, message: ChatMessage) -> bool:
    """Whether a text is what `model_window` leaves of a message that is too long."""
    if message.role == "user":
        return len(text) >= _LEAST_CUT and message.text.endswith(text)
    return text.endswith(_CUT) and message.text.startswith(text.removesuffix(_CUT))


def _fits(exchange: Sequence[Step], count: int | None, size: int | None) -> bool:
    if count is not None and sum(map(len, exchange)) > count:
        return False
    return size is None or sum(map(_size_of, exchange)) <= size


def _rest(exchange: Sequence[Step], count: int | None, size: int | None) -> tuple[int | None, int | None]:
    """The limits that remain after an exchange."""
    used = 0 if size is None else sum(map(_size_of, exchange))
    return None if count is None else count - sum(map(len, exchange)), None if size is None else size - used


def _size_of(step: Step) -> int:
    return sum(map(_size, step))


def _size(message: ChatMessage) -> int:
    calls = sum(len(call.name) + len(dump_json(dict(call.arguments))) for call in message.tool_calls)
    return calls + sum(map(_part_size, _parts(message)))


def _part_size(part: Mapping[str, JSON]) -> int:
    text = part.get("text")
    if part.get("type") == "text" and isinstance(text, str):
        return len(text)
    return min(len(dump_json(dict(part))), _PART_CHARACTERS)
