"""Windows of a session: valid requests for every provider, whatever the session holds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

import memweld
from memweld import ChatMessage, MemoryNotFoundError, ToolCall
from memweld.memory.transcript import INTERRUPTED, model_window, read_tail, read_window


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


def check_openai(window: Sequence[ChatMessage]) -> None:
    """Each call is answered by tool messages right behind it, and no tool message stands anywhere else."""
    missing: set[str] = set()
    for message in window:
        if message.role == "tool":
            assert message.tool_call_id in missing, "a result follows its call at once, and once"
            missing.remove(message.tool_call_id or "")
        else:
            assert not missing, "each call has its result before anything else is said"
            missing = {call.id for call in message.tool_calls}
    assert not missing


def check_anthropic(window: Sequence[ChatMessage]) -> None:
    """Prompts are apart from messages, the user begins, ids of calls are unique, and no text is blank."""
    talk = [message for message in window if message.role != "system"]
    assert [message.role for message in window[: len(window) - len(talk)]] == ["system"] * (len(window) - len(talk))
    assert not talk or talk[0].role == "user"
    ids = [call.id for message in talk for call in message.tool_calls]
    assert len(ids) == len(set(ids))
    assert all(message.text.strip() or message.tool_calls for message in window if message.role != "tool")


def check_gemini(window: Sequence[ChatMessage]) -> None:
    """A call follows a turn of the user or a result; as many results follow as there are calls; no part is empty."""
    previous, results = "", 0
    for message in [message for message in window if message.role != "system"]:
        assert message.content or message.tool_calls
        if message.tool_calls:
            assert previous in ("user", "tool"), "a call does not follow the model's own words"
        if message.role != "tool":
            assert results == 0
            results = len(message.tool_calls)
        else:
            results -= 1
        previous = message.role


def assert_valid(window: Sequence[ChatMessage]) -> None:
    for check in (check_openai, check_anthropic, check_gemini):
        check(window)


CALLS = st.lists(st.sampled_from("abc"), max_size=3)
MESSAGES = st.lists(
    st.one_of(
        st.builds(
            said, st.sampled_from(["system", "user", "assistant"]), st.sampled_from(["", " ", "yes", "well, " * 9])
        ),
        CALLS.map(lambda calls: said("assistant", "", *calls)),
        st.sampled_from("abc").map(lambda call: said("tool", "found", answers=call)),
        st.just(said("tool", "stray")),
    ),
    max_size=14,
)


@given(MESSAGES, st.one_of(st.none(), st.integers(1, 8)), st.one_of(st.none(), st.integers(1, 90)), st.booleans())
def test_every_window_is_a_valid_request(
    messages: list[ChatMessage], limit: int | None, characters: int | None, prompts: bool
) -> None:
    window = model_window(messages, limit=limit, characters=characters, prompts=prompts)
    assert_valid(window)
    talk = [message for message in window if message.role != "system"]
    calls = [place for place, message in enumerate(talk) if message.tool_calls]
    last = len(talk) - calls[-1] if calls and all(message.role == "tool" for message in talk[calls[-1] + 1 :]) else 0
    assert limit is None or len(talk) <= max(limit, 1 + last), "only a last step with calls may exceed it"
    assert characters is None or sum(len(message.text) for message in window) <= characters
    assert prompts or len(talk) == len(window)
    if any(message.role == "user" for message in messages):
        assert talk, "what the user said is never left out entirely"


def test_blank_words_of_the_user_are_shown_as_a_sign() -> None:
    window = model_window([said("user", " \n"), said("assistant", "Pardon?"), said("user"), said("assistant", "Hm")])
    assert shown(window) == ["user:…", "assistant:Pardon?", "user:…", "assistant:Hm"]


def test_prompts_take_at_most_half_of_the_characters() -> None:
    prompts = [said("system", letter * 40) for letter in "abc"]
    window = model_window([*prompts, said("user", "u" * 200)], characters=200)
    assert shown(window) == [f"system:{'b' * 40}", f"system:{'c' * 40}", f"user:{'u' * 120}"]
    assert (
        shown(model_window([said("system", "s" * 500), said("user", "Hi")], characters=20))[0] == f"system:{'s' * 10}"
    )


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
    assert shown(window) == ["user:One", "assistant:0", f"tool:{INTERRUPTED}", "user:Two", "assistant:0-2", "tool:two"]
    assert [message.tool_call_id for message in window if message.role == "tool"] == ["0", "0-2"]
    (last,) = model_window([*first, *second], open_end=True)[-1].tool_calls
    assert last.id == "0", "the run answers it by this id"


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


def test_no_window_has_a_gap() -> None:
    steps = [[said("assistant", f"{n}", f"c{n}"), said("tool", "x" * n, answers=f"c{n}")] for n in (1, 90, 2)]
    messages = [said("user", "Go"), *(message for step in steps for message in step)]
    assert shown(model_window(messages, characters=60)) == ["user:Go", "assistant:2", "tool:xx"]
    assert shown(model_window(messages, limit=4)) == ["user:Go", "assistant:2", "tool:xx"]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_last_step_longer_than_the_limit_stays_whole(limit: int) -> None:
    results = [said("tool", call, answers=call) for call in "bcd"]
    messages = [said("user", "Go"), said("assistant", "", "a"), said("tool", "a", answers="a")]
    window = model_window([*messages, said("assistant", "", "b", "c", "d"), *results], limit=limit)
    assert shown(window) == ["user:Go", "assistant:b,c,d", "tool:b", "tool:c", "tool:d"]


def test_words_before_a_call_stand_in_its_message() -> None:
    """Gemini refuses a call right behind the model's own words."""
    image = ChatMessage(role="assistant", content=[{"type": "image_url", "image_url": {"url": "https://x/y.png"}}])
    result = said("tool", "ok", answers="a")
    texts = [said("user", "Go"), said("assistant", "Well"), said("assistant", "I look"), said("assistant", "", "a")]
    assert shown(model_window([*texts, result])) == ["user:Go", "assistant:Well\n\nI look", "tool:ok"]
    assert len(model_window([*texts, result], joins=False)) == 5
    window = model_window([texts[0], image, said("assistant", "Here", "a"), result])
    assert [part["type"] for part in window[1].content if isinstance(part, dict)] == ["image_url", "text"]
    named = ChatMessage(role="assistant", content="I look", name="writer")
    assert model_window([texts[0], named, texts[3], result])[1].text == "writer:\n\nI look"
    # Too long a preamble costs no result.
    long = model_window([texts[0], said("assistant", "w" * 500), texts[3], result], characters=100)
    assert shown(long) == ["user:Go", "assistant:a", "tool:ok"]


def test_of_results_that_are_too_long_the_beginnings_are_shown() -> None:
    messages = [
        said("user", "Find it"),
        said("assistant", "", "a", "b"),
        said("tool", "x" * 500_000, answers="a"),
        said("tool", "found", answers="b"),
    ]
    window = model_window(messages, characters=1_000)
    assert_valid(window)
    assert [message.text[:5] for message in window] == ["Find ", "", "xxxxx", "found"]
    assert 400 < sum(len(message.text) for message in window) <= 1_000


def test_an_image_is_not_cut_off_for_its_length() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    message = ChatMessage(role="user", content=[{"type": "text", "text": "What is it?"}, image])
    assert model_window([said("user", "Hi"), said("assistant", "Hello"), message], characters=5_000)[-1] == message
    blank = ChatMessage(role="assistant", content=[{"type": "text", "text": " "}])
    assert shown(model_window([said("user", "Hi"), blank, said("assistant", "\n")])) == ["user:Hi"]


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


def test_a_session_that_is_cleared_while_it_is_read() -> None:
    """What was read of it by then stands before the model."""
    with memweld.connect("sqlite://") as backend:
        history = backend.user("ana").history("s")
        history.append([said("user", "Find it"), *(said("assistant", f"step {n}") for n in range(5))])
        read = history.messages

        def clearing(limit: int | None = None, before: str | None = None) -> list[ChatMessage]:
            if before is not None:
                history.clear()
            return read(limit, before)

        history.messages = clearing
        assert [message.text for message in read_tail(history, 2)] == ["step 3", "step 4"]
        with pytest.raises(MemoryNotFoundError):
            read_tail(history, 2, "gone")
