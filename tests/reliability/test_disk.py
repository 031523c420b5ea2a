"""The embedded file and its disk: power loss, no room, no permission, and other connections of the process."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import writer
from sound import check_file

import memweld
from memweld.engine.sqlite.transactions import SqliteDatabase

PREAMBLE = """
import json, os, resource, sys, memweld
from memweld.testing import HashEmbedder
file = sys.argv[1]

def connect():
    return memweld.connect("sqlite:///" + file, embedder=HashEmbedder(16))

def attempt(call):
    try:
        call()
        return "done"
    except memweld.MemweldError as error:
        return f"{type(error).__name__}: {error}"
"""


def run(code: str, file: Path, *before: str) -> Any:
    """Run the code in a process; what it prints at the end, as JSON."""
    command = [*before, sys.executable, "-c", PREAMBLE + textwrap.dedent(code), str(file)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def pragmas(database: SqliteDatabase) -> list[tuple[int, int]]:
    """Of the writer and of two readers: how they sync, and whether they overwrite what is deleted."""
    readers = [database._pool.take_reader() for _ in range(2)]
    try:
        connections = [database._pool._open_writer(), *readers]
        names = ("synchronous", "secure_delete")
        return [tuple(each.execute(f"PRAGMA {name}").fetchone()[0] for name in names) for each in connections]
    finally:
        for reader in readers:
            database._pool.give_back_reader(reader)


@pytest.mark.parametrize(
    ("argument", "setting", "level"), [(None, None, 1), ("normal", "full", 1), ("full", None, 2), (None, "full", 2)]
)
def test_durability_is_in_force_on_every_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argument: Any, setting: str | None, level: int
) -> None:
    if setting is not None:
        monkeypatch.setenv("MEMWELD_DURABILITY", setting)
    with writer.connect(str(tmp_path / "memory.db"), durability=argument) as backend:
        backend.user("ana").add("I love tea")
        assert pragmas(backend._engine._database) == [(level, 1)] * 3  # type: ignore[attr-defined]


def test_a_durability_that_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(memweld.ConfigurationError, match="normal or full"):
        memweld.connect(f"sqlite:///{tmp_path / 'm.db'}", durability="best")  # type: ignore[arg-type]
    with pytest.raises(memweld.ConfigurationError, match="server"):
        memweld.connect("http://127.0.0.1:9/mcp", durability="full")
    monkeypatch.setenv("MEMWELD_DURABILITY", "best")
    with pytest.raises(memweld.ConfigurationError, match="MEMWELD_DURABILITY"):
        memweld.connect(f"sqlite:///{tmp_path / 'm.db'}")


FILL = """
with connect() as backend:
    ana = backend.user("ana")
    ana.add("kept before the disk was full")
    os.environ.get("LIMITED") and resource.setrlimit(
        resource.RLIMIT_FSIZE, (os.path.getsize(file) + 500_000, resource.RLIM_INFINITY)
    )
    answers, stored = [], 0
    for number in range(400):
        text = f"fact {number} " + "x" * 20_000
        answers.append(attempt(lambda: ana.add([{"role": "user", "content": text + part} for part in "ab"])))
        if answers[-1] != "done":
            break
        stored += 2
    answers += [
        attempt(lambda: ana.history("s").append({"role": "user", "content": "y" * 3_000_000})),
        attempt(lambda: ana.state("n").set("k", "z" * 3_000_000, text="a text")),
    ]
    print(json.dumps([stored, len(ana.all(limit=10_000)), answers, len(ana.search("fact", limit=10_000))]))
"""


def check_full(answer: Any, file: Path) -> None:
    """Whatever did not fit was refused in so many words, whole, and everything else is there."""
    stored, kept, answers, found = answer
    assert 0 < stored < 800
    assert kept == found == stored + 1
    failed = [each for each in answers if each != "done"]
    assert len(failed) == 3, answers
    assert all(each.startswith("BackendUnavailableError") for each in failed), failed
    assert all("what was stored before is intact" in each or "Nothing was stored" in each for each in failed), failed
    check_file(file)
    with writer.connect(str(file)) as backend:
        ana = backend.user("ana")
        assert len(ana.all(limit=10_000)) == stored + 1
        assert (list(ana.state("n")), ana.sessions()) == ([], [])
        ana.add("written again after")
        assert ana.search("written again", limit=1)[0].text == "written again after"
        ana.erase()
    check_file(file)


def test_a_file_that_may_not_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMITED", "1")
    check_full(run(FILL, tmp_path / "memory.db"), tmp_path / "memory.db")


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """A file system of four megabytes, mounted where nobody else sees it."""
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    kept.mkdir()
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    if os.geteuid() == 0:
        alone = ["unshare", "--mount"]
    mount = f"mount -t tmpfs -o size=4m tmpfs {disk}"
    if not shutil.which("unshare") or subprocess.run([*alone, "sh", "-c", mount], check=False).returncode:
        pytest.skip("this system does not let us mount a small disk")
    # Afterwards the file goes to where there is room; its log comes along.
    command = f'{mount} && "$0" "$@"; status=$?; cp {disk}/* {kept}; exit $status'
    check_full(run(FILL, disk / "memory.db", *alone, "sh", "-c", command), kept / "memory.db")


def test_where_nothing_may_be_written(tmp_path: Path) -> None:
    """A file and a directory that are for reading only: clear errors, and not a byte is changed."""
    home = tmp_path / "home"
    file = home / "memory.db"
    with writer.connect(str(file)) as backend:
        backend.user("ana").add("I love tea")
    before = file.read_bytes()
    code = """
        with memweld.connect("sqlite://", embedder=HashEmbedder(16)) as warm:
            warm.user("ana").search(warm.user("ana").add("all is imported")[0].text)
        if os.geteuid() == 0:  # whom no permissions bind; this may make Python's own files unreadable
            os.setgid(65534)
            os.setuid(65534)
        backend = connect()
        ana = backend.user("ana")
        print(json.dumps([attempt(call) for call in (
            lambda: ana.add("I love coffee"),
            lambda: ana.state("n").set("k", 1),
            lambda: ana.erase(),
            lambda: memweld.connect("sqlite:///" + file + ".new").user("ana").state("n").set("k", 1),
        )]))
    """
    for path in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        path.chmod(path.stat().st_mode | 0o055)
    for file_mode, home_mode in ((0o444, 0o555), (0o444, 0o755), (0o000, 0o555)):
        file.chmod(file_mode)
        home.chmod(home_mode)
        answers = run(code, file)
        assert all(answer.startswith("BackendUnavailableError") for answer in answers), answers
        remedies = ("permissions", "may be written", "cannot be opened", "ermission denied")
        assert all(any(word in answer for word in remedies) for answer in answers), answers
        assert file.read_bytes() == before
    file.chmod(0o600)
    home.chmod(0o700)
    with writer.connect(str(file)) as backend:
        backend.user("ana").add("I love coffee")
        assert len(backend.user("ana").search("love")) == 2


def test_a_second_backend_takes_no_locks_away(tmp_path: Path) -> None:
    """POSIX: whoever closes any descriptor of a file gives up all locks that the process has on it.

    Without them another process believes itself alone, and deletes the log that this one is writing.
    """
    file = tmp_path / "memory.db"
    add = 'with connect() as other: other.user("bob").state("n")["k"] = 1\nprint(0)'
    count = 'with connect() as other: print(len(other.user("ana").state("n")))'
    with writer.connect(str(file)) as first, writer.connect(str(file)) as second:
        for number in range(4):
            (first, second)[number % 2].user("ana").state("n")[str(number)] = number
            run(add, file)
            assert Path(f"{file}-wal").exists()
        assert len(first.user("ana").state("n")) == len(second.user("ana").state("n")) == run(count, file) == 4


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    with writer.connect(str(file)) as backend:
        backend.user("ana").add("I love tea")
    file.write_bytes(file.read_bytes()[:5000])
    with writer.connect(str(file)) as backend, pytest.raises(memweld.BackendUnavailableError):
        backend.user("ana").search("tea")


FORK = """
import time
backend = connect()
ana = backend.user("ana")
ana.add("before the fork")
read, write = os.pipe()
child = os.fork()
if not child:
    try:
        ana.state("n")["1"] = 1
        os.write(write, b"x")
        time.sleep(1)  # meanwhile the parent closes the file, as the last of its process
        ana.state("n")["2"] = 2
        ana.add("in the child")
        os._exit(0 if len(ana.search("the")) == 2 else 1)
    finally:
        os._exit(2)
os.read(read, 1)
ana.state("n")["3"] = 3
backend.close()
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
with connect() as backend:
    ana = backend.user("ana")
    print(json.dumps([status, sorted(ana.state("n")), len(ana.search("the"))]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_does_not_lean_on_its_parents_locks(tmp_path: Path) -> None:
    assert run(FORK, tmp_path / "memory.db") == [0, ["1", "2", "3"], 2]
    check_file(tmp_path / "memory.db")


BUSY_FORKS = """
import threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork among threads, which is what this is about
backend = connect()
ana = backend.user("ana")
ana.add("before the fork")
for number in range(300):
    ana.history("h").append(f"message {number}")
stop, written = threading.Event(), []

def read():
    while not stop.is_set():
        ana.history("h").messages()

def write():
    while not stop.is_set():
        ana.state("parent")[str(len(written))] = 1
        written.append(str(len(written)))

threads = [threading.Thread(target=each) for each in (read, read, write)]
for thread in threads:
    thread.start()
children = []
for child in range(8):
    read_end, write_end = os.pipe()
    process = os.fork()
    if not process:
        acknowledged = []
        try:
            for number in range(25):
                ana.state(f"child {child}")[str(number)] = number
                acknowledged.append(str(number))
                time.sleep(0.002)
        except memweld.BackendUnavailableError as error:
            assert "fork" in str(error)
        finally:
            os.write(write_end, json.dumps(acknowledged).encode())
            os._exit(0)
    os.close(write_end)
    children.append((process, read_end))
    backend.user("bob").state("n")[str(child)] = 1
acknowledged = [json.loads(os.read(read_end, 4000)) for _, read_end in children]
statuses = [os.waitpid(process, 0)[1] for process, _ in children]
stop.set()
for thread in threads:
    thread.join()
backend.close()
with connect() as backend:
    ana = backend.user("ana")
    print(json.dumps([
        statuses,
        [sorted(ana.state(f"child {child}")) == sorted(acknowledged[child]) for child in range(8)],
        sorted(ana.state("parent")) == sorted(written) and len(written) > 8,
    ]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_among_threads_that_read_and_write(tmp_path: Path) -> None:
    """Every acknowledged write of parent and children is stored; a child that cannot use the file says so."""
    answer = run(BUSY_FORKS, tmp_path / "memory.db", "timeout", "100")
    assert answer == [[0] * 8, [True] * 8, True]
    check_file(tmp_path / "memory.db")


LONG_READ_FORK = """
import subprocess, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
backend = connect()
ana = backend.user("ana")
ana.state("n")["0"] = 0
reads, ends = threading.Event(), threading.Event()

def read():
    with backend._engine.database.reading_all() as connection:
        connection.execute("SELECT * FROM state").fetchall()
        reads.set()
        ends.wait(60)

thread = threading.Thread(target=read)
thread.start()
reads.wait(60)
read_end, write_end = os.pipe()
again_end, may_end = os.pipe()
child = os.fork()
if not child:
    try:
        first = attempt(lambda: ana.state("n").set("1", 1))
        os.write(write_end, b"x")
        os.read(again_end, 1)  # meanwhile the parent has closed the file
        again = attempt(lambda: connect().user("ana").state("n").set("2", 2))
        other = attempt(lambda: memweld.connect("sqlite:///" + file + ".other").user("ana").state("n").set("1", 1))
        os.write(write_end, json.dumps([first, again, other]).encode())
    finally:
        os._exit(0)
os.read(read_end, 1)
ana.state("n")["3"] = 3
ends.set()
thread.join()
backend.close()
os.write(may_end, b"x")
answers = json.loads(os.read(read_end, 4000))
os.waitpid(child, 0)
# A child that is forked when nobody reads any more may use the file.
backend = connect()
backend.user("ana").state("n")["4"] = 4
child = os.fork()
if not child:
    try:
        backend.user("ana").state("n")["5"] = 5
    finally:
        os._exit(0)
os.waitpid(child, 0)
print(json.dumps([answers, sorted(backend.user("ana").state("n"))]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_in_the_middle_of_a_long_read(tmp_path: Path) -> None:
    """The child is told that it cannot use the file; every other file it can."""
    (first, again, other), kept = run(LONG_READ_FORK, tmp_path / "memory.db", "timeout", "100")
    assert first.startswith("BackendUnavailableError")
    assert again.startswith("BackendUnavailableError")
    assert "fork" in first
    assert "fork" in again
    assert other == "done"
    assert kept == ["0", "3", "4", "5"]
    check_file(tmp_path / "memory.db")
