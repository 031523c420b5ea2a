"""Copying between embedded files: whole, compared, continued after a kill, in pages, and from the command line."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from memweld import Backend, ChatMessage, Memory, connect
from memweld.cli import app
from memweld.engine.export_data import ExportData
from memweld.engine.operations import Export, Operation, Restore
from memweld.engine.protocol import Engine
from memweld.errors import ConfigurationError, InvalidInputError
from memweld.models import ValueWrite
from memweld.scope import Scope
from memweld.testing import HashEmbedder
from memweld.transfer import Copied, copy
from memweld.transfer.copier import engine_of, scopes_of

LONG_AGO = datetime(2024, 2, 29, 12, 0, 0, 5, tzinfo=timezone.utc)


class Counting(HashEmbedder):
    """Counts the texts that it embeds."""

    def __init__(self, dimensions: int = 64) -> None:
        super().__init__(dimensions)
        self.embedded = 0

    def embed_query(self, text: str) -> list[float]:
        self.embedded += 1
        return super().embed_query(text)


def at(folder: Path, name: str, **options: Any) -> Backend:
    options.setdefault("embedder", HashEmbedder())
    return connect(f"sqlite:///{folder / name}", **options)


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Backend]:
    with at(tmp_path, "old.db") as backend:
        yield backend


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Backend]:
    with at(tmp_path, "new.db") as backend:
        yield backend


def fill(memory: Memory, word: str) -> None:
    """Something of each kind, with everything that it can have."""
    for number in range(7):
        memory.add(f"{word} fact {number}", metadata={"n": number, "deep": {"ä": [1, 1.0, None]}}, created_at=LONG_AGO)
    memory.add([{"role": "user", "content": f"{word} said this", "name": "Ana"}], session_id="s1")
    memory.update(memory.all()[2].id, f"{word} fact two, corrected")
    memory.preferences.set("theme", {"dark": True})
    memory.tasks.record("ship-42", outcome=f"{word} sailed", success=True)
    state = memory.state(f"{word}/board")
    for number in range(9):
        state.set(f"key {number}", {"value": number, "big": 2**70, "float": 2.0})
    # The oldest namespace comes first in lists, and is not the first by name.
    memory.state("a-later-one").set("k", None)
    state.set("key 3", "changed")
    records = [ValueWrite(namespace="notes", key=f"n{n}", value=n, text=f"{word} note {n}") for n in range(3)]
    memory.values.write([*records, ValueWrite(namespace="notes", key="dies", value=1, text="short", ttl=3600)])
    history = memory.history("s2")
    history.append(
        [
            {"role": "system", "content": "be kind"},
            ChatMessage(
                role="user",
                content=[{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "http://x/y"}}],
                id="fixed",
                created_at=LONG_AGO,
                native={"framework": "langchain", "message": {"type": "human", "data": {"content": "look", "x": [1]}}},
            ),
            {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "name": "f", "arguments": {"a": 1}}]},
            {"role": "tool", "content": "3", "tool_call_id": "c1"},
        ]
    )
    history.append([{"role": "user", "content": f"{word} {number}"} for number in range(12)])


def fill_all(backend: Backend) -> None:
    fill(backend.user("ana"), "ana's")
    fill(backend.user("ana", agent_id="chef"), "the chef's")
    fill(backend.agent("chef"), "own")
    backend.user("bob").add("bob likes tea")
    # Nothing but state, and of an agent alone: no list of memories or sessions would show this agent.
    backend.user("bob", agent_id="clerk").state("forms")["a"] = 1


def whole(memory: Memory) -> dict[str, Any]:
    """An export, without when it was made; records stand behind the facts in a copy."""
    export: dict[str, Any] = memory.export()
    del export["exported_at"]
    export["items"].sort(key=lambda item: item["kind"] == "record")
    return export


def copied(old: Backend, new: Backend, **options: Any) -> list[Copied]:
    return list(copy(old, new, **options))


EVERYBODY = [Scope(agent_id="chef"), Scope("ana"), Scope("bob")]


@pytest.mark.parametrize("page", [1, 3, 500])
def test_everything_of_everybody(old: Backend, new: Backend, page: int) -> None:
    fill_all(old)
    reports = copied(old, new, everybody=True, page=page)
    assert [report.scope for report in reports] == EVERYBODY
    assert all(report.equal for report in reports)
    (ana,) = (report for report in reports if report.scope == Scope("ana"))
    assert ana.source.counts == {"items": 22, "values": 28, "sessions": 2, "messages": 32}
    assert ana.stored == {"items": 22 + 8, "values": 28, "messages": 32}
    for scope in EVERYBODY:
        assert whole(new.scoped(scope)) == whole(old.scoped(scope))
    assert whole(new.user("bob", agent_id="clerk")) == whole(old.user("bob", agent_id="clerk"))
    moved = new.user("ana")
    assert moved.values.namespaces() == old.user("ana").values.namespaces() == ["ana's/board", "a-later-one", "notes"]
    assert [hit.text for hit in moved.search("corrected", limit=1)] == ["ana's fact two, corrected"]
    assert {hit.text for hit in moved.search("note", limit=3, kinds=["record"])} >= {"ana's note 1"}
    # It lives on: what was a record is still one.
    moved.values.write([ValueWrite(namespace="notes", key="n1", delete=True)])
    assert moved.search("ana's note 1", limit=1, kinds=["record"])[0].text != "ana's note 1"


def test_pages_and_export_say_the_same(old: Backend) -> None:
    fill_all(old)
    engine, scope = engine_of(old), Scope("ana")
    ids: list[str] = []
    after: str | None = None
    for _ in range(200):
        page = engine.run(scope, Export(cursor=after, limit=2))
        kept = page.data
        facts = [item.id for item in kept.items if item.kind != "record"]
        rows = len(facts) + len(kept.values) + sum(len(session.messages) for session in kept.sessions)
        assert 0 < rows <= 2
        assert len(kept.items) - len(facts) <= len(kept.values), "a record is on the page of its value"
        ids += facts + [message.id or "" for session in kept.sessions for message in session.messages]
        after = page.next
        if after is None:
            break
    export: Any = old.user("ana").export()
    facts = [item for item in export["items"] if item["kind"] != "record"]
    assert ids == [row["id"] for row in (*facts, *export["messages"])]
    assert engine.run(Scope("nobody"), Export(cursor=None, limit=5)).data == ExportData()
    for wrong in ("x", "items:1", "items:1:2:3; DROP TABLE owners", "values:-1:0:0", "notes:1:2:3"):
        with pytest.raises(InvalidInputError, match="of no page"):
            engine.run(scope, Export(cursor=wrong, limit=5))


def test_a_page_of_somebody_else_shows_nothing_of_theirs(old: Backend) -> None:
    fill_all(old)
    engine = engine_of(old)
    places = [engine.run(Scope("ana"), Export(cursor=None, limit=limit)).next for limit in (1, 25, 40, 60)]
    assert None not in places
    for place in places:
        with pytest.raises(InvalidInputError, match="of no page"):
            engine.run(Scope("bob"), Export(cursor=place, limit=500))


def test_large_rows_make_small_pages(old: Backend) -> None:
    state = old.user("ana").state("n")
    for number in range(8):
        state.set(str(number), "x" * 200_000)
    state.set("huge", "x" * 900_000)
    sizes: list[int] = []
    after: str | None = None
    for _ in range(20):
        page = engine_of(old).run(Scope("ana"), Export(cursor=after, limit=500))
        sizes.append(sum(len(str(value.value)) for value in page.data.values))
        after = page.next
        if after is None:
            break
    assert sizes == [400_000, 400_000, 400_000, 400_000, 900_000]


def test_scopes_are_listed_in_pages(old: Backend) -> None:
    fill_all(old)
    every = [Scope(agent_id="chef"), Scope("ana"), Scope("ana", "chef"), Scope("bob"), Scope("bob", "clerk")]
    assert old.admin.list_scopes(after=None, limit=10) == every
    assert old.admin.list_scopes(after=every[1], limit=2) == every[2:4]
    assert old.admin.list_scopes(after=every[-1], limit=2) == []
    assert list(scopes_of(old, page=1)) == EVERYBODY
    old.user("ana").erase()
    assert list(scopes_of(old, page=1)) == [EVERYBODY[0], EVERYBODY[2]]


def test_one_user_and_one_part(old: Backend, new: Backend) -> None:
    fill_all(old)
    (report,) = copied(old, new, user_id="ana", agent_id="chef")
    assert report.equal
    assert whole(new.user("ana", agent_id="chef")) == whole(old.user("ana", agent_id="chef"))
    assert len(new.user("ana").all()) == len(new.user("ana", agent_id="chef").all())
    (report,) = copied(old, new, user_id="ana")
    assert report.equal
    (report,) = copied(old, new, agent_id="chef")
    assert whole(new.agent("chef")) == whole(old.agent("chef"))
    assert new.user("bob").all() == []
    (report,) = copied(old, new, user_id="nobody")
    assert report.equal
    assert report.source.is_empty


def test_again_stores_and_embeds_nothing(old: Backend, tmp_path: Path) -> None:
    fill_all(old)
    embedder = Counting()
    with at(tmp_path, "new.db", embedder=embedder) as new:
        copied(old, new, everybody=True, page=4)
        first = embedder.embedded
        assert first > 0
        for page in (4, 500):
            reports = copied(old, new, everybody=True, page=page)
            assert all(report.equal for report in reports)
            assert not any(count for report in reports for count in report.stored.values())
        assert embedder.embedded == first
        old.user("ana").add("something new")
        (report,) = copied(old, new, user_id="ana")
        assert report.equal
        assert report.stored["items"] == 1


def test_interrupted_it_goes_on_where_it_was(old: Backend, tmp_path: Path) -> None:
    memory = old.user("ana")
    for number in range(40):
        memory.add(f"fact {number}")
    embedder = Counting()

    def stop(report: Copied) -> None:
        if sum(report.source.counts.values()) == 20:
            raise KeyboardInterrupt

    with at(tmp_path, "new.db", embedder=embedder) as new:
        with pytest.raises(KeyboardInterrupt):
            copied(old, new, user_id="ana", page=10, progress=stop)
        assert len(new.user("ana").all()) == 20
        before = embedder.embedded
        (report,) = copied(old, new, user_id="ana", page=10)
        assert report.equal
        assert report.stored["items"] == 20
        assert embedder.embedded - before == 20
        assert whole(new.user("ana")) == whole(memory)


@pytest.mark.parametrize("seed", range(3))
def test_interrupted_anywhere(old: Backend, new: Backend, seed: int) -> None:
    fill_all(old)
    chance = random.Random(seed)
    stops, left = 0, 0

    def stop(_: Copied) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt

    while True:
        # What is there already is read again each time, so that each run must be allowed more pages.
        left = chance.randint(1, 5 * (stops + 1))
        try:
            reports = copied(old, new, everybody=True, page=chance.randint(1, 9), progress=stop)
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops > 3
    assert all(report.equal for report in reports)
    for scope in EVERYBODY:
        assert whole(new.scoped(scope)) == whole(old.scoped(scope))


def test_what_was_there_stays_and_is_told(old: Backend, new: Backend) -> None:
    old.user("ana").add("shared")
    new.user("ana").add("only here")
    new.user("ana").state("n")["k"] = "later"
    old.user("ana").state("n")["k"] = "latest"
    (report,) = copied(old, new, user_id="ana")
    assert not report.equal
    assert report.problem is None
    assert report.target is not None
    assert (report.source.counts["items"], report.target.counts["items"]) == (1, 2)
    assert [item.text for item in new.user("ana").all()] == ["only here", "shared"]
    assert new.user("ana").state("n")["k"] == "latest"


def test_earlier_texts_on_later_pages_follow_a_merged_memory(tmp_path: Path, new: Backend) -> None:
    with connect(f"sqlite:///{tmp_path / 'changed.db'}") as changed:
        ana = changed.user("ana")
        (cat,) = ana.add("I have a cat")
        ana.add("I love tea")
        ana.update(cat.id, "I have two cats")
        (same,) = new.user("ana").add("I have two cats")
        copied(changed, new, user_id="ana", page=1)
    assert [each.text for each in new.user("ana").versions(same.id)] == ["I have a cat", "I have two cats"]
    new.user("ana").delete(same.id)
    assert [each.text for each in new.user("ana").all(include_inactive=True)] == ["I love tea"]


def test_a_difference_in_one_character_is_seen(old: Backend, new: Backend) -> None:
    fill_all(old)
    copied(old, new, everybody=True)
    memory = new.user("ana")
    message = memory.history("s2").messages()[5]
    memory.history("s2").append([ChatMessage(role=message.role, content=f"{message.text}.", id=message.id)])
    (report,) = copied(old, new, user_id="ana")
    assert report.target is not None
    assert report.source.counts == report.target.counts
    assert not report.equal
    assert report.source.digest != report.target.digest


def test_a_value_that_ends_meanwhile_is_no_difference(old: Backend, new: Backend) -> None:
    old.user("ana").values.write([ValueWrite(namespace="n", key="k", value=1, text="short", ttl=2)])
    old.user("ana").state("n")["stays"] = 2
    (report,) = copied(old, new, user_id="ana", progress=lambda _: time.sleep(2.1))
    assert report.equal
    assert report.source.counts["values"] == 1
    assert new.user("ana").state("n").list_keys() == ["stays"]


class Refusing:
    """A target that refuses one user's memory."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self, scope: Scope, operation: Operation[Any]) -> Any:
        if isinstance(operation, Restore) and scope.user_id == "ana":
            raise InvalidInputError("Invalid text: it is not to our taste.")
        return self._engine.run(scope, operation)

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)


def test_a_scope_that_cannot_be_copied_does_not_stop_the_others(old: Backend, new: Backend) -> None:
    fill_all(old)
    target = Backend(Refusing(engine_of(new)), url="sqlite://")  # pyright: ignore[reportArgumentType]
    reports = {report.scope: report for report in copied(old, target, everybody=True)}
    assert not reports[Scope("ana")].equal
    assert "not to our taste" in (reports[Scope("ana")].problem or "")
    assert reports[Scope("bob")].equal
    assert len(new.user("bob").all()) == 1


def test_a_dry_run_touches_nothing(old: Backend, tmp_path: Path) -> None:
    fill_all(old)
    with at(tmp_path, "never.db") as new:
        reports = copied(old, new, everybody=True, dry_run=True)
    assert [report.source.counts["values"] for report in reports] == [14, 28, 1]
    assert not (tmp_path / "never.db").exists()


def test_what_makes_no_sense_is_refused(old: Backend, new: Backend) -> None:
    for wrong in ({}, {"user_id": "ana", "everybody": True}, {"agent_id": "chef", "everybody": True}):
        with pytest.raises(InvalidInputError, match="Say whom"):
            copied(old, new, **wrong)
    with pytest.raises(ConfigurationError, match="both source and target"):
        copied(old, old, everybody=True)


def test_the_source_needs_no_embedder(tmp_path: Path, new: Backend) -> None:
    with at(tmp_path, "old.db", embedder=HashEmbedder(32)) as old:
        fill(old.user("ana"), "ana's")

    class Broken(HashEmbedder):
        def embed_query(self, text: str) -> list[float]:
            raise AssertionError(text)

    with at(tmp_path, "old.db", embedder=Broken()) as old:
        (report,) = copied(old, new, user_id="ana")
    assert report.equal
    assert new.user("ana").search("fact 5", limit=1)[0].text == "ana's fact 5"


def write_many(file: Path, count: int) -> str:
    """A file with so many items of one user, of 600 characters each; its URL."""
    url = f"sqlite:///{file}"
    with connect(url, embedder=HashEmbedder(16)) as backend:
        exported = backend.user("ana").export()
        for start in range(0, count, 2_000):
            exported["items"] = [
                {
                    "id": f"id-{number}",
                    "text": f"fact {number} {'x' * 590}",
                    "created_at": (LONG_AGO + timedelta(seconds=number)).isoformat(),
                    "updated_at": (LONG_AGO + timedelta(seconds=number)).isoformat(),
                }
                for number in range(start, start + 2_000)
            ]
            backend.user("ana").restore(exported)
    return url


GROWTH = """
import re, sys
from memweld import connect
from memweld.transfer import copy
from memweld.testing import HashEmbedder
source, target, whole = sys.argv[1:]
def peak():
    # Not ru_maxrss, which a process inherits from the one that started it.
    return int(re.search("VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
with connect(source, embedder=HashEmbedder(16)) as old, connect(target, embedder=HashEmbedder(16)) as new:
    new.user("warm").add("everything is loaded")
    before = peak()
    if whole == "whole":
        new.user("ana").restore(old.user("ana").export())
    else:
        for report in copy(old, new, user_id="ana", page=200):
            assert report.equal and report.source.counts["items"] == 20_000
    print((peak() - before) // 1024)
"""


def growth(*arguments: str) -> int:
    """By how many MB a process grows that copies."""
    command = [sys.executable, "-c", GROWTH, *arguments]
    return int(subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says so in /proc")
@pytest.mark.exhaustive
def test_twenty_thousand_items_pass_through_little_memory(tmp_path: Path) -> None:
    many = write_many(tmp_path / "many.db", 20_000)
    paged = growth(many, f"sqlite:///{tmp_path / 'paged.db'}", "paged")
    whole = growth(many, f"sqlite:///{tmp_path / 'whole.db'}", "whole")
    # Pages of the database's own cache are in it, too.
    assert paged < 40 < whole


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_killed_and_run_again(tmp_path: Path) -> None:
    count = 4_000
    many, target = write_many(tmp_path / "many.db", count), f"sqlite:///{tmp_path / 'new.db'}"
    command = [sys.executable, "-m", "memweld", "copy", many, target, "--all"]
    kills = 0
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        before = _held(tmp_path / "new.db")
        for _ in range(3_000):
            # It stands still meanwhile, or it would end on a busy machine before it is looked at.
            process.send_signal(signal.SIGSTOP)
            if process.poll() is not None or _held(tmp_path / "new.db") >= before + 500:
                break
            process.send_signal(signal.SIGCONT)
            time.sleep(0.05)
        process.kill()
        process.communicate()
        kills += process.returncode != 0
    assert kills == 2, "the kills must hit a copy under way"
    partly = _held(tmp_path / "new.db")
    assert 0 < partly < count
    assert partly % 500 == 0, "a page is stored whole or not at all"
    result = run("copy", many, target, "--all")
    assert result.exit_code == 0, result.output
    assert f"user ana: {count} items\n" in result.stdout
    assert f"new or changed: {count - partly} items\n" in result.stdout
    with connect(target) as new:
        assert [item.id for item in new.user("ana").all(limit=count + 1)] == [f"id-{n}" for n in range(count)]


def _held(file: Path) -> int:
    """How many items the file has, as another process sees it."""
    if not file.exists():
        return 0
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute("SELECT count(*) FROM items").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


class TestCommand:
    def test_all_and_again(self, old: Backend, tmp_path: Path) -> None:
        fill_all(old)
        who = (old.url, f"sqlite:///{tmp_path / 'cli.db'}")
        dry = run("copy", *who, "--all", "--dry-run")
        assert dry.exit_code == 0
        assert dry.stdout.endswith("Dry run: nothing was written. 3 scope(s) would be copied.\n")
        assert not (tmp_path / "cli.db").exists()
        result = run("copy", *who, "--all")
        assert result.exit_code == 0, result.output
        assert "user ana: 22 items, 28 values, 2 sessions, 32 messages\n" in result.stdout
        assert result.stdout.endswith("3 scope(s) copied; both sides are equal.\n")
        again = run("copy", *who, "--user", "ana")
        assert "new or changed: nothing" in again.stdout

    def test_a_difference_is_exit_code_1(self, old: Backend, tmp_path: Path) -> None:
        old.user("ana").add("shared")
        with connect(f"sqlite:///{tmp_path / 'cli.db'}") as new:
            new.user("ana").add("only here")
        result = run("copy", old.url, new.url, "--user", "ana")
        assert result.exit_code == 1
        assert "there, which has 2 items" in result.stdout
        assert result.stdout.endswith("1 of 1 scope(s) differ; see above.\n")

    def test_a_source_that_is_not_there_is_exit_code_1(self, old: Backend, tmp_path: Path) -> None:
        old.user("ana").add("here")
        missing, target = tmp_path / "mistyped.db", f"sqlite:///{tmp_path / 'cli.db'}"
        result = run("copy", f"sqlite:///{missing}", target, "--all")
        assert result.exit_code == 1
        assert f"There is no file {missing}" in result.stderr
        assert not missing.exists()
        for options in (["--user", "anna"], ["--user", "anna", "--dry-run"]):
            result = run("copy", old.url, target, *options)
            assert result.exit_code == 1
            assert "FROM has nothing of the named user or agent" in result.stderr
        old.user("ana").erase()
        assert run("copy", old.url, target, "--all").stderr.endswith("nothing was copied: FROM has nothing.\n")

    def test_nobody_is_no_default(self, old: Backend, new: Backend) -> None:
        result = run("copy", old.url, new.url)
        assert result.exit_code == 1
        assert "Say whom to copy" in result.stderr
