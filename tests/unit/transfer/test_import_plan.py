"""Plans of imports: what happens where the backend fails on the way, and what the parts of a plan are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from memweld import Backend, BackendUnavailableError, connect
from memweld.engine.operations import Operation, ReadMessages, Restore
from memweld.engine.protocol import Engine
from memweld.scope import Scope
from memweld.testing import HashEmbedder
from memweld.transfer import read_langchain, read_mem0
from memweld.transfer.copier import engine_of


class Failing:
    """An engine that is gone after some calls."""

    def __init__(self, engine: Engine, calls: int) -> None:
        self._engine = engine
        self.left = calls

    def run(self, scope: Scope, operation: Operation[Any]) -> Any:
        if isinstance(operation, Restore):
            if not self.left:
                raise BackendUnavailableError("The server is gone.")
            self.left -= 1
        return self._engine.run(scope, operation)

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)


@pytest.fixture
def backend() -> Iterator[Backend]:
    with connect("sqlite://", embedder=HashEmbedder()) as backend:
        yield backend


def rows(count: int, **fields: object) -> list[dict[str, object]]:
    at = "2025-03-01T09:00:00+00:00"
    return [
        {"id": f"id-{n}", "memory": f"fact {n}", "created_at": at, "user_id": "ana", **fields} for n in range(count)
    ]


def test_what_was_stored_until_then_is_said_and_again_is_safe(backend: Backend) -> None:
    plan = read_mem0(rows(500), scope=Scope("ana"))
    failing = Backend(Failing(engine_of(backend), 2), url="sqlite://")  # pyright: ignore[reportArgumentType]
    with pytest.raises(BackendUnavailableError, match=r"For user ana: The server is gone\. .*400 items\. Run it again"):
        plan.store(failing)
    assert plan.store(backend) == {"items": 100, "values": 0, "messages": 0}
    assert [item.id for item in backend.user("ana").all(limit=1_000)] == [f"id-{number}" for number in range(500)]


def test_a_long_session_goes_on_where_it_was(backend: Backend) -> None:
    dump = [{"type": "human", "data": {"content": f"message {number}"}} for number in range(500)]
    plan = read_langchain(dump, scope=Scope("ana"), session_id="s")
    with pytest.raises(BackendUnavailableError, match="200 messages"):
        plan.store(Backend(Failing(engine_of(backend), 1), url="sqlite://"))  # pyright: ignore[reportArgumentType]
    assert plan.store(backend)["messages"] == 300
    said = backend.user("ana").history("s").messages()
    assert [message.text for message in said] == [f"message {number}" for number in range(500)]
    assert len({message.id for message in said}) == 500


def test_a_session_that_is_cleared_while_it_is_read(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    dump = [{"type": "human", "data": {"content": f"message {number}"}} for number in range(500)]
    plan = read_langchain(dump, scope=Scope("ana"), session_id="s")
    plan.store(backend)
    engine, pages = engine_of(backend), list[Operation[Any]]()
    plain = engine.run

    def run(scope: Scope, operation: Operation[Any]) -> Any:
        answer = plain(scope, operation)
        if isinstance(operation, ReadMessages):
            pages.append(operation)
            if len(pages) == 1:
                backend.user("ana").history("s").clear()
        return answer

    monkeypatch.setattr(engine, "run", run)
    assert plan.store(backend) == {"items": 0, "values": 0, "messages": 500}


def test_equal_texts_and_changed_rows(backend: Backend) -> None:
    first = read_mem0([*rows(1), *rows(1, id="other")], scope=None)
    assert first.counts == {"items": 2}
    assert first.store(backend)["items"] == 1
    later = rows(1, memory="fact, corrected", updated_at="2025-04-01T09:00:00+00:00")
    assert read_mem0(later, scope=None).store(backend)["items"] == 1
    assert [item.text for item in backend.user("ana").all()] == ["fact, corrected"]


def test_an_id_of_another_user_is_free(backend: Backend) -> None:
    read_mem0(rows(1), scope=None).store(backend)
    read_mem0(rows(1, user_id="bob", memory="bob's fact"), scope=None).store(backend)
    assert [item.text for item in backend.user("ana").all()] == ["fact 0"]
    (bobs,) = backend.user("bob").all()
    assert (bobs.text, bobs.id) == ("bob's fact", "id-0")
    assert not any(read_mem0(rows(1, user_id="bob", memory="bob's fact"), scope=None).store(backend).values())


def test_imported_homes_supersede_each_other_in_the_order_of_their_times(backend: Backend) -> None:
    homes = {"Lisbon": "2024-05-01", "Porto": "2020-01-01", "Faro": "2022-03-01"}
    said = [
        {"id": city, "memory": f"User lives in {city}", "user_id": "ana", "created_at": f"{date}T00:00:00+00:00"}
        for city, date in homes.items()
    ]
    ana = backend.user("ana")
    for _ in range(2):
        read_mem0(said, scope=None).store(backend)
        assert [item.text for item in ana.all()] == ["User lives in Lisbon"]
        past = [[item.text for item in ana.all(as_of=f"{year}-06-01")] for year in (2019, 2021, 2023)]
        assert past == [[], ["User lives in Porto"], ["User lives in Faro"]]
    ana.add("I moved to Braga")
    assert [item.text for item in ana.all()] == ["I moved to Braga"]
