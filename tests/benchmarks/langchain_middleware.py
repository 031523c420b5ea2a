"""Measures what MemweldMiddleware adds to a create_agent run, compared with the same agent without it.

    python tests/benchmarks/langchain_middleware.py [--runs 30] [--memories 0 1000 10000]

A scripted model answers at once, so a run costs what LangGraph costs; a real model takes a second and more. The
embeddings are those of the wheel. Runs of all variants take turns in a random order, so a noisy machine disturbs them
alike. Each run belongs to a thread of 4 turns; then a new thread begins. The variants: without a checkpointer and with
one (then a thread replays its messages); capture awaited (as without an LLM), in the background, and recall alone; and
a middleware with the same hooks that does nothing, which shows LangGraph's share. After each measurement of the
background variant, `flush` runs outside the measured time.

In the last rows the memory has an LLM that takes 300 ms for an extraction. They show how long the answer waits.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from rich.console import Console
from rich.table import Table

from memweld import Backend, connect
from memweld.langchain import MemweldMiddleware
from memweld.testing.langchain import ScriptedChatModel
from memweld.testing.llm import ScriptedExtractor, facts

TURNS = 4
VERBS = ("I like", "I bought", "I lost", "My mother sold", "We often discuss", "Remember", "I dream of", "They gave me")
NOUNS = "tea boats bees maps lamps trams shoes songs stamps roses clouds pears chess coins books doors".split()
SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe qui ro su ta ve wi xo zu".split()
VARIANTS: dict[str, dict[str, Any]] = {
    "awaited": {"capture": "awaited"},
    "in the background": {"capture": "background"},
    "recall only": {"capture": False},
}
Run = Callable[[int], float]


class Nothing(AgentMiddleware):
    """The hooks of MemweldMiddleware."""

    def before_agent(self, state: Any, runtime: Any) -> None: ...

    async def abefore_agent(self, state: Any, runtime: Any) -> None: ...

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        return handler(request)

    async def awrap_model_call(self, request: Any, handler: Any) -> Any:
        return await handler(request)

    def after_agent(self, state: Any, runtime: Any) -> None: ...

    async def aafter_agent(self, state: Any, runtime: Any) -> None: ...


def fill(backend: Backend, user: str, count: int) -> None:
    memory = backend.user(user)
    order = random.Random(0)
    for start in range(0, count, 1_000):
        numbers = range(start, min(start + 1_000, count))
        memory.add(
            [{"role": "user", "content": f"{order.choice(VERBS)} {words(order)}, note {number}"} for number in numbers]
        )
    memory.search("tea")


def words(order: random.Random) -> str:
    """Two words out of 8,000 invented ones, and one real word, so a question fits some memories and not most."""
    made = ("".join(order.choice(SYLLABLES) for _ in range(3)) for _ in range(2))
    return " ".join((*made, order.choice(NOUNS)))


def agent_of(middleware: list[Any], *, checkpointed: bool) -> Any:
    model = ScriptedChatModel(lambda _: "That is good to know.")
    return create_agent(model, middleware=middleware, checkpointer=InMemorySaver() if checkpointed else None)


def runner(agent: Any, mode: str, thread: str, loop: asyncio.AbstractEventLoop) -> Run:
    """Run the agent once; return the seconds it took."""

    def run(number: int) -> float:
        given: Any = {"messages": [HumanMessage(f"Today I bought {number} boxes of tea in Porto")]}
        config: Any = {"configurable": {"thread_id": f"{thread} {number // TURNS}"}}
        start = time.perf_counter()
        if mode == "sync":
            agent.invoke(given, config)
        else:
            loop.run_until_complete(agent.ainvoke(given, config))
        return time.perf_counter() - start

    return run


def measure(runs: Mapping[str, Run], times: int, flush: Callable[[], object]) -> dict[str, float]:
    """The median seconds of a run, for each variant. A fifth more runs come first as a warm-up."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    order = random.Random(0)
    for number in range(times + times // 5):
        for name, run in order.sample(list(runs.items()), len(runs)):
            taken[name].append(run(number))
            flush()
    return {name: statistics.median(seconds[times // 5 :]) for name, seconds in taken.items()}


def rows(table: Table, medians: Mapping[str, float], *what: str) -> None:
    plain = medians["without"]
    for name, seconds in medians.items():
        if name != "without":
            figures = (f"{seconds * 1e3:.2f}", f"{plain * 1e3:.2f}", f"{(seconds - plain) * 1e3:.2f}")
            table.add_row(*what, name, *figures, f"{seconds / plain:.2f}")


def compare(folder: Path, options: argparse.Namespace, loop: asyncio.AbstractEventLoop, table: Table) -> None:
    for count in options.memories:
        with connect(f"sqlite:///{folder / f'{count}.db'}") as backend:
            for mode in ("sync", "async"):
                for checkpointed in (False, True):
                    users = {name: f"{mode} {checkpointed} {name}" for name in VARIANTS}
                    for user in users.values():
                        fill(backend, user, count)
                    agents = {
                        "without": agent_of([], checkpointed=checkpointed),
                        "hooks that do nothing": agent_of([Nothing()], checkpointed=checkpointed),
                    } | {
                        name: agent_of(
                            [MemweldMiddleware(backend.user(users[name]), **chosen)], checkpointed=checkpointed
                        )
                        for name, chosen in VARIANTS.items()
                    }
                    runs = {name: runner(agent, mode, name, loop) for name, agent in agents.items()}
                    medians = measure(runs, options.runs, backend.flush)
                    rows(table, medians, f"{count:,}", mode, "yes" if checkpointed else "no")


def wait_for_an_llm(folder: Path, options: argparse.Namespace, loop: asyncio.AbstractEventLoop, table: Table) -> None:
    extractor = ScriptedExtractor([facts("Buys tea")], delay=0.3)
    with connect(f"sqlite:///{folder / 'llm.db'}", llm=extractor) as backend:
        agents = {"without": agent_of([], checkpointed=True)} | {
            name: agent_of([MemweldMiddleware(backend.user(name), **chosen)], checkpointed=True)
            for name, chosen in VARIANTS.items()
        }
        runs = {name: runner(agent, "sync", name, loop) for name, agent in agents.items()}
        rows(table, measure(runs, max(options.runs // 3, 5), backend.flush), "LLM of 300 ms", "sync", "yes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--memories", type=int, nargs="*", default=[0, 1_000, 10_000])
    options = parser.parse_args()
    columns = ("memories", "mode", "checkpointer", "capture", "with, ms", "without, ms", "added, ms", "ratio")
    table = Table(*columns, title="a run of create_agent with MemweldMiddleware and without, p50")
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), options, loop, table)
        wait_for_an_llm(Path(folder), options, loop, table)
    loop.close()
    console = Console(width=120)
    console.print(table)
    packages = ", ".join(f"{name} {version(name)}" for name in ("memweld", "langchain", "langgraph"))
    console.print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}")


if __name__ == "__main__":
    main()
