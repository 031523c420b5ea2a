"""Measures evidence recall on LoCoMo conversations, for memweld and other ways to search. It uses no LLM.

    python tests/benchmarks/locomo.py DIRECTORY [--systems memweld,mem0,bm25,vectors] [--quick]

DIRECTORY (or ``MEMWELD_LOCOMO``) holds ``turns.jsonl`` (user_id, turn_id, session, iso, memory) and ``qa.jsonl``
(user_id, question, category, evidence: turn ids), made from snap-research/LoCoMo (CC BY-NC 4.0, not part of this
project). Every turn is one memory of its user, added in order with its session and time. The program searches for each
question that has evidence. R@k is the share of its evidence among the first k hits, MRR the mean of one over the rank
of the first evidence, both averaged over questions. Categories: 1 multi-hop, 2 temporal, 3 open-domain, 4 single-hop, 5
adversarial; the main figure is R@10 over 1 to 4.

- memweld: by `memweld.connect`, `user.add` and `user.search`, with its default embedder. Needs no download.
- mem0: mem0 as it is, with its local Qdrant and the same static embeddings; without its sparse model, a download.
- bm25: SQLite's FTS5 with stemming, the stop words of questions left out.
- vectors: cosine of the same static embeddings.
- untimed: memweld, with a time in a question read as plain words (``as_of`` has that effect); on request.
- postgres: memweld on the empty database, or the new schema of one, that ``--postgres`` names; left out without it.

``--quick`` takes the first conversation alone. All of it takes two to five minutes on two cores, most of them mem0's.
"""

from __future__ import annotations

import argparse
import functools
import json
import logging
import os
import platform
import re
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

os.environ |= {"HF_HUB_OFFLINE": "1", "MEM0_TELEMETRY": "false", "TOKENIZERS_PARALLELISM": "false"}

import numpy as np
from rich.console import Console
from rich.table import Table

import memweld
from memweld.engine.question_time import window_of

CUTS = (5, 10, 20)
CATEGORIES = (1, 2, 3, 4, 5)
MAIN = (1, 2, 3, 4)
STOP_WORDS = frozenset(
    """a about am an and are as at be been but by can could did do does for from had has have he her his how i if in is
    it its me my of on or our she should so that the their them they this to was we were what when where which who whom
    whose why will with would you your""".split()
)


class System(Protocol):
    """One way to store turns and search them."""

    def add(self, user: str, turn: dict[str, Any]) -> None: ...

    def search(self, user: str, question: str, limit: int) -> list[str]:
        """Ids of turns, best first."""
        ...


class Memweld:
    def __init__(self, place: Path, url: str | None = None) -> None:
        self._backend = memweld.connect(url or f"sqlite:///{place / 'memory.db'}", embedder="static")
        self._turns: dict[str, list[str]] = {}
        self._latest: dict[str, str] = {}

    def add(self, user: str, turn: dict[str, Any]) -> None:
        self._latest[user] = max(self._latest.get(user, ""), turn["iso"])
        added = self._backend.user(user).add(
            turn["memory"], session_id=str(turn["session"]), created_at=turn["iso"], infer=False
        )
        # A repeated text is stored once, and stands for all its turns.
        self._turns.setdefault(added[0].id, []).append(turn["turn_id"])

    def search(self, user: str, question: str, limit: int) -> list[str]:
        # The questions are asked at the end of the conversation.
        hits = self._backend.user(user).search(question, limit=limit, now=self._latest[user])
        return [turn for hit in hits for turn in self._turns[hit.id]]

    def best_score(self, user: str, question: str) -> float:
        return self._backend.user(user).search(question, limit=1)[0].score


class Untimed(Memweld):
    def search(self, user: str, question: str, limit: int) -> list[str]:
        hits = self._backend.user(user).search(question, limit=limit, as_of=self._latest[user])
        return [turn for hit in hits for turn in self._turns[hit.id]]


class Wordllama:
    """The static embeddings of the wheel, by its own package."""

    def __init__(self) -> None:
        import wordllama

        # Importing it turns the program's logging on (0.4.0).
        logging.getLogger().setLevel(logging.ERROR)
        place = Path(str(wordllama.__file__)).parent
        self._model: Any = wordllama.WordLlama.load(cache_dir=place, disable_download=True)

    def embed_query(self, text: str) -> list[float]:
        vector: Any = self._model.embed(text, norm=True)[0]
        return [float(number) for number in vector]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


class Mem0:
    def __init__(self, place: Path) -> None:
        os.environ["MEM0_DIR"] = str(place)
        from mem0 import Memory

        store = {"path": str(place / "qdrant"), "embedding_model_dims": 256, "on_disk": True}
        self._memory: Any = Memory.from_config(
            {
                "vector_store": {"provider": "qdrant", "config": store},
                "embedder": {"provider": "langchain", "config": {"model": _langchain(Wordllama())}},
                "llm": {"provider": "openai", "config": {"api_key": "none is needed"}},
                "history_db_path": str(place / "history.db"),
            }
        )

    def add(self, user: str, turn: dict[str, Any]) -> None:
        about = {"turn": turn["turn_id"], "created_at": turn["iso"]}
        self._memory.add(turn["memory"], user_id=user, run_id=None, metadata=about, infer=False)

    def search(self, user: str, question: str, limit: int) -> list[str]:
        found = self._memory.search(question, filters={"user_id": user}, top_k=limit, threshold=0.0)
        return [hit["metadata"]["turn"] for hit in found["results"]]


def _langchain(model: Wordllama) -> Any:
    from langchain_core.embeddings import Embeddings

    class Model(Embeddings):
        def embed_query(self, text: str) -> list[float]:
            return model.embed_query(text)

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return model.embed_documents(texts)

    return Model()


class Bm25:
    def __init__(self, place: Path) -> None:
        self._files: dict[str, sqlite3.Connection] = {}
        self._place = place

    def _file(self, user: str) -> sqlite3.Connection:
        if user not in self._files:
            self._files[user] = sqlite3.connect(self._place / f"{len(self._files)}.db", isolation_level=None)
            self._files[user].execute("CREATE VIRTUAL TABLE turns USING fts5(id UNINDEXED, text, tokenize='porter')")
        return self._files[user]

    def add(self, user: str, turn: dict[str, Any]) -> None:
        self._file(user).execute("INSERT INTO turns VALUES (?, ?)", (turn["turn_id"], turn["memory"]))

    def search(self, user: str, question: str, limit: int) -> list[str]:
        words = list(dict.fromkeys(re.findall(r"\w+", question.lower())))
        telling = [word for word in words if word not in STOP_WORDS] or words
        query = " OR ".join(f'"{word}"' for word in telling)
        rows = self._file(user).execute(
            "SELECT id FROM turns WHERE turns MATCH ? ORDER BY bm25(turns) LIMIT ?", (query, limit)
        )
        return [row[0] for row in rows]


class Vectors:
    def __init__(self, _place: Path) -> None:
        self._model = Wordllama()
        self._turns: dict[str, list[str]] = {}
        self._vectors: dict[str, list[list[float]]] = {}
        self._matrices: dict[str, Any] = {}

    def add(self, user: str, turn: dict[str, Any]) -> None:
        self._turns.setdefault(user, []).append(turn["turn_id"])
        self._vectors.setdefault(user, []).append(self._model.embed_query(turn["memory"]))

    def search(self, user: str, question: str, limit: int) -> list[str]:
        if user not in self._matrices:
            self._matrices[user] = np.array(self._vectors[user], dtype=np.float32)
        scores = self._matrices[user] @ np.array(self._model.embed_query(question), dtype=np.float32)
        best: list[int] = np.argsort(-scores, kind="stable")[:limit].tolist()
        return [self._turns[user][at] for at in best]


# Subjects that two friends do not talk about.
STRANGE = (
    "quarterly revenue of the steel industry",
    "the price of copper",
    "Who won the 1954 World Cup?",
    "How does a diesel engine work?",
    "explain quantum entanglement",
    "write a regular expression for IPv4 addresses",
    "capital of Mongolia",
    "convert 30 feet to metres",
    "what is the boiling point of nitrogen?",
    "fix this SQL query",
    "Translate 'door' into Finnish",
    "When did the Roman Empire fall?",
)


def scores(system: Memweld, questions: Sequence[dict[str, Any]]) -> Table:
    """Print the best hits' scores, for questions that a conversation answers and for those about something else."""
    groups = {
        "about the conversation": [system.best_score(each["user_id"], each["question"]) for each in questions],
        "about something else": [
            system.best_score(user, strange) for user in {each["user_id"] for each in questions} for strange in STRANGE
        ],
    }
    shares = (5, 50, 95)
    table = Table("question", "questions", *(f"{share} % are below" for share in shares), title="Score of the best hit")
    for name, best in groups.items():
        table.add_row(name, str(len(best)), *(f"{np.percentile(best, share):.2f}" for share in shares))
    return table


SYSTEMS: dict[str, Any] = {"memweld": Memweld, "mem0": Mem0, "bm25": Bm25, "vectors": Vectors, "untimed": Untimed}


@dataclass
class Measured:
    """The results of one system.

    Attributes:
        ranks: For each category, for each question, the ranks of its evidence from 0; None for what was not found.
        by_user: The same ranks for categories 1 to 4, by conversation.
        timed: Those of questions that name a time.
        adding: Seconds for all turns.
        searching: Seconds for each question.
    """

    ranks: dict[int, list[list[int | None]]] = field(default_factory=lambda: {each: [] for each in CATEGORIES})
    by_user: dict[str, list[list[int | None]]] = field(default_factory=dict[str, list[list[int | None]]])
    timed: list[list[int | None]] = field(default_factory=list[list[int | None]])
    adding: float = 0.0
    searching: list[float] = field(default_factory=list[float])


def recall(ranks: Sequence[Sequence[int | None]], cut: int) -> float:
    shares = [sum(rank is not None and rank < cut for rank in each) / len(each) for each in ranks]
    return statistics.fmean(shares) if shares else float("nan")


def reciprocal(ranks: Sequence[Sequence[int | None]]) -> float:
    firsts = [min((rank for rank in each if rank is not None), default=None) for each in ranks]
    return statistics.fmean([0.0 if rank is None else 1 / (rank + 1) for rank in firsts]) if firsts else float("nan")


def measure(system: System, turns: Sequence[dict[str, Any]], questions: Sequence[dict[str, Any]]) -> Measured:
    measured = Measured()
    start = time.perf_counter()
    for turn in turns:
        system.add(turn["user_id"], turn)
    measured.adding = time.perf_counter() - start
    for asked in questions:
        start = time.perf_counter()
        found = system.search(asked["user_id"], asked["question"], max(CUTS))
        measured.searching.append(time.perf_counter() - start)
        places = {turn: place for place, turn in reversed(list(enumerate(found)))}
        ranks = [places.get(turn) for turn in asked["evidence"]]
        measured.ranks[asked["category"]].append(ranks)
        if asked["category"] in MAIN:
            measured.by_user.setdefault(asked["user_id"], []).append(ranks)
            if window_of(asked["question"], datetime.now(timezone.utc)) is not None:
                measured.timed.append(ranks)
    return measured


def read(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@contextmanager
def progress(console: Console, name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    console.print(f"{name}: {time.perf_counter() - start:.0f} s", style="dim")


def tables(results: dict[str, Measured]) -> Iterator[Table]:
    table = Table("system", "categories", "questions", *(f"R@{cut}" for cut in CUTS), "MRR", title="Evidence found")
    for name, measured in results.items():
        groups = {"1 to 4": MAIN, **{str(each): (each,) for each in CATEGORIES}}
        found = {
            label: [each for category in categories for each in measured.ranks[category]]
            for label, categories in groups.items()
        }
        for label, ranks in (found | {"naming a time": measured.timed}).items():
            figures = [f"{recall(ranks, cut):.3f}" for cut in CUTS]
            style = "bold" if label == "1 to 4" else None
            table.add_row(name, label, str(len(ranks)), *figures, f"{reciprocal(ranks):.3f}", style=style)
        table.add_section()
    yield table
    table = Table("system", *next(iter(results.values())).by_user, title="R@10 over categories 1 to 4, by conversation")
    for name, measured in results.items():
        table.add_row(name, *(f"{recall(ranks, 10):.3f}" for ranks in measured.by_user.values()))
    yield table
    table = Table("system", "all adds, s", "a search, p50 ms", title="Time")
    for name, measured in results.items():
        table.add_row(name, f"{measured.adding:.1f}", f"{statistics.median(measured.searching) * 1e3:.2f}")
    yield table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, nargs="?", default=os.environ.get("MEMWELD_LOCOMO"))
    parser.add_argument("--systems", default="memweld,mem0,bm25,vectors", help="which, with commas")
    parser.add_argument("--postgres", metavar="URL", help="also memweld on this Postgres database, which is empty")
    parser.add_argument("--quick", action="store_true", help="the first conversation alone")
    options = parser.parse_args()
    if options.directory is None:
        parser.error("say where the conversations are: an argument, or MEMWELD_LOCOMO")
    wanted = options.systems.split(",")
    if options.postgres:
        SYSTEMS["postgres"] = functools.partial(Memweld, url=options.postgres)
        wanted.append("postgres")
    if unknown := [name for name in wanted if name not in SYSTEMS]:
        parser.error(f"no such system: {', '.join(unknown)}; there are {', '.join(SYSTEMS)}")
    turns = read(Path(options.directory) / "turns.jsonl")
    questions = [each for each in read(Path(options.directory) / "qa.jsonl") if each["evidence"]]
    if options.quick:
        turns = [each for each in turns if each["user_id"] == turns[0]["user_id"]]
        questions = [each for each in questions if each["user_id"] == turns[0]["user_id"]]
    console, log = Console(width=110), Console(stderr=True)
    results: dict[str, Measured] = {}
    shown: list[Table] = []
    for name in wanted:
        with tempfile.TemporaryDirectory() as place, progress(log, name):
            system = SYSTEMS[name](Path(place))
            results[name] = measure(system, turns, questions)
            shown += [scores(system, questions)] if isinstance(system, Memweld) else []
    for table in (*tables(results), *shown):
        console.print(table)
    packages = ("memweld", "mem0ai", "qdrant-client", "wordllama", "numpy")
    console.print(
        f"{len(turns)} turns, {len(questions)} questions; "
        f"{', '.join(f'{name} {version(name)}' for name in packages)}, SQLite {sqlite3.sqlite_version}, "
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    sys.exit(main())
