"""From ConversationBufferMemory and RunnableWithMessageHistory to memweld, with everything that was said.

Run it to see the old chains, the import of their messages, and the same users afterwards::

    python examples/migrate_from_langchain.py

It needs langchain-classic and langchain-community for the old classes. Without a key a small script plays the model;
MEMWELD_EXAMPLE_MODEL=openai:gpt-5.5 names a real one. To move your own sessions, copy `import_session`.
"""

from __future__ import annotations

import json
import os
import tempfile
import uuid
import warnings
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_classic.chains import ConversationChain
from langchain_classic.memory import ConversationBufferMemory
from langchain_community.chat_message_histories import FileChatMessageHistory, SQLChatMessageHistory
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables.history import RunnableWithMessageHistory

import memweld
from memweld import Memory
from memweld.langchain import MemweldChatMessageHistory, MemweldMiddleware
from memweld.testing.langchain import ModelCall, ScriptedChatModel

# The old classes warn at every use. LangChain turns these warnings on when imported, so the filter comes after it.
warnings.filterwarnings("ignore", category=DeprecationWarning)


def import_session(
    memory: Memory,
    session_id: str,
    messages: Sequence[BaseMessage],
    *,
    said_at: Callable[[BaseMessage], datetime | str | None] = lambda _: None,
) -> int:
    """Import a session: its messages into the history, and the user's statements as memories.

    A second run imports only newer messages, so the old program can go on until the new one takes over.

    Args:
        memory: The memory of the session's user.
        session_id: The session's new id.
        messages: All messages of the session, oldest first.
        said_at: Returns the time of a message, if the old program stored it; LangChain's messages have none.

    Returns:
        The number of new messages.
    """
    history = MemweldChatMessageHistory(memory, session_id)
    kept = {message.id for message in history.messages}
    named = [message.model_copy(update={"id": stable_id(n, message)}) for n, message in enumerate(messages)]
    new = [message for message in named if message.id not in kept]
    # Facts first: after an interruption the messages are still new, and equal facts are stored once.
    for message in new:
        text = message.text.strip()
        if isinstance(message, HumanMessage) and text and not text.endswith("?"):
            memory.add(text, session_id=session_id, created_at=said_at(message))
    history.add_messages(new)
    return len(new)


def stable_id(position: int, message: BaseMessage) -> str:
    """The message's own id, or a stable one made of its position and contents."""
    said = json.dumps([position, message.type, message.content], default=str)
    return message.id or str(uuid.uuid5(uuid.NAMESPACE_OID, said))


def old_buffer(folder: Path, *said: str) -> list[BaseMessage]:
    """Before: a chain with ConversationBufferMemory, here over a file."""
    memory = ConversationBufferMemory(chat_memory=FileChatMessageHistory(str(folder / "ana.json")))
    chain = ConversationChain(llm=chat_model(), memory=memory)
    for text in said:
        chain.predict(input=text)
    return memory.chat_memory.messages


def chat(history_of: Callable[[str], BaseChatMessageHistory], session_id: str, *said: str) -> str:
    """Before and after: a chain with RunnableWithMessageHistory. Only the history differs."""
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("past"), ("human", "{text}")])
    chain = RunnableWithMessageHistory(
        prompt | chat_model(), history_of, input_messages_key="text", history_messages_key="past"
    )
    answers = [chain.invoke({"text": text}, {"configurable": {"session_id": session_id}}) for text in said]
    return answers[-1].text


def main() -> None:
    """Play all of it."""
    with tempfile.TemporaryDirectory() as name, memweld.connect(f"sqlite:///{name}/memory.db") as backend:
        folder = Path(name)
        ana, bob = backend.user("ana"), backend.user("bob")

        def in_sql(session_id: str) -> SQLChatMessageHistory:
            return SQLChatMessageHistory(session_id, connection=f"sqlite:///{folder}/chat.db")

        print("Before")
        buffered = old_buffer(folder, "I live in Porto", "My cat is called Tofu")
        print(f"  Ana, ConversationBufferMemory:     {len(buffered)} messages")
        print(f"  Bob, RunnableWithMessageHistory:   {chat(in_sql, 'bob-1', 'I like tea', 'What do you know?')}")
        print(f"  Bob, in a new session:             {chat(in_sql, 'bob-2', 'What do you know?')}")

        print("The import, twice")
        for _ in range(2):
            # The old histories know only sessions. Your application knows their users, and says so here.
            imported = [import_session(ana, "ana-1", buffered, said_at=lambda _: "2025-06-01T09:00:00Z")]
            imported += [import_session(bob, session, in_sql(session).messages) for session in ("bob-1", "bob-2")]
            print(f"  new messages: {imported}; memories: {len(ana.all())} of Ana, {len(bob.all())} of Bob")

        print("After, with the history alone changed")
        answer = chat(lambda session_id: MemweldChatMessageHistory(bob, session_id), "bob-1", "What do you know?")
        print(f"  Bob, RunnableWithMessageHistory:   {answer}")

        print("After, as an agent with automatic memory")
        agent = create_agent(chat_model(), middleware=[MemweldMiddleware(backend)])
        for user, session_id in (("ana", "ana-1"), ("ana", "a new session"), ("bob", "a new session")):
            answer = agent.invoke(
                {"messages": [HumanMessage("Tell me what you know of where I live, my cat and my tea?")]},
                {"configurable": {"user_id": user, "thread_id": session_id}},
            )["messages"][-1]
            print(f"  {user.title()}, in {session_id + ':':<28} {answer.text}")


def chat_model() -> BaseChatModel:
    """The model that the environment names, else a script."""
    name = os.environ.get("MEMWELD_EXAMPLE_MODEL")
    return init_chat_model(name) if name else ScriptedChatModel(scripted_answer)


def scripted_answer(call: ModelCall) -> str:
    """Repeat the known statements in the prompt, the only source that a model has for them."""
    told = [text for text in ("I live in Porto", "My cat is called Tofu", "I like tea") if text in call.text]
    return f"You told me: {'; '.join(told)}." if told else "You told me nothing."


if __name__ == "__main__":
    main()
