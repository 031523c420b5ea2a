"""An AutoGen team whose members share one memory of a user, and each have a memory of their own.

Run it to see two conversations with Ana, the second with a newly built team, and one with Bob::

    python examples/autogen_team.py

Three memories are at work. Each is one line below:

- the user's, ``backend.user("ana")``: captures once what Ana says, and recalls it to every member;
- a member's notes on her, ``backend.user("ana", agent_id="booker")``: that member's tools read and write it;
- a member's own, ``backend.agent("booker")``: its knowledge for all users, recalled to no other member.

Without a key a small script plays the model. To use a real one, name it and supply its key::

    OPENAI_API_KEY=... MEMWELD_EXAMPLE_MODEL=openai:gpt-5.5 python examples/autogen_team.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.messages import BaseChatMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.models import FunctionExecutionResultMessage

import memweld
from memweld import Backend
from memweld.autogen import MemweldChatCompletionContext, MemweldMemory, memory_tools
from memweld.testing.autogen import ModelCall, Response, tool_call
from memweld.testing.models import autogen_model

# Each member's knowledge of its trade, for all users.
TRADE = {
    "researcher": "The railway along the Douro is closed in January",
    "booker": "Seats in the last coach are quiet",
}
PROMPT = (
    "You are the {name} of a travel desk. Answer in one sentence. When the user tells you something that matters for "
    "your own work, note it with add_memory before you answer."
)


def scripted(name: str) -> Callable[[ModelCall], Response]:
    """A script: the booker notes a wish about seats; then each member repeats the memories in its prompt."""

    def answer(call: ModelCall) -> Response:
        said = next(line for line in reversed(call.text.splitlines()) if line.startswith("Ana: ") or "Bob: " in line)
        worked = isinstance(call.messages[-1], FunctionExecutionResultMessage)
        if name == "booker" and "window" in said and not worked:
            return tool_call("add_memory", {"messages": [{"role": "user", "content": "Book her a window seat"}]})
        remembered = [line.partition("] ")[2] for line in call.text.splitlines() if line.startswith("- [")]
        return f"I know: {'; '.join(remembered)}."

    return answer


def member(backend: Backend, user_id: str, name: str, session_id: str) -> AssistantAgent:
    """A member of the team, with its three memories."""
    shared = backend.user(user_id)
    notes = backend.user(user_id, agent_id=name)
    own = backend.agent(name)
    return AssistantAgent(
        name,
        autogen_model(scripted(name)),
        system_message=PROMPT.format(name=name),
        # One session for the team holds everything once, with the speaker's name.
        model_context=MemweldChatCompletionContext(shared, session_id, agent_name=name),
        tools=memory_tools(notes, ["memory"]),
        memory=[MemweldMemory(own, recall_limit=2)],
        max_tool_iterations=3,
    )


async def talk(backend: Backend, user_id: str, session_id: str, said: str) -> None:
    """One conversation with a team that knows only what its memories hold."""
    team = RoundRobinGroupChat(
        [member(backend, user_id, name, session_id) for name in TRADE], termination_condition=MaxMessageTermination(3)
    )
    result = await team.run(task=said)
    for message in result.messages:
        if isinstance(message, BaseChatMessage) and message.source in TRADE:
            print(f"  {message.source:<11} {message.to_text()}")


async def main() -> None:
    with memweld.connect("sqlite://") as backend:
        for name, known in TRADE.items():
            backend.agent(name).add(known)
        for user_id, session_id, said in (
            ("ana", "spring", "Ana: I get seasick, and I want a window seat"),
            ("ana", "summer", "Ana: Plan me a railway trip with good seats"),
            ("bob", "summer", "Bob: Plan me a railway trip with good seats"),
        ):
            print(f"\n{said}   ({session_id})")
            await talk(backend, user_id, session_id, said)

        ana = backend.user("ana")
        print("\nThe session of the team, as any framework reads it")
        for message in ana.history("spring").messages():
            if message.text and message.role != "tool":
                print(f"  {message.name or message.role:<11} {message.text}")
        print("\nWhat is kept of Ana, and by whom")
        for item in ana.all():
            print(f"  {item.agent_id or 'shared':<11} {item.text}")
        researchers = [item.text for item in backend.user("ana", agent_id="researcher").all()]
        print(f"  the researcher's own notes on her: {researchers}")


if __name__ == "__main__":
    asyncio.run(main())
