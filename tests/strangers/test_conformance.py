"""The conformance suite of the protocol's makers, over HTTP: what fails, and that nothing else does.

Why it fails is in docs/reference/mcp-clients.md. The suite asks for tools, resources and prompts by name.
`conformance_server` has them beside memweld's own, so that the suite reaches what memweld adds: sessions, transports,
errors.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

SERVER = Path(__file__).parent / "conformance_server.py"
# What passes on a server as `memweld serve` starts it, which has tools of its own only.
SERVED = {
    "server-initialize",
    "logging-set-level",
    "ping",
    "tools-list",
    "server-sse-polling",
    "server-sse-multiple-streams",
    "resources-list",
    "prompts-list",
    "dns-rebinding-protection",
}
SCENARIOS = 32
# Not offered: completions and subscriptions, for want of prompts and resources. FastMCP writes definitions in full.
NOT_OFFERED = {"completion-complete", "resources-subscribe", "resources-unsubscribe", "json-schema-2020-12"}
FAILS = {
    # It asks for an isError result where the tool fails; a JSON-RPC error object is what memweld is asked for.
    "jsonrpc": NOT_OFFERED | {"tools-call-error"},
    "tool": NOT_OFFERED,
}

Outcome = tuple[set[str], set[str], set[str]]


def examine(url: str, strangers: ModuleType, folder: Path) -> Outcome:
    """The scenarios that pass, those that fail, and the ids of the checks that warn."""
    suite = strangers.CACHE / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
    command = [strangers.node(), suite, "server", "--url", url, "--suite", "all", "--output-dir", folder]
    subprocess.run(command, cwd=folder, capture_output=True, timeout=150, check=False)
    passed, failed, warned = set[str](), set[str](), set[str]()
    for path in folder.glob("server-*/checks.json"):
        found = re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT.*", path.parent.name)
        assert found is not None
        checks = json.loads(path.read_text())
        statuses = {check["status"] for check in checks}
        (failed if "FAILURE" in statuses else passed).add(found[1])
        warned |= {check["id"] for check in checks if check["status"] == "WARNING"}
    assert len(passed | failed) == SCENARIOS
    return passed, failed, warned


@pytest.mark.slow
def test_as_it_is_served(strangers: ModuleType, serve: Callable[..., str], tmp_path: Path) -> None:
    passed, _, _ = examine(serve(), strangers, tmp_path)
    assert passed == SERVED


@pytest.mark.slow
@pytest.mark.parametrize("errors", ["jsonrpc", "tool"])
def test_with_all_that_the_suite_asks_for(
    errors: str, strangers: ModuleType, run_server: Callable[[Sequence[str]], str], tmp_path: Path
) -> None:
    url = run_server([sys.executable, str(SERVER), errors])
    _, failed, warned = examine(url, strangers, tmp_path)
    assert failed == FAILS[errors]
    # Recommended for streams that are resumed; memweld's answers are short and are asked for anew.
    assert warned == {"server-sse-priming-event", "server-sse-retry-field"}
