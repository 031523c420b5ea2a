"""A real Chromium, and a server with memories of two users to look at."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, Dialog, Page, expect, sync_playwright

import memweld
from memweld import Backend
from memweld.mcp import create_app, token_file_auth

sys.path.insert(0, str(Path(__file__).parent))

expect.set_options(timeout=30_000)  # two processes and a browser share two cores
TOKENS = {"ana-token-0123456789": {"sub": "ana"}, "bob-token-0123456789": {"sub": "bob"}}
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip


@contextmanager
def served(app: Any) -> Generator[str]:
    """The address of the application, served in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def chromium() -> Generator[Browser]:
    """The Chromium of the system. Without one tests are skipped; where CI is set they fail."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        reason = "no chromium on this machine: apt-get install chromium (make browser)"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS), timeout=120_000)
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for a file: Playwright runs an event loop in this thread, beside which no other test can run one."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a new profile; a dialog, or an error on the page, fails the test."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(60_000)
    problems: list[str] = []

    def refuse(dialog: Dialog) -> None:
        problems.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", refuse)
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert problems == []


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    with memweld.connect(f"sqlite:///{tmp_path}/memory.db") as backend:
        yield backend


@pytest.fixture
def address(backend: Backend, tmp_path: Path) -> Iterator[str]:
    tokens = tmp_path / "tokens.json"
    tokens.write_text(json.dumps(TOKENS))
    tokens.chmod(0o600)
    with served(create_app(backend, auth=token_file_auth(tokens))) as address:
        yield address
