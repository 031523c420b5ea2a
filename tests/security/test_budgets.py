"""The budget of one user over HTTP: calls, sessions, threads and bytes, on every way in, while others are served."""

from __future__ import annotations

import contextlib
import functools
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from fastmcp import Client as FastMCPClient
from fastmcp.client.transports import SSETransport
from fastmcp.server.auth import StaticTokenVerifier
from mcp.shared.exceptions import McpError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from memweld import AccessDeniedError, Backend, BackendUnavailableError, InvalidInputError, connect
from memweld.engine.remote import RemoteEngine
from memweld.mcp import ANY_USER_SCOPE, Limits, create_app
from memweld.mcp.server import ExtraRoutes
from memweld.memory.asynchronous import in_thread
from memweld.testing import HashEmbedder
from memweld.testing.serving import serving

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "wire", "version": "1"}},
}
ACCEPT = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


class Client:
    """A user of a server, over MCP and over the key-value API."""

    def __init__(self, base: str, token: str) -> None:
        self.http = httpx.Client(
            base_url=base, headers={**ACCEPT, "authorization": f"Bearer {token}"}, timeout=30, trust_env=False
        )
        self.session = ""

    def initialize(self) -> httpx.Response:
        answer = self.http.post("/mcp", json=INITIALIZE)
        self.session = answer.headers.get("mcp-session-id", "")
        return answer

    def call(self, tool: str, session: str | None = None, **arguments: Any) -> Any:
        """The JSON-RPC answer of a tool."""
        params = {"name": tool, "arguments": arguments}
        message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
        answer = self.http.post("/mcp", json=message, headers={"mcp-session-id": session or self.session})
        text = answer.text
        return json.loads(next((x[6:] for x in text.splitlines() if x.startswith("data: ")), text))


@contextlib.contextmanager
def served(
    backend: Backend, *, extra_routes: ExtraRoutes | None = None, **limits: Any
) -> Iterator[tuple[Client, Client, str]]:
    """Clients of Ana and Bob, and the server's URL."""
    tokens = {name: {"client_id": name, "sub": name, "scopes": []} for name in ("ana", "bob")}
    tokens["service"] = {"client_id": "service", "sub": "service", "scopes": [ANY_USER_SCOPE]}
    auth = StaticTokenVerifier(tokens)
    app = create_app(backend, auth=auth, limits=Limits(**limits), engine_tools=True, extra_routes=extra_routes)
    with serving(app) as base, contextlib.ExitStack() as clients:
        ana, bob = Client(base, "ana"), Client(base, "bob")
        clients.callback(ana.http.close)
        clients.callback(bob.http.close)
        yield ana, bob, base


@pytest.fixture
def backend() -> Iterator[Backend]:
    with connect("sqlite://", embedder=HashEmbedder()) as backend:
        yield backend


class TestCalls:
    def test_over_the_key_value_api(self, backend: Backend) -> None:
        with served(backend, calls_per_minute=5) as (ana, bob, _):
            answers = [ana.http.get("/memory/n") for _ in range(6)]
            assert [answer.status_code for answer in answers] == [200] * 5 + [429]
            assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
            assert answers[-1].json()["error"]["type"] == "TooManyCallsError"
            assert bob.http.get("/memory/n").status_code == 200
            assert ana.http.get("/health").status_code == 200

    def test_over_mcp_with_an_error_object(self, backend: Backend) -> None:
        with served(backend, calls_per_minute=12) as (ana, bob, _):
            ana.initialize()
            assert "result" in ana.call("get_preferences")
            assert "result" in ana.call("get_preferences")
            # The third, or a later one: every five seconds one more is allowed.
            refused = next(filter(lambda answer: "error" in answer, iter(lambda: ana.call("get_preferences"), None)))
            assert (refused["id"], refused["error"]["code"]) == (7, -32029)
            assert refused["error"]["data"]["retry_after"] >= 1
            assert "12 a minute" in refused["error"]["message"]
            bob.initialize()
            assert "result" in bob.call("get_preferences")

    def test_notifications_and_the_end_of_a_session_are_never_refused(self, backend: Backend) -> None:
        with served(backend, calls_per_minute=10) as (ana, _, _base):
            ana.initialize()
            headers = {"mcp-session-id": ana.session}
            initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
            assert ana.http.post("/mcp", json=initialized, headers=headers).status_code == 202
            large = {"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "x" * 1_000_000}}
            refused = ana.http.post("/mcp", json=large, headers=headers).json()
            assert (refused["id"], refused["error"]["code"]) == (9, -32029)
            assert ana.http.delete("/mcp", headers=headers).status_code == 200

    def test_over_sse_the_error_is_on_the_stream(self, backend: Backend) -> None:
        async def repeat(client: FastMCPClient[SSETransport]) -> None:
            for _ in range(10):
                await client.call_tool("get_preferences", {})

        async def calls(base: str) -> None:
            async with FastMCPClient(SSETransport(f"{base}/sse", auth="ana")) as client:
                with pytest.raises(McpError, match="Too many calls"):
                    await repeat(client)

        with served(backend, calls_per_minute=15) as (_, _bob, base):
            anyio.run(calls, base)

    def test_streams_of_one_user_leave_connections_to_others(self, backend: Backend) -> None:
        with served(backend, connections_per_address=8) as (ana, bob, _), contextlib.ExitStack() as streams:
            statuses = [streams.enter_context(ana.http.stream("GET", "/sse")).status_code for _ in range(6)]
            assert statuses == [200] * 4 + [429] * 2
            assert bob.http.get("/memory/n").status_code == 200

    def test_a_service_makes_ten_times_as_many(self, backend: Backend) -> None:
        with served(backend, calls_per_minute=1) as (_, _bob, base):
            service = Client(base, "service")
            statuses = [service.http.get("/users/ana/memory/n").status_code for _ in range(11)]
            service.http.close()
            assert statuses == [200] * 10 + [429]

    def test_bad_tokens_take_nothing_from_anybody(self, backend: Backend) -> None:
        with served(backend, calls_per_minute=3) as (ana, _, base):
            stranger = Client(base, "wrong")
            assert {stranger.http.get("/memory/n").status_code for _ in range(10)} == {401}
            stranger.http.close()
            assert ana.http.get("/memory/n").status_code == 200

    def test_our_client_waits(self, backend: Backend) -> None:
        # One a second, after the first sixty.
        with (
            served(backend, calls_per_minute=71) as (_, _bob, base),
            connect(f"{base}/mcp", token="ana") as remote,
        ):
            started = time.monotonic()
            for number in range(60):
                remote.user("ana").state("n")[f"k{number}"] = number
            assert time.monotonic() - started > 0.5
        assert len(backend.user("ana").state("n")) == 60

    def test_our_client_says_so_if_it_cannot_wait(self, backend: Backend) -> None:
        with served(backend, calls_per_minute=10) as (ana, _, base):
            ana.initialize()
            engine = RemoteEngine(f"{base}/mcp", token="ana", timeout=4)
            with pytest.raises(BackendUnavailableError, match="Too many calls"):
                engine.call("info", {})
            engine.close()


class TestCallsInFlight:
    def test_one_user_takes_not_every_thread(self, backend: Backend) -> None:
        gate, waiting = threading.Event(), list[str]()

        def wait(user: str) -> None:
            waiting.append(user)
            assert gate.wait(60)

        async def work(request: Request) -> Response:
            user = request.headers["authorization"]
            await in_thread(functools.partial(wait, user) if user.endswith("bob") else time.monotonic, "llm")
            return Response("done")

        routes = [Route("/work", work)]
        with served(backend, extra_routes=lambda _: routes) as (ana, bob, _):
            threads = [threading.Thread(target=bob.http.get, args=("/work",)) for _ in range(40)]
            for thread in threads:
                thread.start()
            try:
                deadline = time.monotonic() + 60
                while len(waiting) < 5:
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                time.sleep(0.3)
                assert len(waiting) == 5
                assert ana.http.get("/work").text == "done"
            finally:
                gate.set()
                for thread in threads:
                    thread.join(60)
            assert len(waiting) == 40

    def test_too_many_at_the_same_time(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("memweld.mcp.budget._WAIT_SECONDS", 0.3)
        gate, waiting = threading.Event(), list[int]()

        async def work(_: Request) -> Response:
            waiting.append(1)
            await in_thread(lambda: gate.wait(60))
            return Response("done")

        routes = [Route("/work", work)]
        with served(backend, extra_routes=lambda _: routes, calls_in_flight=2) as (ana, bob, _):
            ana.initialize()
            bob.initialize()
            threads = [threading.Thread(target=bob.http.get, args=("/work",)) for _ in range(2)]
            for thread in threads:
                thread.start()
            try:
                deadline = time.monotonic() + 60
                while len(waiting) < 2:
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                assert "at the same time" in bob.call("get_preferences")["error"]["message"]
                assert bob.http.get("/memory/n").status_code == 429
                assert "result" in ana.call("get_preferences")
            finally:
                gate.set()
                for thread in threads:
                    thread.join(60)
            assert "result" in bob.call("get_preferences")

    def test_large_bodies_that_were_read_hold_up_no_other(self, backend: Backend) -> None:
        gate, waiting = threading.Event(), list[int]()

        async def work(request: Request) -> Response:
            waiting.append(len(await request.body()))
            await in_thread(lambda: gate.wait(60))
            return Response("done")

        routes = [Route("/work", work, methods=["POST"])]
        with served(backend, extra_routes=lambda _: routes) as (_, bob, _base):
            post = functools.partial(bob.http.post, "/work", content=b"x" * 600_000)
            threads = [threading.Thread(target=post) for _ in range(4)]
            for thread in threads:
                thread.start()
            try:
                deadline = time.monotonic() + 60
                while len(waiting) < 4:
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
            finally:
                gate.set()
                for thread in threads:
                    thread.join(60)


class TestSessions:
    def test_one_more_ends_the_one_that_was_idle_longest(self, backend: Backend) -> None:
        with served(backend, sessions=3) as (ana, bob, _):
            bob.initialize()
            sessions: list[str] = []
            for _ in range(3):
                ana.initialize()
                sessions.append(ana.session)
            assert "result" in ana.call("get_preferences", session=sessions[0])
            ana.initialize()
            while "result" in ana.call("get_preferences", session=sessions[1]):
                time.sleep(0.02)
            assert all("result" in ana.call("get_preferences", session=each) for each in (sessions[0], ana.session))
            assert "result" in ana.call("get_preferences", session=sessions[2])
            assert "result" in bob.call("get_preferences")

    def test_one_over_sse_costs_ten_calls_too(self, backend: Backend) -> None:
        with served(backend, calls_per_minute=15) as (ana, bob, _), contextlib.ExitStack() as streams:
            for _ in range(2):
                assert streams.enter_context(ana.http.stream("GET", "/sse")).status_code == 200
            assert ana.http.get("/memory/n/k").status_code == 429
            assert bob.http.get("/memory/n/k").status_code == 404

    def test_our_client_goes_on_in_a_new_session(self, backend: Backend) -> None:
        with served(backend, sessions=1) as (ana, _, base), connect(f"{base}/mcp", token="ana") as remote:
            remote.user("ana").state("n")["k"] = 1
            ana.initialize()
            time.sleep(0.2)
            assert remote.user("ana").state("n")["k"] == 1

    @pytest.mark.exhaustive
    def test_thousands_of_sessions_lock_nobody_out(self, backend: Backend) -> None:
        with served(backend, calls_per_minute=1_000_000) as (ana, bob, _):
            assert {ana.initialize().status_code for _ in range(2_000)} == {200}
            assert bob.initialize().status_code == 200
            assert "result" in bob.call("get_preferences")


def dropped(text: str) -> dict[str, Any]:
    """A step of a receipt, by which somebody would add a memory."""
    times = dict.fromkeys(("created_at", "updated_at"), "2026-01-01T00:00:00Z")
    return {
        "kind": "drop_versions",
        "reason": "",
        "changes": [{"before": {"id": "forged", "text": text, "user_id": "ana", "agent_id": "cook", **times}}],
    }


class TestBytes:
    def test_nothing_is_added_above_the_limit(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("memweld.mcp.quota._COUNT_AGAIN_SECONDS", 0)
        with served(backend, bytes_kept=24_000) as (ana, bob, base):
            ana.initialize()
            bob.initialize()
            text = "x" * 9_000
            for key in ("a", "b"):
                assert ana.http.put(f"/memory/n/{key}", json={"value": text}).status_code == 200
            refused = ana.http.put("/memory/n/c", json={"value": text})
            assert refused.status_code == 403
            assert "the limit of this server is 24,000" in refused.json()["error"]["message"]
            message = [{"role": "user", "content": text}]
            assert "Delete something first" in ana.call("add_memory", messages=message)["error"]["data"]["details"]
            with connect(f"{base}/mcp", token="ana") as remote:
                memory = remote.user("ana", agent_id="cook")
                receipt = {"made_at": "2026-01-01T00:00:00Z", "done": [dropped(text)]}
                for add in (
                    lambda: memory.add(text),
                    lambda: memory.preferences.set("k", text),
                    lambda: memory.state("other").set("k", text),
                    lambda: memory.history("s").add_user_message(text),
                    lambda: memory.undo(receipt),
                ):
                    with pytest.raises(AccessDeniedError, match="keeps"):
                        add()
            # Others write, and Ana reads and deletes.
            assert bob.http.put("/memory/n/c", json={"value": text}).status_code == 200
            assert ana.http.get("/memory/n/a").json()["value"] == text
            assert ana.http.delete("/memory/n/a").status_code == 200
            assert ana.http.put("/memory/n/c", json={"value": "y"}).status_code == 200

    @pytest.mark.parametrize(
        "value", [list(range(2_000)), [0.5] * 2_000, ["é"] * 2_000, {str(n): None for n in range(2_000)}]
    )
    def test_every_kind_of_value_counts(self, backend: Backend, value: Any) -> None:
        # All within one count of the database.
        with served(backend, bytes_kept=100_000) as (ana, _, _base):
            statuses = [ana.http.put(f"/memory/n/{key}", json={"value": value}).status_code for key in range(12)]
            assert statuses[0] == 200
            assert statuses[-1] == 403

    def test_rows_count(self, backend: Backend) -> None:
        with served(backend, bytes_kept=50_000) as (_, _bob, base), connect(f"{base}/mcp", token="ana") as remote:
            messages = [{"role": "user", "content": "x"}] * 100
            with pytest.raises(AccessDeniedError, match="keeps"):
                remote.user("ana").history("s").append(messages)

    def test_a_program_on_its_own_has_no_limit(self, backend: Backend) -> None:
        with served(backend, bytes_kept=1_000):
            backend.user("ana").state("n")["k"] = "x" * 9_000
            assert len(backend.user("ana").state("n")["k"]) == 9_000


class TestTheWriteLock:
    @pytest.mark.exhaustive
    def test_restores_and_erasures_of_one_user_let_others_write(self, tmp_path: Path) -> None:
        at = "2026-01-01T00:00:00Z"
        stop, restored, erased = threading.Event(), list[bool](), list[bool]()
        with (
            connect(tmp_path / "m.db", embedder=HashEmbedder()) as backend,
            served(backend, calls_per_minute=1_000_000) as (ana, _, base),
        ):

            def write_much(number: int) -> None:
                client = Client(base, "bob")
                client.initialize()
                while not stop.is_set():
                    items = [
                        {"id": f"{number}.{row}", "text": f"text {number} {row}", "created_at": at, "updated_at": at}
                        for row in range(2_000)
                    ]
                    # An erasure ends the restores that are under way.
                    restored.append("result" in client.call("engine_restore", user_id="bob", data={"items": items}))
                    erased.append("result" in client.call("engine_erase", user_id="bob"))
                client.http.close()

            threads = [threading.Thread(target=write_much, args=(number,)) for number in range(6)]
            for thread in threads:
                thread.start()
            try:
                until = time.monotonic() + 15
                worst = 0.0
                while time.monotonic() < until:
                    started = time.monotonic()
                    assert ana.http.put("/memory/n/k", json={"value": 1}).status_code == 200
                    worst = max(worst, time.monotonic() - started)
            finally:
                stop.set()
                for thread in threads:
                    thread.join(60)
            assert worst < 15
            assert any(restored)
            assert all(erased)


def test_a_limit_is_positive() -> None:
    with pytest.raises(InvalidInputError, match="calls_per_minute"):
        Limits(calls_per_minute=0)
