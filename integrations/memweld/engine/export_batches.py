"""An export in parts that are small enough for one transaction, or for one message to a server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeAlias

from ..models import ChatMessage
from .export_data import ExportData, ExportedItem, ExportedSession, ExportedValue, record_place

__all__ = ["batches"]

Measure: TypeAlias = "Callable[[ExportedItem | ExportedValue | ChatMessage], int]"


@dataclass(frozen=True, slots=True)
class _Part:
    """An item, a value with the item of its text, or a session; ``is_whole``: not a piece of a long session."""

    data: ExportData
    rows: int
    size: int
    is_whole: bool = True


def batches(
    data: ExportData, *, rows: int, size: int = sys.maxsize, size_of: Measure = lambda _: 0
) -> Iterator[ExportData]:
    """The data in batches of so many rows, and of this size, at most.

    A value stays with the item of its text. Pieces of a session that is too long for a batch have batches of their own.

    Args:
        data: The data.
        rows: The most rows of a batch.
        size: The most of a batch, in the unit of ``size_of``. A row that is larger goes alone.
        size_of: The size of a row.
    """
    messages = [message for session in data.sessions for message in session.messages]
    everything = (*data.items, *data.values, *messages)
    if len(everything) <= rows and sum(map(size_of, everything)) <= size:
        yield data  # facts and the texts of values in their common order
        return
    batch: list[ExportData] = []
    batch_rows = batch_size = 0
    for part in _parts(data, rows, size, size_of):
        if batch and (not part.is_whole or batch_rows + part.rows > rows or batch_size + part.size > size):
            yield _joined(batch)
            batch, batch_rows, batch_size = [], 0, 0
        if part.is_whole:
            batch.append(part.data)
            batch_rows, batch_size = batch_rows + part.rows, batch_size + part.size
        else:
            yield part.data
    if batch:
        yield _joined(batch)


def _joined(parts: Sequence[ExportData]) -> ExportData:
    return ExportData(
        items=tuple(chain.from_iterable(part.items for part in parts)),
        values=tuple(chain.from_iterable(part.values for part in parts)),
        sessions=tuple(chain.from_iterable(part.sessions for part in parts)),
    )


def _parts(data: ExportData, rows: int, size: int, size_of: Measure) -> Iterator[_Part]:
    records = {(item.agent_id, item.key or ""): item for item in data.items if item.kind == "record"}
    for item in data.items:
        if item.kind != "record":
            yield _Part(ExportData(items=(item,)), 1, size_of(item))
    for value in data.values:
        record = records.get(record_place(value))
        texts = () if record is None else (record,)
        yield _Part(ExportData(items=texts, values=(value,)), 1, sum(map(size_of, (value, *texts))))
    for session in data.sessions:
        pieces = list(_pieces(session, rows, size, size_of))
        for messages, measured in pieces:
            piece = ExportData(sessions=(replace(session, messages=messages),))
            yield _Part(piece, len(messages) + 1, measured, is_whole=len(pieces) == 1)


def _pieces(
    session: ExportedSession, rows: int, size: int, size_of: Measure
) -> Iterator[tuple[tuple[ChatMessage, ...], int]]:
    """The messages of a session, as many at a time as fit, with their size."""
    messages: list[ChatMessage] = []
    total = 0
    for message in session.messages:
        measured = size_of(message)
        if messages and (len(messages) >= rows or total + measured > size):
            yield tuple(messages), total
            messages, total = [], 0
        messages.append(message)
        total += measured
    yield tuple(messages), total
