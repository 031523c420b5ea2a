"""Importing LangChain's own dumps: each type of message, each form of file, ids that stay, and nothing twice."""

from __future__ import annotations

import json
import os
import warnings
from datetime import datetime, timezone
from pathlib import Path

import pytest
from langchain_core.load import dumpd, dumps
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    messages_to_dict,
)
from typer.testing import CliRunner, Result

from memweld import Backend, connect
from memweld.cli import app
from memweld.errors import InvalidInputError
from memweld.langchain import MemweldChatMessageHistory
from memweld.langchain.messages import to_neutral
from memweld.scope import Scope
from memweld.transfer import read_langchain, read_langchain_file

with warnings.catch_warnings():
    # The package says of itself that it is no longer maintained: its files are what people come from.
    warnings.simplefilter("ignore", DeprecationWarning)
    from langchain_community.chat_message_histories import FileChatMessageHistory, SQLChatMessageHistory

ANA = Scope("ana")


def conversation() -> list[BaseMessage]:
    """One message of each type, with what each may have, some with ids of their own."""
    return [
        SystemMessage("Be kind."),
        HumanMessage("Where is it?", id="h-1", name="Ana", additional_kwargs={"device": "phone"}),
        HumanMessage(
            [
                "look at",
                {"type": "text", "text": "this"},
                {"type": "image", "url": "https://example.org/cat.png"},
                {"type": "image", "base64": "aGk=", "mime_type": "image/gif"},
            ]
        ),
        AIMessage(
            [
                {"type": "text", "text": "I look it up."},
                {"type": "tool_use", "id": "c1", "name": "find", "input": {"q": "cat"}},
            ],
            tool_calls=[{"id": "c1", "name": "find", "args": {"q": "cat", "n": [1, 2.5]}, "type": "tool_call"}],
            response_metadata={"model": "m", "finish_reason": "tool_calls"},
            usage_metadata={"input_tokens": 3, "output_tokens": 5, "total_tokens": 8},
        ),
        ToolMessage("in Porto", tool_call_id="c1", artifact={"rows": [1]}, status="success"),
        AIMessage("In Porto.", id="a-1", additional_kwargs={"refusal": None}),
        AIMessage("In Porto.", id="a-1"),
        AIMessageChunk(content="half an answ"),
        FunctionMessage(content="42", name="answer"),
        ChatMessage(content="So be it.", role="moderator"),
        ChatMessage(content="And me?", role="user"),
        HumanMessage("yes"),
        HumanMessage("yes"),
    ]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["import", *arguments], catch_exceptions=False)


def there(backend: Backend, session_id: str = "s") -> list[BaseMessage]:
    return MemweldChatMessageHistory(backend.user("ana"), session_id).messages


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'memory.db'}"


@pytest.mark.parametrize("dump", ["dict", "dumpd"])
def test_every_type_reads_as_if_langchain_had_written_it(url: str, dump: str) -> None:
    messages = conversation()
    dumped = messages_to_dict(messages) if dump == "dict" else dumpd(messages)
    plan = read_langchain(json.loads(json.dumps(dumped)), scope=ANA, session_id="s")
    with connect(url) as backend:
        assert plan.store(backend) == {"messages": len(messages), "items": 0, "values": 0}
        kept = backend.user("ana").history("s").messages()
        for message, ours in zip(messages, kept, strict=True):
            theirs = to_neutral(message)
            for name in ("role", "content", "name", "tool_calls", "tool_call_id"):
                assert getattr(ours, name) == getattr(theirs, name), (name, message)
            if dump == "dict":
                assert ours.native == theirs.native
        read = there(backend)
    assert [type(message) for message in read] == [type(message) for message in messages]
    assert [message.model_dump() for message in read] == [message.model_dump() for message in messages]


def test_again_and_with_more_nothing_doubles(url: str) -> None:
    messages = conversation()
    with connect(url) as backend:
        read_langchain(messages_to_dict(messages), scope=ANA, session_id="s").store(backend)
        (before,) = backend.user("ana").sessions()
        assert not any(read_langchain(messages_to_dict(messages), scope=ANA, session_id="s").store(backend).values())
        assert backend.user("ana").sessions() == [before]
        # The same words once more are said once more, and the beginning may be gone.
        grown = [*messages[2:], HumanMessage("yes"), AIMessage("Good.")]
        stored = read_langchain(messages_to_dict(grown), scope=ANA, session_id="s").store(backend)
        assert stored["messages"] == 2
        assert [message.content for message in there(backend)][-3:] == ["yes", "yes", "Good."]


def test_a_file_history(url: str, tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    history = FileChatMessageHistory(str(file), encoding="utf-8")
    history.add_messages([HumanMessage("Olá"), AIMessage("Olá!")])
    os.utime(file, (1_700_000_000, 1_700_000_000))
    arguments = (str(file), "--from", "langchain", "--user", "ana", "--session", "s", "--url", url)
    dry = run(*arguments, "--dry-run")
    assert dry.stdout == "user ana: 1 session, 2 messages\nDry run: nothing was written.\n"
    assert not (tmp_path / "memory.db").exists()
    assert run(*arguments).stdout == "user ana: 1 session, 2 messages\nNew or changed: 2 messages\n"
    history.add_messages([HumanMessage("Tudo bem?")])
    assert run(*arguments).stdout.endswith("New or changed: 1 message\n")
    assert run(*arguments).stdout.endswith("New or changed: nothing\n")
    with connect(url) as backend:
        assert [message.content for message in there(backend)] == ["Olá", "Olá!", "Tudo bem?"]
        (first, *_) = backend.user("ana").history("s").messages()
        assert first.created_at == datetime.fromtimestamp(1_700_000_000, timezone.utc)


def test_json_lines_and_one_message(url: str, tmp_path: Path) -> None:
    lines = tmp_path / "chat.jsonl"
    lines.write_text("\n".join(dumps(message) for message in conversation()) + "\n\n", encoding="utf-8")
    with connect(url) as backend:
        read_langchain_file(lines, scope=ANA, session_id="s").store(backend)
        assert [message.model_dump() for message in there(backend)] == [each.model_dump() for each in conversation()]
        read_langchain({"messages": messages_to_dict(conversation())}, scope=ANA, session_id="t").store(backend)
        assert len(there(backend, "t")) == len(conversation())


def test_a_sql_history(url: str, tmp_path: Path) -> None:
    file = tmp_path / "chats.db"
    for session in ("one", "two"):
        history = SQLChatMessageHistory(session, connection=f"sqlite:///{file}")
        history.add_messages([HumanMessage(f"hello from {session}"), *conversation()])
        history.engine.dispose()
    arguments = (str(file), "--from", "langchain", "--user", "ana", "--url", url)
    size = 2 * (len(conversation()) + 1)
    assert run(*arguments).stdout.endswith(f"New or changed: {size} messages\n")
    assert run(*arguments).stdout.endswith("New or changed: nothing\n")
    with connect(url) as backend:
        assert {session.session_id for session in backend.user("ana").sessions()} == {"one", "two"}
        assert there(backend, "two")[0].content == "hello from two"
        assert there(backend, "one")[1:] == conversation()
    missing = run(*arguments, "--session", "three")
    assert "has no session 'three'" in missing.stderr
    wrong = run(*arguments, "--table", "others")
    assert wrong.exit_code == 1
    assert "no database of a SQLChatMessageHistory with the table 'others'" in wrong.stderr


def test_old_dumps_of_openais_calls() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    old = {"type": "ai", "data": {"content": "", "additional_kwargs": {"tool_calls": [call]}, "example": False}}
    plan = read_langchain([old], scope=ANA, session_id="s")
    (session,) = plan.parts[ANA]
    (message,) = session.messages  # pyright: ignore[reportAttributeAccessIssue]
    assert [(made.id, made.name, made.arguments) for made in message.tool_calls] == [("c", "f", {"a": 1})]


def test_what_is_no_message_is_named_and_nothing_is_stored(url: str, tmp_path: Path) -> None:
    good = messages_to_dict([HumanMessage("fine")])
    for wrong, text in (
        ({"type": "human"}, "no dumped message"),
        ({"type": "human", "data": {}}, "no content"),
        ({"type": "alien", "data": {"content": "x"}}, "alien"),
        ({"type": "human", "data": {"content": 5}}, "text or a list"),
        ("text", "must be an object"),
    ):
        file = tmp_path / "chat.json"
        file.write_text(json.dumps([*good, wrong]), encoding="utf-8")
        result = run(str(file), "--from", "langchain", "--user", "ana", "--session", "s", "--url", url)
        assert result.exit_code == 1
        assert "Row 2" in result.stderr
        assert text in result.stderr
        assert not (tmp_path / "memory.db").exists()
    with pytest.raises(InvalidInputError, match="Name the session"):
        read_langchain_file(file, scope=ANA)


def test_a_command_is_not_said() -> None:
    messages = [HumanMessage("fine", id="h"), RemoveMessage(id="h")]
    plan = read_langchain(messages_to_dict(messages), scope=ANA, session_id="s")
    assert plan.counts["messages"] == 1
    assert plan.skipped == {"commands to remove a message": 1}
