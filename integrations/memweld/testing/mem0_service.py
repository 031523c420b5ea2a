"""A local imitation of mem0's hosted service: the endpoints that ``mem0.MemoryClient`` 2.2 calls, in RAM.

It follows the client's source, not the service. So it tests neither the real service's answers, nor how soon it finds
new memories, nor what it keeps.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

__all__ = ["Mem0Service", "serve_mem0"]

_WORD = re.compile(r"\w+")


@dataclass
class Mem0Service:
    """The state of the imitated service.

    Attributes:
        key: The accepted API key.
        memories: The memories by the service's ids.
        arriving: Accepted memories that no request finds before `settle`.
        slow: Whether added memories wait for `settle`.
        down: Whether the service answers every request with 503.
        requests: Method and path of each request.
    """

    key: str = "m0-test"
    memories: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    arriving: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    slow: bool = False
    down: bool = False
    requests: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def settle(self) -> None:
        """Make the accepted memories findable."""
        with self.lock:
            self.memories |= self.arriving
            self.arriving = {}

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any) -> tuple[int, Any]:
        """Status and JSON for one request."""
        with self.lock:
            self.requests.append((method, path))
            if self.down:
                return 503, {"detail": "The service is down"}
            if path == "/v1/ping/":
                return 200, {"status": "ok", "org_id": "org", "project_id": "project", "user_email": None}
            if path == "/v3/memories/add/":
                return 200, self._add(body)
            if path == "/v3/memories/search/":
                return 200, self._search(body)
            if path == "/v3/memories/":
                return 200, self._page(body, query)
            return self._one(method, path, body)

    def _add(self, body: Mapping[str, Any]) -> dict[str, Any]:
        for message in body["messages"]:
            memory = {name: body.get(name) for name in ("user_id", "agent_id", "metadata")}
            target = self.arriving if self.slow else self.memories
            target[str(uuid.uuid4())] = {**memory, "memory": message["content"]}
        return {"message": "Memory processing has been queued", "status": "PENDING", "event_id": str(uuid.uuid4())}

    def _search(self, body: Mapping[str, Any]) -> dict[str, Any]:
        asked = set(_WORD.findall(body["query"].lower()))
        found: list[dict[str, Any]] = []
        for each in self._matching(body.get("filters") or {}):
            words = set(_WORD.findall(each["memory"].lower()))
            found.append({**each, "score": len(asked & words) / (len(asked | words) or 1)})
        found = [each for each in found if each["score"] >= body.get("threshold", 0.1)]
        return {"results": sorted(found, key=lambda each: -each["score"])[: body.get("top_k", 10)]}

    def _page(self, body: Mapping[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
        found = self._matching(body.get("filters") or {})
        page, size = int(query.get("page", 1)), int(query.get("page_size", 100))
        more = len(found) > page * size
        return {
            "count": len(found),
            "next": "next" if more else None,
            "previous": None,
            "results": found[(page - 1) * size : page * size],
        }

    def _one(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        matched = re.fullmatch(r"/v1/memories/([^/]{1,200})/", path)
        memory = "" if matched is None else str(matched.group(1))
        if memory not in self.memories:
            return 404, {"detail": "Memory not found!"}
        if method == "DELETE":
            del self.memories[memory]
            return 200, {"message": "Memory deleted successfully!"}
        if method == "PUT":
            changes = {"memory" if name == "text" else str(name): value for name, value in body.items()}
            self.memories[memory] |= changes
        return 200, {"id": memory, **self.memories[memory]}

    def _matching(self, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
        conditions = [*filters.get("AND", []), *({name: value} for name, value in filters.items() if name != "AND")]
        return [
            {"id": each, **memory}
            for each, memory in self.memories.items()
            if all(_fits(memory, condition) for condition in conditions)
        ]


def _fits(memory: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
    for name, required in condition.items():
        stored = memory.get(name)
        if isinstance(required, dict):
            data = cast("dict[str, Any]", stored or {})
            if any(data.get(key) != value for key, value in cast("dict[str, Any]", required).items()):
                return False
        elif required not in ("*", stored):
            return False
    return True


@contextmanager
def serve_mem0(service: Mem0Service) -> Generator[str]:
    """The service on a free port of the loopback interface; its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet an answer: two would wait for each other
        disable_nagle_algorithm = True

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            if self.headers.get("Authorization") != f"Token {service.key}":
                status, answer = 401, {"detail": "Invalid API key"}
            else:
                status, answer = service.answer(self.command, url.path, query, json.loads(body) if body else None)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - the names of the base class

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
