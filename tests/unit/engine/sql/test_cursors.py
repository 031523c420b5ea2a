"""Page cursors and epochs: they hold in every process, open for one scope, and count nothing of other users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memweld import Backend, MemoryNotFoundError, Scope, connect
from memweld.engine.operations import Export, GetEpoch
from memweld.testing import HashEmbedder


def fill(backend: Backend, user: str, count: int = 9) -> None:
    backend.user(user).add([{"role": "user", "content": f"{user}'s fact {number}"} for number in range(count)])


def run(backend: Backend, user: str, operation: Any) -> Any:
    return backend._engine.run(Scope(user), operation)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'memory.db'}"


def test_pages_go_on_in_another_process_although_what_was_read_is_deleted(url: str) -> None:
    with connect(url, embedder=HashEmbedder()) as first:
        fill(first, "ana")
        page = first.user("ana").all(limit=4)
        exported = run(first, "ana", Export(limit=4)).next
        assert page.next is not None
        for item in page:
            first.user("ana").delete(item.id)
    with connect(url, embedder=HashEmbedder()) as second:
        following = second.user("ana").all(limit=100, cursor=page.next)
        assert [item.text for item in following] == [f"ana's fact {number}" for number in range(4, 9)]
        assert len(run(second, "ana", Export(limit=100, cursor=exported)).data.items) == 5
        with pytest.raises(MemoryNotFoundError):
            second.user("ana").all(cursor=page[-1].id)


def test_a_cursor_is_of_one_store_and_one_scope(url: str) -> None:
    with connect(url, embedder=HashEmbedder()) as backend, connect("sqlite://", embedder=HashEmbedder()) as other:
        for each in (backend, other):
            fill(each, "ana")
        cursor = backend.user("ana").all(limit=4).next
        assert cursor != other.user("ana").all(limit=4).next
        for memory in (other.user("ana"), backend.user("bob"), backend.user("ana", agent_id="chef")):
            with pytest.raises(MemoryNotFoundError):
                memory.all(cursor=cursor)
        exported = run(backend, "ana", Export(limit=4)).next
        with pytest.raises(MemoryNotFoundError):
            backend.user("ana").all(cursor=exported)


def test_epochs_do_not_number_the_users(url: str) -> None:
    with connect(url, embedder=HashEmbedder()) as backend:
        epochs = [run(backend, user, GetEpoch()) for user in ("ana", "bob", "carl")]
        assert min(abs(one - another) for one in epochs for another in epochs if one != another) > 1000
        assert run(backend, "ana", GetEpoch()) == epochs[0]
        backend.user("ana").erase()
        assert run(backend, "ana", GetEpoch()) != epochs[0]
