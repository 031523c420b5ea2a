"""Importing from a botwire server: what its published client wrote to ours over HTTP, values and chat histories."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import botwire
import botwire.memory
import httpx
import pytest
from fastmcp.server.auth import StaticTokenVerifier
from langchain_core.messages import AIMessage, HumanMessage
from typer.testing import CliRunner, Result

from memweld import Backend, connect
from memweld.cli import app
from memweld.errors import AccessDeniedError, BackendUnavailableError, InvalidInputError
from memweld.langchain import MemweldChatMessageHistory
from memweld.mcp import create_app
from memweld.scope import Scope
from memweld.testing import HashEmbedder
from memweld.testing.serving import serving
from memweld.transfer import read_botwire

ANA = Scope("ana")


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def store(opened: ExitStack) -> Backend:
    return opened.enter_context(connect("sqlite://", embedder=HashEmbedder()))


@pytest.fixture
def botwires(opened: ExitStack, store: Backend, monkeypatch: pytest.MonkeyPatch) -> str:
    """A server to which the published client has written."""
    url = opened.enter_context(serving(create_app(store, user_id="agent")))

    def client(**options: Any) -> httpx.Client:
        # botwire's Memory never closes its own.
        made = httpx.Client(**options)
        opened.callback(made.close)
        return made

    monkeypatch.setattr(botwire.memory, "httpx", SimpleNamespace(Client=client))
    monkeypatch.setattr(botwire.memory.Memory.__init__, "__defaults__", (url, 10.0))
    memory = botwire.Memory("crew")
    for key, value in VALUES.items():
        memory.set(key, value)
    for session in ("s1", "s2"):
        history = botwire.memory.BotWireChatHistory(session)
        history.add_message(HumanMessage(f"hello from {session}"))
        history.add_message(AIMessage("hi", id="a", tool_calls=[{"id": "c", "name": "f", "args": {"x": 1}}]))
    other = botwire.memory.BotWireChatHistory("s1", namespace="other")
    other.add_message(HumanMessage("elsewhere"))
    return url


VALUES: dict[str, Any] = {
    "name": "Pedro",
    "list": [1, {"a": None}],
    "object": {"ü": 2.5},
    "number": 5,
    "text like json": "[not json",
    "deep/path/with slash": "x",
    "100% ü": "encoded",
    "empty list": [],
}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["import", *arguments], catch_exceptions=False)


def test_values_are_as_the_client_reads_them(botwires: str, opened: ExitStack, tmp_path: Path) -> None:
    new = opened.enter_context(connect(f"sqlite:///{tmp_path / 'new.db'}"))
    plan = read_botwire(botwires, ["crew"], scope=ANA)
    assert plan.store(new)["values"] == len(VALUES)
    client = botwire.Memory("crew")
    state = new.user("ana").state("crew")
    assert state.list_keys() == sorted(client.keys())
    assert {key: state[key] for key in state} == {key: client.get(key) for key in client.keys()}  # noqa: SIM118
    assert state["list"] == [1, {"a": None}]
    assert state["number"] == "5"


def test_again_what_changed_here_stays(botwires: str, opened: ExitStack, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    arguments = (botwires, "--from", "botwire", "--namespace", "crew", "--user", "ana", "--url", url)
    assert "New or changed: 8 values" in run(*arguments).stdout
    with connect(url) as new:
        entry = new.user("ana").values.read([("crew", "list")])
        assert "New or changed: nothing" in run(*arguments).stdout
        assert new.user("ana").values.read([("crew", "list")]) == entry
        new.user("ana").state("crew")["name"] = "Ana"
        botwire.Memory("crew").set("new one", 1)
        result = run(*arguments)
        assert "New or changed: 1 value\n" in result.stdout
        assert "Left as it is: 1 value that differs;" in result.stdout
        assert new.user("ana").state("crew")["name"] == "Ana"
        assert "New or changed: 1 value\n" in run(*arguments, "--overwrite").stdout
        assert new.user("ana").state("crew")["name"] == "Pedro"


def test_chat_histories_become_sessions(botwires: str, opened: ExitStack, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    names = ("--namespace", "langchain-sessions", "--namespace", "other", "--namespace", "crew")
    arguments = (botwires, "--from", "botwire", *names, "--user", "ana", "--url", url)
    dry = run(*arguments, "--dry-run")
    assert dry.stdout.splitlines()[0] == "user ana: 8 values, 3 sessions, 5 messages"
    assert "New or changed: 8 values, 5 messages" in run(*arguments).stdout
    assert "New or changed: nothing" in run(*arguments).stdout
    with connect(url) as new:
        sessions = {session.session_id for session in new.user("ana").sessions()}
        assert sessions == {"s1", "s2", "other/s1"}
        theirs = botwire.memory.BotWireChatHistory("s2").messages
        assert MemweldChatMessageHistory(new.user("ana"), "s2").messages == theirs
        assert new.user("ana").values.namespaces() == ["crew"]
        assert "New or changed: 2 values" in run(*arguments[:3], *names[:2], *arguments[-4:], "--as-state").stdout
        assert new.user("ana").state("langchain-sessions").list_keys() == ["s1", "s2"]


def test_a_server_with_tokens_and_users(opened: ExitStack, store: Backend, tmp_path: Path) -> None:
    tokens = StaticTokenVerifier({"good": {"client_id": "ana", "sub": "ana", "scopes": []}})
    url = opened.enter_context(serving(create_app(store, auth=tokens)))
    store.user("ana").state("n")["k"] = "anas"
    new = opened.enter_context(connect(f"sqlite:///{tmp_path / 'new.db'}"))
    with pytest.raises(AccessDeniedError, match="token"):
        read_botwire(url, ["n"], scope=ANA)
    read_botwire(url, ["n"], scope=ANA, token="good").store(new)
    read_botwire(f"{url}/users/ana/", ["n"], scope=Scope("cy"), token="good").store(new)
    assert new.user("ana").state("n")["k"] == new.user("cy").state("n")["k"] == "anas"


class Other(BaseHTTPRequestHandler):
    """A server that is no botwire server."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Answer as the namespace says."""
        word = self.path.rsplit("/", 1)[-1]
        self.asked.append(word)
        if word == "busy" and self.asked.count("busy") <= 2:
            self.send_response(429)
            self.send_header("Retry-After", "0")
            self.end_headers()
            return
        self.send_response({"moved": 302, "broken": 500}.get(word, 200))
        self.send_header("Location", "http://127.0.0.1:9/")
        self.end_headers()
        self.wfile.write({"list": b"[]", "keys": b'{"keys": 5}', "busy": b'{"keys": []}'}.get(word, b"<html>"))

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_other_servers(opened: ExitStack) -> None:
    server = opened.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), Other))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    opened.callback(server.shutdown)
    url = f"http://127.0.0.1:{server.server_port}"
    cases = {"moved": "HTTP 302", "broken": "HTTP 500", "html": "JSON", "list": "an object", "keys": "list keys"}
    for namespace, text in cases.items():
        with pytest.raises(BackendUnavailableError, match=text):
            read_botwire(url, [namespace], scope=ANA)
    assert not read_botwire(url, ["busy"], scope=ANA).parts
    assert Other.asked.count("busy") == 3
    with pytest.raises(BackendUnavailableError, match="cannot be reached"):
        read_botwire("http://127.0.0.1:9", ["n"], scope=ANA)
    for wrong in ("file:///etc/passwd", "botwire.dev", "http://"):
        with pytest.raises(InvalidInputError, match="http"):
            read_botwire(wrong, ["n"], scope=ANA)
    with pytest.raises(InvalidInputError, match="at least one"):
        read_botwire(url, [], scope=ANA)
    with pytest.raises(InvalidInputError, match="no slashes"):
        read_botwire(url, ["a/b"], scope=ANA)
