"""OpenTelemetry: one span for each operation, joined to the caller's trace on every way, without names and texts."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from mcp.shared.exceptions import McpError
from mcp_servers import environment
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import memweld
from memweld import Backend, MemoryNotFoundError
from memweld.mcp import create_app, token_file_auth
from memweld.testing import HashEmbedder
from memweld.testing.serving import serving

CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
CANARY = "canary4711"

Spans = Callable[[], list[ReadableSpan]]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    """The spans that have ended since the last call, in a program that has set a provider."""
    monkeypatch.delenv("OTEL_SDK_DISABLED")
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)

    def finished() -> list[ReadableSpan]:
        found = list(exporter.get_finished_spans())
        exporter.clear()
        return found

    return finished


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    with memweld.connect(f"sqlite:///{tmp_path / 'm.db'}", embedder=HashEmbedder()) as backend:
        yield backend


def named(found: list[ReadableSpan], name: str) -> ReadableSpan:
    (one,) = [each for each in found if each.name == name]
    return one


def attributes(one: ReadableSpan) -> dict[str, Any]:
    return dict(one.attributes or {})


def trace_of(one: ReadableSpan) -> int:
    assert one.context is not None
    return one.context.trace_id


def parent_of(one: ReadableSpan) -> int:
    assert one.parent is not None, one.name
    return one.parent.span_id


def id_of(one: ReadableSpan) -> int:
    assert one.context is not None
    return one.context.span_id


def test_redacted_texts_are_redacted_on_spans(monkeypatch: pytest.MonkeyPatch, spans: Spans) -> None:
    monkeypatch.setenv(CONTENT, "true")
    with memweld.connect("sqlite://", redact="secrets") as backend:
        backend.user("ana").add("my card is 4111 1111 1111 1111")
        backend.user("ana").search("who has 4111 1111 1111 1111?")
    found = [attributes(one) for one in spans() if not one.name.startswith("memweld.")]
    assert "my card is [redacted: card number]" in found[0]["gen_ai.memory.records"]
    assert found[1]["gen_ai.memory.query.text"] == "who has [redacted: card number]?"
    assert "1111 1111" not in str(found)


def test_operations_have_the_names_of_the_conventions(backend: Backend, spans: Spans) -> None:
    ana = backend.user("ana")
    messages = [{"role": "user", "content": text} for text in ("I live in Porto", "I drink tea")]
    (item, *_) = ana.add(messages)
    ana.search("Porto", limit=1)
    ana.update(item.id, "I live in Lisbon")
    ana.preferences.set("theme", "dark")
    ana.delete(item.id)
    ana.clear()
    ana.state("trip")["step"] = 1
    found = [one for one in spans() if not one.name.startswith("memweld.")]
    assert [one.name for one in found] == [
        "create_memory",
        "search_memory",
        "update_memory",
        "upsert_memory",
        "delete_memory",
        "delete_memory",
    ]
    for one in found:
        assert one.kind is trace.SpanKind.INTERNAL
        assert attributes(one)["gen_ai.operation.name"] == one.name
        assert attributes(one)["gen_ai.memory.store.id"] == backend.url
        assert one.status.is_unset
    assert [attributes(one)["gen_ai.memory.record.count"] for one in found] == [2, 1, 1, 1, 1, 2]
    assert [attributes(one).get("gen_ai.memory.record.id") for one in found[2:5:2]] == [item.id, item.id]


def test_other_operations_have_names_of_their_own(backend: Backend, spans: Spans) -> None:
    backend.user("ana").state("trip")["step"] = 1
    (one,) = spans()
    assert one.name == "memweld.put_value"
    assert attributes(one)["memweld.operation.name"] == "put_value"
    assert "gen_ai.operation.name" not in attributes(one)


def test_no_span_has_a_name_or_a_text(backend: Backend, spans: Spans, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the operation fails with an error that quotes them; texts follow from the standard variable alone."""
    ana = backend.user(f"ana-{CANARY}", agent_id=f"chef-{CANARY}")
    ana.add(f"I like {CANARY}", session_id=CANARY, metadata={"note": CANARY})
    ana.search(CANARY, session_id=CANARY)
    ana.history(CANARY).append({"role": "user", "content": CANARY})
    ana.state(CANARY)[CANARY] = CANARY
    with pytest.raises(MemoryNotFoundError):
        ana.get(f"mem_{CANARY}")
    found = spans()
    assert len(found) >= 5
    assert CANARY not in "".join(one.to_json() for one in found)
    failed = named(found, "memweld.get_item")
    assert failed.status.status_code is trace.StatusCode.ERROR
    assert attributes(failed)["error.type"] == "MemoryNotFoundError"

    monkeypatch.setenv(CONTENT, "NO_CONTENT")
    ana.search(CANARY)
    assert CANARY not in "".join(one.to_json() for one in spans())
    monkeypatch.setenv(CONTENT, "SPAN_ONLY")
    (hit,) = ana.search(CANARY)
    (one,) = spans()
    assert attributes(one)["gen_ai.memory.query.text"] == CANARY
    assert json.loads(attributes(one)["gen_ai.memory.records"]) == [
        {"id": hit.id, "content": f"I like {CANARY}", "score": hit.score}
    ]


async def test_async_calls_join_the_caller(backend: Backend, spans: Spans) -> None:
    """Each in its own lane of threads, also where they run at the same time."""
    ana = backend.user("ana").aio
    tracer = trace.get_tracer("program")

    async def turn(number: int) -> int:
        with tracer.start_as_current_span(f"turn {number}") as current:
            await asyncio.gather(ana.add(f"fact {number}"), ana.search("fact"))
            return current.get_span_context().span_id

    turns = await asyncio.gather(*(turn(number) for number in range(4)))
    found = spans()
    for name in ("create_memory", "search_memory"):
        assert sorted(parent_of(one) for one in found if one.name == name) == sorted(turns)


def test_a_capture_in_the_background_is_linked_to_its_turn(backend: Backend, spans: Spans) -> None:
    with trace.get_tracer("program").start_as_current_span("turn") as turn:
        backend.user("ana").capture([{"role": "user", "content": "I live in Porto"}], session_id="s", background=True)
    assert backend.flush(20)
    found = spans()
    captured = named(found, "memweld.capture")
    assert captured.parent is None
    assert trace_of(captured) != turn.get_span_context().trace_id
    assert [link.context.span_id for link in captured.links] == [turn.get_span_context().span_id]
    assert parent_of(named(found, "create_memory")) == id_of(captured)
    assert parent_of(named(found, "memweld.append_messages")) == turn.get_span_context().span_id


def tokens(folder: Path) -> Path:
    file = folder / "tokens.json"
    scopes = ["memory:engine"]
    file.write_text(json.dumps({"token-of-ana": {"sub": f"ana-{CANARY}", "scopes": scopes}}))
    file.chmod(0o600)
    return file


def test_a_remote_backend_is_one_trace(backend: Backend, spans: Spans, tmp_path: Path) -> None:
    """Of one session whose calls belong to different traces; no span of the server names the user of the token."""
    app = create_app(backend, auth=token_file_auth(tokens(tmp_path)))
    tracer = trace.get_tracer("program")
    with serving(app) as url, memweld.connect(f"{url}/mcp", token="token-of-ana") as remote:
        ana = remote.user(f"ana-{CANARY}")
        for number in range(2):
            with tracer.start_as_current_span("turn") as turn:
                ana.add(f"fact {number}")
            found = spans()
            client, server = [one for one in found if one.name == "create_memory"][::-1]
            call = named(found, "tools/call engine_add_items")
            assert (client.kind, call.kind, server.kind) == (
                trace.SpanKind.CLIENT,
                trace.SpanKind.SERVER,
                trace.SpanKind.INTERNAL,
            )
            assert attributes(client)["server.port"] == int(url.rpartition(":")[2])
            assert parent_of(client) == turn.get_span_context().span_id
            assert parent_of(call) == id_of(client)
            assert parent_of(server) == id_of(call)
            assert {trace_of(one) for one in found} == {turn.get_span_context().trace_id}
            assert CANARY not in "".join(one.to_json() for one in found)


async def test_a_call_of_any_client_joins_its_trace(backend: Backend, spans: Spans, tmp_path: Path) -> None:
    """A failed one says no more than the type of its error."""
    app = create_app(backend, auth=token_file_auth(tokens(tmp_path)))
    with serving(app) as url:
        async with Client(f"{url}/mcp", auth=BearerAuth("token-of-ana")) as client:
            await client.list_tools()
            await client.call_tool("search_memories", {"query": CANARY})
            with pytest.raises(McpError):
                await client.call_tool("get_memory", {"memory_id": CANARY})
    found = spans()
    search, failed = (
        named([one for one in found if one.kind is trace.SpanKind.SERVER], f"tools/call {tool}")
        for tool in ("search_memories", "get_memory")
    )
    calls = {id_of(one) for one in found if one.kind is trace.SpanKind.CLIENT and one.name.startswith("tools/call ")}
    assert {parent_of(search), parent_of(failed)} == calls
    assert parent_of(named(found, "search_memory")) == id_of(search)
    assert (failed.status.status_code, failed.status.description) == (trace.StatusCode.ERROR, None)
    assert attributes(failed)["error.type"] == "MemoryNotFoundError"
    # FastMCP's client tells what a server answers.
    assert CANARY not in "".join(one.to_json() for one in found if one.kind is not trace.SpanKind.CLIENT)


def test_the_message_says_which_trace_before_its_request_does(backend: Backend, spans: Spans) -> None:
    first, second = f"00-{'11' * 16}-{'aa' * 8}-01", f"00-{'22' * 16}-{'bb' * 8}-01"
    call: dict[str, Any] = {"name": "get_preferences", "arguments": {"user_id": "ana"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {"Accept": "application/json, text/event-stream", "traceparent": second}
    with serving(create_app(backend, stateless=True)) as url:
        for meta, wanted in (({}, second), ({"traceparent": first}, first), ({"traceparent": 5}, second)):
            call["_meta"] = meta
            assert httpx.post(f"{url}/mcp", json=message, headers=headers).status_code == 200
            one = named(spans(), "tools/call get_preferences")
            assert f"00-{trace_of(one):032x}-{parent_of(one):016x}-01" == wanted


def test_a_request_joins_the_trace_of_its_headers(backend: Backend, spans: Spans) -> None:
    headers = {"traceparent": f"00-{'22' * 16}-{'bb' * 8}-01"}
    with serving(create_app(backend)) as url:
        path = f"{url}/users/{CANARY}/memory/{CANARY}"
        answer = httpx.put(f"{path}/step", json={"value": CANARY}, headers=headers)
        missing = httpx.get(f"{path}/other", headers=headers)
    assert (answer.status_code, missing.status_code) == (200, 404)
    found = spans()
    put, get = named(found, "PUT /users"), named(found, "GET /users")
    assert (trace_of(put), parent_of(put)) == (int("22" * 16, 16), int("bb" * 8, 16))
    assert parent_of(named(found, "memweld.put_value")) == id_of(put)
    assert (attributes(put)["http.response.status_code"], attributes(get)["http.response.status_code"]) == (200, 404)
    assert get.status.is_unset
    assert CANARY not in "".join(one.to_json() for one in found)


@pytest.mark.parametrize("sent", ["", "00-zz-yy-01", f"00-{'0' * 32}-{'0' * 16}-01", "x" * 20_000, "00-" + "é" * 8])
def test_a_broken_trace_context_is_passed_over(backend: Backend, spans: Spans, sent: str) -> None:
    with serving(create_app(backend)) as url:
        header = [(b"traceparent", sent.encode())]
        answer = httpx.put(f"{url}/users/ana/memory/trip/step", json={"value": 1}, headers=header)
        assert answer.status_code == 200
    assert named(spans(), "PUT /users").parent is None


SERVER = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from memweld.cli import app
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=open(sys.argv.pop(1), "w"))))
trace.set_tracer_provider(provider)
app()
"""


def test_a_server_process_over_stdio_joins_its_client(spans: Spans, tmp_path: Path) -> None:
    script, exported = tmp_path / "server.py", tmp_path / "spans.txt"
    script.write_text(SERVER)
    url = f"stdio:{sys.executable} {script} {exported} serve --url sqlite:///{tmp_path / 'm.db'} --engine-tools"
    with memweld.connect(url) as remote, trace.get_tracer("program").start_as_current_span("turn") as turn:
        remote.user("ana").state("trip")["step"] = 1
    wanted = f"0x{turn.get_span_context().trace_id:032x}"
    text = exported.read_text()
    assert '"name": "tools/call engine_put_value"' in text
    assert '"name": "memweld.put_value"' in text
    client = named(spans(), "memweld.put_value")
    assert f'"parent_id": "0x{id_of(client):016x}"' in text
    assert text.count(wanted) >= 2


def test_nothing_is_imported_for_programs_without_traces(tmp_path: Path) -> None:
    code = (
        "import sys, memweld; from memweld.testing import HashEmbedder\n"
        f"ana = memweld.connect('sqlite:///{tmp_path / 'm.db'}', embedder=HashEmbedder()).user('ana')\n"
        "ana.add('I live in Porto'); ana.search('Porto'); ana.capture('I like tea', background=True)\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, env=environment(), timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr
    assert os.environ.get("OTEL_SDK_DISABLED") == "true"
