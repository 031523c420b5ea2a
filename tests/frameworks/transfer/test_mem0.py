"""Importing what mem0's get_all returns: from a real mem0 on a local Qdrant, for one user or for all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import Embeddings
from typer.testing import CliRunner, Result

from memweld import connect
from memweld.cli import app
from memweld.errors import InvalidInputError
from memweld.scope import Scope
from memweld.testing import HashEmbedder
from memweld.transfer import read_mem0


class Hashes(HashEmbedder, Embeddings):
    """mem0 asks whether it is LangChain's class."""


@pytest.fixture(scope="module")
def mem0(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A mem0 2.2 with the memories of two users, an agent's part of one, and an agent's own."""
    folder = tmp_path_factory.mktemp("mem0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEM0_TELEMETRY", "false")
        patch.setenv("MEM0_DIR", str(folder / "home"))
        patch.setenv("OPENAI_API_KEY", "none: nothing is extracted")
        from mem0 import Memory

        memory = Memory.from_config(
            {
                "vector_store": {
                    "provider": "qdrant",
                    "config": {"path": str(folder / "qdrant"), "embedding_model_dims": 64, "collection_name": "m"},
                },
                "embedder": {"provider": "langchain", "config": {"model": Hashes()}},
                "history_db_path": str(folder / "history.db"),
            }
        )
        add = memory.add
        add("I love Python", user_id="ana", metadata={"topic": "code", "n": 1}, infer=False)
        add("  Ana's café is closed on Mondays  ", user_id="ana", run_id="trip-1", infer=False)
        add("Ana prefers short answers", user_id="ana", agent_id="chef", infer=False)
        add([{"role": "assistant", "content": "You may like Rust", "name": "bot"}], user_id="ana", infer=False)
        add("Bob likes tea", user_id="bob", infer=False)
        add("Never use peanuts", agent_id="chef", infer=False)
        updated = memory.get_all(filters={"user_id": "ana"}, top_k=100)["results"]
        memory.update(next(row["id"] for row in updated if "Python" in row["memory"]), "I love Python 3")
        yield memory
        memory.close()


@pytest.fixture
def anas(mem0: Any) -> dict[str, Any]:
    # As it would be read from a file.
    return json.loads(json.dumps(mem0.get_all(filters={"user_id": "ana"}, top_k=100)))


@pytest.fixture
def everybodys(mem0: Any, anas: dict[str, Any]) -> list[Any]:
    others = [
        mem0.get_all(filters=filters, top_k=100)["results"] for filters in ({"user_id": "bob"}, {"agent_id": "chef"})
    ]
    rows = [*anas["results"], *others[0], *others[1]]
    return list({row["id"]: row for row in rows}.values())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["import", *arguments], catch_exceptions=False)


def written(folder: Path, data: object) -> str:
    file = folder / "mem0.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    return str(file)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'memory.db'}"


def test_what_a_user_has(anas: dict[str, Any], url: str) -> None:
    with connect(url, embedder=HashEmbedder()) as backend:
        assert read_mem0(anas, scope=Scope("ana")).store(backend)["items"] == 4
        ana = backend.user("ana")
        kept = {item.text: item for item in ana.all()}
        rows = {row["memory"]: row for row in anas["results"]}
        assert kept.keys() == rows.keys()
        for text, row in rows.items():
            item = kept[text]
            assert (item.id, item.source) == (row["id"], "import")
            assert item.created_at.isoformat() == row["created_at"]
            assert item.updated_at.isoformat() == row["updated_at"]
            assert item.session_id == row.get("run_id")
            assert item.agent_id == row.get("agent_id")
            assert item.metadata["mem0"] == {"hash": row["hash"]} | ({"actor_id": "bot"} if row.get("actor_id") else {})
        assert kept["I love Python 3"].metadata["topic"] == "code"
        assert kept["I love Python 3"].updated_at > kept["I love Python 3"].created_at
        assert (kept["You may like Rust"].role, kept["You may like Rust"].name) == ("assistant", "bot")
        assert [item.text for item in backend.user("ana", agent_id="chef").all()] == ["Ana prefers short answers"]
        assert ana.search("closed on Mondays", limit=1)[0].text == "  Ana's café is closed on Mondays  "
        # What was corrected here since is not set back by a second import.
        ana.update(kept["I love Python 3"].id, "I love Rust")
        assert read_mem0(anas, scope=Scope("ana")).store(backend)["items"] == 0
        assert len(ana.all()) == 4


def test_others_rows_go_to_nobody_else(everybodys: list[Any], url: str, tmp_path: Path) -> None:
    file = written(tmp_path, {"results": everybodys, "relations": [{"source": "a", "target": "b"}]})
    result = run(file, "--from", "mem0", "--user", "ana", "--url", url)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "user ana: 3 items",
        "user ana and agent chef: 1 item",
        "Skipped: 1 relations of its graph",
        "Skipped: 2 of other users or agents",
        "New or changed: 4 items",
    ]
    with connect(url) as backend:
        assert backend.user("bob").all() == backend.agent("chef").all() == []


def test_all_users(everybodys: list[Any], url: str, tmp_path: Path) -> None:
    arguments = (written(tmp_path, everybodys), "--from", "mem0", "--all-users", "--url", url)
    assert "Dry run" in run(*arguments, "--dry-run").stdout
    assert not (tmp_path / "memory.db").exists()
    assert run(*arguments).stdout.endswith("New or changed: 6 items\n")
    assert run(*arguments).stdout.endswith("New or changed: nothing\n")
    with connect(url) as backend:
        assert [item.text for item in backend.user("bob").all()] == ["Bob likes tea"]
        assert [item.text for item in backend.agent("chef").all()] == ["Never use peanuts"]
        assert len(backend.user("ana").all()) == 4


def test_rows_without_ids_or_times(tmp_path: Path, url: str) -> None:
    lines = tmp_path / "mem0.jsonl"
    lines.write_text(
        '{"memory": "likes tea"}\n{"memory": "likes rice", "user_id": "", "run_id": null}\n', encoding="utf-8"
    )
    os.utime(lines, (1_700_000_000, 1_700_000_000))
    arguments = (str(lines), "--from", "mem0", "--user", "ana", "--session", "s", "--url", url)
    assert run(*arguments).stdout.endswith("New or changed: 2 items\n")
    os.utime(lines)
    assert run(*arguments).stdout.endswith("New or changed: nothing\n")
    with connect(url) as backend:
        assert {item.session_id for item in backend.user("ana").all()} == {"s"}
        assert {item.created_at.year for item in backend.user("ana").all()} == {2023}
    named = run(str(lines), "--from", "mem0", "--all-users", "--url", url)
    assert "Row 1: it names neither a user nor an agent" in named.stderr


def test_a_bad_row_is_named_and_nothing_is_stored(everybodys: list[Any], url: str, tmp_path: Path) -> None:
    good = everybodys[0]
    for wrong, text in (
        ({**good, "memory": "  "}, "memory"),
        ({**good, "created_at": "yesterday"}, "created_at"),
        ({**good, "user_id": "*"}, "wildcard"),
        ({**good, "metadata": [1]}, "metadata"),
        ({**good, "id": 7}, "it must be a string"),
        ({**good, "run_id": "x" * 600}, "session_id"),
        (None, "must be an object"),
    ):
        rows = [good, *everybodys[1:3], wrong]
        result = run(written(tmp_path, rows), "--from", "mem0", "--all-users", "--url", url)
        assert result.exit_code == 1
        assert "Row 4" in result.stderr
        assert text in result.stderr
        assert not (tmp_path / "memory.db").exists()
    with pytest.raises(InvalidInputError, match="get_all"):
        read_mem0({"memories": []}, scope=None)


def test_files_that_are_none(url: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    for content, text in (("[1,", "neither JSON"), ('{"a": 1}\n{"b": \n', "line 2"), ("", "neither JSON")):
        broken.write_text(content, encoding="utf-8")
        result = run(str(broken), "--from", "mem0", "--user", "ana", "--url", url)
        assert text in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert "Cannot read" in run(str(tmp_path / "none.json"), "--from", "mem0", "--user", "ana", "--url", url).stderr
    assert "Say whose" in run(str(broken), "--from", "mem0", "--url", url).stderr
    refused = run(str(broken), "--from", "langchain", "--all-users", "--url", url)
    assert "is for mem0" in refused.stderr


def test_equal_texts_are_merged_and_every_row_is_counted(tmp_path: Path, url: str) -> None:
    trips = ("rome", "oslo", "lima")
    rows: list[dict[str, Any]] = [
        {"memory": "Likes the window seat", "run_id": trip, "metadata": {"trip": trip}} for trip in trips
    ]
    rows += [{"memory": "Likes tea"}, {"memory": "Likes rum", "user_id": "bob"}]
    arguments = (written(tmp_path, rows), "--from", "mem0", "--user", "ana", "--url", url)
    assert run(*arguments).stdout.endswith(
        "Skipped: 1 of other users or agents\n"
        "Merged: 2 items with an equal text, which have their sessions and metadata now\n"
        "New or changed: 2 items\n"
    )
    assert run(*arguments).stdout.endswith("There already: 4\nNew or changed: nothing\n")
    with connect(url) as backend:
        ana = backend.user("ana")
        for trip in trips:
            (item,) = ana.all(filters={"trip": trip}, session_id=trip)
            assert item.sessions == trips
