"""What a person sees of the command line: overview, help, completion, tables, notices; and JSON for programs."""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from memweld import connect
from memweld.cli import app
from memweld.cli.help import EXAMPLES

COMMANDS: dict[str, Any] = getattr(typer.main.get_command(app), "commands")  # noqa: B009 - click is vendored by typer


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    place = f"sqlite:///{tmp_path / 'memory.db'}"
    monkeypatch.setenv("MEMWELD_URL", place)
    return place


def run(*arguments: str, keys: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=keys, catch_exceptions=False)


def done(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_without_a_command_it_says_where_the_memory_is(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = done()
    assert f"{tmp_path / 'memory.db'} (made by the first add)" in shown
    assert 'memweld add "I love Python" --user ana' in shown
    assert not (tmp_path / "memory.db").exists()
    with connect(url) as backend:
        backend.user("ana").add("I love Python")
    assert "memory.db (1 user, " in done()
    (tmp_path / "memory.db").write_bytes(b"no database" * 100)
    assert "cannot be read" in done()
    monkeypatch.setenv("MEMWELD_URL", "postgresql://u:s3cret@db/app")
    assert "postgresql://db/app" in (shown := done())
    assert "s3cret" not in shown


class TestHelp:
    def test_commands_stand_by_what_they_are_for(self) -> None:
        shown = done("--help")
        assert [line for line in shown.splitlines() if line.endswith(":") and not line.startswith(" ")] == [
            "Options:",
            "A user's memory:",
            "All of it:",
            "Serving and looking:",
        ]
        assert shown.index("  search ") < shown.index("All of it:") < shown.index("  serve ")

    def test_options_of_http_have_a_section(self) -> None:
        shown = done("serve", "--help")
        assert shown.index("--transport ") < shown.index("\nHTTP:\n") < shown.index("--uds ")

    @pytest.mark.parametrize("name", COMMANDS)
    def test_examples_are_shown_and_can_be_typed(self, name: str) -> None:
        shown = done(name, "--help")
        for example in EXAMPLES[name]:
            assert f"  {example}\n" in shown
            words = shlex.split(example.rpartition("| ")[2])
            assert words[:2] == ["memweld", name]
            COMMANDS[name].make_context(name, words[2:], resilient_parsing=False)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"serve", "demo", "ui"}))
def test_every_command_answers_programs(name: str) -> None:
    assert any("--json" in parameter.opts for parameter in COMMANDS[name].params)


def test_answers_for_programs(url: str, tmp_path: Path) -> None:
    who, file = ("--user", "ana"), str(tmp_path / "ana.json")
    done("add", "I love Python", *who)
    exported = json.loads(done("export", *who, "--output", file, "--json"))
    assert (exported["user_id"], exported["counts"]["items"]) == ("ana", 1)
    other = f"sqlite:///{tmp_path / 'other.db'}"
    assert json.loads(done("restore", file, *who, "--url", other, "--json"))["counts"]["items"] == 1
    copied = json.loads(done("copy", url, other, *who, "--json"))
    assert [(row["user_id"], row["equal"]) for row in copied["copied"]] == [("ana", True)]
    dump = tmp_path / "dump.json"
    dump.write_text(json.dumps({"results": [{"id": "1", "memory": "I own bees", "user_id": "ana"}]}))
    for option, stored in (("--dry-run", {}), ("--url", {"items": 1})):
        rest = [option] if option == "--dry-run" else [option, other]
        imported = json.loads(done("import", str(dump), "--from", "mem0", *who, "--json", *rest))
        assert imported["scopes"][0]["counts"] == {"items": 1}
        assert {name: count for name, count in imported["stored"].items() if count} == stored
    assert json.loads(done("reindex", "--json")) == {"embedded": 0}
    assert json.loads(done("migrate", "--json")) is None
    assert json.loads(done("doctor", "--json"))["problems"] == 0
    result = run("erase", *who, "--json", keys="y\n")
    answer = result.stdout[result.stdout.index("{") :]  # Behind the typed letter, which the runner echoes.
    assert json.loads(answer)["counts"]["items"] == 1
    assert "Erase everything of user ana" in result.stderr


class TestSearch:
    @pytest.fixture(autouse=True)
    def memories(self, url: str) -> None:
        with connect(url) as backend:
            ana = backend.user("ana")
            ana.add(
                "I write 日本語 software in Python, [red]markup[/red] \x1b[31m and \u202e and more than a line holds"
            )
            ana.add("I like tea", session_id="chat-with-a-very-long-name")
            ana.preferences.set("language", "Python")

    @pytest.mark.parametrize("columns", [60, 80, 140])
    def test_a_table_fits_the_terminal(self, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        shown = done("search", "Python software, tea", "--user", "ana")
        header, *rows = shown.splitlines()
        assert header.split() == ["score", "date", "kind", "session", "memory", *(["id"] if columns >= 120 else [])]
        assert all(cell_len(line) <= columns for line in rows)
        assert "[red]markup" in shown
        assert not {"\x1b", "\u202e"} & set(shown)
        assert "preference" in shown
        assert "chat-with-a-ver…" in shown

    def test_it_narrows(self) -> None:
        def texts(*options: str) -> list[str]:
            answer = json.loads(done("search", "tea Python", "--user", "ana", "--json", *options))
            return [memory["text"][:10] for memory in answer["memories"]]

        assert len(texts()) == 3
        assert len(texts("--kinds", "preference")) == 1
        assert texts("--sources", "import, document") == []
        assert texts("--sources", "user") == texts("--sources", "trusted") == texts()
        refused = run("search", "tea", "--user", "ana", "--sources", "user,web").stderr
        assert "sources 'web': it is one or several of user, assistant, " in " ".join(refused.split())
        assert texts("--session", "chat-with-a-very-long-name") == ["I like tea"]
        assert texts("--min-score", "1") == []
        assert "Nothing fits" in done("search", "tea", "--user", "ana", "--min-score", "1")
        assert "a kind is one of" in run("search", "tea", "--user", "ana", "--kinds", "facts").stderr
        explained = json.loads(done("search", "tea", "--user", "ana", "--explain", "--json"))
        assert "explanation" in explained["memories"][0]
        listed = json.loads(done("list", "--user", "ana", "--kinds", "item,preference", "--limit", "1", "--json"))
        rest = json.loads(done("list", "--user", "ana", "--after-cursor", listed["next"], "--json"))
        assert len(rest["memories"]) == 2


def completions(line: str) -> list[str]:
    words = line.split(" ")
    variables = {"_MEMWELD_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    result = CliRunner().invoke(app, [], prog_name="memweld", env=variables)
    return result.stdout.split()


class TestCompletion:
    def test_commands_users_and_sessions(self, url: str) -> None:
        assert completions("memweld sea") == ["search"]
        assert completions("memweld list --user ") == []
        with connect(url) as backend:
            backend.user("ana").history("s-1").add_user_message("hello")
            backend.user("bob").add("I love tea")
        assert completions("memweld list --user a") == ["ana"]
        assert completions("memweld list --user ana --session s") == ["s-1"]
        assert completions("memweld list --session s") == []

    def test_no_server_is_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MEMWELD_URL", "postgresql://nowhere.example/app")
        assert completions("memweld list --user a") == []

    @pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
    def test_the_script_works_in_bash(self, url: str, tmp_path: Path) -> None:
        program = tmp_path / "memweld"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m memweld "$@"\n')
        program.chmod(0o755)
        script = (
            'eval "$(_MEMWELD_COMPLETE=source_bash memweld)"; COMP_WORDS=(memweld sea); COMP_CWORD=1; '
            '_memweld_completion memweld; echo "${COMPREPLY[@]}"'
        )
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "MEMWELD_URL": url}
        result = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, env=environment, timeout=60, check=False
        )
        assert result.stdout == "search\n", result.stderr


def test_notices_name_the_program(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def noticing(*_: Any) -> list[str]:
        logging.getLogger("memweld.engine").warning("The graph is away.")
        return []

    monkeypatch.setattr("memweld.memory.backend.Backend.users", noticing)
    connect(url).close()
    Path(url.removeprefix("sqlite:///")).touch()
    assert run("users").stderr == "memweld: The graph is away.\n"
