"""One conversation that goes from LangChain to AutoGen to CrewAI and back, by one session id.

Run it to see each framework continue what the others have heard and said::

    python examples/one_conversation.py

Without a key a small script plays each model. To use a real one, name it and supply its key::

    OPENAI_API_KEY=... MEMWELD_EXAMPLE_MODEL=openai:gpt-5.5 python examples/one_conversation.py
"""

# The frameworks leave some types of their agents open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from collections.abc import Sequence
from typing import Any

# The example sends no telemetry. CrewAI reads these variables when it is imported.
os.environ |= {"CREWAI_DISABLE_TELEMETRY": "true", "CREWAI_TRACING_ENABLED": "false", "OTEL_SDK_DISABLED": "true"}

from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import AssistantMessage, UserMessage
from crewai.flow import ConversationConfig, ConversationState, Flow, persist
from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.messages import HumanMessage

import memweld
from memweld import Memory
from memweld.autogen import MemweldChatCompletionContext
from memweld.crewai import MemweldFlowPersistence
from memweld.langchain import MemweldMiddleware
from memweld.testing.langchain import ScriptedChatModel
from memweld.testing.models import autogen_model, crewai_model, example_model

MODEL = example_model()
PROMPT = "You help to plan a dinner. Answer in one sentence."
Said = Sequence[tuple[str, str]]


def answer(framework: str, heard: Said) -> str:
    """A script's answer: it repeats what the model was shown."""
    before = [text for role, text in heard if role == "user"][:-1]
    return f"{framework} here. Before this you said: {' '.join(before) or 'nothing'}"


# Each framework below receives the memory and the session id, and nothing else of the conversation.


def langchain(ana: Memory, session_id: str, said: str) -> str:
    def script(call: Any) -> str:
        roles = {"human": "user", "ai": "assistant"}
        return answer("LangChain", [(roles.get(message.type, ""), str(message.text)) for message in call.messages])

    agent = create_agent(
        init_chat_model(MODEL) if MODEL else ScriptedChatModel(script),
        system_prompt=PROMPT,
        middleware=[MemweldMiddleware(ana, session_id=session_id)],
    )
    return str(agent.invoke({"messages": [HumanMessage(said)]})["messages"][-1].text)


def autogen(ana: Memory, session_id: str, said: str) -> str:
    def script(call: Any) -> str:
        roles = {UserMessage: "user", AssistantMessage: "assistant"}
        return answer("AutoGen", [(roles.get(type(message), ""), str(message.content)) for message in call.messages])

    agent = AssistantAgent(
        "cook",
        autogen_model(script),
        system_message=PROMPT,
        model_context=MemweldChatCompletionContext(ana, session_id),
    )
    return asyncio.run(agent.run(task=said)).messages[-1].to_text()  # type: ignore[union-attr]


def crewai(ana: Memory, session_id: str, said: str) -> str:
    def script(call: Any) -> str:
        return answer("CrewAI", [(message["role"], str(message["content"])) for message in call.messages])

    @persist(MemweldFlowPersistence(ana))
    @ConversationConfig(llm=crewai_model(script), system_prompt=PROMPT)
    class Dinner(Flow[ConversationState]):
        pass

    with contextlib.redirect_stdout(io.StringIO()):  # CrewAI says that it loads the state
        return str(Dinner(suppress_flow_events=True).handle_turn(said, session_id=session_id))


def main() -> None:
    with memweld.connect("sqlite://") as backend:
        ana = backend.user("ana")
        for framework, said in (
            (langchain, "My sister comes to dinner."),
            (autogen, "She is allergic to peanuts."),
            (crewai, "She likes it hot."),
            (langchain, "What shall I cook?"),
        ):
            print(f"Ana: {said}\n     {framework(ana, 'dinner', said)}")

        print("\nThe session, written by")
        for message in ana.history("dinner").messages():
            writer = (message.native or {}).get("framework", "")
            print(f"  {writer!s:<10} {message.role:<10} {message.text}")
        # A flow's persistence keeps the conversation; give the flow a MemweldMemory to keep facts.
        print("\nThe facts that LangChain and AutoGen captured of it")
        for item in ana.all():
            print(f"  {item.text}")


if __name__ == "__main__":
    main()
