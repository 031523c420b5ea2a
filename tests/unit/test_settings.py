"""Settings: an error names the variable, and repeats no value that may be a key."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from memweld import ConfigurationError, connect
from memweld.settings import load_settings
from memweld.testing import HashEmbedder


@pytest.mark.parametrize("name", ["LLM", "EMBEDDER", "MEM0"])
@pytest.mark.parametrize("value", ['{"provider": "openai", "config": {"api_key": "sk-SECRET"}', '["sk-SECRET"]'])
def test_a_wrong_value_is_not_repeated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str) -> None:
    monkeypatch.setenv(f"MEMWELD_{name}", value)
    with pytest.raises(ConfigurationError) as caught, connect(tmp_path / "m.db") as backend:
        backend.user("ana").add("x")
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


def test_a_number_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMWELD_CACHE_MB", "-7")
    with pytest.raises(ConfigurationError, match="MEMWELD_CACHE_MB is '-7'"):
        connect("sqlite://")


def test_an_empty_user_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMWELD_USER_ID", "")
    assert load_settings().user_id is None


def test_a_path_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (Path("relative.db"), tmp_path / "absolute #%20.db"):
        with connect(path, embedder=HashEmbedder()) as backend:
            backend.user("ana").add("I love Python")
        assert path.exists()
        with connect(path, embedder=HashEmbedder()) as backend:
            assert len(backend.user("ana").all()) == 1
