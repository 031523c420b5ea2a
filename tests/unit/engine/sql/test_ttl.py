"""To begin a value's time anew while another thread changes the value, and what is left of expired facts."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from memweld import Memory, connect
from memweld.models import ValueEntry
from memweld.scope import Scope
from memweld.testing import HashEmbedder
from memweld.validation import utc_now


def read(memory: Memory) -> ValueEntry | None:
    return memory.values.read([("n", "k")], refresh=True)[0]


def find(memory: Memory) -> ValueEntry | None:
    return next(iter(memory.values.find("n", where={"at": "once"}, refresh=True)), None)


@pytest.mark.parametrize("ask", [read, find])
def test_a_refreshed_answer_is_of_one_moment(
    ask: Callable[[Memory], ValueEntry | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking and writing another sets a longer time, or deletes the value."""
    with connect(f"sqlite:///{tmp_path / 'memory.db'}") as backend:
        ana = backend.user("ana")
        state = ana.state("n")
        database = backend._engine._database  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
        writing = database.writing
        changes: list[Callable[[], object]] = []

        @contextlib.contextmanager
        def writing_after_another(scope: Scope) -> Iterator[Any]:
            if changes:
                other = threading.Thread(target=changes.pop())
                other.start()
                other.join(20)
            with writing(scope) as connection:
                yield connection

        monkeypatch.setattr(database, "writing", writing_after_another)
        state.set("k", {"at": "once"}, ttl=60)
        changes.append(lambda: state.set("k", {"at": "once", "new": 1}, ttl=3600))
        found = ask(ana)
        assert found is not None
        assert found.expires_at is not None
        assert (found.value, changes) == ({"at": "once", "new": 1}, [])
        assert found.expires_at > utc_now() + timedelta(minutes=59)
        (kept,) = ana.values.read([("n", "k")])
        assert kept == found
        changes.append(lambda: state.delete("k"))
        assert (ask(ana), changes, "k" in state) == (None, [], False)


def test_a_later_write_overwrites_an_expired_fact(tmp_path: Path) -> None:
    """Neither its text nor its earlier one stands in the file or in its log."""
    with connect(f"sqlite:///{tmp_path / 'memory.db'}", embedder=HashEmbedder()) as backend:
        ana = backend.user("ana")
        (item,) = ana.add("kilimanjaro is the word")
        ana.update(item.id, "popocatepetl is the word")
        ana.add("popocatepetl is the word", ttl=0.1)
        time.sleep(0.2)
        backend._engine.values.purging._looked = float("-inf")  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
        backend.user("bob").add("I love tea")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            held = b"".join(file.read_bytes() for file in tmp_path.iterdir())
            if b"kilimanjaro" not in held and b"popocatepetl" not in held:
                break
            time.sleep(0.1)
        assert b"I love tea" in held
        assert b"kilimanjaro" not in held
        assert b"popocatepetl" not in held
