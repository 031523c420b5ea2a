"""A fork beside a thread of memweld's own, which no program can know of: the child may use the file."""

from __future__ import annotations

import os
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

import memweld
from memweld.engine.fork import BackgroundThread
from memweld.testing import HashEmbedder

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def adds_in_child(memory: memweld.Memory, key: str) -> bool:
    """Whether a forked child can write."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork among threads
        child = os.fork()
    if not child:
        status = 1
        try:
            memory.state("n").set(key, 1)
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def test_children_beside_background_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memweld.engine.sqlite.pool._FORK_SECONDS", 30)
    with memweld.connect(f"sqlite:///{tmp_path / 'm.db'}", embedder=HashEmbedder()) as backend:
        ana, ended = backend.user("ana"), threading.Event()
        ana.history("h").append([{"role": "user", "content": f"message {number}"} for number in range(500)])

        def work() -> None:
            while not ended.is_set():
                ana.history("h").messages()
                backend.user("bob").state("n").set("k", 1)

        threads = [BackgroundThread(work, f"test-{number}") for number in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        assert [adds_in_child(ana, str(number)) for number in range(8)] == [True] * 8
        ended.set()
        for thread in threads:
            thread.join()
        assert len(list(ana.state("n"))) == 8


def test_a_fork_waits_for_a_background_thread_a_moment_only(tmp_path: Path) -> None:
    with memweld.connect(f"sqlite:///{tmp_path / 'm.db'}", embedder=HashEmbedder()) as backend:
        ana, reads, ends = backend.user("ana"), threading.Event(), threading.Event()
        engine: Any = backend._engine
        ana.add("tea")

        def read() -> None:
            with engine.database.reading_all() as connection:
                connection.execute("SELECT * FROM items").fetchall()
                reads.set()
                ends.wait(30)

        thread = BackgroundThread(read, "test")
        thread.start()
        assert reads.wait(10)
        started_at = time.monotonic()
        assert not adds_in_child(ana, "1"), "the file is in use"
        assert time.monotonic() - started_at < 10
        ends.set()
        thread.join()
        assert adds_in_child(ana, "2")
        for number in range(3):
            ana.state("n").set(f"after {number}", 1)
