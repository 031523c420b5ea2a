"""A LangChain agent with automatic memory and the memory tools."""

# The framework leaves some types of its agents open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent

from .... import Backend
from ....langchain import MemweldMiddleware, memory_tools
from ....testing.langchain import ModelCall, tool_call
from ..models import langchain_model, remembered

__all__ = ["play"]

_PROMPT = (
    "You are a friendly assistant with a memory. When the user says how they want answers, store it with "
    "set_preference under the key answer_style. Then answer in one sentence."
)


def _script(call: ModelCall) -> Any:
    text = str(call.messages[-1].text)
    if call.messages[-1].type == "human" and "short answers" in text:
        return tool_call("set_preference", {"key": "answer_style", "value": "short answers"})
    if call.messages[-1].type == "tool":
        return "Nice to meet you, Ana. I will remember that."
    facts = remembered(call.text)
    return f"What I remember: {'; '.join(facts)}" if facts else "I know nothing about you yet."


def play(backend: Backend, user_id: str, prompt: str) -> list[tuple[str, str]]:
    """The user tells the agent something, in the session "dinner"."""
    memory = backend.user(user_id)
    agent = create_agent(
        langchain_model(_script),
        tools=memory_tools(memory, tools=["preferences"]),
        middleware=[MemweldMiddleware(memory, session_id="dinner")],
        system_prompt=_PROMPT,
    )
    result = agent.invoke({"messages": [{"role": "user", "content": prompt}]})
    return [(user_id, prompt), ("LangChain agent", str(result["messages"][-1].text))]
