"""Counts of recalls: where they wait, and who writes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import memweld
from memweld import Memory
from memweld.engine.read_only import ReadOnlyEngine
from memweld.memory import recall_counts
from memweld.memory.capture_queue import capture_queue_of
from memweld.memory.memory import over_engine
from memweld.testing import HashEmbedder

EARLY = "2020-01-01T00:00:00Z"


def open_memory(place: Path) -> memweld.Backend:
    return memweld.connect(f"sqlite:///{place / 'memory.db'}", embedder=HashEmbedder())


def keep_animals(memory: Memory) -> None:
    for animal in ("bees", "cats", "dogs"):
        memory.add(f"I keep {animal}", created_at=EARLY)


def recalled(memory: Memory) -> list[str]:
    return [line.item.text for section in memory.profile().sections for line in section.lines]


def test_a_backend_that_closes_writes_the_counts(tmp_path: Path) -> None:
    with open_memory(tmp_path) as backend:
        ana = backend.user("ana")
        ana.add("I keep bees", created_at=EARLY)
        for _ in range(2):
            assert ana.recall("bees")
    with open_memory(tmp_path) as backend:
        assert recalled(backend.user("ana")) == ["I keep bees"]
    backend.close()  # a second time


def test_many_counts_are_written_without_a_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall_counts, "_MANY", 3)
    with open_memory(tmp_path) as backend, open_memory(tmp_path) as other:
        ana = backend.user("ana")
        keep_animals(ana)
        for _ in range(2):
            ana.recall("I keep bees, cats and dogs", limit=3)
            # Waits for work that was begun, and begins none.
            assert capture_queue_of(backend._engine).flush(60)
        assert sorted(recalled(other.user("ana"))) == ["I keep bees", "I keep cats", "I keep dogs"]


def test_no_more_wait_than_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall_counts, "_MOST", 2)
    with open_memory(tmp_path) as backend:
        ana = backend.user("ana")
        keep_animals(ana)
        for _ in range(2):
            ana.recall("I keep bees, cats and dogs", limit=3)
        assert len(recalled(ana)) == 2
        for _ in range(2):
            ana.recall("dogs", limit=1)
        assert "I keep dogs" in recalled(ana), "there is room again"


def test_who_only_reads_counts_nothing(tmp_path: Path) -> None:
    with open_memory(tmp_path) as backend:
        ana = backend.user("ana")
        ana.add("I keep bees", created_at=EARLY)
        reader = over_engine(ana, ReadOnlyEngine(ana._engine, "This handle may only read."))
        for _ in range(3):
            assert reader.recall("bees")
        assert reader.profile() == ana.profile() == ""


def test_a_store_that_fails_loses_counts_alone(tmp_path: Path) -> None:
    backend = open_memory(tmp_path)
    ana = backend.user("ana")
    ana.add("I keep bees", created_at=EARLY)
    ana.recall("bees")
    backend._engine.close()
    recall_counts.write_recalls(backend._engine, ana.scope)
    backend.close()
    with open_memory(tmp_path) as again:
        assert recalled(again.user("ana")) == []
        assert [item.text for item in again.user("ana").all()] == ["I keep bees"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_counts_nothing_of_its_parent(tmp_path: Path) -> None:
    with open_memory(tmp_path) as backend:
        ana = backend.user("ana")
        ana.add("I keep bees", created_at=EARLY)
        ana.recall("bees")
        child = os.fork()
        if child == 0:
            os._exit(len(recall_counts._waiting_of(backend._engine).scopes()))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert recalled(ana) == []
        ana.recall("bees")
        assert recalled(ana) == ["I keep bees"]
