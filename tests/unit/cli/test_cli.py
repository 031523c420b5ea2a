"""The command line: what each command says and does, and how it fails."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

import memweld
from memweld import connect
from memweld.cli import app

COMMANDS = set(
    "add conflicts consolidate copy delete delete-preference demo doctor erase export get import keep-both list "
    "migrate pin preferences profile reindex restore search serve sessions set-preference stats supersede ui undo "
    "unpin update users versions".split()
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'memory.db'}"


def run(*arguments: str, keys: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=keys, catch_exceptions=False)


def done(*arguments: str, keys: str | None = None) -> str:
    result = run(*arguments, keys=keys)
    assert result.exit_code == 0, result.output
    return result.stdout


def failed(*arguments: str) -> str:
    """The one line on stderr of a command that fails."""
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("memweld: ")
    return line


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_a_user_from_the_first_fact_to_the_last(url: str, tmp_path: Path) -> None:
    who = ("--user", "ana@example.com", "--url", url)
    assert done("add", "I love Python", *who) == "Added 1 memory for user ana@example.com\n"
    done("add", "My garden has bées", *who)
    done("add", "Bob's own", "--user", "bob", "--url", url)
    found = done("search", "which programming language?", *who, "--limit", "1")
    assert found.startswith("score  date ")
    assert "I love Python" in found

    exported = json.loads(done("export", *who))
    assert "My garden has bées" in json.dumps(exported, ensure_ascii=False)
    file = tmp_path / "ana.json"
    file.write_text("old and long " * 10_000)
    file.chmod(0o644)
    assert done("export", *who, "--output", str(file)).startswith(f"Exported user ana@example.com to {file}: 2 items")
    assert file.stat().st_mode & 0o777 == 0o600
    (file.with_name("link.json")).symlink_to(file.with_name("elsewhere.json"))
    assert "Cannot write" in failed("export", *who, "--output", str(file.with_name("link.json")))
    assert not file.with_name("elsewhere.json").exists()
    assert "Bob's own" not in file.read_text(encoding="utf-8")

    refusal = run("erase", *who, keys="n\n")
    assert refusal.exit_code == 1
    assert "Erase everything of user ana@example.com" in refusal.stdout
    with connect(url) as backend:
        assert len(backend.user("ana@example.com").all()) == 2
    receipt = done("erase", *who, "--yes")
    assert receipt.startswith("Erased ")
    assert "  items: 2\n" in receipt
    with connect(url) as backend:
        assert backend.user("ana@example.com").all() == []
        assert len(backend.user("bob").all()) == 1

    for items in (2, 0):
        assert f"  items: {items}\n" in done("restore", str(file), *who)
    with connect(url) as backend:
        assert backend.user("ana@example.com").export()["items"] == exported["items"]
    assert "another user" in failed("restore", str(file), "--user", "bob", "--url", url)


def test_add_says_what_happened(url: str) -> None:
    who = ("--user", "ana", "--url", url)
    assert done("add", "I love Python", *who) == "Added 1 memory for user ana\n"
    assert done("add", "I love Python", *who) == "1 known already: nothing was added twice\n"
    assert done("add", "-", *who, keys="I have two\ncats") == "Added 1 memory for user ana\n"
    answer = json.loads(done("add", "I love Python", *who, "--json"))
    assert (answer["added"], [item["text"] for item in answer["memories"]]) == (0, ["I love Python"])
    assert [item["text"] for item in json.loads(done("list", *who, "--json"))["memories"]][-1] == "I have two\ncats"
    assert "Add what was said" in failed("add", "-", *who)


def test_memories_are_listed_shown_and_deleted(url: str) -> None:
    who = ("--user", "ana", "--url", url)
    with connect(url) as backend:
        backend.user("bob").add("Bob's own")
    assert done("list", *who) == "Nothing is remembered of user ana.\n"
    for number in range(3):
        done("add", f"fact {number}\x1b[31m", *who)
    page = json.loads(done("list", *who, "--limit", "2", "--json"))
    ids = [item["id"] for item in page["memories"]]
    shown = done("list", *who, "--limit", "2")
    assert shown.count("fact ") == 2
    assert "\x1b" not in shown
    assert shown.endswith(f"More follow: --cursor {page['next']}\n")
    assert "fact 2" in done("list", *who, "--cursor", page["next"])
    assert f"id: {ids[0]}\n" in done("get", ids[0], *who)
    assert json.loads(done("get", ids[0], *who, "--json"))["memory"]["user_id"] == "ana"
    assert done("delete", ids[0], *who) == f"Deleted memory {ids[0]}\n"
    assert json.loads(done("delete", ids[1], *who, "--json")) == {"deleted": ids[1]}
    assert "No memory exists" in failed("get", ids[0], *who)
    assert "No memory exists" in failed("delete", ids[0], *who)
    assert json.loads(done("search", "fact", *who, "--json"))["memories"][0]["text"].startswith("fact 2")


def test_a_profile_shows_what_is_pinned(url: str) -> None:
    who = ("--user", "ana", "--url", url)
    done("add", "I am allergic to \x1b[31mpeanuts", *who)
    memory_id = done("list", *who).split()[0]
    assert done("pin", memory_id, *who) == f"Pinned memory {memory_id}\n"
    shown = done("profile", *who)
    assert shown.startswith(f"Pinned:\n- [id: {memory_id}] [")
    assert "\x1b" not in shown
    assert [item["id"] for item in json.loads(done("profile", *who, "--json"))["pinned"]] == [memory_id]
    assert json.loads(done("unpin", memory_id, *who, "--json"))["memory"]["pinned_at"] is None
    assert done("profile", *who).startswith("Changed lately:")
    assert "No memory exists" in failed("pin", "no-such-id", *who)


def test_conflicts_are_listed(url: str) -> None:
    who = ("--user", "ana", "--url", url)
    done("add", "My favourite player is Messi", *who)
    assert done("conflicts", *who) == "There are none.\n"
    older = done("list", *who).split()[0]
    answer = done("add", "My favourite player is Pelé", *who)
    assert f"conflicts with {older}  My favourite player is Messi\n" in answer
    lines = done("conflicts", *who).splitlines()
    assert [line.split("  ")[-1] for line in lines[:2]] == [
        "My favourite player is Pelé",
        "My favourite player is Messi",
    ]
    (pair,) = json.loads(done("conflicts", *who, "--json"))["conflicts"]
    newer = pair["newer"]["id"]
    assert done("versions", older, *who).count("\n") == 1
    assert "both true" in done("keep-both", newer, older, *who)
    assert done("conflicts", *who) == "There are none.\n"
    assert "now replaces" in done("supersede", older, "--by", newer, *who)
    versions = done("versions", newer, *who).splitlines()
    assert [" supersede" in versions[0], versions[0].count(":"), len(versions)] == [True, 2, 2]
    assert "No memory exists" in failed("supersede", "no-such-id", "--by", newer, *who)
    done("add", "I live in Porto", *who)
    assert "\nsupersedes " in done("add", "I live in Lisbon", *who)


def test_conditions_choose_memories(url: str) -> None:
    who = ("--user", "ana", "--url", url)
    with connect(url) as backend:
        ana = backend.user("ana")
        ana.add("I keep bees", metadata={"n": 3}, session_id="s1", created_at="2025-03-01")
        ana.add("I keep wasps", metadata={"n": 1}, created_at="2025-04-01")
        ana.add("I keep ants", created_at="2025-05-01")
    for options, expected in (
        (("--filter", '{"n": {"$gte": 2}}'), ["bees"]),
        (("--after", "2025-04-01", "--before", "2025-05-01"), ["wasps"]),
        (("--session", "s1", "--after", "2025-04-01"), []),
    ):
        for command in (("list",), ("search", "bees wasps ants")):
            shown = json.loads(done(*command, *who, *options, "--json"))["memories"]
            assert [item["text"].split()[-1] for item in shown] == expected, (command, options)
        assert ("Nothing fits the conditions" in done("list", *who, *options)) == (not expected)
    assert "is no JSON" in failed("list", *who, "--filter", "n=3")
    assert "no such operator" in failed("search", "bees", *who, "--filter", '{"n": {"$near": 3}}')
    assert "either the ID of a memory, or conditions" in failed("delete", *who)
    assert "either the ID of a memory, or conditions" in failed("delete", "x", *who, "--session", "s1")
    assert done("delete", *who, "--before", "2025-05-01", "--yes") == "Deleted 2 memories\n"
    assert done("delete", *who, "--filter", '{"n": {"$exists": false}}', keys="y\n").endswith("Deleted 1 memory\n")
    assert done("list", *who) == "Nothing is remembered of user ana.\n"


def test_a_memory_is_tidied_up_and_that_is_taken_back(url: str, tmp_path: Path) -> None:
    who = ("--user", "ana", "--url", url)
    receipt = tmp_path / "tidy.json"
    for text in ("I like tea", "I do like tea!", "I don't like tea"):
        done("add", text, *who)
    plan = done("consolidate", *who)
    assert "  I do like tea!  (stays)\n  I like tea\n" in plan
    assert "Nothing is changed yet" in plan
    assert "--apply" in failed("consolidate", *who, "--receipt", str(receipt))
    assert json.loads(done("consolidate", *who, "--json"))["steps"][0]["kind"] == "merge"
    missing = str(tmp_path / "no" / "folder.json")
    assert "Cannot write" in failed("consolidate", *who, "--apply", "--receipt", missing)
    assert done("list", *who).count("\n") == 3
    applied = done("consolidate", *who, "--apply", "--receipt", str(receipt))
    assert f"`memweld undo {receipt} --user ana` takes it back." in applied
    assert receipt.stat().st_mode & 0o777 == 0o600
    listed = done("list", *who)
    assert (listed.count("\n"), "I like tea\n" in listed) == (2, False)
    kept = next(line.split()[0] for line in listed.splitlines() if "do like" in line)
    versions = done("versions", kept, *who).splitlines()
    assert [line.rpartition("  ")[2] for line in versions] == ["I like tea", "I do like tea!"]
    assert len(json.loads(done("versions", kept, *who, "--json"))["versions"]) == 2
    assert done("consolidate", *who) == "There is nothing to consolidate for user ana.\n"
    assert done("undo", str(receipt), *who) == "Undone for user ana: 1 step\n"
    assert done("list", *who).count("\n") == 3
    assert "not undone (it was changed meanwhile): merge" in done("undo", str(receipt), *who)
    done("add", "Bob's own", "--user", "bob", "--url", url)
    refused = failed("undo", str(receipt), "--user", "bob", "--url", url)
    assert "it belongs to user ana, not to user bob" in refused
    receipt.write_text("{}")
    assert "Receipt" in failed("undo", str(receipt), *who)
    receipt.write_text("no")
    assert "memweld consolidate" in failed("undo", str(receipt), *who)


def test_users_sessions_and_counts(url: str) -> None:
    with connect(url) as backend:
        backend.agent("chef").add("no user's")
    assert done("users", "--url", url) == "Nothing is stored of any user.\n"
    assert done("sessions", "--user", "ana", "--url", url) == "User ana has no sessions.\n"
    with connect(url) as backend:
        for user in ("bob", "ana"):
            memory = backend.user(user)
            memory.add(f"a fact of {user}")
            memory.preferences.set("theme", "dark")
            memory.state("n").set("k", 1)
            memory.history("monday").append([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}])
        backend.user("ana", agent_id="chef").add("a note of the chef")
        backend.agent("chef").add("the chef's own")
    assert done("users", "--url", url) == "ana\nbob\n"
    assert json.loads(done("users", "--url", url, "--json")) == {"users": ["ana", "bob"]}
    assert done("sessions", "--user", "ana", "--url", url).startswith("monday  2 messages, the last at 2")
    (session,) = json.loads(done("sessions", "--user", "ana", "--url", url, "--json"))["sessions"]
    assert (session["session_id"], session["messages"]) == ("monday", 2)
    ana = json.loads(done("stats", "--user", "ana", "--url", url, "--json"))
    expected = {"items": 2, "preferences": 1, "tasks": 0, "records": 0, "values": 1, "sessions": 1, "messages": 2}
    assert {name: ana[name] for name in expected} == expected
    everything = done("stats", "--url", url)
    assert everything.startswith("users: 2\nitems: 3\npreferences: 2\n")


def test_the_environment_names_url_and_user(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMWELD_URL", url)
    monkeypatch.setenv("MEMWELD_USER_ID", "ana")
    assert done("add", "I love Python") == "Added 1 memory for user ana\n"
    assert "items: 1" in done("erase", keys="y\n")


def test_without_a_user_nothing_happens(url: str) -> None:
    result = run("add", "I love Python", "--url", url)
    assert result.exit_code == 2
    assert "--user" in result.stderr


def test_errors_are_one_line(url: str, tmp_path: Path) -> None:
    who = ("--user", "ana", "--url", url)
    assert failed("add", "   ", *who) == "memweld: The text is empty. Add what was said."
    done("add", "I love Python", *who)
    for command in (("search", "x", "--limit", "10001"), ("list", "--limit", "0")):
        assert (result := run(*command, *who)).exit_code == 2
        assert "--limit" in result.stderr
    assert "wildcard" in failed("erase", "--yes", "--user", "*", "--url", url)
    assert "Cannot connect" in failed("add", "x", "--user", "ana", "--url", "ftp://nowhere")
    unwritable = failed("export", *who, "--output", str(tmp_path / "no" / "such" / "folder.json"))
    assert "Cannot write" in unwritable
    assert "No such file" in unwritable
    assert "Nothing is stored of user 'nobody'" in failed("export", "--user", "nobody", "--url", url)
    assert json.loads(done("export", *who, "--output", "-"))["user_id"] == "ana"
    assert "Cannot read" in failed("restore", str(tmp_path / "none.json"), *who)
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    assert "not the JSON" in failed("restore", str(tmp_path / "bad.json"), *who)
    assert "no toolset" in failed("serve", "--url", url, "--toolsets", "memory,everything")
    assert "give user_id (--user)" in failed("serve", "--url", url, "--lock-user")


@pytest.mark.parametrize(
    "command", ["search x --user ana", "list --user ana", "get ID --user ana", "sessions --user ana", "users", "stats"]
)
def test_reading_makes_no_file(url: str, tmp_path: Path, command: str) -> None:
    assert f"There is no file {tmp_path / 'memory.db'}" in failed(*command.split(), "--url", url)
    assert list(tmp_path.iterdir()) == []


def test_one_newline_at_the_end_of_stdin_is_not_remembered(url: str) -> None:
    who = ("--user", "ana", "--url", url)
    done("add", "-", *who, keys="I have two cats\n")
    assert [item["text"] for item in json.loads(done("list", *who, "--json"))["memories"]] == ["I have two cats"]


@pytest.mark.parametrize("option", ["--uds x", "--port 1", "--host ::1", "--stateless", "--calls-per-minute 5"])
def test_options_of_http_are_refused_on_stdio(url: str, option: str) -> None:
    assert f"{option.split(maxsplit=1)[0]} is for HTTP" in failed("serve", "--url", url, *option.split())


def test_version_and_help() -> None:
    assert done("--version") == f"memweld {memweld.__version__}\n"
    help_text = done("--help")
    group = typer.main.get_command(app)
    assert set(getattr(group, "commands")) == COMMANDS  # noqa: B009 - click is vendored by typer
    assert all(command in help_text for command in COMMANDS)


def test_help_shows_whole_names_in_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    help_text = done("serve", "--help")
    command = getattr(typer.main.get_command(app), "commands")["serve"]  # noqa: B009 - click is vendored by typer
    assert [name for option in command.params for name in option.opts if name not in help_text] == []


def test_python_m_memweld() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "memweld", "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout == f"memweld {memweld.__version__}\n"


def test_the_command_line_loads_little() -> None:
    heavy = ("fastmcp", "mcp", "mem0", "numpy", "pydantic", "langchain_core", "crewai", "autogen_core")
    code = f"import sys, memweld.cli; print([name for name in {heavy!r} if name in sys.modules])"
    assert python(code).stdout == "[]\n"


def test_a_missing_extra_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['fastmcp'] = None; sys.argv = ['memweld', 'serve']; import memweld.cli as c; c.app()"
    )
    result = python(code)
    assert result.returncode == 1
    assert result.stderr == "memweld: fastmcp is not installed; run: pip install 'memweld[mcp]'\n"


class TestDoctor:
    def test_all_is_well(self, url: str, tmp_path: Path) -> None:
        report = done("doctor", "--url", url)
        assert memweld.__version__ in report
        assert "made at the first use" in report
        assert "a memory is added and found again" in report
        assert "extra langchain" in report
        assert "All is well." in report
        assert not (tmp_path / "memory.db").exists()

    def test_a_store_that_is_there(self, url: str) -> None:
        done("add", "I love Python", "--user", "ana", "--url", url)
        assert "can be read" in done("doctor", "--url", url)

    @pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
    def test_the_file_of_another_program_keeps_its_mode(self, tmp_path: Path) -> None:
        foreign = tmp_path / "foreign.db"
        with closing(sqlite3.connect(foreign)) as database:
            database.execute("CREATE TABLE theirs (id)")
        foreign.chmod(0o644)
        assert "another program" in run("doctor", "--url", f"sqlite:///{foreign}").stdout
        assert stat.S_IMODE(foreign.stat().st_mode) == 0o644

    def test_what_is_wrong(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        broken = tmp_path / "broken.db"
        broken.write_bytes(b"this is no database" * 100)
        monkeypatch.setenv("MEMWELD_LOCK_USER", "1")
        monkeypatch.setenv("MEMWELD_EMBEDDER", '{"provider": "no-such-provider"}')
        result = run("doctor", "--url", f"sqlite:///{broken}")
        assert result.exit_code == 1
        assert "MEMWELD_LOCK_USER is set without MEMWELD_USER_ID" in result.stdout
        assert "3 problem(s) found." in result.stdout
        monkeypatch.setenv("MEMWELD_LLM", '{"provider": "no-such-llm"}')
        result = run("doctor", "--url", f"sqlite:///{broken}")
        assert "The LLM 'no-such-llm' cannot be made" in " ".join(result.stdout.split())
        assert "4 problem(s) found." in result.stdout
        monkeypatch.setenv("MEMWELD_LLM", "not json")
        assert "environment variable MEMWELD_" in run("doctor").stdout
