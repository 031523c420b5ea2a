"""Scenarios of sessions: chats that are kept, go on, and come from other frameworks."""

from __future__ import annotations

import json

import pytest

from ... import BackendUnavailableError, ChatMessage, Memory, ToolCall, connect
from ...memory.transcript import INTERRUPTED
from ..broken import BrokenMemory
from ..embedding import HashEmbedder
from .driver import Scenarios

__all__ = ["SessionScenarios"]


class SessionScenarios(Scenarios):
    """Scenarios of an adapter that keeps chat sessions."""

    def test_a_session_is_kept(self, ana: Memory, bob: Memory) -> None:
        """A turn in a session is in its history, in order, once."""
        self._needs_history()
        for mode in self.driver.modes:
            session = f"{mode}-session"
            self.driver.run_turn(ana, "Hello, I am Ana", "Hello Ana", session_id=session, mode=mode)
            self.driver.run_turn(ana, "And how are you?", "Fine", session_id=session, mode=mode)
            kept = [(message.role, message.text) for message in ana.history(session).messages()]
            spoken = [pair for pair in kept if pair[0] in ("user", "assistant")]
            assert spoken == [
                ("user", "Hello, I am Ana"),
                ("assistant", "Hello Ana"),
                ("user", "And how are you?"),
                ("assistant", "Fine"),
            ]
            assert bob.history(session).messages() == []

    def test_a_redacted_session_goes_on(self) -> None:
        """A turn after one with a secret doubles nothing, and nothing holds the secret."""
        self._needs_history()
        card, modes = "4111 1111 1111 1111", self.driver.modes
        with connect("sqlite://", embedder=HashEmbedder(), redact="secrets") as backend:
            ana = backend.user("ana")
            for mode in modes:
                self.driver.run_turn(ana, f"My card is {card}", f"So it is {card}", session_id=mode, mode=mode)
                self.driver.run_turn(ana, "And how are you?", "Fine", session_id=mode, mode=mode)
                kept = [(message.role, message.text) for message in ana.history(mode).messages()]
                assert [pair for pair in kept if pair[0] in ("user", "assistant")] == [
                    ("user", "My card is [redacted: card number]"),
                    ("assistant", "So it is [redacted: card number]"),
                    ("user", "And how are you?"),
                    ("assistant", "Fine"),
                ]
            assert card not in json.dumps(ana.export())

    def test_a_session_from_elsewhere_reads_natively(self, ana: Memory) -> None:
        """A session of another framework is continued: the model sees it, and it reads as own messages."""
        self._needs_history()
        ana.history("elsewhere").append(
            [
                ChatMessage(role="user", content="My train leaves at nine"),
                ChatMessage(role="assistant", content="Noted: nine o'clock"),
            ]
        )
        read = self.driver.read_session(ana, "elsewhere")
        assert read == [("user", "My train leaves at nine"), ("assistant", "Noted: nine o'clock")]
        turn = self.driver.run_turn(ana, "When?", "At nine", session_id="elsewhere", mode=self.driver.modes[0])
        assert "My train leaves at nine" in turn.seen
        assert len(ana.history("elsewhere").messages()) == 4

    def test_a_session_belongs_to_its_user(self, ana: Memory, bob: Memory) -> None:
        """The same id is another session for another user."""
        self._needs_history()
        mode = self.driver.modes[0]
        self.driver.run_turn(ana, "My train leaves at nine", "Noted", session_id="s", mode=mode)
        turn = self.driver.run_turn(bob, "When?", "No idea", session_id="s", mode=mode)
        assert "train" not in turn.seen
        assert len(bob.history("s").messages()) == 2

    def test_what_is_recalled_is_in_no_session(self, ana: Memory) -> None:
        """The block stands before the model, and nowhere else; what the session shows anyway is not in it."""
        self._needs_history()
        if not getattr(self.driver, "recalls_in_sessions", True):
            pytest.skip("turns of a session have no automatic recall")
        mode = self.driver.modes[0]
        ana.add("My bees like clover")
        self.driver.run_turn(ana, "I keep bees in Porto", "How nice!", session_id="s", mode=mode)
        turn = self.driver.run_turn(ana, "What do my bees in Porto like?", "Clover.", session_id="s", mode=mode)
        assert turn.seen.index("My bees like clover") > turn.seen.index("I keep bees in Porto"), "behind the history"
        assert turn.seen.count("I keep bees in Porto") == 1
        assert not any("My bees like" in message.text for message in ana.history("s").messages())

    def test_a_broken_session_is_mended_for_the_model(self, ana: Memory) -> None:
        """An unanswered tool call gets an answer, and an answer without a call is left out."""
        self._needs_history()
        ana.history("broken").append(
            [
                ChatMessage(role="tool", content="a stray result", tool_call_id="lost"),
                ChatMessage(role="user", content="Book the train"),
                ChatMessage(role="assistant", tool_calls=(ToolCall(id="1", name="book"),)),
                ChatMessage(role="user", content="Is it booked?"),
            ]
        )
        turn = self.driver.run_turn(ana, "Well?", "I do not know", session_id="broken", mode=self.driver.modes[0])
        assert "Book the train" in turn.seen
        assert INTERRUPTED in turn.seen
        assert "a stray result" not in turn.seen

    def test_of_a_long_session_the_end_is_shown(self, ana: Memory) -> None:
        """A limit cuts between exchanges; the session keeps all."""
        self._needs_history()
        for number in range(4):
            ana.history("long").append(
                [
                    ChatMessage(role="user", content=f"Question {number}"),
                    ChatMessage(role="assistant", content=f"Reply {number}"),
                ]
            )
        seen = self._turn(ana, "Well?", session_id="long", history_limit=3, recall_limit=0).seen
        assert [number for number in range(4) if f"Question {number}" in seen] == [3]
        assert "Reply 3" in seen
        assert "Reply 2" not in seen
        assert len(ana.history("long").messages()) == 10
        ana.history("long").append(ChatMessage(role="assistant", content="x" * 50_000))
        seen = self._turn(ana, "Well?", session_id="long", history_budget=10_000, recall_limit=0).seen
        assert len(seen) < 20_000
        assert len(ana.history("long").messages()) == 13

    def test_the_same_words_again_are_said_again(self, ana: Memory) -> None:
        """A session keeps each of them."""
        self._needs_history()
        for _ in range(3):
            self.driver.run_turn(ana, "Yes", "Yes", session_id="yes", mode=self.driver.modes[0])
        assert len(ana.history("yes").messages()) == 6

    def test_odd_texts_end_no_turn(self, ana: Memory) -> None:
        """NUL, blanks, a long text and half an emoji are kept as far as a store can keep them."""
        self._needs_history()
        for text in ("a\x00b", "   ", "x" * 100_000, "half \ud800"):
            self.driver.run_turn(ana, text, "Hello", session_id="odd", mode=self.driver.modes[0])
        assert len(ana.history("odd").messages()) == 8

    def test_a_session_that_fails_ends_the_turn(self, ana: Memory) -> None:
        """A conversation is never forgotten silently."""
        self._needs_history()
        if not getattr(self.driver, "sessions_end_turns", False):
            pytest.skip("a session that fails is logged, or only comes out with on_error")
        broken = BrokenMemory(ana, "history")
        with pytest.raises(BackendUnavailableError):
            self.driver.run_turn(broken, "I am here", "Hello", session_id="s", mode=self.driver.modes[0])
