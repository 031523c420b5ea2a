"""No log record has a memory's text or a token, at DEBUG and of any logger; and the log of a server, as JSON."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import memweld
from memweld import Backend, Memory
from memweld.cli.logs import LogFormat, LogLevel, configure_logs
from memweld.library_logs import CLIENT_THREAD
from memweld.mcp import create_app, create_server, token_file_auth
from memweld.testing import HashEmbedder
from memweld.testing.serving import serving
from memweld.tools import TOOLS, run_tool

TEXT, TOKEN = "canary-text-4711", "canary-token-0815"
OF_THE_CLIENT = ("fastmcp.client", "httpx", "mcp.client")
"""Loggers of the program that calls, which logs what it sends."""


@pytest.fixture
def backend(tmp_path: Path) -> Any:
    with memweld.connect(f"sqlite:///{tmp_path / 'm.db'}", embedder=HashEmbedder()) as backend:
        yield backend


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Every record of every logger that has a canary, as a handler writes it."""
    found: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            line = self.format(record)
            ours = record.threadName == CLIENT_THREAD or not record.name.startswith(OF_THE_CLIENT)
            if (TEXT in line or TOKEN in line) and ours:
                found.append(f"{record.name} {line}")

    collector, fastmcp = Collector(), logging.getLogger("fastmcp")
    for logger in (logging.root, fastmcp):
        logger.addHandler(collector)
        monkeypatch.setattr(logger, "level", logging.DEBUG)
        logger.manager._clear_cache()  # type: ignore[attr-defined]
    yield found
    for logger in (logging.root, fastmcp):
        logger.removeHandler(collector)
    logging.root.manager._clear_cache()  # type: ignore[attr-defined]


def use(memory: Memory) -> None:
    """Ordinary traffic, and calls that are refused with errors that quote them."""
    memory.add(f"{TEXT} I live in Porto", session_id="s", metadata={"note": TEXT})
    memory.search(TEXT)
    memory.recall(TEXT)
    memory.state(TEXT)[TEXT] = {"a": TEXT}
    memory.history(TEXT).append({"role": "user", "content": TEXT})
    memory.preferences.set("theme", TEXT)
    memory.capture(f"I like {TEXT}", background=True, session_id="s")
    broken: list[Callable[[], Any]] = [
        lambda: memory.get(TEXT),
        lambda: memory.add([{"role": TEXT, "content": 5}]),
        lambda: memory.search(TEXT, limit=-1),
        lambda: memory.capture([{"role": "user", "content": TEXT + "\ud800"}], session_id="s", background=True),
        lambda: memory.state(f"{TEXT}\x00")[TEXT],
    ]
    for call in broken:
        with contextlib.suppress(memweld.MemweldError, KeyError):
            call()


def tokens(folder: Path) -> Path:
    file = folder / "tokens.json"
    file.write_text(json.dumps({TOKEN: {"sub": "ana", "scopes": ["memory:engine"]}}))
    file.chmod(0o600)
    return file


async def test_no_record_has_a_canary(backend: Backend, records: list[str], tmp_path: Path) -> None:
    """Of the embedded memory, the tools, MCP, REST and a remote backend; nor where code fails unexpectedly."""
    ana = backend.user("ana")
    use(ana)
    assert backend.flush(20)
    for name in TOOLS:
        run_tool(TOOLS[name], lambda: ana, {"query": TEXT, "messages": TEXT, "memory_id": TEXT, "key": TEXT})
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with serving(create_app(backend, auth=token_file_auth(tokens(tmp_path)), metrics=True)) as url:
        with memweld.connect(f"{url}/mcp", token=TOKEN) as remote:
            use(remote.user("ana"))
            remote.flush(20)
        async with Client(f"{url}/mcp", auth=BearerAuth(TOKEN)) as client:
            for tool in (*TOOLS, TEXT, f"engine_{TEXT}"):
                for arguments in ({"query": TEXT, "memory_id": TEXT, "data": TEXT}, {TEXT: TEXT}, {"messages": TEXT}):
                    with contextlib.suppress(Exception):
                        await client.call_tool(tool, arguments)
        accept = {**bearer, "Accept": "application/json, text/event-stream"}
        for sent in ({"method": TEXT}, {"method": "tools/call", "params": TEXT}, {"method": "ping", "params": TEXT}):
            httpx.post(f"{url}/mcp", json={"jsonrpc": "2.0", "id": TEXT, **sent}, headers=accept)
        httpx.post(f"{url}/mcp", content=TEXT, headers=accept)
        httpx.put(f"{url}/memory/{TEXT}/{TEXT}", json={"value": TEXT}, headers=bearer)
        httpx.put(f"{url}/memory/{TEXT}/{TEXT}", content=TEXT, headers=bearer)
        httpx.get(f"{url}/memory/{TEXT}/none", headers=bearer)
        httpx.get(f"{url}/memory/{TEXT}", headers={"Authorization": f"Bearer x{TOKEN}"})
    assert records == []


async def test_unexpected_errors_are_logged_without_their_text(
    backend: Backend, records: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError(f"bad row: {TEXT}")

    monkeypatch.setattr(type(backend._engine), "run", fail)
    run_tool(TOOLS["search_memories"], lambda: backend.user("ana"), {"query": "x"})
    backend.user("ana")
    with serving(create_app(backend, user_id="ana")) as url:
        assert httpx.get(f"{url}/memory/n").status_code == 500
    async with Client(create_server(backend, user_id="ana", errors="tool")) as client:
        answer = await client.call_tool("search_memories", {"query": "x"}, raise_on_error=False)
    assert TEXT not in repr(answer)
    assert records == []
    assert caplog.text.count("RuntimeError") >= 3
    assert caplog.text.count("in fail") >= 3


@pytest.fixture
def _own_handlers(monkeypatch: pytest.MonkeyPatch) -> Any:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.mark.usefixtures("_own_handlers")
def test_a_line_of_json_is_a_record(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_SDK_DISABLED")
    configure_logs(LogFormat.JSON, LogLevel.DEBUG)
    with TracerProvider().get_tracer("t").start_as_current_span("turn") as turn:
        logging.getLogger("memweld.mcp").warning("two\nlines of %s", "é\u2028")
    try:
        raise ValueError(TEXT)
    except ValueError:
        logging.getLogger("asyncio").exception("failed")
    logging.getLogger("openai._base_client").debug("Request options: %s", TEXT)
    logging.getLogger("memweld").debug("seen")
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["message"] for line in lines] == ["two\nlines of é\u2028", "failed", "seen"]
    assert lines[0]["trace_id"] == f"{turn.get_span_context().trace_id:032x}"
    assert lines[0].keys() == {"time", "level", "logger", "message", "trace_id"}
    assert (lines[0]["level"], lines[0]["logger"], lines[0]["time"][-1]) == ("warning", "memweld.mcp", "Z")
    assert "ValueError" in lines[1]["exception"]
    assert TEXT not in json.dumps(lines)
    assert trace.get_current_span().get_span_context().is_valid is False


@pytest.mark.usefixtures("_own_handlers")
def test_no_client_begins_a_line_of_text(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logs(LogFormat.TEXT, LogLevel.INFO)
    logging.getLogger("memweld").info("a name\n2026-01-01 ERROR memweld: forged\r2026")
    first, *others = capfd.readouterr().err.splitlines()
    assert first.endswith("INFO memweld: a name")
    assert [line[:2] for line in others] == ["  ", "  "]


def test_a_server_writes_json(tmp_path: Path) -> None:
    """Its own lines and uvicorn's; the line with the address is for a person and stays as it is."""
    command = [sys.executable, "-m", "memweld", "serve", "--transport", "http", "--port", "0", "--log-format", "json"]
    command += ["--log-level", "info", "--url", f"sqlite:///{tmp_path / 'm.db'}"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ.copy())
    try:
        assert server.stderr is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("memweld: "):
            lines.append(server.stderr.readline())
            assert lines[-1], lines
        server.send_signal(signal.SIGTERM)
        lines += server.communicate(timeout=20)[1].splitlines()
    finally:
        server.kill()
    written = [json.loads(line) for line in lines if not line.startswith("memweld: ")]
    assert {"uvicorn.error"} <= {line["logger"] for line in written}
