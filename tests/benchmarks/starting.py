"""Measures starting, RAM, and searches by the number of users in the file, each in its own processes.

    python tests/benchmarks/starting.py [--sizes 1000 10000] [--many 1000] [--rounds 5]

It is part of ``engine.py``, and a program of its own. The processes take turns. Files are in the page cache, as they
are for a restarting service.

- Time from the start of a process to its end: the interpreter, ``connect()`` and the first search; beside it the
  interpreter alone, the import of mem0, and mem0 with its default store, a local Qdrant, up to its first search. mem0
  needs an embedding model too; here it gets one that does nothing, so that it loads none.
- RAM: a process's RAM after a search for every user of the file, less its RAM with nothing stored.
- Users: the search of a user with few memories, alone in a file and among many users, and of one with very many. The
  first search of a user in a process reads the user's memories.
- A change: the search that follows a delete, an add or an update.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from measuring import ms, sentences, timed, vocabulary
from rich.console import Console
from rich.table import Table
from rivals import RIVALS, Shared

import memweld

_MEM0_MOST = 10_000  # filling local Qdrant with more takes minutes


class Memweld:
    """The embedded file."""

    packages = ("memweld", "numpy")

    def __init__(self, place: Path, shared: Shared) -> None:
        self.url = f"sqlite:///{place / 'memweld.db'}"
        self.backend = memweld.connect(self.url)

    def fill(self, users: Sequence[str], texts: Sequence[str], vectors: Any) -> None:
        by_user: dict[str, list[dict[str, str]]] = {}
        for user, text in zip(users, texts, strict=True):
            by_user.setdefault(user, []).append({"role": "user", "content": text})
        for user, messages in by_user.items():
            for at in range(0, len(messages), 1000):
                self.backend.user(user).add(messages[at : at + 1000])

    def search(self, user: str, query: str, vector: Any) -> int:
        return len(self.backend.user(user).search(query, limit=10))


class Filled(NamedTuple):
    """A file, or a mem0 store, with a number of memories and of users."""

    url: str
    users: int
    texts: list[str]
    bytes: int


def fill(place: Path, size: int, users: int, shared: Shared) -> Filled:
    """A file of memweld's; the texts are the same for the same size."""
    home = place / f"{size} of {users}"
    home.mkdir()
    system = Memweld(home, shared)
    texts = sentences(vocabulary(shared), size, random.Random(2))
    system.fill([f"user{number % users}" for number in range(size)], texts, None)
    system.backend.close()
    return Filled(system.url, users, texts, (home / "memweld.db").stat().st_size)


def fill_mem0(place: Path, filled: Filled, shared: Shared) -> Any:
    """mem0's local Qdrant with the same memories; the context manager removes it."""
    system = RIVALS["mem0"](place, shared)
    texts = filled.texts
    system.fill([f"user{number % filled.users}" for number in range(len(texts))], texts, shared.unit(texts))
    system._memory.vector_store.client.close()
    return system._in_ram


# processes


_RSS = """
import resource
with open("/proc/self/statm") as file:
    print(int(file.read().split()[1]) * resource.getpagesize())
"""
_MEMWELD = f"""
import sys, memweld
backend = memweld.connect(sys.argv[1])
for number in range(int(sys.argv[2])):
    backend.user(f"user{{number}}").search("what about the garden", limit=10)
{_RSS}"""
_NOBODY = f"""
import sys, memweld
memweld.connect(sys.argv[1]).user("nobody").search("what about the garden", limit=10)
{_RSS}"""
_MEM0 = f"""
import sys
from mem0 import Memory
openai = {{"provider": "openai", "config": {{"api_key": "none is needed"}}}}
memory = Memory.from_config({{
    "vector_store": {{
        "provider": "qdrant", "config": {{"path": sys.argv[1], "embedding_model_dims": 256, "on_disk": True}}
    }},
    "llm": openai, "embedder": openai, "history_db_path": ":memory:",
}})
class Nothing:
    def embed(self, text, action=None):
        return [1 / 16] * 256
memory.embedding_model = Nothing()
memory.vector_store._bm25_encoder = False  # it would be downloaded
memory.search("what about the garden", filters={{"user_id": "user0"}}, top_k=10, threshold=0.0)
{_RSS}"""


class Program(NamedTuple):
    """Code, and its arguments."""

    code: str
    arguments: tuple[str, ...] = ()

    def run(self) -> tuple[float, int]:
        """The seconds from its start to its end, and its last RAM in bytes."""
        answers: list[str] = []
        command = [sys.executable, "-c", self.code, *self.arguments]
        run = lambda: answers.append(  # noqa: E731
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout
        )
        return timed(run), int(answers[0].split()[-1])


def in_turns(programs: dict[str, Program], rounds: int) -> dict[str, tuple[float, float]]:
    """The median seconds and bytes of each."""
    runs: dict[str, list[tuple[float, int]]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            runs[name].append(program.run())
    return {name: tuple(statistics.median(each) for each in zip(*runs[name], strict=True)) for name in programs}  # type: ignore[misc]


def table_of_starts(
    files: dict[tuple[int, int], Filled], stores: dict[int, Any], nothing: str, rounds: int
) -> Iterator[Table]:
    """Time a process from its start to the end of its first search, and measure the RAM of its memories."""
    programs = {
        "`python -c pass`": Program(_RSS),
        "memweld: `connect()` and a search, nothing stored": Program(_NOBODY, (nothing,)),
    }
    names: dict[tuple[int, int], str] = {}
    for (size, users), file in files.items():
        names[size, users] = f"memweld, {size:,} memories" + (f" of {users:,} users" if users > 1 else " of one user")
        programs[names[size, users]] = Program(_MEMWELD, (file.url, "1"))
    programs["`import mem0`"] = Program(f"import mem0\n{_RSS}")
    for size, folder in stores.items():
        programs[f"mem0, local Qdrant, {size:,} memories of one user"] = Program(_MEM0, (f"{folder.name}/qdrant",))
    took = in_turns(programs, rounds)
    table = Table(title="a fresh process up to the end of its first search, median")
    for column in ("", "ms", "ms less the interpreter's", "RAM, MB"):
        table.add_column(column, justify="right" if column else "left")
    bare = took["`python -c pass`"][0]
    for name, (seconds, held) in took.items():
        table.add_row(name, f"{1000 * seconds:,.0f}", f"{1000 * (seconds - bare):,.0f}", f"{held / 1e6:.0f}")
    yield table
    most = max(size for size, _ in files)
    held = in_turns(
        {
            "": Program(_NOBODY, (nothing,)),
            **{names[key]: Program(_MEMWELD, (file.url, str(key[1]))) for key, file in files.items() if key[0] == most},
        },
        min(rounds, 3),
    )
    table = Table(title="RAM after a search for every user of the file, less what it is with nothing stored")
    for column in ("", "RAM, MB", "of which vectors", "per 100,000 vectors", "the file, MB"):
        table.add_column(column, justify="right" if column else "left")
    for key, file in files.items():
        if key[0] == most:
            megabytes = (held[names[key]][1] - held[""][1]) / 1e6
            share = f"{megabytes * 100_000 / most:.0f}"
            table.add_row(names[key], f"{megabytes:.0f}", f"{most * 1024 / 1e6:.0f}", share, f"{file.bytes / 1e6:.0f}")
    yield table


# within a process


def table_of_owners(files: dict[str, Filled], calls: int) -> Table:
    """Time a user's search, by the number of the user's own memories and of others in the file."""
    rng = random.Random(5)
    backends = {name: memweld.connect(file.url) for name, file in files.items()}
    first: dict[str, list[float]] = {name: [] for name in files}
    later: dict[str, list[float]] = {name: [] for name in files}
    for backend in backends.values():
        backend.user("nobody").search("loads what every search needs")
    for _ in range(calls):
        for name, file in files.items():
            number = rng.randrange(file.users)
            text = rng.choice(file.texts)
            query = text[: text.rindex(" ", 0, 40)]
            user = backends[name].user(f"user{number}")
            if file.users > 1 or not first[name]:
                first[name].append(timed(user.search, query))
            later[name].append(timed(user.search, query))
    for backend in backends.values():
        backend.close()
    table = Table(title="a user's search by whose memories the file holds, median ms")
    for column in ("", "the user's first in the process", "later ones"):
        table.add_column(column, justify="right" if column else "left")
    for name in files:
        table.add_row(name, ms(statistics.median(first[name])), ms(statistics.median(later[name])))
    return table


def table_of_changes(files: dict[int, Filled], calls: int) -> Table:
    """The search that follows a change of the user's memories."""
    table = Table(title="the search after a change, one user, median ms")
    for column in ("memories", "nothing changed", "after a delete", "after an add", "after an update"):
        table.add_column(column, justify="right" if column != "memories" else "left")
    for size, file in files.items():
        with memweld.connect(file.url) as backend:
            ana = backend.user("user0")
            took: list[tuple[float, float, float, float]] = []
            query = "what about the garden"
            ana.search(query)
            for item in ana.all(limit=calls):
                unchanged = timed(ana.search, query)
                ana.delete(item.id)
                deleted = timed(ana.search, query)
                (made,) = ana.add(f"something new instead of {item.id}")
                added = timed(ana.search, query)
                ana.update(made.id, f"something else instead of {item.id}")
                took.append((unchanged, deleted, added, timed(ana.search, query)))
        table.add_row(f"{size:,}", *(ms(statistics.median(each)) for each in zip(*took, strict=True)))
    return table


def tables_of_starts(sizes: Sequence[int], many: int, rounds: int, calls: int, shared: Shared) -> Iterator[Table]:
    """Print the tables."""
    most = max(sizes)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        os.environ["MEM0_DIR"] = str(place)
        nothing = f"sqlite:///{place / 'nothing.db'}"
        memweld.connect(nothing).user("ana").state("n").set("k", 1)
        files = {(size, 1): fill(place, size, 1, shared) for size in sorted(sizes)}
        files[most, many] = fill(place, most, many, shared)
        few = most // many
        alone = files.get((few, 1)) or fill(place, few, 1, shared)
        stores = {size: fill_mem0(place, files[size, 1], shared) for size in sorted(sizes) if size <= _MEM0_MOST}
        yield from table_of_starts(files, stores, nothing, rounds)
        owners = {
            f"a user with {few:,}, alone": alone,
            f"a user with {few:,}, among {many:,} with as many": files[most, many],
            f"a user with {most:,}, alone": files[most, 1],
        }
        yield table_of_owners(owners, calls)
        yield table_of_changes({size: files[size, 1] for size in sorted(sizes)}, min(calls, 40))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--many", type=int, default=1000, help="users among whom the largest size is spread")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=60)
    options = parser.parse_args()
    console = Console(width=120, soft_wrap=False)
    for table in tables_of_starts(options.sizes, options.many, options.rounds, options.calls, Shared()):
        console.print(table)


if __name__ == "__main__":
    main()
