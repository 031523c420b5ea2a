"""LangChain's messages in memweld's histories: nothing is lost, whoever wrote them."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
)
from langchain_core.messages import ChatMessage as RoleMessage
from langchain_core.messages import ToolCall as LangChainToolCall
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import ConfigurableFieldSpec
from langchain_core.runnables.history import RunnableWithMessageHistory
from pydantic import BaseModel

import memweld
from memweld import Backend, ChatMessage, ConfigurationError, InvalidInputError, ToolCall
from memweld.engine.operations import Operation, ReadMessages
from memweld.langchain import MemweldChatMessageHistory
from memweld.scope import Scope
from memweld.testing import Mode
from memweld.testing.langchain import ScriptedChatModel

both = pytest.mark.parametrize("mode", ["sync", "async"])


@pytest.fixture
def history(backend: Backend) -> MemweldChatMessageHistory:
    return MemweldChatMessageHistory(backend.user("ana"), "s")


def add(history: BaseChatMessageHistory, messages: list[BaseMessage], mode: Mode = "sync") -> None:
    history.add_messages(messages) if mode == "sync" else asyncio.run(history.aadd_messages(messages))


def read(history: BaseChatMessageHistory, mode: Mode = "sync") -> list[BaseMessage]:
    return history.messages if mode == "sync" else asyncio.run(history.aget_messages())


EVERY_TYPE: list[Any] = [
    HumanMessage("hello", id="h1", name="ana", additional_kwargs={"lang": "pt"}),
    HumanMessage("no id"),
    HumanMessage(
        [
            "loose text",
            {"type": "text", "text": "what is this?"},
            {"type": "image", "base64": "aGk=", "mime_type": "image/png"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
            {"type": "audio", "base64": "aGk=", "mime_type": "audio/wav"},
        ]
    ),
    SystemMessage("Be brief.", id="s1"),
    AIMessage(
        content=[{"type": "thinking", "thinking": "hmm", "signature": "x"}, {"type": "text", "text": "Looking."}],
        id="lc_run--1",
        name="helper",
        tool_calls=[{"name": "weather", "args": {"town": "Porto", "days": [1, 2]}, "id": "c1", "type": "tool_call"}],
        invalid_tool_calls=[{"name": "x", "args": "{", "id": "c2", "error": "bad", "type": "invalid_tool_call"}],
        usage_metadata={
            "input_tokens": 3,
            "output_tokens": 4,
            "total_tokens": 7,
            "input_token_details": {"cache_read": 1},
        },
        response_metadata={"model_name": "m", "logprobs": None, "scores": [0.5]},
        additional_kwargs={"refusal": None},
    ),
    ToolMessage("Rain.", tool_call_id="c1", name="weather", artifact={"mm": [1.5, None]}, status="success", id="t1"),
    ToolMessage([{"type": "text", "text": "no"}], tool_call_id="c2", status="error"),
    FunctionMessage(content="42", name="answer"),
    RoleMessage(content="I object", role="critic", id="r1"),
    AIMessageChunk(content="part", id="k1", chunk_position="last"),
    AIMessageChunk(
        content="",
        id="k2",
        tool_call_chunks=[{"name": "weather", "args": '{"town":', "id": "c3", "index": 0, "type": "tool_call_chunk"}],
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
    ),
    HumanMessageChunk(content="chunk", id="k3"),
    SystemMessageChunk(content="chunk"),
    ToolMessageChunk(content="chunk", tool_call_id="c1", artifact=[1]),
    FunctionMessageChunk(content="chunk", name="answer"),
    ChatMessageChunk(content="chunk", role="critic"),
    HumanMessage(
        [
            {
                "type": "file",
                "base64": "aGk=",
                "mime_type": "application/pdf",
                "id": "f1",
                "extras": {"filename": "a.pdf"},
            },
            {"type": "video", "url": "https://example.com/a.mp4"},
            {"type": "text-plain", "text": "plain", "mime_type": "text/plain"},
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
            {"type": "non_standard", "value": {"a": [1, None]}},
        ]
    ),
    AIMessage(
        [
            {"type": "reasoning", "reasoning": "hmm", "id": "rs_1"},
            {"type": "server_tool_call", "id": "s1", "name": "web_search", "args": {"query": "rain"}},
            {"type": "server_tool_result", "tool_call_id": "s1", "status": "success", "output": {"hits": []}},
            {"type": "text", "text": "Rain.", "annotations": [{"type": "citation", "url": "https://example.com"}]},
        ],
        response_metadata={"output_version": "v1"},
    ),
    SystemMessage([{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]),
    ToolMessage("x", tool_call_id="c1", additional_kwargs={"a": 1}, response_metadata={"b": 2}),
    AIMessage(""),
]


@both
def test_every_type_comes_back_exactly(history: MemweldChatMessageHistory, mode: Mode) -> None:
    add(history, EVERY_TYPE, mode)
    assert read(history, mode) == EVERY_TYPE
    assert [type(message) for message in read(history, mode)] == [type(message) for message in EVERY_TYPE]


def test_other_frameworks_read_the_same_messages(backend: Backend, history: MemweldChatMessageHistory) -> None:
    add(history, EVERY_TYPE)
    kept = backend.user("ana").history("s").messages()
    roles = "user user user system assistant tool tool tool assistant assistant"
    roles += " assistant user system tool tool assistant user assistant system tool assistant"
    assert [message.role for message in kept] == roles.split()
    assert kept[0].text == "hello"
    assert (kept[0].id, kept[0].name) == ("h1", "ana")
    assert kept[2].content[:4] == [
        {"type": "text", "text": "loose text"},
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
    ]
    assert kept[4].content == [{"type": "text", "text": "Looking."}]
    assert kept[4].tool_calls == (
        ToolCall(id="c1", name="weather", arguments={"town": "Porto", "days": [1, 2]}),
        ToolCall(id="c2", name="x", arguments={"__raw__": "{"}),
    )
    assert (kept[5].tool_call_id, kept[5].name) == ("c1", "weather")


def test_messages_of_other_frameworks_read_as_langchain(backend: Backend, history: MemweldChatMessageHistory) -> None:
    call = ToolCall(id="c1", name="weather", arguments={"town": "Porto"})
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    backend.user("ana").history("s").append(
        [
            ChatMessage(role="system", content="Be brief.", id="1"),
            ChatMessage(role="user", content=[{"type": "text", "text": "Weather?"}, image], id="2", name="ana"),
            ChatMessage(role="assistant", tool_calls=(call,), id="3", native={"framework": "autogen", "message": {}}),
            ChatMessage(role="tool", content="Rain.", tool_call_id="c1", id="4", name="weather"),
            ChatMessage(role="assistant", content="It rains.", id="5"),
        ]
    )
    assert history.messages == [
        SystemMessage("Be brief.", id="1"),
        HumanMessage([{"type": "text", "text": "Weather?"}, image], id="2", name="ana"),
        AIMessage(
            "", tool_calls=[{"name": "weather", "args": {"town": "Porto"}, "id": "c1", "type": "tool_call"}], id="3"
        ),
        ToolMessage("Rain.", tool_call_id="c1", id="4", name="weather"),
        AIMessage("It rains.", id="5"),
    ]


@pytest.mark.parametrize("message", [None, {}, {"type": "martian", "data": {}}, {"type": "human", "data": {"id": 7}}])
def test_a_dump_of_another_version_falls_back(
    backend: Backend, history: MemweldChatMessageHistory, message: Any
) -> None:
    native = {"framework": "langchain", "message": message}
    backend.user("ana").history("s").append(ChatMessage(role="user", content="hello", id="1", native=native))
    assert history.messages == [HumanMessage("hello", id="1")]


def test_what_json_cannot_hold_loses_no_message(history: MemweldChatMessageHistory) -> None:
    class Frame:
        def __str__(self) -> str:
            return "a table"

    artifact = {"frame": Frame(), "nan": float("nan"), "raw": b"\xff", "pair": (1, 2), 3: {4}}
    add(history, [ToolMessage("a\x00b \ud800 c \ud83d\ude00", tool_call_id="c1", artifact=artifact)])
    (message,) = history.messages
    assert message.content == "a\ufffdb \ufffd c 😀"
    assert isinstance(message, ToolMessage)
    expected = {"frame": "a table", "nan": "nan", "raw": "b'\\xff'", "pair": [1, 2], "3": [4]}
    assert message.artifact == expected


def test_a_model_in_a_message_is_kept_as_its_fields(history: MemweldChatMessageHistory) -> None:
    class Fare(BaseModel):
        euros: float

    call = LangChainToolCall(name="book", args={"fare": Fare(euros=9.5)}, id="c1", type="tool_call")
    history.add_messages(
        [AIMessage("", tool_calls=[call]), ToolMessage("ok", tool_call_id="c1", artifact=Fare(euros=9))]
    )
    asked, answered = history.messages
    assert isinstance(asked, AIMessage)
    assert asked.tool_calls[0]["args"] == {"fare": {"euros": 9.5}}
    assert isinstance(answered, ToolMessage)
    assert answered.artifact == {"euros": 9}


def test_a_removal_is_no_message(history: MemweldChatMessageHistory) -> None:
    with pytest.raises(InvalidInputError, match="it removes a message and says nothing"):
        add(history, [HumanMessage("hello"), RemoveMessage(id="1")])
    assert history.messages == []


@both
def test_the_methods_of_the_base_class(backend: Backend, history: MemweldChatMessageHistory, mode: Mode) -> None:
    add(history, [], mode)
    history.add_user_message("hello")
    history.add_ai_message("hi")
    history.add_message(HumanMessage("bye"))
    assert str(history) == "Human: hello\nAI: hi\nHuman: bye"
    latest = MemweldChatMessageHistory(backend.user("ana"), "s", limit=1)
    assert [message.content for message in read(latest, mode)] == ["bye"]
    assert read(MemweldChatMessageHistory(backend.user("bob"), "s"), mode) == []
    history.clear() if mode == "sync" else asyncio.run(history.aclear())
    assert read(history, mode) == []


def test_an_id_that_is_there_is_replaced(history: MemweldChatMessageHistory) -> None:
    add(history, [HumanMessage("helo", id="1"), AIMessage("hi", id="2")])
    add(history, [HumanMessage("hello", id="1")])
    assert [message.content for message in history.messages] == ["hello", "hi"]


def test_adding_reads_nothing(history: MemweldChatMessageHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = history._history._engine
    plain = engine.run

    def run(scope: Scope, operation: Operation[Any]) -> Any:
        assert not isinstance(operation, ReadMessages), "the session was read"
        return plain(scope, operation)

    monkeypatch.setattr(engine, "run", run)
    add(history, [HumanMessage("hello")])
    add(history, [HumanMessage("again")], "async")
    monkeypatch.undo()
    assert [message.content for message in history.messages] == ["hello", "again"]


@both
def test_the_user_of_a_backend_is_the_surrounding_one(backend: Backend, mode: Mode) -> None:
    history = MemweldChatMessageHistory(backend, "s")
    with memweld.user_scope("ana"):
        add(history, [HumanMessage("hello")], mode)
        assert len(read(history, mode)) == 1
    with memweld.user_scope("bob"):
        assert read(history, mode) == []
    with pytest.raises(ConfigurationError, match="No user is known"):
        read(history, mode)


def test_a_limit_is_checked_at_once(backend: Backend) -> None:
    for limit in (0, -1, True, "10"):
        with pytest.raises(InvalidInputError, match="limit"):
            MemweldChatMessageHistory(backend.user("ana"), "s", limit=limit)  # pyright: ignore[reportArgumentType]


def test_many_append_to_one_session_at_once(backend: Backend) -> None:
    history = MemweldChatMessageHistory(backend.user("ana"), "s")

    def talk(who: int) -> None:
        for number in range(20):
            history.add_messages([HumanMessage(f"{who}: {number}?"), AIMessage(f"{who}: {number}!")])

    threads = [threading.Thread(target=talk, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = [str(message.content) for message in history.messages]
    assert len(said) == 240
    for who in range(6):
        expected = [f"{who}: {number}{mark}" for number in range(20) for mark in "?!"]
        assert [text for text in said if text.startswith(f"{who}:")] == expected
    pairs = zip(said[::2], said[1::2], strict=True)
    assert all(asked[:-1] == answered[:-1] for asked, answered in pairs), "messages added together stay together"


@pytest.mark.filterwarnings(
    "ignore:RunnableWithMessageHistory is deprecated:langchain_core._api.deprecation.LangChainDeprecationWarning"
)
@both
@pytest.mark.parametrize("streaming", [False, True])
def test_runnable_with_message_history(backend: Backend, mode: Mode, streaming: bool) -> None:
    model = ScriptedChatModel(["Hello Ana.", "You are Ana.", "Who?"])
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("past"), ("human", "{text}")])
    fields = [
        ConfigurableFieldSpec(id=name, annotation=str, name=name, is_shared=True) for name in ("user_id", "session_id")
    ]
    chain = RunnableWithMessageHistory(
        prompt | model,
        lambda user_id, session_id: MemweldChatMessageHistory(backend.user(user_id), session_id),
        input_messages_key="text",
        history_messages_key="past",
        history_factory_config=fields,
    )

    async def streamed(given: Any, config: Any) -> str:
        return "".join([part.text async for part in chain.astream(given, config)])

    def say(text: str, user_id: str) -> str:
        config: Any = {"configurable": {"user_id": user_id, "session_id": "s"}}
        given = {"text": text}
        if streaming:
            parts = chain.stream(given, config)
            return "".join(part.text for part in parts) if mode == "sync" else asyncio.run(streamed(given, config))
        answer = chain.invoke(given, config) if mode == "sync" else asyncio.run(chain.ainvoke(given, config))
        return answer.content

    assert say("I am Ana", "ana") == "Hello Ana."
    assert say("Who am I?", "ana") == "You are Ana."
    assert [message.content for message in model.calls[1].messages] == ["I am Ana", "Hello Ana.", "Who am I?"]
    say("Who am I?", "bob")
    assert [message.content for message in model.calls[2].messages] == ["Who am I?"]
    kept = [message.text for message in backend.user("ana").history("s").messages()]
    assert kept == ["I am Ana", "Hello Ana.", "Who am I?", "You are Ana."]
