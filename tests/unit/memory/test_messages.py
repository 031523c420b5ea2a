"""Messages from callers, whatever they are made of."""

from types import SimpleNamespace
from typing import Any

import pytest

from memweld import ChatMessage, InvalidInputError, Memory, ToolCall, connect
from memweld.memory.messages import to_messages
from memweld.testing import HashEmbedder


def langchain() -> list[Any]:
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

    return [
        SystemMessage("Be kind"),
        HumanMessage("Which trams?", id="1", name="ana"),
        AIMessage("", tool_calls=[{"id": "c", "name": "trams", "args": {"to": "Foz"}}]),
        ToolMessage("18", tool_call_id="c", name="trams"),
        AIMessage("The 18"),
    ]


def openai() -> list[Any]:
    from openai.types.chat import ChatCompletionMessage

    call = {"id": "c", "type": "function", "function": {"name": "trams", "arguments": '{"to": "Foz"}'}}
    return [
        {"role": "system", "content": "Be kind"},
        {"role": "user", "content": "Which trams?", "name": "ana", "id": "1"},
        ChatCompletionMessage.model_validate({"role": "assistant", "content": None, "tool_calls": [call]}),
        {"role": "tool", "content": "18", "tool_call_id": "c", "name": "trams"},
        ChatCompletionMessage(role="assistant", content="The 18"),
    ]


def autogen() -> list[Any]:
    from autogen_core import FunctionCall
    from autogen_core.models import (
        AssistantMessage,
        FunctionExecutionResult,
        FunctionExecutionResultMessage,
        SystemMessage,
        UserMessage,
    )

    call = FunctionCall(id="c", name="trams", arguments='{"to": "Foz"}')
    result = FunctionExecutionResult(content="18", name="trams", call_id="c")
    return [
        SystemMessage(content="Be kind"),
        UserMessage(content="Which trams?", source="user"),
        AssistantMessage(content=[call], source="guide"),
        FunctionExecutionResultMessage(content=[result]),
        AssistantMessage(content="The 18", source="guide"),
    ]


SPOKEN = [
    ("system", "Be kind", (), None),
    ("user", "Which trams?", (), None),
    ("assistant", "", (ToolCall(id="c", name="trams", arguments={"to": "Foz"}),), None),
    ("tool", "18", (), "c"),
    ("assistant", "The 18", (), None),
]


def told(messages: list[ChatMessage]) -> list[Any]:
    return [(each.role, each.text, each.tool_calls, each.tool_call_id) for each in messages]


@pytest.mark.parametrize("framework", [langchain, openai, autogen], ids=lambda made: made.__name__)
def test_a_frameworks_messages_are_messages(framework: Any) -> None:
    messages = framework()
    assert told(to_messages(messages)) == SPOKEN
    assert told(to_messages(messages[1])) == SPOKEN[1:2], "one alone, which pydantic makes iterable"


def test_agents_name_who_says_something() -> None:
    from autogen_agentchat.messages import TextMessage

    messages = to_messages([TextMessage(content="Hi", source="user"), TextMessage(content="Hello", source="guide")])
    assert [(each.role, each.text) for each in messages] == [("user", "Hi"), ("assistant", "Hello")]


def test_a_memory_takes_them() -> None:
    with connect("sqlite://", embedder=HashEmbedder()) as backend:
        ana: Memory = backend.user("ana")
        ana.capture(langchain(), session_id="s")
        assert [message.role for message in ana.history("s").messages()] == [role for role, *_ in SPOKEN]
        assert [item.text for item in ana.add(autogen()[1:2])] == ["Which trams?"]
        ana.history("texts").append(["Hi", {"role": "assistant", "content": "Hello"}])
        assert [message.role for message in ana.history("texts").messages()] == ["user", "assistant"]
        assert [item.text for item in ana.add(["I keep bees", "I like tea"])] == ["I keep bees", "I like tea"]
        with pytest.raises(InvalidInputError, match="Message 1: Invalid message"):
            ana.add(["I keep hens", "  "])
        assert len(ana.all()) == 3


def test_what_has_content_and_no_speaker_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="Message 1: Invalid message"):
        to_messages([{"role": "user", "content": "hi"}, SimpleNamespace(content="who?")])  # type: ignore[list-item]
