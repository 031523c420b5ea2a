"""Ids tell nothing of other users: another user's exact id is free, and reaches nothing but one's own memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastmcp.server.auth import StaticTokenVerifier

from memweld import Backend, Memory, MemoryNotFoundError, connect
from memweld.mcp import create_app
from memweld.testing import HashEmbedder
from memweld.testing.serving import serving
from memweld.tools import TOOLS
from memweld.tools.call import run_tool

Users = Callable[[str], Memory]


@pytest.fixture
def backend() -> Iterator[Backend]:
    with connect("sqlite://", embedder=HashEmbedder()) as backend:
        yield backend


@pytest.fixture(params=["local", "served"])
def user(request: pytest.FixtureRequest, backend: Backend) -> Iterator[Users]:
    """Each user's memory: in this process, or through a server that knows the user by a token."""
    if request.param == "local":
        yield backend.user
        return
    tokens = {name: {"client_id": name, "sub": name, "scopes": []} for name in ("ana", "bob", "eve")}
    app = create_app(backend, auth=StaticTokenVerifier(tokens), engine_tools=True)
    with serving(app) as base, contextlib.ExitStack() as clients:
        yield lambda name: clients.enter_context(connect(f"{base}/mcp", token=name)).user(name)


def export_of(user_id: str, export: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An export with the same ids in another user's name, and with another text."""
    items = [{**item, "user_id": user_id, **changes} for item in export["items"]]
    return {**export, "user_id": user_id, "items": items}


def test_a_restore_tells_nothing_of_others(user: Users) -> None:
    """Answers and stored ids are the same, whether another user has the id or not."""
    ana, bob, eve = user("ana"), user("bob"), user("eve")
    ana.add("My password hint is a unicorn")
    held = ana.export()
    free = {**held, "items": [{**held["items"][0], "id": "5e0f0c1a-0000-4000-8000-000000000001"}]}
    answers = []
    for memory, export in ((bob, held), (eve, free)):
        name = str(memory.scope.user_id)
        counts = [memory.restore(export_of(name, export, text="Mine")) for _ in range(2)]
        answers.append((counts, [item.id for item in memory.all()] == [export["items"][0]["id"]]))
    assert answers[0] == answers[1]
    assert answers[0][1]


def test_nobody_occupies_an_id(user: Users) -> None:
    """An owner's backup comes back under its ids, whatever others have restored meanwhile."""
    ana, bob = user("ana"), user("bob")
    (item,) = ana.add("I live in Porto")
    backup = ana.export()
    ana.delete(item.id)
    bob.restore(export_of("bob", backup, text="Occupied"))
    ana.restore(backup)
    assert ana.get(item.id).text == "I live in Porto"
    assert bob.get(item.id).text == "Occupied"


def test_a_twin_reaches_nothing_of_the_other(user: Users) -> None:
    """Reading, changing, deleting and erasing a memory with another user's id."""
    ana, bob = user("ana"), user("bob")
    (item,) = ana.add("I live in Porto", metadata={"secret": 1}, session_id="s")
    bob.restore(export_of("bob", ana.export(), text="Mine", metadata={}, session_id=None, occurrences=[]))
    named = {"memory_id": item.id}
    for name, arguments, is_error in (
        ("get_memory", named, False),
        ("update_memory", {**named, "data": "Mine too"}, False),
        ("search_memories", {"query": "where"}, False),
        ("get_all_memories", {}, False),
        ("delete_memory", named, False),
        ("get_memory", named, True),
    ):
        outcome = run_tool(TOOLS[name], lambda: bob, arguments)
        assert (outcome.is_error, "Porto" in outcome.marked) == (is_error, False)
        assert ana.get(item.id) == item, name
    with pytest.raises(MemoryNotFoundError):
        bob.get(item.id)
    bob.restore(export_of("bob", ana.export(), text="Mine"))
    assert bob.search("Porto", filters={"secret": 1})[0].text == "Mine"
    assert bob.erase().counts["items"] == 1
    assert ana.get(item.id) == item
    assert [hit.id for hit in ana.search("Porto", filters={"secret": 1})] == [item.id]
