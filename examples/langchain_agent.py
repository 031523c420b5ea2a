"""A LangChain agent that remembers its user from one conversation, and one process, to the next.

Run it to see two conversations, each in its own process::

    python examples/langchain_agent.py

Or talk to it, one conversation per call. Its memory is the file in MEMWELD_URL, or one in your data directory::

    python examples/langchain_agent.py "My cat is called Tofu"
    python examples/langchain_agent.py "What is my cat called?"

Without a key a small script plays the model. To use a real one, name it and supply its provider's key::

    MEMWELD_EXAMPLE_MODEL=openai:gpt-5.5 python examples/langchain_agent.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage

import memweld
from memweld.langchain import MemweldMiddleware, memory_tools
from memweld.testing.langchain import ModelCall, ScriptedChatModel


def chat_model() -> BaseChatModel:
    """The model that the environment names, else a script."""
    name = os.environ.get("MEMWELD_EXAMPLE_MODEL")
    return init_chat_model(name) if name else ScriptedChatModel(scripted_answer)


def scripted_answer(call: ModelCall) -> str:
    """Repeat the memories in the prompt, the only source that a model has for them."""
    remembered = [line.partition("] ")[2] for line in call.text.splitlines() if line.startswith("- [")]
    return f"You told me: {'; '.join(remembered)}." if remembered else "Nice to meet you! I shall remember that."


def talk(said: str) -> str:
    """One conversation with an agent that knows only what its memory holds."""
    with memweld.connect() as backend:
        ana = backend.user("ana")
        agent = create_agent(
            chat_model(),
            # The middleware captures and recalls by itself; the tools let the model correct and forget.
            tools=memory_tools(ana, ["search_memories", "update_memory", "delete_memory"]),
            system_prompt="Answer in one sentence.",
            middleware=[MemweldMiddleware(ana)],
        )
        return agent.invoke({"messages": [HumanMessage(said)]})["messages"][-1].text


def play() -> None:
    """Two conversations in two processes that share only the file."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"MEMWELD_URL": f"sqlite:///{folder}/memory.db"}
        for said in ("My cat is called Tofu", "What is my cat called?"):
            print(f"Ana:   {said}")
            process = [sys.executable, __file__, said]
            answer = subprocess.run(process, env=environment, check=True, capture_output=True, text=True)  # noqa: S603
            print(f"Agent: {answer.stdout.strip()}")


if __name__ == "__main__":
    if sys.argv[1:]:
        print(talk(" ".join(sys.argv[1:])))
    else:
        play()
