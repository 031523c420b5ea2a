"""Automatic memory in LangChain's agents: what reaches the model, what is kept, and what happens when things fail."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    HumanInTheLoopMiddleware,
    ModelRetryMiddleware,
    PIIMiddleware,
    SummarizationMiddleware,
)
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from observed import Held, messages_of, runs_beside, texts

from memweld import (
    Backend,
    ChatMessage,
    Hit,
    InvalidInputError,
    Memory,
    connect,
)
from memweld.langchain import MemweldMiddleware, memory_tools
from memweld.memory.transcript import INTERRUPTED
from memweld.testing import BrokenMemory, HashEmbedder, Mode
from memweld.testing.langchain import ScriptedChatModel, tool_call
from memweld.testing.llm import ScriptedExtractor, facts

MODES: tuple[Mode, ...] = ("sync", "async")
both = pytest.mark.parametrize("mode", MODES)


class CountingMemory(Memory):
    """A memory that counts its searches, and may hold them."""

    searches = 0
    held: Held | None = None

    def search(self, *args: Any, **kwargs: Any) -> list[Hit]:
        self.searches += 1
        if self.held is not None:
            self.held.wait()
        return super().search(*args, **kwargs)


def counting(memory: Memory) -> CountingMemory:
    return CountingMemory(memory._engine, memory.scope)


@tool
def weather(town: str) -> str:
    """The weather of a town."""
    return f"Rain in {town}."


@tool
def explode() -> str:
    """Fails."""
    raise RuntimeError("boom")


def invoke(agent: Any, given: Any, mode: Mode = "sync", session: str | None = None) -> list[BaseMessage]:
    state = {"messages": [HumanMessage(given)]} if isinstance(given, str) else given
    config = None if session is None else {"configurable": {"thread_id": session}}
    result = agent.invoke(state, config) if mode == "sync" else asyncio.run(agent.ainvoke(state, config))
    return result["messages"]


# recall


@both
def test_recall_once_a_run_and_at_every_step(ana: Memory, mode: Mode) -> None:
    ana.add("Ana likes rain")
    memory = counting(ana)
    model = ScriptedChatModel([tool_call("weather", {"town": "Porto"}), "Take a coat."])
    agent = create_agent(model, tools=[weather], middleware=[MemweldMiddleware(memory)])
    invoke(agent, "Will I like the rain?", mode)
    assert memory.searches == 1
    assert [call.messages[0].text.count("Ana likes rain") for call in model.calls] == [1, 1]


@both
def test_the_block_is_in_no_state_checkpoint_or_stream(ana: Memory, mode: Mode) -> None:
    ana.add("Ana keeps purple bees")
    saver = InMemorySaver()
    model = ScriptedChatModel(["They are fine.", "Still."])
    agent = create_agent(model, middleware=[MemweldMiddleware(ana)], checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "t"}}
    state: Any = {"messages": [HumanMessage("How are my bees?")]}
    if mode == "sync":
        streamed = [repr(part) for part in agent.stream(state, config, stream_mode=["values", "updates", "debug"])]
    else:

        async def stream() -> list[str]:
            parts = agent.astream(state, config, stream_mode=["values", "updates", "debug"])
            return [repr(part) async for part in parts]

        streamed = asyncio.run(stream())
    assert "purple" in model.seen
    assert streamed
    assert not any("purple" in part for part in streamed)
    stored = repr((saver.storage, saver.writes, saver.blobs, list(saver.list(config)), agent.get_state(config)))
    assert "How are my bees?" in stored
    assert "purple" not in stored
    result = agent.invoke({"messages": [HumanMessage("And now?")]}, config) if mode == "sync" else {"messages": []}
    assert set(result) == {"messages"}


def test_the_block_stands_behind_all_that_stays_the_same(ana: Memory) -> None:
    ana.add("Ana keeps bees")
    cached = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    for prompt in (SystemMessage([cached], name="house"), SystemMessage("Be brief."), None):
        model = ScriptedChatModel(["Yes.", "Yes."])
        middleware = MemweldMiddleware(ana, capture=False)
        agent = create_agent(model, system_prompt=prompt, middleware=[middleware], checkpointer=InMemorySaver())
        for question in ("bees?", "How many bees?"):
            invoke(agent, question, "sync", "t")
        first, second = (call.messages for call in model.calls)
        prompts = [] if prompt is None else [prompt]
        assert first[: len(prompts)] == second[: len(prompts)] == prompts
        assert [message.type for message in second[len(prompts) :]] == ["human", "ai", "human"]
        assert str(second[-3].text) == "bees?"
        assert str(second[-1].text).startswith("<memories>")
        assert str(second[-1].text).endswith("</memories>\n\nHow many bees?")
    parts: Any = [{"type": "text", "text": "bees?"}, {"type": "image", "url": "https://example.com/bee.png"}]
    model = ScriptedChatModel(["Yes."])
    create_agent(model, middleware=[middleware]).invoke({"messages": [HumanMessage(parts)]})
    (message,) = model.calls[-1].messages
    assert message.content[1:] == parts
    assert "Ana keeps bees" in message.content[0]["text"]  # pyright: ignore[reportArgumentType]


def test_odd_messages_are_no_obstacle(ana: Memory) -> None:
    ana.add("Ana keeps bees")
    parts: Any = [{"type": "text", "text": "bees\x00?"}, {"type": "image", "url": "https://example.com/bee.png"}]
    for content in (parts, "bees \ud800 half", ""):
        model = ScriptedChatModel(["Yes."])
        agent = create_agent(model, middleware=[MemweldMiddleware(ana, session_id="odd")])
        agent.invoke({"messages": [HumanMessage(content)]})
        assert ("Ana keeps bees" in model.seen) == bool(content)
    assert [role for role, _ in messages_of(ana, "odd")] == ["user", "assistant"] * 3


def test_bad_options_are_refused(ana: Memory) -> None:
    for options in ({"session_id": ""}, {"keep": "nothing"}, {"message_filter": "drop it"}):
        with pytest.raises(InvalidInputError):
            MemweldMiddleware(ana, **options)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidInputError, match="Memory or Backend"):
        MemweldMiddleware("ana")  # pyright: ignore[reportArgumentType]


# capture


@both
def test_a_checkpointed_thread_is_kept_once(ana: Memory, mode: Mode) -> None:
    script = ["Hello Ana.", tool_call("weather", {"town": "Porto"}), "Rain.", "Goodbye."]
    agent = create_agent(
        ScriptedChatModel(script),
        tools=[weather],
        middleware=[MemweldMiddleware(ana)],
        checkpointer=InMemorySaver(),
    )
    for text in ("I am Ana", "How is the weather?", "Bye"):
        invoke(agent, text, mode, "t")
    assert messages_of(ana, "t") == [
        ("user", "I am Ana"),
        ("assistant", "Hello Ana."),
        ("user", "How is the weather?"),
        ("assistant", ""),
        ("tool", "Rain in Porto."),
        ("assistant", "Rain."),
        ("user", "Bye"),
        ("assistant", "Goodbye."),
    ]
    asked, answered = ana.history("t").messages()[3:5]
    assert [(call.name, call.arguments) for call in asked.tool_calls] == [("weather", {"town": "Porto"})]
    assert answered.tool_call_id == asked.tool_calls[0].id
    assert texts(ana) == ["I am Ana"]


@both
def test_facts_are_extracted_from_new_messages_only(tmp_path: Path, mode: Mode) -> None:
    extractor = ScriptedExtractor([facts("Lives in Porto"), facts("Has a cat")])
    with connect(f"sqlite:///{tmp_path / 'llm.db'}", llm=extractor, embedder=HashEmbedder()) as backend:
        memory = backend.user("ana")
        agent = create_agent(
            ScriptedChatModel(["Nice.", "Lovely."]),
            middleware=[MemweldMiddleware(memory)],
            checkpointer=InMemorySaver(),
        )
        invoke(agent, "I moved to Porto", mode, "t")
        invoke(agent, "My cat came along", mode, "t")
        assert backend.flush(20)
        assert texts(memory) == ["Lives in Porto", "Has a cat"]
        new = [str(prompt).partition("## New Messages")[2] or str(prompt) for prompt in extractor.prompts]
        assert len(new) == 2
        assert "My cat came along" in new[1]


def test_without_a_session_only_facts_are_kept(ana: Memory) -> None:
    agent = create_agent(ScriptedChatModel(["Nice."]), middleware=[MemweldMiddleware(ana)])
    invoke(agent, "I moved to Porto")
    assert texts(ana) == ["I moved to Porto"]
    assert ana.sessions() == []


def test_a_session_of_ones_own_choice(ana: Memory) -> None:
    agent = create_agent(ScriptedChatModel(["Nice."]), middleware=[MemweldMiddleware(ana, session_id="mine")])
    invoke(agent, "I moved to Porto", session="t")
    assert [session.session_id for session in ana.sessions()] == ["mine"]


def test_a_caller_who_sends_the_whole_conversation(ana: Memory) -> None:
    agent = create_agent(ScriptedChatModel(["Hello.", "Fine."]), middleware=[MemweldMiddleware(ana, session_id="s")])
    conversation: list[Any] = [SystemMessage("Be brief."), HumanMessage("I am Ana")]
    conversation.append(AIMessage(str(agent.invoke({"messages": conversation})["messages"][-1].text)))
    conversation.append(HumanMessage("How are you?"))
    agent.invoke({"messages": conversation})
    said = [("user", "I am Ana"), ("assistant", "Hello."), ("user", "How are you?"), ("assistant", "Fine.")]
    assert messages_of(ana, "s") == said
    assert texts(ana) == ["I am Ana"]


def test_a_thread_may_be_a_number(ana: Memory) -> None:
    agent = create_agent(ScriptedChatModel(["Hello."]), middleware=[MemweldMiddleware(ana)])
    agent.invoke({"messages": [HumanMessage("I am Ana")]}, {"configurable": {"thread_id": 7}})
    assert [session.session_id for session in ana.sessions()] == ["7"]


def test_several_messages_at_once_are_one_turn(ana: Memory) -> None:
    agent = create_agent(ScriptedChatModel(["Hello."]), middleware=[MemweldMiddleware(ana, session_id="s")])
    agent.invoke({"messages": [HumanMessage("I am Ana"), HumanMessage("I live in Porto")]})
    assert texts(ana) == ["I am Ana", "I live in Porto"]
    assert len(messages_of(ana, "s")) == 3


def test_what_is_redacted_is_kept_redacted(ana: Memory) -> None:
    agent = create_agent(ScriptedChatModel(["Ok."]), middleware=[MemweldMiddleware(ana), PIIMiddleware("email")])
    invoke(agent, "My address is ana@example.com", session="t")
    assert texts(ana) == ["My address is [REDACTED_EMAIL]"]
    assert messages_of(ana, "t")[0] == ("user", "My address is [REDACTED_EMAIL]")


@both
def test_summaries_are_nobodys_words(ana: Memory, mode: Mode) -> None:
    summary = SummarizationMiddleware(
        ScriptedChatModel(lambda _: "Ana said hello thrice"), trigger=("messages", 3), keep=("messages", 1)
    )
    agent = create_agent(
        ScriptedChatModel(["One.", "Two.", "Three."]),
        middleware=[MemweldMiddleware(ana), summary],
        checkpointer=InMemorySaver(),
    )
    for text in ("I saw one", "I saw two", "I saw three"):
        messages = invoke(agent, text, mode, "t")
    assert "Ana said hello thrice" in str(messages[0].text)
    assert [text for _, text in messages_of(ana, "t")] == [
        "I saw one",
        "One.",
        "I saw two",
        "Two.",
        "I saw three",
        "Three.",
    ]
    assert texts(ana) == ["I saw one", "I saw two", "I saw three"]


# sessions that the agent does not hold


def begin_elsewhere(memory: Memory, session: str) -> None:
    memory.history(session).append(
        [
            ChatMessage(role="system", content="You are a station."),
            ChatMessage(role="user", content="My train leaves at nine"),
            ChatMessage(role="assistant", content="Noted: nine"),
        ]
    )


@both
@pytest.mark.parametrize("checkpointed", [True, False])
def test_a_session_from_elsewhere_goes_on(ana: Memory, mode: Mode, checkpointed: bool) -> None:
    begin_elsewhere(ana, "t")
    model = ScriptedChatModel(["At nine.", "Still nine.", "Nine!"])
    agent = create_agent(
        model,
        middleware=[MemweldMiddleware(ana, recall_limit=0)],
        checkpointer=InMemorySaver() if checkpointed else None,
    )
    for text in ("When?", "Sure?", "Really?"):
        messages = invoke(agent, text, mode, "t")
    shown = [[str(message.text) for message in call.messages] for call in model.calls]
    past = ["My train leaves at nine", "Noted: nine"]
    assert shown == [
        [*past, "When?"],
        [*past, "When?", "At nine.", "Sure?"],
        [*past, "When?", "At nine.", "Sure?", "Still nine.", "Really?"],
    ]
    assert len(messages) == (6 if checkpointed else 2)
    assert len(messages_of(ana, "t")) == 9


def test_the_past_can_be_left_out_or_cut(ana: Memory) -> None:
    begin_elsewhere(ana, "t")
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"load_history": False}, []),
        ({"history_limit": 1}, ["My train leaves at nine"]),
        ({"history_limit": 2}, ["My train leaves at nine", "Noted: nine"]),
    ]
    for options, expected in cases:
        model = ScriptedChatModel(["At nine."])
        middleware = MemweldMiddleware(ana, recall_limit=0, capture=False, **options)
        invoke(create_agent(model, middleware=[middleware]), "When?", session="t")
        assert [str(message.text) for message in model.calls[0].messages] == [*expected, "When?"]


def test_prompts_stay_before_the_past(ana: Memory) -> None:
    begin_elsewhere(ana, "t")
    model = ScriptedChatModel(["At nine."])
    agent = create_agent(model, middleware=[MemweldMiddleware(ana, session_id="t", recall_limit=0)])
    agent.invoke({"messages": [SystemMessage("Be brief."), HumanMessage("When?")]})
    shown = [str(message.text) for message in model.calls[0].messages]
    assert shown == ["Be brief.", "My train leaves at nine", "Noted: nine", "When?"]


def test_every_call_that_reaches_the_model_has_an_answer(ana: Memory) -> None:
    ana.history("t").append(
        [
            {"role": "tool", "content": "an answer to nothing", "tool_call_id": "lost"},
            {"role": "user", "content": "Weather?"},
            {
                "role": "assistant",
                "content": "Looking.",
                "tool_calls": [{"id": "1", "name": "weather", "arguments": {}}],
            },
            {"role": "user", "content": "Again?"},
            {"role": "assistant", "content": "", "tool_calls": [{"id": "2", "name": "weather"}]},
            {"role": "tool", "content": "Rain.", "tool_call_id": "2"},
        ]
    )
    model = ScriptedChatModel(["Rain."])
    invoke(create_agent(model, middleware=[MemweldMiddleware(ana, recall_limit=0)]), "Well?", session="t")
    shown = model.calls[0].messages
    assert [str(message.text) for message in shown] == [
        "Weather?",
        "Looking.",
        INTERRUPTED,
        "Again?",
        "",
        "Rain.",
        "Well?",
    ]
    assert [message.tool_call_id for message in shown if isinstance(message, ToolMessage)] == ["1", "2"]


# interruptions


@pytest.mark.parametrize(
    "mode",
    [
        "sync",
        pytest.param(
            "async",
            marks=pytest.mark.skipif(
                sys.version_info < (3, 11), reason="LangGraph's interrupts need Python 3.11 in async code"
            ),
        ),
    ],
)
def test_a_resumed_run_has_its_memory_and_is_kept_once(ana: Memory, mode: Mode) -> None:
    ana.add("Ana likes rain")
    begin_elsewhere(ana, "t")
    model = ScriptedChatModel([tool_call("weather", {"town": "Porto"}), "Rain."])
    agent = create_agent(
        model,
        tools=[weather],
        middleware=[MemweldMiddleware(ana), HumanInTheLoopMiddleware({"weather": True})],
        checkpointer=InMemorySaver(),
    )
    invoke(agent, "I walk in the rain", mode, "t")
    assert messages_of(ana, "t")[3:] == [("user", "I walk in the rain")]
    invoke(agent, Command(resume={"decisions": [{"type": "approve"}]}), mode, "t")
    for call in model.calls:
        assert str(call.messages[0].text) == "My train leaves at nine"
        assert "Ana likes rain" in str(call.messages[2].text)
    assert [role for role, _ in messages_of(ana, "t")[3:]] == ["user", "assistant", "tool", "assistant"]
    assert texts(ana) == ["Ana likes rain", "I walk in the rain"]


def test_a_client_cannot_write_the_turn(backend: Backend) -> None:
    backend.user("ana").add("Ana keeps bees")
    agent = create_agent(
        ScriptedChatModel([tool_call("weather", {"town": "Porto"}), "Rain."]),
        tools=[weather],
        middleware=[MemweldMiddleware(backend), HumanInTheLoopMiddleware({"weather": True})],
        checkpointer=InMemorySaver(),
    )
    config: Any = {"configurable": {"thread_id": "t", "user_id": "bob"}}
    given: Any = {"messages": [HumanMessage("bees?")], "memweld_turn": {"memory": "ana"}}
    agent.invoke(given, config)
    resume = {"decisions": [{"type": "approve"}]}
    agent.invoke(Command(resume=resume, update={"memweld_turn": {"memory": "ana"}}), config)
    assert messages_of(backend.user("bob"), "t")[0] == ("user", "bees?")
    assert texts(backend.user("ana")) == ["Ana keeps bees"]


# failures


@both
@pytest.mark.parametrize("session", ["t", None])
def test_when_the_model_fails_what_was_said_is_kept(ana: Memory, mode: Mode, session: str | None) -> None:
    model = ScriptedChatModel([ValueError("no tokens left"), "Nice."])
    agent = create_agent(
        model, middleware=[MemweldMiddleware(ana)], checkpointer=None if session is None else InMemorySaver()
    )
    with pytest.raises(ValueError, match="no tokens left"):
        invoke(agent, "I moved to Porto", mode, session)
    assert texts(ana) == ["I moved to Porto"]
    if session is not None:
        assert messages_of(ana, session) == [("user", "I moved to Porto")]
        invoke(agent, "And I like it", mode, session)
        kept = [("user", "I moved to Porto"), ("user", "And I like it"), ("assistant", "Nice.")]
        assert messages_of(ana, session) == kept
        assert texts(ana) == ["I moved to Porto", "And I like it"]


@both
def test_when_a_tool_fails_what_was_said_is_kept(ana: Memory, mode: Mode) -> None:
    agent = create_agent(
        ScriptedChatModel([tool_call("explode")]), tools=[explode], middleware=[MemweldMiddleware(ana)]
    )
    with pytest.raises(RuntimeError, match="boom"):
        invoke(agent, "I moved to Porto", mode, "t")
    assert texts(ana) == ["I moved to Porto"]
    assert messages_of(ana, "t") == [("user", "I moved to Porto")]


@both
def test_a_retried_model_keeps_the_turn_once(ana: Memory, mode: Mode) -> None:
    model = ScriptedChatModel([ValueError("busy"), "Nice."])
    retry = ModelRetryMiddleware(max_retries=1, initial_delay=0.0, jitter=False)
    agent = create_agent(model, middleware=[retry, MemweldMiddleware(ana)])
    invoke(agent, "I moved to Porto", mode, "t")
    assert texts(ana) == ["I moved to Porto"]
    assert messages_of(ana, "t") == [("user", "I moved to Porto"), ("assistant", "Nice.")]


@both
def test_else_it_is_logged_and_the_run_goes_on(
    backend: Backend, ana: Memory, mode: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    model = ScriptedChatModel(["Hi.", ValueError("busy")])
    agent = create_agent(model, middleware=[MemweldMiddleware(ana)])
    backend.close()
    with caplog.at_level(logging.WARNING, "memweld.langchain"):
        assert str(invoke(agent, "Hello", mode, "t")[-1].text) == "Hi."
        with pytest.raises(ValueError, match="busy"):
            invoke(agent, "Hello", mode, "t")
    logged = "\n".join(caplog.messages)
    for what in ("recall failed", "capture failed", "reading the history failed", "could not be kept"):
        assert what in logged


@both
def test_after_an_outage_the_thread_catches_up(ana: Memory, mode: Mode) -> None:
    memory = BrokenMemory(ana, "capture")
    model = ScriptedChatModel(["Nice.", "I see."])
    agent = create_agent(model, middleware=[MemweldMiddleware(memory)], checkpointer=InMemorySaver())
    invoke(agent, "I moved to Porto", mode, "t")
    assert texts(ana) == []
    memory.broken = ()
    invoke(agent, "And I like it", mode, "t")
    assert texts(ana) == ["I moved to Porto", "And I like it"]
    assert [role for role, _ in messages_of(ana, "t")] == ["user", "assistant"] * 2


def test_after_a_cancelled_run_the_thread_catches_up(ana: Memory) -> None:
    slow, held = counting(ana), Held()
    slow.held = held
    agent = create_agent(
        ScriptedChatModel(["Nice."]), middleware=[MemweldMiddleware(slow)], checkpointer=InMemorySaver()
    )
    config: Any = {"configurable": {"thread_id": "t"}}

    async def main() -> None:
        running = asyncio.create_task(agent.ainvoke({"messages": [HumanMessage("I moved to Porto")]}, config))
        await held.until_begun()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        held.released.set()
        assert texts(ana) == []
        await agent.ainvoke({"messages": [HumanMessage("And I like it")]}, config)

    asyncio.run(main())
    assert texts(ana) == ["I moved to Porto", "And I like it"]
    kept = [("user", "I moved to Porto"), ("user", "And I like it"), ("assistant", "Nice.")]
    assert messages_of(ana, "t") == kept


# the event loop


def test_a_slow_memory_does_not_block_the_event_loop(ana: Memory) -> None:
    memory, held = counting(ana), Held()
    memory.held = held
    agent = create_agent(ScriptedChatModel(["Hi."] * 2), middleware=[MemweldMiddleware(memory)])

    async def main() -> bool:
        runs = (agent.ainvoke({"messages": [HumanMessage("Hi")]}) for _ in range(2))
        return await runs_beside(asyncio.gather(*runs), held)

    assert asyncio.run(main())


def test_it_runs_synchronously_inside_a_running_loop(ana: Memory) -> None:
    ana.add("Ana keeps bees")
    model = ScriptedChatModel([tool_call("search_memories", {"query": "bees"}), "Bees."])
    agent = create_agent(model, tools=memory_tools(ana), middleware=[MemweldMiddleware(ana)])

    async def main() -> list[BaseMessage]:
        return invoke(agent, "What do I keep?")

    messages = asyncio.run(main())
    assert any(isinstance(message, ToolMessage) and "Ana keeps bees" in message.text for message in messages)


def test_other_middleware_may_stand_beside(ana: Memory) -> None:
    class Shout(AgentMiddleware):
        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            prompt = request.system_message
            return handler(request.override(system_message=SystemMessage(f"{prompt.text}\nSHOUT")))

    ana.add("Ana keeps bees")
    model = ScriptedChatModel(["BEES."])
    invoke(create_agent(model, system_prompt="Whisper.", middleware=[MemweldMiddleware(ana), Shout()]), "bees?")
    assert "Ana keeps bees" in model.seen
    assert "SHOUT" in model.seen
