"""The import of old sessions: exact, repeatable, and safe to interrupt."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from memweld import Memory, connect
from memweld.langchain import MemweldChatMessageHistory
from memweld.testing import HashEmbedder

PATH = Path(__file__).parents[2] / "examples" / "migrate_from_langchain.py"
Import = Callable[..., int]

OLD = [
    HumanMessage("Do you agree?"),
    HumanMessage("yes"),
    AIMessage("Good.", id="run-1", tool_calls=[{"name": "note", "args": {"n": 1}, "id": "c1"}]),
    ToolMessage("noted", tool_call_id="c1", artifact={"n": 1}),
    HumanMessage("yes"),
]


@pytest.fixture(scope="module")
def import_session() -> Import:
    spec = importlib.util.spec_from_file_location("migrate_from_langchain", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        # It silences the old classes' warnings for its process, and this one is not its own.
        patch.setattr("warnings.filters", [("ignore", None, DeprecationWarning, None, 0)])
        spec.loader.exec_module(module)
    return module.import_session


@pytest.fixture
def ana(tmp_path: Path) -> Iterator[Memory]:
    with connect(f"sqlite:///{tmp_path / 'memory.db'}", embedder=HashEmbedder()) as backend:
        yield backend.user("ana")


def kept(memory: Memory) -> list[BaseMessage]:
    return MemweldChatMessageHistory(memory, "s").messages


def test_every_message_is_imported_as_it_was(ana: Memory, import_session: Import) -> None:
    assert import_session(ana, "s", OLD) == 5
    without_ids = [message.model_copy(update={"id": old.id}) for message, old in zip(kept(ana), OLD, strict=True)]
    assert without_ids == OLD
    assert kept(ana)[2].id == "run-1"
    assert [item.text for item in ana.all()] == ["yes"]


def test_what_came_since_is_imported_later(ana: Memory, import_session: Import) -> None:
    assert import_session(ana, "s", OLD[:3]) == 3
    assert import_session(ana, "s", OLD) == 2
    MemweldChatMessageHistory(ana, "s").add_user_message("said to the new program")
    assert import_session(ana, "s", OLD) == 0
    assert [message.text for message in kept(ana)][3:] == ["noted", "yes", "said to the new program"]


def test_an_interruption_loses_and_doubles_nothing(
    ana: Memory, import_session: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(MemweldChatMessageHistory, "add_messages", _fail)
        with pytest.raises(ConnectionError):
            import_session(ana, "s", OLD)
    assert import_session(ana, "s", OLD) == 5
    assert [message.text for message in kept(ana)] == [message.text for message in OLD]
    assert [item.text for item in ana.all()] == ["yes"]


def _fail(*_: Any) -> None:
    raise ConnectionError


def test_facts_have_the_time_at_which_they_were_said(ana: Memory, import_session: Import) -> None:
    times = {"yes": "2025-06-01T09:00:00Z"}
    import_session(ana, "s", OLD, said_at=lambda message: times[message.text])
    (item,) = ana.all()
    assert (item.created_at.year, item.created_at.month, item.session_id) == (2025, 6, "s")
