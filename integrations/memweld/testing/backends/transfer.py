"""Moving house: what a backend holds is copied out of it and into it, in pages, and both sides are equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import anyio
import pytest

from ... import Backend, Memory, connect
from ...engine.operations import Export
from ...errors import InvalidInputError, MemweldError
from ...scope import Scope
from ...transfer import Copied, copy
from ...transfer.copier import engine_of
from ..embedding import HashEmbedder
from ..llm import ScriptedExtractor, facts
from .base import BackendFixtures
from .restore import fill

__all__ = ["MovingTests"]


def one(reports: Iterator[Copied]) -> Copied:
    """The only report of a copy."""
    (report,) = reports
    return report


class MovingTests(BackendFixtures):
    """Copies out of and into the backend."""

    @pytest.fixture
    def other(self) -> Iterator[Backend]:
        """An embedded backend with another embedder."""
        with connect("sqlite://", embedder=HashEmbedder(32)) as backend:
            yield backend

    @pytest.mark.parametrize("page", [2, 500])
    def test_out_and_in_again(self, backend: Backend, other: Backend, page: int) -> None:
        """Everything of a user and the user's agents, whatever the size of a page."""
        fill(backend, "ana")
        backend.user("bob").add("I was born in Faro")
        out = one(copy(backend, other, user_id="ana", page=page))
        assert out.equal
        assert out.source.counts == {"items": 7, "values": 5, "sessions": 2, "messages": 5}
        backend.user("ana").erase()
        back = one(copy(other, backend, user_id="ana", page=page))
        assert back.equal
        assert back.target == out.source
        assert sum(back.stored.values()) == 7 + 3 + 5 + 5
        assert backend.user("ana").state("z")["first"] == [1, 2.5, "x", None]
        assert [hit.text for hit in backend.user("ana").search("ficus", limit=9)][:2]
        assert [item.text for item in backend.user("bob").all()] == ["I was born in Faro"]

    def test_again_nothing_is_new(self, backend: Backend, other: Backend) -> None:
        """A second copy finds what the first has made."""
        fill(other, "ana")
        assert one(copy(other, backend, user_id="ana")).equal
        again = one(copy(other, backend, user_id="ana", page=3))
        assert again.equal
        assert not any(again.stored.values())

    def test_pages_are_of_one_scope(self, backend: Backend, ana: Memory, bob: Memory) -> None:
        """A cursor of one user's export shows nothing of it to another user."""
        for number in range(6):
            ana.add(f"ana's fact {number}")
            ana.state("n").set(str(number), number)
        bob.add("bob's fact")
        engine = engine_of(backend)
        place = engine.run(Scope("ana"), Export(cursor=None, limit=2)).next
        kept = engine.run(Scope("bob"), Export(cursor=None, limit=50)).data
        assert {item.text for item in kept.items} == {"bob's fact"}
        assert kept.values == kept.sessions == ()
        for scope, after in ((Scope("bob"), place), (Scope("ana"), "items:1:2")):
            with pytest.raises(InvalidInputError):
                engine.run(scope, Export(cursor=after, limit=50))

    def test_a_session_begun_between_two_pages(self, backend: Backend, ana: Memory) -> None:
        """It is exported whole, also where the one before was cleared when half of it was exported."""
        for number in range(10):
            ana.history("old").append(f"old {number}")
        engine = engine_of(backend)
        place = engine.run(Scope("ana"), Export(cursor=None, limit=5)).next
        ana.history("old").clear()
        for number in range(4):
            ana.history("new").append(f"new {number}")
        said = [
            message.text
            for session in engine.run(Scope("ana"), Export(cursor=place, limit=50)).data.sessions
            for message in session.messages
        ]
        assert said == [f"new {number}" for number in range(4)]

    def test_scopes_are_listed_or_refused(self, backend: Backend, ana: Memory) -> None:
        """The list of scopes is complete or an error."""
        ana.state("n")["k"] = 1
        backend.user("bob", agent_id="chef").state("n")["k"] = 1
        try:
            listed = backend.admin.list_scopes(after=None, limit=10)
        except MemweldError as error:
            with pytest.raises(type(error)):
                backend.users()
            return
        assert backend.users() == anyio.run(backend.aio.users) == ["ana", "bob"]
        assert listed == [Scope("ana"), Scope("bob"), Scope("bob", "chef")]
        assert backend.admin.list_scopes(after=Scope("ana"), limit=1) == [Scope("bob")]

    def test_a_capture_that_keeps_nothing_makes_no_user(self, make: Callable[..., Backend]) -> None:
        """Neither without an LLM nor with one that finds nothing, now or in the background."""
        turn = [{"role": "user", "content": "What is two and two?"}, {"role": "assistant", "content": "Four."}]
        backend = make(llm=ScriptedExtractor([facts()]))
        try:
            before = backend.users()
        except MemweldError:
            pytest.skip("this role may not list users")
        for number, infer in enumerate((None, False)):
            for background in (False, True):
                user = backend.user(f"silent-{number}-{background}")
                assert user.capture(turn, infer=infer, background=background) == []
                assert user.flush(20)
        assert backend.users() == before
        backend.user("writer").capture(turn, session_id="s")
        assert backend.users() == [*before, "writer"]
