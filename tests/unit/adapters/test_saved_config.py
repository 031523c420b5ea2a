"""The saved configuration of a memory: its place and user, and no secret; which of them may be opened."""

from __future__ import annotations

from pathlib import Path

import pytest

import memweld
from memweld import Backend, ConfigurationError, Memory
from memweld.adapters.saved_config import SavedMemory, loading_with
from memweld.testing import HashEmbedder


@pytest.fixture(autouse=True)
def no_setting_names_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEMWELD_URL", raising=False)


@pytest.mark.parametrize(
    "url",
    [
        "stdio:memweld serve --url postgresql://u:s3cret@db/app",
        "stdio:env TOKEN=s3cret memweld serve",
        "https://gateway.example/mcp?api_key=s3cret",
        "https://me:s3cret@gateway.example/mcp",
        "postgresql://app:s3cret@db/m?rls=1&password=s3cret",
    ],
)
def test_no_secret_is_shown_or_saved(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with memweld.connect(url) as backend:
        ana = backend.user("ana")
        saved = SavedMemory.of(ana, in_process=False)
        shown = f"{backend!r} {ana!r} {ana.preferences!r} {ana.tasks!r} {saved.model_dump_json()} {backend._engine!r}"
        assert "s3cret" not in shown
        monkeypatch.setenv("MEMWELD_URL", url)
        assert isinstance(saved.load(), Memory)


@pytest.mark.parametrize("url", ["stdio:touch started", "http://127.0.0.1:9/mcp", "postgresql://db/m"])
def test_what_was_saved_does_not_choose_a_server_or_command(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="opened only if MEMWELD_URL names it"):
        SavedMemory(url=url, user_id="ana").load()
    assert not (tmp_path / "started").exists()
    monkeypatch.setenv("MEMWELD_URL", f"sqlite:///{tmp_path / 'named.db'}")
    assert SavedMemory(url=f"sqlite:///{tmp_path / 'named.db'}", user_id="ana").load() is not None


def test_a_file_is_opened_once(tmp_path: Path) -> None:
    saved = SavedMemory(url=f"sqlite:///{tmp_path / 'm.db'}")
    assert saved.load() is saved.load()


def test_a_backend_that_was_closed_is_opened_again(tmp_path: Path) -> None:
    saved = SavedMemory(url=f"sqlite:///{tmp_path / 'm.db'}", user_id="ana")
    first = saved.load()
    assert isinstance(first, Memory)
    first.state("n")["k"] = 1
    opened = SavedMemory(url=saved.url).load()
    assert isinstance(opened, Backend)
    opened.close()
    assert (opened.closed, first.closed) == (True, True)
    again = saved.load()
    assert isinstance(again, Memory)
    assert (again.state("n")["k"], again.closed) == (1, False)
    with memweld.connect(saved.url, embedder=HashEmbedder()) as mine:
        named = SavedMemory.of(mine.user("ana"))
        assert named.load() == mine.user("ana")
    assert named.load() == saved.load()


def test_a_memory_in_ram_is_found_by_its_own_process_alone() -> None:
    with memweld.connect("sqlite://", embedder=HashEmbedder()) as ram:
        ram.user("bob").add("I keep bees")
        found = SavedMemory.of(ram.user("bob")).load()
        assert isinstance(found, Memory)
        assert [item.text for item in found.all()] == ["I keep bees"]
        elsewhere = SavedMemory.of(ram.user("ana"), in_process=False)
    with pytest.raises(ConfigurationError, match="loading_with"):
        elsewhere.load()
    with memweld.connect("sqlite://", embedder=HashEmbedder()) as other, loading_with(other):
        assert elsewhere.load() == other.user("ana")
