"""Examples with the documented setting for a real model, against a server that speaks OpenAI's protocol."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


class Model(BaseHTTPRequestHandler):
    """Answers every request for a chat completion with the same sentence."""

    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append(body)
        message = {"role": "assistant", "content": "A real model says so."}
        answer = {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def environment() -> Iterator[tuple[dict[str, str], list[dict[str, Any]]]]:
    """Variables that name the model's server, and the requests that it gets."""
    asked: list[dict[str, Any]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Served", (Model,), {"asked": asked}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    own = {name: value for name, value in os.environ.items() if not name.startswith("MEMWELD_")}
    named = {
        "MEMWELD_EXAMPLE_MODEL": "openai:gpt-5.5",
        "OPENAI_API_KEY": "sk-none",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1",
        "CREWAI_DISABLE_TELEMETRY": "true",
        "OTEL_SDK_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }
    yield own | named, asked
    server.shutdown()
    server.server_close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one_conversation"])
@pytest.mark.exhaustive
def test_every_framework_takes_the_documented_name(name: str, environment: tuple[dict[str, str], Any]) -> None:
    variables, asked = environment
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        env=variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("A real model says so.") >= 4
    assert {request["model"] for request in asked} == {"gpt-5.5"}
