"""The key-value API on a real server: the published botwire client unchanged, the wire, users, limits and errors."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

import botwire
import httpx
import pytest
from fastmcp.server.auth import StaticTokenVerifier
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Mount

from memweld import Backend, InvalidInputError, Memory
from memweld.mcp import create_app
from memweld.mcp.principal import Principal
from memweld.mcp.rest import rest_routes
from memweld.testing.serving import serving

Identify = Callable[[Request], Principal]


def trusted(user_id: str | None = None) -> Identify:
    """A loopback server without authentication and its default user."""
    return lambda _: Principal(user_id=user_id)


TOKENS = {
    "anas": Principal(user_id="ana", locked=True, verified=True, agents=False),
    "bobs": Principal(user_id="bob", locked=True, verified=True, agents=False),
    "service": Principal(user_id="svc", verified=True),
}


def by_token(request: Request) -> Principal:
    word, _, token = request.headers.get("authorization", "").partition(" ")
    if not word:
        raise HTTPException(401, "A token is needed.", headers={"WWW-Authenticate": "Bearer"})
    if token not in TOKENS:
        raise HTTPException(403, "The token lacks: memory")
    return TOKENS[token]


@contextmanager
def client_of(source: Backend | Memory, identify: Identify, **limits: Any) -> Generator[httpx.Client]:
    """A client of the routes in an application of their own."""
    app = Starlette(routes=rest_routes(source, identify, **limits))
    with serving(app) as url, httpx.Client(base_url=url, timeout=20) as client:
        yield client


@pytest.fixture
def http(backend: Backend) -> Iterator[httpx.Client]:
    """A client of a server whose default user is Ana."""
    with client_of(backend, trusted("ana")) as client:
        yield client


def error(response: httpx.Response) -> tuple[int, str]:
    """The status and the type of an error, whose form is checked."""
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"type", "message"}
    assert body["error"]["message"]
    return response.status_code, body["error"]["type"]


class TestBotwire:
    def test_its_memory(self, http: httpx.Client, backend: Backend) -> None:
        memory = botwire.Memory("my-agent", base_url=str(http.base_url))
        assert memory.get("user_name") is None
        assert memory.get("user_name", default="nobody") == "nobody"
        assert "user_name" not in memory
        assert memory.keys() == []
        memory.set("user_name", "Pedro")
        memory.set("user_name", "Pedro II")
        memory.set("profile", {"nested": {"data": True}, "list": [1, None, "ü"]})
        memory.set("a/b c", "slashes")
        assert memory.get("user_name") == "Pedro II"
        assert memory.get("profile") == {"nested": {"data": True}, "list": [1, None, "ü"]}
        assert memory.get("a/b c") == "slashes"
        assert "profile" in memory
        assert memory.keys() == ["a/b c", "profile", "user_name"]
        assert memory.delete("user_name") is True
        assert memory.delete("user_name") is False
        assert memory.keys() == ["a/b c", "profile"]
        # What it sends is kept: it writes JSON into strings itself.
        assert backend.user("ana").state("my-agent")["profile"] == (
            '{"nested": {"data": true}, "list": [1, null, "\\u00fc"]}'
        )
        memory._client.close()

    def test_it_reads_what_others_wrote(self, http: httpx.Client, backend: Backend) -> None:
        backend.user("ana").state("crew")["plan"] = {"steps": ["fly", "eat"]}
        memory = botwire.Memory("crew", base_url=str(http.base_url))
        assert memory.get("plan") == {"steps": ["fly", "eat"]}
        memory._client.close()

    def test_its_base_url_may_name_a_user(self, http: httpx.Client, backend: Backend) -> None:
        memory = botwire.Memory("crew", base_url=f"{http.base_url}/users/{quote('bob@example.com')}")
        memory.set("k", "Bob's")
        assert memory.keys() == ["k"]
        assert backend.user("bob@example.com").state("crew")["k"] == "Bob's"
        assert backend.user("ana").state("crew").list_keys() == []
        memory._client.close()

    @pytest.mark.exhaustive  # A process of its own loads CrewAI and LangChain.
    def test_its_history_and_tools(self, http: httpx.Client, backend: Backend) -> None:
        # Its URL is read when it is imported. crewai-tools has no `tool` any more, which botwire 0.2.1 asks for: the
        # decorator is in crewai.
        code = """
import sys, types
from crewai.tools import tool
sys.modules["crewai_tools"] = types.ModuleType("crewai_tools")
sys.modules["crewai_tools"].tool = tool
from botwire import BotWireChatHistory, Memory
from botwire.memory import memory_tools
from langchain_core.messages import AIMessage, HumanMessage

history = BotWireChatHistory("user-42/evening")
history.add_message(HumanMessage("Hello"))
history.add_message(AIMessage("Good evening", id="a1"))
again = BotWireChatHistory("user-42/evening")
assert [(m.type, m.content) for m in again.messages] == [("human", "Hello"), ("ai", "Good evening")]
again.clear()
assert history.messages == []
history.add_message(HumanMessage("Once more"))

remember, recall, list_memory = memory_tools("research-crew")
assert recall.run(key="colour") == "not found"
assert list_memory.run() == "(empty)"
assert remember.run(key="colour", value="green") == "stored 'colour'"
assert recall.run(key="colour") == "green"
assert list_memory.run() == "colour"
print("done")
"""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env={**os.environ, "BOTWIRE_URL": str(http.base_url)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stdout.endswith("done\n"), done.stderr
        ana = backend.user("ana")
        assert "Once more" in str(ana.state("langchain-sessions")["user-42/evening"])
        assert dict(ana.state("research-crew")) == {"colour": "green"}


class TestWire:
    def test_the_answers(self, http: httpx.Client) -> None:
        place = {"namespace": "ns", "key": "k"}
        assert http.put("/memory/ns/k", json={"value": "hello"}).json() == {**place, "stored": True}
        read = http.get("/memory/ns/k")
        assert (read.status_code, read.json()) == (200, {**place, "value": "hello"})
        assert read.headers["cache-control"] == "no-store"
        assert http.get("/memory/ns").json() == {"namespace": "ns", "keys": ["k"]}
        assert http.delete("/memory/ns/k").json() == {**place, "deleted": True}
        assert error(http.delete("/memory/ns/k")) == (404, "KeyNotFoundError")
        assert error(http.get("/memory/ns/k")) == (404, "KeyNotFoundError")
        assert http.get("/memory/ns").json() == {"namespace": "ns", "keys": []}
        assert (http.head("/memory/ns").status_code, http.head("/memory/ns/k").status_code) == (200, 404)

    @pytest.mark.parametrize(
        "value", [None, True, 0, 1.5, "", "[1", '{"a": 1}', [], {}, [{"a": [None]}], "日本語 \u2028 🐝", 10**30]
    )
    def test_values_round_trip(self, http: httpx.Client, backend: Backend, value: Any) -> None:
        assert http.put("/memory/ns/k", json={"value": value}).status_code == 200
        assert http.get("/memory/ns/k").json()["value"] == value
        assert backend.user("ana").state("ns")["k"] == value

    @pytest.mark.parametrize(
        "key", ["a/b", "/", "a//b/", "100%", "%2F", "a?b#c", "..", "../../users/bob", "ü 🐝", "a b+c", "key", "\n"]
    )
    def test_keys_round_trip(self, http: httpx.Client, backend: Backend, key: str) -> None:
        path = f"/memory/ns/{quote(key, safe='')}"
        if key == "..":  # Which HTTP clients take for the folder above, however it is encoded.
            path = "/memory/ns/%2E%2E"
        if key == "\n":
            assert error(http.put(path, json={"value": 1})) == (400, "InvalidInputError")
            return
        assert http.put(path, json={"value": key}).json()["key"] == key
        assert http.get(path).json()["value"] == key
        assert http.get("/memory/ns").json()["keys"] == [key]
        assert dict(backend.user("ana").state("ns")) == {key: key}
        assert http.delete(path).status_code == 200

    def test_slashes_need_no_encoding_in_keys_and_do_in_the_rest(self, http: httpx.Client, backend: Backend) -> None:
        http.put("/memory/a/b/c", json={"value": 1})
        http.put("/memory/a%2Fb/c", json={"value": 2})
        http.put("/users/x%2Fmemory%2Fy/memory/n/k", json={"value": 3})
        assert http.get("/memory/a%2Fb").json()["keys"] == ["c"]
        ana = backend.user("ana")
        assert (dict(ana.state("a")), dict(ana.state("a/b"))) == ({"b/c": 1}, {"c": 2})
        assert backend.user("x/memory/y").state("n")["k"] == 3

    def test_a_list_has_pages(self, http: httpx.Client, backend: Backend) -> None:
        state = backend.user("ana").state("many")
        keys = sorted(f"{'k' * 100}/{number} ü?" for number in range(300))
        for key in keys:
            state[key] = 1
        for limit in ({}, {"limit": 7}):
            found, query = list[str](), dict[str, Any](limit)
            while True:
                answer = http.get("/memory/many", params=query)
                assert len(answer.content) < 40_000
                assert len(answer.json()["keys"]) <= limit.get("limit", 300)
                found += answer.json()["keys"]
                if "next_cursor" not in answer.json():
                    break
                query = {**limit, "cursor": answer.json()["next_cursor"]}
                state.delete(found[-1])
            assert found == [key for key in keys if key in found]
            assert len(found) == len(keys)
            for key in keys:
                state[key] = 1
        for query in ({"limit": "0"}, {"limit": "x"}, {"limit": "99999999999"}, {"cursor": "§"}, {"after": "k"}):
            assert http.get("/memory/many", params=query).status_code == 400
        assert http.get("/memory/many/k", params={"limit": 1}).status_code == 400
        assert http.get("/memory/none", params={"limit": 1}).json() == {"namespace": "none", "keys": []}

    def test_under_a_mount_point(self, backend: Backend) -> None:
        api = Starlette(routes=rest_routes(backend, trusted("ana")))
        with serving(Starlette(routes=[Mount("/api/v1", api)])) as url:
            assert httpx.put(f"{url}/api/v1/memory/ns/a%2Fb", json={"value": 1}).status_code == 200
            assert error(httpx.get(f"{url}/api/v1/memory/ns/b")) == (404, "KeyNotFoundError")
        assert dict(backend.user("ana").state("ns")) == {"a/b": 1}

    def test_below_a_prefix_that_a_proxy_strips(self, backend: Backend) -> None:
        app = Starlette(routes=rest_routes(backend, trusted("ana")))
        with serving(app, root_path="/api/v1") as url:
            assert httpx.put(f"{url}/memory/ns/a%2Fb", json={"value": 1}).status_code == 200
        assert dict(backend.user("ana").state("ns")) == {"a/b": 1}

    @pytest.mark.parametrize(
        ("method", "path", "status", "kind"),
        [
            ("GET", "/memory/", 400, "InvalidInputError"),
            ("GET", "/users/bob", 404, "PathNotFoundError"),
            ("GET", "/users/bob/secrets/k", 404, "PathNotFoundError"),
            ("POST", "/memory/ns/k", 405, "MethodNotAllowedError"),
            ("DELETE", "/memory/ns", 405, "MethodNotAllowedError"),
            ("OPTIONS", "/memory/ns/k", 405, "MethodNotAllowedError"),
            ("GET", "/memory/ns/", 400, "InvalidInputError"),
            ("GET", "/memory//k", 400, "InvalidInputError"),
            ("GET", "/memory/ns/a%00b", 400, "InvalidInputError"),
            ("GET", "/memory/ns/%FF", 400, "InvalidInputError"),
            ("GET", f"/memory/ns/{'k' * 513}", 400, "InvalidInputError"),
            ("GET", "/memory/ns/k?other", 400, "InvalidInputError"),
            ("GET", "/users/%2A/memory/ns/k", 400, "InvalidInputError"),
            ("GET", "/users//memory/ns/k", 400, "InvalidInputError"),
        ],
    )
    def test_paths_that_are_none(self, http: httpx.Client, method: str, path: str, status: int, kind: str) -> None:
        response = http.request(method, path)
        assert error(response) == (status, kind)
        if status == 405:
            assert "GET" in response.headers["allow"]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"5",
            b"[]",
            b"null",
            b"{}",
            b'{"val": 1}',
            b'{"value": 1, "ttl": 60}',
            b'{"value": NaN}',
            b'{"value": "\xff"}',
            b'{"value": "\\ud800"}',
            b'{"value": ' + b"[" * 100_000,
            b'{"value": ' + b"9" * 5_000 + b"}",
            b'{"value": ' + b"[" * 80 + b"]" * 80 + b"}",
        ],
    )
    def test_bodies_that_are_none(self, http: httpx.Client, backend: Backend, body: bytes) -> None:
        assert error(http.put("/memory/ns/k", content=body)) == (400, "InvalidInputError")
        assert backend.user("ana").export()["state"] == []


class TestWhoseMemory:
    def test_a_token_has_its_own(self, backend: Backend) -> None:
        with client_of(backend, by_token) as http:

            def ask(method: str, path: str, token: str, **more: Any) -> httpx.Response:
                return http.request(method, path, headers={"Authorization": f"Bearer {token}"}, **more)

            for token in ("anas", "bobs"):
                assert ask("PUT", "/memory/ns/k", token, json={"value": token}).status_code == 200
            assert ask("GET", "/memory/ns/k", "anas").json()["value"] == "anas"
            assert ask("GET", "/users/ana/memory/ns/k", "anas").json()["value"] == "anas"
            for method in ("GET", "DELETE"):
                for path in ("/users/bob/memory/ns/k", "/users/%62ob/memory/ns/k", "/users/BOB/memory/ns/k"):
                    assert error(ask(method, path, "anas")) == (403, "AccessDeniedError")
            assert error(ask("PUT", "/users/bob/memory/ns/k", "anas", json={"value": 1}))[0] == 403
            assert error(ask("GET", "/memory/ns/../../users/bob/memory/ns/k", "anas"))[0] in (403, 404)
            assert ask("GET", "/users/bob/memory/ns/k", "service").json()["value"] == "bobs"
            assert error(ask("GET", "/memory/ns/k", "service")) == (404, "KeyNotFoundError")
            missing = http.get("/memory/ns/k")
            assert error(missing) == (401, "AuthenticationError")
            assert missing.headers["www-authenticate"] == "Bearer"
            assert error(ask("GET", "/memory/ns/k", "stolen")) == (403, "AccessDeniedError")
        assert backend.user("bob").state("ns")["k"] == "bobs"

    def test_a_trusted_server_without_a_default_user(self, backend: Backend) -> None:
        with client_of(backend, trusted()) as http:
            refused = http.put("/memory/ns/k", json={"value": 1})
            assert error(refused) == (400, "InvalidInputError")
            assert "MEMWELD_USER_ID" in refused.text
            assert http.put("/users/bob/memory/ns/k", json={"value": 1}).status_code == 200
        assert backend.user("bob").state("ns")["k"] == 1

    def test_one_memory_is_served_alone(self, backend: Backend) -> None:
        bound = Principal(user_id="ana", locked=True)
        with client_of(backend.user("ana"), lambda _: bound) as http:
            assert http.put("/memory/ns/k", json={"value": 1}).status_code == 200
            assert error(http.get("/users/bob/memory/ns/k")) == (403, "AccessDeniedError")
        with client_of(backend.user("ana"), trusted("ana")) as http:
            assert error(http.get("/users/bob/memory/ns/k")) == (403, "AccessDeniedError")
        assert backend.user("ana").state("ns")["k"] == 1

    def test_in_the_application_of_the_server(self, backend: Backend) -> None:
        app = create_app(backend, user_id="ana", extra_routes=lambda identify: rest_routes(backend, identify))
        with serving(app) as url:
            assert httpx.put(f"{url}/memory/ns/k", json={"value": 1}).status_code == 200
            assert httpx.get(f"{url}/users/bob/memory/ns").json()["keys"] == []
            assert httpx.get(f"{url}/memory/ns/k", headers={"Host": "evil.example"}).status_code == 421
        assert backend.user("ana").state("ns")["k"] == 1

    def test_in_the_application_under_a_token(self, backend: Backend) -> None:
        auth = StaticTokenVerifier({"anas": {"client_id": "app", "sub": "ana", "scopes": []}})
        app = create_app(backend, auth=auth, extra_routes=lambda identify: rest_routes(backend, identify))
        with serving(app) as url:
            assert error(httpx.get(f"{url}/memory/ns/k")) == (401, "AuthenticationError")
            bearer = {"Authorization": "Bearer anas"}
            assert httpx.put(f"{url}/memory/ns/k", json={"value": 1}, headers=bearer).status_code == 200
            other = httpx.get(f"{url}/users/bob/memory/ns", headers=bearer)
            assert error(other) == (403, "AccessDeniedError")
            # Where a client takes no token, as botwire's Memory, its transport can still be given one.
            memory = botwire.Memory("ns", base_url=url)
            memory._client.headers.update(bearer)
            assert memory.get("k") == 1
            memory._client.close()
        assert backend.user("ana").state("ns")["k"] == 1


class TestLimits:
    def test_of_the_body(self, backend: Backend) -> None:
        with client_of(backend, trusted("ana"), max_body=1_000) as http:
            fits = "x" * (1_000 - len('{"value":""}'))
            assert http.put("/memory/ns/k", content=f'{{"value":"{fits}"}}').status_code == 200
            assert error(http.put("/memory/ns/k", json={"value": fits + "xx"})) == (413, "BodyTooLargeError")
            assert error(http.put("/memory/ns/k", json={"value": "x" * 3_000})) == (413, "BodyTooLargeError")
            chunks = (b"x" * 100 for _ in range(30))
            assert error(http.put("/memory/ns/k", content=chunks)) == (413, "BodyTooLargeError")
            assert http.get("/memory/ns/k").json()["value"] == fits

    def test_four_mebibytes_where_nothing_is_said(self, http: httpx.Client) -> None:
        assert http.put("/memory/ns/k", json={"value": "x" * 4_000_000}).status_code == 200
        assert len(http.get("/memory/ns/k").json()["value"]) == 4_000_000
        assert error(http.put("/memory/ns/k", json={"value": "x" * 4_200_000})) == (413, "BodyTooLargeError")

    def test_of_writes_a_day(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        now = datetime(2026, 5, 1, 23, 59, 30, tzinfo=timezone.utc)
        monkeypatch.setattr("memweld.mcp.rest_limits.utc_now", lambda: now)
        with client_of(backend, trusted("ana"), writes_per_day=2) as http:

            def put(path: str = "/memory/ns/k", body: Any = None) -> httpx.Response:
                return http.put(path, json={"value": 1} if body is None else body)

            assert put(body={"wrong": 1}).status_code == 400
            assert [put().status_code, put().status_code] == [200, 200]
            over = put("/memory/ns/other")
            assert error(over) == (429, "TooManyWritesError")
            assert over.headers["retry-after"] == "31"
            assert put("/memory/ns2/k").status_code == 200
            assert put("/users/bob/memory/ns/k").status_code == 200
            assert http.get("/memory/ns/k").status_code == 200
            assert http.delete("/memory/ns/k").status_code == 200
            now = datetime(2026, 5, 2, tzinfo=timezone.utc)
            assert put().status_code == 200

    @pytest.mark.parametrize("limits", [{"max_body": 0}, {"writes_per_day": -1}])
    def test_that_make_no_sense(self, backend: Backend, limits: dict[str, Any]) -> None:
        with pytest.raises(InvalidInputError, match="positive"):
            rest_routes(backend, trusted(), **limits)


class TestFailures:
    def test_a_store_that_is_gone(self, http: httpx.Client, backend: Backend) -> None:
        backend.close()
        assert error(http.get("/memory/ns/k")) == (503, "BackendUnavailableError")

    def test_a_strangers_exception_shows_its_type(self, backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
        def broken(_: Request) -> Principal:
            raise ZeroDivisionError(f"the password is {'tu' + 'lip'}")

        with client_of(backend, broken) as http, caplog.at_level(logging.ERROR, "memweld.mcp"):
            response = http.get("/memory/ns/k")
        assert error(response) == (500, "ZeroDivisionError")
        assert "tulip" not in response.text
        assert "tulip" not in caplog.text
        assert "ZeroDivisionError" in caplog.text
        assert "in broken" in caplog.text

    def test_many_at_once(self, http: httpx.Client, backend: Backend) -> None:
        from concurrent.futures import ThreadPoolExecutor

        def write(number: int) -> int:
            return http.put(f"/memory/ns/{number}", json={"value": number}).status_code

        with ThreadPoolExecutor(16) as pool:
            assert set(pool.map(write, range(64))) == {200}
        assert len(backend.user("ana").state("ns")) == 64
