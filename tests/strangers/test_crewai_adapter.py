"""crewai-tools' MCPServerAdapter: its tools, by themselves and in a crew, and what it makes of errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CLIENT = Path(__file__).parent / "crewai_client.py"
ANAS = {"Authorization": "Bearer anas-token"}

Report = Callable[[dict[str, Any], str, dict[str, Any]], dict[str, Any]]


@pytest.fixture
def report(strangers: ModuleType) -> Report:
    def run(server: dict[str, Any], tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        command = [sys.executable, CLIENT, json.dumps(server), tool, json.dumps(arguments)]
        environment = {**os.environ, "PYTHONPATH": str(strangers.PYTHON_PACKAGES)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_a_token_is_the_user(report: Report, serve: Callable[..., str]) -> None:
    server = {"transport": "streamable-http", "url": serve(auth=True), "headers": ANAS}
    told = report(server, "set_preference", {"key": "diet", "value": "vegan"})
    assert told["answer"] == "Preference diet set to vegan for user ana"
    for way in ("native", "text"):
        assert told["answer"] in told[way]["seen"]
        assert (told[way]["said"], told[way]["runs"]) == ("Done.", 1)


def test_stdio(report: Report, stdio: Callable[..., list[str]]) -> None:
    command, *args = stdio()
    spoken = [{"role": "user", "content": "I love Python programming"}]
    told = report({"command": command, "args": args}, "add_memory", {"messages": spoken, "user_id": "cru"})
    assert told["answer"] == "Added 1 memories for user cru"
    for way in ("native", "text"):
        assert told["answer"] in told[way]["seen"]
        assert (told[way]["said"], told[way]["runs"]) == ("Done.", 1)


def test_a_json_rpc_error_is_raised_and_a_crew_shows_it_to_the_model(report: Report, serve: Callable[..., str]) -> None:
    server = {"transport": "streamable-http", "url": serve()}
    told = report(server, "get_memory", {"memory_id": "mem_xyz789"})
    assert told["raised"] == {"type": "McpError", "text": "Internal error: Memory not found"}
    for way in ("native", "text"):
        assert "Internal error: Memory not found" in told[way]["seen"]
        assert told[way]["said"] == "Done."
    # A model that has no tools natively is told at last, after three tries of two calls each.
    assert (told["native"]["runs"], told["text"]["runs"]) == (1, 6)


def test_an_error_result_is_taken_for_an_answer(report: Report, serve: Callable[..., str]) -> None:
    server = {"transport": "streamable-http", "url": serve("tool")}
    told = report(server, "get_memory", {"memory_id": "mem_xyz789"})
    assert json.loads(told["answer"])["data"]["details"] == "No memory exists with ID mem_xyz789"
    for way in ("native", "text"):
        assert told["answer"] in told[way]["seen"]
        assert (told[way]["said"], told[way]["runs"]) == ("Done.", 1)
