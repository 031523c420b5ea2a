"""The MCP server as its clients have it: a process, ``python -m memweld serve``, and the bytes on its stdout."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import McpError
from mcp.types import TextContent
from mcp_servers import INITIALIZE, environment

from memweld import connect

SHAPE = "a message is one JSON-RPC 2.0 object with a method and, for a request, a string or integer id"


def start(*arguments: str, code: str | None = None, **extra: str) -> subprocess.Popen[bytes]:
    command = ["-m", "memweld", "serve", *arguments] if code is None else ["-c", code]
    return subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(**extra),
    )


class Wire:
    """A server process, a line at a time."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def write(self, line: bytes | Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()

    def read(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, line: bytes | Any) -> Any:
        self.write(line)
        return self.read()

    def call(self, name: str, arguments: Any) -> Any:
        params = {"name": name, "arguments": arguments}
        return self.ask({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})

    def end(self) -> tuple[int, bytes]:
        """Close stdin; the exit code and what was written to stderr."""
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    wire = Wire(start("--url", "sqlite://"))
    early = wire.ask({"jsonrpc": "2.0", "id": 0, "method": "tools/list"})
    assert early == {
        "jsonrpc": "2.0",
        "id": 0,
        "error": {
            "code": -32600,
            "message": "Invalid Request: initialize comes first",
            "data": {"type": "InvalidRequestError", "details": "initialize comes first"},
        },
    }
    assert wire.ask({"jsonrpc": "2.0", "id": 0, "method": "ping"}) == {"jsonrpc": "2.0", "id": 0, "result": {}}
    assert wire.ask(INITIALIZE)["result"]["serverInfo"]["name"] == "memweld"
    wire.write({"jsonrpc": "2.0", "method": "notifications/initialized"})
    yield wire
    code, errors = wire.end()
    assert code == 0
    assert b"Traceback" not in errors


def error(request_id: Any, code: int, message: str, kind: str, details: str) -> dict[str, Any]:
    data = {"type": kind, "details": details}
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message, "data": data}}


PARSE = error(None, -32700, "Parse error", "ParseError", "The message is not valid JSON in UTF-8.")


@pytest.mark.parametrize(
    "line",
    [
        b"{bad\n",
        b'{"jsonrpc":"2.0","id":1,"method":\n',
        b'{"jsonrpc":"2.0","id":1,"method":"ping"}}\n',
        b"[" * 5_000 + b"\n",
    ],
)
def test_what_is_not_json(wire: Wire, line: bytes) -> None:
    assert wire.ask(line) == PARSE


@pytest.mark.parametrize("part", [b"caf\xe9", b"\\ud83d", b"\\udE00", b"\xed\xa0\xbd", b"\xf0\x9f\x98"])
@pytest.mark.parametrize("request_id", [7, "seven", ""])
def test_half_a_character_is_answered_to_its_caller(wire: Wire, part: bytes, request_id: Any) -> None:
    named = json.dumps(request_id).encode()
    line = b'{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"x","arguments":{"query":"%s"}}}\n'
    assert wire.ask(line % (named, part)) == {**PARSE, "id": request_id}


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":"\\ud83d","method":"ping"}\n',
        b'{"jsonrpc":"2.0","id":1,"result":"\\ud83d"}\n',
        b'{"jsonrpc":"2.0","id":true,"method":"\\ud83d"}\n',
        b'{"jsonrpc":"2.0","method":"notifications/x","params":{"x":"\\ud83d"}}\n',
        b'["\\ud83d"]\n',
    ],
)
def test_half_a_character_without_a_usable_id(wire: Wire, line: bytes) -> None:
    assert wire.ask(line) == PARSE


@pytest.mark.parametrize(
    ("line", "request_id", "details"),
    [
        (b"[]\n", None, SHAPE),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]\n', None, SHAPE),
        (b"5\n", None, SHAPE),
        (b"null\n", None, SHAPE),
        (b"{}\n", None, SHAPE),
        (b'{"jsonrpc":"1.0","id":9,"method":"ping"}\n', 9, SHAPE),
        (b'{"id":"a","method":"ping"}\n', "a", SHAPE),
        (b'{"jsonrpc":"2.0","id":9,"method":7}\n', 9, SHAPE),
        (b'{"jsonrpc":"2.0","id":9,"method":"ping","params":[1]}\n', 9, SHAPE),
        (b'{"jsonrpc":"2.0","method":"ping","params":"bar"}\n', None, SHAPE),
        (b'{"jsonrpc":"2.0","id":9,"result":4}\n', None, SHAPE),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}\n', None, "an id is a string or an integer"),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}\n', None, "an id is a string or an integer"),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}\n', None, "an id is a string or an integer"),
    ],
)
def test_what_is_no_request(wire: Wire, line: bytes, request_id: Any, details: str) -> None:
    assert wire.ask(line) == error(request_id, -32600, f"Invalid Request: {details}", "InvalidRequestError", details)


@pytest.mark.parametrize(
    "method", ["foo/bar", "completion/complete", "resources/subscribe", "notifications/initialized"]
)
def test_an_unknown_method(wire: Wire, method: str) -> None:
    assert wire.ask({"jsonrpc": "2.0", "id": "m", "method": method}) == error(
        "m", -32601, f"Method not found: {method}", "MethodNotFoundError", f"There is no method {method}"
    )


def test_an_unknown_tool(wire: Wire) -> None:
    assert wire.call("nope", {}) == error(
        1, -32601, "Tool not found: nope", "ToolNotFoundError", "There is no tool nope"
    )


@pytest.mark.parametrize(
    ("params", "details"),
    [
        ({"arguments": {}}, "Invalid arguments for tools/call: params.name: Field required"),
        (
            {"name": "get_memory", "arguments": [1]},
            "Invalid arguments for tools/call: params.arguments: Input should be a valid dictionary",
        ),
        (
            {"name": "get_memory"},
            'Invalid arguments for get_memory: memory_id: Field required. Example: {"memory_id":"01K9XEXAMPLE"}',
        ),
        (
            {"name": "get_all_memories", "arguments": {}},
            "A scope needs a user_id, an agent_id or both: neither was given. "
            "Name whose memory it is; there is no default user.",
        ),
        (
            {"name": "search_memories", "arguments": {"query": "x", "user_id": "u", "limit": 51}},
            "Invalid arguments for search_memories: limit: Input should be less than or equal to 50. Example: "
            '{"query":"Where does the user live?"}',
        ),
    ],
)
def test_bad_arguments(wire: Wire, params: Any, details: str) -> None:
    assert wire.ask({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params}) == error(
        5, -32602, f"Invalid params: {details}", "InvalidInputError", details
    )


def test_an_error_of_ours(wire: Wire) -> None:
    wire.write(
        b'{"jsonrpc":"2.0","id":6,"method":"tools/call","params":'
        b'{"name":"get_memory","arguments":{"memory_id":"mem_xyz789"}}}\n'
    )
    assert wire.process.stdout is not None
    assert wire.process.stdout.readline() == (
        b'{"jsonrpc":"2.0","id":6,"error":{"code":-32603,"message":"Internal error: Memory not found","data":'
        b'{"type":"MemoryNotFoundError","details":"No memory exists with ID mem_xyz789"}}}\n'
    )


def test_messages_that_need_no_answer_get_none(wire: Wire) -> None:
    wire.write(b"\n  \r\n")
    wire.write({"jsonrpc": "2.0", "method": "notifications/unheard-of"})
    assert wire.ask({"jsonrpc": "2.0", "id": "next", "method": "ping"})["id"] == "next"


def test_null_and_unicode_arrive(wire: Wire) -> None:
    who = {"user_id": "Zoë 🐝"}
    assert "result" in wire.call("set_preference", {"key": "snacks", "value": None, **who})
    answer = wire.call("get_preferences", who)["result"]
    assert answer["structuredContent"] == {"preferences": {"snacks": None}}
    spoken = [{"role": "user", "content": "日本語 \u2028 \x85 ok"}]
    assert "result" in wire.call("add_memory", {"messages": spoken, **who})
    listed = wire.call("get_all_memories", who)["result"]
    assert listed["structuredContent"]["memories"][-1]["text"] == "日本語 \u2028 \x85 ok"
    assert "日本語 ok" in listed["content"][0]["text"]


def test_answers_under_way_are_not_lost_when_stdin_ends() -> None:
    process = start("--url", "sqlite://", "--user", "ana")
    lines = [INITIALIZE]
    for number in range(5):
        arguments = {"messages": [{"role": "user", "content": f"fact number {number}"}]}
        params = {"name": "add_memory", "arguments": arguments}
        lines.append({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
    output, _ = process.communicate(b"".join(json.dumps(line).encode() + b"\n" for line in lines), timeout=60)
    answered = [json.loads(line) for line in output.splitlines()]
    assert {answer["id"] for answer in answered if "result" in answer} == {"init", 0, 1, 2, 3, 4}
    assert process.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_ends_the_server() -> None:
    # A shell that runs the tests in the background makes its children ignore the signal, as the server then should.
    code = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["memweld", "serve", "--url", "sqlite://"]
runpy.run_module("memweld", run_name="__main__")
"""
    wire = Wire(start(code=code))
    wire.ask(INITIALIZE)
    wire.process.send_signal(signal.SIGINT)
    assert wire.process.wait(timeout=60) == 130
    assert wire.end()[1] == b""


def test_nothing_but_the_protocol_reaches_stdout() -> None:
    code = """
import os, sys
import memweld
from memweld.mcp import create_server
from memweld.testing import HashEmbedder

class Chatty(HashEmbedder):
    def embed_query(self, text):
        print("loading the model …", flush=True)
        os.write(1, b"and from C\\n")
        return super().embed_query(text)

print("before", file=sys.stderr)
create_server(memweld.connect("sqlite://", embedder=Chatty()), user_id="ana").run()
print("after")
"""
    wire = Wire(start(code=code, PYTHONIOENCODING="utf-8"))
    wire.ask(INITIALIZE)
    answer = wire.call("add_memory", {"messages": [{"role": "user", "content": "hello"}]})
    assert answer["result"]["content"][0]["text"] == "Added 1 memories for user ana"
    output, errors = wire.process.communicate(timeout=60)
    assert output == b"after\n"
    assert "loading the model …" in errors.decode()
    assert b"and from C" in errors
    assert b"FastMCP" not in errors


def test_a_real_client_over_stdio(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    with connect(url) as backend:
        bobs = backend.user("bob").add("Bob's safe opens with 4711")[0].id
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "memweld", "serve"],
        env=environment(MEMWELD_URL=url, MEMWELD_USER_ID="ana", MEMWELD_LOCK_USER="1"),
    )

    async def use() -> None:
        async with stdio_client(server) as streams, ClientSession(*streams) as session:
            await session.initialize()
            spoken = {"messages": [{"role": "user", "content": "Ana keeps bees"}]}
            added = await session.call_tool("add_memory", spoken)
            (block,) = added.content
            assert isinstance(block, TextContent)
            assert block.text == "Added 1 memories for user ana"
            with pytest.raises(McpError) as caught:
                await session.call_tool("get_all_memories", {"user_id": "bob"})
            data: Any = caught.value.error.data
            assert data["type"] == "AccessDeniedError"
            with pytest.raises(McpError, match="Memory not found"):
                await session.call_tool("get_memory", {"memory_id": bobs})

    anyio.run(use)
    with connect(url) as backend:
        assert [item.text for item in backend.user("ana").all()] == ["Ana keeps bees"]
