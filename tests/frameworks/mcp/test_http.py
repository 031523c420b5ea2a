"""The MCP server over HTTP: the bytes on the wire, sessions, SSE beside it, the guards, and how it ends."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from fastmcp import Client, FastMCP
from fastmcp.client.transports import SSETransport, StreamableHttpTransport
from fastmcp.server.auth import StaticTokenVerifier
from mcp.shared.exceptions import McpError
from mcp_servers import INITIALIZE, environment, text_of
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from memweld import Backend, BackendUnavailableError, ConfigurationError, connect
from memweld.mcp import create_app, create_server
from memweld.mcp.http_messages import MAX_BODY_BYTES
from memweld.testing import HashEmbedder
from memweld.testing.serving import serving

HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
# A server with a tool of a stranger's, over the transport that the first argument names.
SERVER = """
import sys, memweld
from memweld.mcp import create_server

server = create_server(memweld.connect("sqlite://"))

@server.tool
def strange() -> str:
    raise ZeroDivisionError("the password is 4711")

if sys.argv[1] == "stdio":
    server.run()
else:
    server.run(transport="http", port=0, stateless_http=sys.argv[1] == "stateless")
"""


def start(*command: str) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, *command], stdin=pipe, stdout=pipe, stderr=pipe, env=environment())


def address(process: subprocess.Popen[bytes]) -> str:
    """Where a server process serves, as it says on stderr."""
    assert process.stderr is not None
    said = process.stderr.readline().decode()
    assert said.startswith("memweld: without tokens, for this machine only, serving http://127.0.0.1:"), (
        said + process.stderr.read().decode()
    )
    return said.split()[-1].removesuffix("/mcp")


def end(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Tell it to end; the exit code and what it wrote to stderr."""
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors.decode()


def answer(response: httpx.Response) -> bytes:
    """The one message of a response, plain or as an event."""
    if response.headers["content-type"].startswith("application/json"):
        return response.content
    return next(line for line in response.content.split(b"\r\n") if line.startswith(b"data: ")).removeprefix(b"data: ")


class Http:
    """A session over streamable HTTP, or none; each request has a connection of its own."""

    def __init__(self, base: str, *, session: bool = True, **headers: str) -> None:
        self._base = base
        self.headers = {**HEADERS, **headers}
        if session:
            self.headers["mcp-session-id"] = self.post(INITIALIZE).headers["mcp-session-id"]
            accepted = self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
            assert (accepted.status_code, accepted.content) == (202, b"")

    def request(
        self, method: str, *, timeout: httpx.Timeout | float = 30, body: bytes = b"", **headers: str
    ) -> httpx.Response:
        with httpx.Client(base_url=self._base, timeout=timeout, verify=False) as client:
            return client.request(method, "/mcp", content=body, headers={**self.headers, **headers})

    def post(self, line: bytes | Any, **headers: str) -> httpx.Response:
        body = line if isinstance(line, bytes) else json.dumps(line).encode()
        return self.request("POST", body=body, timeout=30, **headers)

    def __call__(self, line: bytes) -> bytes:
        return answer(self.post(line))


class Sse:
    """A session over SSE."""

    def __init__(self, base: str) -> None:
        self._client = httpx.Client(base_url=base, timeout=30)
        self._stream = self._client.stream("GET", "/sse")
        self._lines = self._stream.__enter__().iter_lines()
        self._messages = self._next()
        assert b'"serverInfo":{"name":"memweld"' in self(json.dumps(INITIALIZE).encode())

    def _next(self) -> str:
        return next(line for line in self._lines if line.startswith("data: ")).removeprefix("data: ")

    def __call__(self, line: bytes) -> bytes:
        self._client.post(self._messages, content=line, headers=HEADERS)
        return self._next().encode()

    def close(self) -> None:
        self._stream.__exit__(None, None, None)
        self._client.close()


class Stdio:
    """A session over stdio."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self(json.dumps(INITIALIZE).encode())

    def __call__(self, line: bytes) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().removesuffix(b"\n")


@pytest.fixture(scope="module")
def stateful() -> Iterator[str]:
    process = start("-c", SERVER, "http")
    yield address(process)
    code, errors = end(process)
    # What a stranger's tool raised, and nothing else.
    assert (code, errors.count("Traceback")) == (0, errors.count("4711")), errors


@pytest.fixture(scope="module")
def stateless() -> Iterator[str]:
    process = start("-c", SERVER, "stateless")
    yield address(process)
    code, errors = end(process)
    assert (code, errors.count("Traceback")) == (0, errors.count("4711")), errors


@pytest.fixture(scope="module")
def stdio() -> Iterator[Stdio]:
    process = start("-c", SERVER, "stdio")
    yield Stdio(process)
    process.communicate(timeout=30)
    assert process.returncode == 0


def call(name: Any, arguments: Any) -> bytes:
    params = {"name": name, "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}).encode()


ROWS: dict[str, tuple[bytes, int]] = {
    "unparsable": (b"{bad", -32700),
    "cut short": (b'{"jsonrpc":"2.0","id":1,"method":', -32700),
    "not UTF-8": (b'{"jsonrpc":"2.0","id":1,"method":"caf\xe9"}', -32700),
    "a lone surrogate": (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"\\ud800"}}', -32700),
    "too deep": (b"[" * 5_000, -32700),
    "a number without end": (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":' + b"1" * 5_000 + b"}}", -32700),
    "an empty batch": (b"[]", -32600),
    "a batch": (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600),
    "no object": (b"5", -32600),
    "null": (b"null", -32600),
    "an empty object": (b"{}", -32600),
    "another version": (b'{"jsonrpc":"1.0","id":9,"method":"ping"}', -32600),
    "no version": (b'{"id":"a","method":"ping"}', -32600),
    "no method": (b'{"jsonrpc":"2.0","id":9,"method":7}', -32600),
    "parameters in a list": (b'{"jsonrpc":"2.0","id":9,"method":"ping","params":[1]}', -32600),
    "a result that is none": (b'{"jsonrpc":"2.0","id":9,"result":4}', -32600),
    "the id null": (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
    "the id a fraction": (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600),
    "the id a truth value": (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600),
    "an unknown method": (b'{"jsonrpc":"2.0","id":"m","method":"foo/bar"}', -32601),
    "an unserved method": (b'{"jsonrpc":"2.0","id":"m","method":"completion/complete"}', -32601),
    "a notification's method": (b'{"jsonrpc":"2.0","id":"m","method":"notifications/initialized"}', -32601),
    "an unknown tool": (call("nope", {}), -32601),
    "no tool": (call(None, {}), -32602),
    "arguments in a list": (call("get_memory", [1]), -32602),
    "missing arguments": (call("get_memory", {}), -32602),
    "wrong arguments": (call("search_memories", {"query": 7, "user_id": "u"}), -32602),
    "extra arguments": (call("get_memory", {"memory_id": "x", "colour": "red"}), -32602),
    "limit 0": (call("search_memories", {"query": "x", "user_id": "u", "limit": 0}), -32602),
    "limit 51": (call("search_memories", {"query": "x", "user_id": "u", "limit": 51}), -32602),
    "nobody": (call("get_all_memories", {}), -32602),
    "an unusable user": (call("get_all_memories", {"user_id": "*"}), -32602),
    "an unknown id": (call("get_memory", {"memory_id": "mem_xyz789"}), -32603),
    "a stranger's exception": (call("strange", {}), -32603),
}


@pytest.fixture(scope="module")
def sse(stateful: str) -> Iterator[Sse]:
    sse = Sse(stateful)
    yield sse
    sse.close()


@pytest.fixture(scope="module")
def http(stateful: str) -> Http:
    return Http(stateful)


class TestEveryRowOfTheContract:
    @pytest.mark.parametrize("row", ROWS)
    def test_the_same_bytes_as_on_stdio(self, stdio: Stdio, http: Http, stateless: str, sse: Sse, row: str) -> None:
        line, code = ROWS[row]
        expected = stdio(line)
        error = json.loads(expected)["error"]
        assert error["code"] == code
        assert set(error["data"]) == {"type", "details"}
        assert b"4711" not in expected
        assert http(line) == expected
        assert Http(stateless, session=False)(line) == expected
        assert sse(line) == expected

    def test_what_is_no_message_is_a_bad_request(self, http: Http) -> None:
        for row, (line, code) in ROWS.items():
            bad = code == -32700 or (code == -32600)
            assert http.post(line).status_code == (400 if bad else 200), row

    def test_before_initialize(self, stateful: str) -> None:
        response = Http(stateful, session=False).post({"jsonrpc": "2.0", "id": 0, "method": "tools/list"})
        assert response.status_code == 400
        assert response.content == (
            b'{"jsonrpc":"2.0","id":0,"error":{"code":-32600,"message":"Invalid Request: initialize comes first",'
            b'"data":{"type":"InvalidRequestError","details":"initialize comes first"}}}'
        )


def refused(response: httpx.Response) -> tuple[int, Any, str]:
    """The status, the id and the details of an error in the contract's shape."""
    body = response.json()
    assert set(body["error"]["data"]) == {"type", "details"}
    return response.status_code, body["id"], body["error"]["data"]["details"]


class TestTheTransportsOwnRefusals:
    def test_they_have_the_shape_of_the_others(self, stateful: str) -> None:
        http = Http(stateful)
        ping = {"jsonrpc": "2.0", "id": 5, "method": "ping"}
        status, request_id, details = refused(http.post(ping, **{"mcp-session-id": "unheard-of"}))
        assert (status, request_id, details) == (404, 5, "Session not found")
        assert refused(http.post(ping, accept="text/html"))[:2] == (406, 5)
        assert refused(http.post(ping, **{"content-type": "text/plain"}))[:2] == (400, 5)
        assert refused(http.post(ping, **{"mcp-protocol-version": "1999-01-01"}))[:2] == (400, 5)
        assert refused(http.request("PUT"))[:2] == (405, None)
        assert refused(http.request("GET", accept="text/html"))[:2] == (406, None)
        assert refused(http.post(b" " * (MAX_BODY_BYTES + 1)))[:2] == (413, None)
        assert answer(http.post(ping)) == b'{"jsonrpc":"2.0","id":5,"result":{}}'

    def test_a_session_that_was_ended(self, stateful: str) -> None:
        http = Http(stateful)
        assert http.request("DELETE").status_code == 200
        assert refused(http.post({"jsonrpc": "2.0", "id": 1, "method": "ping"}))[0] == 404

    def test_without_sessions_there_is_no_stream_and_no_sse(self, stateless: str) -> None:
        http = Http(stateless, session=False)
        assert refused(http.request("GET"))[0] == 405
        assert httpx.get(f"{stateless}/sse").status_code == 404

    def test_other_pages_are_not_found(self, stateful: str) -> None:
        assert httpx.get(f"{stateful}/memories").status_code == 404


class TestClients:
    @pytest.mark.parametrize("kind", ["stateful", "stateless", "sse"])
    def test_a_real_client(self, request: pytest.FixtureRequest, kind: str) -> None:
        base: str = request.getfixturevalue("stateless" if kind == "stateless" else "stateful")
        transport = SSETransport(f"{base}/sse") if kind == "sse" else StreamableHttpTransport(f"{base}/mcp")
        who = {"user_id": f"client of {kind}"}

        async def use() -> None:
            async with Client(transport) as client:
                names = {tool.name for tool in await client.list_tools()}
                assert {"add_memory", "search_memories", "get_preferences", "get_task_context"} <= names
                spoken = [{"role": "user", "content": "I love Python"}]
                added = await client.call_tool("add_memory", {"messages": spoken, **who})
                assert added.structured_content is not None
                assert text_of(added) == f"Added 1 memories for user client of {kind}"
                memory_id = added.structured_content["memories"][0]["id"]
                named = {} if kind != "stateless" else who
                got = await client.call_tool("get_memory", {"memory_id": memory_id, **named})
                assert text_of(got).startswith("Memory: I love Python")
                with pytest.raises(McpError, match="Memory not found"):
                    await client.call_tool("get_memory", {"memory_id": "mem_xyz789"})

        anyio.run(use)

    def test_a_session_has_not_heard_whom_another_one_named(self, stateful: str) -> None:
        async def use() -> None:
            async with Client(StreamableHttpTransport(f"{stateful}/mcp")) as first:
                spoken = [{"role": "user", "content": "a secret"}]
                added = await first.call_tool("add_memory", {"messages": spoken, "user_id": "carl"})
                assert added.structured_content is not None
                memory_id = added.structured_content["memories"][0]["id"]
                async with Client(StreamableHttpTransport(f"{stateful}/mcp")) as second:
                    with pytest.raises(McpError, match="Memory not found"):
                        await second.call_tool("get_memory", {"memory_id": memory_id})

        anyio.run(use)

    def test_sixteen_callers_at_once(self, tmp_path: Path) -> None:
        async def one(base: str, number: int) -> None:
            async with Client(StreamableHttpTransport(f"{base}/mcp")) as client:
                for text in ("first", "second"):
                    spoken = [{"role": "user", "content": f"{text} of {number}."}]
                    await client.call_tool("add_memory", {"messages": spoken, "user_id": f"user-{number}"})

        async def all_of_them(base: str) -> None:
            async with anyio.create_task_group() as group:
                for number in range(16):
                    group.start_soon(one, base, number)

        with connect(f"sqlite:///{tmp_path / 'm.db'}", embedder=HashEmbedder()) as backend:
            with serving(create_app(backend)) as base:
                anyio.run(all_of_them, base)
            for number in range(16):
                assert len(backend.user(f"user-{number}").all()) == 2

    def test_any_replica_serves_a_stateless_client(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path / 'm.db'}"
        with (
            connect(url, embedder=HashEmbedder()) as one,
            connect(url, embedder=HashEmbedder()) as two,
            serving(create_app(one, stateless=True)) as first,
            serving(create_app(two, stateless=True)) as second,
        ):
            arguments = {"key": "theme", "value": "dark", "user_id": "ana"}
            set_theme = call("set_preference", arguments)
            assert b"result" in Http(first, session=False)(set_theme)
            assert b"dark" in Http(second, session=False)(call("get_preferences", {"user_id": "ana"}))


@contextlib.asynccontextmanager
async def calling(app: Any, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application in this process."""
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client,
    ):
        yield client


class Marking:
    """ASGI middleware of a stranger's: a header on every response that it sees."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def mark(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-marked", b"yes")]
            await send(message)

        await self.app(scope, receive, mark)


class TestTheEdge:
    """Browsers, proxies and plain clients."""

    ORIGIN = "https://app.example"
    ROUTES = (
        "/mcp",
        "/mcp/",
        "/sse",
        "/messages/",
        "/health",
        "/memory/n",
        "/memory/n/k",
        "/users/ana/memory/n",
        "/no",
    )

    async def test_pages_of_an_allowed_origin_may_call_every_route(self, backend: Backend) -> None:
        auth = StaticTokenVerifier({"t": {"sub": "ana", "client_id": "c"}})
        app = create_app(backend, auth=auth, allowed_origins=[f"{self.ORIGIN}:443/", "http://localhost:*"])
        async with calling(app) as client:
            for origin in (self.ORIGIN, "http://localhost:6274"):
                for path in self.ROUTES:
                    asked = {
                        "access-control-request-method": "POST",
                        "access-control-request-headers": "mcp-session-id",
                    }
                    preflight = await client.options(path, headers={"origin": origin, **asked})
                    assert preflight.status_code == 200, path
                    assert preflight.headers["access-control-allow-origin"] == origin
                    assert preflight.headers["access-control-allow-headers"] == "mcp-session-id"
                    refused = await client.put(path, headers={"origin": origin})
                    assert refused.headers["access-control-allow-origin"] == origin, path
                    assert "Mcp-Session-Id" in refused.headers["access-control-expose-headers"]
                    assert "access-control-allow-credentials" not in refused.headers
            for foreign in (
                "https://evil.example",
                "https://app.example.evil.example",
                "null",
                "https://app.example:444",
            ):
                answer = await client.options("/mcp", headers={"origin": foreign, **asked})
                assert answer.status_code == 403
                assert "access-control-allow-origin" not in answer.headers

    async def test_a_session_from_a_page(self, backend: Backend) -> None:
        app = create_app(backend, user_id="ana", allowed_origins=[self.ORIGIN])
        async with calling(app, origin=self.ORIGIN, **HEADERS) as client:
            begun = await client.post("/mcp", json=INITIALIZE)
            assert begun.headers["mcp-session-id"]
            lost = await client.post("/mcp", json=INITIALIZE, headers={"mcp-session-id": "gone"})
            assert (lost.status_code, lost.headers["access-control-allow-origin"]) == (404, self.ORIGIN)

    @pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/*;q=0.5", "text/event-stream"])
    @pytest.mark.parametrize("stateless", [False, True])
    async def test_what_a_client_accepts(self, backend: Backend, accept: str | None, stateless: bool) -> None:
        """Only a client that names streams of events gets one."""
        kind = "text/event-stream" if accept == "text/event-stream" else "application/json"
        async with calling(create_app(backend, user_id="ana", stateless=stateless)) as client:
            del client.headers["accept"]
            if accept is not None:
                client.headers["accept"] = accept
            begun = await client.post("/mcp", json=INITIALIZE)
            assert (begun.status_code, begun.headers["content-type"].partition(";")[0]) == (200, kind)
            if "mcp-session-id" in begun.headers:
                client.headers["mcp-session-id"] = begun.headers["mcp-session-id"]
            assert json.loads(answer(begun))["result"]["serverInfo"]["name"] == "memweld"
            headers = {"content-type": "application/json"}
            set_theme = await client.post(
                "/mcp", content=call("set_preference", {"key": "a", "value": "b"}), headers=headers
            )
            assert "set to b" in json.loads(answer(set_theme))["result"]["content"][0]["text"]
            unknown = await client.post("/mcp", content=call("get_memory", {"memory_id": "x"}), headers=headers)
            assert json.loads(answer(unknown))["error"]["code"] == -32603
            note = await client.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"})
            assert note.status_code == 202

    async def test_a_slash_more_or_less(self, backend: Backend) -> None:
        def extra(_: Any) -> list[Route]:
            async def page(_: Request) -> JSONResponse:
                return JSONResponse({"here": True})

            return [Route("/page", page)]

        app = create_app(backend, user_id="ana", extra_routes=extra)
        outer = Starlette(routes=[Mount("/inner", app)], lifespan=app.lifespan)
        for served, root in ((app, ""), (outer, "/inner")):
            async with calling(served, **HEADERS) as client:
                assert (await client.post(f"{root}/mcp/", json=INITIALIZE)).status_code == 200
                assert (await client.get(f"{root}/health/")).json()["status"] == "ok"
                assert (await client.get(f"{root}/page/")).json() == {"here": True}
                assert (await client.post(f"{root}/messages?session_id=x", json=INITIALIZE)).status_code == 400
                # In the key-value API a slash is part of the key.
                await client.put(f"{root}/memory/n/k/", json={"value": 1})
                assert (await client.get(f"{root}/memory/n/k")).status_code == 404

    async def test_unknown_paths_and_methods_are_answered_in_json(self, backend: Backend) -> None:
        async with calling(create_app(backend)) as client:
            for method, path, status, kind in (
                ("GET", "/", 404, "PathNotFoundError"),
                ("POST", "/.well-known/oauth-authorization-server", 404, "PathNotFoundError"),
                ("GET", "/memories/x//", 404, "PathNotFoundError"),
                ("POST", "/health", 405, "MethodNotAllowedError"),
                ("POST", "/sse", 405, "MethodNotAllowedError"),
                ("POST", "/memory/n/k", 405, "MethodNotAllowedError"),
            ):
                response = await client.request(method, path)
                assert (response.status_code, response.json()["error"]["type"]) == (status, kind), path
                assert ("allow" in response.headers) == (status == 405)

    async def test_middleware_of_ones_own(self, backend: Backend) -> None:
        async with calling(create_app(backend, middleware=[Middleware(Marking)]), **HEADERS) as client:
            for response in (await client.get("/health"), await client.put("/mcp"), await client.get("/nowhere")):
                assert response.headers["x-marked"] == "yes"


class TestTheGuards:
    def test_host_and_origin(self, stateful: str) -> None:
        for path in ("/mcp", "/sse", "/messages/", "/health"):
            for name, value, status in (("host", "evil.example", 421), ("origin", "https://evil.example", 403)):
                method = "POST" if path == "/messages/" else "GET"
                assert httpx.request(method, stateful + path, headers={name: value}).status_code == status, path

    def test_hosts_and_origins_that_are_allowed(self, backend: Backend) -> None:
        with pytest.raises(ConfigurationError, match="no authentication"):
            create_app(backend, allowed_hosts=["memory.lan"])
        auth = StaticTokenVerifier({"t": {"sub": "ana", "client_id": "c"}})
        app = create_app(backend, auth=auth, allowed_hosts=["memory.lan"], allowed_origins=["https://app.example"])
        with serving(app) as base:
            headers = {"host": "memory.lan", "origin": "https://app.example"}
            assert httpx.get(f"{base}/health", headers=headers).status_code == 200
            # A page of the allowed host itself, behind a proxy that ends TLS.
            headers["origin"] = "https://memory.lan"
            assert httpx.get(f"{base}/health", headers=headers).status_code == 200
            headers["origin"] = "https://other.lan"
            assert httpx.get(f"{base}/health", headers=headers).status_code == 403
            assert httpx.get(f"{base}/health", headers={"host": "other.lan"}).status_code == 421

    def test_the_guard_stays_on(self, backend: Backend) -> None:
        with pytest.raises(ConfigurationError, match="stays on"):
            create_server(backend).http_app(host_origin_protection=False)

    def test_without_tokens_only_programs_of_this_machine_are_served(self, backend: Backend) -> None:
        async def get(app: Any, client: tuple[str, int] | None, **headers: str) -> int:
            # None is what a UNIX socket has, behind which there is a proxy.
            transport = httpx.ASGITransport(app, client=client)  # pyright: ignore[reportArgumentType]
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                return (await http.get("/health", headers=headers)).status_code

        async def use() -> None:
            app = create_app(backend)
            assert await get(app, ("127.0.0.1", 1)) == 200
            assert await get(app, ("::1", 1)) == 200
            for stranger in (("192.168.1.7", 1), ("localhost.evil.example", 1), None):
                assert await get(app, stranger) == 403
            for header in ("x-forwarded-for", "forwarded", "via"):
                assert await get(app, ("127.0.0.1", 1), **{header: "1.2.3.4"}) == 403
            opened = create_app(backend, insecure_open_to_anyone_who_connects=True)
            assert await get(opened, ("192.168.1.7", 1)) == 200

        anyio.run(use)

    @pytest.mark.parametrize("host", ["0.0.0.0", "::"])
    def test_without_tokens_it_does_not_listen_for_other_machines(self, backend: Backend, host: str) -> None:
        try:
            socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
        except OSError:
            pytest.skip("this machine has no such address")
        for run in (create_server(backend).run, create_server(backend, user_id="ana", lock_user=True).run):
            with pytest.raises(ConfigurationError, match="--insecure-open-to-anyone-who-connects"):
                run(transport="http", host=host, port=0)

    def test_another_servers_application_does_not_open_it(self, backend: Backend) -> None:
        backend.user("ana").add("Ana's")
        outer: FastMCP[Any] = FastMCP("outer")
        outer.mount(create_server(backend, user_id="ana"))

        async def use(base: str) -> None:
            async with Client(StreamableHttpTransport(f"{base}/mcp")) as client:
                for arguments in ({}, {"user_id": "ana"}):
                    with pytest.raises(McpError, match="Access denied"):
                        await client.call_tool("get_all_memories", arguments)

        with serving(outer.http_app()) as base:
            anyio.run(use, base)


class TestRoutes:
    def test_health(self, stateful: str) -> None:
        response = httpx.get(f"{stateful}/health")
        assert (response.status_code, response.json()["status"], response.json()["name"]) == (200, "ok", "memweld")

    def test_the_key_value_api(self, backend: Backend) -> None:
        with serving(create_app(backend, user_id="ana", writes_per_day=1)) as base:
            assert httpx.put(f"{base}/memory/crew/step", json={"value": [1, None]}).status_code == 200
            assert httpx.get(f"{base}/memory/crew/step").json()["value"] == [1, None]
            assert httpx.put(f"{base}/memory/crew/step", json={"value": 2}).status_code == 429
        assert backend.user("ana").state("crew")["step"] == [1, None]

    def test_routes_of_others_know_who_asks(self, backend: Backend) -> None:
        def routes(identify: Callable[[Request], Any]) -> list[Route]:
            return [Route("/whoami", lambda request: JSONResponse({"user": identify(request).user_id}))]

        app = create_app(backend, user_id="ana", extra_routes=routes)
        with serving(app) as base:
            assert httpx.get(f"{base}/whoami").json() == {"user": "ana"}

    @pytest.mark.parametrize("path", ["/ui/sign-out", "/memory/n/k", "/ui/erase", "/mcp", "/echo"])
    def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_failure(self, backend: Backend, path: str) -> None:
        async def echo(request: Request) -> JSONResponse:
            return JSONResponse(await request.json())

        app = create_app(backend, user_id="ana", extra_routes=lambda _: [Route("/echo", echo, methods=["POST"])])
        received = [{"type": "http.request", "body": b"{", "more_body": True}]

        async def receive() -> dict[str, Any]:
            return received.pop() if received else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            assert message.get("status") != 500

        scope: dict[str, Any] = {
            "type": "http",
            "method": "PUT" if path.startswith("/memory") else "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"user=ana" if path == "/ui/erase" else b"",
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        anyio.run(app, scope, receive, send)


def takes_connections(base: str) -> bool:
    try:
        httpx.get(f"{base}/health", timeout=30)
    except httpx.ConnectError:
        return False
    except httpx.TransportError:  # it closed the connection in the moment in which it closed its socket
        pass
    return True


SLOW = """
import sys, time, memweld
from memweld.mcp import create_server
from memweld.testing import HashEmbedder

class Slow(HashEmbedder):
    def embed_query(self, text):
        sys.stderr.write("embedding\\n")
        sys.stderr.flush()
        time.sleep(2)
        return super().embed_query(text)

with memweld.connect(sys.argv[1], embedder=Slow()) as backend:
    create_server(backend).run(transport="http", port=0)
sys.stderr.write("closed\\n")
"""


HANGING = """
import sys, time, memweld
from memweld.mcp import create_server, http_server

http_server.GRACE_SECONDS, http_server._LAST_SECONDS = 0.3, 0.2
server = create_server(memweld.connect("sqlite://"))

@server.tool
def hang() -> str:
    sys.stderr.write("hanging\\n")
    sys.stderr.flush()
    time.sleep(60)
    return ""

server.run(transport="http", port=0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
class TestTheEnd:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_call_under_way_is_answered(self, tmp_path: Path, number: signal.Signals) -> None:
        url = f"sqlite:///{tmp_path / 'm.db'}"
        process = start("-c", SLOW, url)
        base = address(process)
        http, sse = Http(base), Sse(base)
        spoken = {"messages": [{"role": "user", "content": "kept to the end"}]}
        answers: dict[str, bytes] = {}

        def ask(name: str, use: Callable[[bytes], bytes]) -> None:
            answers[name] = use(call("add_memory", {**spoken, "user_id": name}))

        threads = [threading.Thread(target=ask, args=pair) for pair in (("ana", http), ("bob", sse))]
        for thread in threads:
            thread.start()
        assert process.stderr is not None
        # Both calls: one that comes after the signal is refused.
        assert [process.stderr.readline() for _ in threads] == [b"embedding\n"] * 2
        process.send_signal(number)
        while takes_connections(base):
            time.sleep(0.05)
        for thread in threads:
            thread.join(timeout=20)
        for name in ("ana", "bob"):
            assert f"Added 1 memories for user {name}".encode() in answers[name]
        sse.close()
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 0
        assert errors.endswith(b"closed\n")
        assert b"Traceback" not in errors
        with connect(url, embedder=HashEmbedder()) as backend:
            assert [len(backend.user(name).all()) for name in ("ana", "bob")] == [1, 1]

    @pytest.mark.parametrize("kind", ["http", "sse"])
    def test_a_library_that_does_not_come_back_does_not_hold_it_up(self, kind: str) -> None:
        process = start("-c", HANGING)
        base = address(process)
        session = Sse(base) if kind == "sse" else Http(base)

        def ask() -> None:
            with contextlib.suppress(httpx.HTTPError, StopIteration):
                session(call("hang", {}))

        thread = threading.Thread(target=ask)
        thread.start()
        assert process.stderr is not None
        assert process.stderr.readline() == b"hanging\n"
        code, _ = end(process)
        assert code == 1
        thread.join(timeout=20)
        if isinstance(session, Sse):
            session.close()

    def test_open_connections_do_not_hold_it_up(self) -> None:
        # Calls under way would be waited for.
        code = "from memweld import cli; from memweld.mcp import http_server; http_server.GRACE_SECONDS = 60; cli.app()"
        process = start("-c", code, "serve", "--url", "sqlite://", "--transport", "sse", "--port", "0")
        assert process.stderr is not None
        base = process.stderr.readline().decode().split()[-1].removesuffix("/sse")
        sse, http = Sse(base), Http(base)
        with httpx.stream("GET", f"{base}/mcp", headers=http.headers, timeout=30) as stream:
            assert stream.status_code == 200
            assert end(process) == (0, "")
            assert stream.read() == b""
        sse.close()

    def test_a_client_that_goes_away_in_the_middle_breaks_nothing(self, tmp_path: Path) -> None:
        process = start("-c", SLOW, f"sqlite:///{tmp_path / 'm.db'}")
        base = address(process)
        http = Http(base)
        spoken = {"messages": [{"role": "user", "content": "x"}], "user_id": "ana"}
        with pytest.raises(httpx.ReadTimeout):
            http.request("POST", body=call("add_memory", spoken), timeout=httpx.Timeout(30, read=0.3))
        assert http(b'{"jsonrpc":"2.0","id":8,"method":"ping"}') == b'{"jsonrpc":"2.0","id":8,"result":{}}'
        code, errors = end(process)
        assert code == 0
        assert "Traceback" not in errors


class TestTheCommand:
    def test_a_port_that_is_taken(self, backend: Backend) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(BackendUnavailableError, match=f"Cannot listen on 127.0.0.1:{port}"):
                create_server(backend).run(transport="http", port=port)

    def test_a_host_that_is_none(self, backend: Backend) -> None:
        with pytest.raises(ConfigurationError, match="Cannot find the host"):
            create_server(backend).run(transport="http", host="no such host", port=0)

    def test_sse_has_state(self, backend: Backend) -> None:
        with pytest.raises(ConfigurationError, match="cannot be stateless"):
            create_server(backend).run(transport="sse", stateless_http=True, port=0)

    def test_a_client_is_served_before_anything_heavy_is_loaded(self) -> None:
        code = """
import socket, sys, threading, anyio, memweld
from fastmcp import Client
from memweld.mcp import create_server

heavy = ("mem0", "numpy", "tokenizers", "safetensors", "langchain_core", "crewai", "autogen_core", "cryptography")
listener = socket.create_server(("127.0.0.1", 0))

async def main():
    server = create_server(memweld.connect("sqlite://"))
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: server.run_http_async(sockets=[listener], show_banner=False))
        async with Client(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp") as client:
            await client.list_tools()
            print([name for name in heavy if name in sys.modules])
        group.cancel_scope.cancel()

anyio.run(main)
"""
        process = start("-c", code)
        output, errors = process.communicate(timeout=60)
        assert output == b"[]\n", errors
