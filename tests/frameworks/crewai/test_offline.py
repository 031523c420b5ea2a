"""A crew and a flow with memory contact nobody: every socket that is opened ends the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# The switches are those that docs/crewai.md names.
SWITCHES = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "OTEL_SDK_DISABLED": "true",
}
RUN = """
import socket, sys, threading

attempts = []


def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname"):
        attempts.append((event, str(arguments)))
        raise OSError("no network here")


import asyncio
asyncio.new_event_loop().close()
sys.addaudithook(watch)

import memweld
from crewai import Agent, Crew, Task
from crewai.flow import ConversationConfig, ConversationState, Flow, persist
from memweld.crewai import MemweldFlowPersistence, MemweldMemory, memory_tools
from memweld.testing.crewai import ScriptedLLM, tool_call

with memweld.connect("sqlite://") as backend, memweld.user_scope("ana"):
    model = ScriptedLLM([
        tool_call("search_memories", {"query": "bees"}), tool_call("search_memory", {"queries": ["bees"]}), "Noted.",
        "Seven.",
    ])
    agent = Agent(role="Helper", goal="Help", backstory="You help.", llm=model, tools=memory_tools(backend))
    task = Task(description="I keep seven bees", expected_output="An answer", agent=agent)
    Crew(agents=[agent], tasks=[task], memory=MemweldMemory(backend)).kickoff()

    @persist(MemweldFlowPersistence(backend))
    @ConversationConfig(llm=model)
    class Chat(Flow[ConversationState]):
        pass

    print(Chat(memory=MemweldMemory(backend)).handle_turn("How many?", session_id="s1"))
    print([item.text for item in backend.user("ana").all()], len(backend.user("ana").history("s1").messages()))

for event, arguments in attempts:
    print("ATTEMPT", event, arguments)
"""


def test_nobody_is_contacted(tmp_path: Path) -> None:
    unset = ("OPENAI_API_KEY", "MEMWELD_URL")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={**environment, **SWITCHES, "CREWAI_STORAGE_DIR": str(tmp_path), "HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "ATTEMPT" not in done.stdout
    assert "Seven." in done.stdout
    assert "['I keep seven bees'] 2" in done.stdout
