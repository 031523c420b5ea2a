"""What commands answer programs: every field, also those that say nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from memweld import ConsolidationPlan, ConsolidationReceipt, EraseReceipt, Hit, MemoryItem, Session, connect
from memweld.cli import app
from memweld.consolidation import ConsolidationStep


@pytest.fixture(autouse=True)
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    place = f"sqlite:///{tmp_path / 'memory.db'}"
    monkeypatch.setenv("MEMWELD_URL", place)
    monkeypatch.setenv("MEMWELD_USER_ID", "ana")
    return place


def answer(*arguments: str) -> Any:
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def fields(kind: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def test_memories_have_all_fields(url: str) -> None:
    (tea,) = answer("add", "I drink tea")["memories"]
    assert list(tea) == fields(MemoryItem)
    assert (tea["source"], tea["valid_until"], tea["links"]) == ("user", None, [])
    assert tea["created_at"].endswith("Z")
    assert answer("add", "I drink tea") == {"added": 0, "memories": answer("list")["memories"], "superseded": []}
    (hit,) = answer("search", "tea")["memories"]
    assert list(hit) == fields(Hit)
    (explained,) = answer("search", "tea", "--explain")["memories"]
    assert explained["explanation"]["words"][0]["word"] == "tea"
    for one in (answer("get", tea["id"])["memory"], answer("pin", tea["id"])["memory"], *answer("list")["memories"]):
        assert list(one) == fields(MemoryItem)
    assert [list(each) for each in answer("versions", tea["id"])["versions"]] == [fields(MemoryItem)]


def test_add_says_what_it_supersedes(url: str) -> None:
    (porto,) = answer("add", "I live in Porto")["memories"]
    moved = answer("add", "I live in Lisbon")
    assert [(each["id"], each["changed_by"]) for each in moved["superseded"]] == [(porto["id"], "rule")]
    assert answer("add", "I live in Lisbon")["superseded"] == []
    with connect(url) as backend:
        backend.user("ana").update(moved["memories"][0]["id"], "I live in Faro")
    (work,) = answer("add", "I work from home")["memories"]
    again = answer("add", "I live in Faro", "--supersedes", work["id"])
    assert (again["added"], [each["id"] for each in again["superseded"]]) == (0, [porto["id"], work["id"]])


def test_the_profile_has_all_sections_and_texts_before(url: str) -> None:
    answer("add", "I live in Porto")
    answer("add", "I live in Lisbon")
    profile = answer("profile")
    assert {name: len(lines) for name, lines in profile.items()} == {
        "pinned": 0,
        "preferences": 0,
        "changed": 1,
        "recalled": 0,
    }
    (line,) = profile["changed"]
    assert list(line) == [*fields(MemoryItem), "before"]
    assert (line["text"], line["before"]) == ("I live in Lisbon", "I live in Porto")
    answer("add", "I keep bees")
    assert [each["before"] for each in answer("profile")["changed"]] == [None, "I live in Porto"]


def test_consolidations_have_all_fields(url: str, tmp_path: Path) -> None:
    answer("add", "I keep bees")
    assert answer("consolidate") == {"steps": [], "has_more": False, "user_id": "ana", "agent_id": None}
    receipt = answer("consolidate", "--apply")
    assert list(receipt) == fields(ConsolidationReceipt)
    assert (receipt["done"], receipt["skipped"]) == ([], [])
    answer("add", "I keep bees!")
    plan = answer("consolidate")
    assert list(plan) == fields(ConsolidationPlan)
    assert [list(step) for step in plan["steps"]] == [fields(ConsolidationStep)]
    file = tmp_path / "tidy.json"
    done = answer("consolidate", "--apply", "--receipt", str(file))
    assert list(done["done"][0]["changes"][0]["before"]) == fields(MemoryItem)
    assert list(answer("undo", str(file))) == fields(ConsolidationReceipt)


def test_sessions_conflicts_copies_and_erasures(url: str, tmp_path: Path) -> None:
    with connect(url) as backend:
        backend.user("ana").history("monday").add_user_message("Hello")
    assert [list(each) for each in answer("sessions")["sessions"]] == [fields(Session)]
    answer("add", "My favourite player is Messi")
    answer("add", "My favourite player is Pelé")
    (pair,) = answer("conflicts")["conflicts"]
    assert [list(pair["newer"]), list(pair["older"])] == [fields(MemoryItem)] * 2
    (copied,) = answer("copy", url, f"sqlite:///{tmp_path / 'other.db'}", "--user", "ana")["copied"]
    assert copied["source"] == copied["target"]
    assert list(answer("erase", "--yes")) == fields(EraseReceipt)


def test_a_budget_too_small_for_a_profile_is_said(url: str) -> None:
    def shown(*arguments: str) -> tuple[str, str]:
        result = CliRunner().invoke(app, ["profile", *arguments], catch_exceptions=False)
        return result.stdout, result.stderr

    answer("add", "I keep bees")
    notice = "No line of the profile of user ana fits into 5 characters: raise --budget.\n"
    assert shown("--budget", "5") == (notice, "")
    empty, said = shown("--budget", "5", "--json")
    assert (set(map(str, json.loads(empty).values())), said) == ({"[]"}, notice)
    assert shown("--user", "bob") == ("Nothing of user bob belongs in a profile yet.\n", "")
    assert shown("--user", "bob", "--budget", "5") == ("Nothing of user bob belongs in a profile yet.\n", "")
