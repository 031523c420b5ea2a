"""Servers for clients of others: `memweld serve` over HTTP, trusted or with a file of tokens, ended with the tests."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest

SERVE = (sys.executable, "-m", "memweld", "serve", "--url", "sqlite://")
TOKENS = {"anas-token": {"sub": "ana"}, "bobs-token": {"sub": "bob"}}


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[str]:
    with (
        log.open("w") as stderr,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr) as process,
    ):
        try:
            for _ in range(600):
                said = [line for line in log.read_text().splitlines(keepends=True) if "serving http" in line]
                if said and said[0].endswith("\n"):
                    break
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            else:
                raise TimeoutError(log.read_text())
            yield said[0].split()[-1]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0, log.read_text()


@pytest.fixture(scope="session")
def run_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Sequence[str]], str]]:
    """Start a server that says its address on stderr; give the address, and end it with the tests."""
    logs, numbers = tmp_path_factory.mktemp("servers"), count()
    with ExitStack() as stack:
        yield lambda command: stack.enter_context(_running(command, logs / f"{next(numbers)}.log"))


@pytest.fixture(scope="session")
def serve(run_server: Callable[[Sequence[str]], str], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """The address of a server that trusts its clients, or wants one of `TOKENS`; one for each way to answer errors."""
    tokens = tmp_path_factory.mktemp("tokens") / "tokens.json"
    hashed = {f"sha256:{hashlib.sha256(name.encode()).hexdigest()}": claims for name, claims in TOKENS.items()}
    tokens.write_text(json.dumps(hashed))
    addresses: dict[tuple[str, bool], str] = {}

    def address(errors: str = "jsonrpc", *, auth: bool = False) -> str:
        if (errors, auth) not in addresses:
            command = [*SERVE, "--transport", "http", "--port", "0", "--errors", errors]
            command += ["--auth", f"tokens:{tokens}"] if auth else []
            addresses[errors, auth] = run_server(command)
        return addresses[errors, auth]

    return address


@pytest.fixture(scope="session")
def stdio() -> Callable[..., list[str]]:
    """The command of a server on stdio."""
    return lambda errors="jsonrpc": [*SERVE, "--errors", errors]


@pytest.fixture(scope="session")
def strangers() -> ModuleType:
    """The module `install`, where all that it installs is there; else skip, or fail where CI is set."""
    spec = importlib.util.spec_from_file_location("strangers_install", Path(__file__).parent / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not module.installed():
        reason = "clients of others are not installed: make strangers"
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(reason)
        pytest.skip(reason)
    return module
