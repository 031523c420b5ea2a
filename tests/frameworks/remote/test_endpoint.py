"""The way to a server over HTTP: redirects, proxies of the environment, logins and keys in the URL, and reasons."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from mcp_servers import served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route

import memweld
from memweld import Backend, BackendUnavailableError, ConfigurationError, connect
from memweld.engine.remote.mcp_client.endpoint import proxy_of
from memweld.mcp import create_app
from memweld.testing import HashEmbedder


class Recorded:
    """ASGI middleware that keeps the headers and queries of the requests that it sees."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.requests: list[tuple[dict[str, str], str]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            self.requests.append((dict(request.headers), request.url.query))
        await self.app(scope, receive, send)


@pytest.fixture
def memory() -> Iterator[Backend]:
    with connect("sqlite://", embedder=HashEmbedder()) as backend:
        yield backend


@pytest.fixture
def app(memory: Backend) -> Recorded:
    return Recorded(create_app(memory))


def redirecting(app: Recorded, target: str, status: int = 307) -> Recorded:
    """The application behind a path that redirects to it."""

    async def redirect(request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(target + query, status)

    methods = ["GET", "POST", "DELETE"]
    routes = [Route("/old", redirect, methods=methods), Mount("/", app)]
    return Recorded(Starlette(routes=routes, lifespan=app.app.lifespan))


def write(url: str, **options: Any) -> None:
    with connect(url, **options) as backend:
        backend.user("ana").preferences.set("theme", "dark")


class TestRedirects:
    @pytest.mark.parametrize("status", [307, 308])
    def test_within_the_server(self, memory: Backend, app: Recorded, status: int) -> None:
        with served(redirecting(app, "/mcp", status)) as url:
            write(url.replace("/mcp", "/old?key=s3cret"), token="t")
        assert memory.user("ana").preferences.get("theme") == "dark"
        assert all("Bearer t" in headers["authorization"] for headers, _ in app.requests)
        assert {query for _, query in app.requests} == {"key=s3cret"}

    @pytest.mark.parametrize("status", [302, 307])
    def test_to_another_host(self, app: Recorded, status: int) -> None:
        with served(app) as other:
            target = other.replace("127.0.0.1", "localhost") + "?key=s3cret"
            with served(redirecting(app, target, status)) as url:
                with pytest.raises(ConfigurationError, match=r"redirects to http://localhost.*not followed") as caught:
                    write(url.replace("/mcp", "/old"), token="t")
                assert "s3cret" not in str(caught.value)
        assert app.requests == []

    def test_in_a_circle(self, app: Recorded) -> None:
        with served(redirecting(app, "/old")) as url, pytest.raises(ConfigurationError, match="redirects to"):
            write(url.replace("/mcp", "/old"))


class TestProxies:
    def test_they_do_not_catch_this_machine(
        self, memory: Backend, app: Recorded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with served(app) as url:
            write(url)
            write(url.replace("127.0.0.1", "localhost"))
        assert memory.user("ana").preferences.get("theme") == "dark"

    def test_which_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "http_proxy", "no_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("https_proxy", "proxy.example:3128")
        monkeypatch.setenv("NO_PROXY", "internal.example")
        assert proxy_of("https://memory.example/mcp") == "http://proxy.example:3128"
        for url in ("https://internal.example/mcp", "http://memory.example/mcp", "https://[::1]:8710/mcp"):
            assert proxy_of(url) is None

    def test_an_error_names_proxy_and_cause(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", "http://me:s3cret@127.0.0.1:1")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(BackendUnavailableError) as caught:
            write("http://memory.example/mcp")
        assert "through the proxy http://127.0.0.1:1 of the environment" in str(caught.value)
        assert "s3cret" not in str(caught.value)

    def test_an_error_names_its_cause(self) -> None:
        with pytest.raises(BackendUnavailableError, match="ConnectError: Connection refused"):
            write("http://127.0.0.1:1/mcp")


class TestLoginsAndKeysInTheUrl:
    def test_they_reach_the_server_and_no_log(self, app: Recorded, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        with served(app) as url:
            write(url.replace("://", "://me:s3cret%40@") + "?api_key=s3cret2&x=%41")
        expected = "Basic " + b64encode(b"me:s3cret@").decode()
        assert {headers["authorization"] for headers, _ in app.requests} == {expected}
        assert {query for _, query in app.requests} == {"api_key=s3cret2&x=%41"}
        assert "HTTP Request: POST" in caplog.text
        sent = [record for record in caplog.records if not record.name.startswith("uvicorn")]
        assert not [record for record in sent if "s3cret" in record.getMessage() or expected in record.getMessage()]

    def test_a_token_comes_before_a_login(self, app: Recorded) -> None:
        with served(app) as url:
            write(url.replace("://", "://me:s3cret@"), token="t")
        assert {headers["authorization"] for headers, _ in app.requests} == {"Bearer t"}

    def test_what_cannot_be_read_is_not_repeated(self) -> None:
        for url in ("http://me:s3cret@[host/mcp", "http://host:s3cret/mcp", "sqlite://me:s3cret@host/m.db"):
            with pytest.raises(ConfigurationError) as caught:
                memweld.connect(url)
            assert "s3cret" not in str(caught.value)
