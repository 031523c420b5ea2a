"""Windows of a session: valid requests for every provider, whatever the session holds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memweld
from memweld import ChatMessage, ToolCall
from memweld.memory.transcript import INTERRUPTED, model_window, read_window


def said(role: str, text: str = "", *calls: str, answers: str | None = None) -> ChatMessage:
    return ChatMessage(
        role=role,  # pyright: ignore[reportArgumentType]
        content=text,
        tool_calls=tuple(ToolCall(id=call, name="look") for call in calls),
        tool_call_id=answers,
    )


def shown(messages: Sequence[ChatMessage]) -> list[str]:
    return [
        f"{message.role}:{message.text or ','.join(call.id for call in message.tool_calls)}" for message in messages
    ]


def assert_valid(window: Sequence[ChatMessage]) -> None:
    """The rules of OpenAI (calls and results whole), Anthropic and Gemini (begin with the user, results at once)."""
    talk = list(window)
    while talk and talk[0].role == "system":
        talk.pop(0)
    assert all(message.role != "system" for message in talk), "prompts come first"
    assert not talk or talk[0].role == "user"
    open_calls: set[str] = set()
    for message in talk:
        if message.role == "tool":
            assert message.tool_call_id in open_calls, "a result follows its call at once, and once"
            open_calls.discard(message.tool_call_id or "")
            continue
        assert not open_calls, "each call has its result before anything else is said"
        assert message.content or message.tool_calls, "no message is empty"
        open_calls = {call.id for call in message.tool_calls}
    assert not open_calls


CALLS = st.lists(st.sampled_from("abc"), max_size=2, unique=True)
MESSAGES = st.lists(
    st.one_of(
        st.builds(said, st.sampled_from(["system", "user", "assistant"]), st.sampled_from(["", "yes", "well, " * 9])),
        CALLS.map(lambda calls: said("assistant", "", *calls)),
        st.sampled_from("abc").map(lambda call: said("tool", "found", answers=call)),
        st.just(said("tool", "stray")),
    ),
    max_size=14,
)


@settings(deadline=None)
@given(MESSAGES, st.one_of(st.none(), st.integers(1, 8)), st.one_of(st.none(), st.integers(1, 90)), st.booleans())
def test_every_window_is_a_valid_request(
    messages: list[ChatMessage], limit: int | None, characters: int | None, prompts: bool
) -> None:
    window = model_window(messages, limit=limit, characters=characters, prompts=prompts)
    assert_valid(window)
    talk = [message for message in window if message.role != "system"]
    assert limit is None or len(talk) <= limit
    assert characters is None or sum(len(message.text) for message in talk) <= characters
    assert prompts or len(talk) == len(window)
    if any(message.role == "user" and message.content for message in messages):
        assert talk, "what the user said is never left out entirely"


def test_a_call_without_a_result_is_answered() -> None:
    window = model_window([said("user", "Book it"), said("assistant", "", "a", "b"), said("tool", "ok", answers="b")])
    assert shown(window) == ["user:Book it", "assistant:a,b", f"tool:{INTERRUPTED}", "tool:ok"]
    assert window[2].tool_call_id == "a"


def test_a_call_at_the_end_may_stay_open() -> None:
    messages = [said("user", "Book it"), said("assistant", "", "a", "b"), said("tool", "ok", answers="b")]
    assert shown(model_window(messages, open_end=True)) == ["user:Book it", "assistant:a,b", "tool:ok"]


def test_a_late_result_stands_behind_its_call() -> None:
    messages = [said("user", "Go"), said("assistant", "", "a"), said("user", "Quick"), said("tool", "ok", answers="a")]
    assert shown(model_window(messages)) == ["user:Go", "assistant:a", "tool:ok", "user:Quick"]


def test_ids_that_come_back_belong_to_the_latest_call() -> None:
    first, second = [said("user", "One"), said("assistant", "", "0")], [said("user", "Two"), said("assistant", "", "0")]
    window = model_window([*first, *second, said("tool", "two", answers="0")])
    assert shown(window) == ["user:One", "assistant:0", f"tool:{INTERRUPTED}", "user:Two", "assistant:0", "tool:two"]


def test_a_long_last_exchange_keeps_the_question_and_the_latest_steps() -> None:
    messages = [
        said("user", "Find it"),
        said("assistant", "", "a"),
        said("tool", "x" * 500, answers="a"),
        said("assistant", "Here it is"),
    ]
    assert shown(model_window(messages, limit=2)) == ["user:Find it", "assistant:Here it is"]
    assert shown(model_window(messages, characters=100)) == ["user:Find it", "assistant:Here it is"]
    assert shown(model_window([said("user", "abcdef")], characters=3)) == ["user:def"]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 50])
def test_a_session_is_read_back_to_the_user(limit: int) -> None:
    with memweld.connect("sqlite://") as backend:
        history = backend.user("ana").history("s")
        history.append([said("user", "Before"), said("assistant", "Yes")])
        steps = [said("assistant", "", str(n)) for n in range(120)]
        answers = [said("tool", f"found {n}", answers=str(n)) for n in range(120)]
        history.append([said("user", "Find it"), *(each for pair in zip(steps, answers, strict=True) for each in pair)])
        history.append([said("assistant", "Done")])
        window = read_window(history, limit=limit)
        assert_valid(window)
        assert window[0].text == "Find it"
        assert len(window) <= limit
        assert limit == 1 or window[-1].text == "Done"
        assert shown(read_window(backend.user("ana").history("none"), limit=limit)) == []
        assert len(read_window(history)) == 2 + 1 + 240 + 1
