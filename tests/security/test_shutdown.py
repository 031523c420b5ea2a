"""SIGTERM and SIGINT end a server within ten seconds, whatever clients and models do; calls that end are answered."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")]

# An embedder that hangs for texts with "hang" and is slow for those with "slow" or "late", over the transport of the
# argument.
SERVER = """
import sys, time, memweld
from memweld.mcp import create_server
from memweld.testing import HashEmbedder

class Waiting(HashEmbedder):
    def embed_query(self, text):
        seconds = sum(seconds for word, seconds in (("hang", 60), ("late", 5), ("slow", 1)) if word in text)
        if seconds:
            print("embedding", file=sys.stderr, flush=True)
            time.sleep(seconds)
        return super().embed_query(text)

server = create_server(memweld.connect(sys.argv[2], embedder=Waiting()), user_id="ana")
server.run(**({} if sys.argv[1] == "stdio" else {"transport": "http", "port": 0}))
"""

# A tool of the program blocks the event loop.
BLOCKED = """
import sys, time, memweld
from memweld.mcp import create_server, http_server

http_server.GRACE_SECONDS = http_server._LAST_SECONDS = 0.5
server = create_server(memweld.connect("sqlite://"), user_id="ana")

@server.tool
async def block() -> None:
    print("blocking", file=sys.stderr, flush=True)
    time.sleep(60)

server.run(**({} if sys.argv[1] == "stdio" else {"transport": "http", "port": 0}))
"""

# A program that goes on after its server, which has left a thread behind.
LONGER = """
import threading, time
from memweld.mcp import http_server

http_server.GRACE_SECONDS = http_server._LAST_SECONDS = 0.5
with http_server.ShutdownWatchdog() as watchdog:
    threading.Thread(target=time.sleep, args=(60,), name="AnyIO worker thread").start()
    watchdog.arm()
time.sleep(2)
print("going on", flush=True)
"""

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "wire", "version": "1"}},
}
HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
HALF = b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"


def start(transport: str, tmp_path: Path, program: str = SERVER) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEMWELD_")}
    pipe = subprocess.PIPE
    arguments = [sys.executable, "-c", program, transport, f"sqlite:///{tmp_path / 'm.db'}"]
    # What this process ignores, because its shell or a test before did so, a child would ignore, too.
    return subprocess.Popen(
        arguments,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env=environment,
        preexec_fn=_default_signals,  # noqa: PLW1509 - the tests start no thread before
    )


def _default_signals() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def end(process: subprocess.Popen[bytes]) -> None:
    """It ends long before the minute for which a model or a tool hangs."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(40)
    finally:
        process.kill()


def request(tool: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}


def call(text: str) -> dict[str, Any]:
    return request("add_memory", messages=[{"role": "user", "content": text}])


class TestHttp:
    def test_hostile_clients_and_a_hanging_model(self, tmp_path: Path) -> None:
        process = start("http", tmp_path)
        assert process.stderr is not None
        base = process.stderr.readline().decode().split()[-1].removesuffix("/mcp")
        port = int(base.rpartition(":")[2])
        answer = httpx.post(f"{base}/mcp", json=INITIALIZE, headers=HEADERS, timeout=30, trust_env=False)
        session = {**HEADERS, "mcp-session-id": answer.headers["mcp-session-id"]}
        opened: list[socket.socket] = []
        for data in (
            HALF,
            b"GET /heal",
            b"GET /sse HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n",
            b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n" * 3_000,
        ):
            client = socket.create_connection(("127.0.0.1", port), timeout=10)
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.send(data)
            opened.append(client)
        failures: list[Exception] = []

        def hang() -> None:
            try:
                httpx.post(f"{base}/mcp", json=call("hang"), headers=session, timeout=30, trust_env=False)
            except httpx.HTTPError as error:
                failures.append(error)

        thread = threading.Thread(target=hang)
        thread.start()
        assert process.stderr.readline() == b"embedding\n"
        end(process)
        thread.join(10)
        for client in opened:
            client.close()
        process.communicate()

    def test_a_blocked_event_loop(self, tmp_path: Path) -> None:
        process = start("http", tmp_path, BLOCKED)
        assert process.stderr is not None
        url = process.stderr.readline().decode().split()[-1]
        with httpx.Client(headers=HEADERS, timeout=30, trust_env=False) as client:
            session = client.post(url, json=INITIALIZE).headers["mcp-session-id"]

            def block() -> None:
                with contextlib.suppress(httpx.HTTPError):
                    client.post(url, json=request("block"), headers={"mcp-session-id": session})

            thread = threading.Thread(target=block)
            thread.start()
            assert process.stderr.readline() == b"blocking\n"
            end(process)
            thread.join(10)
        process.communicate()

    def test_readiness_says_so(self, tmp_path: Path) -> None:
        process = start("http", tmp_path)
        assert process.stderr is not None
        base = process.stderr.readline().decode().split()[-1].removesuffix("/mcp")
        with httpx.Client(base_url=base, headers=HEADERS, timeout=30, trust_env=False) as client:
            session = client.post("/mcp", json=INITIALIZE).headers["mcp-session-id"]
            statuses: list[int] = []

            def add() -> None:
                headers = {**HEADERS, "mcp-session-id": session}
                statuses.append(httpx.post(f"{base}/mcp", json=call("late"), headers=headers, timeout=30).status_code)

            thread = threading.Thread(target=add)
            thread.start()
            assert process.stderr.readline() == b"embedding\n"
            assert client.get("/health").status_code == 200
            process.send_signal(signal.SIGTERM)
            # Over the connection that is open: new ones are refused by then.
            while (answer := client.get("/health")).status_code == 200:
                time.sleep(0.05)
            assert (answer.status_code, answer.json()["status"]) == (503, "stopping")
            thread.join(20)
        assert statuses == [200]
        assert process.wait(20) == 0
        process.communicate()


class TestStdio:
    @pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 1)])
    def test_a_call_under_way_is_answered(self, tmp_path: Path, number: int, code: int) -> None:
        process = start("stdio", tmp_path)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for message in (INITIALIZE, call("slow")):
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        assert process.stderr.readline() == b"embedding\n"
        process.send_signal(number)
        assert b'"serverInfo"' in process.stdout.readline()
        assert b"Added 1 memories" in process.stdout.readline()
        ended = process.wait(20)
        assert ended == 0 if code == 0 else ended != 0
        process.communicate()

    def test_a_hanging_model_and_a_full_pipe(self, tmp_path: Path) -> None:
        process = start("stdio", tmp_path)
        assert process.stdin is not None
        assert process.stderr is not None
        # Nothing reads the answers: the pipe is full after 64 KiB.
        process.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
        process.stdin.write(json.dumps(call("hang")).encode() + b"\n")
        process.stdin.flush()
        assert process.stderr.readline() == b"embedding\n"
        os.set_blocking(process.stdin.fileno(), False)
        ping = b'{"jsonrpc":"2.0","id":9,"method":"tools/list"}\n'
        for _ in range(400):
            try:
                os.write(process.stdin.fileno(), ping)
            except BlockingIOError:
                break
        time.sleep(0.5)
        end(process)
        process.communicate()

    def test_a_blocked_event_loop(self, tmp_path: Path) -> None:
        process = start("stdio", tmp_path, BLOCKED)
        assert process.stdin is not None
        assert process.stderr is not None
        for message in (INITIALIZE, request("block")):
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        assert process.stderr.readline() == b"blocking\n"
        end(process)
        process.communicate()


def test_a_program_goes_on_after_its_server(tmp_path: Path) -> None:
    process = start("stdio", tmp_path, LONGER)
    assert process.communicate(timeout=20)[0] == b"going on\n"
    assert process.returncode == 1
