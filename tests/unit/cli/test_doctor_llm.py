"""``memweld doctor`` asks the LLM once, over the wire that real models answer on."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner

from memweld.cli import app
from memweld.testing import facts

KEY = "sk-s3cret-0123456789abcdef"


class Provider:
    """A server with OpenAI's protocol, which gives each request the same answer."""

    status = 200
    answer = ""
    requests: list[Any]

    def __init__(self) -> None:
        self.requests = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                provider.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                message = {"role": "assistant", "content": provider.answer}
                body: dict[str, Any] = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
                body["choices"] = [{"index": 0, "finish_reason": "stop", "message": message}]
                if provider.status != 200:
                    body = {"error": {"message": provider.answer, "type": "error", "code": "error"}}
                data = json.dumps(body).encode()
                self.send_response(provider.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    found = Provider()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{found.server.server_port}/v1")
    monkeypatch.setenv("MEMWELD_LLM", "openai:gpt-4o-mini")
    yield found
    found.server.shutdown()
    found.server.server_close()


def doctor() -> str:
    return " ".join(CliRunner().invoke(app, ["doctor", "--url", "sqlite://"], catch_exceptions=False).stdout.split())


def test_an_llm_that_answers(provider: Provider) -> None:
    provider.answer = facts("Ana lives in Lisbon.")
    assert "openai:gpt-4o-mini extracts 'Ana lives in Lisbon.'" in doctor()
    (request,) = provider.requests
    assert request["response_format"] == {"type": "json_object"}


@pytest.mark.parametrize(
    ("status", "answer", "expected"),
    [
        (401, f"Incorrect API key provided: {KEY}", "(401, the provider refuses the key; check it)"),
        (404, "The model `gpt-4o-mini` does not exist", "(404, there is no such model at this address;"),
        (400, "This model's maximum context length is 512 tokens", "(400, the prompt is too long for the context"),
        (200, "I cannot do that.", "the LLM's answer is not JSON"),
        (200, facts(), "finds no fact in 'My name is Ana"),
    ],
)
def test_an_llm_that_does_not(provider: Provider, status: int, answer: str, expected: str) -> None:
    provider.status, provider.answer = status, answer
    report = doctor()
    assert expected in report
    assert "1 problem(s) found." in report
    assert KEY not in report
