"""MemweldChatMessageHistory against langchain-community's SQLChatMessageHistory on SQLite: ratios of one run.

    python tests/benchmarks/chat_history.py [--messages 10000] [--calls 200]

Both keep their messages in a file. The program appends one message to a session of 10 (which grows by the number of
calls) and to one of 10,000. It reads the last 50 of a session of 50 and of one of 10,000. SQLChatMessageHistory has no
limit and reads all; the program cuts the last 50 out of that, as its users do. Calls take turns in a random order, so a
noisy machine and cold caches disturb all alike. The commit mode of SQLite decides much. SQLAlchemy leaves it as it is,
and memweld uses a write-ahead log, so the program measures SQLAlchemy with one, too.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, event

from memweld import connect
from memweld.langchain import MemweldChatMessageHistory

LAST = 50
SMALL = 10


def message(number: int) -> BaseMessage:
    text = f"Message {number}: we talked about the boxes of tea that I bought in Porto, and what they cost."
    return HumanMessage(text, id=f"m{number}") if number % 2 else AIMessage(text, id=f"m{number}")


def fill(history: BaseChatMessageHistory, count: int) -> None:
    for start in range(0, count, 1_000):
        history.add_messages([message(number) for number in range(start, min(start + 1_000, count))])


def measure(calls: Mapping[str, Callable[[int], Any]], times: int) -> dict[str, float]:
    """The median seconds of each call; the calls take turns."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    order = random.Random(0)
    for number in range(times + times // 5):
        for name, call in order.sample(list(calls.items()), len(calls)):
            start = time.perf_counter()
            call(number)
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(seconds[times // 5 :]) for name, seconds in taken.items()}


def wal_engine(path: Path) -> Engine:
    """SQLite as memweld uses it: a write-ahead log, which is the faster way to commit."""
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")

    return engine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--calls", type=int, default=200)
    options = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)  # langchain-community 0.4 announces its end
    from langchain_community.chat_message_histories import SQLChatMessageHistory

    many = options.messages
    with tempfile.TemporaryDirectory() as folder, connect(f"sqlite:///{Path(folder) / 'memweld.db'}") as backend:
        ana = backend.user("ana")
        default = create_engine(f"sqlite:///{Path(folder) / 'sql.db'}")
        wal = wal_engine(Path(folder) / "wal.db")
        kinds: dict[str, Callable[[str], BaseChatMessageHistory]] = {
            "memweld": lambda session: MemweldChatMessageHistory(ana, session),
            "SQLChatMessageHistory": lambda session: SQLChatMessageHistory(session, connection=default),
            "SQLChatMessageHistory, WAL": lambda session: SQLChatMessageHistory(session, connection=wal),
        }
        appends: dict[str, Callable[[int], Any]] = {}
        reads: dict[str, Callable[[int], Any]] = {}
        for kind, make in kinds.items():
            for size in (SMALL, LAST, many):
                history = make(f"session of {size}")
                fill(history, size)
                if size != LAST:
                    appends[f"{kind} at {size}"] = lambda number, own=history: own.add_messages(
                        [message(100_000 + number)]
                    )
                if size != SMALL:
                    reads[f"{kind} at {size}"] = lambda _number, own=history: own.messages[-LAST:]
        for size in (LAST, many):
            limited = MemweldChatMessageHistory(ana, f"session of {size}", limit=LAST)
            reads[f"memweld at {size}"] = lambda _number, own=limited: own.messages
        reading = measure(reads, max(options.calls // 10, 5))
        appending = measure(appends, options.calls)
        default.dispose()
        wal.dispose()
    table = Table("what", "short, ms", f"at {many:,}, ms", "ratio", "against memweld", title="p50 of calls")
    for what, size, medians in (("append", SMALL, appending), ("last 50", LAST, reading)):
        for kind in kinds:
            short, large = medians[f"{kind} at {size}"], medians[f"{kind} at {many}"]
            times = large / medians[f"memweld at {many}"]
            figures = (f"{short * 1e3:.3f}", f"{large * 1e3:.3f}", f"{large / short:.2f}", f"{times:.1f} times")
            table.add_row(f"{what}: {kind}", *figures)
    console = Console(width=120)
    console.print(table)
    packages = ", ".join(f"{name} {version(name)}" for name in ("memweld", "langchain-core", "langchain-community"))
    console.print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}")


if __name__ == "__main__":
    main()
