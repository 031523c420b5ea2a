"""What goes over the wire comes back equal, whatever it holds."""

import json
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memweld.engine.codec import PRIMITIVES, decode_answer, decode_arguments, encode_answer, encode_arguments
from memweld.engine.protocol import (
    Engine,
    ExportData,
    ExportedSession,
    ExportedValue,
    ExportPage,
    ItemDraft,
    KeyedDraft,
    StoredValue,
)
from memweld.errors import InvalidInputError
from memweld.models import (
    ChatMessage,
    EraseReceipt,
    Hit,
    MemoryItem,
    Related,
    Session,
    ToolCall,
    ValueEntry,
    ValueWrite,
)
from memweld.validation import dump_json

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
optional = st.none() | texts
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
kept = st.builds(
    ExportData,
    items=st.lists(items, max_size=2).map(tuple),
    values=st.lists(kept_values, max_size=2).map(tuple),
    sessions=st.lists(kept_sessions, max_size=2).map(tuple),
)
pages = st.builds(ExportPage, kept, optional)
ANSWERS: dict[str, st.SearchStrategy[Any]] = {
    "add_items": st.lists(items, max_size=3),
    "get_epoch": counts,
    "put_keyed": items,
    "get_keyed": st.none() | items,
    "search_items": st.lists(hits, max_size=3),
    "get_item": items,
    "list_items": st.lists(items, max_size=3),
    "update_item": items,
    "delete_item": st.none(),
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
    "sweep_values": counts,
    "append_messages": st.none(),
    "read_messages": st.lists(messages, max_size=3),
    "clear_messages": counts,
    "list_sessions": st.lists(sessions, max_size=3),
    "export": objects,
    "export_page": pages,
    "restore": st.dictionaries(texts, counts, max_size=3),
    "erase": receipts,
}
seconds = st.none() | st.floats(0, 1e9)
writes = st.builds(
    ValueWrite, namespace=texts, key=texts, value=values, delete=st.booleans(), text=optional, ttl=seconds
)
drafts = st.builds(ItemDraft, text=texts, role=texts, name=optional)
keyed = st.builds(KeyedDraft, kind=st.sampled_from(["preference", "task"]), key=texts, text=texts, metadata=objects)
kinds = st.none() | st.lists(st.sampled_from(["item", "preference", "task"]), min_size=1)
ARGUMENTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "add_items": st.fixed_dictionaries(
        {
            "drafts": st.lists(drafts, max_size=3),
            "infer": st.booleans(),
            "metadata": objects,
            "session_id": optional,
            "created_at": st.none() | times,
            "epoch": st.none() | counts,
        }
    ),
    "put_keyed": st.fixed_dictionaries({"draft": keyed}),
    "search_items": st.fixed_dictionaries(
        {"query": texts, "limit": counts, "kinds": kinds, "filters": objects, "half_life": seconds}
    ),
    "related_items": st.fixed_dictionaries({"about": texts, "limit": counts}),
    "settle_graph": st.fixed_dictionaries({"timeout": st.none() | st.floats(0, 60)}),
    "list_items": st.fixed_dictionaries({"limit": counts, "after": optional, "kinds": kinds, "filters": objects}),
    "update_item": st.fixed_dictionaries({"memory_id": texts, "text": texts, "metadata": st.none() | objects}),
    "put_value": st.fixed_dictionaries(
        {
            "namespace": texts,
            "key": texts,
            "value": values,
            "if_version": st.none() | counts,
            "text": optional,
            "ttl": seconds,
        }
    ),
    "write_values": st.fixed_dictionaries({"writes": st.lists(writes, max_size=3)}),
    "read_values": st.fixed_dictionaries(
        {"wanted": st.lists(st.tuples(texts, texts), max_size=3), "refresh": st.booleans()}
    ),
    "find_values": st.fixed_dictionaries(
        {"under": texts, "where": st.none() | objects, "offset": counts, "limit": st.none() | counts}
        | {"refresh": st.booleans()}
    ),
    "append_messages": st.fixed_dictionaries({"session_id": texts, "messages": st.lists(messages, max_size=3)}),
    "export_page": st.fixed_dictionaries({"after": optional, "limit": counts}),
    "restore": st.fixed_dictionaries({"kept": kept}),
    "read_messages": st.fixed_dictionaries({"session_id": texts, "limit": st.none() | counts, "before": optional}),
}


def test_every_primitive_is_known() -> None:
    others = {"has_graph", "can_extract", "list_scopes", "close"}
    assert set(PRIMITIVES) == {name for name in vars(Engine) if not name.startswith("_")} - others
    assert set(ANSWERS) == set(PRIMITIVES)


def exactly(value: Any) -> str:
    """Equal reprs tell 1 from 1.0 and True, and a Hit from a MemoryItem; times are compared as such."""
    return repr(value).replace("TzInfo(0)", "datetime.timezone.utc")


@pytest.mark.parametrize("name", sorted(ANSWERS))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_answers_come_back_equal(name: str, data: st.DataObject) -> None:
    answer = data.draw(ANSWERS[name])
    came = decode_answer(name, json.loads(dump_json(encode_answer(name, answer))))
    assert came == answer
    assert exactly(came) == exactly(answer)


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_arguments_come_back_equal(name: str, data: st.DataObject) -> None:
    arguments = data.draw(ARGUMENTS[name])
    came = decode_arguments(name, json.loads(dump_json(encode_arguments(name, arguments))))
    assert came == arguments
    assert [exactly(came[key]) for key in arguments] == [exactly(arguments[key]) for key in arguments]


def test_any_mapping_is_an_object_and_a_tuple_a_list() -> None:
    value = MappingProxyType({"a": (1, MappingProxyType({"b": None}))})
    encoded = encode_arguments("put_value", {"namespace": "n", "key": "k", "value": value, "if_version": None})
    assert encoded == {"namespace": "n", "key": "k", "value": {"a": [1, {"b": None}]}}


def test_defaults_are_left_out() -> None:
    said = datetime(2026, 1, 2, tzinfo=timezone.utc)
    item = MemoryItem(id="a", text="t", created_at=said, updated_at=said)
    assert encode_answer("get_item", item) == {
        "id": "a",
        "text": "t",
        "created_at": "2026-01-02T00:00:00Z",
        "updated_at": "2026-01-02T00:00:00Z",
    }


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("get_item", {}),
        ("get_item", {"memory_id": 7}),
        ("get_item", {"memory_id": "a", "scope": "bob"}),
        ("get_item", "a"),
        ("get_keyed", {"kind": "secret", "key": "k"}),
        ("append_messages", {"session_id": "s", "messages": [{"role": "robot"}]}),
        ("add_items", {"drafts": "x", "infer": False, "metadata": {}, "session_id": None, "created_at": None}),
    ],
)
def test_what_is_no_call_is_refused(name: str, data: Any) -> None:
    with pytest.raises(InvalidInputError, match=f"Invalid arguments of {name}"):
        decode_arguments(name, data)


def test_what_is_no_answer_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="Invalid answer of get_item: text: Field required"):
        decode_answer("get_item", {"id": "a", "created_at": "2026-01-02T00:00:00Z", "updated_at": "2026-01-02"})
