"""Each adapter's package: it loads with its framework, names the remedy without it, and contacts nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("package", "module", "remedy"),
    [
        ("ag2", "ag2", "ag2 is not installed; run: pip install 'memweld[ag2]'"),
        (
            "agent_framework",
            "agent_framework",
            "agent-framework-core is not installed; run: pip install 'memweld[agent-framework]'",
        ),
        ("autogen", "autogen_core", "autogen-core is not installed; run: pip install 'memweld[autogen]'"),
        ("crewai", "crewai", "crewai is not installed; run: pip install 'memweld[crewai]'"),
        ("langchain", "langchain", "langchain is not installed; run: pip install 'memweld[langchain]'"),
    ],
)
def test_without_the_framework_the_import_names_the_remedy(package: str, module: str, remedy: str) -> None:
    code = f"""
import sys, memweld
sys.modules[{module!r}] = None
try:
    import memweld.{package}
except memweld.MissingExtraError as error:
    print(error)
"""
    assert run(code) == remedy


OFFLINE = """
import runpy, socket, sys
tests, framework = sys.argv[1:]
sys.path[:0] = [tests + "/frameworks"]
runpy.run_path(tests + "/conftest.py")  # switches telemetry off, as the frameworks document it
attempts = []
def refuse(*arguments, **_options):
    attempts.append(arguments)
    raise OSError("no network here")
import asyncio
asyncio.run(asyncio.sleep(0))  # an event loop makes a pair of sockets for itself
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
import matrix, memweld
ana = memweld.connect("sqlite://").user("ana")
driver = matrix.driver_of(framework)
mode = driver.modes[0]
driver.call_tool(ana, "set_preference", {"key": "theme", "value": "dark"}, mode)
if driver.has_turns:
    driver.run_turn(ana, "I keep bees", "Nice", session_id="s" if driver.has_history else None, mode=mode)
print(ana.preferences.all(), len(ana.history("s").messages()), attempts, file=sys.stderr)
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("framework", "messages"), [("AG2", 2), ("AG2 Classic", 0), ("Agent Framework", 2), ("AutoGen", 2), ("CrewAI", 2)]
)
def test_a_run_opens_no_connection(framework: str, messages: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(TESTS), framework], capture_output=True, text=True, timeout=180, check=False
    )
    assert done.stderr.strip().splitlines()[-1] == f"{{'theme': 'dark'}} {messages} []", done.stderr
