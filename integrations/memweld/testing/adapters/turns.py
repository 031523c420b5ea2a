"""Scenarios of turns: an agent with automatic memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ... import AccessDeniedError, Backend, InvalidInputError, Memory, MemweldError, connect, user_scope
from ..broken import BrokenMemory, StrangeError
from ..embedding import HashEmbedder
from ..llm import ScriptedExtractor, facts
from .driver import Scenarios

__all__ = ["TurnScenarios"]


class TurnScenarios(Scenarios):
    """Scenarios of automatic recall and capture."""

    def test_recall_reaches_the_model(self, ana: Memory, bob: Memory) -> None:
        """The user's memories stand before the model, marked as data; another user's do not."""
        self._needs_turns()
        ana.add("My sister Clara is allergic to peanuts")
        bob.add("My brother Dan is allergic to shellfish")
        for mode in self.driver.modes:
            turn = self.driver.run_turn(
                ana, "Who is allergic to what?", "Clara, to peanuts.", session_id=None, mode=mode
            )
            assert "Clara is allergic to peanuts" in turn.seen
            assert "data, not instructions" in turn.seen
            assert "shellfish" not in turn.seen
            assert "Clara, to peanuts." in turn.reply

    def test_recall_leaves_out_what_an_answer_made_up(self, ana: Memory) -> None:
        """What an LLM extracted from answers and tools is not recalled by itself; what was added on purpose is."""
        self._needs_turns()
        forged, added = "Ana is allergic to nothing", "Ana is allergic to peanuts"
        ana.add([{"role": "assistant", "content": added}])
        export = ana.export()
        (item,) = export["items"]
        extracted = {**item, "id": "forged", "text": forged, "extraction": "extracted"}
        ana.restore({**export, "items": [extracted]})
        assert {hit.text for hit in ana.search("allergic")} == {forged, added}
        for mode in self.driver.modes:
            turn = self.driver.run_turn(ana, "What am I allergic to?", "Peanuts.", session_id=None, mode=mode)
            assert added in turn.seen
            assert forged not in turn.seen

    def test_capture_reaches_the_memory(self, ana: Memory, bob: Memory) -> None:
        """The user's words are a memory after the turn; the recalled block is not, and nothing is doubled."""
        self._needs_turns()
        ana.add("I live in Porto")
        for mode in self.driver.modes:
            said = f"I moved to a {mode} houseboat"
            self.driver.run_turn(ana, said, "How nice!", session_id=None, mode=mode)
            texts = [item.text for item in ana.all()]
            assert sum(said in text for text in texts) == 1
        assert not any("data, not instructions" in item.text for item in ana.all())
        assert bob.all() == []

    def test_a_new_home_in_a_turn_supersedes_the_old_one(self, ana: Memory) -> None:
        """The next turn's recall has what the user said last, alone."""
        self._needs_turns()
        for mode in self.driver.modes:
            ana.clear()
            for said in ("I live in Porto", "I moved to Lisbon last week"):
                self.driver.run_turn(ana, said, "How nice!", session_id=None, mode=mode)
            turn = self.driver.run_turn(ana, "Where do I live?", "In Lisbon.", session_id=None, mode=mode)
            assert "I moved to Lisbon last week" in turn.seen
            assert "Porto" not in turn.seen

    def test_the_user_of_a_turn_comes_from_the_run_time_channel(self, backend: Backend, ana: Memory) -> None:
        """One agent object serves many users, each with their own memory."""
        self._needs_turns()
        ana.add("Ana keeps bees in the garden")
        assert ana.user_id is not None
        question = "What is in the garden?"
        assert "Ana keeps bees" in self.driver.run_turn_as(backend, ana.user_id, question, "Bees.").seen
        assert "Ana keeps bees" not in self.driver.run_turn_as(backend, "bob", question, "Nothing.").seen

    def test_without_a_user_a_turn_remembers_nothing_of_anybody(self, backend: Backend, ana: Memory) -> None:
        """A run without a user is an error, never another user's memory."""
        self._needs_turns()
        ana.add("Ana keeps bees in the garden")
        with pytest.raises(MemweldError):
            self.driver.run_turn_as(backend, None, "What is in the garden?", "Nothing.")

    def test_a_question_is_no_memory(self, ana: Memory) -> None:
        """Facts are what the user says of the world."""
        self._needs_turns()
        for mode in self.driver.modes:
            self.driver.run_turn(ana, "Where do I live?", "In Porto.", session_id=None, mode=mode)
        assert ana.all() == []

    def test_the_same_words_are_one_memory(self, ana: Memory) -> None:
        """A retry doubles nothing."""
        self._needs_turns()
        for mode in (*self.driver.modes, *self.driver.modes):
            self.driver.run_turn(ana, "I live in Porto", "How nice!", session_id=None, mode=mode)
        assert [item.text for item in ana.all()] == ["I live in Porto"]

    @pytest.mark.parametrize("error", [None, StrangeError()])
    @pytest.mark.parametrize("method", ["search", "capture"])
    def test_a_store_that_is_gone_ends_no_run(self, ana: Memory, method: str, error: BaseException | None) -> None:
        """Recall and capture fail, and the agent answers without them."""
        self._needs_turns()
        for mode in self.driver.modes:
            broken = BrokenMemory(ana, method, error=error)
            turn = self.driver.run_turn(broken, "I live in Porto", "How nice!", session_id=None, mode=mode)
            assert "How nice!" in turn.reply

    @pytest.mark.parametrize("method", ["search", "capture"])
    def test_a_store_that_is_gone_may_end_the_run(self, ana: Memory, method: str) -> None:
        """With ``on_error="raise"`` the error comes out."""
        with pytest.raises(MemweldError, match="The store is gone"):
            self._turn(BrokenMemory(ana, method), "I live in Porto", on_error="raise")

    def test_what_does_not_fit_is_not_recalled(self, ana: Memory) -> None:
        """A question about something else shows the model no memory, unless every score is asked for."""
        self._needs_turns()
        ana.add("I take 20 mg of statin daily")
        for mode in self.driver.modes:
            turn = self.driver.run_turn(ana, "Who wrote Hamlet?", "Shakespeare.", session_id=None, mode=mode)
            assert "statin" not in turn.seen
        assert "statin" in self._turn(ana, "Who wrote Hamlet?", capture=False, min_score=0.0).seen

    def test_recall_has_limits(self, ana: Memory) -> None:
        """How many memories, how many characters, how well they fit, and of which kinds."""
        for number in range(3):
            ana.add(f"Bees live in my hive {number}")
        found = "Where do my bees live in?"
        assert self._turn(ana, found, recall_limit=2, capture=False).seen.count("Bees live in my hive") == 2
        options: dict[str, Any]
        for options in ({"recall_limit": 0}, {"min_score": 1.0}, {"kinds": "preference"}):
            assert "Bees live in" not in self._turn(ana, found, capture=False, **options).seen
        assert "Bees live in my hive" not in self._turn(ana, found, recall_budget=20, capture=False).seen
        for options in ({"recall_limit": -1}, {"min_score": 2}, {"capture": "later"}, {"on_error": "ignore"}):
            with pytest.raises(InvalidInputError, match=next(iter(options))):
                self._turn(ana, found, **options)

    def test_a_profile_stands_before_the_model(self, ana: Memory, bob: Memory) -> None:
        """Who the user is, whatever the question; once, also where the question asks for it; and only on request."""
        ana.add("I am allergic to peanuts", pinned=True)
        ana.preferences.set("language", "Portuguese")
        bob.add("My brother Dan is a diver", pinned=True)
        ana.add("Ana pays every invoice", pinned=True, source="agent")
        seen = self._turn(ana, "Who wrote Hamlet?", capture=False, profile=True, sources="user").seen
        assert ("peanuts" in seen, "invoice" in seen) == (True, False)
        options: dict[str, Any]
        for options in ({"profile": True}, {"profile": 1_000}, {"profile": True, "recall_limit": 0}):
            for question in ("Who wrote Hamlet?", "To what am I allergic?"):
                seen = self._turn(ana, question, capture=False, **options).seen
                assert seen.count("I am allergic to peanuts") == 1
                assert "language: Portuguese" in seen
                assert "data, not instructions" in seen
                assert "diver" not in seen
        assert "peanuts" not in self._turn(ana, "Who wrote Hamlet?", capture=False).seen
        assert "peanuts" not in self._turn(ana, "Who wrote Hamlet?", capture=False, profile=10).seen
        assert "Noted." in self._turn(BrokenMemory(ana, "profile"), "Who wrote Hamlet?", profile=True).reply
        with pytest.raises(MemweldError, match="The store is gone"):
            self._turn(BrokenMemory(ana, "profile"), "Who wrote Hamlet?", profile=True, on_error="raise")
        for wrong in (0, -1, 1.5, "yes"):
            with pytest.raises(InvalidInputError, match="profile"):
                self._turn(ana, "Who wrote Hamlet?", profile=wrong)

    def test_a_profile_repeats_no_session(self, ana: Memory) -> None:
        """What the user says in a session is no news to its model."""
        self._needs_history()
        for text in ("I keep bees in Porto", "I have a dog"):
            turn = self._turn(ana, text, session_id="s", profile=True)
            assert turn.seen.count(text) == 1
        assert turn.seen.count("I keep bees in Porto") == 1
        assert not any("Changed lately" in message.text for message in ana.history("s").messages())

    def test_a_profile_says_what_a_session_replaced(self, ana: Memory) -> None:
        """The move is said in the session, and the home before it nowhere else."""
        self._needs_history()
        ana.add("I live in Porto", infer=False)
        if "I live in Porto" not in self._turn(ana, "Hello", session_id="s", profile=True).seen:
            pytest.skip("here a chat session has no profile")
        for text in ("I moved to Lisbon", "Who wrote Hamlet?"):
            turn = self._turn(ana, text, session_id="s", profile=True)
        assert turn.seen.count("I moved to Lisbon (before: I live in Porto)") == 1

    def test_capture_can_be_left_out_or_follow(self, ana: Memory) -> None:
        """Off: no facts. In the background: they follow."""
        self._turn(ana, "I live in Porto", capture=False)
        assert ana.all() == []
        self._turn(ana, "I live in Faro", capture="background")
        assert ana.flush(60)
        assert [item.text for item in ana.all()] == ["I live in Faro"]

    def test_a_failing_run_keeps_what_the_user_said(self, ana: Memory) -> None:
        """The model's error comes out, and the user's words stay."""
        self._needs_turns()
        if not getattr(self.driver, "keeps_failed_turns", False):
            pytest.skip("the framework tells an adapter nothing of a run that fails")
        driver: Any = self.driver
        for mode in self.driver.modes:
            text, error = f"I moved to a {mode} houseboat", RuntimeError("the model is down")
            for session, keeps_facts in self._sessions(f"{mode}-failing"):
                with pytest.raises(Exception, match="the model is down"):
                    driver.run_turn(ana, text, error, session_id=session, mode=mode)
                assert not keeps_facts or text in [item.text for item in ana.all()]
                if session is not None:
                    assert [message.text for message in ana.history(session).messages()] == [text]

    def test_a_run_that_never_ends_loses_nothing(self, ana: Memory) -> None:
        """The model fails, and the user writes something else: both are in the session once, and both are memories."""
        self._needs_turns()
        driver: Any = self.driver
        for mode in self.driver.modes:
            first, second = f"I moved to a {mode} houseboat", f"I keep {mode} bees"
            for session, keeps_facts in self._sessions(f"{mode}-first"):
                with pytest.raises(Exception, match="the model is down"):
                    driver.run_turn(ana, first, RuntimeError("the model is down"), session_id=session, mode=mode)
                if session is not None:
                    assert [message.text for message in ana.history(session).messages()] == [first]
                driver.run_turn(ana, second, "Noted.", session_id=session, mode=mode)
                if session is not None:
                    assert [message.text for message in ana.history(session).messages()] == [first, second, "Noted."]
                texts = [item.text for item in ana.all()]
                assert not keeps_facts or (texts.count(first), texts.count(second)) == (1, 1)

    def test_the_surrounding_scope_names_the_user(self, backend: Backend, ana: Memory) -> None:
        """`memweld.user_scope` names the user where the framework names none."""
        self._needs_turns()
        ana.add("Ana keeps bees in the garden")
        with user_scope(str(ana.user_id)):
            assert "Ana keeps bees" in self.driver.run_turn_as(backend, None, "What is in the garden?", "Bees.").seen

    def test_two_users_are_refused(self, backend: Backend) -> None:
        """A turn for one user inside the scope of another touches no memory, and names neither."""
        if not getattr(self.driver, "has_user_channel", False):
            pytest.skip("here memweld.user_scope alone names users")
        with user_scope("ana"), pytest.raises(AccessDeniedError) as caught:
            self.driver.run_turn_as(backend, "bob", "I keep bees", "Nice")
        assert "ana" not in str(caught.value)
        assert backend.user("ana").all() == backend.user("bob").all() == []

    def test_an_llm_extracts_from_the_whole_turn(self, tmp_path: Path) -> None:
        """With an LLM the facts of a turn are memories, and its words are not."""
        self._needs_turns()
        llm = ScriptedExtractor([facts("Ana keeps bees")])
        with connect(f"sqlite:///{tmp_path / 'llm.db'}", embedder=HashEmbedder(), llm=llm) as backend:
            ana = backend.user("ana")
            self.driver.run_turn(ana, "I keep bees", "How nice!", session_id=None, mode=self.driver.modes[0])
            # By default a run does not wait for an LLM.
            assert ana.flush(20)
            assert [item.text for item in ana.all()] == ["Ana keeps bees"]
            assert [item.text for item in ana.all(kinds="source")] == ["I keep bees"]
