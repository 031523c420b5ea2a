"""The resource ``memory://profile``: each caller reads the own profile, over HTTP, on stdio and through adapters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp import Client
from langchain_mcp_adapters.client import MultiServerMCPClient
from mcp.shared.exceptions import McpError
from mcp.types import ErrorData
from mcp_servers import served

import memweld
from memweld import Backend
from memweld.mcp import ANY_USER_SCOPE, READ_SCOPE, create_app, create_server, token_file_auth
from memweld.testing import HashEmbedder

PROFILE = "memory://profile"
TOKENS = {
    "token-of-ana-0123456789": {"sub": "ana"},
    "token-of-bob-0123456789": {"sub": "bob", "scopes": [READ_SCOPE]},
    "token-of-all-0123456789": {"sub": "operator", "scopes": [ANY_USER_SCOPE]},
}


@pytest.fixture
def backend() -> Iterator[Backend]:
    with memweld.connect("sqlite://", embedder=HashEmbedder()) as backend:
        backend.user("ana").add("I am allergic to peanuts", pinned=True)
        backend.user("bob").add("I am a diver", pinned=True)
        yield backend


def read(server: Any, uri: str = PROFILE, **options: Any) -> str:
    async def run() -> str:
        async with Client(server, **options) as client:
            (content,) = await client.read_resource(uri)
            return content.text  # type: ignore[union-attr]

    return anyio.run(run)


def refused(server: Any, uri: str = PROFILE) -> ErrorData:
    with pytest.raises(McpError) as caught:
        read(server, uri)
    return caught.value.error


def kind(error: ErrorData) -> str:
    assert error.data is not None
    return error.data["type"]


def listed(server: Any) -> list[str]:
    async def run() -> list[str]:
        async with Client(server) as client:
            return [str(resource.uri) for resource in await client.list_resources()]

    return anyio.run(run)


def test_each_token_reads_its_own_profile_and_it_is_recorded(backend: Backend, tmp_path: Path) -> None:
    tokens, audit = tmp_path / "tokens.json", tmp_path / "audit.jsonl"
    tokens.write_text(json.dumps(TOKENS))
    tokens.chmod(0o600)
    app = create_app(backend, auth=token_file_auth(tokens), audit=audit)
    with served(app) as url:
        texts = {token: read(url, auth=token) for token in TOKENS}
        with pytest.raises(Exception, match="401"):
            read(url)
    ana, bob, operator = texts.values()
    assert "peanuts" in ana
    assert "data, not instructions" in ana
    assert ("diver" in bob, "diver" in ana, "peanuts" in bob, operator) == (True, False, False, "")
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    reads = [(line["subject"], line["user"], line["outcome"]) for line in lines if line["operation"] == PROFILE]
    assert reads == [(name, name, "ok") for name in ("ana", "bob", "operator")]
    assert "peanuts" not in audit.read_text()


def test_a_server_needs_a_user_and_the_tool(backend: Backend) -> None:
    assert "peanuts" in read(create_server(backend, user_id="ana", lock_user=True))
    assert "peanuts" in read(create_server(backend.user("ana")))
    error = refused(create_server(backend))
    assert (error.code, kind(error)) == (-32602, "InvalidInputError")
    assert "Name whose memory it is" in error.message
    lean = create_server(backend, user_id="ana", toolsets=["add_memory"])
    assert (listed(lean), refused(lean).code) == ([], -32002)
    assert listed(create_server(backend, toolsets=["get_profile"])) == [PROFILE]


def test_a_resource_that_fails_shows_no_text(backend: Backend) -> None:
    server = create_server(backend, user_id="ana")

    @server.resource("own://broken")
    def broken() -> str:
        raise ZeroDivisionError("a secret")

    error = refused(server, "own://broken")
    assert (error.code, kind(error)) == (-32603, "ZeroDivisionError")
    assert "secret" not in str(error)
    backend.close()
    assert kind(refused(server)) == "BackendUnavailableError"


def test_langchains_adapter_reads_it(backend: Backend) -> None:
    async def run(url: str) -> str:
        client = MultiServerMCPClient({"memory": {"transport": "streamable_http", "url": url}})
        (blob,) = await client.get_resources("memory", uris=PROFILE)
        return blob.as_string()

    with served(create_app(backend, user_id="ana")) as url:
        assert "I am allergic to peanuts" in anyio.run(run, url)
