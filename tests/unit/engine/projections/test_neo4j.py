"""The graph without its server: the outbox, the rule for entities, addresses, and a memory whose graph is down."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from threading import Event
from typing import Any

import pytest

import memweld
from memweld import Backend, ConfigurationError, Hit
from memweld.engine.projections.delivery import Deliverer
from memweld.engine.projections.neo4j.entity_extraction import EntityFinder
from memweld.engine.projections.neo4j.entity_names import is_in, key_of, words_of
from memweld.engine.projections.neo4j.entity_rules import MOST_ENTITIES, by_rule
from memweld.engine.projections.neo4j.projection import properties_of
from memweld.engine.projections.neo4j.queries import DIRECT, LINKED, MOST, raise_scores
from memweld.engine.projections.neo4j.url import parse_graph_url
from memweld.engine.projections.protocol import RefusedError
from memweld.engine.sql import delivery_lease
from memweld.engine.sql.delivery_lease import Claim, DeliveryLease
from memweld.engine.sql.outbox import Entry, Outbox
from memweld.engine.sqlite.transactions import SqliteDatabase
from memweld.testing import HashEmbedder
from memweld.tools import TOOLS


@pytest.fixture
def nobody() -> Iterator[str]:
    """A URL at which no server listens; the port is kept from others meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"bolt://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def database(file: Path) -> Iterator[SqliteDatabase]:
    database = SqliteDatabase(str(file))
    yield database
    database.close()


@pytest.fixture
def outbox(database: SqliteDatabase) -> Outbox:
    return Outbox(database)


@pytest.fixture
def backend(file: Path) -> Iterator[Backend]:
    with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as backend:
        yield backend


def place(outbox: Outbox, memory_id: str) -> int:
    """The number by which the outbox knows an item."""
    with outbox.reading() as connection:
        return int(connection.execute("SELECT seq FROM items WHERE id = ?", (memory_id,)).fetchone()[0])


def waiting(outbox: Outbox) -> list[int]:
    """The items that wait, in order; they are taken out."""
    lease = DeliveryLease(outbox)
    lease.claim("test", 60)
    changes = outbox.take(10_000)
    assert lease.done("test", changes, seconds=0)
    return [change.item for change in changes]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# the outbox


def test_without_a_graph_nothing_waits(backend: Backend, outbox: Outbox) -> None:
    backend.user("ana").add("I love tea")
    assert outbox.store() is None
    assert outbox.pending().count == 0


def test_every_change_of_an_item_waits_whoever_makes_it(backend: Backend, outbox: Outbox) -> None:
    """Also those of a process that knows of no graph."""
    ana, agent = backend.user("ana"), backend.user("ana", agent_id="r")
    (old,) = ana.add("I was here before")
    name = outbox.attach()
    assert (outbox.attach(), outbox.store()) == (name, name)
    first = place(outbox, old.id)
    assert waiting(outbox) == [first]

    (item,) = ana.add("I love tea")
    assert ana.add("I love tea") == [item]  # stored once, told once
    theme = ana.preferences.set("theme", "dark")
    noted = agent.tasks.record("t", outcome="done")
    assert noted.task_id == "t"
    task = agent.all()[0]
    tea, dark, done = (place(outbox, each.id) for each in (item, theme, task))
    assert waiting(outbox) == [tea, dark, done]

    ana.update(item.id, "I love coffee")
    ana.preferences.set("theme", "light")
    assert waiting(outbox) == [tea, dark]

    state = ana.state("n")
    state.set("k", 1, text="K is one")
    record = next(each for each in ana.all() if each.kind == "record")
    spoken = place(outbox, record.id)
    state.set("k", 2, text="K is two")
    state.delete("k")
    assert waiting(outbox) == [spoken] * 3
    state.set("k", 1, text="K is one", ttl=60)
    expiring = next(each for each in ana.all() if each.kind == "record")
    short = place(outbox, expiring.id)
    backend._engine.values.purging.seconds = float("inf")  # pyright: ignore[reportAttributeAccessIssue]
    state.set("k", 1, text="K is one", ttl=0.05)
    time.sleep(0.1)
    assert outbox.entries([short]) == {}, "what has expired is told to nobody"
    assert backend.admin.purge_expired() == 1
    assert waiting(outbox) == [short] * 3
    state["plain"] = 1
    assert waiting(outbox) == []

    ana.delete(item.id)
    assert waiting(outbox) == [tea]
    exported = ana.export()
    assert ana.clear() == 3
    assert waiting(outbox) == [first, dark, done]
    assert ana.restore(exported)["items"] == 4, "with the earlier value of the theme, which no graph has"
    again = [place(outbox, each.id) for each in (old, theme, task)]
    assert waiting(outbox) == again
    assert not {first, dark, done} & set(again), "a number is never used twice"
    ana.erase()
    assert sorted(waiting(outbox)) == sorted(again)


def test_what_is_not_committed_does_not_wait(backend: Backend, database: SqliteDatabase, outbox: Outbox) -> None:
    (item,) = backend.user("ana").add("I love tea")
    outbox.attach()
    assert waiting(outbox) == [place(outbox, item.id)]

    def fail() -> None:
        with database.writing_all() as connection:
            connection.execute("DELETE FROM items")
            assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (1,)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (waiting(outbox), len(backend.user("ana").all())) == ([], 1)


def test_what_waits_of_somebody_erased_says_nothing(backend: Backend, outbox: Outbox, file: Path) -> None:
    outbox.attach()
    ana = backend.user("ana-with-a-name")
    ana.add("A secret about Clara")
    ana.update(ana.all()[0].id, "Another secret")
    assert ana.erase().overwritten
    assert outbox.pending().count == 3
    held = b"".join(each.read_bytes() for each in file.parent.iterdir())
    assert b"secret" not in held
    assert b"ana-with-a-name" not in held


def test_one_delivers_at_a_time(outbox: Outbox) -> None:
    outbox.attach()
    lease = DeliveryLease(outbox)
    outbox.put([101, 102])
    assert lease.claim("one", 60) == Claim(1)
    assert (lease.claim("two", 60), lease.claim("one", 60)) == (None, Claim(1))
    changes = outbox.take(10)
    assert lease.done("one", changes[:1], seconds=0)
    assert lease.claim("two", 60) == Claim(2)
    assert not lease.done("one", changes, seconds=60), "it was overtaken: what it did may not be what stands"
    assert [change.item for change in outbox.take(10)] == [102]
    lease.failed("two", "it is down", retry_in=0)
    state = lease.state()
    assert (state.fence, state.problem, state.failing_since is not None) == (2, "it is down", True)
    assert lease.claim("one", 60) == Claim(3)
    outbox.postpone(changes[1:])
    assert [(change.item, change.version > changes[1].version) for change in outbox.take(10)] == [(102, True)]
    assert lease.done("one", outbox.take(10), seconds=0)
    assert (lease.state().problem, lease.state().failing_since) == (None, None)
    lease.overtake("one", 41)
    assert lease.claim("one", 0.01) == Claim(42)
    outbox.put([103])
    time.sleep(0.02)
    taken = lease.claim("two", 60)
    assert taken == Claim(43, outbox.pending().last), "the holder before has not given it back"


def test_targets_share_the_outbox_and_nothing_of_it(outbox: Outbox, database: SqliteDatabase) -> None:
    other = Outbox(database, "mem0")
    outbox.put([101])
    other.put([102])
    assert ([each.item for each in outbox.take(9)], [each.item for each in other.take(9)]) == ([101], [102])
    assert DeliveryLease(outbox).claim("one", 60) is not None
    assert DeliveryLease(other).claim("two", 60) is not None
    assert (other.detach(), outbox.pending().count) == (1, 1)


def test_what_is_put_off_waits(outbox: Outbox) -> None:
    outbox.put([101, 102])
    outbox.postpone(outbox.take(1), seconds=60)
    assert [change.item for change in outbox.take(10)] == [102]
    assert (outbox.pending().count, outbox.pending(due=True).count, outbox.pending(deleted=True).count) == (2, 1, 2)
    outbox.bring_forward()
    assert [change.item for change in outbox.take(10)] == [102, 101]


class Recorder:
    """A target that notes what it receives, and does what a test wants."""

    batch = 10
    knows_fences = False

    def __init__(self) -> None:
        self.received: list[tuple[list[str], list[int]]] = []
        self.act: Callable[[Sequence[Entry]], Collection[int]] = lambda _: ()

    def deliver(self, fence: int, entries: Sequence[Entry], deleted: Sequence[int]) -> Collection[int]:
        assert fence > 0
        answer = self.act(entries)
        self.received.append(([entry.text for entry in entries], list(deleted)))
        return answer


def test_a_deliverer_delivers_in_order_and_reads_items_late(backend: Backend, outbox: Outbox) -> None:
    outbox.attach()
    ana, target = backend.user("ana"), Recorder()
    (tea, coffee) = ana.add([{"role": "user", "content": text} for text in ("tea", "coffee")])
    ana.update(tea.id, "cocoa")
    gone = place(outbox, coffee.id)
    ana.delete(coffee.id)
    deliverer = Deliverer(outbox, target)
    assert deliverer.settle(timeout=30)
    assert target.received == [(["cocoa"], [gone])]
    deliverer.stop(5)


def test_a_refused_entry_does_not_keep_others_waiting(
    backend: Backend, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox.attach()
    ana, target = backend.user("ana"), Recorder()

    def refuse(entries: Sequence[Entry]) -> Collection[int]:
        if any(entry.text == "poison" for entry in entries):
            raise RefusedError("no poison here")
        return ()

    target.act = refuse
    ana.add([{"role": "user", "content": text} for text in ("one", "poison", "two")])
    deliverer = Deliverer(outbox, target)
    problems: list[str | None] = []
    failed = deliverer.lease.failed

    def note(*arguments: Any, **options: Any) -> None:
        problems.append(deliverer.lease.state().problem)
        failed(*arguments, **options)

    monkeypatch.setattr(deliverer.lease, "failed", note)
    with pytest.raises(memweld.BackendUnavailableError, match="no poison here"):
        deliverer.settle_or_fail(30)
    assert sorted(target.received[:2]) == [(["one"], []), (["two"], [])]
    assert outbox.pending().count == 1
    deliverer.urge()
    until(lambda: len(problems) >= 2)
    assert problems[1] == "no poison here", "to deliver the others is no end of the problem"
    deliverer.stop(5)


def test_an_entry_that_is_too_early_is_delivered_later(backend: Backend, outbox: Outbox) -> None:
    outbox.attach()
    target = Recorder()
    (item,) = backend.user("ana").add("tea")
    target.act = lambda _: [place(outbox, item.id)] if not target.received else []
    deliverer = Deliverer(outbox, target)
    assert deliverer.settle(timeout=30), "nothing more can be done now"
    until(lambda: not outbox.pending().count)
    assert target.received == [(["tea"], [])] * 2
    deliverer.stop(5)


@pytest.mark.parametrize("knows_fences", [False, True])
def test_what_an_overtaken_holder_may_deliver_late_is_repeated(
    backend: Backend, outbox: Outbox, *, knows_fences: bool
) -> None:
    """A process that stalls longer than its lease may bring an old state to a store that cannot refuse it, and die."""
    outbox.attach()
    backend.user("ana").add("tea")
    assert DeliveryLease(outbox).claim("stalled", 0.01) is not None
    time.sleep(0.02)
    target = Recorder()
    target.knows_fences = knows_fences
    deliverer = Deliverer(outbox, target)
    assert deliverer.settle(timeout=30)
    assert (outbox.pending(due=True).count, outbox.pending().count) == (0, 0 if knows_fences else 1)
    outbox.bring_forward()
    assert deliverer.settle(timeout=30)
    assert outbox.pending().count == 0
    deliverer.stop(5)


def test_a_holder_that_was_overtaken_delivers_again(backend: Backend, outbox: Outbox) -> None:
    """It may have brought an old state after the new one, so one of the processes brings the item once more."""
    outbox.attach()
    backend.user("ana").add("tea")
    target, first = Recorder(), Event()

    def overtaken(_: Sequence[Entry]) -> Collection[int]:
        if not first.is_set():
            first.set()
            with outbox.writing() as connection:
                connection.execute("UPDATE outbox_lease SET holder = 'another', expires_at = 0")
        return ()

    target.act = overtaken
    deliverer = Deliverer(outbox, target)
    deliverer.wake()
    until(lambda: len(target.received) >= 2 and not outbox.pending().count)
    assert target.received[:2] == [(["tea"], [])] * 2
    deliverer.stop(5)


def test_a_lease_that_was_lost_is_not_renewed(backend: Backend, outbox: Outbox) -> None:
    """Nor taken again where its taker has given it back: this one's delivery may be the older one."""
    outbox.attach()
    backend.user("ana").add("tea")
    target, first = Recorder(), Event()
    deliverer = Deliverer(outbox, target)

    def overtaken(_: Sequence[Entry]) -> Collection[int]:
        if not first.is_set():
            first.set()
            with outbox.writing() as connection:
                connection.execute("UPDATE outbox_lease SET holder = 'another', expires_at = 0")
            deliverer.lease.renew(deliverer._holder, 60)
            assert deliverer.lease.state().expires_at == 0
        return ()

    target.act = overtaken
    deliverer.wake()
    until(lambda: len(target.received) >= 2 and not outbox.pending().count)
    deliverer.stop(5)


def test_a_target_that_is_detached_meanwhile_stays_so(backend: Backend, outbox: Outbox) -> None:
    outbox.attach()
    backend.user("ana").add("tea")
    target = Recorder()

    def detached(_: Sequence[Entry]) -> Collection[int]:
        outbox.detach()
        return ()

    target.act = detached
    deliverer = Deliverer(outbox, target)
    deliverer.wake()
    until(lambda: bool(target.received))
    deliverer.stop(60)
    assert (outbox.store(), outbox.pending().count, backend.admin.graph_backlog()) == (None, 0, None)


def test_a_failure_while_all_is_being_closed_is_none(backend: Backend, outbox: Outbox) -> None:
    """Other processes would take the target for one that is down."""
    outbox.attach()
    backend.user("ana").add("tea")
    target = Recorder()
    deliverer = Deliverer(outbox, target)

    def close(_: Sequence[Entry]) -> Collection[int]:
        target.received.append(([], []))
        until(deliverer._stopped.is_set)
        raise memweld.BackendUnavailableError("The backend is closed.")

    target.act = close
    deliverer.wake()
    until(lambda: bool(target.received))
    deliverer.stop(60)
    assert (DeliveryLease(outbox).state().problem, outbox.pending().count) == (None, 1)


def test_the_lease_is_kept_while_something_is_delivered(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes; a holder that falls silent is followed by another."""
    moment = 1000.0
    monkeypatch.setattr(delivery_lease, "now", lambda: moment)
    outbox.attach()
    lease = DeliveryLease(outbox)
    deliverer = Deliverer(outbox, Recorder(), lease_seconds=2)
    with deliverer._renewing():
        assert lease.claim(deliverer._holder, 2) == Claim(1)
        moment += 1
        until(lambda: lease.state().expires_at > 1002)
        moment += 1.5
        assert lease.claim("two", 60) is None
    moment = max(moment, lease.state().expires_at)
    assert lease.claim("two", 60) == Claim(2)


def test_a_new_graph_is_told_what_does_not_wait_already(backend: Backend, outbox: Outbox) -> None:
    outbox.attach()
    backend.user("ana").add([{"role": "user", "content": f"fact {number}"} for number in range(3)])
    assert outbox.fill(missing=True) == 0
    lease = DeliveryLease(outbox)
    assert lease.claim("one", 60)
    assert lease.done("one", outbox.take(2), seconds=0)
    assert outbox.fill(missing=True) == 2
    assert outbox.pending().count == 3
    assert outbox.fill() == 3


def test_a_graph_is_forgotten(backend: Backend, outbox: Outbox, file: Path) -> None:
    outbox.attach()
    backend.user("ana").add("I love tea")
    from memweld.cli.doctor import forget_graph

    assert forget_graph(f"sqlite:///{file}") == 1
    backend.user("ana").add("I love coffee")
    assert (outbox.store(), outbox.pending().count) == (None, 0)


def test_the_doctor_says_what_waits_and_what_it_cannot_repair(
    backend: Backend, outbox: Outbox, file: Path, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memweld.cli.doctor import Repair, examine, forget_graph

    url = f"sqlite:///{file}"
    backend.user("ana").add("I love tea")
    outbox.attach()

    def found(repair: Repair | None = None) -> dict[str, tuple[str, bool]]:
        return {each.label: (each.text, each.problem) for each in examine(url, repair=repair) if "graph" in each.label}

    text, problem = found()["graph"]
    assert problem
    assert text.startswith("none, but 1 changes wait")
    assert found(Repair())["graph repaired"] == ("nothing: there is no graph (set MEMWELD_GRAPH)", True)
    monkeypatch.setenv("MEMWELD_GRAPH", nobody)
    text, problem = found()["graph store"]
    assert problem
    assert text.startswith("cannot be compared with 1 memories: 1 changes wait to be told, the oldest for ")
    assert "Neo4j at 127.0.0.1" in text
    repaired = found(Repair())
    assert repaired["graph repaired"][0].startswith("not all of it: Neo4j at 127.0.0.1")
    assert "1 changes wait" in repaired["graph store"][0]
    monkeypatch.delenv("MEMWELD_GRAPH")
    assert backend.admin.graph_backlog() == 1
    assert forget_graph(url) == 1
    assert backend.admin.graph_backlog() is None
    assert found()["graph"] == ("none (MEMWELD_GRAPH is not set)", False)
    for nothing in ("sqlite://", f"sqlite:///{file}.not"):
        with pytest.raises(ConfigurationError, match="keeps no memories"):
            forget_graph(nothing)
    assert not Path(f"{file}.not").exists()


def test_an_erasure_beside_a_graph_that_others_tell(backend: Backend, outbox: Outbox) -> None:
    """The receipt does not say that there is no graph where one still has what is erased."""
    ana, bob = backend.user("ana"), backend.user("bob")
    ana.add("I love tea")
    assert bob.erase().graph == "none"
    outbox.attach()
    waiting(outbox)
    assert bob.erase().graph == "done"
    assert ana.erase().graph == "pending"
    assert waiting(outbox)
    assert ana.erase().graph == "done"
    (item,) = ana.add("I love tea")
    ana.delete(item.id)
    assert ana.erase().graph == "pending", "what was deleted before is not told yet"


# a graph that is down


def test_with_the_graph_down_memory_works(file: Path, nobody: str) -> None:
    with memweld.connect(f"sqlite:///{file}", graph=nobody, embedder=HashEmbedder()) as backend:
        ana = backend.user("ana")
        assert ana.has_graph
        (item,) = ana.add("Clara lives in Porto")
        assert [hit.id for hit in ana.search("Where does Clara live?")] == [item.id]
        assert ana.update(item.id, "Clara lives in Faro").text == "Clara lives in Faro"
        assert "Faro" in ana.recall("Clara")
        assert not ana.settle_graph()
        with pytest.raises(memweld.BackendUnavailableError, match=r"Neo4j at 127\.0\.0\.1"):
            ana.related("Clara")
        answer = TOOLS["delete_memory"](ana, {"memory_id": item.id})
        assert answer.text == (
            f"Memory {item.id} deleted successfully from the vector store; "
            "the graph store follows when it can be reached again"
        )
        ana.add("Clara lives in Lagos")
        assert TOOLS["delete_all_memories"](ana, {}).text == (
            "Deleted 1 memories for user ana; the graph store follows when it can be reached again"
        )
        ana.add("Clara moved")
        receipt = ana.erase()
        assert (receipt.graph, receipt.counts["items"], receipt.counts["graph"]) == ("pending", 1, 0)
        standing = backend.admin.graph_health()
        assert standing is not None
        assert (standing.agrees, standing.compared, standing.pending, standing.items) == (False, False, 7, 0)
        assert standing.oldest is not None
        assert time.time() - 120 < standing.oldest <= time.time()
        assert "Neo4j at 127.0.0.1" in (standing.problem or "")
        waits = Outbox(SqliteDatabase(str(file))).pending().count
        assert waits == 7  # three memories were added and deleted, one was changed: nothing is forgotten


def test_a_server_that_hangs_holds_nobody_up(file: Path) -> None:
    """It takes connections and answers nothing."""
    with (
        socket.create_server(("127.0.0.1", 0)) as hanging,
        memweld.connect(
            f"sqlite:///{file}", graph=f"bolt://127.0.0.1:{hanging.getsockname()[1]}", embedder=HashEmbedder()
        ) as backend,
    ):
        ana = backend.user("ana")
        (item,) = ana.add("Clara lives in Porto")
        for _ in range(20):  # only the first of these waits, for a quarter of a second
            assert [hit.id for hit in ana.search("Clara")] == [item.id]
        ana.delete(item.id)
        assert not ana.settle_graph(0.1)
        hanging.close()  # Else the end of the backend waits for it as long as for any server.


def test_a_database_that_is_down_is_an_error_of_ours(nobody: str) -> None:
    port = nobody.rpartition(":")[2]
    with memweld.connect(f"postgresql://ana@127.0.0.1:{port}/team", graph=nobody, embedder=HashEmbedder()) as backend:
        ana = backend.user("ana")
        for ask in (lambda: ana.add("x"), lambda: ana.related("x"), ana.erase, backend.admin.repair_graph):
            with pytest.raises(memweld.BackendUnavailableError, match="cannot be reached"):
                ask()


def test_there_is_no_graph(backend: Backend) -> None:
    ana = backend.user("ana")
    with pytest.raises(ConfigurationError, match="graph="):
        ana.related("Clara")
    with pytest.raises(ConfigurationError, match="graph="):
        backend.admin.repair_graph()
    assert ana.settle_graph()
    assert backend.admin.graph_health() is None
    (item,) = ana.add("x")
    assert TOOLS["delete_memory"](ana, {"memory_id": item.id}).text.endswith("successfully from the vector store")
    assert ana.erase().graph == "none"


def test_a_memory_in_ram_has_no_graph(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="RAM"):
        memweld.connect("sqlite://", graph=nobody)
    monkeypatch.setenv("MEMWELD_GRAPH", nobody)
    assert not memweld.connect("sqlite://").user("ana").has_graph


def test_without_the_driver_the_error_says_what_to_install() -> None:
    code = """
import sys
sys.modules["neo4j"] = None
import memweld
try:
    memweld.connect("sqlite:///memory.db", graph="neo4j://127.0.0.1")
except memweld.MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "neo4j is not installed; run: pip install 'memweld[neo4j]'\n"


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("Security.Unauthorized", ConfigurationError, "refuses the login. Check"),
        ("Security.AuthenticationRateLimit", ConfigurationError, "refuses the login for now"),
        ("Security.CredentialsExpired", ConfigurationError, "refuses the login until the password is changed"),
        ("Security.TokenExpired", ConfigurationError, "refuses the login"),
        ("Security.Forbidden", ConfigurationError, "Give it the rights"),
        ("Database.DatabaseNotFound", ConfigurationError, "no database 'd'"),
        ("Statement.ArgumentError", memweld.BackendUnavailableError, "refuses what it was told: Neo.ClientError"),
    ],
)
def test_what_a_server_refuses(code: str, kind: type[Exception], said: str) -> None:
    from neo4j.exceptions import Neo4jError

    from memweld.engine.projections.neo4j.errors import translation

    error = Neo4jError._hydrate_neo4j(code=f"Neo.ClientError.{code}", message="a secret")  # pyright: ignore[reportPrivateUsage]
    ours = translation(error, parse_graph_url("neo4j://ana:secret@h?database=d"))
    assert isinstance(ours, kind)
    assert said in str(ours)
    assert "secret" not in str(ours)


def test_the_driver_says_nothing_of_an_outage(file: Path, nobody: str) -> None:
    """Where logging is not set up, too; of other people's drivers in the same program it says what it says."""
    code = """
import sys, memweld, neo4j
from memweld.testing import HashEmbedder
url, graph = sys.argv[1:]
with memweld.connect(url, graph=graph, embedder=HashEmbedder()) as backend:
    ana = backend.user("ana")
    ana.add("Clara lives in Porto")
    try:
        ana.related("Clara")
    except memweld.BackendUnavailableError as error:
        print(error)
print("theirs", file=sys.stderr)
with neo4j.GraphDatabase.driver(graph) as driver:
    try:
        driver.verify_connectivity()
    except neo4j.exceptions.ServiceUnavailable:
        pass
"""
    arguments = [sys.executable, "-c", code, f"sqlite:///{file}", nobody.replace("bolt:", "neo4j:")]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=True)
    ours, _, theirs = done.stderr.partition("theirs")
    assert "Neo4j at 127.0.0.1" in done.stdout
    assert "routing" not in ours
    assert "the graph is behind" in ours
    assert "routing" in theirs


# addresses


def test_an_address() -> None:
    address = parse_graph_url("neo4j+s://ana:p%40ss@host:7000/?database=memories&entities=rule&policy=eu")
    assert (address.uri, address.auth) == ("neo4j+s://host:7000?policy=eu", ("ana", "p@ss"))
    assert (address.database, address.finder, address.where) == ("memories", "rule", "Neo4j at host:7000")
    assert "p@ss" not in repr(address)
    assert parse_graph_url("bolt://h", user="u", password="p").auth == ("u", "p")
    assert (parse_graph_url("bolt://h").auth, parse_graph_url("bolt://h").where) == (None, "Neo4j at h:7687")


@pytest.mark.parametrize(
    "url",
    ["http://ana:secret@host", "neo4j://", "neo4j://ana:secret@host:port", "secret", "neo4j://ana:secret@h?entities=x"]
    + [f"neo4j://ana:7{mark}secret=x@host" for mark in "/?#"],
)
def test_what_is_no_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_graph_url(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("neo4j://h?databse=z", r"databse= is no option.* Do you mean database=\?"),
        ("bolt://h?databse=z", r"databse= is no option.* Do you mean database=\?"),
        ("bolt://h?policy=eu", "policy= is no option"),
        ("bolt://h?x=", "Its options: database=, entities="),
        ("neo4j://h?database=a&database=b", "more than once"),
        ("neo4j://h:7687/memories", r"named by \?database="),
    ],
)
def test_an_option_that_is_none_is_named(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse_graph_url(url)


def test_half_a_login_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="MEMWELD_GRAPH_PASSWORD"):
        parse_graph_url("neo4j://ana@host")


def test_the_environment_names_the_graph(file: Path, nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMWELD_GRAPH", nobody)
    monkeypatch.setenv("MEMWELD_GRAPH_USER", "neo4j")
    monkeypatch.setenv("MEMWELD_GRAPH_PASSWORD", "secret")
    with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as backend:
        assert backend.user("ana").has_graph
        assert "secret" not in repr(backend)


# entities


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Bob works at Acme in Porto.", ["Bob", "Acme", "Porto"]),
        ("My sister Clara is a nurse in Leeds", ["Clara", "Leeds"]),
        ("I love Python", ["Python"]),
        ("Likes tea", []),
        ("Tofu likes tuna", ["Tofu"]),
        ("Marie Curie won. She moved to Paris. Paris is nice.", ["Marie Curie", "Paris"]),
        ("I read “The Name of the Rose” by Umberto Eco on Monday.", ["The Name of the Rose", "Umberto Eco"]),
        (
            "Ana's cat met GitHub's Octocat at the University of Porto",
            ["Ana", "GitHub", "Octocat", "University of Porto"],
        ),
        ("I use C++ and C# and Python 3.11", ["C++", "C#", "Python"]),
        ("ship-42: the A380 came late", ["ship-42", "A380"]),
        ("mail ana@example.com, see https://example.org/x. #tea @bob", None),
        ("THE WHOLE TEXT IS LOUD", []),
        ("Ana María vive en Ciudad de México", ["Ana María", "Ciudad de México"]),
        ("我住在北京，喜欢「红楼梦」", ["红楼梦"]),
        ("theme: dark", []),
        ("boss: Clara of Acme", ["Clara of Acme"]),
        ("city: Porto", ["Porto"]),
        ("home town: Porto. Likes tea", ["Porto"]),
        ("Reminder: Buy milk", []),
        ("University of Porto is old", ["University of Porto", "Porto"]),
        ("Photos of Clara, and of Bob", ["Photos of Clara", "Clara", "Bob"]),
        ("Most of Porto is hilly. One of Ana's cats left", ["Porto", "Ana"]),
        ("Instead of the tram we took a bus", []),
        ("", []),
    ],
)
def test_the_rule(text: str, names: list[str] | None) -> None:
    expected = ["ana@example.com", "https://example.org/x", "#tea", "@bob"] if names is None else names
    assert by_rule(text) == expected


def test_the_rule_is_bounded() -> None:
    many = by_rule(" and ".join(f"Name{number} x" for number in range(1000)))
    assert len(many) == MOST_ENTITIES
    for hostile in ('"a ' * 7_000, "a@" * 10_000, "Ab " * 7_000, "a." * 10_000, "@" * 20_000, "A" * 1_000_000):
        by_rule(hostile)


def test_one_thing_has_one_key() -> None:
    assert {key_of(name) for name in ("The Beatles", "beatles", "Beatles'", "BEATLES", "Beatles’s")} == {"beatles"}
    assert (key_of("C++"), key_of("C#"), key_of("“ ”"), key_of("São Paulo")) == ("c++", "c#", "", "são paulo")


def test_a_question_names_whole_words() -> None:
    asked = " ".join(words_of("Where does Clara's brother live, in New York?"))
    assert is_in("clara", asked)
    assert is_in("new york", asked)
    assert not is_in("york new", asked)
    assert not is_in("cl", asked)
    assert is_in("北京", " ".join(words_of("我住在北京吗")))


# what an LLM says


def found(database: SqliteDatabase, outbox: Outbox, backend: Backend, text: str, ask: Callable[[Any], Any]) -> Any:
    (item,) = backend.user("ana").add(text)
    return EntityFinder(database, ask)(next(iter(outbox.entries([place(outbox, item.id)]).values())))


def test_an_llm_names_entities_and_relations(database: SqliteDatabase, outbox: Outbox, backend: Backend) -> None:
    answer = {
        "entities": ["Clara", "clara", "porto", "Atlantis", 7, "x" * 500],
        "relations": [["Clara", "lives in", "Porto"], ["Clara", "rules", "Atlantis"], ["Clara"], "x"],
    }
    said = found(database, outbox, backend, "my sister clara moved to porto", lambda _: answer)
    assert (list(said.names), list(said.relations), said.by) == (
        ["Clara", "porto"],
        [("Clara", "lives in", "Porto")],
        "llm",
    )


@pytest.mark.parametrize(
    "answer", [None, [], {}, {"entities": "Clara"}, {"entities": [], "relations": 1}, OSError("no")]
)
def test_rubbish_from_an_llm_is_harmless(
    database: SqliteDatabase, outbox: Outbox, backend: Backend, answer: Any
) -> None:
    def ask(_: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    said = found(database, outbox, backend, "My sister Clara moved", ask)
    assert (list(said.names), said.by) == (["Clara"], "rule")


def test_the_names_that_mem0_has_linked_come_first(database: SqliteDatabase, outbox: Outbox, backend: Backend) -> None:
    (item,) = backend.user("ana").add("My sister Clara moved")
    entry = next(iter(outbox.entries([place(outbox, item.id)]).values()))
    payload = json.dumps({"data": "sister Clara", "linked_memory_ids": [item.id]})
    with database.writing_all() as connection:
        connection.execute(
            "INSERT INTO entities (id, owner, payload, vector) VALUES ('e', ?, ?, x'00')", (entry.owner, payload)
        )
    said = EntityFinder(database, lambda _: {"entities": []})(entry)
    assert (list(said.names), said.by) == (["sister Clara"], "mem0")


# search


def hit(name: str, score: float) -> Hit:
    moment = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return Hit(id=name, text=name, score=score, created_at=moment, updated_at=moment)


def mentions(item: str, key: str, count: int = 2) -> dict[str, Any]:
    return {"item": item, "entity": f"ana|{key}", "key": key, "mentions": count}


def test_hits_rise_within_bounds() -> None:
    hits = [hit("works at acme", 0.6), hit("other", 0.3), hit("acme is in porto", 0.2), hit("clara", 0.1)]
    rows = [mentions("works at acme", "acme"), mentions("acme is in porto", "acme"), mentions("clara", "clara", 1)]
    near = {each.id: each.score for each in raise_scores("Where does Clara work?", hits, rows)}
    assert near["other"] == 0.3
    assert near["clara"] == pytest.approx(0.1 + 0.9 * DIRECT)
    assert near["acme is in porto"] == pytest.approx(0.2 + 0.8 * LINKED * 0.6)
    assert list(near) == sorted(near, key=lambda each: -near[each])
    both = raise_scores("acme clara", hits, [*rows, mentions("acme is in porto", "clara")])
    assert all(0 <= new.score - old <= MOST for new in both for old in [next(h.score for h in hits if h.id == new.id)])


def test_what_everything_mentions_raises_little() -> None:
    hits = [hit("a", 0.5), hit("b", 0.5)]
    rows = [mentions("a", "x", 2), mentions("b", "y", 5_000)]
    first, second = raise_scores("x y", hits, rows)
    assert (first.id, second.id) == ("a", "b")
    assert second.score < 0.52
    assert [each.id for each in raise_scores("nothing", hits, [])] == ["a", "b"]


def test_times_of_nodes_are_in_utc() -> None:
    """Cypher compares them as texts."""
    moment = "2025-10-15T23:30:00-05:00"
    entry = Entry(1, "1", "fact", None, None, "I love tea", "h", moment, moment, "ana", None, 1)
    assert properties_of("store", entry)["created_at"] == "2025-10-16T04:30:00+00:00"
