"""Every Python snippet of README and docs runs, in order, and prints what it says."""

import asyncio
import json
import re
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from pytest_examples import CodeExample, EvalExample, find_examples

from memweld.testing import facts
from openai_server import OpenAIServer

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROSE = [*PAGES, *(ROOT / page for page in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"))]
DATE, TIME = re.compile(r"\d{4}-\d\d-\d\d"), re.compile(r"(?<=\d\d-\d\d )\d\d:\d\d[\d:.]*")


# Pages that load frameworks, which takes seconds each.
SLOW = {
    "README.md",
    "docs/coming-from/autogen.md",
    "docs/coming-from/crewai.md",
    "docs/coming-from/langchain.md",
    "docs/coming-from/langmem.md",
    "docs/guides/ag2.md",
    "docs/guides/agent-framework.md",
    "docs/guides/autogen-teams.md",
    "docs/guides/autogen.md",
    "docs/guides/crewai-flows.md",
    "docs/guides/crewai.md",
    "docs/guides/langchain-mcp-tools.md",
    "docs/guides/langchain.md",
    "docs/guides/langgraph-store.md",
    "docs/how-to/remote.md",
    "docs/start/first-memory.md",
    "docs/start/local-model.md",
    "docs/start/openai.md",
}


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# trustcall 0.0.39, which langmem imports, reads a name that LangGraph has moved.
@pytest.mark.filterwarnings("ignore:Importing Send from langgraph.constants")
# CrewAI's MemoryRecord takes the time from it.
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] if name(page) in SLOW else []) for page in PAGES],
    ids=name,
)
def test_snippets(
    page: Path,
    eval_example: EvalExample,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    openai_server: OpenAIServer,
) -> None:
    if name(page) == "docs/coming-from/langmem.md" and sys.version_info < (3, 11):
        pytest.skip("langmem 0.0.30 needs Python 3.11")
    monkeypatch.chdir(tmp_path)
    if page.parent.name == "start":
        openai_server.answer = model_answer
        for variable, value in openai_server.environment.items():
            monkeypatch.setenv(variable, value)
    eval_example.set_config(line_length=120)
    eval_example.print_callback = lambda text: TIME.sub("10:30", DATE.sub("2026-01-31", text))
    namespace: dict[str, Any] = {}
    examples: list[CodeExample] = [
        example for example in find_examples(str(page)) if example.prefix.strip().lower() in ("python", "py")
    ]
    for example in examples:
        problem = ""
        try:
            namespace = eval_example.run_print_check(example, module_globals=namespace)
        except Exception as error:
            # pytest-examples rewrites tracebacks. Python 3.11 cannot format the result, neither here nor in a report.
            problem = "".join(traceback.format_exception_only(error))
        if problem:
            pytest.fail(f"{name(page)}:{example.start_line}\n{problem}", pytrace=False)
    for value in namespace.values():
        close = getattr(value, "close", None)
        if close is not None and not isinstance(value, type) and not asyncio.iscoroutinefunction(close):
            close()


def model_answer(body: dict[str, Any]) -> str:
    """The answer of the model in the pages about real models: to an extraction, and from a recalled memory."""
    if "response_format" in body:
        return facts("Ana has a cat named Tofu", "Ana is allergic to peanuts")
    return "Peanuts." if "<memories>" in json.dumps(body) else "I see."


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PROSE, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text()):
        if target.startswith("https://"):
            continue
        file = page.parent / target if target else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PROSE, ids=name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", page.read_text())) | set(
        re.findall(r"^make ([a-z-]+)", page.read_text(), flags=re.MULTILINE)
    )
    assert named <= targets
