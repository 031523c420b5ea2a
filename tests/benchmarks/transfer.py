"""Compares `copy` in pages, with its final comparison, with one export and one restore of the same user.

    python tests/benchmarks/transfer.py [--items 20000]

It prints seconds, ratios, and the growth of each process.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from memweld import connect
from memweld.transfer import copy

AT = "2025-03-01T09:00:00+00:00"
WORDS = "the tram to Foz leaves from the river at noon and takes a quarter of an hour".split()


def write(url: str, items: int) -> None:
    """Fill a user with this many memories, messages and values each."""
    with connect(url) as backend:
        ana = backend.user("ana")
        exported: dict[str, Any] = ana.export()
        exported["items"] = [
            {"id": f"id-{n}", "text": f"fact {n} {' '.join(WORDS[n % 9 :])}", "created_at": AT, "updated_at": AT}
            for n in range(items)
        ]
        exported["state"] = [
            {"namespace": f"n{n % 20}", "key": str(n), "value": {"n": n}, "created_at": AT, "updated_at": AT}
            for n in range(items)
        ]
        exported["messages"] = [
            {"session_id": f"s{n // 200}", "id": f"m{n}", "role": "user", "content": " ".join(WORDS), "created_at": AT}
            for n in range(items)
        ]
        ana.restore(exported)


def peak() -> int:
    """The most memory that this process has held, in MB (Linux)."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    return int(found[1]) // 1024 if found else 0


def work(way: str, source: str, target: str) -> None:
    """Copy in one of the ways, and print seconds and megabytes."""
    with connect(source) as old, connect(target) as new:
        # Load everything that the first use loads.
        new.user("warm").add("warm")
        before, begun = peak(), time.perf_counter()
        if way == "whole":
            new.user("ana").restore(old.user("ana").export())
        else:
            (report,) = copy(old, new, user_id="ana")
            if not report.equal:
                raise SystemExit("The two sides differ.")
        print(json.dumps([time.perf_counter() - begun, peak() - before]))


def main() -> None:
    """Run each way in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--work", nargs=3)
    given = parser.parse_args()
    if given.work:
        work(*given.work)
        return
    with tempfile.TemporaryDirectory() as folder:
        source = f"sqlite:///{folder}/source.db"
        write(source, given.items)
        print(
            f"{given.items:,} memories, {given.items:,} values and {given.items:,} messages of one user, file to file"
        )
        first = None
        for way, target, words in (
            ("whole", "whole", "export and restore, not compared"),
            ("copy", "copy", "copy, compared"),
            ("copy", "copy", "copy again, compared"),
        ):
            command = [sys.executable, __file__, "--work", way, source, f"sqlite:///{folder}/{target}.db"]
            seconds, grown = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            first = first or seconds
            print(f"{words:<34} {seconds:6.1f} s   {seconds / first:4.2f} x   grows by {grown:4} MB")


if __name__ == "__main__":
    main()
