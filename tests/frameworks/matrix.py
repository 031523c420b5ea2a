"""The matrix of all framework pairs, and the page that says what each pair shares.

``python tests/frameworks/matrix.py --write docs/reference/matrix.md`` writes the page from what the drivers of the
adapter suite declare; ``test_matrix.py`` runs every pair and compares the page.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType

from memweld.testing import AdapterDriver

__all__ = ["FRAMEWORKS", "driver_of", "page", "pairs"]

HERE = Path(__file__).parent

FRAMEWORKS = {
    "LangChain": ("langchain/test_adapter", "LangChainDriver", "../guides/langchain.md"),
    "CrewAI": ("crewai/test_tools", "CrewAIDriver", "../guides/crewai.md"),
    "AutoGen": ("autogen/test_agents", "AutoGenDriver", "../guides/autogen.md"),
    "AG2": ("ag2/test_ag2", "AG2Driver", "../guides/ag2.md"),
    "AG2 Classic": ("ag2/test_classic", "ClassicDriver", "../guides/ag2.md"),
    "Agent Framework": ("agent_framework/test_agent_framework", "AgentFrameworkDriver", "../guides/agent-framework.md"),
    "MCP": ("mcp/test_server", "McpDriver", "../guides/mcp.md"),
}
"""Each framework by name: the module with its driver, the driver, and its page."""

HEAD = """\
# What passes between frameworks

A user's memory is the same in every framework. A test covers every pair below. The framework of the row writes, by an
agent's tool and by automatic capture. The framework of the column reads it, by an agent's tool and by automatic recall.
Another user reads nothing of it.

"""
FOOT = """\

`MPC`: memories, preferences and chats. `MP`: memories and preferences; one of the two keeps no chats by itself. Over
MCP, and with plain functions, [the history tools](../guides/tools.md) do.

`python tests/frameworks/matrix.py --write docs/reference/matrix.md` writes this page.
"""


def _loaded(path: Path) -> ModuleType:
    name = f"memweld_matrix_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@cache
def driver_of(framework: str) -> AdapterDriver:
    """The driver with which the adapter suite drives a framework."""
    module, driver, _ = FRAMEWORKS[framework]
    return getattr(_loaded(HERE / f"{module}.py"), driver)()


def pairs() -> list[tuple[str, str]]:
    """Every framework with every other one: the writer, the reader."""
    return list(itertools.permutations(FRAMEWORKS, 2))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _passes(writer: str, reader: str) -> str:
    if writer == reader:
        return ""
    return "MPC" if driver_of(writer).has_history and driver_of(reader).has_history else "MP"


def page() -> str:
    """The page as Markdown."""
    text = HEAD + _row(["written through ↓, read through →", *FRAMEWORKS]) + _row("---" for _ in (0, *FRAMEWORKS))
    for writer in FRAMEWORKS:
        text += _row([f"**{writer}**", *(_passes(writer, reader) for reader in FRAMEWORKS)])
    text += "\n## What each adapter does\n\n"
    text += _row(["", "tools", "automatic recall and capture", "chats", "runs"]) + _row(["---"] * 5)
    for framework, (_, _, docs) in FRAMEWORKS.items():
        driver = driver_of(framework)
        has = ["yes" if offered else "" for offered in (True, driver.has_turns, driver.has_history)]
        text += _row([f"[{framework}]({docs})", *has, " and ".join(driver.modes)])
    return text + FOOT


def main() -> None:
    """Write the page, or print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="the file to write; printed if left out")
    arguments = parser.parse_args()
    _loaded(HERE.parent / "conftest.py")  # It keeps the frameworks offline, so it must be loaded before them.
    if arguments.write is None:
        sys.stdout.write(page())
    else:
        arguments.write.write_text(page())


if __name__ == "__main__":
    main()
