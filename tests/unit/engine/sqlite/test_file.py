"""The embedded file: where it lies, what it survives, what it refuses, and what is left of it after an erasure."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import memweld
from memweld.engine.fork import BackgroundThread
from memweld.engine.operations import PutValue, WriteValues
from memweld.engine.sqlite import vacuum
from memweld.engine.sqlite.url import path_of
from memweld.models import ValueWrite
from memweld.testing import HashEmbedder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def backend(file: Path) -> Iterator[memweld.Backend]:
    with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as backend:
        yield backend


def spawn(code: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_default_file_is_in_the_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with memweld.connect() as backend:
        assert not (tmp_path / "memweld").exists(), "connecting opens nothing"
        backend.user("ana").state("n")["k"] = 1
    with memweld.connect() as backend:
        assert backend.user("ana").state("n")["k"] == 1
    assert backend.url == f"sqlite:///{tmp_path}/memweld/memory.db"


def test_the_environment_moves_it(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setenv("MEMWELD_URL", f"sqlite:///{file}")
    with memweld.connect() as backend:
        backend.user("ana").state("n")["k"] = 1
    assert file.exists()


def test_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert path_of("sqlite://") is None
    assert path_of("sqlite:///team.db") == str(tmp_path / "team.db")
    assert path_of("sqlite:////data/team.db") == "/data/team.db"
    assert path_of("sqlite:///~/team.db") == str(Path.home() / "team.db")


@pytest.mark.parametrize("url", ["sqlite://team.db", "redis://x", "team.db", "sqlite:team.db", "mysql://u:secret@h/d"])
def test_urls_that_lead_nowhere(url: str) -> None:
    with pytest.raises(memweld.ConfigurationError) as caught:
        memweld.connect(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["gpt", '{"provider": "openai", "config": {"api_key": "sk-s3cret"}'])
def test_a_wrong_environment_variable(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MEMWELD_LLM", value)
    with pytest.raises(memweld.ConfigurationError, match="MEMWELD_LLM") as caught:
        memweld.connect("sqlite://")
    assert "s3cret" not in str(caught.value)


def test_in_memory_is_shared_by_threads_and_ends_with_the_backend() -> None:
    with memweld.connect("sqlite://", embedder=HashEmbedder()) as backend:
        backend.user("ana").add("I love tea")
        assert len(backend.user("ana").search("tea")) == 1
    with memweld.connect("sqlite://", embedder=HashEmbedder()) as backend:
        assert backend.user("ana").all() == []


def test_it_survives_a_restart(file: Path) -> None:
    for expected in (1, 2, 3):
        with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as backend:
            ana = backend.user("ana")
            ana.add(f"fact number {expected}")
            assert len(ana.search("fact number")) == expected


def test_a_url_has_no_options(tmp_path: Path) -> None:
    """Not a file that is named after them."""
    with pytest.raises(memweld.ConfigurationError, match="no options"):
        memweld.connect(f"sqlite:///{tmp_path / 'memory.db'}?mode=ro").user("ana").state("n").set("k", 1)
    assert list(tmp_path.iterdir()) == []


def test_what_a_link_points_to_is_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    before = os.umask(0o022)
    try:
        with memweld.connect(f"sqlite:///{tmp_path / 'link.db'}", embedder=HashEmbedder()) as backend:
            backend.user("ana").state("n")["k"] = 1
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("link.db", "real.db", "real.db-wal", "real.db-shm"), 0o600)


@pytest.mark.parametrize("how", ["deleted", "replaced", "moved"])
def test_a_file_that_is_gone_takes_no_writes(file: Path, backend: memweld.Backend, how: str) -> None:
    """No write is acknowledged and lost, and no other file appears in its place."""
    ana = backend.user("ana")
    ana.state("n")["k"] = 1
    before = sorted(path.name for path in file.parent.iterdir())
    if how == "replaced":
        with memweld.connect(f"sqlite:///{file.with_name('other.db')}") as other:
            other.user("ana").state("n")["k"] = 7
        file.with_name("other.db").replace(file)
    elif how == "moved":
        file.rename(file.with_name("moved.db"))
    else:
        file.unlink()
    match = "replaced by another file" if how == "replaced" else "was deleted"
    for write in (
        lambda: ana.state("n").set("k", 2),
        lambda: ana.add("I keep bees"),
        lambda: ana.history("s").add_user_message("x"),
        ana.erase,
    ):
        with pytest.raises(memweld.BackendUnavailableError, match=match):
            write()
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(lambda: ana.state("n").get("k")) for _ in range(8)]
    assert all(answer.exception() is not None or answer.result() == 1 for answer in answers)
    assert file.exists() is (how == "replaced")
    backend.close()
    if how == "replaced":
        # As the error says: SQLite would take the old log for one of the new file.
        for end in ("-wal", "-shm"):
            file.with_name(f"{file.name}{end}").unlink()
    with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as again:
        assert again.user("ana").state("n").get("k") == (7 if how == "replaced" else None)
        again.user("ana").state("n")["k"] = 3
        assert file.stat().st_mode & 0o077 == 0
    assert set(before) - {path.name for path in file.parent.iterdir()} <= {"memory.db-wal", "memory.db-shm"}


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_log_that_is_gone_takes_no_writes(file: Path, backend: memweld.Backend, how: str) -> None:
    ana, log = backend.user("ana"), file.with_name(f"{file.name}-wal")
    ana.state("n")["k"] = 1
    log.unlink()
    if how == "replaced":
        log.touch()
    with pytest.raises(memweld.BackendUnavailableError, match=r"The log of .* was deleted or replaced"):
        ana.state("n")["k"] = 2
    if how == "replaced":
        log.unlink()
    backend.close()
    with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as again:
        assert again.user("ana").state("n")["k"] == 1


@pytest.mark.parametrize(
    ("damage", "reading", "repair"),
    [
        ("UPDATE messages SET content = '\"hel'", "messages", "clear"),
        ("UPDATE messages SET native = '[', created_at = 'noon'", "export", "clear"),
        ("UPDATE items SET metadata = '{\"a\":' WHERE kind = 'item'", "all", "delete"),
        ("UPDATE items SET created_at = 'noon' WHERE kind = 'item'", "search", "delete"),
        ("UPDATE state SET value = '{'", "get", "unset"),
        ("UPDATE state SET value = '{'", "find", "unset"),
        ("UPDATE items SET vector = x'00' WHERE kind = 'item'", "search", None),
    ],
)
def test_a_damaged_row_names_its_repair(file: Path, damage: str, reading: str, repair: str | None) -> None:
    with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as backend:
        ana = backend.user("ana")
        item = ana.add("I keep bees", metadata={"a": 1})[0]
        ana.preferences.set("theme", "dark")
        ana.history("h").append("hello")
        ana.state("n")["k"] = {"a": 1}
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(damage)
    connection.close()
    with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as backend:
        ana = backend.user("ana")
        calls: dict[str, Callable[[], object]] = {
            "messages": ana.history("h").messages,
            "export": ana.export,
            "all": ana.all,
            "search": lambda: ana.search("bees"),
            "get": lambda: ana.state("n").get("k"),
            "find": lambda: ana.values.find(where={"a": 1}),
            "delete": lambda: ana.delete(item.id),
            "clear": ana.history("h").clear,
            "unset": lambda: ana.state("n").delete("k"),
        }
        with pytest.raises(memweld.BackendUnavailableError, match=r"is damaged .* Restore a backup, or"):
            calls[reading]()
        if repair is not None:
            calls[repair]()
            calls[reading]()


def test_what_is_deleted_or_replaced_leaves_the_log(file: Path, backend: memweld.Backend) -> None:
    """Soon, on a quiet backend that stays open."""
    ana = backend.user("ana")
    item, other = ana.add("CANARY one")[0], ana.add("CANARY two")[0]
    ana.history("h").append("CANARY three")
    ana.preferences.set("p", "CANARY four")
    ana.state("n")["k"] = "CANARY five"
    ana.state("n").set("gone", 1, text="CANARY six")
    first, second = (ana.history("i").add_user_message(text) for text in ("CANARY seven", "eight"))
    ana.delete(item.id)
    ana.update(other.id, "new text")
    earlier, _ = ana.versions(other.id)
    ana.delete(earlier.id)
    ana.history("h").clear()
    ana.preferences.delete("p")
    ana.state("n")["k"] = 0
    ana.state("n").delete("gone")
    ana.history("i").replace([second], known=[str(first.id)])
    deadline = time.monotonic() + 60
    files = [file, file.with_name(f"{file.name}-wal")]
    while any(b"CANARY" in each.read_bytes() for each in files) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(b"CANARY" in each.read_bytes() for each in files)
    assert ana.history("i").messages() == [second]


def test_a_deletion_needs_no_thread(file: Path, backend: memweld.Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no more of them, the next deletion has the log cut."""
    ana = backend.user("ana")
    item, other = ana.add("CANARY one")[0], ana.add("CANARY two")[0]
    with monkeypatch.context() as patch:

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        patch.setattr(threading.Thread, "start", refuse)
        ana.delete(item.id)
    ana.delete(other.id)
    deadline = time.monotonic() + 60
    while any(b"CANARY" in each.read_bytes() for each in (file, file.with_name(f"{file.name}-wal"))):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert ana.all() == []


def test_erasures_share_one_rewriting(backend: memweld.Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that wait for their turn at the same time."""
    users = [backend.user(f"user {number}") for number in range(5)]
    for user in users:
        user.add("I keep bees")
    plain, rewritten = vacuum._rewrite, list[int]()

    def rewrite(connection: sqlite3.Connection) -> None:
        rewritten.append(1)
        plain(connection)

    monkeypatch.setattr(vacuum, "_rewrite", rewrite)
    pool = backend._engine._database._pool  # type: ignore[attr-defined]
    pool.take_writer()
    with ThreadPoolExecutor(5) as threads:
        receipts = [threads.submit(user.erase) for user in users]
        while len(pool._writing._queue) < len(users):
            time.sleep(0.01)
        pool.give_back_writer()
        assert [receipt.result(30).overwritten for receipt in receipts] == [True] * 5
    assert len(rewritten) <= 2


def test_a_name_with_marks_of_urls(tmp_path: Path) -> None:
    file = tmp_path / "a b?mode=ro#x%20ü.db"
    with memweld.connect("sqlite://", embedder=HashEmbedder()) as backend:
        from memweld.engine.sqlite.transactions import SqliteDatabase

        backend.user("ana").state("n")["k"] = 1
        database = SqliteDatabase(str(file))
        with database.writing_all() as connection:
            connection.execute("INSERT INTO meta VALUES ('k', 'v')")
        database.close()
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_not_a_database(file: Path) -> None:
    file.write_bytes(b"something else entirely" * 100)
    with (
        memweld.connect(f"sqlite:///{file}") as backend,
        pytest.raises(memweld.BackendUnavailableError, match="not a database"),
    ):
        backend.user("ana").sessions()
    assert file.read_bytes() == b"something else entirely" * 100


def test_written_by_a_newer_version(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with (
        memweld.connect(f"sqlite:///{file}") as backend,
        pytest.raises(memweld.BackendUnavailableError, match="upgrade memweld"),
    ):
        backend.user("ana").sessions()


def test_migrated_by_a_newer_version_while_it_is_open(file: Path, backend: memweld.Backend) -> None:
    state = backend.user("ana").state("n")
    state["k"] = 1
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(memweld.BackendUnavailableError, match="upgrade memweld"):
        state["k"] = 2
    assert state["k"] == 1


def test_who_stores_nothing_is_not_known(backend: memweld.Backend) -> None:
    """Neither by a condition that fails nor by deleting what is not there."""
    engine = backend._engine
    eve = memweld.Scope("eve")
    assert engine.run(eve, PutValue(namespace="n", key="k", value=1, if_version=7)) is None
    engine.run(eve, WriteValues(writes=[ValueWrite(namespace="n", key="k", delete=True)]))
    assert backend.admin.list_scopes(after=None, limit=9) == []
    assert engine.run(eve, PutValue(namespace="n", key="k", value=1, if_version=0))
    assert backend.admin.list_scopes(after=None, limit=9) == [eve]


def test_an_interrupted_beginning_keeps_nobody_out(
    file: Path, backend: memweld.Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the moment after a transaction began."""
    state = backend.user("ana").state("n")
    state["k"] = 1

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    database = backend._engine._database  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr(database, "_look_around", interrupt)
        with pytest.raises(KeyboardInterrupt):
            state["k"] = 2
    with ThreadPoolExecutor(1) as pool:
        pool.submit(state.set, "k", 3).result(10)
    with memweld.connect(f"sqlite:///{file}") as other:
        other.user("ana").state("n")["other"] = 1
    assert state["k"] == 3


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        memweld.connect(f"sqlite:///{tmp_path / 'file' / 'memory.db'}") as backend,
        pytest.raises(memweld.BackendUnavailableError, match="cannot be opened"),
    ):
        backend.user("ana").sessions()


def test_a_full_disk_is_a_clear_error_and_loses_nothing(file: Path, backend: memweld.Backend) -> None:
    ana = backend.user("ana")
    ana.add("kept before the disk was full")
    database = backend._engine._database  # type: ignore[attr-defined]  # the page limit stands in for the disk's
    writer = database._pool._open_writer()
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages + 2}")
    history = ana.history("s")
    with pytest.raises(memweld.BackendUnavailableError, match="disk space"):
        history.append([{"role": "user", "content": "x" * 1000} for _ in range(1000)])
    assert history.messages() == []
    writer.execute("PRAGMA max_page_count = 1000000")
    assert [item.text for item in ana.all()] == ["kept before the disk was full"]
    ana.add("and written again after")
    assert len(ana.all()) == 2


def test_processes_share_a_file(file: Path, backend: memweld.Backend) -> None:
    code = """
        import sys, memweld
        from memweld.testing import HashEmbedder
        with memweld.connect("sqlite:///" + sys.argv[1], embedder=HashEmbedder()) as backend:
            ana = backend.user("ana")
            for number in range(20):
                ana.add(f"process {sys.argv[2]} fact {number}")
                ana.add("a fact that every process adds")
                ana.state("n").update("count", lambda value: value + 1, default=0)
                ana.history("s").add_user_message(f"{sys.argv[2]}-{number}")
    """
    processes = [spawn(code, str(file), str(number)) for number in range(3)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    ana = backend.user("ana")
    assert len(ana.all(limit=1000)) == 61
    assert len(ana.search("fact", limit=100)) == 61
    assert ana.state("n")["count"] == 60
    messages = [message.text for message in ana.history("s").messages()]
    assert len(messages) == len(set(messages)) == 60
    for number in range(3):
        own = [text for text in messages if text.startswith(f"{number}-")]
        assert own == [f"{number}-{each}" for each in range(20)], "a process's own messages keep their order"


def test_a_restore_in_another_process_lets_writers_in(file: Path, backend: memweld.Backend) -> None:
    """The lock of a file's writers is no queue between processes: batches leave room, and nobody times out."""
    code = """
        import json, sys, memweld
        from memweld.testing import HashEmbedder
        at = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
        with memweld.connect("sqlite:///" + sys.argv[1], embedder=HashEmbedder()) as backend:
            bob = backend.user("bob")
            print("ready", flush=True)
            for turn in range(4):
                items = [{"id": f"{turn} {row}", "text": f"text {turn} {row}", **at} for row in range(1000)]
                bob.restore({"format": "memweld-export", "version": 1, "user_id": "bob", "items": items})
    """
    ana = backend.user("ana")
    ana.add("before")
    process = spawn(code, str(file))
    assert process.stdout is not None
    process.stdout.readline()
    worst, writes = 0.0, 0
    while process.poll() is None:
        started_at = time.monotonic()
        ana.add(f"fact {writes}")
        worst, writes = max(worst, time.monotonic() - started_at), writes + 1
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert worst < 10
    assert (len(backend.user("bob").all(limit=10_000)), len(ana.all(limit=10_000))) == (4000, writes + 1)


def test_what_was_acknowledged_survives_a_kill(file: Path) -> None:
    code = """
        import sys, memweld
        from memweld.testing import HashEmbedder
        ana = memweld.connect("sqlite:///" + sys.argv[1], embedder=HashEmbedder()).user("ana")
        for number in range(100000):
            ana.add(f"fact {number}")
            print(number, flush=True)
    """
    process = spawn(code, str(file))
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(25)]
    os.kill(process.pid, signal.SIGKILL)
    # Not communicate(): it leaves out what the lines above have read ahead.
    acknowledged += [int(line) for line in process.stdout.read().splitlines()]
    process.communicate()
    with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as backend:
        ana = backend.user("ana")
        kept = [item.text for item in ana.all(limit=10_000)]
        assert kept[: len(acknowledged)] == [f"fact {number}" for number in acknowledged]
        assert len(kept) <= len(acknowledged) + 1
        assert {hit.text for hit in ana.search("fact", limit=10_000)} == set(kept)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_opens_the_file_anew(backend: memweld.Backend) -> None:
    ana = backend.user("ana")
    ana.add("before the fork")
    child = os.fork()
    if not child:
        try:
            ana.add("in the child")
            os._exit(0 if len(ana.search("fork child")) == 2 else 1)
        finally:
            os._exit(2)
    deadline = time.monotonic() + 60
    done = (0, 0)
    while done[0] == 0 and time.monotonic() < deadline:
        done = os.waitpid(child, os.WNOHANG)
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(done[1]) == 0
    assert len(ana.search("fork child")) == 2


def test_nothing_is_left_of_an_erased_user(file: Path, backend: memweld.Backend) -> None:
    secrets = ["Zanzibar", "xylophone", "quokka", "marzipan", "Kilimanjaro", "ana-the-erased@example.com"]
    ana = backend.user(secrets[5])
    bob = backend.user("bob")
    (item,) = ana.add("I was born in Zanzibar", metadata={"animal": "quokka"})
    for number in range(200):
        ana.add(f"fact {number} about a xylophone")
        bob.add(f"fact {number} about tea")
    ana.update(item.id, "I was born on the Kilimanjaro")
    ana.delete(ana.add("My marzipan is stolen")[0].id)
    ana.preferences.set("animal", "quokka")
    ana.state("zoo")["animal"] = {"name": "quokka"}
    ana.history("marzipan").append("I play the xylophone in Zanzibar")

    def raw() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(file.parent.iterdir())).lower()

    before = raw()
    assert [secret for secret in secrets if secret.lower().encode() not in before] == []
    assert ana.erase().counts["items"] == 203, "with the earlier text"
    after = raw()
    assert [secret for secret in secrets if secret.lower().encode() in after] == []
    assert len(bob.search("tea", limit=1000)) == 200


def test_vectors_of_another_embedder_are_not_compared(file: Path) -> None:
    with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as backend:
        backend.user("ana").add("I love tea")
    with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder(32)) as backend:
        ana = backend.user("ana")
        with pytest.raises(memweld.ConfigurationError, match="memweld-hash-64"):
            ana.search("tea")
        with pytest.raises(memweld.ConfigurationError):
            ana.add("I love coffee")
        assert len(ana.all()) == 1, "what needs no vectors still works"


def test_the_first_writer_decides_on_the_embedder(file: Path) -> None:
    with (
        memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as one,
        memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder(32)) as other,
    ):
        one.user("ana").search("loads the embedder while the file is empty")
        other.user("ana").search("so does this")
        one.user("ana").add("I love tea")
        with pytest.raises(memweld.ConfigurationError, match="memweld-hash-64"):
            other.user("ana").add("I love coffee")


def test_a_backend_that_is_not_closed_leaves_no_warning(file: Path) -> None:
    code = """
        import sys, memweld
        memweld.connect("sqlite:///" + sys.argv[1]).user("ana").state("n").set("k", 1)
        kept = memweld.connect("sqlite:///" + sys.argv[1])
        print(kept.user("ana").state("n").get("k"))
    """
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "1\n", "")


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    with memweld.connect(f"sqlite:///{tmp_path / 'new' / 'memory.db'}") as backend:
        backend.user("ana").state("n")["k"] = 1
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()}
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_a_database_of_another_program_is_left_as_it_is(file: Path) -> None:
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE customers (name TEXT)")
    connection.commit()
    connection.close()
    before = file.read_bytes()
    with memweld.connect(f"sqlite:///{file}") as backend, pytest.raises(memweld.MemweldError, match="another program"):
        backend.user("ana").sessions()
    assert file.read_bytes() == before


def test_a_state_that_was_deleted_and_set_again_is_not_taken_for_unchanged(
    file: Path, backend: memweld.Backend
) -> None:
    state = backend.user("ana").state("n")
    state["k"] = 1
    with memweld.connect(f"sqlite:///{file}") as other:
        elsewhere = other.user("ana").state("n")
        seen: list[int] = []

        def increment(value: int) -> int:
            seen.append(value)
            if len(seen) == 1:
                del elsewhere["k"]
                elsewhere["k"] = 100
            return value + 1

        assert state.update("k", increment) == 101
    assert seen == [1, 100]


def test_of_several_that_pop_one_gets_the_value(backend: memweld.Backend) -> None:
    state = backend.user("ana").state("n")
    state["k"] = "value"
    with ThreadPoolExecutor(8) as pool:
        popped = list(pool.map(lambda _: state.pop("k", None), range(8)))
    assert sorted(popped, key=str) == [None] * 7 + ["value"]
    with pytest.raises(KeyError):
        state.pop("k")


def test_an_erasure_says_when_somebody_still_reads_what_is_gone(
    file: Path, backend: memweld.Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memweld.engine.sql.erase._PATIENCE_SECONDS", 0.1)
    ana = backend.user("ana")
    ana.add("I was born in Zanzibar")
    reader = sqlite3.connect(file, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM items").fetchone()
    assert not ana.erase().overwritten
    assert ana.all() == []
    reader.close()
    assert ana.erase().overwritten
    assert b"zanzibar" not in b"".join(path.read_bytes() for path in file.parent.iterdir()).lower()


def test_a_fresh_file_may_be_opened_by_many_at_once(tmp_path: Path) -> None:
    for number in range(10):
        file = tmp_path / f"{number}.db"
        backends = [memweld.connect(f"sqlite:///{file}") for _ in range(8)]

        def write(backend: memweld.Backend) -> None:
            backend.user("ana").state("n")["k"] = 1

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, backends))
        for backend in backends:
            assert backend.user("ana").state("n")["k"] == 1
            backend.close()


def test_an_id_that_an_older_python_let_through_locks_nobody_out(file: Path, backend: memweld.Backend) -> None:
    ana = backend.user("ana")
    ana.add("I love tea")
    ana.add("I love trams")
    backend.user("ana", agent_id="bot").add("noted")
    connection = sqlite3.connect(file)
    connection.execute("UPDATE owners SET agent_id = ? WHERE agent_id = 'bot'", ("bot\u200b",))
    connection.commit()
    connection.close()
    assert len(ana.all()) == 3
    assert len(ana.search("love")) == 3
    assert len(ana.export()["items"]) == 3
    assert ana.erase().counts["items"] == 3


def test_users_with_many_agents(backend: memweld.Backend) -> None:
    for number in range(1500):
        backend.user("ana", agent_id=f"agent {number}").state("n")["k"] = number
    backend.user("ana", agent_id="agent 7").add("noted by seven")
    ana = backend.user("ana")
    assert [hit.agent_id for hit in ana.search("noted")] == ["agent 7"]
    assert len(ana.export()["state"]) == 1500
    assert ana.erase().counts["values"] == 1500


def test_the_end_of_the_program_waits_for_a_thread_of_memwelds_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.11 crashes where a connection is closed in the middle of another thread's statement."""
    monkeypatch.setattr("memweld.engine.sqlite.pool._FORK_SECONDS", 30)
    with memweld.connect(f"sqlite:///{tmp_path / 'm.db'}", embedder=HashEmbedder()) as backend:
        backend.user("ana").add("tea")
        pool = backend._engine._database._pool  # type: ignore[attr-defined]
        writes, answers = threading.Event(), list[object]()

        def work() -> None:
            connection = pool.take_writer()
            writes.set()
            time.sleep(0.2)
            try:
                answers.append(connection.execute("SELECT 1").fetchone())
            finally:
                pool.give_back_writer()

        thread = BackgroundThread(work, "test")
        thread.start()
        assert writes.wait(20)
        pool._finalizer()  # as at the end of the program
        thread.join(20)
    assert answers == [(1,)]
