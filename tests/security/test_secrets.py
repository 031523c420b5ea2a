"""Keys and passwords: in no repr, dump, pickle, error, traceback, log line or command of the documentation."""

from __future__ import annotations

import logging
import pickle
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

import memweld
from memweld import Backend, MemweldError, connect
from memweld.adapters.saved_config import SavedMemory
from memweld.engine.extraction.options import ExtractionOptions
from memweld.engine.protocol import Migration
from memweld.mcp import jwt_auth
from memweld.settings import load_settings
from memweld.urls import public_url

S = "s3cr3t"
URLS = [
    f"postgresql://u:{S}@127.0.0.1:1/app",
    f"postgresql://u@127.0.0.1:1/app?password={S}",
    f"postgresql://u@127.0.0.1:1/app?binding_key={S}",
    f"postgresql://u:pa/{S}@127.0.0.1:1/app",
    f"postgres://u:{S}@[::1/app",
    f"http://u:{S}@127.0.0.1:9/mcp?api_key={S}",
    f"http://127.0.0.1:9/{S}@x/mcp",
    f"unix:/tmp/none.sock?token={S}",
    f"stdio:/bin/false --token {S}",
    f"stdio:env TOKEN={S} false",
    f"stdio:'{S}",
    f"sqlite://u:{S}@host/file.db",
    f"foo://u:{S}@host",
    S,
]


def shown_by(url: str) -> str:
    """All that a program shows of a backend: itself, its saved form, and the error of its first call."""
    try:
        backend = connect(url)
    except MemweldError as error:
        return str(error)
    with backend:
        ana = backend.user("ana")
        texts = [repr(backend), repr(ana), str(vars(backend)), str(vars(ana)), SavedMemory.of(ana).model_dump_json()]
        try:
            ana.all()
        except MemweldError as error:
            texts.append("".join(traceback.format_exception(error)))
        return "\n".join(texts)


@pytest.mark.parametrize("url", URLS)
def test_a_url_shows_no_secret(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        shown = shown_by(url)
    assert S not in shown
    assert S not in caplog.text
    # What may be shown may be shown again.
    assert public_url(public_url(url)) == public_url(url)


def test_two_stores_differ_by_what_is_not_shown() -> None:
    one, other, again = (connect(f"postgresql://127.0.0.1:1/app?schema={schema}") for schema in ("a", "b", "a"))
    assert one.url == other.url
    assert not one.is_same_store(other)
    assert one.is_same_store(again)
    ram, ram_too = connect("sqlite://"), connect("sqlite://")
    assert not ram.is_same_store(ram_too)
    for backend in (one, other, again, ram, ram_too):
        backend.close()


CONFIGURATIONS: list[dict[str, Any]] = [
    {"llm": {"provider": "nosuch", "config": {"api_key": S}}},
    {"llm": {"provider": "openai", "config": {"api_key": S, "no_such_option": S}}},
    {"llm": f"sk-{S}"},
    {"llm": {"api_key": S}},
    {"llm": [S]},
    {"embedder": f"sk-{S}"},
    {"embedder": {"provider": "nosuch", "config": {"api_key": S}}},
    {"mem0": f"m0-{S}"},
    {"mem0": f'{{"vector_store": {S}'},
    {"mem0": {"vector_store": {"provider": "nosuch", "config": {"api_key": S}}}},
    {"graph": f"neo4j://u:{S}@[::1"},
    {"graph": f"neo4j://127.0.0.1:9?password={S}"},
]


@pytest.mark.parametrize("options", CONFIGURATIONS, ids=lambda options: str(options)[:60])
def test_a_configuration_shows_no_secret(options: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    shown: list[str] = []
    with caplog.at_level(logging.DEBUG):
        try:
            with connect("sqlite://", **options) as backend:
                shown += [repr(backend), str(vars(backend))]
                shown.append(repr(backend.user("ana").add("I love tea")))
        except MemweldError as error:
            # Not the lines of the test, which names the secret.
            shown.append("".join(str(each) for each in chain(error)))
    assert S not in "".join(shown)
    assert S not in caplog.text


def chain(error: BaseException | None) -> list[BaseException]:
    """An error with the errors that a traceback shows before it."""
    found: list[BaseException] = []
    while error is not None:
        found.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found


def test_settings_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = f'{{"provider": "openai", "config": {{"api_key": "{S}"}}}}'
    for name in ("LLM", "EMBEDDER", "MEM0"):
        monkeypatch.setenv(f"MEMWELD_{name}", configuration)
    for name in ("URL", "TOKEN", "GRAPH", "GRAPH_USER", "GRAPH_PASSWORD"):
        monkeypatch.setenv(f"MEMWELD_{name}", S)
    settings = load_settings()
    assert settings.token == S
    assert S not in repr(settings)
    assert S not in repr(ExtractionOptions(llm={"api_key": S}))
    assert S not in repr(Migration(revision="1", binding_key=S))


@pytest.mark.parametrize("make", [lambda b: b, lambda b: b.user("ana"), SavedMemory.of])
def test_a_pickle_holds_no_secret(make: Callable[[Backend], Any]) -> None:
    with connect(f"http://u:{S}@127.0.0.1:9/mcp?key={S}", token=S) as backend:
        try:
            pickled = pickle.dumps(make(backend))
        except TypeError as error:  # It is not to be pickled at all.
            pickled = str(error).encode()
    assert S.encode() not in pickled


def test_the_address_of_a_key_set_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    auth = jwt_auth(f"http://u:{S}@127.0.0.1:9/jwks.json?key={S}", issuer="https://i.example", audience="a")
    with caplog.at_level(logging.DEBUG):
        assert anyio.run(auth.verify_token, "e30.e30.e30") is None
    assert S not in caplog.text
    assert "refused" in caplog.text


PAGES = [*sorted((Path(memweld.__file__).parents[2] / "docs").rglob("*.md"))]
ROOT = Path(memweld.__file__).parents[2]


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "SECURITY.md", *PAGES], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_the_documentation_puts_no_secret_on_a_command_line(page: Path) -> None:
    commands = re.findall(r"```(?:sh|console|bash)\n(.*?)```", page.read_text(), re.DOTALL)
    lines = re.sub(r"\\\n", "", "\n".join(commands)).splitlines()
    found = [
        line for line in lines if re.search(r"://[^/@\s]*:[^/@\s]+@|--(?:from-|to-)?token |PASSWORD '|_key=", line)
    ]
    assert found == []
