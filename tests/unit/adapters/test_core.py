"""The core of the adapters without a framework: options, recall, capture, tools, saved configuration."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import anyio
import pytest

import memweld
from memweld import Backend, ChatMessage, InvalidInputError, Memory, ToolCall
from memweld.adapters.capture import TurnCapture, spoken_by
from memweld.adapters.failures import FailurePolicy, OnError
from memweld.adapters.messages import arguments_text, fit_message, neutral_call, neutral_key
from memweld.adapters.options import TurnOptions
from memweld.adapters.recall import TurnRecall
from memweld.errors import BackendUnavailableError, ConfigurationError
from memweld.scope import current_user
from memweld.testing import BrokenMemory, HashEmbedder
from memweld.tools import TOOLS, run_tool, run_tool_async

LOGGER = logging.getLogger("memweld.test")


@pytest.fixture
def backend() -> Iterator[Backend]:
    with memweld.connect("sqlite://", embedder=HashEmbedder()) as backend:
        yield backend


@pytest.fixture
def ana(backend: Backend) -> Memory:
    return backend.user("ana")


def recall(**options: Any) -> TurnRecall:
    chosen = TurnOptions(**options)
    return TurnRecall(chosen, FailurePolicy(chosen.on_error, LOGGER))


def capture(**options: Any) -> TurnCapture:
    chosen = TurnOptions(**options)
    return TurnCapture(chosen, FailurePolicy(chosen.on_error, LOGGER))


# the profile


def test_a_profile_stays_the_same_in_a_session(backend: Backend, ana: Memory) -> None:
    """So that a provider's cache serves it; each session and each user has its own."""
    recalls = recall(profile=True)
    ana.add("I am allergic to peanuts", pinned=True)
    (tea,) = ana.add("I drink tea")
    first = recalls.recall(ana, "Hello", session_id="s").profile
    ana.add("I keep bees")
    ana.preferences.set("theme", "dark")
    assert "peanuts" in first
    assert recalls.recall(ana, "And now?", session_id="s").profile == first
    assert "bees" in recalls.recall(ana, "Hello", session_id="other").profile
    assert recalls.recall(backend.user("bob"), "Hello", session_id="s").profile == ""
    # What is no longer so is shown no more, nor what was erased; a new pin is.
    ana.add("I drink coffee", supersedes=tea.id)
    second = recalls.recall(ana, "And now?", session_id="s").profile
    assert ("I drink tea" in second.partition("(before")[0], "I drink coffee" in second) == (False, True)
    ana.add("I have a dog", pinned=True)
    assert "dog" in recalls.recall(ana, "And now?", session_id="s").profile
    ana.erase()
    assert recalls.recall(ana, "And now?", session_id="s").profile == ""


def test_profile_and_recall_repeat_nothing(ana: Memory) -> None:
    """Neither each other nor what the model is shown; a long memory that a profile has to cut is still recalled."""
    recalls = recall(profile=600, recall_limit=9)
    ana.add("I keep bees in the garden", pinned=True)
    ana.add("My bees eat " + "clover " * 200, pinned=True)
    for number in range(9):
        ana.add(f"My bees have house {number}", created_at="2020-01-01")
    found = recalls.recall(ana, "What do my bees eat in the garden?", shown=["My bees have house 3"])
    assert "I keep bees in the garden" in found.profile
    texts = [hit.text for hit in found.hits]
    assert any("clover" in text for text in texts)
    assert not {"I keep bees in the garden", "My bees have house 3"}.intersection(texts)


def test_a_turn_counts_its_memories_once(ana: Memory) -> None:
    """Whatever the number of model calls; a memory that two turns recalled is in the profile."""
    recalls = recall()
    ana.add("I keep bees", created_at="2020-01-01")
    for turn in (1, 1, 1):
        assert recalls.recall(ana, "bees", turn=turn).hits
    assert ana.profile() == ""
    recalls.recall(ana, "bees", turn=2)
    assert "Recalled most:" in ana.profile()


# options


@pytest.mark.parametrize(
    "options",
    [
        {"recall_limit": -1},
        {"recall_budget": 0},
        {"min_score": 2},
        {"recency": 3},
        {"kinds": "fact"},
        {"profile": 0},
        {"profile": "yes"},
        {"capture": "later"},
        {"infer": "yes"},
        {"history_limit": 0},
        {"on_error": "ignore"},
    ],
)
def test_an_option_that_breaks_a_rule_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        TurnOptions(**options)


def test_options_are_saved_and_loaded() -> None:
    options = TurnOptions(recall_limit=3, recency=timedelta(days=2), kinds="item", capture="background")
    dump = json.loads(json.dumps(options.dump()))
    assert dump == {"recall_limit": 3, "recency": 172_800.0, "kinds": ["item"], "capture": "background"}
    assert TurnOptions.load(dump) == options
    assert TurnOptions().dump() == {}


# recall


def test_what_the_model_is_shown_anyway_is_not_recalled(ana: Memory) -> None:
    for text in ("I keep bees", "My bees like clover"):
        ana.capture(text, session_id="s")
    found = recall(recall_limit=1).recall(ana, "bees", session_id="s", shown=["I keep bees"])
    assert [hit.text for hit in found.hits] == ["My bees like clover"]
    assert "clover" in found.block
    assert recall().recall(ana, "  ").block == ""
    assert recall(recall_limit=0).recall(ana, "bees").block == ""
    assert recall(kinds="preference").recall(ana, "bees").block == ""


async def test_a_turn_searches_once_for_each_user(backend: Backend, ana: Memory) -> None:
    ana.add("I keep bees")
    shared = recall()
    first = await shared.recall_async(ana, "bees", turn="t1")
    ana.add("My bees like clover")
    assert await shared.recall_async(ana, "bees", turn="t1") == first
    assert (await shared.recall_async(backend.user("bob"), "bees", turn="t1")).block == ""
    assert len((await shared.recall_async(ana, "bees", turn="t2")).hits) == 2


def test_a_failing_search_is_logged_or_raised(ana: Memory, caplog: pytest.LogCaptureFixture) -> None:
    for broken in (BrokenMemory(ana, "search"), BrokenMemory(ana, "wrong")):
        assert recall().recall(broken, "bees").block == ""
        assert "recall failed" in caplog.text
        with pytest.raises((BackendUnavailableError, ZeroDivisionError)):
            recall(on_error="raise").recall(broken, "bees")


# capture

TURN = [ChatMessage(role="user", content="I keep bees", id="1"), ChatMessage(role="assistant", content="Nice", id="2")]


def test_what_the_user_says_is_written_when_the_run_begins(ana: Memory) -> None:
    keep = capture()
    keep.begin(ana, TURN[:1], session_id="s")
    assert [message.text for message in ana.history("s").messages()] == ["I keep bees"]
    keep.end(ana, TURN, session_id="s")
    assert [message.text for message in ana.history("s").messages()] == ["I keep bees", "Nice"]
    assert [item.text for item in ana.all()] == ["I keep bees"]


async def test_a_run_that_is_cancelled_as_it_begins_keeps_what_the_user_said(ana: Memory) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await capture().begin_async(ana, TURN[:1], session_id="s")
    assert [message.text for message in ana.history("s").messages()] == ["I keep bees"]
    assert [item.text for item in ana.all()] == ["I keep bees"]


async def test_a_failing_run_keeps_what_the_user_said(ana: Memory) -> None:
    await capture().rescue_async(ana, TURN, session_id="s")
    assert [message.text for message in ana.history("s").messages()] == ["I keep bees"]
    assert [item.text for item in ana.all()] == ["I keep bees"]
    capture(on_error="raise").rescue(BrokenMemory(ana, "capture"), TURN, session_id="s")


def test_nothing_is_kept_where_capture_is_off(ana: Memory) -> None:
    off = capture(capture=False)
    off.begin(ana, TURN, session_id="s")
    off.end(ana, TURN, session_id="s")
    off.rescue(ana, TURN, session_id="s")
    assert (ana.all(), ana.sessions()) == ([], [])


@pytest.mark.parametrize(
    "message",
    [
        ChatMessage(role="tool", content="x" * 17_000_000, tool_call_id="c"),
        ChatMessage(role="assistant", tool_calls=(ToolCall(id="c" * 900, name="look"),)),
        ChatMessage(role="tool", content="ok", tool_call_id="c" * 900),
        ChatMessage(role="assistant", content="ok", id="i" * 900, name="n" * 900),
        ChatMessage(role="assistant", content="ok", native={"framework": "x", "message": "y" * 17_000_000}),
    ],
)
@pytest.mark.parametrize("on_error", ["warn", "raise"])
def test_one_message_does_not_take_the_turn(ana: Memory, message: ChatMessage, on_error: OnError) -> None:
    capture(on_error=on_error).end(ana, [*TURN, message], session_id="s")
    kept = ana.history("s").messages()
    assert [each.text for each in kept[:2]] == ["I keep bees", "Nice"]
    assert len(kept) == 3
    assert kept[2].native is not None
    assert "shortened" in kept[2].native
    assert [item.text for item in ana.all()] == ["I keep bees"]


class SmallStore(Memory):
    """A memory that takes at most a million characters at once, as a server may."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory._engine, memory.scope)

    def capture(self, messages: Any, **options: Any) -> Any:
        if sum(len(message.text) for message in messages) > 1_000_000:
            raise InvalidInputError("This is more than the server takes at once.")
        return super().capture(messages, **options)


def test_a_store_that_takes_less_gets_less(ana: Memory) -> None:
    big = ChatMessage(role="tool", content="x" * 2_000_000, tool_call_id="c")
    capture().end(SmallStore(ana), [*TURN, big], session_id="s")
    kept = ana.history("s").messages()
    assert [len(message.text) for message in kept] == [11, 4, 100_000]
    assert "more than the server takes" in str((kept[2].native or {})["shortened"])
    assert [item.text for item in ana.all()] == ["I keep bees"]


def test_a_call_and_its_result_are_shortened_alike() -> None:
    call = fit_message(ChatMessage(role="assistant", tool_calls=(ToolCall(id="c" * 900, name="look"),)))
    result = fit_message(ChatMessage(role="tool", content="ok", tool_call_id="c" * 900))
    assert call.tool_calls[0].id == result.tool_call_id
    assert neutral_key("c" * 900) == result.tool_call_id
    assert fit_message(TURN[0]).content == "I keep bees"


def test_a_program_mistake_ends_the_run(ana: Memory) -> None:
    with pytest.raises(ConfigurationError, match="llm="):
        capture(infer=True).end(ana, TURN, session_id="s")


def test_whom_a_user_message_is_of() -> None:
    messages = [ChatMessage(role="user", content=name or "none", name=name) for name in (None, "user", "writer")]
    assert [message.text for message in spoken_by(messages, ["user"])] == ["none", "user"]


def test_calls_of_any_framework() -> None:
    assert neutral_call("1", "look", '{"x": 1}').arguments == {"x": 1}
    assert neutral_call("1", "look", None).arguments == {}
    for raw in ("{broken", "[1]"):
        call = neutral_call("1", "look", raw)
        assert call.arguments == {"__raw__": raw}
        assert arguments_text(call) == raw
    assert neutral_call(None, "", {"a": {1}}) == ToolCall(id="unknown", name="unknown", arguments={"a": [1]})


# tools


async def test_a_tool_is_run_for_an_agent(ana: Memory) -> None:
    tool = TOOLS["search_memories"]
    ana.add("I keep bees")
    for outcome in (
        run_tool(tool, lambda: ana, {"query": "bees", "limit": None}),
        await run_tool_async(tool, lambda: ana, {"query": "bees", "limit": None}),
    ):
        assert "I keep bees" in outcome.text
        assert not outcome.is_error
        assert outcome.data["memories"]
    assert run_tool(TOOLS["set_state"], lambda: ana, {"namespace": "n", "key": "k", "value": None}).error is None
    assert "no JSON object" in run_tool(tool, lambda: ana, "bees").text
    assert run_tool(tool, lambda: ana, {"query": "bees", "user_id": "bob"}).is_error


async def test_a_foreign_error_reaches_no_model_in_its_own_words(ana: Memory, caplog: pytest.LogCaptureFixture) -> None:
    tool, broken = TOOLS["search_memories"], BrokenMemory(ana, "wrong")

    def no_user() -> Memory:
        raise AssertionError(current_user())

    for outcome in (
        run_tool(tool, lambda: broken, {"query": "bees"}),
        await run_tool_async(tool, lambda: broken, {"query": "bees"}),
    ):
        assert outcome.marked == "Error: Internal error in search_memories: ZeroDivisionError"
    gone = BrokenMemory(ana, "search", error=BackendUnavailableError("No connection to db.internal"))
    outcome = run_tool(tool, lambda: gone, {"query": "bees"})
    assert str(outcome.error) == outcome.text == "The memory cannot be used now; the log says why. Try again later."
    assert isinstance(outcome.error, BackendUnavailableError)
    assert "No connection to db.internal" in caplog.text
    assert "No user is known" in run_tool(tool, no_user, {"query": "bees"}).text
    assert "No user is known" in (await run_tool_async(tool, no_user, {"query": "bees"})).text


async def test_a_librarys_panic_is_reported_and_a_cancellation_passes(ana: Memory) -> None:
    class PanicException(BaseException):
        """As libraries in Rust raise it."""

    def raising(error: BaseException) -> Memory:
        raise error

    tool = TOOLS["search_memories"]
    panic = functools.partial(raising, PanicException("secret detail"))
    for outcome in (run_tool(tool, panic, {"query": "x"}), await run_tool_async(tool, panic, {"query": "x"})):
        assert outcome.text == "Internal error in search_memories: PanicException"
    for passing in (KeyboardInterrupt, asyncio.CancelledError):
        with pytest.raises(passing):
            run_tool(tool, functools.partial(raising, passing()), {"query": "x"})


@pytest.mark.parametrize(
    ("messages", "texts"),
    [
        ("I keep bees", ["I keep bees"]),
        (["I like tea", "I like jam"], ["I like tea", "I like jam"]),
        ({"content": "I live in Faro"}, ["I live in Faro"]),
        ([{"content": "I live in Faro"}], ["I live in Faro"]),
        ('[{"role": "user", "content": "I live in Faro"}]', ["I live in Faro"]),
        ("[sic] I keep bees", ["[sic] I keep bees"]),
    ],
)
def test_messages_as_models_pass_them(ana: Memory, messages: Any, texts: list[str]) -> None:
    assert not run_tool(TOOLS["add_memory"], lambda: ana, {"messages": messages, "metadata": '{"a": 1}'}).is_error
    assert [(item.text, item.metadata) for item in ana.all()] == [(text, {"a": 1}) for text in texts]


def test_an_object_may_come_as_json_text(ana: Memory) -> None:
    for text, value in (('{"a": 1}', {"a": 1}), ("[1, 2]", [1, 2]), ("{a", "{a"), ("7", "7")):
        arguments = {"namespace": "n", "key": "k", "value": text}
        assert not run_tool(TOOLS["set_state"], lambda: ana, arguments).is_error
        assert ana.state("n")["k"] == value
    assert not run_tool(TOOLS["search_memories"], lambda: ana, {"query": "[1]"}).is_error
