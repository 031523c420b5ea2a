"""Measures the cost of a graph: the same file with and without it, in one run, on a Neo4j of its own.

python tests/benchmarks/graph.py [--memories 2000] [--neo4j neo4j://…]
"""

from __future__ import annotations

import argparse
import importlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import memweld
from memweld import Backend
from memweld.testing import HashEmbedder

sys.path.insert(0, str(Path(__file__).parents[1] / "services"))

NAMES = "Clara Bruno Dora Egon Fritz Greta Hugo Ines Jonas Karla Luis Maria Nuno Olga Paulo".split()
PLACES = "Porto Faro Lagos Braga Evora Coimbra Sintra Tavira Aveiro Leiria".split()
USERS = 20


def texts(count: int) -> list[str]:
    """Memories that mention two or three entities each."""
    rng = random.Random(3)
    return [
        f"{rng.choice(NAMES)} met {rng.choice(NAMES)}{rng.randrange(count)} in {rng.choice(PLACES)}, number {number}"
        for number in range(count)
    ]


def timed(work: Callable[[], object], count: int) -> list[float]:
    """Milliseconds of each call."""
    took: list[float] = []
    for _ in range(count):
        started = time.perf_counter()
        work()
        took.append((time.perf_counter() - started) * 1000)
    return took


def add_all(backend: Backend, said: list[str]) -> float:
    """Seconds to add the memories, one by one."""
    started = time.perf_counter()
    for number, text in enumerate(said):
        backend.user(f"user{number % USERS}").add(text)
    return time.perf_counter() - started


def searches(backend: Backend, said: list[str]) -> list[float]:
    """Milliseconds of searches, after some warm-up searches."""
    user, queries = backend.user("user1"), iter(said)
    return timed(lambda: user.search(next(queries)), 220)[20:]


def deletions(backend: Backend) -> list[float]:
    """Milliseconds of deletions, including the graph's part."""
    user = backend.user("user2")
    ids = iter([item.id for item in user.all(limit=100)])

    def delete() -> None:
        user.delete(next(ids))
        assert user.settle_graph(60)

    return timed(delete, 50)


def median(took: list[float]) -> str:
    """Median and 95th percentile as text."""
    return f"p50 {statistics.median(took):7.2f} ms   p95 {statistics.quantiles(took, n=20)[-1]:7.2f} ms"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memories", type=int, default=2_000)
    parser.add_argument("--neo4j", help="the URL of a server that runs; one is started if not given")
    options = parser.parse_args()
    said = texts(options.memories)
    with ExitStack() as stack:
        url = options.neo4j
        if url is None:
            server = importlib.import_module("servers").Neo4jServer()
            stack.callback(server.remove)
            server.start()
            url = server.url
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plain = stack.enter_context(memweld.connect(f"sqlite:///{place / 'plain.db'}", embedder=HashEmbedder()))
        graph = stack.enter_context(memweld.connect(f"sqlite:///{place / 'g.db'}", graph=url, embedder=HashEmbedder()))
        for backend in (plain, graph):
            backend.user("warm").add("Clara lives in Porto")
            backend.user("warm").search("Porto")
        graph.user("warm").settle_graph(60)

        alone = add_all(plain, said)
        started = time.perf_counter()
        beside = add_all(graph, said)
        while not all(graph.user(f"user{number}").settle_graph(60) for number in range(USERS)):
            time.sleep(0.05)
        told = time.perf_counter() - started
        count = len(said)
        print(f"add {count} memories of {USERS} users")
        print(f"  without   {alone / count * 1000:7.2f} ms each")
        print(f"  with      {beside / count * 1000:7.2f} ms each   ({beside / alone:.2f} times as long)")
        print(f"  the graph agrees after {told:.1f} s, {count / told:.0f} memories a second")

        print("search, limit 5")
        print(f"  without   {median(searches(plain, said))}")
        print(f"  with      {median(searches(graph, said))}")
        user, names = graph.user("user1"), iter(NAMES * 20)
        timed(lambda: user.related(next(names)), 10)
        print(f"related     {median(timed(lambda: user.related(next(names)), 200))}")
        print("delete")
        print(f"  without                          {median(deletions(plain))}")
        print(f"  with, until the graph is told    {median(deletions(graph))}")
        standing = graph.admin.graph_health()
        assert standing is not None
        assert standing.agrees, standing


if __name__ == "__main__":
    main()
