"""To begin a value's time anew, while another thread changes the value."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from memweld import Memory, connect
from memweld.models import ValueEntry
from memweld.scope import Scope
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
