"""What loggers say at DEBUG while a server and its clients are at work: no token, and no text of a memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import anyio
import httpx
import pytest
from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from fastmcp.client.transports import SSETransport
from fastmcp.server.auth import StaticTokenVerifier
from live_server import running
from mcp.shared.exceptions import McpError

import memweld
from memweld.mcp import ENGINE_SCOPE, create_server
from memweld.testing import HashEmbedder

TOKEN, TEXT = "t0ken4711", "canary0815"


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """All records, of loggers too that have a level or do not propagate."""
    caplog.set_level(logging.DEBUG)
    changed: list[tuple[logging.Logger, int]] = []
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            changed.append((logger, logger.level))
            logger.setLevel(logging.DEBUG)
            if not logger.propagate:
                logger.addHandler(caplog.handler)
    yield caplog
    for logger, level in changed:
        logger.setLevel(level)
        logger.removeHandler(caplog.handler)


# mcp 1.30 leaves the streams of an SSE session to the garbage collector when its server ends.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_token_and_no_text(everything: pytest.LogCaptureFixture) -> None:
    auth = StaticTokenVerifier({TOKEN: {"client_id": "ana", "sub": "ana", "scopes": [ENGINE_SCOPE]}})
    with (
        memweld.connect("sqlite://", embedder=HashEmbedder()) as served,
        running(create_server(served, auth=auth)) as port,
    ):
        base = f"http://127.0.0.1:{port}"
        with memweld.connect(f"{base}/mcp", token=TOKEN) as remote:
            memory = remote.user("ana")
            item = memory.add(f"I like {TEXT}")[0]
            assert TEXT in memory.search(TEXT)[0].text
            memory.update(item.id, f"I love {TEXT}")
            memory.state("n").set("k", {"v": TEXT})
            with pytest.raises(memweld.MemweldError):
                memory.get(f"{TEXT}")
            memory.erase()
        headers = {"authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=base, headers=headers, trust_env=False) as client:
            assert client.put("/memory/n/k", json={"value": TEXT}).status_code == 200
            assert TEXT in client.get("/memory/n/k").text
            assert client.get("/memory/n", headers={"authorization": f"Bearer x{TOKEN}"}).status_code == 401
            message = {"jsonrpc": "2.0", "id": 1, "method": TEXT, "params": {"x": TEXT}}
            for path in ("/mcp", "/messages/"):
                client.post(path, json=message)
                client.post(path, content=f"{{{TEXT}")

        async def call(path: str) -> None:
            transport = f"{base}{path}" if path == "/mcp" else SSETransport(f"{base}{path}", auth=BearerAuth(TOKEN))
            auth = BearerAuth(TOKEN) if path == "/mcp" else None
            async with Client(transport, auth=auth) as mcp:
                said = [{"role": "user", "content": f"I like {TEXT}"}]
                await mcp.call_tool("add_memory", {"messages": said})
                assert TEXT in str(await mcp.call_tool("search_memories", {"query": TEXT}))
                for tool in ("add_memory", TEXT):
                    with pytest.raises(McpError):
                        await mcp.call_tool(tool, {"messages": TEXT, "x": TEXT})

        for path in ("/mcp", "/sse"):
            anyio.run(call, path)
    # The test's own client of FastMCP runs in the main thread, and is the program's.
    found = [
        f"{record.name} {record.levelname}: {record.getMessage()[:300]} {record.exc_info}"
        for record in everything.records
        if not (record.threadName == "MainThread" and record.name.startswith(("mcp.client.", "fastmcp.client.")))
        if TOKEN in (line := logging.Formatter().format(record)) or TEXT in line
    ]
    assert any(record.name.startswith("mcp.") for record in everything.records)
    assert found == []
