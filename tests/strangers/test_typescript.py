"""The TypeScript SDK's client, on Node: its tools over each transport, and what it makes of errors."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CLIENT = (Path(__file__).parent / "typescript_client.mjs").read_text()
SPOKEN = [{"role": "user", "content": "I love Python programming"}]
UNKNOWN = ["get_memory", {"memory_id": "mem_xyz789"}]
ERROR = {
    "code": -32603,
    "message": "Internal error: Memory not found",
    "data": {"type": "MemoryNotFoundError", "details": "No memory exists with ID mem_xyz789"},
}

Report = Callable[..., dict[str, Any]]


@pytest.fixture
def report(strangers: ModuleType) -> Report:
    def run(*calls: list[Any], **where: Any) -> dict[str, Any]:
        # From stdin, so that it is resolved from the folder that has the packages.
        command = [strangers.node(), "--input-type=module", "-", json.dumps({"calls": calls, **where})]
        done = subprocess.run(
            command, cwd=strangers.CACHE, input=CLIENT, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("kind", ["http", "sse", "stdio"])
def test_its_tools(kind: str, report: Report, serve: Callable[..., str], stdio: Callable[..., list[str]]) -> None:
    if kind == "stdio":
        command, *args = stdio()
        where: dict[str, Any] = {"command": command, "args": args}
    else:
        where = {"url": serve().replace("/mcp", f"/{kind}") if kind == "sse" else serve(), "sse": kind == "sse"}
    user = {"user_id": f"ts-{kind}"}
    spoken = ["add_memory", {"messages": SPOKEN, **user}]
    told = report(spoken, ["search_memories", {"query": "languages", **user}], **where)
    assert "add_memory" in [tool["name"] for tool in told["tools"]]
    added, found = told["answers"]
    assert added["content"][0]["text"] == f"Added 1 memories for user ts-{kind}"
    assert found["structuredContent"]["memories"][0]["text"] == SPOKEN[0]["content"]


def test_a_token_is_the_user(report: Report, serve: Callable[..., str]) -> None:
    told = report(["set_preference", {"key": "theme", "value": "dark"}], url=serve(auth=True), token="bobs-token")
    assert told["answers"][0]["content"][0]["text"] == "Preference theme set to dark for user bob"


def test_without_a_token_it_is_told_so(report: Report, serve: Callable[..., str]) -> None:
    assert report(url=serve(auth=True))["failed"]["code"] == 401


def test_a_json_rpc_error_is_thrown_with_its_data(report: Report, serve: Callable[..., str]) -> None:
    (answer,) = report(UNKNOWN, url=serve())["answers"]
    assert answer == {**ERROR, "thrown": "McpError", "message": f"MCP error {ERROR['code']}: {ERROR['message']}"}


def test_an_error_result_is_returned(report: Report, serve: Callable[..., str]) -> None:
    (answer,) = report(UNKNOWN, url=serve("tool"))["answers"]
    assert answer["isError"] is True
    assert json.loads(answer["content"][0]["text"]) == answer["structuredContent"] == ERROR
