"""Every example runs offline, in a process of its own, and prints what it is there to show."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

SHOWN = {
    "fastapi_chat": [
        r"Ana, another conversation .* 200 You told me: My cat is called Tofu\.",
        r"Bob, in Ana's thread .* 200 I know nothing of you yet\.",
        r"Bob, who says he is Ana .* 422 ",
        r"somebody without a token .* 401 Unauthorized",
    ],
    "langchain_agent": [r"Ana:   What is my cat called\?\nAgent: You told me: My cat is called Tofu\."],
    "langgraph_store": [
        r"Ana: Another train, to Braga +A trip with: a window seat on every train\.",
        r"Bob: A train to Lisbon +A trip like any other\.",
        r"by key: +\{'trips': \{'count': 2\}\}",
        r"by meaning: \['a window seat on every train'\]",
    ],
    "migrate_from_langchain": [
        r"new messages: \[4, 4, 2\]; memories: 2 of Ana, 1 of Bob",
        r"new messages: \[0, 0, 0\]; memories: 2 of Ana, 1 of Bob",
        r"After, with the history alone changed\n.* You told me: I like tea\.",
        r"Ana, in ana-1: +You told me: I live in Porto; My cat is called Tofu\.",
        r"Ana, in a new session: +You told me: I live in Porto; My cat is called Tofu\.",
        r"Bob, in a new session: +You told me: I like tea\.",
    ],
    "mcp_preference_server": [r"bob recommend_dish +Beef Wellington +Beef Wellington", r"now look up: heat pumps"],
}


# Put before every process that an example starts: whoever looks for another machine is written down, and fails.
OFFLINE = """
import os, socket

def refuse(where):
    if str(where) not in ("None", "localhost", "127.0.0.1", "::1", ""):
        with open(os.environ["LOOKED_FOR"], "a") as file:
            file.write(f"{where}\\n")
        raise OSError(f"offline: {where}")

connect, look_up = socket.socket.connect, socket.getaddrinfo

def connect_near(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        refuse(address[0])
    return connect(self, address)

def look_up_near(host, *args, **kwargs):
    refuse(host.decode() if isinstance(host, bytes) else host)
    return look_up(host, *args, **kwargs)

socket.socket.connect, socket.getaddrinfo = connect_near, look_up_near
"""


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "sitecustomize.py").write_text(OFFLINE)
    looked_for = tmp_path / "looked_for"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("LOOKED_FOR", str(looked_for))
    yield
    assert not looked_for.exists(), looked_for.read_text()


def run(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    keyless = {key: value for key, value in os.environ.items() if not key.endswith("_API_KEY")}
    return subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments],
        env=keyless | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_it_runs(name: str) -> None:
    done = run(name)
    assert done.returncode == 0, done.stderr
    for shown in SHOWN[name]:
        assert re.search(shown, done.stdout), f"{shown}\n\nin\n\n{done.stdout}"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_its_docstring_says_how_to_run_it(path: Path) -> None:
    assert f"    python examples/{path.name}\n" in path.read_text().split('"""')[1]


def test_an_agent_remembers_from_call_to_call(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    assert run("langchain_agent", "I", "live", "in", "Porto", MEMWELD_URL=url).stdout == (
        "Nice to meet you! I shall remember that.\n"
    )
    assert run("langchain_agent", "Where do I live?", MEMWELD_URL=url).stdout == "You told me: I live in Porto.\n"


def test_the_service_does_not_start_without_tokens() -> None:
    for tokens in ("{}", '{"ana": "short"}'):
        done = run("fastapi_chat", "serve", CHAT_TOKENS=tokens)
        assert done.returncode == 1
        assert "Set CHAT_TOKENS" in done.stderr
