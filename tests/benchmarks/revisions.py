"""Measures plain calls of this tree against those of an earlier revision: what a change costs users who do not use it.

    python tests/benchmarks/revisions.py REVISION [--runs 7]

Both revisions run in processes of their own, one after the other, in turns; so a busy machine slows both. The ratio is
the median over the runs of each pair: above 1.1 a call has become more than a tenth slower.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
STORED = 1_000
CALLS = 400


def measure() -> dict[str, float]:
    """The median milliseconds of each call over a memory with a thousand facts."""
    import memweld

    chance = random.Random(7)

    def words(count: int) -> str:
        return " ".join(f"word{chance.randrange(3_000)}" for _ in range(count))

    def milliseconds(call: Callable[[], object]) -> float:
        taken: list[float] = []
        for _ in range(CALLS):
            started_at = time.perf_counter()
            call()
            taken.append(time.perf_counter() - started_at)
        return statistics.median(taken) * 1_000

    with tempfile.TemporaryDirectory() as folder, memweld.connect(Path(folder) / "memory.db") as backend:
        ana = backend.user("ana")
        for _ in range(STORED):
            ana.add(f"We talked about {words(12)}")
        ana.search("word1 word2")
        return {
            "add": milliseconds(lambda: ana.add(f"We talked about {words(12)}")),
            "search": milliseconds(lambda: ana.search(words(4))),
            "recall": milliseconds(lambda: ana.recall(words(4))),
            "all(limit=100)": milliseconds(lambda: ana.all(limit=100)),
            "preferences.set": milliseconds(lambda: ana.preferences.set(words(2), "dark")),
        }


def measured(tree: Path) -> dict[str, float]:
    """`measure` of the package of a tree."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "integrations")}
    output = subprocess.run(
        [sys.executable, __file__, "--measure"], env=environment, stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    return json.loads(output)


def compare(revision: str, runs: int) -> Table:
    """A table with the medians of both, and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        earlier = Path(folder) / "earlier"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", earlier, revision], cwd=ROOT, check=True)
        try:
            pairs = [(measured(earlier), measured(ROOT)) for _ in range(runs)]
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", earlier], cwd=ROOT, check=True)
    table = Table("call", f"{revision}, ms", "this tree, ms", "ratio", "lowest", "highest")
    for name in pairs[0][0]:
        ratios = [after[name] / before[name] for before, after in pairs]
        medians = (statistics.median(each[name] for each in column) for column in zip(*pairs, strict=True))
        shown = (statistics.median(ratios), min(ratios), max(ratios))
        table.add_row(name, *(f"{each:.3f}" for each in medians), *(f"{each:.2f}" for each in shown))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", nargs="?", default="HEAD~1")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure()))
        return
    console = Console()
    console.print(compare(options.revision, options.runs))
    console.print(f"Python {platform.python_version()}, {platform.machine()}, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
