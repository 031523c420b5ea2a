"""Importing memweld: loaded modules, exported names, and the error for a missing extra."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import memweld

HEAVY = ["mem0", "numpy", "tokenizers", "langchain", "langchain_core", "langgraph", "crewai", "autogen_core", "fastmcp"]
HEAVY += ["mcp", "sqlalchemy", "openai", "pydantic", "rich", "typer", "sqlite3"]


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_loads_nothing_heavy() -> None:
    loaded = json.loads(run("import json, sys, memweld; print(json.dumps(sorted(sys.modules)))"))
    assert "memweld" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_connect_and_state_load_no_engine_of_facts() -> None:
    code = """
import json, sys, memweld
backend = memweld.connect("sqlite://")
ana = backend.user("ana")
after_connect = sorted(sys.modules)
ana.state("n")["k"] = 1
ana.history("s").add_user_message("hello")
print(json.dumps([after_connect, sorted(sys.modules)]))
"""
    after_connect, after_state = json.loads(run(code))
    frameworks = {"mem0", "numpy", "tokenizers", "langchain_core", "crewai", "autogen_core", "fastmcp"}
    assert frameworks.isdisjoint(after_connect)
    assert frameworks.isdisjoint(after_state)


WITHOUT_MEM0 = """
import sys, memweld
with memweld.connect("sqlite:///" + sys.argv[1]) as backend:
    ana = backend.user("ana")
    (item,) = ana.add("I love tea", session_id="s", metadata={"a": 1})
    ana.update(item.id, "I love coffee")
    assert ana.search("coffee", limit=1, filters={"a": 1})[0].id == item.id
    ana.preferences.set("theme", "dark")
    ana.preferences.set("theme", "light")
    assert ana.preferences.get("theme") == "light"
    assert ana.preferences.search("colours")
    ana.tasks.record("ship", outcome="late", success=False)
    assert ana.tasks.context("ship")
    ana.state("n").set("k", 1, text="a record")
    ana.history("s").add_user_message("hello")
    ana.capture([{"role": "user", "content": "goodbye"}], session_id="s", infer=False)
    assert ana.recall("coffee")
    kept = ana.export()
    ana.delete(item.id)
    ana.erase()
    ana.restore(kept)
    assert len(backend.user("ana", agent_id="helper").all()) == 0
    print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_nothing_but_extraction_loads_mem0(tmp_path: Path) -> None:
    loaded = set(run(WITHOUT_MEM0, str(tmp_path / "memory.db")).split())
    assert {"memweld", "numpy", "tokenizers"} <= loaded
    assert loaded.isdisjoint({"mem0", "qdrant_client", "openai", "posthog", "httpx", "sqlalchemy", "wordllama"})
    assert loaded.isdisjoint({"pydantic", "pydantic_settings", "asyncio", "rich", "typer"})


WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"mem0", "openai", "qdrant_client", "posthog", "sqlalchemy", "httpx"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
import memweld
from memweld.testing import HashEmbedder, ScriptedExtractor, facts
"""


@pytest.mark.parametrize(
    "options",
    [
        "llm=ScriptedExtractor([facts('x')]), extraction='mem0'",
        "llm={'provider': 'openai', 'config': {}}",
        "embedder={'provider': 'openai', 'config': {}}",
        "mem0={'vector_store': {'provider': 'qdrant', 'config': {'path': 'x'}}}",
        "mem0={'platform': {'api_key': 'x'}}",
    ],
)
def test_without_mem0_the_remedy_is_named_where_mem0_is_needed(tmp_path: Path, options: str) -> None:
    code = f"""{WITHOUT}
try:
    memweld.connect("sqlite:///" + sys.argv[1], {options}).user("ana").add("I love tea")
except memweld.MissingExtraError as error:
    print(error)
"""
    assert run(code, str(tmp_path / "m.db")) == "mem0ai is not installed; run: pip install 'memweld[mem0]'\n"


def test_without_mem0_memory_works(tmp_path: Path) -> None:
    """Also the command line, and memweld's own extraction."""
    code = f"""{WITHOUT}
from typer.testing import CliRunner
from memweld.cli import app
llm = ScriptedExtractor([facts("x")])
ana = memweld.connect("sqlite:///" + sys.argv[1], embedder=HashEmbedder(), llm=llm).user("ana")
(item,) = ana.add("I love tea", infer=False)
ana.update(item.id, "I love coffee")
print(ana.search("coffee", limit=1)[0].text)
print(ana.add("tea!")[0].extraction)
result = CliRunner().invoke(app, ["doctor", "--url", "sqlite:///" + sys.argv[1]], catch_exceptions=False)
print(result.exit_code)
"""
    assert run(code, str(tmp_path / "m.db")).split("\n") == ["I love coffee", "extracted", "0", ""]


def test_exported_members() -> None:
    assert sorted(memweld.__all__) == [
        "AccessDeniedError",
        "AsyncMemory",
        "Backend",
        "BackendUnavailableError",
        "ChatMessage",
        "ConfigurationError",
        "Conflict",
        "ConsolidationPlan",
        "ConsolidationReceipt",
        "EraseReceipt",
        "Explanation",
        "Hit",
        "InvalidInputError",
        "Memory",
        "MemoryItem",
        "MemoryNotFoundError",
        "MemweldError",
        "MissingExtraError",
        "Profile",
        "Related",
        "Scope",
        "Session",
        "TaskOutcome",
        "ToolCall",
        "connect",
        "redact_secrets",
        "user_scope",
    ]
    assert all(hasattr(memweld, name) for name in memweld.__all__)


def test_errors_are_one_tree() -> None:
    also = {
        "InvalidInputError": ValueError,
        "MemoryNotFoundError": LookupError,
        "AccessDeniedError": PermissionError,
        "BackendUnavailableError": ConnectionError,
        "MissingExtraError": ImportError,
    }
    for name in memweld.__all__:
        if name.endswith("Error"):
            error = getattr(memweld, name)
            assert issubclass(error, memweld.MemweldError)
            assert issubclass(error, also.get(name, Exception))


@pytest.mark.parametrize(
    ("adapter", "packages"),
    [
        ("langchain", ["langchain", "langchain_core", "langgraph"]),
        ("crewai", ["crewai"]),
        ("autogen", ["autogen_core", "autogen_agentchat"]),
        ("mcp", ["fastmcp", "mcp"]),
        ("ag2", ["ag2"]),
        ("agent_framework", ["agent_framework"]),
    ],
)
def test_a_missing_extra_names_its_remedy(adapter: str, packages: list[str]) -> None:
    code = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
import memweld
try:
    import memweld.{adapter}
except ImportError as error:
    assert isinstance(error, memweld.MissingExtraError), repr(error)
    print(error)
"""
    message = run(code).strip()
    assert f"pip install 'memweld[{adapter.replace('_', '-')}]'" in message
    assert "\n" not in message
