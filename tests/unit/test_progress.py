"""Progress of long work: a bar where a person watches, nothing elsewhere, and numbers for callers."""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr
from pathlib import Path

import pytest

import memweld
from memweld import progress
from memweld.progress import progress_bar
from memweld.testing import HashEmbedder
from memweld.transfer import copy


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal, and work that is long enough for a bar."""
    monkeypatch.setattr(progress, "_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return Terminal()


def work(title: str = "Working") -> None:
    with progress_bar(title) as report:
        for done in range(1, 4):
            report(done, 3)


def test_a_terminal_shows_a_bar(terminal: Terminal) -> None:
    with redirect_stderr(terminal):
        work("Copying [bold]user[/bold]")
    assert "Copying [bold]user[/bold]" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()


def test_short_work_shows_none(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SECONDS", 60.0)
    with redirect_stderr(terminal):
        work()
    assert terminal.getvalue() == ""


def test_pipes_show_none(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    for stream in (io.StringIO(), None):
        with redirect_stderr(stream):
            work()
        assert stream is None or stream.getvalue() == ""
    assert capsys.readouterr().out == terminal.getvalue() == ""


def test_other_threads_show_none(terminal: Terminal) -> None:
    """So do servers and async code, which work in them."""
    with redirect_stderr(terminal), ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()
    assert terminal.getvalue() == ""


def test_a_running_loop_shows_none(terminal: Terminal) -> None:
    """An async server calls from its main thread."""

    async def serve() -> None:
        work()

    with redirect_stderr(terminal):
        asyncio.run(serve())
        assert terminal.getvalue() == ""
        work()
    assert "Working" in terminal.getvalue()


def test_an_error_ends_the_bar(terminal: Terminal) -> None:
    def fail() -> None:
        with progress_bar("Working") as report:
            report(1, 3)
            raise KeyError

    with redirect_stderr(terminal):
        with pytest.raises(KeyError):
            fail()
        before = terminal.getvalue()
        work("Again")
    assert "1/3" in before
    assert "Again" in terminal.getvalue()


class CountingEmbedder(HashEmbedder):
    """Knows how many texts each call had."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.calls.append(len(texts))
        return super().embed_documents(texts)


def test_add_of_many_embeds_in_batches_and_shows_how_far_it_is(terminal: Terminal) -> None:
    embedder = CountingEmbedder()
    with redirect_stderr(terminal), memweld.connect("sqlite://", embedder=embedder) as backend:
        ana = backend.user("ana")
        ana.add([{"role": "user", "content": f"fact {number}"} for number in range(1_100)])
        assert ana.counts()["items"] == 1_100
    assert max(embedder.calls) == 512
    assert "Embedding" in terminal.getvalue()
    assert "1100/1100" in terminal.getvalue()


def test_copy_and_reindex_show_bars_or_call_back(terminal: Terminal, tmp_path: Path) -> None:
    old = memweld.connect(tmp_path / "old.db", embedder=HashEmbedder())
    new = memweld.connect(tmp_path / "new.db", embedder=HashEmbedder())
    with redirect_stderr(terminal), old, new:
        old.user("ana").add([{"role": "user", "content": f"fact {number}"} for number in range(30)])
        seen: list[int] = []
        list(copy(old, new, user_id="ana", progress=lambda report: seen.append(sum(report.source.counts.values()))))
        assert terminal.getvalue() == ""
        assert seen == [30]
        (report,) = copy(old, new, user_id="ana")
        assert "Copying user ana" in terminal.getvalue()
    assert repr(report).startswith("Copied(scope='user ana', source={'items': 30, ")
    assert repr(report).endswith("equal=True)")
    assert "<b>equal</b>" in (report._repr_html_() or "")
    changed = memweld.connect(tmp_path / "new.db", embedder=HashEmbedder(dimensions=16))
    with redirect_stderr(terminal), changed:
        assert changed.admin.reindex() == 30
    assert "Embedding again" in terminal.getvalue()
    assert "30/30" in terminal.getvalue()
