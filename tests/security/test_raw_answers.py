"""Answers from below and around the application: in the form of all errors, with the headers of all answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastmcp.server.auth import StaticTokenVerifier
from live_server import POST, QUICK, opened, running
from starlette.routing import Route

from memweld import connect
from memweld.mcp import create_server
from memweld.testing.serving import serving

GET = "GET {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{}\r\n"
TOKENS = {
    "ana": {"client_id": "ana", "sub": "ana"},
    "slip": {"client_id": "bob", "sub": "bob", "scopes": ["Memory:Read"]},
}


async def _fails(_: Any) -> Any:
    raise RuntimeError("a secret of the operator")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with connect("sqlite://") as backend:
        server = create_server(
            backend,
            limits=QUICK,
            auth=StaticTokenVerifier(TOKENS),  # type: ignore[arg-type]
            extra_routes=lambda _: [Route("/fails", _fails)],
        )
        with running(server, allowed_origins=["https://page.example"]) as port:
            yield port


def answer(port: int, data: bytes) -> tuple[int, dict[str, str], bytes]:
    """The one answer to these bytes: status, headers and body."""
    received = b""
    with opened(port, data) as client:
        while chunk := client.recv(65_536):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    return int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:]), body


@pytest.mark.parametrize(
    ("sent", "status", "kind"),
    [
        pytest.param(b"\x16\x03\x01 no HTTP\r\n\r\n", 400, "InvalidRequestError", id="no HTTP"),
        pytest.param(b"GET /health HTTP/1.1\r\n\r\n", 400, "InvalidRequestError", id="no host"),
        pytest.param(POST + b"content-length: -5\r\n\r\n", 400, "InvalidRequestError", id="a negative length"),
        pytest.param(POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello", 400, "InvalidRequestError", id="2"),
        pytest.param(POST + b"authorization: Bearer ana\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n", 400,
                     "InvalidRequestError", id="a chunk of no length"),
        pytest.param(GET.format("/" + "a" * 3_990, "localhost", "").encode(), 431, "HeadersTooLargeError", id="path"),
        pytest.param(GET.format("/health", "evil.example", "").encode(), 421, "MisdirectedRequestError", id="host"),
        pytest.param(GET.format("/", "localhost", "origin: https://evil.example\r\n").encode(), 403,
                     "AccessDeniedError", id="origin"),
        pytest.param(GET.format("/nothing", "localhost", "").encode(), 404, "PathNotFoundError", id="no path"),
        pytest.param(GET.format("/mcp", "localhost", "").encode(), 401, "AuthenticationError", id="no token"),
        pytest.param(GET.format("/sse", "localhost", "authorization: Bearer x\r\n").encode(), 401,
                     "AuthenticationError", id="a wrong token"),
        pytest.param(GET.format("/mcp", "localhost", "authorization: Bearer slip\r\n").encode(), 401,
                     "AuthenticationError", id="a scope that only looks like ours"),
        pytest.param(GET.format("/fails", "localhost", "authorization: Bearer ana\r\n").encode(), 500,
                     "InternalError", id="a failure"),
        pytest.param(b"DELETE /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", 405,
                     "MethodNotAllowedError", id="a method"),
    ],
)  # fmt: skip
def test_a_refusal(port: int, sent: bytes, status: int, kind: str) -> None:
    received, headers, body = answer(port, sent)
    assert received == status
    assert json.loads(body)["error"]["type"] == kind
    assert headers["content-type"] == "application/json"
    assert int(headers["content-length"]) == len(body)
    assert {name: headers[name] for name in ("x-content-type-options", "referrer-policy", "cache-control")} == {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert b"secret" not in body
    assert (status == 401) == ("www-authenticate" in headers)


@pytest.mark.parametrize("method", ["POST", "BREW"])
def test_a_preflight(port: int, method: str) -> None:
    asked = {"origin": "https://page.example", "access-control-request-method": method}
    headers = httpx.options(f"http://127.0.0.1:{port}/mcp", headers=asked, trust_env=False).headers
    assert headers["access-control-allow-origin"] == "https://page.example"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'")


def test_the_answers_of_other_routes_stay() -> None:
    from starlette.responses import JSONResponse, PlainTextResponse

    async def plain(_: Any) -> Any:
        return PlainTextResponse("Not you.", 403)

    async def own(_: Any) -> Any:
        return JSONResponse({"error": "mine"}, 401, {"x-own": "1"})

    from memweld.mcp import create_app

    routes = [Route("/plain", plain), Route("/own", own)]
    with connect("sqlite://") as backend, serving(create_app(backend, extra_routes=lambda _: routes)) as url:
        assert httpx.get(f"{url}/plain", trust_env=False).text == "Not you."
        found = httpx.get(f"{url}/own", trust_env=False)
        assert (found.json(), found.headers["x-own"]) == ({"error": "mine"}, "1")


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
@pytest.mark.parametrize("arguments", ['{{"namespace":"n","key":"k","value":{}}}', '{{"x":[{{"y":[1,{}]}}]}}'])
def test_a_number_that_json_has_not_is_refused_over_mcp(port: int, number: str, arguments: str) -> None:
    headers = {"authorization": "Bearer ana", "content-type": "application/json"}
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as http:
        begun = http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client})
        http.headers["mcp-session-id"] = begun.headers["mcp-session-id"]
        params = f'{{"name":"set_state","arguments":{arguments.format(number)}}}'
        message = f'{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{params}}}'
        error = http.post("/mcp", content=message).json()["error"]
    assert (error["code"], error["data"]["type"]) == (-32602, "InvalidInputError")
    assert "no NaN" in error["message"]
