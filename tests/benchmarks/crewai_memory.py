"""Measures what memory adds to a crew's kickoff: memweld's and CrewAI's own against none, as ratios of one run.

    python tests/benchmarks/crewai_memory.py [--kickoffs 20] [--memories 200]

A crew of one agent and one task runs with a scripted model that answers at once, so only CrewAI and the memory take
time. CrewAI's own memory has its default storage (LanceDB), the same embedder, and a scripted model for its analyses
that also answers at once. A real model would add its time for each of these calls, so the program counts them. Each
memory starts with the same memories; kickoffs of the three alternate.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.update(
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_TRACING_ENABLED="false",
    CREWAI_DISABLE_VERSION_CHECK="true",
    OTEL_SDK_DISABLED="true",
)

from crewai import Agent, Crew, Task
from crewai.memory.types import MemoryRecord
from crewai.memory.unified_memory import Memory as CrewMemory
from rich.console import Console
from rich.table import Table

import memweld
from memweld.crewai import MemweldMemory
from memweld.testing import HashEmbedder
from memweld.testing.crewai import ModelCall, ScriptedLLM

EMBEDDER = HashEmbedder(256)
TOPICS = ["bees", "boats", "bread", "Porto", "trains", "tea", "dogs", "snow"]
ANALYSIS = {"suggested_scope": "/", "categories": [], "importance": 0.5, "extracted_metadata": {}}


def analyse(call: ModelCall) -> str:
    """Answers the questions of CrewAI's memory: the facts of a task, or the place of a fact."""
    last = str(call.messages[-1]["content"])
    if "memories" in call.text and "Agent: Helper" in last:
        return json.dumps({"memories": [last.partition("Task: ")[2].splitlines()[0]]})
    return json.dumps(ANALYSIS)


def sentence(number: int) -> str:
    return f"On day {number} I told you about {TOPICS[number % len(TOPICS)]} and number {number * 7919 % 1000}"


class Contender:
    """A crew with one kind of memory.

    Args:
        memory: CrewAI's `Memory`, or False.
        analyst: The model that the memory asks.
    """

    def __init__(self, memory: Any, analyst: ScriptedLLM | None = None) -> None:
        self.model = ScriptedLLM(lambda _: "Noted.")
        self.memory, self.analyst = memory, analyst
        self.seconds: list[float] = []

    def kickoff(self, text: str) -> None:
        agent = Agent(role="Helper", goal="Help", backstory="You help.", llm=self.model)
        crew = Crew(
            agents=[agent], tasks=[Task(description=text, expected_output="An answer", agent=agent)], memory=self.memory
        )
        started = time.perf_counter()
        crew.kickoff()
        self.seconds.append(time.perf_counter() - started)

    @property
    def calls(self) -> int:
        """The number of model calls that the memory made."""
        return 0 if self.analyst is None else len(self.analyst.calls)


def own_memory(directory: Path, memories: int) -> Contender:
    analyst = ScriptedLLM(analyse, function_calling=False)
    memory = CrewMemory(storage=str(directory), llm=analyst, embedder=EMBEDDER.embed_documents)
    records = [
        MemoryRecord(content=sentence(number), embedding=EMBEDDER.embed_query(sentence(number)))
        for number in range(memories)
    ]
    memory._storage.save(records)  # one by one, its analyses would take minutes
    return Contender(memory, analyst)


def our_memory(backend: memweld.Backend, memories: int) -> Contender:
    ana = backend.user("ana")
    ana.add([{"role": "user", "content": sentence(number)} for number in range(memories)])
    return Contender(MemweldMemory(ana))


def quietly(work: Callable[[], None]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        work()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What memory adds to a crew's kickoff")
    parser.add_argument("--kickoffs", type=int, default=20, help="of each, after two that do not count")
    parser.add_argument("--memories", type=int, default=200, help="that each memory holds beforehand")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        with memweld.connect(f"sqlite:///{place / 'memory.db'}", embedder=EMBEDDER) as backend:
            contenders = {
                "none": Contender(False),
                "memweld": our_memory(backend, options.memories),
                "CrewAI's own": own_memory(place / "lancedb", options.memories),
            }
            for number in range(options.kickoffs + 2):
                for contender in contenders.values():
                    text = f"Today I saw {TOPICS[number % len(TOPICS)]} and {number} other things"
                    quietly(lambda crew=contender, said=text: crew.kickoff(said))
            report(contenders, options.kickoffs, options.memories)


def report(contenders: dict[str, Contender], kickoffs: int, memories: int) -> None:
    """Print medians, the time that each memory adds, and the number of model calls."""
    medians = {name: statistics.median(contender.seconds[2:]) for name, contender in contenders.items()}
    base = medians["none"]
    added = {name: median - base for name, median in medians.items()}
    table = Table("memory", "kickoff", "to none", "adds", "calls of a model for it", "recalls", "has kept")
    for name, contender in contenders.items():
        recalled = "Memories from past conversations" in contender.model.calls[-1].text
        kept = len(contender.memory.list_records(limit=1_000_000)) - memories if contender.memory else 0
        table.add_row(
            name,
            f"{medians[name] * 1000:.1f} ms",
            f"{medians[name] / base:.2f}",
            f"{added[name] * 1000:+.1f} ms",
            f"{contender.calls / (kickoffs + 2):.1f}",
            "yes" if recalled else "no",
            str(kept),
        )
    console = Console(width=120)
    console.print(
        f"Python {platform.python_version()}, crewai {version('crewai')}, {memories} memories, "
        f"median of {kickoffs} kickoffs each"
    )
    console.print(table)
    own = added["CrewAI's own"]
    if added["memweld"] > 0:
        console.print(f"CrewAI's own memory adds {own / added['memweld']:.1f} times what memweld adds.")


if __name__ == "__main__":
    main()
