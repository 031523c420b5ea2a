"""Memory that changes, on the command line: facts with a time, corrections, preferences."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from memweld import Memory, MemoryItem, connect
from memweld.cli import app


@pytest.fixture(autouse=True)
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    place = f"sqlite:///{tmp_path / 'memory.db'}"
    monkeypatch.setenv("MEMWELD_URL", place)
    monkeypatch.setenv("MEMWELD_USER_ID", "ana")
    return place


def run(*arguments: str, keys: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=keys, catch_exceptions=False)


def done(*arguments: str, keys: str | None = None) -> str:
    result = run(*arguments, keys=keys)
    assert result.exit_code == 0, result.output
    return result.stdout


def answer(*arguments: str) -> Any:
    return json.loads(done(*arguments, "--json"))


def failed(*arguments: str) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    return " ".join(result.stderr.split())


def texts(*arguments: str) -> list[str]:
    return [memory["text"] for memory in answer(*arguments)["memories"]]


def test_a_memory_takes_the_place_of_others() -> None:
    first, second = (answer("add", text)["memories"][0]["id"] for text in ("I eat meat", "I eat fish"))
    shown = done("add", "I am vegan", "--supersedes", first, "--supersedes", second, "--pin")
    assert f"supersedes {first}  I eat meat\nsupersedes {second}  I eat fish\n" in shown
    assert texts("list") == ["I am vegan"]
    assert [memory["text"] for memory in answer("profile")["pinned"]] == ["I am vegan"]
    assert texts("list", "--include-inactive") == ["I eat meat", "I eat fish", "I am vegan"]
    assert "No memory exists with ID nothing" in failed("add", "I am", "--supersedes", "nothing")


def test_what_is_stored_is_said_though_others_are_gone_meanwhile(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done("add", "My favourite player is Messi")
    done("add", "My favourite player is Pele", "--created-at", "2024-01-10")
    plain, gone = Memory.add, list[Callable[[MemoryItem], str]]()

    def add(self: Memory, *arguments: Any, **options: Any) -> list[MemoryItem]:
        items = plain(self, *arguments, **options)
        with connect(url) as other:
            other.user("ana").delete(gone.pop()(items[0]))
        return items

    monkeypatch.setattr(Memory, "add", add)
    gone.append(lambda item: item.conflicts[0])
    assert done("add", "My favourite player is Ronaldo").count("conflicts with") == 1
    left = answer("list")["memories"][0]["id"]
    gone.append(lambda item: item.id)
    stored = answer("add", "My favourite player is Neymar", "--supersedes", left)
    assert [each["text"] for each in stored["memories"]] == ["My favourite player is Neymar"]
    assert stored["superseded"] == []


def test_what_others_add_and_delete_meanwhile_does_not_count(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (old,) = answer("add", "I keep bees")["memories"]
    plain, others = Memory.add, list[Callable[[Memory], object]]()

    def add(self: Memory, *arguments: Any, **options: Any) -> list[MemoryItem]:
        with connect(url) as backend:
            others.pop()(backend.user("ana"))
        return plain(self, *arguments, **options)

    monkeypatch.setattr(Memory, "add", add)
    others.append(lambda ana: plain(ana, "I like tea"))
    assert done("add", "I keep bees") == "1 known already: nothing was added twice\n"
    others.append(lambda ana: ana.delete(old["id"]))
    assert done("add", "I paint") == "Added 1 memory for user ana\n"


def test_a_memory_is_true_for_a_time() -> None:
    done("add", "I live in Porto", "--created-at", "2024-01-10")
    done("add", "I moved to Lisbon", "--created-at", "2025-03-01")
    done("add", "I work from Faro", "--valid-from", "2025-07-01", "--valid-until", "2025-08-01")
    assert texts("list") == texts("search", "where do I live or work?") == ["I moved to Lisbon"]
    assert texts("list", "--as-of", "2024-06-30") == ["I live in Porto"]
    assert texts("search", "Where do I live?", "--as-of", "2024-06-30") == ["I live in Porto"]
    assert texts("list", "--as-of", "2025-07-14T12:00:00+02:00") == ["I moved to Lisbon", "I work from Faro"]
    inactive = ("--include-inactive", "--limit", "3")
    assert set(texts("search", "Porto Lisbon Faro", *inactive)) == set(texts("list", *inactive))
    listed = done("list", "--include-inactive")
    assert "I live in Porto (until 2025-03-01)\n" in listed
    assert "I moved to Lisbon\n" in listed
    assert "I work from Faro (until 2025-08-01)" in done("search", "Faro", "--include-inactive")
    assert "Nothing fits the conditions" in done("list", "--as-of", "2020-01-01")
    for command in (("list",), ("search", "Faro")):
        assert "as_of 'soon'" in failed(*command, "--as-of", "soon")
    assert "valid_until" in failed("add", "I rest", "--valid-from", "2025-02-01", "--valid-until", "2025-01-01")


def test_what_is_over_is_said() -> None:
    done("add", "I have a gym membership", "--created-at", "2024-01-10")
    shown = done("add", "I have a gym membership", "--valid-until", "2025-07-01")
    assert shown.endswith("not valid now (until 2025-07-01)\n")
    assert texts("list") == []


def test_days_are_those_of_the_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day that a person names is the day that a person is shown."""
    monkeypatch.setenv("MEMWELD_TIMEZONE", "Asia/Tokyo")
    monkeypatch.setenv("COLUMNS", "140")
    known = done("add", "I rent a flat", "--created-at", "2025-03-05T20:00:00Z", "--valid-until", "2025-07-01")
    assert known.endswith("(until 2025-07-01)\n")
    for command in (("list",), ("search", "flat")):
        shown = done(*command, "--include-inactive")
        assert "2025-03-06  " in shown
        assert "I rent a flat (until 2025-07-01)" in shown
    memory_id = answer("list", "--include-inactive")["memories"][0]["id"]
    assert "  2025-03-06 – 2025-07-01  " in done("versions", memory_id)
    assert texts("list", "--as-of", "2025-07-01") == []
    for player in ("Messi", "Pelé"):
        done("add", f"My favourite player is {player}", "--created-at", "2025-03-05T20:00:00Z")
    assert done("conflicts").count("  2025-03-06  ") == 2


def test_a_text_is_corrected() -> None:
    memory_id = answer("add", "My cat is called Mimmi")["memories"][0]["id"]
    assert done("update", memory_id, "My cat is called Mimi") == f"Updated memory {memory_id}\n"
    assert answer("update", memory_id, "My cat is Mimi")["memory"]["text"] == "My cat is Mimi"
    assert done("update", memory_id, "-", keys="My cat is\nMimi\n").startswith("Updated")
    assert texts("list") == ["My cat is\nMimi"]
    versions = answer("versions", memory_id)["versions"]
    assert [(each["text"], each["changed_by"]) for each in versions] == [
        ("My cat is called Mimmi", "update"),
        ("My cat is called Mimi", "update"),
        ("My cat is Mimi", "update"),
        ("My cat is\nMimi", None),
    ]
    later = answer("add", "My dog is Rex", "--supersedes", memory_id)["memories"][0]["id"]
    assert f"memory {later} is in its place" in done("update", memory_id, "My cat is Momo")
    assert "No memory exists" in failed("update", "no-such-id", "My cat")
    assert "The text is empty" in failed("update", memory_id, " ")
    done("set-preference", "theme", "dark")
    preference = answer("list", "--kinds", "preference")["memories"][0]["id"]
    assert "preference" in failed("update", preference, "theme: light")


def test_preferences(url: str) -> None:
    assert done("set-preference", "theme", "da\x1b[31mrk") == "theme: da[31mrk\n"
    assert answer("set-preference", "theme", "light") == {"preferences": {"theme": "light"}}
    written = {"7": 7, "true": True, '["tea", 1]': ["tea", 1], '"7"': "7", "NaN": "NaN", "[tea": "[tea"}
    for text, value in written.items():
        assert answer("set-preference", "x", text)["preferences"] == {"x": value}
    done("set-preference", "drinks", '["tea"]')
    assert done("preferences") == 'drinks: ["tea"]\ntheme: light\nx: [tea\n'
    assert done("preferences", "theme") == "theme: light\n"
    assert answer("preferences", "drinks") == {"preferences": {"drinks": ["tea"]}}
    with connect(url) as backend:
        versions = backend.user("ana").preferences.versions("theme")
        assert [each.metadata["value"] for each in versions] == ["da\x1b[31mrk", "light"]
    assert done("delete-preference", "theme") == "Deleted preference theme\n"
    assert answer("delete-preference", "x") == {"deleted": "x"}
    assert answer("preferences") == {"preferences": {"drinks": ["tea"]}}
    for command in ("preferences", "delete-preference"):
        assert "User ana has no preference 'theme'" in failed(command, "theme")
    assert done("preferences", "--user", "bob") == "User bob has no preferences.\n"
    assert "ttl" in failed("set-preference", "mood", "good", "--ttl", "0")
    assert answer("set-preference", "mood", "good", "--ttl", "60")["preferences"] == {"mood": "good"}
    assert answer("list", "--kinds", "preference")["memories"][-1]["expires_at"] is not None
