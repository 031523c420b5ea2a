"""Vectors in mem0's stores pass the backend suite: local Qdrant, Chroma and FAISS, and an imitation of the service."""

import contextlib
import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import memweld
from memweld import Backend
from memweld.testing import BackendSuite, HashEmbedder
from memweld.testing.mem0_service import Mem0Service, serve_mem0


class StoreSuite(BackendSuite):
    provider = ""

    def connect(self, place: Path, **options: Any) -> Backend:
        store = {"provider": self.provider, "config": {"path": str(place / self.provider)}}
        backend = memweld.connect(f"sqlite:///{place / 'memory.db'}", mem0={"vector_store": store}, **options)
        # Opens the store, which takes some of these longer than some of the suite's values live.
        backend.user("nobody").search("anything")
        return backend


class TestQdrant(StoreSuite):
    provider = "qdrant"


@pytest.mark.exhaustive
class TestChroma(StoreSuite):
    provider = "chroma"


@pytest.fixture(scope="module")
def chroma_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("chroma"), "run", "--host", "127.0.0.1", "--port", str(port)]
    place = tmp_path_factory.mktemp("chroma-server")
    server = subprocess.Popen([*command, "--path", str(place)], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait(20)


@pytest.mark.exhaustive
class TestChromaServer(BackendSuite):
    """A server of the store, with a collection for each test."""

    @pytest.fixture(autouse=True)
    def _collection(self, chroma_port: int) -> None:
        self.config = {"host": "127.0.0.1", "port": chroma_port, "collection_name": f"memweld-{uuid.uuid4().hex}"}

    def connect(self, place: Path, **options: Any) -> Backend:
        store = {"provider": "chroma", "config": self.config}
        return memweld.connect(f"sqlite:///{place / 'memory.db'}", mem0={"vector_store": store}, **options)


WORK = """
import json, random, sys, memweld
from concurrent.futures import ThreadPoolExecutor
from memweld.testing import HashEmbedder

backend = memweld.connect(sys.argv[1], mem0=json.loads(sys.argv[2]), embedder=HashEmbedder())

def work(thread):
    chance = random.Random(f"{sys.argv[3]} {thread}")
    memory = backend.user(f"user-{chance.randrange(2)}")
    for step in range(30):
        items = memory.all()
        item = chance.choice(items) if items else None
        try:
            match chance.randrange(6):
                case 0 if item:
                    memory.delete(item.id)
                case 1 if item:
                    memory.update(item.id, f"changed by {sys.argv[3]} {thread} {step}")
                case 2:
                    memory.preferences.set(f"key-{chance.randrange(3)}", f"value {thread} {step}")
                case _:
                    memory.add(f"a fact of {sys.argv[3]} {thread} {step}")
        except (memweld.MemoryNotFoundError, memweld.InvalidInputError):
            pass  # the other was there before

with ThreadPoolExecutor(4) as pool:
    list(pool.map(work, range(4)))
backend.close()
"""


@pytest.mark.exhaustive
def test_processes_over_one_server_agree(chroma_port: int, tmp_path: Path) -> None:
    """After two processes have changed the same memories at once, the store has each as the file does, and no more."""
    config = {"host": "127.0.0.1", "port": chroma_port, "collection_name": f"memweld-{uuid.uuid4().hex}"}
    mem0 = {"vector_store": {"provider": "chroma", "config": config}}
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    command = [sys.executable, "-c", WORK, url, json.dumps(mem0)]
    both = [subprocess.Popen([*command, name]) for name in ("one", "two")]
    assert [process.wait(150) for process in both] == [0, 0]
    with memweld.connect(url, mem0=mem0, embedder=HashEmbedder()) as backend:
        users = [backend.user(f"user-{number}") for number in range(2)]
        for user in users:
            user.search("anything")
        kept = [(item.user_id, item.text) for user in users for item in user.all(limit=1000)]
        projection = backend._engine.projection.opened  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
        assert projection.deliverer.settle(timeout=60, urge=True, give_up=lambda: False)
        held = projection.store._opened.store.collection.get()
        assert len(kept) > 50
        # A record has an id of its own, as items of two users may have the same.
        assert sorted((data["user_id"], data["data"]) for data in held["metadatas"]) == sorted(kept)


DIES = """
import json, os, sys, memweld
from memweld.testing import HashEmbedder

memory = memweld.connect(sys.argv[1], mem0=json.loads(sys.argv[2]), embedder=HashEmbedder()).user("ana")
memory.search("anything")
store = memory._engine.inner.projection.opened.store
put = store.put

def late(copies):
    print("on its way", flush=True)
    sys.stdin.readline()
    put(copies)
    os.kill(os.getpid(), 9)

store.put = late
memory.add("I live in Porto")
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize("change", ["update", "delete"])
def test_a_process_that_dies_while_it_delivers(chroma_port: int, tmp_path: Path, change: str) -> None:
    """Another process waits for its lease to end, and then puts right what the dead process has delivered last."""
    config = {"host": "127.0.0.1", "port": chroma_port, "collection_name": f"memweld-{uuid.uuid4().hex}"}
    mem0 = {"vector_store": {"provider": "chroma", "config": config}}
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    with memweld.connect(url, mem0=mem0, embedder=HashEmbedder()) as backend:
        ana = backend.user("ana")
        ana.search("anything")
        projection = backend._engine.projection.opened  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]

        def held() -> list[str]:
            return [data["data"] for data in projection.store._opened.store.collection.get()["metadatas"]]

        command = [sys.executable, "-c", DIES, url, json.dumps(mem0)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin, process.stdout, ThreadPoolExecutor(1) as pool:
            assert process.stdout.readline() == "on its way\n"
            (item,) = ana.all()
            expected = [] if change == "delete" else ["I live in Faro"]
            changing = pool.submit(
                lambda: ana.delete(item.id) if change == "delete" else ana.update(item.id, "I live in Faro")
            )
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.wait(60) == -9
            changing.result()
        assert projection.deliverer.settle(timeout=60, urge=True, give_up=lambda: False)
        assert held() == expected
        # The store cannot refuse the dead process, so all that it may have held is delivered once more, later.
        assert projection.outbox.pending().count > 0
        backend.admin.sync_projections()
        assert (held(), projection.outbox.pending().count) == (expected, 0)


@pytest.mark.exhaustive
class TestFaiss(StoreSuite):
    provider = "faiss"


@pytest.mark.exhaustive
class TestQdrantWithTheDefaultEmbedder(StoreSuite):
    provider = "qdrant"

    def connect(self, place: Path, **options: Any) -> Backend:
        options.pop("embedder")
        return super().connect(place, **options)


@pytest.mark.exhaustive
class TestImitatedService(BackendSuite):
    """mem0's hosted service is imitated here; what the real one does is not shown."""

    @pytest.fixture(autouse=True)
    def _service(self) -> Iterator[None]:
        with serve_mem0(Mem0Service()) as self.host:
            yield

    def connect(self, place: Path, **options: Any) -> Backend:
        service = {"platform": {"api_key": "m0-test", "host": self.host}}
        return memweld.connect(f"sqlite:///{place / 'memory.db'}", mem0=service, **options)
