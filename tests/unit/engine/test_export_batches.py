"""Batches of an export: nothing is lost, nothing too large, and what belongs together stays together."""

from datetime import datetime, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from memweld.engine.export_batches import batches
from memweld.engine.export_data import ExportData, ExportedItem, ExportedSession, ExportedValue
from memweld.models import ChatMessage

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def measure(row: object) -> int:
    return len(getattr(row, "text", "") or getattr(row, "content", "") or str(getattr(row, "value", "")))


def make(facts: list[int], values: list[int], sessions: list[list[int]]) -> ExportData:
    """Data with rows of these sizes; every second value has a text."""
    items = [ExportedItem(id=f"i{at}", text="x" * size, created_at=AT, updated_at=AT) for at, size in enumerate(facts)]
    records = [
        ExportedItem(id=f"r{at}", text="x", kind="record", key=f'["n","k{at}"]', created_at=AT, updated_at=AT)
        for at in range(0, len(values), 2)
    ]
    return ExportData(
        items=(*items, *records),
        values=tuple(
            ExportedValue(namespace="n", key=f"k{at}", value="x" * size, created_at=AT, updated_at=AT)
            for at, size in enumerate(values)
        ),
        sessions=tuple(
            ExportedSession(
                session_id=f"s{at}",
                started_at=AT,
                updated_at=AT,
                messages=tuple(
                    ChatMessage(id=f"m{at} {number}", role="user", content="x" * size, created_at=AT)
                    for number, size in enumerate(sizes)
                ),
            )
            for at, sizes in enumerate(sessions)
        ),
    )


SIZES = st.lists(st.integers(1, 12), max_size=9)


@settings(max_examples=50)
@given(SIZES, SIZES, st.lists(SIZES, max_size=4), st.integers(2, 6), st.integers(5, 30))
def test_batches_hold_everything_in_order(
    facts: list[int], values: list[int], sessions: list[list[int]], rows: int, size: int
) -> None:
    data = make(facts, values, sessions)
    parts = list(batches(data, rows=rows, size=size, size_of=measure))
    free = [item for item in data.items if item.kind != "record"]
    assert [item for part in parts for item in part.items if item.kind != "record"] == free
    assert [value for part in parts for value in part.values] == list(data.values)
    spoken = {each.session_id: list(each.messages) for each in data.sessions}
    found: dict[str, list[ChatMessage]] = {}
    for part in parts:
        for each in part.sessions:
            found.setdefault(each.session_id, []).extend(each.messages)
        keys = {f'["n","{value.key}"]' for value in part.values}
        assert {item.key for item in part.items if item.kind == "record"} == {
            f'["n","k{at}"]' for at in range(0, len(values), 2) if f'["n","k{at}"]' in keys
        }
        measured = [measure(row) for row in (*part.items, *part.values)]
        measured += [measure(message) for each in part.sessions for message in each.messages]
        is_alone = len(part.values) + sum(item.kind == "item" for item in part.items) + len(part.sessions) == 1
        assert sum(measured) <= size or is_alone
        pieces = [each for each in part.sessions if len(each.messages) < len(spoken[each.session_id])]
        assert not pieces or (len(part.sessions), part.items, part.values) == (1, (), ())
    assert found == spoken
