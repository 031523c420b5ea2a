"""Values whose own code raises, in the open fields of frameworks' messages: none costs more than itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from ag2.events import DataInput, ModelRequest, TextInput
from agent_framework import Content, Message
from autogen_core import FunctionCall
from autogen_core.models import AssistantMessage, UserMessage
from crewai.flow import ConversationState
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

import memweld.ag2.messages
import memweld.agent_framework.messages
import memweld.autogen.messages
import memweld.langchain.messages
from memweld import ChatMessage, Memory, MemweldError, connect
from memweld.adapters.messages import fit_message
from memweld.crewai.conversation import save_messages
from memweld.memory.asynchronous import in_thread
from memweld.memory.content import program_ends
from memweld.testing import HashEmbedder


class StrangeError(BaseException):
    """No exception of the usual kind."""


def fail(*_: Any, **__: Any) -> Any:
    raise StrangeError("mine")


class WithoutClass:
    @property
    def __class__(self) -> Any:
        return fail()

    __str__ = __repr__ = fail


NAMES = """__str__ __repr__ __eq__ __hash__ __len__ __iter__ __bool__ __contains__ __getitem__ __getattr__ __format__
    __deepcopy__ items keys values get strip encode isascii""".split()
METHODS: dict[str, Any] = dict.fromkeys(NAMES, fail)
KINDS: list[Callable[[], Any]] = [
    type("Hostile", (), METHODS),
    WithoutClass,
    lambda: type("HostileList", (list,), METHODS)([1]),
    lambda: type("HostileDict", (dict,), METHODS)(a=1),
    lambda: type("HostileText", (str,), METHODS)("x"),
]


def changed(message: Any, **fields: Any) -> Any:
    """The message with fields that its class would refuse."""
    message.__dict__.update(fields)
    return message


def langchain(value: Callable[[], Any]) -> list[ChatMessage]:
    call = {"name": value(), "args": {"a": value()}, "id": value()}
    messages = [
        *(changed(HumanMessage("x"), **{name: value()}) for name in ("additional_kwargs", "content", "name", "id")),
        changed(HumanMessage("x"), content=[value(), {"type": "text", "text": value()}]),
        *(changed(ToolMessage("x", tool_call_id="1"), **{name: value()}) for name in ("artifact", "tool_call_id")),
        changed(AIMessage("x"), tool_calls=[call]),
    ]
    return [memweld.langchain.messages.to_neutral(message) for message in messages]


def autogen(value: Callable[[], Any]) -> list[ChatMessage]:
    call = FunctionCall(id=value(), name=value(), arguments=value())
    messages = [
        *(changed(UserMessage(content="x", source="user"), **{name: value()}) for name in ("content", "source")),
        changed(AssistantMessage(content="x", source="a"), content=[call]),
    ]
    return [each for message in messages for each in memweld.autogen.messages.to_neutral(message)]


def ag2(value: Callable[[], Any]) -> list[ChatMessage]:
    events = [ModelRequest([DataInput(value())]), ModelRequest([TextInput(value())])]
    return [each for event in events for each in memweld.ag2.messages.to_neutral(event)]


def agent_framework(value: Callable[[], Any]) -> list[ChatMessage]:
    names = ("additional_properties", "raw_representation", "author_name", "role", "contents")
    text, result = Content.from_text("x"), Content.from_function_result(call_id="1", result="x")
    messages = [
        *(changed(Message("user", ["x"]), **{name: value()}) for name in names),
        changed(Message("user", ["x"]), contents=[changed(text, text=value())]),
        changed(Message("tool", ["x"]), contents=[changed(result, result=value(), call_id=value())]),
    ]
    return [each for message in messages for each in memweld.agent_framework.messages.to_neutral(message)]


@pytest.fixture(scope="module")
def ana() -> Memory:
    return connect("sqlite://", embedder=HashEmbedder()).user("ana")


@pytest.mark.parametrize("convert", [langchain, autogen, ag2, agent_framework])
@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_each_message_is_kept_as_far_as_it_can_be_read(ana: Memory, convert: Any, kind: int) -> None:
    messages = convert(KINDS[kind])
    session = f"{convert.__name__}-{kind}"
    ana.history(session).append([fit_message(message) for message in messages])
    assert len(ana.history(session).messages()) == len(messages)


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_each_message_of_a_flow_is_kept(ana: Memory, kind: int) -> None:
    value, make = (
        KINDS[kind],
        type(ConversationState.model_validate({"messages": [{"role": "user", "content": ""}]}).messages[0]),
    )
    names = ("content", "name", "metadata", "tool_calls")
    for name in names:
        save_messages(ana.history(f"{name}-{kind}"), [changed(make(role="user", content="x"), **{name: value()})])
        assert len(ana.history(f"{name}-{kind}").messages()) == 1


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, StrangeError])
async def test_what_a_library_raises_in_a_thread_cancels_no_caller(kind: type[BaseException]) -> None:
    def work() -> None:
        raise kind

    with pytest.raises(MemweldError, match=kind.__name__):
        await in_thread(work)


def test_a_signal_ends_the_program_and_a_library_in_a_thread_does_not() -> None:
    assert {SystemExit, KeyboardInterrupt} <= set(program_ends())
    seen: list[type[BaseException]] = []
    thread = threading.Thread(target=lambda: seen.extend(program_ends()))
    thread.start()
    thread.join()
    assert {SystemExit, KeyboardInterrupt}.isdisjoint(seen)
