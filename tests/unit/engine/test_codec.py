"""Every value that goes over the wire comes back equal."""

import json
import unicodedata
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memweld.consolidation import ConsolidationPlan, ConsolidationReceipt, ConsolidationStep, ItemChange
from memweld.engine.codec import decode_answer, decode_operation, encode_answer, encode_operation
from memweld.engine.export_data import ExportData, ExportedItem, ExportedSession, ExportedValue, ExportPage
from memweld.engine.operations import (
    OPERATIONS,
    GetItem,
    ItemDraft,
    ItemPage,
    Operation,
    ProfileItems,
    PutValue,
    StoredValue,
)
from memweld.errors import InvalidInputError
from memweld.models import (
    ChatMessage,
    Conflict,
    EraseReceipt,
    Hit,
    MemoryItem,
    Related,
    Session,
    ToolCall,
    ValueEntry,
    ValueHit,
    ValueWrite,
)
from memweld.validation import dump_json

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
optional = st.none() | texts
keys = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs"]), min_size=1, max_size=20).filter(str.strip)
said = keys.map(lambda text: unicodedata.normalize("NFC", text).strip()).filter(bool)
times = st.datetimes().map(lambda moment: moment.replace(tzinfo=timezone.utc, fold=0))
counts = st.integers(0, 2**40)
numbers = st.integers(-(2**200), 2**200) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, values, max_size=3)

ITEM: dict[str, Any] = {
    "id": texts,
    "text": texts,
    "created_at": times,
    "updated_at": times,
    "user_id": optional,
    "agent_id": optional,
    "kind": st.sampled_from(["item", "preference", "task", "record"]),
    "key": optional,
    "session_id": optional,
    "role": optional,
    "name": optional,
    "metadata": objects,
    "extraction": st.sampled_from(["verbatim", "extracted", "failed"]),
    "extraction_error": optional,
    "valid_from": st.none() | times,
    "valid_until": st.none() | times,
    "superseded_by": optional,
    "conflicts": st.lists(st.text(max_size=3), max_size=2).map(tuple),
}
items = st.builds(MemoryItem, **ITEM)
hits = st.builds(Hit, **ITEM, score=st.floats(0, 1))
names = st.lists(texts, max_size=3).map(tuple)
related = st.builds(Related, **ITEM, score=st.floats(0, 1), entities=names, path=names)
stored = st.builds(StoredValue, values, counts)
entries = st.builds(
    ValueEntry,
    namespace=texts,
    key=texts,
    value=values,
    version=counts,
    created_at=times,
    updated_at=times,
    expires_at=st.none() | times,
)
calls = st.builds(ToolCall, id=texts, name=texts, arguments=objects)
messages = st.builds(
    ChatMessage,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=texts | st.lists(objects, max_size=2),
    id=optional,
    name=optional,
    tool_calls=st.lists(calls, max_size=2).map(tuple),
    tool_call_id=optional,
    created_at=st.none() | times,
    native=st.none() | objects,
)
sessions = st.builds(Session, session_id=texts, messages=counts, started_at=times, updated_at=times)
receipts = st.builds(
    EraseReceipt,
    user_id=optional,
    agent_id=optional,
    counts=st.dictionaries(texts, counts, max_size=3),
    erased_at=times,
    graph=st.sampled_from(["none", "done", "pending"]),
)
lasting = st.none() | st.floats(0.001, 1e9)
kept_values = st.builds(
    ExportedValue,
    namespace=texts,
    key=texts,
    value=values,
    created_at=times,
    updated_at=times,
    agent_id=optional,
    ttl=lasting,
    expires_at=st.none() | times,
)
kept_sessions = st.builds(
    ExportedSession,
    session_id=texts,
    started_at=times,
    updated_at=times,
    messages=st.lists(messages, max_size=2).map(tuple),
    agent_id=optional,
)
kept_items = st.builds(ExportedItem, **ITEM, own_valid_until=st.none() | times, own_expires_at=st.none() | times)
kept = st.builds(
    ExportData,
    items=st.lists(kept_items, max_size=2).map(tuple),
    values=st.lists(kept_values, max_size=2).map(tuple),
    sessions=st.lists(kept_sessions, max_size=2).map(tuple),
)
pages = st.builds(ExportPage, kept, optional)
steps = st.lists(
    st.builds(
        ConsolidationStep,
        kind=st.sampled_from(["merge", "expire", "drop_versions", "summarize"]),
        reason=texts,
        ids=names,
        texts=names,
        session_id=optional,
        changes=st.lists(st.builds(ItemChange, before=st.none() | items, after=items), max_size=1).map(tuple),
    ),
    max_size=2,
).map(tuple)
consolidations = st.builds(ConsolidationReceipt, made_at=times, done=steps, skipped=steps, has_more=st.booleans())
ANSWERS: dict[str, st.SearchStrategy[Any]] = {
    "add_items": st.lists(items, max_size=3),
    "get_epoch": counts,
    "put_keyed": items,
    "get_keyed": st.none() | items,
    "search": st.lists(hits, max_size=3),
    "get_item": items,
    "list_items": st.builds(ItemPage, items=st.lists(items, max_size=3), next=optional),
    "item_versions": st.lists(items, max_size=3),
    "pin_item": items,
    "count_recalls": counts,
    "read_profile": st.builds(
        ProfileItems,
        pinned=st.lists(items, max_size=2),
        recalled=st.lists(items, max_size=2),
        before=st.dictionaries(texts, texts, max_size=2),
    ),
    "supersede_items": items,
    "keep_both": st.none(),
    "list_conflicts": st.lists(st.builds(Conflict, newer=items, older=items), max_size=2),
    "update_item": items,
    "delete_item": st.none(),
    "delete_items": counts,
    "delete_matching": counts,
    "delete_keyed": st.booleans(),
    "clear_items": counts,
    "related_items": st.lists(related, max_size=3),
    "settle_graph": st.booleans(),
    "get_value": st.none() | stored,
    "put_value": st.none() | counts,
    "delete_value": st.booleans(),
    "list_keys": st.lists(texts),
    "write_values": st.none(),
    "list_namespaces": st.lists(texts),
    "read_values": st.lists(st.none() | entries, max_size=3),
    "scan_values": st.lists(entries, max_size=3),
    "find_values": st.lists(entries, max_size=3),
    "search_values": st.lists(st.builds(ValueHit, entries, st.none() | st.floats(0, 1)), max_size=3),
    "purge_expired": counts,
    "plan_consolidation": st.builds(ConsolidationPlan, steps=steps, has_more=st.booleans()),
    "consolidate": consolidations,
    "undo_consolidation": consolidations,
    "append_messages": st.lists(st.text()),
    "read_messages": st.lists(messages, max_size=3),
    "clear_messages": counts,
    "list_sessions": st.lists(sessions, max_size=3),
    "count_stored": st.dictionaries(texts, counts, max_size=3),
    "export": pages,
    "restore": st.dictionaries(texts, counts, max_size=3),
    "erase": receipts,
}
lasting_seconds = st.none() | st.floats(0.001, 1e9)
versions = st.none() | counts
limits = st.integers(1, 1_000)
writes = st.builds(
    ValueWrite,
    namespace=keys,
    key=keys,
    value=values,
    delete=st.booleans(),
    text=st.none() | said,
    ttl=lasting_seconds,
)
drafts = st.builds(ItemDraft, text=said, role=st.sampled_from(["user", "assistant"]), name=st.none() | keys)
kinds = st.none() | st.lists(st.sampled_from(["item", "preference", "task"]), min_size=1).map(tuple)
some_keys = st.none() | keys
own = st.dictionaries(keys, values, max_size=3)
filters = st.dictionaries(
    keys.filter(lambda key: not key.startswith("$")), st.none() | st.booleans() | numbers | texts, max_size=3
)
appended = st.builds(
    ChatMessage,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=texts | st.lists(objects, max_size=2),
    id=keys,
    name=some_keys,
    tool_calls=st.lists(st.builds(ToolCall, id=keys, name=keys, arguments=objects), max_size=2).map(tuple),
    tool_call_id=some_keys,
    created_at=times,
    native=st.none() | objects,
)
OPERANDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "add_items": {
        "drafts": st.lists(drafts, max_size=3).map(tuple),
        "infer": st.booleans(),
        "metadata": own,
        "session_id": some_keys,
        "created_at": st.none() | times,
        "valid_from": st.none() | times,
        "supersedes": st.lists(keys, max_size=3).map(tuple),
        "pinned": st.booleans(),
        "epoch": versions,
    },
    "put_keyed": {"kind": st.sampled_from(["preference", "task"]), "key": keys, "text": said, "metadata": objects},
    "search": {
        "query": said,
        "limit": limits,
        "kinds": kinds,
        "filters": filters,
        "recency": st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=9_999)),
        "ids": st.none() | st.lists(keys, max_size=3).map(tuple),
        "session_id": some_keys,
        "after": st.none() | st.just(datetime(1, 1, 1, tzinfo=timezone.utc)),
        "before": st.none() | times.filter(lambda moment: moment.year > 1),
        "include_inactive": st.booleans(),
        "as_of": st.none() | times,
    },
    "delete_matching": {"kinds": st.just(("item",)), "filters": filters, "session_id": some_keys},
    "delete_items": {"memory_ids": st.lists(keys, max_size=3).map(tuple)},
    "delete_keyed": {"kind": st.sampled_from(["preference", "task"]), "key": keys},
    "related_items": {"about": keys, "limit": limits},
    "settle_graph": {"timeout": st.none() | st.floats(0, 60)},
    "list_items": {
        "limit": limits,
        "cursor": some_keys,
        "kinds": kinds,
        "filters": filters,
        "as_of": st.none() | times,
    },
    "item_versions": {"memory_id": keys},
    "plan_consolidation": {"keep_versions": st.none() | st.integers(0, 1_000), "summarize": st.booleans()},
    "pin_item": {"memory_id": keys, "is_pinned": st.booleans()},
    "count_recalls": {"counts": st.dictionaries(keys, st.integers(1, 99), max_size=3)},
    "read_profile": {"changed_since": times, "limit": limits},
    "supersede_items": {"memory_ids": st.lists(keys, max_size=3).map(tuple), "by": keys},
    "keep_both": {"memory_id": keys, "other_id": keys},
    "list_conflicts": {"limit": limits},
    "update_item": {"memory_id": keys, "text": said, "metadata": st.none() | own},
    "put_value": {
        "namespace": keys,
        "key": keys,
        "value": values,
        "if_version": versions,
        "text": st.none() | said,
        "ttl": lasting_seconds,
        "in_place": st.booleans(),
    },
    "write_values": {"writes": st.lists(writes, max_size=3).map(tuple)},
    "read_values": {"places": st.lists(st.tuples(keys, keys), max_size=3).map(tuple), "refresh": st.booleans()},
    "find_values": {
        "under": keys,
        "where": st.none() | own.filter(lambda where: "$" not in repr(where)),
        "offset": st.integers(0, 9),
        "limit": st.none() | limits,
        "refresh": st.booleans(),
    },
    "search_values": {
        "query": said,
        "under": keys,
        "where": st.none() | own.filter(lambda where: "$" not in repr(where)),
        "offset": st.integers(0, 9),
        "limit": limits,
        "refresh": st.booleans(),
    },
    "append_messages": {
        "session_id": keys,
        "messages": st.lists(appended, min_size=1, max_size=3).map(tuple),
        "replace": st.booleans(),
        "known": st.none() | st.lists(keys, max_size=3).map(tuple),
    },
    "export": {"cursor": some_keys, "limit": st.none() | limits},
    "read_messages": {"session_id": keys, "limit": st.none() | limits, "before": some_keys},
}


def test_every_operation_is_known() -> None:
    assert set(ANSWERS) == set(OPERATIONS)


def exactly(value: Any) -> str:
    """Equal reprs tell 1 from 1.0 and True, and a Hit from a MemoryItem; times are compared as such."""
    return repr(value).replace("TzInfo(0)", "datetime.timezone.utc")


@pytest.mark.parametrize("name", sorted(ANSWERS))
@settings(max_examples=25)
@given(data=st.data())
def test_answers_come_back_equal(name: str, data: st.DataObject) -> None:
    answer = data.draw(ANSWERS[name])
    kind = OPERATIONS[name]
    came = decode_answer(kind, json.loads(dump_json(encode_answer(kind, answer))))
    assert came == answer
    assert exactly(came) == exactly(answer)


@pytest.mark.parametrize("name", sorted(OPERANDS))
@settings(max_examples=25)
@given(data=st.data())
def test_operations_come_back_equal(name: str, data: st.DataObject) -> None:
    operation = OPERATIONS[name](**data.draw(st.fixed_dictionaries(OPERANDS[name])))
    came = decode_operation(type(operation), json.loads(dump_json(encode_operation(operation))))
    assert came == operation
    assert exactly(came) == exactly(operation)


def test_any_mapping_is_an_object_and_a_tuple_a_list() -> None:
    value = MappingProxyType({"a": (1, MappingProxyType({"b": None}))})
    encoded = encode_operation(PutValue(namespace="n", key="k", value=value))
    assert encoded == {"namespace": "n", "key": "k", "value": {"a": [1, {"b": None}]}}


def test_defaults_are_left_out() -> None:
    moment = datetime(2026, 1, 2, tzinfo=timezone.utc)
    item = MemoryItem(id="a", text="t", created_at=moment, updated_at=moment)
    assert encode_answer(GetItem, item) == {
        "id": "a",
        "text": "t",
        "created_at": "2026-01-02T00:00:00Z",
        "updated_at": "2026-01-02T00:00:00Z",
    }


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("get_item", {}, "Invalid operands of get_item: memory_id: Field required"),
        ("get_item", {"memory_id": 7}, "Invalid operands of get_item: memory_id"),
        ("get_item", {"memory_id": "a", "scope": "bob"}, "scope: Unexpected"),
        ("get_item", "a", "Invalid operands of get_item"),
        ("get_item", {"memory_id": " "}, "Invalid memory_id ' ': it must not be empty"),
        ("get_keyed", {"kind": "secret", "key": "k"}, "kind: Input should be"),
        ("append_messages", {"session_id": "s", "messages": [{"role": "robot"}]}, "messages.0.role"),
        ("add_items", {"drafts": "x"}, "Invalid operands of add_items: drafts"),
        ("search", {"query": "x", "limit": 0}, "Invalid limit 0: it must be a whole number from 1 to 10,000"),
    ],
)
def test_what_is_no_operation_is_refused(name: str, data: Any, message: str) -> None:
    kind: type[Operation[Any]] = OPERATIONS[name]
    with pytest.raises(InvalidInputError, match=message):
        decode_operation(kind, data)


def test_what_is_no_answer_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="Invalid answer of get_item: text: Field required"):
        decode_answer(GetItem, {"id": "a", "created_at": "2026-01-02T00:00:00Z", "updated_at": "2026-01-02"})
