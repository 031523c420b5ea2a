"""The audit log: a line for each call and each refused attempt on every way in, without texts; and when it fails."""

from __future__ import annotations

import errno
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from fastmcp import Client
from mcp.shared.exceptions import McpError

import memweld
from memweld import Backend, BackendUnavailableError
from memweld.mcp import (
    AGENTS_SCOPE,
    ANY_USER_SCOPE,
    ENGINE_SCOPE,
    READ_SCOPE,
    create_app,
    create_server,
    token_file_auth,
)
from memweld.mcp.audit import AuditLog
from memweld.testing.serving import serving

INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


@pytest.fixture
def backend() -> Iterator[Backend]:
    with memweld.connect("sqlite://") as backend:
        yield backend


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def lines(file: Path, *, without: tuple[str, ...] = ("time", "address")) -> list[dict[str, Any]]:
    listed = [json.loads(line) for line in file.read_text().splitlines()]
    assert all(line["time"] for line in listed)
    return [{name: value for name, value in line.items() if name not in without} for line in listed]


def application(backend: Backend, file: Path) -> Any:
    tokens: dict[str, dict[str, Any]] = {
        "program": {"sub": "ana", "scopes": ["memory", ENGINE_SCOPE]},
        "reader": {"sub": "ana", "scopes": ["memory", READ_SCOPE]},
        "poor": {"sub": "eve"},
    }
    listing = file.with_name("tokens.json")
    listing.touch(mode=0o600)
    listing.write_text(json.dumps(tokens))
    auth = token_file_auth(listing, required_scopes=["memory"])
    return create_app(backend, auth=auth, stateless=True, audit=file)


def send(app: Any, *requests: tuple[str | None, str, str], **headers: str) -> list[int]:
    """The statuses of requests: token, method and path."""

    async def run() -> list[int]:
        transport = httpx.ASGITransport(app, client=("192.0.2.7", 1))
        async with app.lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            statuses: list[int] = []
            for token, method, path in requests:
                bearer = {} if token is None else {"authorization": f"Bearer {token}"}
                body = INITIALIZE if path == "/mcp" else {"value": "s3cret value"}
                response = await client.request(method, path, json=body, headers={**bearer, **headers})
                statuses.append(response.status_code)
            return statuses

    return anyio.run(run)


class TestLines:
    def test_stdio_and_this_process(self, backend: Backend, file: Path) -> None:
        async def calls() -> None:
            async with Client(create_server(backend, user_id="ana", audit=file)) as client:
                said = {"messages": [{"role": "user", "content": "s3cret text"}], "user_id": "bob"}
                added = await client.call_tool("add_memory", said)
                assert added.structured_content is not None
                await client.call_tool("search_memories", {"query": "s3cret query"})
                await client.call_tool("set_preference", {"key": "s3cret key", "value": "s3cret value"})
                await client.call_tool("get_preferences", {})
                for name, arguments in (
                    ("get_memory", {"memory_id": "s3cret id"}),
                    ("no_such_tool", {}),
                    ("x" * 500, {}),
                    ("engine_s3cret", {}),
                    ("s3cret\nname", {}),
                    ("search_memories", {"query": 7, "user_id": "s3cret\nuser"}),
                ):
                    with pytest.raises(McpError):
                        await client.call_tool(name, arguments)
                await client.call_tool("delete_all_memories", {"user_id": "bob"})

        anyio.run(calls)
        ana = {"way": "stdio", "user": "ana"}
        assert lines(file) == [
            {"way": "stdio", "operation": "add_memory", "user": "bob", "count": 1, "outcome": "ok"},
            {**ana, "operation": "search_memories", "count": 0, "outcome": "ok"},
            {**ana, "operation": "set_preference", "count": 1, "outcome": "ok"},
            {**ana, "operation": "get_preferences", "count": 1, "outcome": "ok"},
            {**ana, "operation": "get_memory", "outcome": "MemoryNotFoundError"},
            {"way": "stdio", "operation": "no_such_tool", "outcome": "ToolNotFoundError"},
            {"way": "stdio", "operation": "…", "outcome": "ToolNotFoundError"},
            {"way": "stdio", "operation": "…", "outcome": "ToolNotFoundError"},
            {"way": "stdio", "operation": "…", "outcome": "ToolNotFoundError"},
            {"way": "stdio", "operation": "search_memories", "user": "(invalid)", "outcome": "InvalidInputError"},
            {"way": "stdio", "operation": "delete_all_memories", "user": "bob", "count": 1, "outcome": "ok"},
        ]
        assert "s3cret" not in file.read_text()

    def test_rest_and_refusals(self, backend: Backend, file: Path) -> None:
        requests: list[tuple[str | None, str, str]] = [
            ("program", "PUT", "/memory/s3cret/key"),
            ("program", "GET", "/memory/s3cret"),
            ("program", "GET", "/memory/s3cret/none"),
            ("reader", "DELETE", "/memory/s3cret/key"),
            ("program", "GET", "/users/bob/memory/s3cret"),
            (None, "GET", "/memory/s3cret/key"),
            ("wrong-s3cret", "POST", "/mcp"),
            ("poor", "POST", "/mcp"),
            ("program", "POST", "/mcp"),
            (None, "GET", "/health"),
        ]
        statuses = send(application(backend, file), *requests, **{"x-forwarded-for": "203.0.113.9"})
        assert statuses == [200, 200, 404, 403, 403, 401, 401, 403, 200, 200]
        found = lines(file, without=("time",))
        assert all(line.pop("address") == "192.0.2.7" for line in found)
        assert all(line.pop("forwarded") == "203.0.113.9" for line in found)
        ana = {"way": "rest", "subject": "ana", "user": "ana"}
        assert found == [
            {**ana, "operation": "PUT /memory", "count": 1, "outcome": "ok"},
            {**ana, "operation": "GET /memory", "count": 1, "outcome": "ok"},
            {**ana, "operation": "GET /memory", "outcome": "404"},
            {**ana, "operation": "DELETE /memory", "outcome": "403"},
            {**ana, "user": "bob", "operation": "GET /users", "outcome": "403"},
            {"way": "rest", "operation": "GET /memory", "outcome": "401"},
            {"way": "http", "operation": "POST /mcp", "outcome": "401"},
            {"way": "http", "operation": "POST /mcp", "subject": "eve", "outcome": "403"},
        ]
        assert "s3cret" not in file.read_text()

    def test_exports_restores_and_erasures_of_another_program(self, backend: Backend, file: Path) -> None:
        with serving(application(backend, file)) as url, memweld.connect(url, token="program") as remote:
            ana = remote.user("ana")
            ana.add("s3cret one")
            ana.preferences.set("theme", "s3cret")
            ana.restore(ana.export())
            ana.erase()
            with pytest.raises(memweld.AccessDeniedError):
                remote.user("bob").export()
        found = {(line["operation"], line.get("user"), line.get("count"), line["outcome"]) for line in lines(file)}
        assert {
            ("engine_export", "ana", 2, "ok"),
            ("engine_restore", "ana", 0, "ok"),
            ("engine_erase", "ana", 2, "ok"),
            ("engine_export", "bob", None, "AccessDeniedError"),
        } <= found
        assert all(line["subject"] == "ana" for line in lines(file))
        assert "s3cret" not in file.read_text()

    def test_a_flood_of_refusals_is_counted(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        log = AuditLog(file)
        for _ in range(500):
            log.refused("http", "POST /mcp", 401, address="192.0.2.7")
        assert len(lines(file)) == 30
        monkeypatch.setattr("memweld.mcp.audit._REPEAT_SECONDS", -1.0)
        log.write("stdio", "get_memory", "ok")
        (repeated,) = [line for line in lines(file) if "repeated" in line]
        assert repeated == {"way": "http", "operation": "POST /mcp", "outcome": "401", "repeated": 470}
        log.close()

    def test_the_number_of_refusals_is_written_when_the_server_ends(self, backend: Backend, file: Path) -> None:
        with serving(application(backend, file)) as url, httpx.Client(base_url=url, trust_env=False) as stranger:
            assert {stranger.get("/memory/n").status_code for _ in range(40)} == {401}
        found = lines(file)
        assert len(found) == 31
        assert found[-1] == {"way": "rest", "operation": "GET /memory", "outcome": "401", "repeated": 10}

    def test_invented_methods_are_one_kind(self, backend: Backend, file: Path) -> None:
        statuses = send(
            application(backend, file), *[(None, f"S3CRET{chr(65 + n % 26)}", "/memory/n") for n in range(40)]
        )
        assert set(statuses) == {405}
        assert lines(file) == [{"way": "rest", "operation": "? /memory", "outcome": "405"}] * 30

    def test_many_kinds_of_refusals_take_little_time(self, file: Path) -> None:
        log = AuditLog(file)
        started = time.process_time()
        for number in range(12_000):
            log.refused("http", "GET /", 401, address=str(number))
        assert time.process_time() - started < 10
        assert len(log._repeats) <= 10_000
        log.close()

    def test_a_line_names_the_scope_that_the_call_used(self, backend: Backend, file: Path) -> None:
        listing = file.with_name("tokens.json")
        listing.touch(mode=0o600)
        tokens = {
            "service": {"sub": "service", "scopes": [ANY_USER_SCOPE]},
            "agents": {"sub": "ana", "scopes": [AGENTS_SCOPE, ENGINE_SCOPE]},
        }
        listing.write_text(json.dumps(tokens))
        app = create_app(backend, auth=token_file_auth(listing), audit=file)

        async def calls(url: str) -> None:
            async with Client(url, auth="service") as client:
                spoken = {"messages": [{"role": "user", "content": "I like tea"}], "user_id": "bob"}
                await client.call_tool("add_memory", spoken)
                found = backend.user("bob").search("tea")
                await client.call_tool("delete_memory", {"memory_id": found[0].id})
            async with Client(url, auth="agents") as client:
                await client.call_tool("set_preference", {"key": "k", "value": "v", "agent_id": "bot"})
                await client.call_tool("engine_info", {})

        with serving(app) as url:
            anyio.run(calls, f"{url}/mcp")
        assert [(line["operation"], line.get("user"), line.get("agent")) for line in lines(file)] == [
            ("add_memory", "bob", None),
            ("delete_memory", "bob", None),
            ("set_preference", None, "bot"),
            ("engine_info", None, None),
        ]


class TestTheFile:
    @pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
    def test_only_its_owner_reads_it(self, file: Path, tmp_path: Path) -> None:
        umask = os.umask(0o022)
        try:
            AuditLog(file).close()
            assert file.stat().st_mode & 0o777 == 0o600
            file.chmod(0o644)
            file.write_text("{}\n")
            AuditLog(file).close()
            assert (file.stat().st_mode & 0o777, file.read_text()) == (0o600, "{}\n")
        finally:
            os.umask(umask)
        (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(BackendUnavailableError):
            AuditLog(tmp_path / "link")

    def test_a_file_that_was_moved_or_removed_is_made_anew(self, file: Path, tmp_path: Path) -> None:
        log = AuditLog(file)
        log.write("stdio", "first", "ok")
        file.rename(tmp_path / "audit.1")
        log.write("stdio", "second", "ok")
        file.unlink()
        log.write("stdio", "third", "ok")
        assert [line["operation"] for line in lines(file)] == ["third"]
        assert [line["operation"] for line in lines(tmp_path / "audit.1")] == ["first"]
        log.close()

    def test_while_it_cannot_be_written_no_call_is_served_and_none_is_lost(
        self, backend: Backend, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        full = False
        write = os.write

        def limited(descriptor: int, data: bytes) -> int:
            if full and os.fstat(descriptor).st_ino == file.stat().st_ino:
                if len(data) < 10:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return write(descriptor, data[: len(data) // 2])
            return write(descriptor, data)

        async def calls() -> None:
            nonlocal full
            async with Client(create_server(backend, user_id="ana", audit=file)) as client:
                set_theme = {"key": "theme", "value": "dark"}
                full = True
                await client.call_tool("set_preference", set_theme)  # Its line waits, in part.
                for _ in range(8):
                    with pytest.raises(McpError, match="Backend unavailable") as caught:
                        await client.call_tool("set_preference", set_theme | {"value": "light"})
                    assert str(file) not in str(caught.value.error)
                full = False
                await client.call_tool("get_preferences", {})

        monkeypatch.setattr(os, "write", limited)
        with caplog.at_level(logging.ERROR, "memweld"):
            anyio.run(calls)
        assert backend.user("ana").preferences.get("theme") == "dark"
        assert [line["operation"] for line in lines(file)] == ["set_preference", "get_preferences"]
        assert "audit log" in caplog.text

    def test_a_folder_that_is_not_there(self, tmp_path: Path, backend: Backend) -> None:
        with pytest.raises(BackendUnavailableError, match="Cannot write"):
            create_server(backend, audit=tmp_path / "none" / "audit.jsonl")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes")
def test_a_pipe_holds_nothing_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(BackendUnavailableError, match="Cannot write"):
        AuditLog(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        log = AuditLog(pipe)
        for _ in range(2_000):  # More than a pipe takes.
            log.write("mcp", "search_memories", "ok")
        with pytest.raises(BackendUnavailableError, match="No call is served"):
            log.require()
        assert os.read(reader, 100).startswith(b'{"time"')
        log.close()
    finally:
        os.close(reader)
