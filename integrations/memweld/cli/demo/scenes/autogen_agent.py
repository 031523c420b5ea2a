"""An AutoGen agent that continues the chat session which the LangChain agent began."""

from __future__ import annotations

import asyncio

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import TextMessage
from autogen_core.models import UserMessage

from .... import Backend
from ....autogen import MemweldChatCompletionContext
from ....testing.autogen import ModelCall
from ..models import autogen_model

__all__ = ["play"]


def _script(call: ModelCall) -> str:
    messages = [str(message.content) for message in call.messages if isinstance(message, UserMessage)]
    return f'You prompt: "{messages[0]}"' if len(messages) > 1 else "You have told me nothing yet."


def play(backend: Backend, user_id: str, prompt: str) -> list[tuple[str, str]]:
    """The agent answers in the session "dinner", whose earlier messages another framework wrote."""
    memory = backend.user(user_id)
    before = memory.history("dinner").messages()
    writers = sorted({str(message.native["framework"]) for message in before if message.native})
    agent = AssistantAgent(
        "assistant",
        model_client=autogen_model(_script),
        model_context=MemweldChatCompletionContext(memory, session_id="dinner"),
        system_message="You are a friendly assistant. Answer in one sentence.",
    )
    result = asyncio.run(agent.run(task=prompt))
    reply = result.messages[-1]
    text = reply.content if isinstance(reply, TextMessage) else str(reply)
    return [
        (
            "session dinner",
            f"{len(before)} messages found, written by {', '.join(writers)}" if before else "no message found",
        ),
        (user_id, prompt),
        ("AutoGen agent", text),
    ]
