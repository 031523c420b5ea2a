"""A token for one run: it opens the server, stands in no command line, and is printed once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import httpx
import pytest

import memweld
from memweld import AccessDeniedError, InvalidInputError
from memweld.mcp import READ_SCOPE, GeneratedToken


def test_a_run(tmp_path: Path) -> None:
    arguments = [
        "serve",
        "--transport",
        "http",
        "--port",
        "0",
        "--generate-token",
        "--url",
        f"sqlite:///{tmp_path}/m.db",
    ]
    server = subprocess.Popen(
        [sys.executable, "-m", "memweld", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "MEMWELD_URL": ""},
    )
    assert server.stderr is not None
    try:
        address = server.stderr.readline().split()[-1]
        token = server.stderr.readline().split()[-1]
        assert re.fullmatch(r"[\w-]{43}", token)
        commands = Path(f"/proc/{server.pid}/cmdline")
        assert not commands.exists() or token.encode() not in commands.read_bytes()
        assert httpx.get(address.replace("/mcp", "/memory/n"), trust_env=False).status_code == 401
        with memweld.connect(address, token=token) as backend:
            backend.user("ana").add("I keep bees")
            assert [hit.text for hit in backend.user("ana").search("bees")] == ["I keep bees"]
            assert backend.users() == ["ana"]
        with memweld.connect(address, token=f"{token}x") as backend, pytest.raises(AccessDeniedError):
            backend.user("ana").all()
        server.send_signal(signal.SIGTERM)
        assert token not in server.communicate(timeout=30)[1]
    finally:
        server.kill()
        server.communicate()


def test_the_user_and_the_scopes() -> None:
    auth = GeneratedToken("ana", scopes=[READ_SCOPE])
    found = anyio.run(auth.verify_token, auth.token)
    assert found is not None
    assert (found.subject, found.scopes) == ("ana", [READ_SCOPE])
    for other in ("", "é", "\ud800", auth.token[:-1], GeneratedToken().token):
        assert anyio.run(auth.verify_token, other) is None
    assert auth.token not in repr(auth)
    with pytest.raises(InvalidInputError):
        GeneratedToken("ana", scopes=["memory:reed"])
    with pytest.raises(InvalidInputError):
        GeneratedToken("")
