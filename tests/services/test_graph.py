"""The graph on a real Neo4j: what is projected, what is isolated, and that both stores agree whatever dies."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import neo4j
import pytest
from servers import Neo4jServer, PostgresServer
from typer.testing import CliRunner

import memweld
from memweld import Backend, Memory
from memweld.cli import app
from memweld.engine.projections.neo4j import graph as graph_module
from memweld.engine.sql.delivery_lease import DeliveryLease
from memweld.engine.sql.outbox import Outbox
from memweld.engine.sqlite.transactions import SqliteDatabase
from memweld.testing import HashEmbedder
from memweld.testing.serving import serving
from memweld.tools import TOOLS

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]

# The lease of a process that was killed ends after nine seconds, and a server that was down is tried again after 15 at
# most; but one that has just started on a busy machine takes seconds for each of its first batches.
KILLED_SECONDS = 400

Connect = Callable[..., Backend]
Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def connect(neo4j_server: Neo4jServer, file: Path) -> Iterator[Connect]:
    """Backends with a graph on one file, closed at the end."""
    made: list[Backend] = []

    def connect(**options: Any) -> Backend:
        options = {"graph": neo4j_server.url, "embedder": HashEmbedder(), **options}
        made.append(memweld.connect(f"sqlite:///{file}", **options))
        return made[-1]

    yield connect
    for backend in made:
        backend.close()


@pytest.fixture
def backend(connect: Connect) -> Backend:
    return connect()


@pytest.fixture
def ask(neo4j_server: Neo4jServer) -> Iterator[Ask]:
    """Cypher as anybody would write it in a browser."""
    with neo4j.GraphDatabase.driver(neo4j_server.url) as driver:
        yield lambda query, **parameters: [record.data() for record in driver.execute_query(query, parameters).records]


def store_of(file: Path) -> str:
    database = SqliteDatabase(str(file))
    try:
        return Outbox(database).store() or ""
    finally:
        database.close()


def settled(*memories: Memory) -> bool:
    """Whether the graph was told all; a fresh server takes its time for the first queries."""
    return all(memory.settle_graph(60) for memory in memories)


def told(backend: Backend, seconds: float = 200) -> bool:
    """Whether nothing waits any more and both agree, once the server is back."""
    deadline = time.monotonic() + seconds
    standing = None
    while time.monotonic() < deadline:
        try:
            standing = backend.admin.graph_health()
        except memweld.BackendUnavailableError:
            standing = None
        if standing is not None and standing.agrees:
            return True
        time.sleep(0.2)
    print(standing)
    return False


def both(backend: Backend, users: list[str], ask: Ask, file: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The texts of these users by id, as the memory has them and as the graph has them."""
    kept: dict[str, str] = {}
    for user in users:
        kept |= {item.id: item.text for item in backend.user(user).all(limit=10_000)}
    rows = ask("MATCH (m:Memory) WHERE m.space STARTS WITH $store RETURN m.id, m.text", store=store_of(file))
    return kept, {row["m.id"]: row["m.text"] for row in rows}


class TestProjection:
    def test_items_are_nodes(self, backend: Backend, ask: Ask, file: Path) -> None:
        """Users, agents, sessions and entities around memories, with names that a browser shows."""
        ana, agent = backend.user("ana"), backend.user("ana", agent_id="researcher")
        (clara,) = ana.add("My sister Clara works at Acme in Porto", session_id="monday")
        (rockets,) = agent.add("Acme builds rockets")
        ana.preferences.set("city", "Porto")
        (own,) = backend.agent("researcher").add("I answer in Portuguese")
        assert settled(ana, backend.agent("researcher"))
        store = store_of(file)
        seen = ask(
            "MATCH (u:User {name: 'ana'})-[:REMEMBERS]->(m:Memory) WHERE u.space STARTS WITH $store "
            "OPTIONAL MATCH (m)-[:MENTIONS]->(e:Entity) OPTIONAL MATCH (m)-[:SAID_IN]->(s:Session) "
            "OPTIONAL MATCH (a:Agent)-[:KEEPS]->(m) "
            "RETURN m.id AS id, m.kind AS kind, m.key AS key, m.text AS text, collect(DISTINCT e.name) AS entities, "
            "s.name AS session, a.name AS agent",
            store=store,
        )
        by_id = {row.pop("id"): {**row, "entities": sorted(row["entities"])} for row in seen}
        assert by_id[clara.id] == {
            "kind": "item",
            "key": None,
            "text": "My sister Clara works at Acme in Porto",
            "entities": ["Acme", "Clara", "Porto"],
            "session": "monday",
            "agent": None,
        }
        assert (by_id[rockets.id]["agent"], by_id[rockets.id]["entities"]) == ("researcher", ["Acme"])
        assert {row["key"] for row in by_id.values() if row["kind"] == "preference"} == {"city"}
        (mine,) = ask(
            "MATCH (a:Agent {name: 'researcher'})-[:REMEMBERS]->(m:Memory) WHERE m.space STARTS WITH $store "
            "RETURN m.id AS id, EXISTS { (m)<-[:REMEMBERS]-(:User) } AS users",
            store=store,
        )
        assert mine == {"id": own.id, "users": False}
        related = ask(
            "MATCH (a:Entity)-[r:RELATED_TO]->(b:Entity) WHERE a.space STARTS WITH $store "
            "RETURN a.name, r.name, b.name",
            store=store,
        )
        assert {frozenset((row["a.name"], row["b.name"])) for row in related} == {
            frozenset(("Clara", "Acme")),
            frozenset(("Clara", "Porto")),
            frozenset(("Acme", "Porto")),
        }
        nameless = ask(
            "MATCH (n) WHERE n.space STARTS WITH $store AND n.name IS NULL RETURN count(n) AS n", store=store
        )
        assert nameless == [{"n": 0}]
        assert len(ask("SHOW CONSTRAINTS YIELD name WHERE name STARTS WITH 'memweld_' RETURN name")) == 6

    def test_changes_arrive(self, backend: Backend, ask: Ask, file: Path) -> None:
        """The graph says what the memories say now; it drops entities that no memory mentions any more."""
        ana = backend.user("ana")
        (item,) = ana.add("Clara lives in Porto", session_id="s")
        (other,) = ana.add("I met Bob in Porto")
        state = ana.state("n")
        state.set("k", 1, text="The key is with Dora")
        state.set("short", 1, text="A guest named Egon", ttl=600)
        assert settled(ana)
        ana.update(item.id, "Clara lives in Faro")
        state.delete("k")
        backend._engine.inner.values.purging.seconds = float("inf")  # pyright: ignore[reportAttributeAccessIssue]
        state.set("short", 1, text="A guest named Egon", ttl=0.01)
        time.sleep(0.05)
        assert backend.admin.purge_expired() == 1
        assert settled(ana)

        def entities() -> set[str]:
            rows = ask("MATCH (e:Entity) WHERE e.space STARTS WITH $store RETURN e.name", store=store_of(file))
            return {row["e.name"] for row in rows}

        assert entities() == {"Clara", "Faro", "Porto", "Bob"}
        kept, graph = both(backend, ["ana"], ask, file)
        assert kept == graph == {item.id: "Clara lives in Faro", other.id: "I met Bob in Porto"}
        ana.delete(item.id)
        assert settled(ana)
        assert entities() == {"Porto", "Bob"}
        assert ana.clear() == 1
        assert settled(ana)
        assert ask("MATCH (n) WHERE n.space STARTS WITH $store RETURN n", store=store_of(file)) == []
        assert ask("MATCH ()-[r:RELATED_TO]->() WHERE r.memory STARTS WITH $store RETURN r", store=store_of(file)) == []

    def test_deletion_answers_as_the_contract_says(self, backend: Backend, ask: Ask) -> None:
        ana = backend.user("ana")
        one, two = ana.add("Clara lives in Porto")[0], ana.add("Bob lives in Faro")[0]
        assert settled(ana)
        answer = TOOLS["delete_memory"](ana, {"memory_id": one.id})
        assert answer.text == f"Memory {one.id} deleted successfully from both vector and graph stores"
        assert ask("MATCH (m:Memory {id: $id}) RETURN m", id=one.id) == []
        assert TOOLS["delete_all_memories"](ana, {}).text == "Deleted 1 memories for user ana"
        assert ask("MATCH (m:Memory {id: $id}) RETURN m", id=two.id) == []

    def test_an_agents_scores_do_not_tell_what_others_mention(self, backend: Backend) -> None:
        ana, agent = backend.user("ana"), backend.user("ana", agent_id="r")
        for text in ("Clara lives in Porto", "Clara met Bob", "Bob plays chess"):
            agent.add(text)
        assert settled(ana)

        def seen() -> list[Any]:
            related = [(found.id, found.score) for found in agent.related("Clara")]
            return [*related, *[(hit.id, hit.score) for hit in agent.search("Where does Clara live?")]]

        before = seen()
        for number in range(40):
            ana.add(f"Clara and Bob were seen with Dora{number}")
        assert settled(ana)
        assert seen() == before

    def test_an_erasure_leaves_nothing_and_counts_it(self, backend: Backend, ask: Ask, file: Path) -> None:
        ana, agent, bob = backend.user("ana"), backend.user("ana", agent_id="r"), backend.user("bob")
        for memory in (ana, agent, bob):
            memory.add(f"Clara lives in Porto, says {memory.scope}", session_id="s")
        assert settled(ana, bob)
        part = agent.erase()
        assert (part.graph, part.counts["items"], part.counts["graph"]) == ("done", 1, 3)  # memory, agent, session
        receipt = ana.erase()
        # A memory, a session, the user and two entities.
        assert (receipt.graph, receipt.counts["items"], receipt.counts["graph"]) == ("done", 1, 5)
        left = ask("MATCH (n) WHERE n.space STARTS WITH $store RETURN n.space AS space", store=store_of(file))
        assert {row["space"].partition("/")[2] for row in left} == {"user:bob"}
        dump = str(ask("MATCH (n) WHERE n.memweld_id STARTS WITH $store RETURN n", store=store_of(file)))
        assert "ana" not in dump

    def test_an_erasure_waits_for_what_came_in_between(
        self, backend: Backend, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An agent begins to keep something of the user while the user is erased."""
        ana = backend.user("ana")
        (item,) = ana.add("Clara lives in Porto")
        assert settled(ana)
        ana.delete(item.id)
        assert settled(ana)
        inner: Any = backend._engine.inner  # pyright: ignore[reportAttributeAccessIssue]
        erase = inner.erase

        def late(scope: Any) -> Any:
            with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as other:
                agent = other.user("ana", agent_id="late")
                for number in range(300):
                    agent.preferences.set(f"place{number}", f"Dora lives in Faro{number}")
            return erase(scope)

        monkeypatch.setattr(inner, "erase", late)
        receipt = ana.erase()
        assert receipt.counts["items"] == 300
        waits = backend.admin.graph_backlog()
        assert waits == 0 if receipt.graph == "done" else receipt.graph == "pending"

    def test_what_was_there_before_the_graph(self, connect: Connect, ask: Ask, file: Path) -> None:
        with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as before:
            old = before.user("ana").add("Clara lives in Porto")[0]
        backend = connect()
        new = backend.user("bob").add("Dora lives in Faro")[0]
        assert told(backend)
        kept, graph = both(backend, ["ana", "bob"], ask, file)
        assert kept == graph
        assert graph.keys() == {old.id, new.id}

    def test_entities_and_relations_by_an_llm(self, connect: Connect, ask: Ask, file: Path) -> None:
        class Names:
            """Extracts nothing, and names what it is asked to name."""

            def invoke(self, messages: list[tuple[str, str]]) -> str:
                if "relations" not in messages[0][1]:
                    return '{"memory": []}'
                return '{"entities": ["my sister", "acme"], "relations": [["my sister", "works at", "acme"]]}'

        ana = connect(llm=Names()).user("ana")
        ana.add("my sister has a job with acme")
        assert settled(ana)
        (row,) = ask(
            "MATCH (a:Entity)-[r:RELATED_TO]->(b:Entity) WHERE a.space STARTS WITH $store "
            "RETURN a.name, r.name, b.name",
            store=store_of(file),
        )
        assert row == {"a.name": "my sister", "r.name": "works at", "b.name": "acme"}
        assert [each.text for each in ana.related("My sister")] == ["my sister has a job with acme"]

    def test_strange_texts_and_ids_arrive(self, backend: Backend, ask: Ask, file: Path) -> None:
        users = ["auth0|42", "org:1/ana", "Ana María", "王芳", "a%7Cb", "'; MATCH (n) DETACH DELETE n //"]
        for user in users:
            backend.user(user).add(f"'}}) DETACH DELETE n // {user} “Quoted | Thing” 😀 likes $store {{Brackets}}")
            backend.user(user).add("Long " * 20_000)
        assert told(backend)
        kept, graph = both(backend, users, ask, file)
        assert kept == graph
        assert len(graph) == 2 * len(users)


class TestIsolation:
    def test_users_share_no_node(self, backend: Backend, ask: Ask, file: Path) -> None:
        """Equal entities, agents and sessions of two users are two nodes, and no path leads from one to the other."""
        ana, bob = backend.user("ana"), backend.user("bob")
        for memory in (ana, bob, backend.user("ana", agent_id="r"), backend.user("bob", agent_id="r")):
            memory.add(f"Clara lives in Porto, says {memory.scope}", session_id="s")
        assert settled(ana, bob)
        paths = ask(
            "MATCH p = (:User {name: 'ana'})-[*1..6]-(:User {name: 'bob'}) "
            "WHERE all(n IN nodes(p) WHERE n.space STARTS WITH $store) RETURN count(p) AS paths",
            store=store_of(file),
        )
        assert paths == [{"paths": 0}]
        mixed = ask(
            "MATCH (a)-[]->(b) WHERE a.space STARTS WITH $store AND a.space <> b.space RETURN count(*) AS n",
            store=store_of(file),
        )
        assert mixed == [{"n": 0}]

    def test_related_stays_in_the_scope(self, backend: Backend) -> None:
        ana, bob = backend.user("ana"), backend.user("bob")
        own, other = backend.user("ana", agent_id="a"), backend.user("ana", agent_id="b")
        (mine,) = own.add("Clara works at Acme")
        (bridge,) = other.add("Acme sits in Porto")
        (far,) = own.add("I like Porto")
        bob.add("Clara hates Acme and Porto")
        backend.agent("a").add("Clara asked me about Acme")
        assert settled(ana, bob, backend.agent("a"))
        assert {each.id for each in ana.related("Clara")} == {mine.id, bridge.id}
        assert {each.id for each in own.related("Clara")} == {mine.id}, "what another agent keeps is no bridge either"
        assert {each.id for each in own.related("Porto")} == {far.id}
        assert {each.id for each in own.related(mine.id)} == set()
        assert [each.user_id for each in bob.related("Clara")] == ["bob"]
        assert bob.related(mine.id) == [], "another's id says nothing"
        assert backend.user("nobody").related("Clara") == []

    def test_two_stores_on_one_server(self, backend: Backend, neo4j_server: Neo4jServer, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'other.db'}"
        with memweld.connect(url, graph=neo4j_server.url, embedder=HashEmbedder()) as other:
            for each in (backend, other):
                each.user("ana").add("Clara lives in Porto")
            assert settled(backend.user("ana"), other.user("ana"))
            other.user("ana").erase()
            assert told(other)
        assert len(backend.user("ana").related("Clara")) == 1
        assert told(backend)


class TestReading:
    def test_related(self, backend: Backend) -> None:
        ana = backend.user("ana")
        (sister,) = ana.add("My sister Clara works at Acme")
        (rockets,) = ana.add("Acme builds rockets in Porto")
        (door,) = ana.add("The office in Porto has a blue door")
        ana.add("I like tea")
        assert settled(ana)
        (first, second) = ana.related("clara")
        assert (first.id, first.entities, first.path) == (sister.id, ("Clara",), ("Clara",))
        assert (second.id, second.entities, second.path) == (rockets.id, (), ("Clara", "Acme"))
        assert 1 >= first.score > second.score > 0
        found = ana.related(rockets.id)
        assert {(each.id, each.entities) for each in found} == {(sister.id, ("Acme",)), (door.id, ("Porto",))}
        assert len(ana.related(rockets.id, limit=1)) == 1
        assert (ana.related("Atlantis"), ana.related("“ ”")) == ([], [])
        with pytest.raises(memweld.InvalidInputError):
            ana.related("")
        with pytest.raises(memweld.InvalidInputError):
            ana.related("Clara", limit=0)

    def test_what_the_graph_has_not_heard_of_is_not_shown(self, backend: Backend, neo4j_server: Neo4jServer) -> None:
        """A deleted memory is found by nothing and leads nowhere, even while the graph still has it."""
        ana = backend.user("ana")
        (sister,) = ana.add("My sister Clara works at Acme")
        (rockets,) = ana.add("Acme builds rockets")
        assert settled(ana)
        database = SqliteDatabase(backend.url.removeprefix("sqlite:///"))
        assert Outbox(database).detach() == 0  # the graph is told nothing any more
        ana.delete(sister.id)
        assert ana.related("Clara") == []
        assert ana.related(rockets.id) == []
        assert sister.id not in {hit.id for hit in ana.search("Clara")}
        database.close()

    def test_search_knows_of_links(self, connect: Connect, file: Path) -> None:
        """A hit that shares an entity with the first rises above others, and nothing else changes."""
        with_graph = connect()
        ana = with_graph.user("ana")
        ana.add("My sister Clara works at Acme")
        ana.add("Trams are yellow in the city")
        ana.add("Dinner is at eight today")
        (rockets,) = ana.add("Acme builds rockets near Porto")
        assert settled(ana)
        with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder()) as plain:
            before = {hit.id: hit.score for hit in plain.user("ana").search("where is clara employed", limit=10)}
        after = {hit.id: hit.score for hit in ana.search("where is clara employed", limit=10)}
        assert after.keys() == before.keys()
        assert all(before[each] <= after[each] <= before[each] + 0.2 for each in before)
        assert after[rockets.id] > before[rockets.id]
        rank = list(after).index(rockets.id)
        assert rank == 1
        assert len(ana.search("where is clara employed", limit=2)) == 2

    def test_filters_and_kinds_hold(self, backend: Backend) -> None:
        ana = backend.user("ana")
        ana.add("Clara works at Acme", metadata={"source": "chat"})
        ana.add("Acme builds rockets")
        ana.preferences.set("employer", "Acme")
        assert settled(ana)
        assert [hit.text for hit in ana.search("Clara Acme", filters={"source": "chat"})] == ["Clara works at Acme"]
        assert {hit.kind for hit in ana.search("Clara Acme", kinds="preference")} == {"preference"}

    def test_async(self, backend: Backend) -> None:
        ana = backend.user("ana")

        async def scenario() -> None:
            await ana.aio.add("Clara lives in Porto")
            assert await ana.aio.settle_graph(60)
            assert [each.path for each in await ana.aio.related("Clara")] == [("Clara",)]

        asyncio.run(scenario())

    def test_over_a_server(self, backend: Backend) -> None:
        """Another memweld asks the server's graph, and its tools answer as if it were its own."""
        from memweld.mcp import create_server

        with (
            serving(create_server(backend).http_app()) as url,
            memweld.connect(f"{url}/mcp") as remote,
        ):
            ana = remote.user("ana")
            (item,) = ana.add("Clara lives in Porto")
            assert ana.settle_graph(60)
            (found,) = ana.related("Clara")
            assert (found.id, found.entities, found.path) == (item.id, ("Clara",), ("Clara",))
            answer = TOOLS["delete_memory"](ana, {"memory_id": item.id})
            assert answer.text.endswith("from both vector and graph stores")
            assert ana.erase().graph == "done"


WRITER = """
import random, sys, time, memweld
from memweld.testing import HashEmbedder
url, graph, name = sys.argv[1:]
rng = random.Random(name)
with memweld.connect(url, graph=graph, embedder=HashEmbedder()) as backend:
    print("ready", flush=True)
    for number in range(10_000):
        memory = backend.user(f"user{rng.randrange(3)}")
        memory.add(f"Clara{rng.randrange(20)} of {name} met Bob{number} in Porto")
        held = memory.all(limit=50)
        if rng.random() < 0.3:
            try:
                memory.delete(rng.choice(held).id)
            except memweld.MemoryNotFoundError:
                pass
        if rng.random() < 0.2:
            try:
                memory.update(rng.choice(held).id, f"Dora{number} of {name} left Faro")
            except memweld.MemoryNotFoundError:
                pass
        print(number, flush=True)
        time.sleep(0.01)  # what waits while a server starts must not be without bounds
"""
USERS = ["user0", "user1", "user2"]


@pytest.fixture
def writers(neo4j_server: Neo4jServer, file: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Processes that add, change and delete without end."""
    started: list[subprocess.Popen[str]] = []

    def start(name: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WRITER, f"sqlite:///{file}", neo4j_server.url, name]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


def wrote(process: subprocess.Popen[str], count: int) -> None:
    """Wait until the process has done so many rounds more."""
    assert process.stdout is not None
    for _ in range(count):
        assert process.stdout.readline(), "it died"


@pytest.mark.slow
class TestFailures:
    def test_down_at_the_start_and_back_later(
        self, connect: Connect, neo4j_server: Neo4jServer, ask: Ask, file: Path
    ) -> None:
        neo4j_server.stop()
        try:
            backend = connect()
            ana = backend.user("ana")
            (item,) = ana.add("Clara lives in Porto")
            (gone,) = ana.add("Bob lives in Faro")
            ana.delete(gone.id)
            assert [hit.id for hit in ana.search("Clara")] == [item.id]
            assert not ana.settle_graph(0.5)
            erased = backend.user("eve")
            erased.add("Eve was here")
            assert erased.erase().graph == "pending"
        finally:
            neo4j_server.start()
        assert told(backend)
        kept, graph = both(backend, ["ana", "eve"], ask, file)
        assert kept == graph == {item.id: "Clara lives in Porto"}
        assert [each.id for each in ana.related("Clara")] == [item.id]
        assert ana.settle_graph()

    def test_whoever_waits_for_it_has_it_tried_again(self, connect: Connect, neo4j_server: Neo4jServer) -> None:
        """A given time is waited, whatever was wrong before; without one nobody waits for a server known to be down."""
        backend, other = connect(), connect()
        ana = backend.user("ana")
        ana.add("Clara lives in Porto")
        assert settled(ana)
        neo4j_server.kill()
        try:
            ana.add("Bob lives in Faro")
            began = time.monotonic()
            assert not ana.settle_graph(12)  # long enough to be tried again seldom
            assert time.monotonic() - began >= 12
            began = time.monotonic()
            assert not ana.settle_graph()
            assert time.monotonic() - began < graph_module._SETTLE_SECONDS
        finally:
            neo4j_server.start()
        assert other.user("ana").settle_graph(60), "who waits takes over from one who rests"
        assert backend.admin.repair_graph() == 0
        assert ana.settle_graph()

    def test_killed_in_the_middle_of_writes(
        self, connect: Connect, neo4j_server: Neo4jServer, writers: Callable[[str], Any], ask: Ask, file: Path
    ) -> None:
        """Two processes write while the server is killed, stays away and comes back; then a writer is killed, too."""
        backend = connect()
        one, two = writers("one"), writers("two")
        wrote(one, 40)
        wrote(two, 40)
        neo4j_server.kill()
        try:
            wrote(one, 40)
            wrote(two, 40)
            answer = backend.user("user0").search("Porto")
            assert answer
        finally:
            neo4j_server.start()
        wrote(one, 20)
        os.kill(one.pid, signal.SIGKILL)
        wrote(two, 40)
        os.kill(two.pid, signal.SIGKILL)
        one.wait(30)
        two.wait(30)
        assert backend.user("user0").all(limit=1)
        backend.user("user0").search("Porto")
        assert told(backend, KILLED_SECONDS)
        kept, graph = both(backend, USERS, ask, file)
        assert len(kept) > 100
        assert kept == graph

    def test_whoever_delivers_is_killed(
        self, connect: Connect, writers: Callable[[str], Any], ask: Ask, file: Path
    ) -> None:
        """Again and again, at any moment: the next one goes on where it stopped."""
        rng = random.Random(7)
        for number in range(4):
            process = writers(f"w{number}")
            wrote(process, 10 + rng.randrange(20))
            time.sleep(rng.random() / 10)
            os.kill(process.pid, signal.SIGKILL)
            process.wait(30)
        backend = connect()
        assert backend.user("user0").search("Porto"), "a reader delivers what the dead have left"
        assert told(backend, KILLED_SECONDS)
        kept, graph = both(backend, USERS, ask, file)
        assert kept == graph
        alone = ask(
            "MATCH (e:Entity) WHERE e.space STARTS WITH $store AND NOT (e)<-[:MENTIONS]-() RETURN count(e) AS n",
            store=store_of(file),
        )
        assert alone == [{"n": 0}]

    def test_one_that_was_overtaken_does_no_harm(self, connect: Connect, ask: Ask, file: Path) -> None:
        """A delivery that hangs longer than its lease comes too late: the graph refuses it."""
        from memweld.engine.projections.neo4j.client import GraphClient
        from memweld.engine.projections.neo4j.projection import Mentions, project
        from memweld.engine.projections.protocol import NewerLeaseError

        backend = connect()
        ana = backend.user("ana")
        (item,) = ana.add("Clara lives in Porto")
        assert settled(ana)
        database = SqliteDatabase(str(file))
        outbox, lease = Outbox(database), DeliveryLease(Outbox(database))
        (late,) = outbox.entries(outbox.page(after=0, limit=10)).values()
        fence = lease.state().fence
        lease.claim("somebody else", 0)
        ana.update(item.id, "Clara lives in Faro")
        assert settled(ana)
        assert lease.state().fence > fence
        client = GraphClient(backend._engine.projection.client.address)  # pyright: ignore[reportAttributeAccessIssue]
        with pytest.raises(NewerLeaseError):
            client.write(
                lambda transaction: project(transaction, store_of(file), fence, [(late, Mentions(["Porto"]))], [])
            )
        client.close()
        database.close()
        kept, graph = both(backend, ["ana"], ask, file)
        assert kept == graph == {item.id: "Clara lives in Faro"}

    def test_what_is_being_deleted_has_no_row(self, neo4j_server: Neo4jServer) -> None:
        """Neo4j reads null of a node or edge that another transaction deletes meanwhile."""
        from memweld.engine.projections.neo4j.client import GraphClient
        from memweld.engine.projections.neo4j.url import parse_graph_url

        client = GraphClient(parse_graph_url(neo4j_server.url))
        rows = client.read("UNWIND [1, null, 2] AS n RETURN n, 'edge' AS kind", seconds=30)
        client.close()
        assert rows == [{"n": 1, "kind": "edge"}, {"n": 2, "kind": "edge"}]

    def test_one_that_waited_for_its_turn_is_refused(self, neo4j_server: Neo4jServer, ask: Ask) -> None:
        """A delivery that hangs while a newer one is under way finds what that has left, not what was there before."""
        from memweld.engine.projections.neo4j.client import GraphClient
        from memweld.engine.projections.neo4j.projection import project
        from memweld.engine.projections.neo4j.url import parse_graph_url
        from memweld.engine.projections.protocol import NewerLeaseError

        client, store = GraphClient(parse_graph_url(neo4j_server.url)), "waiting"
        client.write(lambda transaction: project(transaction, store, 1, [], []))
        answers: list[BaseException | None] = []

        def deliver_late() -> None:
            try:
                client.write(lambda transaction: project(transaction, store, 1, [], []))
            except NewerLeaseError as error:
                answers.append(error)
            else:
                answers.append(None)

        late = threading.Thread(target=deliver_late)
        with (
            neo4j.GraphDatabase.driver(neo4j_server.url) as driver,
            driver.session() as session,
            session.begin_transaction() as newer,
        ):
            project(newer, store, 2, [], [])  # pyright: ignore[reportArgumentType]
            late.start()
            while not ask("SHOW TRANSACTIONS YIELD status WHERE status STARTS WITH 'Blocked' RETURN status"):
                assert late.is_alive()
            newer.commit()
        late.join(60)
        client.close()
        assert [type(each) for each in answers] == [NewerLeaseError]
        assert ask("MATCH (s:MemweldStore {memweld_id: $store}) RETURN s.fence AS fence", store=store) == [{"fence": 2}]

    def test_closing_lets_a_session_end(self, neo4j_server: Neo4jServer) -> None:
        """The driver raises anything where another thread uses a connection that it closes."""
        from memweld.engine.projections.neo4j.client import GraphClient
        from memweld.engine.projections.neo4j.url import parse_graph_url

        client = GraphClient(parse_graph_url(neo4j_server.url))

        def work(transaction: neo4j.ManagedTransaction) -> list[int]:
            client.close()
            return transaction.run("RETURN 1 AS one").value("one")

        assert client.write(work) == [1]
        assert client._driver is None
        with pytest.raises(memweld.BackendUnavailableError, match="The backend is closed"):
            client.read("RETURN 1 AS one", seconds=30)

    def test_an_error_of_ours_stays_what_it_is(self, neo4j_server: Neo4jServer) -> None:
        """Also one of the file, raised while the graph is written: the graph is not to blame."""
        from memweld.engine.projections.neo4j.client import GraphClient
        from memweld.engine.projections.neo4j.url import parse_graph_url

        client = GraphClient(parse_graph_url(neo4j_server.url))

        def fail(_: neo4j.ManagedTransaction) -> None:
            raise memweld.BackendUnavailableError("the file is full")

        with pytest.raises(memweld.BackendUnavailableError, match=r"^the file is full$"):
            client.write(fail)
        client.close()

    def test_a_program_may_end_in_the_middle(self, neo4j_server: Neo4jServer) -> None:
        code = """
import sys, threading
from memweld.engine.projections.neo4j.client import GraphClient
from memweld.engine.projections.neo4j.url import parse_graph_url
client, started = GraphClient(parse_graph_url(sys.argv[1])), threading.Event()
def work(transaction):
    while True:
        transaction.run("RETURN 1").consume()
        started.set()
threading.Thread(target=client.write, args=(work,), daemon=True).start()
assert started.wait(60)
"""
        done = subprocess.run(
            [sys.executable, "-c", code, neo4j_server.url], capture_output=True, text=True, timeout=120, check=True
        )
        assert done.stderr == ""

    def test_threads_of_one_process(self, backend: Backend, ask: Ask, file: Path) -> None:
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                memory = backend.user(f"user{number % 3}")
                for each in range(25):
                    (item,) = memory.add(f"Thread{number} saw Clara{each} in Porto")
                    if each % 3 == 0:
                        memory.update(item.id, f"Thread{number} saw Dora{each} in Faro")
                    if each % 5 == 0:
                        memory.delete(item.id)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert told(backend)
        kept, graph = both(backend, USERS, ask, file)
        assert kept == graph
        assert len(graph) == 6 * 20


class TestRepair:
    def doctor(self, file: Path, graph: str, monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[int, str]:
        monkeypatch.setenv("MEMWELD_GRAPH", graph)
        monkeypatch.setenv("MEMWELD_EMBEDDER", "static")
        result = CliRunner().invoke(app, ["doctor", "--url", f"sqlite:///{file}", *options], catch_exceptions=False)
        return result.exit_code, next((line for line in result.stdout.splitlines() if "graph store" in line), "")

    def test_the_doctor_sees_and_repairs(
        self, connect: Connect, neo4j_server: Neo4jServer, ask: Ask, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with connect() as backend:
            ana = backend.user("ana")
            items = [ana.add(f"Clara{number} lives in Porto")[0] for number in range(5)]
            assert settled(ana)
        code, line = self.doctor(file, neo4j_server.url, monkeypatch)
        assert "agrees with all 5 memories" in line
        assert code == 0
        store = store_of(file)
        ask("MATCH (m:Memory {id: $id}) DETACH DELETE m", id=items[0].id)
        ask("MATCH (m:Memory {id: $id}) SET m.text = 'other', m.hash = 'other'", id=items[1].id)
        ask(
            "CREATE (:Memory {memweld_id: $node, id: 'ghost', space: $space})",
            node=f"{store}/memory:999999",
            space=store,
        )
        for end in ("9" * 20, "theirs"):
            ask("CREATE (:Memory {memweld_id: $node})", node=f"{store}/memory:{end}")  # of another program
        code, line = self.doctor(file, neo4j_server.url, monkeypatch)
        assert code == 1
        assert "1 missing, 1 outdated, 1 of deleted memories" in line
        assert "memweld doctor --repair" in line
        code, line = self.doctor(file, neo4j_server.url, monkeypatch, "--repair")
        assert code == 0
        assert "agrees with all 5 memories" in line
        kept, graph = both(connect(), ["ana"], ask, file)
        assert kept == graph

    def test_a_user_or_all_is_told_again(self, connect: Connect, ask: Ask, file: Path) -> None:
        backend = connect()
        ana, bob = backend.user("ana"), backend.user("bob")
        for memory in (ana, bob):
            memory.add("Clara lives in Porto")
        assert settled(ana, bob)
        # Which entities a text has is no part of the comparison: who changes the way they are found tells all again.
        assert backend.admin.repair_graph() == 0
        ask("MATCH (e:Entity) WHERE e.space STARTS WITH $store DETACH DELETE e", store=store_of(file))
        assert ana.related("Clara") == []
        assert backend.admin.repair_graph(ana.scope) == 1
        assert (len(ana.related("Clara")), len(bob.related("Clara"))) == (1, 0)
        assert backend.admin.repair_graph(whole=True) == 2
        assert len(bob.related("Clara")) == 1

    @pytest.mark.parametrize(
        "change",
        [
            "MATCH (m:Memory {id: $id}) SET m.text = 'evil'",
            "MATCH (m:Memory {id: $id}) SET m.name = 'evil'",
            "MATCH (m:Memory {id: $id}) SET m.space = 'evil'",
            "MATCH (m:Memory {id: $id}) SET m.agent = 'evil'",
            "MATCH (m:Memory {id: $id}) REMOVE m.session",
            "MATCH (:Memory {id: $id})-[r:MENTIONS]->(:Entity {name: 'Porto'}) DELETE r",
            "MATCH (:Memory {id: $id})-[r]-() DELETE r",
            "MATCH (m:Memory {id: $id}) CREATE (m)-[:MENTIONS]->(:Entity {name: 'Evil', key: 'evil', space: m.space})",
            "MATCH (m:Memory {id: $id}), (:Entity {name: 'Clara'})-[r:RELATED_TO {memory: m.memweld_id}]->() DELETE r",
            "MATCH (m:Memory {id: $id}), (:Entity)-[r:RELATED_TO {memory: m.memweld_id}]->() SET r.name = 'hates'",
            "MATCH (m:Memory {id: $id})-[:MENTIONS]->(e {name: 'Porto'}) SET e.name = 'Evil'",
            "MATCH (m:Memory {id: $id})-[:MENTIONS]->(e {name: 'Porto'}) SET e.key = 'evil'",
            "MATCH (m:Memory {id: $id})-[:MENTIONS]->(e {name: 'Porto'}) SET e.space = 'evil'",
            "MATCH (m:Memory {id: $id})-[:SAID_IN]->(s) SET s.name = 'evil'",
            "MATCH (m:Memory {id: $id})<-[:REMEMBERS]-(u) SET u.name = 'evil'",
        ],
    )
    def test_whatever_was_changed_is_seen_and_put_right(
        self, backend: Backend, ask: Ask, file: Path, change: str
    ) -> None:
        memory = backend.user("ana", agent_id="r")
        (item,) = memory.add("Clara works at Acme in Porto", session_id="s")
        memory.add("Porto is blue")
        assert settled(memory)
        dump = (
            "MATCH (n) WHERE n.memweld_id STARTS WITH $store AND NOT n:MemweldStore OPTIONAL MATCH (n)-[r]->(m) "
            "RETURN properties(n) AS n, type(r) AS r, r.name AS name, m.memweld_id AS m ORDER BY n.memweld_id, r, m"
        )
        before = ask(dump, store=store_of(file))
        ask(change, id=item.id)
        standing = backend.admin.graph_health()
        assert standing is not None
        assert (standing.agrees, standing.missing, standing.outdated > 0) == (False, 0, True)
        assert backend.admin.repair_graph() == standing.outdated
        assert told(backend)
        assert ask(dump, store=store_of(file)) == before

    def test_another_server_is_told_everything(self, connect: Connect, ask: Ask, file: Path) -> None:
        backend = connect()
        ana = backend.user("ana")
        for number in range(5):
            ana.add(f"Clara{number} lives in Porto")
        assert settled(ana)
        backend.close()
        ask("MATCH (n) WHERE n.memweld_id STARTS WITH $store DETACH DELETE n", store=store_of(file))
        again = connect()
        again.user("bob").add("Dora lives in Faro")
        assert told(again)
        kept, graph = both(again, ["ana", "bob"], ask, file)
        assert kept == graph
        assert len(graph) == 6

    def test_a_server_that_lost_its_data_is_told_everything(self, connect: Connect, ask: Ask, file: Path) -> None:
        """Also by the process that was the first to tell it, and constraints and all."""
        backend = connect()
        ana, bob = backend.user("ana"), backend.user("bob")
        for number in range(5):
            ana.add(f"Clara{number} lives in Porto")
        bob.add("Dora lives in Faro")
        assert settled(ana, bob)
        for _ in range(2):
            ask("MATCH (n) WHERE n.memweld_id STARTS WITH $store DETACH DELETE n", store=store_of(file))
            ana.add("I like tea")
            ana.delete(ana.search("tea", limit=1)[0].id)
            assert settled(ana)
            # What was told before the loss is told after what has changed since.
            assert told(backend)
            assert len(ana.related("Porto")) == 5
            kept, graph = both(backend, ["ana", "bob"], ask, file)
            assert kept == graph
            assert len(graph) == 6

    def test_a_back_up_older_than_the_graph(self, connect: Connect, ask: Ask, file: Path, tmp_path: Path) -> None:
        """The file is put back to an earlier state: the graph follows what the doctor finds."""
        backend = connect()
        ana = backend.user("ana")
        ana.add("Clara lives in Porto")
        assert settled(ana)
        backend.close()
        saved = file.read_bytes()
        for number in range(3):
            later = connect()
            later.user("ana").add(f"Dora{number} lives in Faro")
            assert settled(later.user("ana"))
            later.close()
        for each in tmp_path.glob("memory.db*"):
            each.unlink()
        file.write_bytes(saved)
        restored = connect()
        restored.user("ana").add("Egon lives in Lagos")
        assert settled(restored.user("ana"))
        assert restored.admin.repair_graph() == 2, "the new memory has taken the place of the first that the file lost"
        assert told(restored)
        kept, graph = both(restored, ["ana"], ask, file)
        assert kept == graph
        assert len(graph) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_a_graph_of_its_own(backend: Backend) -> None:
    ana = backend.user("ana")
    ana.add("Clara lives in Porto")
    assert settled(ana)
    code = """
import os, sys, memweld, warnings
warnings.simplefilter("ignore", DeprecationWarning)
from memweld.engine.projections.neo4j import queries
from memweld.testing import HashEmbedder
queries._RELATED_SECONDS = 60.0
backend = memweld.connect(sys.argv[1], graph=sys.argv[2], embedder=HashEmbedder())
ana = backend.user("ana")
ana.add("Parent met Dora")
assert ana.settle_graph(60)
for _ in range(20):
    if os.fork() == 0:
        try:
            ana.add("Child met Egon")
        except memweld.BackendUnavailableError as error:
            # The thread that delivers read the file just when the process forked.
            os._exit(2 if "when this process was forked" in str(error) else 1)
        done = ana.settle_graph(60) and len(ana.related("Egon")) == 1
        os._exit(0 if done else 1)
    ended = os.waitstatus_to_exitcode(os.wait()[1])
    if ended != 2:
        break
assert ended == 0
assert len(ana.related("Dora")) == 1
ana.add("Parent met Fritz")
assert ana.settle_graph(60)
backend.close()
"""
    graph = backend._engine.projection.client.address.uri  # pyright: ignore[reportAttributeAccessIssue]
    done = subprocess.run(
        [sys.executable, "-c", code, backend.url, graph], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    assert told(backend)


@pytest.mark.slow
class TestPostgres:
    """The same outbox in the other database, where writers do not wait for each other."""

    @pytest.fixture
    def url(self, postgres: PostgresServer) -> str:
        return postgres.make_database()

    @pytest.fixture
    def shared(self, url: str, neo4j_server: Neo4jServer) -> Iterator[Connect]:
        made: list[Backend] = []

        def shared(**options: Any) -> Backend:
            made.append(memweld.connect(url, graph=neo4j_server.url, embedder=HashEmbedder(), **options))
            return made[-1]

        yield shared
        for backend in made:
            backend.close()

    def test_from_the_first_memory_to_the_last(self, shared: Connect, url: str) -> None:
        with memweld.connect(url, embedder=HashEmbedder()) as before:
            before.user("eve").add("Egon lives in Lagos")
        backend = shared()
        ana, bob = backend.user("ana"), backend.user("bob")
        (sister,) = ana.add("My sister Clara works at Acme", session_id="s")
        (rockets,) = backend.user("ana", agent_id="r").add("Acme builds rockets in Porto")
        bob.add("Clara of Acme called Porto")
        ana.state("n").set("k", 1, text="The key is with Dora", ttl=600)
        assert told(backend)
        assert [each.id for each in ana.related("Clara")] == [sister.id, rockets.id]
        assert len(backend.user("eve").related("Egon")) == 1
        assert {hit.id for hit in ana.search("Clara", limit=2)} >= {sister.id}
        answer = TOOLS["delete_memory"](ana, {"memory_id": sister.id})
        assert answer.text.endswith("deleted successfully from both vector and graph stores")
        with memweld.connect(url, embedder=HashEmbedder()) as without:
            without.user("ana").add("Fritz, of whom Clara knows, is in Faro")
            without.user("ana").state("n").delete("k")
        backend.user("ana").search("Clara")
        assert told(backend)
        assert len(ana.related("Clara")) == 1
        receipt = ana.erase()
        assert (receipt.graph, receipt.counts["items"]) == ("done", 2)
        assert receipt.counts["graph"] > 2
        assert told(backend)

    def test_a_graph_that_is_given_up(self, shared: Connect, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its outbox does not grow unseen, and is emptied."""
        with shared() as backend:
            ana = backend.user("ana")
            ana.add("Clara lives in Porto")
            assert settled(ana)
        monkeypatch.setenv("MEMWELD_EMBEDDER", "static")

        def doctor(*options: str) -> tuple[int, str]:
            result = CliRunner().invoke(app, ["doctor", "--url", url, *options], catch_exceptions=False)
            return result.exit_code, result.stdout + result.stderr

        with memweld.connect(url, embedder=HashEmbedder()) as without:
            without.user("ana").add("Bob lives in Faro")
            assert without.admin.graph_backlog() == 1
            code, text = doctor()
            assert code == 1
            assert "none, but 1 changes wait to be told to one" in text
            code, text = doctor("--repair")
            assert code == 1
            assert "set MEMWELD_GRAPH" in text
            assert without.user("ana").erase().graph == "pending"
            code, text = doctor("--forget-graph")
            assert code == 0
            assert "3 changes wait for a graph no more" in text
            without.user("ana").add("Dora lives in Faro")
            assert without.admin.graph_backlog() is None
            assert without.user("ana").erase().graph == "none"
        assert doctor()[0] == 0

    def test_a_database_without_tables_gets_none(self, url: str) -> None:
        import psycopg

        result = CliRunner().invoke(app, ["doctor", "--url", url, "--forget-graph"])
        assert result.exit_code == 1
        assert CliRunner().invoke(app, ["doctor", "--url", url]).exit_code == 0
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'items'").fetchone()
        assert row == (0,)

    def test_under_row_level_security(self, shared: Connect, url: str) -> None:
        """A role that sees one user at a time knows that there is a graph, and leaves it to others."""
        import psycopg

        backend = shared()
        ana = backend.user("ana")
        ana.add("Clara lives in Porto")
        assert settled(ana)
        role = f"app_{time.monotonic_ns()}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        backend.admin.migrate(role=role)
        secured = url.replace("postgres@", f"{role}@")
        with memweld.connect(secured, embedder=HashEmbedder()) as application:
            assert application.admin.graph_backlog() is None
            assert application.user("ana").erase().graph == "pending"
            with pytest.raises(memweld.ConfigurationError, match="row-level security"):
                application.admin.detach_graph()
        assert settled(ana)

    def test_servers_write_while_the_graph_is_killed(
        self, shared: Connect, url: str, neo4j_server: Neo4jServer
    ) -> None:
        backend = shared()
        command = [sys.executable, "-c", WRITER, url, neo4j_server.url]
        running = [
            subprocess.Popen([*command, name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            for name in ("one", "two")
        ]
        try:
            for process in running:
                wrote(process, 15)
            neo4j_server.kill()
            for process in running:
                wrote(process, 15)
        finally:
            if neo4j_server.process is not None and neo4j_server.process.poll() is not None:
                neo4j_server.start()
            for process in running:
                process.kill()
                process.wait(30)
                assert process.stdout is not None
                process.stdout.close()
        backend.user("user0").search("Porto")
        assert told(backend, KILLED_SECONDS)
        standing = backend.admin.graph_health()
        assert standing is not None
        assert standing.items > 30
