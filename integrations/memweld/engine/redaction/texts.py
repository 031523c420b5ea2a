"""Redaction of texts wherever operations carry them: drafts, messages, values, metadata, exports."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar, cast

from ...consolidation import ConsolidationReceipt, ConsolidationStep, ItemChange
from ...errors import ConfigurationError
from ...models import JSON, ChatMessage, MemoryItem, ToolCall, ValueWrite
from ..export_data import ExportData, ExportedSession, ExportedValue
from ..operations import ItemDraft, Operation, PutKeyed, PutValue
from .secrets import redact_field, redact_secrets

__all__ = ["Redact", "Redaction", "redaction_of"]

T = TypeVar("T")
M = TypeVar("M", bound=MemoryItem)

Redact: TypeAlias = 'Callable[[str], str] | Literal["secrets"]'
"""Takes out of a text what must not be stored: a function of yours, or memweld's patterns for secrets."""

# Base64 of an image or a sound is no text.
_DATA_URL = re.compile(r"data:[\w/+.-]{1,100};base64,")
_NO_BASE64 = re.compile(r"[^\w+/=-]")
# Frameworks find a message's parts again by these fields of its dump.
_STRUCTURE = frozenset({"id", "type", "role", "tool_call_id", "call_id", "framework", "source"})
# A card number may be a number of JSON, too.
_LEAST_NUMBER = 10**11
# By the name of its field a PIN or a password; smaller ones are counts.
_LEAST_CODE = 100


def redaction_of(redact: object) -> Redaction:
    """The redaction that ``connect(redact=…)`` asks for.

    Raises:
        ConfigurationError: It is no function, and not ``"secrets"``.
    """
    if redact == "secrets":
        return Redaction(redact_secrets, redact_field)
    if not callable(redact):
        raise ConfigurationError(
            'redact= is neither "secrets" nor a function that takes a text and returns it without what must not be '
            "stored: pass one of them."
        )
    return Redaction(_guarded(cast("Callable[[str], str]", redact)))


def _guarded(redact: Callable[[str], str]) -> Callable[[str], str]:
    """The caller's function with clear errors, which quote no text."""

    def redacted(text: str) -> str:
        try:
            answer = cast("object", redact(text))
        except Exception as error:  # noqa: BLE001 - of the caller's function
            # Its own words, and those of its causes, may quote the text.
            raise ConfigurationError(
                f"redact= raised {type(error).__name__}, so nothing is stored: let it return each text, changed or not."
            ) from None
        if not isinstance(answer, str):
            raise ConfigurationError(
                f"redact= returned {type(answer).__name__} and no text, so nothing is stored: let it return a str."
            )
        return answer

    return redacted


class Redaction:
    """Takes out of operations what must not be stored.

    Args:
        redact: Takes it out of a text.
        field: The same for a field of JSON, by its name and its text.
    """

    def __init__(self, redact: Callable[[str], str], field: Callable[[str, str], str] | None = None) -> None:
        self._redact = redact
        self._field = field
        self._parts: Mapping[str, Callable[[Any], Any]] = {
            "text": self.text,
            "query": self.text,
            "drafts": self._each(self._draft),
            "messages": self._each(self._message),
            "writes": self._each(self._write),
            "metadata": self.json,
            "value": self.json,
            "data": self._export,
            "receipt": self._receipt,
        }

    @property
    def parts(self) -> Iterable[str]:
        """The names of the operands with texts."""
        return self._parts

    def operation(self, operation: Operation[T]) -> Operation[T]:
        """The operation without what must not be stored; itself, if there is nothing of it."""
        key: str = getattr(operation, "key", "") if type(operation) in (PutKeyed, PutValue) else ""
        changed = dict[str, Any]()
        for name, redact in self._parts.items():
            value = getattr(operation, name, None)
            if value is None:
                continue
            redacted = self._keyed(key, value) if key and name in ("metadata", "value") else redact(value)
            if redacted is not value:
                changed[name] = redacted
        return cast("Operation[T]", dataclasses.replace(cast("Any", operation), **changed)) if changed else operation

    def text(self, text: str, field: str = "") -> str:
        """The text; one of JSON stays JSON."""
        if (data := _DATA_URL.match(text)) and not _NO_BASE64.search(text, data.end()):
            return text
        redacted = self._redact(text) if not field or self._field is None else self._field(field, text)
        if redacted == text:
            return text
        if text.lstrip()[:1] in ("{", "["):
            try:
                parsed = json.loads(text)
            except (ValueError, RecursionError):
                return redacted
            return json.dumps(self.json(parsed), ensure_ascii=False)
        return redacted

    def json(self, value: JSON, field: str = "", *, spared: frozenset[str] = frozenset()) -> JSON:
        """Any JSON value, with its texts redacted, those in numbers included; keys stay."""
        if isinstance(value, str):
            return self.text(value, field)
        if isinstance(value, Mapping):
            pairs = cast("Mapping[str, JSON]", value)
            return self._replaced(
                pairs,
                {
                    key: each if key in spared and isinstance(each, str) else self.json(each, key, spared=spared)
                    for key, each in pairs.items()
                },
            )
        if isinstance(value, (list, tuple)):
            listed = cast("Sequence[JSON]", value)
            parts = [self.json(each, field, spared=spared) for each in listed]
            return listed if all(new is old for new, old in zip(parts, listed, strict=True)) else parts
        least = _LEAST_NUMBER if not field or self._field is None else _LEAST_CODE
        if isinstance(value, int) and value >= least:
            number = str(value)
            redacted = self.text(number, field)
            return value if redacted == number else redacted
        return value

    def _keyed(self, key: str, value: JSON) -> JSON:
        """The value under a key, or metadata that hold it as ``value``: the key says what it is."""
        if isinstance(value, Mapping) and "value" in value:
            pairs = cast("Mapping[str, JSON]", value)
            return self._replaced(pairs, {**self.json(pairs), "value": self.json(pairs["value"], key)})
        return self.json(value, key)

    def _replaced(self, before: Mapping[str, JSON], after: dict[str, JSON]) -> Mapping[str, JSON]:
        return before if all(after[name] is each for name, each in before.items()) else after

    def _each(self, redact: Callable[[T], T]) -> Callable[[Sequence[T]], Sequence[T]]:
        def redacted(parts: Sequence[T]) -> Sequence[T]:
            new = tuple(map(redact, parts))
            return parts if all(each is old for each, old in zip(new, parts, strict=True)) else new

        return redacted

    def _draft(self, draft: ItemDraft) -> ItemDraft:
        return _with(draft, text=self.text(draft.text))

    def _message(self, message: ChatMessage) -> ChatMessage:
        return _with(
            message,
            content=self.json(message.content, spared=_STRUCTURE),
            tool_calls=self._each(self._call)(message.tool_calls),
            native=self.json(message.native, spared=_STRUCTURE),
        )

    def _call(self, call: ToolCall) -> ToolCall:
        return _with(call, arguments=self.json(call.arguments))

    def _write(self, write: ValueWrite) -> ValueWrite:
        text = None if write.text is None else self.text(write.text)
        return _with(write, value=self.json(write.value, write.key), text=text)

    def _export(self, data: ExportData) -> ExportData:
        return _with(
            data,
            items=self._each(self._item)(data.items),
            values=self._each(self._exported_value)(data.values),
            sessions=self._each(self._session)(data.sessions),
        )

    def _item(self, item: M) -> M:
        # The metadata of a record are the place of its value.
        is_record = item.kind == "record"
        return _with(
            item,
            text=self.text(item.text),
            metadata=item.metadata if is_record else self._keyed(item.key or "", item.metadata),
            occurrences=self._each(self.json)(item.occurrences),
        )

    def _receipt(self, receipt: ConsolidationReceipt) -> ConsolidationReceipt:
        return _with(receipt, done=self._each(self._step)(receipt.done))

    def _step(self, step: ConsolidationStep) -> ConsolidationStep:
        return _with(step, changes=self._each(self._change)(step.changes))

    def _change(self, change: ItemChange) -> ItemChange:
        # What it was before is stored again; what it is now is compared alone.
        return change if change.before is None else _with(change, before=self._item(change.before))

    def _exported_value(self, value: ExportedValue) -> ExportedValue:
        return _with(value, value=self.json(value.value, value.key))

    def _session(self, session: ExportedSession) -> ExportedSession:
        return _with(session, messages=self._each(self._message)(session.messages))


def _with(part: T, **fields: Any) -> T:
    """The data class with these fields; itself, if they are its own."""
    changed = {name: value for name, value in fields.items() if value is not getattr(part, name)}
    return dataclasses.replace(cast("Any", part), **changed) if changed else part
