"""Capture of MemweldMiddleware: awaited or not, parts of a turn, filters, and no repetition."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware, SummarizationMiddleware
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    ToolMessage,
    filter_messages,
)
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from observed import Held, messages_of, runs_beside, texts

from memweld import ChatMessage, InvalidInputError, Memory, connect
from memweld.engine.operations import AddItems, Operation
from memweld.langchain import MemweldMiddleware
from memweld.scope import Scope
from memweld.testing import HashEmbedder, Mode
from memweld.testing.langchain import ScriptedChatModel, tool_call
from memweld.testing.llm import ScriptedExtractor, facts

MODES: tuple[Mode, ...] = ("sync", "async")
both = pytest.mark.parametrize("mode", MODES)


@tool
def weather(town: str) -> str:
    """The weather of a town."""
    return f"Rain in {town}."


def invoke(agent: Any, given: Any, mode: Mode = "sync", session: str | None = "t") -> list[BaseMessage]:
    state = {"messages": [HumanMessage(given)]} if isinstance(given, str) else given
    config = None if session is None else {"configurable": {"thread_id": session}}
    result = agent.invoke(state, config) if mode == "sync" else asyncio.run(agent.ainvoke(state, config))
    return result["messages"]


# who waits


@both
def test_in_the_background_the_answer_does_not_wait_for_the_facts(tmp_path: Path, mode: Mode) -> None:
    gate = threading.Event()

    def extract(prompt: Any) -> str:
        assert gate.wait(60)
        return facts("Second" if "And my cat" in str(prompt).partition("## New Messages")[2] else "First")

    with connect(
        f"sqlite:///{tmp_path / 'l.db'}", llm=ScriptedExtractor([extract]), embedder=HashEmbedder()
    ) as backend:
        memory = backend.user("ana")
        middleware = MemweldMiddleware(memory, capture="background")
        agent = create_agent(
            ScriptedChatModel(["Nice.", "Lovely."]), middleware=[middleware], checkpointer=InMemorySaver()
        )
        invoke(agent, "I moved to Porto", mode)
        invoke(agent, "And my cat came along", mode)
        assert len(messages_of(memory, "t")) == 4, "the history is written before the answer"
        assert texts(memory) == []
        assert not middleware.flush(timeout=0.05)
        gate.set()
        assert middleware.flush(20) if mode == "sync" else asyncio.run(middleware.aflush(20))
        assert texts(memory) == ["First", "Second"]


@both
@pytest.mark.parametrize("capture", [True, "awaited"])
def test_awaited_facts_are_there_with_the_answer(tmp_path: Path, mode: Mode, capture: Any) -> None:
    extractor = ScriptedExtractor([facts("Lives in Porto")], delay=0.1)
    with connect(f"sqlite:///{tmp_path / 'l.db'}", llm=extractor, embedder=HashEmbedder()) as backend:
        memory = backend.user("ana")
        agent = create_agent(ScriptedChatModel(["Nice."]), middleware=[MemweldMiddleware(memory, capture=capture)])
        invoke(agent, "I moved to Porto", mode)
        assert texts(memory) == ["Lives in Porto"]


@both
def test_in_the_background_the_user_is_the_one_of_the_run(tmp_path: Path, mode: Mode) -> None:
    extractor = ScriptedExtractor([lambda prompt: facts(str(prompt).rpartition("I am ")[2][:6])], delay=0.01)
    with connect(f"sqlite:///{tmp_path / 'l.db'}", llm=extractor, embedder=HashEmbedder()) as backend:
        agent = create_agent(
            ScriptedChatModel(lambda _: "Hello."), middleware=[MemweldMiddleware(backend, capture="background")]
        )
        users = [f"user-{number}" for number in range(8)]

        def config(user: str) -> Any:
            return {"configurable": {"user_id": user, "thread_id": "t"}}

        def say(user: str) -> None:
            agent.invoke({"messages": [HumanMessage(f"I am {user}")]}, config(user))

        async def everybody() -> None:
            runs = (agent.ainvoke({"messages": [HumanMessage(f"I am {user}")]}, config(user)) for user in users)
            await asyncio.gather(*runs)

        if mode == "sync":
            threads = [threading.Thread(target=say, args=(user,)) for user in users]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        else:
            asyncio.run(everybody())
        assert backend.flush(30)
        for user in users:
            assert texts(backend.user(user)) == [user]
            assert messages_of(backend.user(user), "t") == [("user", f"I am {user}"), ("assistant", "Hello.")]


def test_an_error_in_the_background_is_logged_and_the_words_are_kept(
    ana: Memory, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = ana._engine.run

    def run(scope: Scope, operation: Operation[Any]) -> Any:
        if isinstance(operation, AddItems):
            raise OSError("disk full")
        return plain(scope, operation)

    monkeypatch.setattr(ana._engine, "run", run)
    middleware = MemweldMiddleware(ana, capture="background", on_error="raise")
    invoke(create_agent(ScriptedChatModel(["Nice."]), middleware=[middleware]), "I moved to Porto")
    with caplog.at_level(logging.WARNING, "memweld"):
        assert middleware.flush(10)
    assert "disk full" in caplog.text
    assert messages_of(ana, "t")[0] == ("user", "I moved to Porto")


def test_what_is_extracted_is_no_part_of_the_run(tmp_path: Path) -> None:
    extractor = ScriptedChatModel(lambda _: facts("Lives in Porto"))
    with connect(f"sqlite:///{tmp_path / 'l.db'}", llm=extractor, embedder=HashEmbedder()) as backend:
        middleware = MemweldMiddleware(backend.user("ana"))
        agent = create_agent(ScriptedChatModel(lambda _: "Nice."), middleware=[middleware])
        given: Any = {"messages": [HumanMessage("I moved to Porto")]}

        async def stream() -> list[Any]:
            return [part async for part in agent.astream(given, stream_mode="messages")]

        streamed = [*agent.stream(given, stream_mode="messages"), *asyncio.run(stream())]
        assert [part[0].content for part in streamed] == ["Nice.", "Nice."]
        assert middleware.flush(10)
        assert texts(backend.user("ana")) == ["Lives in Porto"]


# what of a turn


@both
@pytest.mark.parametrize("checkpointed", [True, False])
def test_what_is_kept_can_be_chosen(tmp_path: Path, mode: Mode, checkpointed: bool) -> None:
    whole = [
        ("user", "I moved to Porto"),
        ("assistant", ""),
        ("tool", "Rain in Porto."),
        ("assistant", "Rain."),
        ("user", "I like it"),
        ("assistant", "Good."),
    ]
    words = ["I moved to Porto", "I like it"]
    cases: dict[str, tuple[list[tuple[str, str]], list[str]]] = {
        "turn": (whole, words),
        "user": ([("user", text) for text in words], words),
        "history": (whole, []),
        "facts": ([], words),
    }
    with connect(f"sqlite:///{tmp_path / 'k.db'}", embedder=HashEmbedder()) as backend:
        for keep, (said, remembered) in cases.items():
            memory = backend.user(keep)
            agent = create_agent(
                ScriptedChatModel([tool_call("weather", {"town": "Porto"}), "Rain.", "Good."]),
                tools=[weather],
                middleware=[MemweldMiddleware(memory, keep=keep)],  # pyright: ignore[reportArgumentType]
                checkpointer=InMemorySaver() if checkpointed else None,
            )
            for text in words:
                invoke(agent, text, mode)
            assert (messages_of(memory, "t"), texts(memory)) == (said, remembered), keep
            assert {item.session_id for item in memory.all()} <= {"t"}


def test_the_llm_gets_only_what_is_kept(tmp_path: Path) -> None:
    extractor = ScriptedExtractor([facts("Lives in Porto")])
    with connect(f"sqlite:///{tmp_path / 'l.db'}", llm=extractor, embedder=HashEmbedder()) as backend:
        middleware = MemweldMiddleware(backend.user("ana"), keep="user")
        invoke(create_agent(ScriptedChatModel(["A secret answer."]), middleware=[middleware]), "I moved to Porto")
        assert middleware.flush(20)
        (prompt,) = extractor.prompts
        assert "I moved to Porto" in str(prompt)
        assert "A secret answer" not in str(prompt)


# the filter


def redact(messages: list[BaseMessage]) -> list[BaseMessage]:
    """Takes out the card's number, in place, and drops whole messages that are off the record."""
    for message in messages:
        message.content = str(message.content).replace("visa", "[card]")
        for call in getattr(message, "tool_calls", ()):
            call["args"] = {"town": "[town]"}
    return [message for message in messages if "off the record" not in str(message.content)]


async def aredact(messages: list[BaseMessage]) -> list[BaseMessage]:
    await asyncio.sleep(0)
    return redact(messages)


class Redactor:
    async def __call__(self, messages: list[BaseMessage]) -> list[BaseMessage]:
        return redact(messages)


@both
@pytest.mark.parametrize("capture", ["awaited", "background"])
@pytest.mark.parametrize(
    "given", [redact, aredact, Redactor(), RunnableLambda(redact)], ids=lambda each: repr(type(each))
)
def test_what_the_filter_refuses_is_nowhere(ana: Memory, mode: Mode, given: Any, capture: Any) -> None:
    model = ScriptedChatModel([tool_call("weather", {"town": "Porto"}), "You paid with visa.", "Fine."])
    middleware = MemweldMiddleware(ana, message_filter=given, capture=capture)
    agent = create_agent(model, tools=[weather], middleware=[middleware], checkpointer=InMemorySaver())
    messages = invoke(agent, "My card is visa", mode)
    assert [str(message.text) for message in messages][::3] == ["My card is visa", "You paid with visa."]
    assert isinstance(messages[1], AIMessage)
    assert messages[1].tool_calls[0]["args"] == {"town": "Porto"}, "the agent's own stay as they are"
    invoke(agent, "off the record: I hate tea", mode)
    assert middleware.flush(10)
    assert messages_of(ana, "t") == [
        ("user", "My card is [card]"),
        ("assistant", ""),
        ("tool", "Rain in Porto."),
        ("assistant", "You paid with [card]."),
        ("assistant", "Fine."),
    ]
    assert texts(ana) == ["My card is [card]"]
    assert "visa" not in repr(ana.export())
    assert "hate tea" not in repr(ana.export())
    assert "'Porto'" not in repr(ana.export())


def test_langchains_own_filter_fits(ana: Memory) -> None:
    model = ScriptedChatModel([tool_call("weather", {"town": "Porto"}), "Rain."])
    middleware = MemweldMiddleware(ana, message_filter=filter_messages(exclude_types=[ToolMessage]))
    invoke(create_agent(model, tools=[weather], middleware=[middleware]), "Weather in Porto please")
    assert [role for role, _ in messages_of(ana, "t")] == ["user", "assistant", "assistant"]


@both
def test_what_was_refused_once_is_not_kept_later(ana: Memory, mode: Mode) -> None:
    def discreet(messages: list[BaseMessage]) -> list[BaseMessage]:
        return [] if any("off the record" in str(message.text) for message in messages) else messages

    model = ScriptedChatModel(["One.", "Two.", ValueError("busy"), "Four.", "Five."])
    agent = create_agent(
        model, middleware=[MemweldMiddleware(ana, message_filter=discreet)], checkpointer=InMemorySaver()
    )
    invoke(agent, "I like trams", mode)
    invoke(agent, "off the record: I hate tea", mode)
    with pytest.raises(ValueError, match="busy"):
        invoke(agent, "off the record: I hate cake", mode)
    invoke(agent, "I like ships", mode)
    invoke(agent, "I like trains", mode)
    assert [text for _, text in messages_of(ana, "t")] == [
        "I like trams",
        "One.",
        "I like ships",
        "Four.",
        "I like trains",
        "Five.",
    ]
    assert texts(ana) == ["I like trams", "I like ships", "I like trains"]


def explode(messages: list[BaseMessage]) -> list[BaseMessage]:
    raise LookupError("the filter is broken")


async def aexplode(messages: list[BaseMessage]) -> list[BaseMessage]:
    raise LookupError("the filter is broken")


BROKEN: list[Any] = [
    explode,
    aexplode,
    RunnableLambda(explode),
    lambda _messages: None,
    lambda _messages: "all of it",
    lambda messages: messages[0],
    lambda messages: [message.content for message in messages],
    lambda _messages: [RemoveMessage(id="1")],
]


@both
@pytest.mark.parametrize("given", BROKEN)
def test_a_filter_that_fails_lets_nothing_through(
    ana: Memory, mode: Mode, given: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for on_error in ("warn", "raise"):
        model = ScriptedChatModel(["Nice.", ValueError("busy")])
        agent = create_agent(model, middleware=[MemweldMiddleware(ana, message_filter=given, on_error=on_error)])  # pyright: ignore[reportArgumentType]
        with caplog.at_level(logging.WARNING, "memweld.langchain"):
            if on_error == "warn":
                assert str(invoke(agent, "I moved to Porto", mode)[-1].text) == "Nice."
                assert "failed; the run goes on" in caplog.text
            else:
                with pytest.raises((LookupError, InvalidInputError)):
                    invoke(agent, "I moved to Porto", mode)
            with pytest.raises(ValueError, match="busy"):
                invoke(agent, "I moved to Porto", mode)
        assert "could not be kept" in caplog.text
        caplog.clear()
    assert (texts(ana), messages_of(ana, "t")) == ([], [])


def test_an_asynchronous_filter_in_a_synchronous_run_inside_a_running_loop(ana: Memory) -> None:
    agent = create_agent(ScriptedChatModel(["Fine."]), middleware=[MemweldMiddleware(ana, message_filter=aredact)])

    async def main() -> None:
        invoke(agent, "My card is visa")

    asyncio.run(main())
    assert texts(ana) == ["My card is [card]"]


def test_a_slow_filter_does_not_block_the_event_loop(ana: Memory) -> None:
    held = Held()

    def slow(messages: list[BaseMessage]) -> list[BaseMessage]:
        held.wait()
        return messages

    agent = create_agent(ScriptedChatModel(["Fine."]), middleware=[MemweldMiddleware(ana, message_filter=slow)])

    async def main() -> bool:
        return await runs_beside(agent.ainvoke({"messages": [HumanMessage("Hello")]}), held)

    assert asyncio.run(main())


def test_the_agents_artifacts_need_no_copy(ana: Memory) -> None:
    lock = threading.Lock()  # cannot be copied
    said = [HumanMessage("My card is visa"), AIMessage("Ok."), ToolMessage("visa", tool_call_id="1", artifact=lock)]
    agent = create_agent(
        ScriptedChatModel(["Fine."]), middleware=[MemweldMiddleware(ana, message_filter=redact, session_id="t")]
    )
    messages = agent.invoke({"messages": said})["messages"]
    assert messages[2].artifact is lock
    assert messages_of(ana, "t")[2] == ("tool", "[card]")
    assert messages[2].content == "visa"


# what is recalled although it is shown


def recalled(model: ScriptedChatModel) -> str:
    texts = [str(message.text) for message in model.calls[-1].messages if isinstance(message, HumanMessage)]
    return next((text.partition("</memories>")[0] for text in texts if text.startswith("<memories>")), "")


@both
@pytest.mark.parametrize("checkpointed", [True, False])
def test_what_the_model_sees_anyway_is_not_recalled(ana: Memory, mode: Mode, checkpointed: bool) -> None:
    ana.add("Bees are kept by Ana's mother", session_id="another")
    model = ScriptedChatModel(lambda _: "Good.")
    agent = create_agent(
        model,
        middleware=[MemweldMiddleware(ana, recall_limit=2)],
        checkpointer=InMemorySaver() if checkpointed else None,
    )
    for number in range(6):
        invoke(agent, f"Bees live in my hive {number}", mode)
    invoke(agent, "Bees are kept by whom?", mode)
    assert "Bees are kept by Ana's mother" in recalled(model)
    assert "hive" not in recalled(model)
    assert model.calls[-1].text.count("Bees live in my hive") == 6


def test_what_is_shown_no_more_is_recalled(ana: Memory) -> None:
    model = ScriptedChatModel(lambda _: "Good.")
    summary = SummarizationMiddleware(
        ScriptedChatModel(lambda _: "They talked"), trigger=("messages", 4), keep=("messages", 1)
    )
    agent = create_agent(model, middleware=[MemweldMiddleware(ana), summary], checkpointer=InMemorySaver())
    invoke(agent, "Bees live in my hive")
    invoke(agent, "It rains a lot")
    assert "Bees live in my hive" not in recalled(model)
    invoke(agent, "Where do the bees live?")
    assert "They talked" in model.calls[-1].text
    assert "Bees live in my hive" in recalled(model), "the summary took the message away in this very run"


def test_of_a_long_session_only_the_shown_part_is_left_out(ana: Memory) -> None:
    for number in range(6):
        ana.capture(f"Bees live in my hive {number}", session_id="t")
    model = ScriptedChatModel(["Good."])
    agent = create_agent(model, middleware=[MemweldMiddleware(ana, history_limit=2, recall_limit=10)])
    invoke(agent, "Where do the bees live?")
    assert [f"hive {number}" in recalled(model) for number in range(6)] == [True] * 4 + [False] * 2


def test_the_same_words_in_another_session_are_recalled(ana: Memory) -> None:
    ana.add("Bees live in my hive", session_id="another")
    model = ScriptedChatModel(["Good.", "Yes."])
    agent = create_agent(model, middleware=[MemweldMiddleware(ana)], checkpointer=InMemorySaver())
    invoke(agent, "Bees live in my hive")
    assert "Bees live in my hive" in recalled(model)


# long threads


class ReadingMemory(Memory):
    """A memory whose histories count the messages that are read."""

    read = 0

    def history(self, session_id: str) -> Any:
        history = super().history(session_id)
        messages = history.messages

        def count(*args: Any, **kwargs: Any) -> list[ChatMessage]:
            found = messages(*args, **kwargs)
            self.read += len(found)
            return found

        history.messages = count  # pyright: ignore[reportAttributeAccessIssue]
        return history


@both
@pytest.mark.parametrize("options", [{}, {"capture": False}, {"keep": "facts"}], ids=str)
def test_a_session_that_the_thread_took_over_is_read_by_pages(ana: Memory, mode: Mode, options: dict[str, Any]) -> None:
    ana.history("t").append([{"role": "user", "content": f"Said {number}"} for number in range(2_000)])
    memory = ReadingMemory(ana._engine, ana.scope)
    model = ScriptedChatModel(lambda _: "Good.")
    agent = create_agent(
        model,
        middleware=[MemweldMiddleware(memory, recall_limit=0, history_limit=3, **options)],
        checkpointer=InMemorySaver(),
    )
    for number in range(3):
        invoke(agent, f"Turn {number}", mode)
    past = ["Said 1997", "Said 1998", "Said 1999"]
    for number, call in enumerate(model.calls):
        assert [str(message.text) for message in call.messages][: 4 + 2 * number : 1][:3] == past
    if options:
        assert memory.read <= 64 + 2 * (500 + 64)
    else:
        assert memory.read == 64 + 2 * 3, "the recent ones at first, later only what is shown"


def test_others_may_write_into_a_session_that_was_taken_over(ana: Memory) -> None:
    history = ana.history("t")
    history.append([{"role": "user", "content": f"Said {number}"} for number in range(5)])
    model = ScriptedChatModel(lambda _: "Good.")
    agent = create_agent(
        model, middleware=[MemweldMiddleware(ana, recall_limit=0, history_limit=2)], checkpointer=InMemorySaver()
    )
    for number in range(2):
        invoke(agent, f"Turn {number}")
        history.append([{"role": "user", "content": f"Elsewhere {number} {each}"} for each in range(600)])
    invoke(agent, "Turn 2")
    shown = [str(message.text) for message in model.calls[-1].messages]
    assert shown == ["Said 3", "Said 4", "Turn 0", "Good.", "Turn 1", "Good.", "Turn 2"]
    history.clear()
    invoke(agent, "Turn 3")
    assert str(model.calls[-1].messages[0].text) == "Turn 0"


@both
def test_a_usual_turn_of_a_checkpointed_thread_reads_no_history(ana: Memory, mode: Mode) -> None:
    memory = ReadingMemory(ana._engine, ana.scope)
    agent = create_agent(
        ScriptedChatModel(lambda _: "Good."), middleware=[MemweldMiddleware(memory)], checkpointer=InMemorySaver()
    )
    for number in range(5):
        invoke(agent, f"Turn {number}", mode)
    assert memory.read == 0
    assert len(messages_of(ana, "t")) == 10


class Unreadable:
    """An artifact of a class whose code raises what ``except Exception`` misses."""

    class Error(BaseException):
        pass

    def __str__(self) -> str:
        raise self.Error

    def __deepcopy__(self, memo: Any) -> Any:
        raise self.Error

    def __repr__(self) -> str:  # asyncio shows it
        return "unreadable"


def _cyclic() -> dict[str, Any]:
    loop: dict[str, Any] = {}
    loop["me"] = loop
    return loop


@both
@pytest.mark.parametrize("has_filter", [False, True])
@pytest.mark.parametrize("artifact", [Unreadable(), _cyclic(), float("nan")], ids=["unreadable", "cyclic", "nan"])
def test_an_artifact_does_not_take_the_turn(ana: Memory, artifact: Any, has_filter: bool, mode: Mode) -> None:
    @tool(response_format="content_and_artifact")
    def look(x: str) -> tuple[str, Any]:
        """Look."""
        return "seen", artifact

    middleware = MemweldMiddleware(ana, message_filter=list if has_filter else None)
    model = ScriptedChatModel([tool_call("look", {"x": "1"}), "Done."])
    invoke(create_agent(model, tools=[look], middleware=[middleware]), "I keep bees", mode)
    stored = ana.history("t").messages()
    assert [message.text for message in stored] == ["I keep bees", "", "seen", "Done."]
    assert "shortened" in (stored[2].native or {})
    assert texts(ana) == ["I keep bees"]


def test_words_that_the_user_sends_again_are_kept_once(tmp_path: Path) -> None:
    """A bare "yes" is no statement: the LLM reads its turn."""
    extractor = ScriptedExtractor([facts("Ana likes hens")])
    with connect(f"sqlite:///{tmp_path / 'l.db'}", llm=extractor, embedder=HashEmbedder()) as backend:
        ana = backend.user("ana")
        down = TimeoutError("The model is away")
        agent = create_agent(ScriptedChatModel([down, "Nice", down, "Nice"]), middleware=[MemweldMiddleware(ana)])
        for text in ("I keep bees", "yes"):
            with pytest.raises(TimeoutError):
                invoke(agent, text)
            invoke(agent, text)
            assert ana.flush(20)
        assert texts(ana) == ["I keep bees", "Ana likes hens"]


@both
def test_a_retry_in_front_keeps_the_words_once(tmp_path: Path, mode: Mode) -> None:
    """The LLM reads the turns that did not fail."""
    extractor = ScriptedExtractor([facts("Ana keeps hens")])
    with connect(f"sqlite:///{tmp_path / 'l.db'}", llm=extractor, embedder=HashEmbedder()) as backend:
        ana = backend.user("ana")
        model = ScriptedChatModel([TimeoutError("The model is away"), "Nice", "Nice"])
        retrying = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False)
        agent = create_agent(model, middleware=[retrying, MemweldMiddleware(ana)])
        invoke(agent, "I keep bees", mode)
        assert ana.flush(20)
        assert texts(ana) == ["I keep bees"]
        invoke(agent, "I keep hens", mode)
        assert ana.flush(20)
        assert texts(ana) == ["I keep bees", "Ana keeps hens"]
        assert messages_of(ana, "t")[-4:] == [
            ("user", "I keep bees"),
            ("assistant", "Nice"),
            ("user", "I keep hens"),
            ("assistant", "Nice"),
        ]
