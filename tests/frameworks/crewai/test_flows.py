"""MemweldFlowPersistence: whose states and conversations they are, and what comes back."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import enum
import json
import pickle
import subprocess
import sys
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from autogen_core.models import AssistantMessage, UserMessage
from crewai.flow import (
    ChatState,
    ConversationConfig,
    ConversationMessage,
    ConversationState,
    Flow,
    HumanFeedbackPending,
    human_feedback,
    listen,
    persist,
    start,
)
from crewai.flow.async_feedback.types import PendingFeedbackContext
from crewai.flow.conversation import append_message
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from observed import messages_of
from pydantic import BaseModel, BeforeValidator, SecretStr

import memweld
from memweld import Backend, ChatMessage, ConfigurationError, InvalidInputError, Memory, connect
from memweld.adapters.messages import append_fitting
from memweld.autogen import MemweldChatCompletionContext
from memweld.crewai import MemweldFlowPersistence, conversation, flow_state, loading_with
from memweld.langchain import MemweldChatMessageHistory
from memweld.memory.transcript import INTERRUPTED
from memweld.testing import HashEmbedder
from memweld.testing.crewai import ScriptedLLM


def persisted(persistence: MemweldFlowPersistence) -> Any:
    """CrewAI's decorator, whose own type says less than it returns."""
    return persist(persistence)


class Count(BaseModel):
    id: str = "counter"
    count: int = 0
    seen: list[datetime] = []


def counter(persistence: MemweldFlowPersistence) -> type[Flow[Count]]:
    @persisted(persistence)
    class Counter(Flow[Count]):
        @start()
        def one(self) -> None:
            self.state.count += 1

        @listen(one)
        async def two(self) -> int:
            self.state.seen.append(datetime(2026, 1, self.state.count, tzinfo=timezone.utc))
            return self.state.count

    return Counter


def run(flow: type[Flow[Any]], flow_id: str = "f1", **kwargs: Any) -> Any:
    return flow(suppress_flow_events=True, **kwargs).kickoff(inputs={"id": flow_id})


# states


def test_a_flow_goes_on_where_it_was(backend: Backend) -> None:
    flow = counter(MemweldFlowPersistence(backend))
    with memweld.user_scope("ana"):
        assert [run(flow), run(flow), run(flow, "f2")] == [1, 2, 1]
        kept = MemweldFlowPersistence(backend).load_state("f1")
    assert kept == {"id": "f1", "count": 2, "seen": ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]}
    with memweld.user_scope("bob"):
        assert MemweldFlowPersistence(backend).load_state("f1") is None
        assert run(flow) == 1
    with memweld.user_scope("ana"):
        assert run(flow) == 3


def test_a_method_or_an_instance_persists_too(ana: Memory, backend: Backend) -> None:
    class Steps(Flow[dict[str, Any]]):
        @start()
        @persisted(MemweldFlowPersistence(ana))
        def kept(self) -> None:
            self.state["step"] = "kept"

        @listen(kept)
        def lost(self) -> None:
            self.state["step"] = "lost"

    run(Steps)
    assert MemweldFlowPersistence(ana).load_state("f1") == {"id": "f1", "step": "kept"}
    bob = backend.user("bob")
    flow = counter(MemweldFlowPersistence(ana))
    assert run(flow, persistence=MemweldFlowPersistence(bob, namespace="counters")) == 1
    assert list(bob.state("counters")) == ["f1"]
    assert MemweldFlowPersistence(ana).load_state("f1") == {"id": "f1", "step": "kept"}


def test_a_fork_has_a_life_of_its_own(ana: Memory) -> None:
    flow = counter(MemweldFlowPersistence(ana))
    run(flow)
    assert flow(suppress_flow_events=True).kickoff(inputs={"id": "f2"}, restore_from_state_id="f1") == 2
    states = MemweldFlowPersistence(ana)
    assert [(states.load_state(flow_id) or {})["count"] for flow_id in ("f1", "f2")] == [1, 2]


def test_without_a_user_no_flow_runs(backend: Backend) -> None:
    flow = counter(MemweldFlowPersistence(backend))
    with pytest.raises(ConfigurationError, match="No user is known here"):
        run(flow)
    with pytest.raises(InvalidInputError, match="memweld Memory or Backend, not str"):
        MemweldFlowPersistence("ana")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidInputError, match="Memory or Backend, not NoneType"):
        MemweldFlowPersistence()


def test_many_flows_of_many_users_at_once(backend: Backend) -> None:
    flow = counter(MemweldFlowPersistence(backend))

    def serve(number: int) -> list[int]:
        with memweld.user_scope(f"user-{number % 4}"):
            return [run(flow, f"flow-{number}") for _ in range(3)]

    async def aserve(number: int) -> Any:
        with memweld.user_scope(f"user-{number % 4}"):
            return await flow(suppress_flow_events=True).kickoff_async(inputs={"id": f"flow-{number}"})

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*map(aserve, range(12)))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(serve, range(12))) == [[1, 2, 3]] * 12
    assert asyncio.run(all_at_once()) == [4] * 12
    assert backend.user("user-1").state("crewai-flows").list_keys() == ["flow-1", "flow-5", "flow-9"]


class Colour(enum.Enum):
    RED = "red"


class Anything(BaseModel):
    model_config = {"arbitrary_types_allowed": True}
    id: str = "x"
    value: Any = None


class Size(str, enum.Enum):
    SMALL = "small"


@dataclasses.dataclass
class Local:
    n: int


PLAIN = [
    {1, 2},
    frozenset({"a"}),
    Colour.RED,
    Size.SMALL,
    (1, "two", (3,)),
    datetime(2026, 1, 1, tzinfo=timezone.utc),
    datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Lisbon")),
    datetime(2026, 1, 1),  # noqa: DTZ001
    date(2026, 1, 1),
    time(12, 30),
    timedelta(days=1, microseconds=5),
    Decimal("1.10"),
    UUID(int=5),
    Path("a/b"),
    b"\xff\x00",
    {1: "one", (2, 3): [{4}]},
    {"__memweld__": "set", "value": [1]},
    {"list": [1, 2.5, None, True, {"deep": (1,)}]},
]


@pytest.mark.parametrize("as_model", [True, False])
@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_a_state_comes_back_as_it_was(ana: Memory, value: Any, as_model: bool) -> None:
    states = MemweldFlowPersistence(ana)
    states.save_state("x", "step", Anything(value=value) if as_model else {"id": "x", "value": value})
    loaded = states.load_state("x") or {}
    again = Anything.model_validate(loaded).value if as_model else loaded["value"]
    assert (repr(again), type(again)) == (repr(value), type(value))
    assert again == value


def test_a_model_reads_its_own_types(ana: Memory) -> None:
    class Trip(BaseModel):
        id: str = "x"
        when: datetime
        stops: set[str]
        legs: list[tuple[int, int]]
        colour: Colour
        count: Count
        either: int | str

    trip = Trip(
        when=datetime(2026, 1, 1, tzinfo=timezone.utc), stops={"a"}, legs=[(1, 2)], colour=Colour.RED, count=Count(),
        either="1",
    )  # fmt: skip
    states = MemweldFlowPersistence(ana)
    states.save_state("x", "step", trip)
    assert Trip.model_validate(states.load_state("x")) == trip
    assert (states.load_state("x") or {})["stops"] == ["a"]
    context = PendingFeedbackContext(flow_id="x", flow_class="x", method_name="ask", method_output=1, message="Sure?")
    states.save_pending_feedback("x", context, trip.model_dump())
    waiting = states.load_pending_feedback("x")
    assert waiting is not None
    assert Trip.model_validate(waiting[0]) == trip


def test_a_field_that_a_dump_would_change_is_named(ana: Memory) -> None:
    class Login(BaseModel):
        id: str = "x"
        password: SecretStr = SecretStr("hunter2")
        shout: Annotated[str, BeforeValidator(str.upper)] = "low"

    states = MemweldFlowPersistence(ana)
    with pytest.raises(InvalidInputError, match="because of 'password'"):
        states.save_state("x", "step", Login())
    with pytest.raises(InvalidInputError, match=r"because of 'a\.list\[1\]'"):
        states.save_state("x", "step", {"id": "x", "a": {"list": [1, object()]}})
    assert states.load_state("x") is None


@pytest.mark.parametrize("as_model", [True, False])
def test_states_that_json_cannot_hold_are_refused(ana: Memory, as_model: bool) -> None:
    states = MemweldFlowPersistence(ana)

    def state(value: Any) -> Any:
        return Anything(value=value) if as_model else {"id": "x", "value": value}

    states.save_state("x", "step", state(1))
    before = states.load_state("x")
    unfit = [object(), len, "half \ud800", float("nan"), Count(), OrderedDict(a=1), Local(1)]
    for value in [*unfit, [{"deep": object()}], {Local: 1}]:
        with pytest.raises(InvalidInputError):
            states.save_state("x", "step", state(value))
    with pytest.raises(InvalidInputError, match=r"because of 'value'.*live objects belong"):
        states.save_state("x", "step", state(object()))
    with pytest.raises(InvalidInputError, match="a dict or a pydantic model, not list"):
        states.save_state("x", "step", [])  # pyright: ignore[reportArgumentType]
    assert states.load_state("x") == before


def test_crewai_says_why_a_state_was_refused(ana: Memory) -> None:
    @persisted(MemweldFlowPersistence(ana))
    class Broken(Flow[dict[str, Any]]):
        @start()
        def open(self) -> None:
            self.state["file"] = object()

    with pytest.raises(RuntimeError, match="because of 'file'"):
        run(Broken)


# a human in the loop


class Asking:
    """A provider of feedback that does not wait."""

    def request_feedback(self, context: PendingFeedbackContext, flow: Flow[Any]) -> str:
        raise HumanFeedbackPending(context=context)


def approval(persistence: MemweldFlowPersistence) -> type[Flow[Any]]:
    @persisted(persistence)
    class Approval(Flow[dict[str, Any]]):
        @start()
        @human_feedback(message="Publish?", provider=Asking())
        def draft(self) -> str:
            self.state["draft"] = "Bees are fine"
            return "Bees are fine"

        @listen(draft)
        def publish(self, result: Any) -> str:
            return f"{self.state['draft']}: {result.feedback}"

    return Approval


def test_a_flow_waits_for_a_human_and_is_resumed(backend: Backend, ana: Memory) -> None:
    states = MemweldFlowPersistence(backend)
    with memweld.user_scope("ana"):
        pending = run(approval(states))
    assert isinstance(pending, HumanFeedbackPending)
    with memweld.user_scope("bob"), pytest.raises(ValueError, match="No pending feedback"):
        approval(states).from_pending("f1", states)
    with memweld.user_scope("ana"):
        flow = approval(states).from_pending("f1", states, suppress_flow_events=True)
        assert flow.resume("yes") == "Bees are fine: yes"
        assert states.load_pending_feedback("f1") is None
        assert states.load_state("f1") == {"id": "f1", "draft": "Bees are fine"}
    assert ana.state("crewai-flows-waiting").list_keys() == []


# conversations


def chat(persistence: MemweldFlowPersistence, *replies: str) -> tuple[Flow[ConversationState], ScriptedLLM]:
    model = ScriptedLLM(replies)

    @persisted(persistence)
    @ConversationConfig(llm=model)
    class Chat(Flow[ConversationState]):
        pass

    return Chat(suppress_flow_events=True), model


def test_a_conversation_is_one_history(backend: Backend, ana: Memory) -> None:
    """Every turn in a new object, as a server does it."""
    states = MemweldFlowPersistence(backend)
    with memweld.user_scope("ana"):
        for text, reply in (("I keep bees", "How many?"), ("Seven", "Nice"), ("Seven", "You said so")):
            flow, model = chat(states, reply)
            flow.handle_turn(text, session_id="s1")
    assert messages_of(ana, "s1") == [
        ("user", "I keep bees"),
        ("assistant", "How many?"),
        ("user", "Seven"),
        ("assistant", "Nice"),
        ("user", "Seven"),
        ("assistant", "You said so"),
    ]
    assert [message["content"] for message in model.calls[0].messages][1:] == [
        "I keep bees",
        "How many?",
        "Seven",
        "Nice",
        "Seven",
    ]
    assert "bees" not in json.dumps(ana.state("crewai-flows")["s1"])
    assert backend.user("bob").sessions() == []
    with memweld.user_scope("bob"):
        flow, model = chat(states, "Hello")
        flow.handle_turn("Hello?", session_id="s1")
    assert "bees" not in model.seen


def test_one_conversation_through_three_frameworks(ana: Memory) -> None:
    MemweldChatMessageHistory(ana, "s1").add_messages([HumanMessage("I keep bees"), AIMessage("How many?")])
    context = MemweldChatCompletionContext(ana, session_id="s1")

    async def talk() -> None:
        await context.add_message(UserMessage(content="Seven", source="user"))
        await context.add_message(AssistantMessage(content="Nice", source="helper"))

    asyncio.run(talk())
    flow, model = chat(MemweldFlowPersistence(ana), "Seven", "In the garden")
    flow.handle_turn("How many bees do I keep?", session_id="s1")
    MemweldChatMessageHistory(ana, "s1").add_messages([HumanMessage("They are in the garden"), AIMessage("I see")])
    flow.handle_turn("Where are they?", session_id="s1")
    spoken = [
        ("user", "I keep bees"),
        ("assistant", "How many?"),
        ("user", "Seven"),
        ("assistant", "Nice"),
        ("user", "How many bees do I keep?"),
        ("assistant", "Seven"),
        ("user", "They are in the garden"),
        ("assistant", "I see"),
        ("user", "Where are they?"),
        ("assistant", "In the garden"),
    ]
    assert messages_of(ana, "s1") == spoken
    shown = [
        (message["role"], message["content"]) for message in model.calls[-1].messages if message["role"] != "system"
    ]
    assert shown == spoken[:-1]
    read = MemweldChatMessageHistory(ana, "s1").messages
    assert [message.content for message in read] == [text for _, text in spoken]
    assert isinstance(read[0], HumanMessage)


def test_messages_come_back_as_they_were(ana: Memory) -> None:
    states = MemweldFlowPersistence(ana)
    call = {"id": "c1", "type": "function", "function": {"name": "count", "arguments": '{"what": "bees"}'}}
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]
    state = ConversationState(
        id="s1",
        messages=[
            ConversationMessage(role="system", content="Be brief"),
            ConversationMessage(role="user", content=parts, name="ana", metadata={"from": "web"}),
            ConversationMessage(role="assistant", content=None, tool_calls=[call]),
            ConversationMessage(role="tool", content="7", tool_call_id="c1", name="count", files={"a": "b"}),
            ConversationMessage(role="assistant", content="Seven"),
        ],
    )
    before = [message.model_copy(deep=True) for message in state.messages]
    states.save_state("s1", "step", state)
    states.save_state("s1", "step", state)
    read = ConversationState.model_validate(states.load_state("s1")).messages
    for message in read:
        del message.metadata["memweld"]
    assert read == before
    kept = ana.history("s1").messages()
    assert [message.role for message in kept] == ["system", "user", "assistant", "tool", "assistant"]
    assert kept[2].tool_calls[0].arguments == {"what": "bees"}
    assert (kept[3].tool_call_id, kept[1].name) == ("c1", "ana")
    native = MemweldChatMessageHistory(ana, "s1").messages[2]
    assert isinstance(native, AIMessage)
    assert native.tool_calls[0]["args"] == {"what": "bees"}


def test_what_is_edited_or_dropped_in_a_state(ana: Memory) -> None:
    """A flow may shorten what it carries; the history keeps what was said, and shows what was corrected."""
    states = MemweldFlowPersistence(ana)
    state = ConversationState(
        id="s1", messages=[ConversationMessage(role="user", content=text) for text in ("one", "two", "three")]
    )
    states.save_state("s1", "step", state)
    state.messages[1].content = "2"
    state.messages = [ConversationMessage(role="system", content="So far: one"), *state.messages[1:]]
    states.save_state("s1", "step", state)
    assert messages_of(ana, "s1") == [("user", "one"), ("user", "2"), ("user", "three"), ("system", "So far: one")]
    ana.history("s1").add_user_message("four")
    read = (states.load_state("s1") or {})["messages"]
    assert [message["content"] for message in read] == ["So far: one", "2", "three", "four"]
    state.messages = []
    states.save_state("s1", "step", state)
    assert (states.load_state("s1") or {})["messages"] == []
    assert len(messages_of(ana, "s1")) == 5


def test_what_others_say_during_a_turn_is_not_lost(ana: Memory) -> None:
    states = MemweldFlowPersistence(ana)
    state = ConversationState(id="s1", messages=[ConversationMessage(role="user", content="one")])
    states.save_state("s1", "step", state)
    ana.history("s1").add_user_message("yes")
    state.messages.append(ConversationMessage(role="assistant", content="two"))
    states.save_state("s1", "step", state)
    assert [text for _, text in messages_of(ana, "s1")] == ["one", "yes", "two"]
    assert [message["content"] for message in (states.load_state("s1") or {})["messages"]] == ["one", "yes", "two"]


def test_a_call_without_a_result_gets_one_for_the_model_alone(ana: Memory) -> None:
    call = {"name": "count", "args": {}, "id": "c1"}
    MemweldChatMessageHistory(ana, "s1").add_messages(
        [
            HumanMessage("Count"),
            AIMessage("I count", tool_calls=[call]),
            ToolMessage("7", tool_call_id="c2"),
            AIMessage("", tool_calls=[call]),
        ]
    )
    for turn in range(2):
        flow, model = chat(MemweldFlowPersistence(ana), "Sorry")
        flow.handle_turn("And?", session_id="s1")
        shown = [message for message in model.calls[0].messages if message["role"] != "system"]
        answered = ["user", "assistant", "tool", "assistant", "tool", "user"]
        assert [message["role"] for message in shown] == answered + ["assistant", "user"] * turn
        assert [message["content"] for message in shown if message["role"] == "tool"] == [INTERRUPTED] * 2
        assert len(ana.history("s1").messages()) == 6 + 2 * turn


@pytest.mark.parametrize("shape", ["model", "dict"])
def test_messages_that_are_plain_dicts(ana: Memory, shape: str) -> None:
    states = MemweldFlowPersistence(ana)
    kind: Any = ChatState if shape == "model" else dict

    @persisted(states)
    class Plain(Flow[kind]):
        @start()
        def talk(self) -> None:
            append_message(self, "user", "yes")

        @listen(talk)
        def answer(self) -> None:
            append_message(self, "assistant", "ok")

    ana.history("s1").append([{"role": "user", "content": "yes"}, {"role": "assistant", "content": "ok"}])
    for _ in range(2):
        run(Plain, "s1")
    assert messages_of(ana, "s1") == [("user", "yes"), ("assistant", "ok")] * 3
    ana.history("s1").add_user_message("no")
    run(Plain, "s1")
    assert messages_of(ana, "s1")[6:] == [("user", "no"), ("user", "yes"), ("assistant", "ok")]
    (first, *_) = (states.load_state("s1") or {})["messages"]
    assert first == {"role": "user", "content": "yes"}


def test_a_fork_of_a_conversation_is_a_session(ana: Memory) -> None:
    states = MemweldFlowPersistence(ana)
    flow, _ = chat(states, "How many?")
    flow.handle_turn("I keep bees", session_id="s1")
    flow, model = chat(states, "Nice")
    flow.handle_turn("Seven", session_id="s2", restore_from_state_id="s1")
    assert "I keep bees" in model.seen
    assert messages_of(ana, "s1") == [("user", "I keep bees"), ("assistant", "How many?")]
    assert messages_of(ana, "s2") == [*messages_of(ana, "s1"), ("user", "Seven"), ("assistant", "Nice")]


def test_a_conversation_that_waits_for_a_human(ana: Memory) -> None:
    """CrewAI keeps such a state as a dump, whose messages are copies."""
    states = MemweldFlowPersistence(ana)
    state = ConversationState(id="s1", messages=[ConversationMessage(role="user", content="Publish")])
    context = PendingFeedbackContext(flow_id="s1", flow_class="x", method_name="ask", method_output=1, message="Sure?")
    states.save_pending_feedback("s1", context, state.model_dump())
    state.messages.append(ConversationMessage(role="assistant", content="Done"))
    states.save_state("s1", "step", state)
    assert messages_of(ana, "s1") == [("user", "Publish"), ("assistant", "Done")]
    waiting = states.load_pending_feedback("s1")
    assert waiting is not None
    assert waiting[1] == dataclasses.replace(context, requested_at=waiting[1].requested_at)
    assert [message["content"] for message in waiting[0]["messages"]] == ["Publish", "Done"]


@pytest.mark.parametrize("kind", [ConversationState, dict])
def test_two_methods_that_save_at_once_keep_each_message_once(
    ana: Memory, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    """Methods that listen to the same run side by side, and each saves the state that both have changed."""
    states = MemweldFlowPersistence(ana)
    said = [ConversationMessage(role="user", content="Hello"), ConversationMessage(role="assistant", content="Hi")]
    state: Any = ConversationState(id="s1", messages=said)
    if kind is dict:
        state = {"id": "s1", "messages": [message.model_dump() for message in said]}
    other = Thread(target=states.save_state, args=("s1", "other", state))
    append = append_fitting

    def appending(*args: Any) -> Any:
        if not other.ident:
            other.start()
            other.join(0.3)
        return append(*args)

    monkeypatch.setattr(conversation, "append_fitting", appending)
    states.save_state("s1", "one", state)
    other.join()
    assert messages_of(ana, "s1") == [("user", "Hello"), ("assistant", "Hi")]
    assert len((states.load_state("s1") or {})["messages"]) == 2


def test_a_state_that_another_method_changes_while_it_is_saved(ana: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    states, encode = MemweldFlowPersistence(ana), flow_state._encode_atom  # pyright: ignore[reportPrivateUsage]
    found: dict[str, Any] = {"one": Decimal(1), "two": 2}
    seen = {Decimal(1), Decimal(2)}

    def encoding(value: Any, place: str) -> Any:
        found[place] = seen.add(Decimal(len(seen) + 1))
        return encode(value, place)

    monkeypatch.setattr(flow_state, "_encode_atom", encoding)
    states.save_state("x", "step", {"id": "x", "found": found, "seen": seen})
    kept = states.load_state("x") or {}
    assert kept["found"] == {"one": Decimal(1), "two": 2}


def test_messages_stay_in_the_state_if_so_asked(ana: Memory) -> None:
    flow, _ = chat(MemweldFlowPersistence(ana, history=False), "How many?")
    flow.handle_turn("I keep bees", session_id="s1")
    assert ana.sessions() == []
    kept = MemweldFlowPersistence(ana, history=False).load_state("s1") or {}
    assert [message["content"] for message in kept["messages"]] == ["I keep bees", "How many?"]


def test_messages_that_are_no_conversation_are_state(ana: Memory) -> None:
    states = MemweldFlowPersistence(ana)
    for messages in (["a", "b"], "text", [{"role": "bee", "content": "x"}], {"a": 1}, None):
        states.save_state("x", "step", {"id": "x", "messages": messages})
        assert states.load_state("x") == {"id": "x", "messages": messages}
    assert ana.sessions() == []


def test_a_cleared_session_stays_cleared(ana: Memory) -> None:
    states = MemweldFlowPersistence(ana)
    flow, _ = chat(states, "How many?")
    flow.handle_turn("I keep bees", session_id="s1")
    ana.history("s1").clear()
    assert (states.load_state("s1") or {})["messages"] == []
    ana.history("s1").add_user_message("Anew")
    assert [message["content"] for message in (states.load_state("s1") or {})["messages"]] == ["Anew"]


# copies, dumps and other processes


def test_copies_and_dumps_are_still_their_users(backend: Backend, ana: Memory) -> None:
    states = MemweldFlowPersistence(ana, namespace="mine")
    states.save_state("x", "step", {"id": "x", "n": 1})
    dump = states.model_dump(mode="json")
    assert dump["persistence_type"] == "MemweldFlowPersistence"
    for again in (
        copy.deepcopy(states),
        states.model_copy(),
        pickle.loads(pickle.dumps(states)),
        MemweldFlowPersistence.model_validate(dump),
        counter(states)(persistence=dump, suppress_flow_events=True).persistence,
    ):
        assert isinstance(again, MemweldFlowPersistence)
        assert again.load_state("x") == {"id": "x", "n": 1}
    shared = MemweldFlowPersistence.model_validate(MemweldFlowPersistence(backend).model_dump(mode="json"))
    with pytest.raises(ConfigurationError, match="No user"):
        shared.load_state("x")


def test_a_restored_persistence_outlives_its_backend(tmp_path: Path) -> None:
    """It opens the store again, where the program has closed the one that it had found."""
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    with connect(url, embedder=HashEmbedder()) as backend:
        states = MemweldFlowPersistence(backend.user("ana"))
        states.save_state("x", "step", {"id": "x", "n": 1})
        restored = MemweldFlowPersistence.model_validate(states.model_dump(mode="json"))
        assert restored.load_state("x") == {"id": "x", "n": 1}
    assert restored.load_state("x") == {"id": "x", "n": 1}


def test_a_dump_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://someone:s3cret@127.0.0.1:9/mcp?token=t0ken&x=1"
    with connect(url, token="b3arer") as remote:
        states = MemweldFlowPersistence(remote.user("ana"))
        written = states.model_dump_json() + repr(pickle.dumps(states))
    del states, remote
    for secret in ("s3cret", "t0ken", "b3arer"):
        assert secret not in written
    dump = json.loads(written.partition("}}")[0] + "}}")
    dump["source"].pop("store")
    with pytest.raises(ConfigurationError, match="opened only if MEMWELD_URL names it"):
        MemweldFlowPersistence.model_validate(dump).load_state("x")
    with connect("sqlite://", embedder=HashEmbedder()) as other:
        other.user("ana").state("crewai-flows")["x"] = {"state": {"id": "x"}}
        with loading_with(other):
            states = MemweldFlowPersistence.model_validate(dump)
        assert states.load_state("x") == {"id": "x"}
    for place in ("stdio:touch started", "postgresql://h/db", "sqlite://"):
        dump["source"]["url"] = place
        with pytest.raises(ConfigurationError, match="loading_with"):
            MemweldFlowPersistence.model_validate(dump).load_state("x")
    assert not Path("started").exists()


TURN = """
import sys
import memweld
from crewai.flow import ConversationConfig, ConversationState, Flow, persist
from memweld.crewai import MemweldFlowPersistence
from memweld.testing.crewai import ScriptedLLM

with memweld.connect(sys.argv[1]) as backend, memweld.user_scope(sys.argv[2]):
    model = ScriptedLLM(["Seven"])

    @persist(MemweldFlowPersistence(backend))
    @ConversationConfig(llm=model)
    class Chat(Flow[ConversationState]):
        pass

    Chat(suppress_flow_events=True).handle_turn("How many?", session_id="s1")
    print("I keep seven bees" in model.seen)
"""


@pytest.mark.exhaustive
def test_another_process_goes_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    with connect(url, embedder=HashEmbedder()) as backend:
        flow, _ = chat(MemweldFlowPersistence(backend.user("ana")), "Nice")
        flow.handle_turn("I keep seven bees", session_id="s1")
        for user, known in (("ana", "True"), ("bob", "False")):
            done = subprocess.run(
                [sys.executable, "-c", TURN, url, user], capture_output=True, text=True, check=True, timeout=120
            )
            assert done.stdout.splitlines()[-1] == known
        assert messages_of(backend.user("ana"), "s1")[2:] == [("user", "How many?"), ("assistant", "Seven")]
        flow, model = chat(MemweldFlowPersistence(backend.user("ana")), "Yes")
        flow.handle_turn("Sure?", session_id="s1")
        assert "How many?" in model.seen


def test_a_session_that_is_long_is_read_and_written_once(ana: Memory) -> None:
    messages = [ChatMessage(role="user", content=f"message {number}") for number in range(300)]
    ana.history("s1").append(messages)
    flow, model = chat(MemweldFlowPersistence(ana), *["Yes"] * 3)
    for number in range(3):
        flow.handle_turn(f"turn {number}", session_id="s1")
    assert len(model.calls[-1].messages) == 1 + 300 + 5
    assert len(ana.history("s1").messages()) == 306


class Unreadable:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


@pytest.mark.parametrize(
    "odd",
    [
        {"metadata": {"live": Unreadable()}},
        {"content": [{"type": "text", "text": "done", "raw": Unreadable()}]},
        {"tool_call_id": "c" * 900},
        {"content": "half \ud800"},
    ],
)
def test_an_odd_message_does_not_take_the_conversation(ana: Memory, odd: dict[str, Any]) -> None:
    said = {"role": "user", "content": "I keep bees"}
    result = {"role": "tool", "content": "done", "tool_call_id": "c", **odd}
    persistence = MemweldFlowPersistence(ana)
    persistence.save_state("chat", "reply", {"id": "chat", "messages": [said, result]})
    stored = ana.history("chat").messages()
    assert [message.role for message in stored] == ["user", "tool"]
    assert "shortened" in (stored[1].native or {})
    assert persistence.load_state("chat")


@pytest.mark.parametrize("state", [ConversationState, dict])
def test_a_conversation_has_a_budget_and_is_stored_once(ana: Memory, state: Any) -> None:
    ana.history("s1").append(
        [
            ChatMessage(role="user", content="Before " + "b" * 90_000),
            ChatMessage(role="assistant", content="Yes"),
            ChatMessage(role="user", content="Read " + "r" * 300_000),
            ChatMessage(role="assistant", content="Done"),
        ]
    )
    persistence = MemweldFlowPersistence(ana)
    for turn in range(3):
        loaded = persistence.load_state("s1")
        assert loaded is not None
        contents = [message["content"] for message in loaded["messages"]]
        assert sum(map(len, contents)) <= 100_000
        assert [content[-4:] for content in contents[-2:]] == (["…", "don?"] if turn else ["rrrr", "Done"])
        added = [{"role": "user", "content": " "}, {"role": "assistant", "content": "Pardon?"}]
        live = state(id="s1", messages=[*loaded["messages"], *added])
        for _ in range(2):
            persistence.save_state("s1", "turn", live)
    assert len(ana.history("s1").messages()) == 10
    assert len(ana.history("s1").messages()[2].text) == 300_005
