"""CrewAI's telemetry: said at INFO, and turned off by one call."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from memweld.crewai.telemetry import announce_telemetry

PROGRAM = """
import atexit, socket, sys
asked = []
def unreachable(host, *_, **__):
    asked.append(host)
    raise socket.gaierror("no network here")
socket.getaddrinfo = unreachable
def export(spans):
    asked.append("telemetry")
    raise RuntimeError("no network here")  # Connections that fail are repeated for half a minute.
# After the handlers of CrewAI, which are registered later and run before.
atexit.register(lambda: print("at the end:", sorted(set(asked))))

from crewai import Agent, Crew, Task
from crewai.telemetry.telemetry import Telemetry
from memweld.crewai import disable_telemetry
from memweld.testing.crewai import ScriptedLLM

def kickoff():
    agent = Agent(role="Helper", goal="help", backstory="none", llm=ScriptedLLM(["done"]))
    Crew(agents=[agent], tasks=[Task(description="do", expected_output="it", agent=agent)]).kickoff()

if sys.argv[1] == "late":
    Telemetry()._exporter._client.export = export
    kickoff()
    Telemetry().provider.force_flush(3000)
    print("before:", sorted(set(asked)))
    kickoff()  # Its spans wait when telemetry is turned off.
    asked.clear()
disable_telemetry()
kickoff()
provider = getattr(Telemetry(), "provider", None)
if provider is not None:
    provider.force_flush(3000)
print("after:", asked)
"""


@pytest.mark.parametrize("when", ["early", "late"])
def test_nothing_is_exported_after_it_is_turned_off(when: str) -> None:
    off = ("CREWAI", "OTEL")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(off)}
    environment["OTEL_BSP_SCHEDULE_DELAY"] = "600000"  # Nothing is sent by the clock while the program looks.
    command = [sys.executable, "-c", PROGRAM, when]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith(("before", "after", "at the end"))]
    before = ["before: ['telemetry']"] if when == "late" else []
    assert lines == [*before, "after: []", "at the end: []"]


def test_it_is_said_at_info_unless_it_is_off(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "memweld"):
        announce_telemetry()
        assert caplog.text == ""  # The tests turn it off.
        for name in ("CREWAI_DISABLE_TELEMETRY", "CREWAI_DISABLE_TRACKING", "OTEL_SDK_DISABLED"):
            monkeypatch.delenv(name, raising=False)
        announce_telemetry()
    assert "disable_telemetry()" in caplog.text
