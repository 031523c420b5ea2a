"""The command line tidies a memory up, and takes that back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from memweld import Memory, connect
from memweld.cli import app


@pytest.fixture
def url(tmp_path: Path) -> str:
    place = f"sqlite:///{tmp_path / 'memory.db'}"
    with connect(place) as backend:
        for text in ("I like tea", "I do like tea!", "I keep bees"):
            backend.user("ana").add(text)
    return place


def run(*arguments: str, url: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--user", "ana", "--url", url], catch_exceptions=False)


def done(*arguments: str, url: str) -> str:
    result = run(*arguments, url=url)
    assert result.exit_code == 0, result.output
    return result.stdout


def texts(url: str) -> list[str]:
    with connect(url) as backend:
        return [item.text for item in backend.user("ana").all()]


def test_an_earlier_receipt_is_not_overwritten(url: str, tmp_path: Path) -> None:
    file, link = tmp_path / "tidy.json", tmp_path / "link.json"
    assert "with --receipt FILE it can be undone" in done("consolidate", url=url)
    done("consolidate", "--apply", "--receipt", str(file), url=url)
    earlier = file.read_text(encoding="utf-8")
    with connect(url) as backend:
        backend.user("ana").add("I keep bees!")
    link.symlink_to(tmp_path / "elsewhere.json")
    for taken in (file, link):
        result = run("consolidate", "--apply", "--receipt", str(taken), url=url)
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"The file {taken} exists" in result.stderr
        assert "Name a new one" in result.stderr
    assert file.read_text(encoding="utf-8") == earlier
    assert texts(url) == ["I do like tea!", "I keep bees", "I keep bees!"]
    done("undo", str(file), url=url)
    assert "I like tea" in texts(url)


def test_without_a_receipt_it_says_that_it_cannot_be_undone(url: str) -> None:
    assert "Without --receipt FILE it cannot be undone" in done("consolidate", "--apply", url=url)
    assert "undone" not in done("consolidate", "--apply", url=url)


def test_a_failed_consolidation_leaves_no_receipt(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Memory.consolidate

    def failing(memory: Memory, **options: Any) -> Any:
        if "plan" in options:
            raise OSError("disk full")
        return plan(memory, **options)

    monkeypatch.setattr(Memory, "consolidate", failing)
    file = tmp_path / "tidy.json"
    with pytest.raises(OSError, match="disk full"):
        run("consolidate", "--apply", "--receipt", str(file), url=url)
    assert not file.exists()


def test_a_receipt_of_another_process_stays(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It appears after the look for a file of the name, while this process plans."""
    plan = Memory.consolidate
    file = tmp_path / "tidy.json"

    def planning(memory: Memory, **options: Any) -> Any:
        if "plan" not in options:
            file.write_text("theirs", encoding="utf-8")
        return plan(memory, **options)

    monkeypatch.setattr(Memory, "consolidate", planning)
    before = texts(url)
    result = run("consolidate", "--apply", "--receipt", str(file), url=url)
    assert result.exit_code == 1
    assert "File exists" in result.stderr
    assert (file.read_text(encoding="utf-8"), texts(url)) == ("theirs", before)


def test_the_answer_for_programs_is_a_receipt(url: str, tmp_path: Path) -> None:
    before = texts(url)
    file = tmp_path / "tidy.json"
    file.write_text(done("consolidate", "--apply", "--json", url=url), encoding="utf-8")
    assert len(texts(url)) == 2
    done("undo", str(file), url=url)
    assert texts(url) == before
    assert json.loads(done("undo", str(file), "--json", url=url))["skipped"]
