"""Copying through servers: file to server to file, over HTTP and stdio, and who may know whose memories there are."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.server.auth import AccessToken, TokenVerifier
from mcp import McpError

from memweld import Backend, Memory, connect
from memweld.cli.doctor import examine
from memweld.errors import AccessDeniedError, MemweldError
from memweld.mcp import create_server
from memweld.models import JSON, ValueWrite
from memweld.scope import Scope
from memweld.testing import HashEmbedder
from memweld.testing.serving import serving
from memweld.transfer import Copied, copy
from memweld.transfer.copier import scopes_of

TOKENS = {
    "service": ("service", ["memory:any-user", "memory:agents"]),
    "no-agents": ("service", ["memory:any-user"]),
    "anas": ("ana", []),
}


class Tokens(TokenVerifier):
    async def verify_token(self, token: str) -> AccessToken | None:
        if token not in TOKENS:
            return None
        subject, scopes = TOKENS[token]
        return AccessToken(token=token, client_id=subject, scopes=[*scopes, "memory:engine"], claims={"sub": subject})


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The application on the loopback interface; the URL of its endpoint."""
    with serving(app) as url:
        yield f"{url}/mcp"


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def file(opened: ExitStack, path: Path) -> Backend:
    return opened.enter_context(connect(f"sqlite:///{path}", embedder=HashEmbedder()))


def server(opened: ExitStack, store: Backend | Memory, token: str | None = "service") -> Backend:
    auth = None if token is None else Tokens()
    url = opened.enter_context(served(create_server(store, auth=auth).http_app()))
    return opened.enter_context(connect(url, token=token))


def fill(backend: Backend) -> None:
    for memory in (
        backend.user("ana"),
        backend.user("ana", agent_id="chef"),
        backend.agent("chef"),
        backend.user("bo"),
    ):
        for number in range(5):
            memory.add(f"{memory.scope} fact {number}", metadata={"n": [number, 2.0, 2**70]}, session_id="s")
        memory.preferences.set("theme", "dark")
        memory.state("board").update("k", lambda _: {"ü": None})
        memory.values.write([ValueWrite(namespace="notes", key="n", value=1, text="a note", ttl=3600)])
        memory.history("s").append(
            [{"role": "user", "content": f"{memory.scope} says"}, {"role": "assistant", "content": "ok"}]
        )


def whole(memory: Memory) -> dict[str, JSON]:
    export = memory.export()
    del export["exported_at"]
    return export


def test_from_a_file_to_a_server_to_a_file(opened: ExitStack, tmp_path: Path) -> None:
    old, new = file(opened, tmp_path / "old.db"), file(opened, tmp_path / "new.db")
    hub = server(opened, file(opened, tmp_path / "hub.db"))
    fill(old)
    everybody = [Scope(agent_id="chef"), Scope("ana"), Scope("bo")]
    there = list(copy(old, hub, everybody=True, page=4))
    back = list(copy(hub, new, everybody=True, page=3))
    assert [report.scope for report in there] == [report.scope for report in back] == everybody
    assert all(report.equal for report in (*there, *back))
    assert [report.source for report in there] == [report.target for report in back]
    for scope in everybody:
        # The second copy keeps the order of the first, records behind facts.
        assert whole(new.scoped(scope)) == whole(hub.scoped(scope))
    assert new.user("ana").search("fact 3", limit=1)[0].text in ("user ana fact 3", "user ana and agent chef fact 3")
    assert not any(count for report in copy(old, hub, everybody=True) for count in report.stored.values())


def test_large_values_pass_over_http(opened: ExitStack, tmp_path: Path) -> None:
    old = file(opened, tmp_path / "old.db")
    hub = server(opened, file(opened, tmp_path / "hub.db"))
    for number in range(12):
        old.user("ana").state("n").set(str(number), "ß" * 450_000)
    old.user("ana").history("s").append([{"role": "user", "content": "ß" * 450_000} for _ in range(5)])
    (report,) = copy(old, hub, user_id="ana")
    assert report.equal
    assert report.source.counts == {"items": 0, "values": 12, "sessions": 1, "messages": 5}


def test_a_user_copies_their_own_memory_and_no_other(opened: ExitStack, tmp_path: Path) -> None:
    store, new = file(opened, tmp_path / "hub.db"), file(opened, tmp_path / "new.db")
    fill(store)
    hub = server(opened, store, "anas")
    (report,) = copy(hub, new, user_id="ana")
    assert report.equal
    assert report.source.counts["items"] == 12
    others: list[dict[str, Any]] = [{"user_id": "bo"}, {"agent_id": "chef"}, {"everybody": True}]
    for wrong in others:
        with pytest.raises(AccessDeniedError, match="token"):
            list(copy(hub, new, **wrong))
    assert list(scopes_of(new)) == [Scope("ana")]


def test_agents_are_for_tokens_that_may_see_them(opened: ExitStack, tmp_path: Path) -> None:
    store = file(opened, tmp_path / "hub.db")
    fill(store)
    assert list(scopes_of(server(opened, store, "no-agents"), page=1)) == [Scope("ana"), Scope("bo")]


def test_an_open_server_does_not_say_whose_memories_it_has(opened: ExitStack, tmp_path: Path) -> None:
    store, new = file(opened, tmp_path / "hub.db"), file(opened, tmp_path / "new.db")
    fill(store)
    hub = server(opened, store, None)
    with pytest.raises(AccessDeniedError, match="memory:any-user"):
        list(copy(hub, new, everybody=True))
    (report,) = copy(hub, new, user_id="bo")
    assert report.equal


def test_one_memory_is_no_store(opened: ExitStack, tmp_path: Path) -> None:
    store = file(opened, tmp_path / "hub.db")
    fill(store)
    with pytest.raises(MemweldError):
        list(scopes_of(server(opened, store.user("ana"), "service")))


@pytest.mark.anyio
async def test_models_see_no_list_of_users(tmp_path: Path, opened: ExitStack) -> None:
    store = file(opened, tmp_path / "hub.db")
    fill(store)
    async with Client(create_server(store, user_id="ana", lock_user=True, engine_tools=True)) as client:
        assert not [tool.name for tool in await client.list_tools() if "scopes" in tool.name or "export" in tool.name]
        with pytest.raises(McpError, match="Access denied") as caught:
            await client.call_tool_mcp("engine_list_scopes", {"limit": 10})
        assert "memory:any-user" in str(caught.value.error.data)


def test_stdio_to_a_file(opened: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(opened.enter_context(connect(f"sqlite:///{tmp_path / 'hub.db'}")))
    command = [sys.executable, "-m", "memweld", "serve", "--url", f"sqlite:///{tmp_path / 'hub.db'}"]
    assert os.environ.get("MEMWELD_LOCK_USER") is None
    hub = opened.enter_context(connect(f"stdio:{shlex.join(command)}"))
    reports: list[Copied] = list(copy(hub, file(opened, tmp_path / "new.db"), everybody=True))
    assert len(reports) == 3
    assert all(report.equal for report in reports)
    monkeypatch.setenv("MEMWELD_LOCK_USER", "1")
    monkeypatch.setenv("MEMWELD_USER_ID", "ana")
    locked = opened.enter_context(connect(f"stdio:{shlex.join([*command, '--lock-user', '--user', 'ana'])}"))
    with pytest.raises(AccessDeniedError, match="not locked"):
        locked.admin.list_scopes(after=None, limit=5)


def test_doctor_looks_at_a_server_with_the_token_of_one_user(
    opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server(opened, opened.enter_context(connect("sqlite://", embedder=HashEmbedder())), "anas").url
    monkeypatch.setenv("MEMWELD_TOKEN", "anas")
    for user, text in (("", "set MEMWELD_USER_ID"), ("ana", "can be read")):
        monkeypatch.setenv("MEMWELD_USER_ID", user)
        (found,) = (finding for finding in examine(url) if finding.label == "store")
        assert text in found.text
        assert not found.problem
