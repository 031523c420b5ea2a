"""Compares the embedded engine with other stores, bare SQLite and numpy: ratios of one run, not milliseconds.

    python tests/benchmarks/engine.py [--sizes 1000 10000] [--users 1 1000] [--systems memweld mem0 …]
        [--calls N] [--writes N] [--results FILE] [--draw DIRECTORY]

Searches: ``--sizes`` memories of one user, or spread over ``--users`` users; ten hits; the same texts and vectors in
all stores (``rivals.py``). memweld does more: it embeds the query, weights its words and ranks by words as well. Calls
of the systems alternate, so a noisy machine disturbs all alike, and the table has medians. The last rows are parts of
memweld's search (the vectors, the whole ranking) and a bare numpy scan of the same matrix.

Then starting, RAM, searches by the number of users in the file, and searches after a change (``starting.py``); writes,
each against the bare SQLite statement that stores the same bytes (``writes.py``); the length of a history, and pages.

``--draw docs/explanation`` writes the curves of the searches to performance.svg there, and replaces the tables in
performance.md. The command for that whole page:

    python tests/benchmarks/engine.py --sizes 1000 10000 100000 --draw docs/explanation

It takes about half an hour on two idle cores, most of it for filling the other stores with 100,000 memories and
searching them. ``--results`` collects the searches of several runs in one file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sqlite3
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from document import markdown, split_page, write_printed
from measuring import median, ms, sentences, timed, vocabulary
from rich.console import Console
from rich.table import Table
from rivals import RIVALS, Shared
from starting import Memweld, tables_of_starts
from writes import tables_of_writes

import memweld

PROGRAM = "tests/benchmarks/engine.py"

console = Console(width=120, soft_wrap=False)


SYSTEMS: dict[str, Any] = {"memweld": Memweld, **RIVALS}


# searching


def measure_searches(size: int, users: int, names: Sequence[str], calls: int, shared: Shared) -> dict[str, float]:
    """The median seconds of each system, and of numpy and memweld's ranking."""
    rng = random.Random(size + users)
    words = vocabulary(shared)
    texts = sentences(words, size, rng)
    owners = [f"user{number % users}" for number in range(size)]
    vectors = np.concatenate([shared.unit(texts[at : at + 5000]) for at in range(0, size, 5000)])
    asked = [(f"user{rng.randrange(users)}", text[: text.rindex(" ", 0, 40)]) for text in rng.sample(texts, calls)]
    questions = [(user, query, shared.unit([query])[0]) for user, query in asked]
    took: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        systems: dict[str, Any] = {}
        for name in names:
            home = Path(place) / name
            home.mkdir()
            systems[name] = SYSTEMS[name](home, shared)
            seconds = timed(systems[name].fill, owners, texts, vectors)
            first = timed(systems[name].search, *questions[0])
            console.print(f"[dim]{name}: filled in {seconds:.1f} s, first search {ms(first)} ms[/dim]")
            if name == "mem0" and first * calls > 60:
                questions = questions[: max(5, int(60 / first))]
        for user, query, vector in questions:
            for name, system in systems.items():
                if users > 1:
                    system.search(user, query, vector)
                took[name].append(timed(system.search, user, query, vector))
        result = {name: statistics.median(each) for name, each in took.items()}
        result |= measure_ranking(systems["memweld"].backend, questions)
        systems["memweld"].backend.close()
    return result


def measure_ranking(backend: Any, questions: Sequence[tuple[str, str, Any]]) -> dict[str, float]:
    """The vector part, the whole ranking, and numpy's scan of the same matrix."""
    from memweld.engine.search.ranking import fits

    store = backend._engine.facts._store
    scans: dict[str, list[float]] = {"numpy matmul": [], "numpy scan": [], "vector part": [], "ranking": []}
    for user, query, vector in questions:
        with backend._engine.database.reading_all() as connection:
            place = connection.execute("SELECT root FROM owners WHERE user_id = ?", (user,)).fetchone()[0]
            snapshot = store._indexes.read(connection, place)
        bare = np.array(snapshot.vectors)
        for _ in range(3):
            scans["numpy matmul"].append(timed(np.matmul, bare, vector))
            scans["numpy scan"].append(timed(np.vecdot, bare, vector))
            scans["vector part"].append(timed(snapshot.cosines, vector))
            scans["ranking"].append(timed(fits, snapshot, query, vector))
        if len(scans["ranking"]) > 90:
            break
    return {name: statistics.median(each) for name, each in scans.items()}


def table_of_searches(results: dict[tuple[int, int], dict[str, float]]) -> Table:
    """The searches of all systems."""
    table = Table(title="search, median ms (times memweld)")
    table.add_column("")
    for size, users in results:
        table.add_column(f"{size:,} of {users:,} user{'s' * (users > 1)}", justify="right")
    names = list(dict.fromkeys(name for each in results.values() for name in each))
    for name in names:
        cells: list[str] = []
        for each in results.values():
            if name not in each:
                cells.append("")
                continue
            ratio = f" ({each[name] / each['memweld']:.1f}x)" if name in RIVALS else ""
            if name == "vector part":
                ratio = f" ({each[name] / each['numpy scan']:.2f} of numpy)"
            cells.append(ms(each[name]) + ratio)
        table.add_row(name, *cells)
    return table


def draw(results: dict[tuple[int, int], dict[str, float]], directory: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "memweld", "svg.fonttype": "none"}
    from matplotlib import pyplot as plt

    several = sorted({users for _, users in results})
    figure, axes = plt.subplots(1, len(several), figsize=(9, 3.6), sharey=True, squeeze=False)
    for axis, users in zip(axes[0], several, strict=True):
        sizes = sorted(size for size, each in results if each == users)
        for name in SYSTEMS:
            known = [(size, 1000 * results[size, users][name]) for size in sizes if name in results[size, users]]
            if known:
                axis.plot(*zip(*known, strict=True), marker="o", label=name, linewidth=2.5 if name == "memweld" else 1)
        axis.set(xscale="log", yscale="log", xlabel="memories in the file", title=f"{users:,} user{'s' * (users > 1)}")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("search, median ms")
    axes[0][-1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(directory / "performance.svg", metadata={"Date": None})


# lengths


def page_behind(memory: Any, behind: str | None) -> Any:
    return memory.all(limit=100, cursor=behind)


def measure_lengths(lengths: Sequence[int]) -> list[tuple[int, float, float, float, float]]:
    """Time histories of these lengths (append, last ten), and as many memories (a page, the last page)."""
    rows: list[tuple[int, float, float, float, float]] = []
    with tempfile.TemporaryDirectory() as place, memweld.connect(f"sqlite:///{place}/memweld.db") as backend:
        ana = backend.user("ana")
        history = ana.history("s")
        held = 0
        for length in lengths:
            while held < length:
                part = min(1000, length - held)
                said = [{"role": "user", "content": f"message {held + number}"} for number in range(part)]
                history.append(said)
                ana.add(said)
                held += part
            append = median(lambda number: history.add_user_message(f"one more {number}"), 100)
            last = median(lambda _: history.messages(limit=10), 100)
            page = median(lambda _: ana.all(limit=100), 50)
            behind, items = None, ana.all(limit=1000)
            while len(items) == 1000:
                behind, items = items[-101].id, ana.all(limit=1000, cursor=items[-1].id)
            late = statistics.median(timed(page_behind, ana, behind) for _ in range(50))
            rows.append((length, append, last, page, late))
    return rows


def table_of_lengths() -> Table:
    """The time of a call by how much there is."""
    table = Table(title="one call by the number of messages and memories, median ms")
    for column in ("messages and memories", "append", "last 10", "page of 100", "last page of 100"):
        table.add_column(column, justify="left" if column.startswith("messages") else "right")
    for length, *took in measure_lengths((100, 1000, 10_000)):
        table.add_row(f"{length:,}", *map(ms, took))
    return table


def machine(names: Sequence[str]) -> str:
    """The machine and the versions."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    packages = sorted({package for name in names for package in SYSTEMS[name].packages} - {"memweld"})
    day = datetime.now(timezone.utc).date().isoformat()
    return (
        f"{day}: {platform.system()}, {' '.join([model, platform.machine()]).strip()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f} at the end. Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, {', '.join(f'{name} {version(name)}' for name in packages)}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--users", type=int, nargs="+", default=[1, 1000])
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--writes", type=int, default=300)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--draw", type=Path)
    options = parser.parse_args()
    if options.draw:
        split_page(options.draw / "performance.md", PROGRAM)  # a broken page fails before the measuring
    names = ["memweld", *(name for name in options.systems if name != "memweld")]
    shared = Shared()
    results: dict[tuple[int, int], dict[str, float]] = {}
    if options.results and options.results.exists():
        results = {(size, users): took for size, users, took in json.loads(options.results.read_text())}
    for users in options.users:
        for size in options.sizes:
            if users <= size:
                console.print(f"[bold]{size:,} memories, {users:,} users[/bold]")
                took = measure_searches(size, users, names, options.calls, shared)
                results[size, users] = results.get((size, users), {}) | took
                if options.results:
                    options.results.write_text(json.dumps([[*key, each] for key, each in results.items()]))
    results = dict(sorted(results.items(), key=lambda each: each[0][::-1]))
    if options.draw:
        draw(results, options.draw)
    printed: list[str] = []
    for table in tables(results, options, shared):
        console.print(table)
        printed.append(markdown(table))
    console.print(machine(names))
    if options.draw:
        printed.insert(1, "![Search by the number of memories](performance.svg)")
        write_printed(options.draw / "performance.md", PROGRAM, [machine(names), *printed])


def tables(results: dict[tuple[int, int], dict[str, float]], options: Any, shared: Shared) -> Iterator[Table]:
    """Print all tables."""
    yield table_of_searches(results)
    yield from tables_of_starts(options.sizes, max(options.users), 5, options.calls, shared)
    yield from tables_of_writes(options.writes, shared)
    yield table_of_lengths()


if __name__ == "__main__":
    main()
