"""A research crew that continues yesterday's work.

    python examples/crewai_research_crew.py

It runs two days, each in a process of its own. On the first day the crew reads one source and notes its findings. On
the second it knows these findings and what is open, reads the other source and writes the report. The days share only a
user's memory: the user's wishes, the findings, and the outcome of yesterday's task.

Without a key the models are scripted. With MEMWELD_EXAMPLE_MODEL (such as openai:gpt-5.5, and its key) they are real.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")
os.environ.setdefault("CREWAI_DISABLE_VERSION_CHECK", "true")
os.environ.setdefault("OTEL_SDK_DISABLED", "true")

from crewai import Agent, Crew, Task
from crewai.tools import tool

import memweld
from memweld.crewai import MemweldMemory, memory_tools
from memweld.testing.crewai import ModelCall, Response, tool_call
from memweld.testing.models import crewai_model

USER = "ana"
TASK = "report-city-bees"
WISHES = {
    1: "I want a report on bees in cities. Start with the survey, and write in short sentences",
    2: "Go on with the report on bees in cities",
}
SOURCES = {
    "survey": "Survey of 40 gardens: 63 species of wild bees live in the city, 12 of them are rare.",
    "hives": "Count of hives: there are four times as many honey bees as ten years ago. Wild bees find less food.",
}

FACTS = ["63 species of wild bees live in the city", "Wild bees find less food"]


@tool
def read_source(name: str) -> str:
    """Read a source for the report: survey or hives."""
    return SOURCES.get(name, f"There is no source {name!r}: there are {', '.join(SOURCES)}.")


def scripted() -> Callable[[ModelCall], Response]:
    """A script for both days. It knows of the first day only what its prompt contains."""

    def research(call: ModelCall) -> Response:
        results = [message["content"] for message in call.messages if message["role"] == "tool"]
        known = "63 species" in call.text
        if not results:
            return tool_call("get_task_context", {"task_id": TASK})
        if len(results) == 1:
            return tool_call("read_source", {"name": "hives" if known else "survey"})
        if len(results) == 2:
            found = results[1].partition(": ")[2]
            return tool_call("save_to_memory", {"contents": [f"Found for the report on bees in cities: {found}"]})
        if len(results) == 3:
            done = "Both sources are read" if known else "The survey is read, the hives are open"
            return tool_call("record_task_outcome", {"task_id": TASK, "outcome": done, "success": known})
        return "Read one source; it is noted."

    def write(call: ModelCall) -> Response:
        known = [fact for fact in FACTS if fact in call.text]
        style = "Short sentences, as you like them. " if "short sentences" in call.text else ""
        report = f"{style}{'. '.join(known)}."
        return report if len(known) == len(FACTS) else f"So far: {report} The hives are open."

    return lambda call: research(call) if "You are Researcher" in call.text else write(call)


def work(backend: memweld.Backend, day: int) -> str:
    """Do one day's work for the user of the moment; return what the crew says at the end."""
    model = crewai_model(scripted())
    # The user's words follow the mark. The rest of a task is ours.
    memory = MemweldMemory(backend, said=lambda text: text.partition("The user says: ")[2] or None)
    tools = [read_source, *memory_tools(backend, ["tasks"])]
    researcher = Agent(
        role="Researcher", goal="Find what the report needs", backstory="You are thorough.", llm=model, tools=tools
    )
    writer = Agent(role="Writer", goal="Write what is known", backstory="You write as the user likes it.", llm=model)
    tasks = [
        Task(
            description=f"Look up what came of the task {TASK!r}. Read one source that was not read yet, save what you "
            f"find to memory and record what came of the task. The user says: {WISHES[day]}",
            expected_output="What was read",
            agent=researcher,
        ),
        Task(
            description="Write the report on bees in cities from what is remembered, or say what is open.",
            expected_output="A short report",
            agent=writer,
        ),
    ]
    return str(Crew(agents=[researcher, writer], tasks=tasks, memory=memory).kickoff())


def main() -> None:
    """Run one day, or both, each in its own process."""
    parser = argparse.ArgumentParser(description="A research crew that continues yesterday's work")
    parser.add_argument("--day", type=int, choices=sorted(WISHES))
    parser.add_argument("--url", help="where memory is kept; a new file if not given")
    options = parser.parse_args()
    if options.day is not None:
        with memweld.connect(options.url) as backend, memweld.user_scope(USER):
            print(f"Day {options.day}: {work(backend, options.day)}")
        return
    with tempfile.TemporaryDirectory() as directory:
        url = options.url or f"sqlite:///{Path(directory) / 'memory.db'}"
        for day in WISHES:
            subprocess.run([sys.executable, __file__, "--day", str(day), "--url", url], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
