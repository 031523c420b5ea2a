"""Measures pages of the inspector over one user's large memory, in milliseconds.

    python tests/benchmarks/inspector.py [--memories 10000] [--runs 7]

The first page of memories must answer in less than half a second. The application runs in this process, without a
socket. The first request of each page, which loads templates and indexes, has a column of its own.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from starlette.testclient import TestClient

import memweld
from memweld.mcp import create_app

BATCH = 500
PAGES = (
    "overview",
    "memories",
    "memories?q=harbour+in+Porto",
    "memories?kind=item&since=2020-01-01",
    "timeline",
    "recall?q=harbour+in+Porto",
)


def milliseconds(client: Any, path: str) -> float:
    started_at = time.perf_counter()
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return (time.perf_counter() - started_at) * 1000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--memories", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    table = Table("page", "first", "median", title=f"{options.memories:,} memories of a user, ms")
    with tempfile.TemporaryDirectory() as folder, memweld.connect(Path(folder) / "memory.db") as backend:
        memory = backend.user("ana")
        for start in range(0, options.memories, BATCH):
            numbers = range(start, min(start + BATCH, options.memories))
            texts = (
                f"Note {number}: Ana saw ship {number % 97} in harbour {number % 31} of Porto." for number in numbers
            )
            memory.add([{"role": "user", "content": text} for text in texts], infer=False)
        app = create_app(backend, user_id="ana")
        with TestClient(app, base_url="http://127.0.0.1:8710", client=("127.0.0.1", 5000)) as client:
            following = re.search(r'href="/ui/(memories[^"]*cursor[^"]*)"', client.get("/ui/memories").text)
            assert following is not None
            medians: dict[str, float] = {}
            for page in (*PAGES, following[1].replace("&amp;", "&")):
                first = milliseconds(client, f"/ui/{page}")
                medians[page] = statistics.median(milliseconds(client, f"/ui/{page}") for _ in range(options.runs))
                table.add_row(page[:44], f"{first:.0f}", f"{medians[page]:.0f}")
    Console().print(table)
    assert medians["memories"] < 500, "the first page takes half a second or more"


if __name__ == "__main__":
    main()
