"""Measures what memory adds to an AutoGen run, compared with no memory and with AutoGen's ChromaDB memory.

    python tests/benchmarks/autogen_memory.py [--runs 60] [--memories 0 100 5000]

Every kind runs the same task in one process, with a new agent for each run and the same scripted model, which takes
next to no time. ChromaDB uses memweld's embedder, so the model makes no difference. The kinds alternate, so a noisy
machine disturbs all of them alike. The figures are medians, and the ratio is to ChromaDB's run.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import itertools
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_core.memory import MemoryContent, MemoryMimeType
from autogen_ext.memory.chromadb import (
    ChromaDBVectorMemory,
    CustomEmbeddingFunctionConfig,
    PersistentChromaDBVectorMemoryConfig,
)
from chromadb.api.types import EmbeddingFunction
from rich.console import Console
from rich.table import Table

import memweld
from memweld import Memory
from memweld.autogen import MemweldChatCompletionContext, MemweldMemory
from memweld.engine.search.static_model import StaticEmbedder
from memweld.testing.autogen import ScriptedChatCompletionClient

PLACES = "Porto Braga Lisbon Faro Evora Coimbra Lagos Sintra Aveiro Tomar Beja Guarda Viseu Setubal Leiria".split()
THINGS = "train hotel museum garden tower bridge market harbour library chapel theatre palace beach square".split()
WORDS = "quiet crowded closed cheap bright narrow painted wooden famous old windy shaded noisy warm steep".split()
LIMIT = 5
Run = Callable[[str], Awaitable[Any]]
Times = dict[str, list[tuple[float, float]]]


@functools.cache
def loaded() -> StaticEmbedder:
    """The embedder, loaded once: ChromaDB makes a new embedding function for each addition."""
    return StaticEmbedder()


class SameEmbedder(EmbeddingFunction[Any]):
    """memweld's static embedder, as ChromaDB calls it."""

    def __init__(self) -> None:
        self.embedder = loaded()

    def __call__(self, input: Any) -> Any:  # noqa: A002 - ChromaDB's name
        return self.embedder.embed_texts(input)

    @staticmethod
    def name() -> str:
        return "memweld-static"

    def get_config(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> SameEmbedder:
        return SameEmbedder()


def facts(count: int) -> list[str]:
    chance = random.Random(7)
    return [
        f"In {chance.choice(PLACES)} the {chance.choice(THINGS)} number {number} was {chance.choice(WORDS)} "
        f"and {chance.choice(WORDS)} when we came by {chance.choice(THINGS)}"
        for number in range(count)
    ]


def tasks() -> Any:
    """Endless questions, no two in a row alike. No kind captures a question, so none grows while it runs."""
    chance = random.Random(11)
    while True:
        yield f"Was the {chance.choice(THINGS)} of {chance.choice(PLACES)} {chance.choice(WORDS)}?"


async def fill(ana: Memory, chroma: ChromaDBVectorMemory, count: int) -> None:
    known = facts(count)
    for start in range(0, count, 500):
        some = known[start : start + 500]
        ana.add([{"role": "user", "content": text} for text in some], infer=False)
    await chroma.query("open it")
    collection = chroma._collection
    assert collection is not None
    for start in range(0, count, 500):  # in batches: its own add takes one
        some = known[start : start + 500]
        metadatas: Any = [{"mime_type": MemoryMimeType.TEXT.value}] * len(some)
        collection.add(documents=some, metadatas=metadatas, ids=[f"{start + place}" for place in range(len(some))])


def kinds(ana: Memory, chroma: ChromaDBVectorMemory) -> dict[str, Run]:
    sessions = itertools.count()

    async def run(task: str, **options: Any) -> Any:
        agent = AssistantAgent("assistant", ScriptedChatCompletionClient(["I see"]), **options)
        result = await agent.run(task=task)
        assert result.messages[-1].to_text() == "I see"  # type: ignore[union-attr]

    def context() -> MemweldChatCompletionContext:
        return MemweldChatCompletionContext(ana, f"session-{next(sessions)}", recall_limit=LIMIT)

    return {
        "no memory": run,
        "ChromaDBVectorMemory": lambda task: run(task, memory=[chroma]),
        "MemweldMemory: recall": lambda task: run(task, memory=[MemweldMemory(ana, recall_limit=LIMIT)]),
        "Memweld context: recall, history, capture": lambda task: run(task, model_context=context()),
    }


async def timed(work: Awaitable[Any]) -> tuple[float, float]:
    """Milliseconds by the clock, and of the CPU."""
    start, cpu = time.perf_counter(), time.process_time()
    await work
    return (time.perf_counter() - start) * 1e3, (time.process_time() - cpu) * 1e3


async def measure(memories: int, runs: int, table: Table) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        memweld.connect(f"sqlite:///{folder}/memory.db") as backend,
    ):
        ana = backend.user("ana")
        custom = CustomEmbeddingFunctionConfig(function=SameEmbedder)
        chroma = ChromaDBVectorMemory(
            PersistentChromaDBVectorMemoryConfig(
                persistence_path=f"{folder}/chroma", k=LIMIT, embedding_function_config=custom
            )
        )
        await fill(ana, chroma, memories)
        ways = kinds(ana, chroma)
        measured: Times = {name: [] for name in ways}
        asked = tasks()
        for number in range(runs + 3):  # the first runs load modules and models
            task = next(asked)
            for name, run in ways.items():
                spent = await timed(run(task))
                if number >= 3:
                    measured[name].append(spent)
        await writes(ana, chroma, runs, measured)
        await chroma.close()
    report(memories, measured, table)


async def writes(ana: Memory, chroma: ChromaDBVectorMemory, runs: int, measured: Times) -> None:
    """The time of ``add`` of either memory."""
    ours = MemweldMemory(ana)
    measured["add: ChromaDBVectorMemory"], measured["add: MemweldMemory"] = [], []
    for number in range(runs):
        for name, memory in (("add: ChromaDBVectorMemory", chroma), ("add: MemweldMemory", ours)):
            content = MemoryContent(content=f"Visit {number} was {WORDS[number % 15]}", mime_type=MemoryMimeType.TEXT)
            measured[name].append(await timed(memory.add(content)))


def report(memories: int, measured: Times, table: Table) -> None:
    def median(name: str, place: int) -> float:
        return statistics.median(times[place] for times in measured[name])

    for name in measured:
        other = "add: ChromaDBVectorMemory" if name.startswith("add") else "ChromaDBVectorMemory"
        clock, cpu = median(name, 0), median(name, 1)
        ratios = (f"{clock / median(other, 0):.2f}", f"{cpu / max(median(other, 1), 0.001):.2f}")
        added = "" if name.startswith("add") else f"{clock - median('no memory', 0):.2f}"
        table.add_row(f"{memories:,}", name, f"{clock:.2f}", added, ratios[0], f"{cpu:.2f}", ratios[1])
    table.add_section()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--memories", type=int, nargs="+", default=[0, 100, 5_000])
    arguments = parser.parse_args()
    columns = ("memories", "kind", "ms", "added to none", "ratio", "CPU ms", "CPU ratio")
    table = Table(*columns, title="A run of an agent")
    for count in arguments.memories:
        await measure(count, arguments.runs, table)
    packages = ("autogen-agentchat", "autogen-ext", "chromadb", "mem0ai")
    used = ", ".join(f"{package} {version(package)}" for package in packages)
    console = Console(width=120)
    console.print(table)
    console.print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {used}; {arguments.runs} runs each")


if __name__ == "__main__":
    os.environ.setdefault("ANONYMIZED_TELEMETRY", "false")
    asyncio.run(main())
