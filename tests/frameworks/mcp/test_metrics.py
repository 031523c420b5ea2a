"""`/metrics` and `/health`: numbers with bounded labels for those who may see them, and whether calls are served."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastmcp import Client
from mcp.shared.exceptions import McpError
from prometheus_client.parser import text_string_to_metric_families

import memweld
from memweld import Backend
from memweld.engine.protocol import EngineAdmin
from memweld.errors import BackendUnavailableError
from memweld.mcp import Limits, create_app, create_server, token_file_auth
from memweld.testing import HashEmbedder
from memweld.testing.serving import serving

CANARY = "canary4711"
Samples = dict[tuple[str, ...], float]


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    with memweld.connect(f"sqlite:///{tmp_path / 'm.db'}", embedder=HashEmbedder()) as backend:
        yield backend


def tokens(folder: Path) -> Path:
    file = folder / "tokens.json"
    scopes = {"ana": [], "prometheus": ["memory:metrics", "memory:read"]}
    file.write_text(json.dumps({f"token-of-{name}": {"sub": name, "scopes": each} for name, each in scopes.items()}))
    file.chmod(0o600)
    return file


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer token-of-{name}"}


def scrape(url: str, **headers: str) -> Samples:
    answer = httpx.get(f"{url}/metrics", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_calls_are_counted_by_tool_and_outcome(backend: Backend) -> None:
    with serving(create_app(backend, metrics=True)) as url:
        async with Client(f"{url}/mcp") as client:
            await client.call_tool("add_memory", {"messages": [{"role": "user", "content": "x"}], "user_id": "ana"})
            await client.call_tool("search_memories", {"query": "x", "user_id": "ana"})
            with pytest.raises(McpError):
                await client.call_tool("get_memory", {"memory_id": "mem_none"})
            httpx.put(f"{url}/users/ana/memory/trip/step", json={"value": 1})
            httpx.get(f"{url}/users/ana/memory/trip/none")
            found = scrape(url)
    calls = {key[1:]: value for key, value in found.items() if key[0] == "memweld_calls_total"}
    assert calls == {
        ("add_memory", "ok", "mcp"): 1,
        ("search_memories", "ok", "mcp"): 1,
        ("get_memory", "MemoryNotFoundError", "mcp"): 1,
        ("PUT /users", "ok", "rest"): 1,
        ("GET /users", "404", "rest"): 1,
    }
    assert found["memweld_call_seconds_count", "search_memories", "mcp"] == 1
    assert found["memweld_info", memweld.__version__] == 1
    assert found["memweld_sessions",] == 1
    assert found["memweld_store_up",] == 1
    assert found["memweld_index_bytes",] > 0
    assert found["memweld_waiting_changes", "graph"] == 0
    assert found["memweld_captures_waiting",] == 0
    assert found["process_resident_memory_bytes",] > 1_000_000


async def test_no_client_makes_up_a_label(backend: Backend) -> None:
    """Whatever it names: users, tools, paths, methods, keys, or the class of an error."""
    server = create_server(backend, metrics=True, limits=Limits(calls_per_minute=100_000))

    @server.tool
    def mine(name: str) -> str:
        raise type(name, (Exception,), {})

    with serving(server.http_app()) as url:
        async with Client(f"{url}/mcp") as client:
            for number in range(15):
                name = f"{CANARY}{number}"
                for tool, arguments in (
                    (name, {}),
                    (f"engine_{name}", {}),
                    ("mine", {"name": name}),
                    ("get_memory", {"memory_id": name, "user_id": name}),
                ):
                    with pytest.raises(McpError):
                        await client.call_tool(tool, arguments)
                httpx.get(f"{url}/memory/{name}/{name}", params={name: name})
                httpx.request(name, f"{url}/users/{name}/memory/{name}/{name}", headers={name: name})
                httpx.get(f"{url}/{name}")
            text = httpx.get(f"{url}/metrics").text
    assert CANARY not in text
    outcomes = [line for line in text.splitlines() if line.startswith("memweld_calls_total")]
    assert len(outcomes) < 10, outcomes


def test_with_tokens_one_needs_its_scope(backend: Backend, tmp_path: Path) -> None:
    app = create_app(backend, auth=token_file_auth(tokens(tmp_path)), metrics=True, limits=Limits(calls_per_minute=60))
    with serving(app) as url:
        for headers, status in ((bearer("ana"), 403), ({}, 401), ({"Authorization": "Bearer no"}, 401)):
            answer = httpx.get(f"{url}/metrics", headers=headers)
            assert answer.status_code == status
            assert "memweld_" not in answer.text
            assert answer.headers["www-authenticate"].startswith("Bearer")
        answers = [httpx.get(f"{url}/memory/n", headers=bearer("ana")).status_code for _ in range(70)]
        assert 429 in answers
        found = scrape(url, **bearer("prometheus"))
    assert found["memweld_refusals_total", "401"] == 2
    assert found["memweld_refusals_total", "403"] == 1
    assert found["memweld_refusals_total", "429"] == answers.count(429)


def test_there_is_none_unless_it_is_asked_for(backend: Backend) -> None:
    with serving(create_app(backend)) as url:
        answer = httpx.get(f"{url}/metrics")
        assert (answer.status_code, answer.json()["error"]["type"]) == (404, "PathNotFoundError")


def test_a_proxy_gets_none_without_tokens(backend: Backend) -> None:
    with serving(create_app(backend, metrics=True)) as url:
        assert httpx.get(f"{url}/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 403


def test_two_servers_count_for_themselves(backend: Backend) -> None:
    with serving(create_app(backend, metrics=True)) as one, serving(create_app(backend, metrics=True)) as other:
        httpx.get(f"{one}/users/ana/memory/n")
        assert scrape(one)["memweld_calls_total", "GET /users", "ok", "rest"] == 1
        assert ("memweld_calls_total", "GET /users", "ok", "rest") not in scrape(other)


class Store(EngineAdmin):
    """A store that answers as a test says."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self.problem: Exception | None = None
        self.asked = 0

    def ping(self) -> None:
        self.asked += 1
        assert self.answers.wait(60)
        if self.problem is not None:
            raise self.problem


def health(url: str, path: str = "/health") -> tuple[int, Any]:
    answer = httpx.get(f"{url}{path}")
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    "problem", [BackendUnavailableError(f"No connection to {CANARY}"), RuntimeError(CANARY), "slow"], ids=str
)
def test_ready_is_more_than_alive(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, problem: Any
) -> None:
    """Strangers are not told why; the log is, once."""
    store = Store()
    monkeypatch.setattr(type(backend._engine), "admin", store)
    monkeypatch.setattr("memweld.mcp.health._SECONDS", 30)
    monkeypatch.setattr("memweld.mcp.health._KEPT_SECONDS", 0.0)
    with serving(create_app(backend, metrics=True)) as url:
        assert (health(url)[0], health(url, "/health/ready")[0], health(url, "/health/live")[0]) == (200, 200, 200)
        if isinstance(problem, Exception):
            store.problem = problem
        else:
            store.answers.clear()
            monkeypatch.setattr("memweld.mcp.health._SECONDS", 0.2)
            monkeypatch.setattr("memweld.mcp.metrics._SECONDS", 0.2)
        for path in ("/health", "/health/ready", "/health"):
            status, body = health(url, path)
            assert (status, body["status"]) == (503, "unavailable")
            assert CANARY not in json.dumps(body)
        assert health(url, "/health/live")[0] == 200
        assert scrape(url)["memweld_store_up",] == 0
        store.problem = None
        store.answers.set()
        monkeypatch.setattr("memweld.mcp.health._SECONDS", 30)
        deadline = time.monotonic() + 60
        while health(url)[0] != 200:
            assert time.monotonic() < deadline
    lines = [record.getMessage() for record in caplog.records if record.name == "memweld.mcp"]
    assert len(lines) == 1
    assert (CANARY in lines[0]) == isinstance(problem, BackendUnavailableError)


def test_many_requests_ask_the_store_once(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    monkeypatch.setattr(type(backend._engine), "admin", store)
    with serving(create_app(backend)) as url, httpx.Client() as client:
        started_at = time.monotonic()
        while store.asked < 2 and time.monotonic() - started_at < 5:
            client.get(f"{url}/health")
        assert time.monotonic() - started_at > 0.9


def test_a_closed_store_is_not_ready(backend: Backend) -> None:
    with serving(create_app(backend)) as url:
        backend.close()
        assert health(url)[0] == 503
        assert health(url, "/health/live")[0] == 200
