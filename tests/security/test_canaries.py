"""Two tokens on one server: mallory knows all of bob's ids and names, and reaches nothing through any way in.

What is not mallory's answers as what does not exist: with the same text, apart from the name that mallory sent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from fastmcp.exceptions import ToolError
from fastmcp.server.auth import StaticTokenVerifier
from mcp.shared.exceptions import McpError
from typer.testing import CliRunner

import memweld
from memweld import Backend, Memory, MemweldError
from memweld.cli import app
from memweld.mcp import ENGINE_SCOPE, create_app
from memweld.testing import HashEmbedder
from memweld.testing.serving import serving
from memweld.tools import TOOLS, TOOLSETS

CANARY, GRAPH_CANARY = "canary4711", "canary0815"
STRANGE = ("%", "*", "' OR '1'='1", '"}) DETACH DELETE n //', "bob\x1f", "../bob", "b_b", "NOT bob", "k" * 512, "$.*")
TOKENS = {name: {"client_id": name, "sub": name, "scopes": [ENGINE_SCOPE]} for name in ("bob", "mallory")}


@pytest.fixture(
    params=[
        "file",
        pytest.param("postgres", marks=pytest.mark.services),
        pytest.param("secured", marks=pytest.mark.services),
        pytest.param("graph", marks=pytest.mark.services),
    ]
)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    url, options = f"sqlite:///{tmp_path / 'm.db'}", dict[str, Any]()
    if request.param in ("postgres", "secured"):
        url = request.getfixturevalue("postgres").make_database()
    if request.param == "graph":
        options["graph"] = f"{request.getfixturevalue('neo4j_server').url}?entities=rule"
    if request.param == "secured":
        import psycopg

        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("DO $$ BEGIN CREATE ROLE app4711 LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        done = CliRunner().invoke(app, ["migrate", "--url", url, "--role", "app4711", "--signed"])
        key = done.output.partition("binding_key=")[2].strip()
        url = f"{url.replace('postgres@', 'app4711@')}?rls=1&binding_key={key}"
    with memweld.connect(url, embedder=HashEmbedder(), **options) as backend:
        bob = backend.user("bob")
        bob.add(f"{CANARY} Clara works at Acme in Porto", metadata={"note": CANARY}, session_id="s1")
        bob.preferences.set("theme", CANARY)
        bob.tasks.record("ship-42", outcome=CANARY)
        bob.state("trip")["step"] = {"text": CANARY}
        bob.history("s1").append({"role": "user", "content": CANARY, "id": "m1"})
        backend.user("bob", agent_id="chef").add(f"{CANARY} of an agent")
        backend.user("mallory").add("mine: Clara drinks tea in Porto")
        bob.flush(20)
        yield backend


@pytest.fixture
def url(backend: Backend) -> Iterator[str]:
    server = create_app(backend, auth=StaticTokenVerifier(TOKENS), toolsets=TOOLSETS, stateless=True, engine_tools=True)
    with serving(server) as url:
        yield url


def asked(call: Callable[[], object]) -> str:
    """The answer, or the error and its causes."""
    try:
        return repr(call())
    except (MemweldError, KeyError) as error:
        return f"{error!r} {error.__cause__!r}"


def questions(memory: Memory, item: str, name: str) -> dict[str, Callable[[], object]]:
    """Each method of a memory that takes an id, a name or a cursor."""
    return {
        "get": lambda: memory.get(item),
        "update": lambda: memory.update(item, "mine now"),
        "delete": lambda: memory.delete(item),
        "delete many": lambda: memory.delete_many([item]),
        "all": lambda: memory.all(limit=100),
        "all after": lambda: memory.all(cursor=item),
        "search": lambda: memory.search(f"{CANARY} Clara {name}"[:200]),
        "search ids": lambda: memory.search("Clara", ids=[item]),
        "search filters": lambda: memory.search("Clara", filters={"note": CANARY, name: CANARY}),
        "recall": lambda: memory.recall(f"{CANARY} Clara"),
        "preferences": lambda: memory.preferences.get(name, "none"),
        "tasks": lambda: memory.tasks.context(name),
        "state": lambda: memory.state("trip").get(name, "none"),
        "namespace": lambda: dict(memory.state(name)),
        "messages": lambda: memory.history(name).messages(),
        "messages before": lambda: memory.history("s1").messages(before=item),
        "sessions": memory.sessions,
        "counts": memory.counts,
        "export": lambda: {**memory.export(), "exported_at": None},
    }


def test_the_remote_engine_reaches_no_other_user(backend: Backend, url: str) -> None:
    (bobs, *_) = backend.user("bob").all()
    before = {**backend.user("bob").export(), "exported_at": None}
    cursor = backend.user("bob").all(limit=1).next or ""
    with memweld.connect(f"{url}/mcp", token="mallory") as remote:
        mine = remote.user("mallory")
        assert "mine" in asked(mine.all)
        items, names = (bobs.id, cursor, "m1", *STRANGE[3:6]), ("step", "s1", "trip", "bob", *STRANGE)
        for item, name in (*((item, "theme") for item in items), *((bobs.id, name) for name in names)):
            for what, question in questions(mine, item, name).items():
                assert CANARY not in asked(question), f"{what} {item} {name}"
        for other in (remote.user("bob"), remote.user("bob", agent_id="chef"), remote.agent("chef")):
            for what, question in questions(other, bobs.id, "theme").items():
                answer = asked(question)
                assert CANARY not in answer, what
                assert "AccessDenied" in answer, f"{what}: {answer}"
        absent = "0" * len(bobs.id)
        for what, question in questions(mine, bobs.id, "theme").items():
            same = asked(questions(mine, absent, "theme")[what])
            assert asked(question).replace(bobs.id, absent) == same, f"{what} tells whether an id exists"
        with pytest.raises(MemweldError):
            remote.users()
    assert {**backend.user("bob").export(), "exported_at": None} == before


def test_no_tool_and_no_path_reaches_another_user(backend: Backend, url: str) -> None:
    (bobs, *_) = backend.user("bob").all()
    before = {**backend.user("bob").export(), "exported_at": None}
    arguments: dict[str, dict[str, Any]] = {name: dict(tool.example) for name, tool in TOOLS.items()}
    for name in ("get_memory", "update_memory", "delete_memory"):
        arguments[name]["memory_id"] = bobs.id
    arguments["search_memories"]["query"] = f"{CANARY} Clara"
    arguments["get_all_memories"]["filters"] = {"note": CANARY}

    async def call(client: Client[Any], name: str, **more: Any) -> str:
        try:
            return str(await client.call_tool(name, {**arguments.get(name, {}), **more}))
        except (McpError, ToolError) as error:
            return f"{error} {getattr(getattr(error, 'error', None), 'data', '')}"

    async def work() -> None:
        async with Client(f"{url}/mcp", auth=BearerAuth("mallory")) as client:
            names = [tool.name for tool in await client.list_tools()]
            assert len(names) >= len(TOOLS)
            for name in (*names, "engine_info", "engine_list_scopes", "engine_export", "engine_get_item"):
                for more in ({}, {"user_id": "bob"}, {"user_id": "*"}, {"user_id": None}, {"agent_id": "chef"}):
                    assert CANARY not in (await call(client, name, **more)).replace(f"{CANARY} Clara", ""), name
            for name in ("get_memory", "update_memory", "delete_memory"):
                absent = "0" * len(bobs.id)
                there, not_there = await call(client, name), await call(client, name, memory_id=absent)
                assert there.replace(bobs.id, absent) == not_there

    anyio.run(work)
    paths = ("/memory/trip/step", "/users/bob/memory/trip/step", "/users/bob/memory/trip", "/users/%62ob/memory/trip")
    headers = {"authorization": "Bearer mallory"}
    with httpx.Client(base_url=url, headers=headers) as client:
        for path in paths:
            for method in ("GET", "DELETE", "PUT"):
                response = client.request(method, path, json={"value": 1} if method == "PUT" else None)
                assert CANARY not in response.text
                assert not path.startswith("/users/") or response.status_code in (403, 405), (
                    method,
                    path,
                    response.text,
                )
    assert {**backend.user("bob").export(), "exported_at": None} == before


def related(memory: Memory, name: str) -> list[Any]:
    """What the graph links to a name. A server that has just started plans its first queries for some seconds."""
    for _ in range(10):
        with contextlib.suppress(memweld.BackendUnavailableError):
            return memory.related(name)
    return memory.related(name)


@pytest.mark.services
def test_no_name_in_a_graph_leads_to_another_user(neo4j_server: Any, tmp_path: Path) -> None:
    """Entities, relations, sessions and agents of the same names, and of names that are Cypher, stay apart."""
    url = f"sqlite:///{tmp_path / 'm.db'}"
    graph = f"{neo4j_server.url}?entities=rule"
    with memweld.connect(url, embedder=HashEmbedder(), graph=graph) as backend:
        bob = backend.user("bob")
        names = ["Clara", "Acme Corp", "Porto", '"}) DETACH DELETE n //', "|bob|Clara", "user:bob"]
        for name in names:
            bob.add(f"{GRAPH_CANARY} “{name}” met Clara at Acme Corp", session_id="s1")
        for user in ("mallory", "bob/", "user:bob", "b%6Fb", "bob|Clara"):
            mallory = backend.user(user)
            mallory.add("Clara met “Acme Corp” in Porto", session_id="s1")
            assert mallory.settle_graph(60)
            assert bob.settle_graph(60)
            for name in (*names, *(item.id for item in bob.all())):
                assert GRAPH_CANARY not in repr(related(mallory, name)), (user, name)
            assert GRAPH_CANARY not in repr(mallory.search("Clara Acme Corp Porto"))
            mallory.erase()
            assert mallory.settle_graph(60)
        assert len(related(bob, "Clara")) >= len(names) - 1, "what others erased took nothing of bob's"
        secret = bob.all()[0]
        bob.delete(secret.id)
        bob.erase()
        assert bob.settle_graph(60)
    import neo4j

    with neo4j.GraphDatabase.driver(neo4j_server.url) as driver:
        nodes = driver.execute_query("MATCH (n) OPTIONAL MATCH (n)-[r]->() RETURN properties(n), properties(r)").records
    assert GRAPH_CANARY not in repr(nodes), "what was erased is in no node and no relation"
