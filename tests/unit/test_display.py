"""Results as people see them: text in a console, tables in a notebook; to programs lists stay lists."""

from __future__ import annotations

import copy
import json
import pickle
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import TypeAdapter

import memweld
from memweld import Hit, Memory
from memweld.display import ResultList, html_text
from memweld.models import Page
from memweld.testing import HashEmbedder

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\u202e\x1b[31m"


@pytest.fixture
def ana() -> Iterator[Memory]:
    with memweld.connect("sqlite://", embedder=HashEmbedder()) as backend:
        yield backend.user("ana")


def html(value: Any) -> str:
    written = value._repr_html_()
    assert written is not None
    return written


def fill(memory: Memory, text: str) -> None:
    memory.add(text, session_id="s1", metadata={text: text})
    memory.preferences.set(text, text)
    memory.tasks.record(text, outcome=text)
    memory.state(text)[text] = text
    memory.history("s1").append({"role": "user", "content": text, "name": text})


def shown(memory: Memory, text: str) -> Iterator[Any]:
    """Everything that has a table; at the end the receipt of its erasure."""
    hits = memory.search(f"alert {text}", explain=True)
    rooms = [memory.preferences, memory.tasks, memory.state(text), memory.history("s1")]
    lists = [hits, memory.all(), memory.sessions(), memory.history("s1").messages(), memory.tasks.context(text)]
    entries = memory.values.find()
    yield from (*rooms, *lists, *(each[0] for each in lists), hits[0].explanation, *entries)
    yield memory.erase()


def test_hostile_texts_do_nothing(ana: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither in a page nor in a terminal, wherever they are."""
    text = HOSTILE.replace("\x1b", "")
    fill(ana, text)
    ana.show()
    printed = capsys.readouterr().out
    assert "alert(1)" in printed
    assert "\u202e" not in printed
    for value in shown(ana, text):
        written = html(value)
        assert "<script" not in written
        assert "<img" not in written
        assert "\u202e" not in written + repr(value)


def test_tables_say_what_there_is(ana: Memory) -> None:
    fill(ana, "peanuts & shellfish")
    for value in shown(ana, "peanuts & shellfish"):
        assert any(said in html(value) for said in ("peanuts", "s1", "erased_at"))
        assert "peanuts & s" not in html(value)


def test_results_stay_lists(ana: Memory) -> None:
    ana.add("I am allergic to peanuts")
    ana.add("I love Python")
    for results in (ana.search("peanuts"), ana.all(), ana.add("I love tea"), ana.sessions()):
        assert isinstance(results, list)
        assert results == list(results)
        assert pickle.loads(pickle.dumps(results)) == copy.deepcopy(results) == results
    hits = ana.search("peanuts")
    assert TypeAdapter(list[Hit]).validate_python(hits) == hits
    assert json.loads(json.dumps(ResultList([1, 2]))) == [1, 2]
    assert isinstance(hits[0], Hit)
    assert type(hits[:1]) is type(Page(hits)[:1]) is ResultList
    assert hits[:1] + hits[1:] == hits


def test_a_console_shows_a_result_a_line(ana: Memory) -> None:
    ana.add("I am allergic to peanuts")
    ana.add("I love Python")
    lines = repr(ana.all()).split("\n")
    assert [line.strip("[ ").startswith("MemoryItem(id=") for line in lines] == [True, True]
    assert repr(ResultList([])) == "[]"


def test_long_results_are_cut(ana: Memory) -> None:
    for number in range(60):
        ana.add(f"{number} {'word ' * 500}")
    written = html(ana.all())
    assert len(written) < 50_000
    assert "and 10 more" in written
    assert len(html_text("x" * 10_000_000)) < 1_000


class Silent:
    """An engine that answers nothing."""

    def run(self, *_: Any) -> Any:
        raise memweld.BackendUnavailableError("postgresql://ana:secret@db is down")


def test_no_repr_raises(ana: Memory, caplog: pytest.LogCaptureFixture) -> None:
    """Where the store does not answer, or a value is strange, a notebook shows the plain repr."""
    caplog.set_level("DEBUG", "memweld")
    silent = Memory(Silent(), ana.scope, url="postgresql://ana:secret@db")  # pyright: ignore[reportArgumentType]
    for room in (silent.preferences, silent.tasks, silent.state("app"), silent.history("s1")):
        assert room._repr_html_() is None
        assert "of user ana" in repr(room)
    assert "secret" not in caplog.text + repr(silent)
    circle: dict[str, Any] = {}
    circle["self"] = circle
    assert html_text(circle) == html_text(repr(circle))


def test_show_prints_an_overview(ana: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    ana.show()
    assert capsys.readouterr().out == "Memory of user ana: empty\n"
    fill(ana, "peanuts")
    ana.add("I love\nPython")
    ana.show()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Memory of user ana: 2 items, 1 preference, 1 task, 1 value, 1 session, 1 message"
    assert [line[20:] for line in lines[3:5]] == ["I love Python", "peanuts"]
    assert lines[7] == "  peanuts  peanuts"
    assert lines[10].endswith("  s1 (messages: 1)")


async def test_show_in_async_code(ana: Memory, capsys: pytest.CaptureFixture[str]) -> None:
    await ana.aio.show()
    assert capsys.readouterr().out == "Memory of user ana: empty\n"


def test_show_gives_a_notebook_its_table(ana: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    displayed: list[Any] = []
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=True)))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=displayed.append))
    fill(ana, "<b>peanuts</b>")
    ana.show()
    assert "&lt;b&gt;peanuts" in html(displayed[0])
    assert "<b>peanuts" not in html(displayed[0])


def test_an_agent_shows_its_own_preferences() -> None:
    with memweld.connect("sqlite://", embedder=HashEmbedder()) as backend:
        ana, helper = backend.user("ana"), backend.user("ana", agent_id="helper")
        ana.preferences.set("theme", "dark")
        helper.preferences.set("tone", "short")
        assert "theme" in html(ana.preferences)
        assert "tone" not in html(ana.preferences)
