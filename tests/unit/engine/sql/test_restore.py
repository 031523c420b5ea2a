"""A restoration in batches: others write between them, and an erasure ends it."""

from __future__ import annotations

from typing import Any

import pytest

import memweld
from memweld import Backend
from memweld.engine.operations import Erase
from memweld.engine.sql import restore
from memweld.testing import HashEmbedder


def export_of(count: int) -> dict[str, Any]:
    with memweld.connect("sqlite://", embedder=HashEmbedder()) as backend:
        ana = backend.user("ana")
        ana.add([{"role": "user", "content": f"fact {number}"} for number in range(count)], infer=False)
        return ana.export()


@pytest.fixture
def backend() -> Any:
    with memweld.connect("sqlite://", embedder=HashEmbedder()) as backend:
        yield backend


def between_batches(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    plain = restore.batches  # pyright: ignore[reportPrivateImportUsage]

    def batches(data: Any, *, rows: int) -> Any:
        for number, batch in enumerate(plain(data, rows=rows)):
            if number:
                act()
            yield batch

    monkeypatch.setattr(restore, "batches", batches)


def test_others_write_between_batches(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    exported, bob = export_of(450), backend.user("bob").state("n")
    between_batches(monkeypatch, lambda: bob.modify("count", lambda count: count + 1, default=0))
    assert backend.user("ana").restore(exported)["items"] == 450
    assert bob["count"] == 2


def test_an_erasure_ends_it(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    exported, ana = export_of(450), backend.user("ana")
    ana.add("before")
    between_batches(monkeypatch, lambda: backend._engine.run(ana.scope, Erase()))  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(memweld.BackendUnavailableError, match="was erased while it was restored"):
        ana.restore(exported)
    assert ana.all() == []
    assert backend.admin.list_scopes(after=None, limit=9) == []
