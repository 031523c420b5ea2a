"""History: the messages of sessions."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from ... import ChatMessage, Memory, ToolCall
from ...errors import (
    InvalidInputError,
    MemoryNotFoundError,
)
from .base import BackendFixtures

__all__ = ["HistoryTests"]


class HistoryTests(BackendFixtures):
    """History: the messages of sessions."""

    def test_history(self, ana: Memory, bob: Memory) -> None:
        """Messages come back in order with all their fields; sessions and users are apart."""
        history = ana.history("s1")
        said = datetime(2024, 1, 2, tzinfo=timezone.utc)
        call = ToolCall(id="c1", name="weather", arguments={"city": "Faro"})
        messages = [
            ChatMessage(role="system", content="Be brief"),
            ChatMessage(
                role="user", content=[{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "u"}}]
            ),
            ChatMessage(
                role="assistant", tool_calls=(call,), id="m1", name="bot", native={"framework": "x", "message": {}}
            ),
            ChatMessage(role="tool", content="22", tool_call_id="c1", created_at=said),
        ]
        appended = history.append(messages)
        assert history.messages() == appended
        assert [message.role for message in appended] == ["system", "user", "assistant", "tool"]
        assert (appended[1].text, appended[2].tool_calls, appended[2].id) == ("hi", (call,), "m1")
        assert (appended[3].created_at, appended[3].tool_call_id) == (said, "c1")
        assert len({message.id for message in appended}) == 4
        history.add_user_message("more")
        history.add_ai_message("yes")
        assert [message.text for message in history.messages(limit=2)] == ["more", "yes"]
        assert (bob.history("s1").messages(), ana.history("s2").messages()) == ([], [])
        (session,) = ana.sessions()
        assert (session.session_id, session.messages) == ("s1", 6)
        assert (history.clear(), history.clear(), history.messages(), ana.sessions()) == (6, 0, [], [])

    def test_history_is_read_page_by_page(self, ana: Memory) -> None:
        """From the end to the beginning, each page before the first message of the one after it."""
        history = ana.history("s1")
        appended = history.append([{"role": "user", "content": str(number)} for number in range(7)])
        pages = [history.messages(limit=3)]
        while pages[-1]:
            pages.append(history.messages(limit=3, before=pages[-1][0].id))
        assert [[message.text for message in page] for page in pages] == [["4", "5", "6"], ["1", "2", "3"], ["0"], []]
        assert history.messages(before=appended[2].id) == appended[:2]
        history.append(ChatMessage(role="user", content="two", id=appended[2].id))
        assert [message.text for message in history.messages(limit=2, before=appended[3].id)] == ["1", "two"]

    def test_a_page_begins_at_a_message_of_the_session(self, ana: Memory, bob: Memory) -> None:
        """An id of another session or user is as unknown as one that there never was."""
        (other,) = ana.history("s2").append("elsewhere")
        (foreign,) = bob.history("s1").append("not yours")
        for history in (ana.history("s1"), ana.history("never")):
            for before in (other.id, foreign.id, "no-such-id"):
                with pytest.raises(MemoryNotFoundError):
                    history.messages(before=before)
            ana.history("s1").append("mine")
        with pytest.raises(InvalidInputError, match="before"):
            ana.history("s1").messages(before="")

    async def test_history_is_paged_asynchronously(self, ana: Memory) -> None:
        """As the synchronous methods do it."""
        first, second, _ = await ana.aio.history("s1").append([{"role": "user", "content": text} for text in "abc"])
        assert await ana.aio.history("s1").messages(1, second.id) == [first]
        with pytest.raises(MemoryNotFoundError):
            await ana.aio.history("s1").messages(before="no-such-id")

    def test_history_takes_openai_messages(self, ana: Memory) -> None:
        """The messages of the widespread dialect are understood, and unknown fields kept."""
        function = {"name": "weather", "arguments": '{"city": "Faro"}'}
        (message,) = ana.history("s").append(
            {
                "role": "ai",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": function}],
                "refusal": "no",
            }
        )
        assert message.role == "assistant"
        assert message.tool_calls == (ToolCall(id="c", name="weather", arguments={"city": "Faro"}),)
        assert message.native is not None
        assert message.native["message"]["refusal"] == "no"

    def test_appending_a_message_again_doubles_nothing(self, ana: Memory) -> None:
        """A retried append with ids is harmless; a changed message replaces the old one in its place."""
        history = ana.history("s1")
        first, second = history.append([{"role": "user", "content": "one"}, {"role": "assistant", "content": "tw"}])
        history.append([first, second])
        history.append(ChatMessage(role="assistant", content="two", id=second.id))
        assert [message.text for message in history.messages()] == ["one", "two"]
        assert ana.sessions()[0].messages == 2

    def test_a_session_is_replaced_whole_or_not_at_all(self, ana: Memory) -> None:
        """Compaction puts other messages in the place of all that a session has."""
        history = ana.history("s")
        _, second = history.append([{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}])
        with pytest.raises(InvalidInputError):
            history.replace([{"role": "user", "content": "three"}, {"role": "robot", "content": "four"}])
        assert [message.text for message in history.messages()] == ["one", "two"]
        history.replace([second, ChatMessage(role="user", content="three")])
        assert [message.text for message in history.messages()] == ["two", "three"]
        assert history.messages()[0] == second
        assert [session.messages for session in ana.sessions()] == [2]
        assert history.replace([]) == history.messages() == []

    def test_only_known_messages_are_replaced(self, ana: Memory) -> None:
        """Those that were appended meanwhile stay behind the new ones, and others in front."""
        history = ana.history("s")
        roles = [{"role": "user", "content": text} for text in ("prompt", "one", "two", "later")]
        prompt, one, two, later = history.append(roles)
        known = [str(one.id), str(two.id), "gone"]
        history.replace([two, ChatMessage(role="system", content="summary")], known=known)
        assert history.messages()[0] == prompt
        assert [message.text for message in history.messages()] == ["prompt", "two", "summary", "later"]
        assert history.messages()[-1] == later
        assert [session.messages for session in ana.sessions()] == [4]

    def test_an_append_is_all_or_nothing(self, ana: Memory) -> None:
        """One bad message keeps out the good ones, and is named."""
        with pytest.raises(InvalidInputError, match="Message 1"):
            ana.history("s1").append([{"role": "user", "content": "ok"}, {"role": "robot", "content": "?"}])
        assert ana.history("s1").messages() == []

    def test_sessions_are_listed_by_last_use(self, ana: Memory) -> None:
        """The session used last comes first."""
        for session in ("a", "b", "a"):
            ana.history(session).add_user_message("x")
        assert [session.session_id for session in ana.sessions()] == ["a", "b"]
