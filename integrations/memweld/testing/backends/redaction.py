"""Redaction: what must not be stored is nowhere: not in facts, values, histories, nor before an LLM."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from ... import Backend, Memory
from ...models import ChatMessage, ToolCall
from ...tools import TOOLS
from ...tools.call import run_tool
from ..llm import ScriptedExtractor, facts
from .base import BackendFixtures

__all__ = ["RedactionTests"]

# The PIN is longer than any digits that an id or a time may hold.
CARD, PASSWORD, PIN = "4111 1111 1111 1111", "hunter2", "47110815"
WITH_BOTH = f"My card is {CARD} and my password is {PASSWORD}."
REDACTED = "My card is [redacted: card number] and my password is [redacted: password]."


def report_reading(messages: list[tuple[str, str]]) -> str:
    """An LLM that says whether it has read a secret."""
    read = str(messages)
    return facts("The user has a card." if CARD not in read and PASSWORD not in read else "The user has no secret.")


class RedactionTests(BackendFixtures):
    """A backend that takes out secrets."""

    @pytest.fixture
    def discreet(self, make: Callable[..., Backend]) -> Memory:
        """A user's memory without secrets."""
        return make(redact="secrets").user("ana")

    def test_no_secret_is_stored(self, discreet: Memory) -> None:
        """Whatever writes it, an export holds none; nor does the place where another reads it."""
        note = {"note": WITH_BOTH, "nested": [{"password": PASSWORD}, int(CARD.replace(" ", ""))], "kept": [1, None]}
        (item,) = discreet.add(WITH_BOTH, metadata=note, infer=False)
        assert (item.text, item.redacted) == (REDACTED, ("card number", "password"))
        kept = {"note": REDACTED, "nested": [{"password": "[redacted: password]"}, "[redacted: card number]"]}
        assert discreet.get(item.id).metadata == {**kept, "kept": [1, None]}
        (tea,) = discreet.add("I like tea", infer=False)
        assert (tea.text, tea.redacted) == ("I like tea", ())
        assert discreet.update(tea.id, f"My PIN for {CARD} is {PIN}").text.count("[redacted: ") == 2
        discreet.preferences.set("wifi password", "sunflower")
        assert discreet.preferences.get("wifi password") == "[redacted: password]"
        answer = run_tool(TOOLS["set_preference"], lambda: discreet, {"key": "password", "value": PASSWORD})
        assert answer.data == {"preferences": {"password": "[redacted: password]"}}
        assert PASSWORD not in answer.marked
        discreet.tasks.record("pay", outcome=f"paid with {CARD}", success=True, metadata={"card": CARD})
        notes = discreet.state("notes")
        notes.set("card", {"number": CARD}, text=f"The number is {CARD}")
        assert notes.get("card") == {"number": "[redacted: card number]"}
        call = ToolCall(id="c1", name="pay", arguments={"card": CARD, "amount": 3})
        messages = [
            ChatMessage(
                role="user",
                content=[{"type": "text", "text": WITH_BOTH}],
                native={"framework": "x", "message": {"content": WITH_BOTH, "id": "m"}},
            ),
            ChatMessage(role="assistant", tool_calls=(call,)),
            ChatMessage(role="tool", content=json.dumps({"card": CARD, "ok": True}), tool_call_id="c1"),
            ChatMessage(role="user", content=[{"type": "document", "source": {"type": "text", "data": WITH_BOTH}}]),
        ]
        history = discreet.history("s1")
        history.append(messages)
        user, assistant, tool, document = history.messages()
        assert user.text == REDACTED
        assert user.native == {"framework": "x", "message": {"content": REDACTED, "id": "m"}}
        assert assistant.tool_calls[0].arguments == {"card": "[redacted: card number]", "amount": 3}
        assert json.loads(tool.text) == {"card": "[redacted: card number]", "ok": True}
        assert document.content == [{"type": "document", "source": {"type": "text", "data": REDACTED}}]
        stored = json.dumps(discreet.export())
        assert not [secret for secret in (CARD, PASSWORD, PIN, "sunflower", "4111111111111111") if secret in stored]

    def test_a_restore_takes_secrets_out(self, make: Callable[..., Backend], ana: Memory) -> None:
        """An export of a memory that has them leaves them behind."""
        ana.add(WITH_BOTH, metadata={"card": CARD}, infer=False)
        ana.preferences.set("password", PASSWORD)
        ana.state("notes").set("card", CARD, text=f"The number is {CARD}")
        ana.history("s1").append([{"role": "user", "content": WITH_BOTH}])
        export = ana.export()
        ana.erase()
        discreet = make(redact="secrets").user("ana")
        discreet.restore(export)
        assert discreet.preferences.get("password") == "[redacted: password]"
        assert discreet.history("s1").messages()[0].content == REDACTED
        assert CARD not in json.dumps(discreet.export())
        assert PASSWORD not in json.dumps(discreet.export())

    def test_no_llm_reads_a_secret(self, make: Callable[..., Backend]) -> None:
        """Neither when the run waits for it, nor in the background."""
        backend = make(redact="secrets", llm=ScriptedExtractor([report_reading]))
        ana = backend.user("ana")
        turn = [{"role": "user", "content": WITH_BOTH, "id": "m1"}, {"role": "assistant", "content": f"{CARD}, noted."}]
        ana.capture(turn, session_id="s1")
        ana.capture(turn, session_id="s2", background=True)
        assert backend.flush(20)
        assert "The user has a card." in [item.text for item in ana.all()]
        assert "The user has no secret." not in [item.text for item in ana.all()]
        assert CARD not in json.dumps(ana.export())

    def test_a_redacted_text_is_the_same_text_again(self, discreet: Memory) -> None:
        """An equal text is one memory, and a message that comes again changes nothing."""
        first, second = (discreet.add(WITH_BOTH, infer=False)[0] for _ in range(2))
        assert first.id == second.id
        message = {"role": "user", "content": f"I pay with {CARD}", "id": "m1"}
        (fact,) = discreet.capture([message], session_id="s1", infer=False)
        discreet.capture([message], session_id="s1", infer=False)
        assert discreet.get(fact.id).text == "I pay with [redacted: card number]"
        assert len(discreet.history("s1").messages()) == 1
        assert discreet.search(f"Who pays with {CARD}?", limit=1)[0].id == fact.id

    def test_a_function_of_the_caller_redacts(self, make: Callable[..., Backend]) -> None:
        """It gets each text; async code has it, too."""
        ana = make(redact=hide_ana).user("ana")

        async def add() -> list[Any]:
            return [*await ana.aio.add("Ana likes tea", metadata={"who": "Ana", "n": 1}, infer=False)]

        (item,) = asyncio.run(add())
        assert (item.text, item.metadata) == ("[redacted: name] likes tea", {"who": "[redacted: name]", "n": 1})
        assert item.redacted == ("name",)


def hide_ana(text: str) -> str:
    """The text without a name."""
    return text.replace("Ana", "[redacted: name]")
