"""Scopes: whose rows a memory sees, and which identities there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ... import Backend, Memory
from ...errors import (
    InvalidInputError,
    MemoryNotFoundError,
)
from .base import BackendFixtures

__all__ = ["ScopeTests"]

IDENTITIES = [
    "ana@example.com",
    "auth0|42",
    "org:1/ana",
    "Ana María",
    "王芳",
    "a" * 256,
    "%agent",
    "o'hara",
    "100%",
    "~",
]
BAD_IDENTITIES: list[Any] = [
    "",
    "   ",
    "*",
    "a\x00b",
    "a\nb",
    "a\u200bb",
    "\u202eana",
    "a" * 257,
    " ana",
    "\ufeff",
    7,
    None,
]


class ScopeTests(BackendFixtures):
    """Scopes: whose rows a memory sees, and which identities there are."""

    @pytest.mark.parametrize("identity", IDENTITIES)
    def test_printable_identities_round_trip(self, backend: Backend, identity: str) -> None:
        """Whatever ids an application has, they come back as they are and reach only their own."""
        memory = backend.user(identity)
        (item,) = memory.add("I love tea")
        assert (item.user_id, memory.get(item.id).user_id, memory.search("tea")[0].user_id) == (identity,) * 3
        memory.state("n")["k"] = 1
        memory.history("s").add_user_message("hello")
        for other in (backend.user("another user"), backend.agent(identity), backend.user("x", agent_id=identity)):
            assert (other.all(), other.search("tea"), list(other.state("n")), other.sessions()) == ([], [], [], [])

    def test_identities_are_normalised(self, backend: Backend) -> None:
        """The same name in two Unicode forms is the same user."""
        backend.user("Mar\u00eda").add("I love tea")
        assert len(backend.user("Mari\u0301a").all()) == 1

    @pytest.mark.parametrize("identity", BAD_IDENTITIES)
    def test_bad_identities_are_refused(self, backend: Backend, identity: Any) -> None:
        """A wildcard, an empty id and an id that looks like another one are errors."""
        with pytest.raises(InvalidInputError):
            backend.user(identity)
        with pytest.raises(InvalidInputError):
            backend.agent(identity)

    def test_another_users_ids_do_not_exist(self, backend: Backend, ana: Memory, bob: Memory) -> None:
        """By id nothing of another scope can be read, changed, deleted or paged from."""
        (item,) = ana.add("I love tea")
        others = [bob, backend.agent("ana"), backend.user("bob", agent_id="ana"), backend.user("ana", agent_id="x")]
        for other in others:
            calls: list[Callable[[], Any]] = [
                lambda other=other: other.get(item.id),
                lambda other=other: other.update(item.id, "I hate tea"),
                lambda other=other: other.delete(item.id),
                lambda other=other: other.all(cursor=item.id),
            ]
            for call in calls:
                with pytest.raises(MemoryNotFoundError, match=f"No memory exists with ID {item.id}"):
                    call()
            assert (other.all(), other.search("tea"), other.clear(), other.erase().total) == ([], [], 0, 0)
        assert ana.get(item.id) == item

    def test_agents_of_a_user(self, backend: Backend, ana: Memory) -> None:
        """A user's memory contains what every agent keeps of the user; an agent sees its own part."""
        researcher, writer = (backend.user("ana", agent_id=agent) for agent in ("researcher", "writer"))
        own = backend.agent("researcher")
        ana.add("I love tea")
        (noted,) = researcher.add("Ana works at night")
        writer.add("Ana likes short sentences")
        own.add("Check dates twice")
        assert [item.text for item in ana.all()] == ["I love tea", "Ana works at night", "Ana likes short sentences"]
        assert [item.agent_id for item in ana.all()] == [None, "researcher", "writer"]
        assert [item.text for item in researcher.all()] == ["Ana works at night"]
        assert [hit.agent_id for hit in ana.search("When does Ana work, at night?", limit=1)] == ["researcher"]
        assert [item.text for item in own.all()] == ["Check dates twice"]
        assert ana.update(noted.id, "Ana works at dawn").agent_id == "researcher"
        researcher.preferences.set("tone", "dry")
        ana.preferences.set("tone", "warm")
        assert (researcher.preferences.get("tone"), ana.preferences.get("tone")) == ("dry", "warm")
        assert ana.preferences.all() == {"tone": "warm"}
        researcher.state("n")["k"] = 1
        assert list(ana.state("n")) == []
        assert researcher.erase().counts["items"] == 3, "with what the update replaced"
        assert [item.text for item in ana.all(kinds="item")] == ["I love tea", "Ana likes short sentences"]
        assert "dawn" not in str(ana.search("dawn"))
        assert ana.erase().counts["items"] == 3
        assert len(own.all()) == 1
