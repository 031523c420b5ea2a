"""A CrewAI crew with the user's memory."""

# The framework leaves some types of its agents open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

from crewai import Agent, Crew, Task

from .... import Backend
from ....crewai import MemweldMemory
from ....testing.crewai import ModelCall
from ..models import crewai_model, remembered

__all__ = ["play"]


def _script(call: ModelCall) -> str:
    facts = remembered(call.text)
    return f"A dinner that minds this: {'; '.join(facts)}" if facts else "A dinner for a guest I know nothing about."


def play(backend: Backend, user_id: str, prompt: str) -> list[tuple[str, str]]:
    """The crew works on a task, with memories of the user in its prompt."""
    cook = Agent(
        role="Cook",
        goal="Cook what suits the guest",
        backstory="You have cooked for many guests and mind what each can eat.",
        llm=crewai_model(_script),
    )
    task = Task(description=prompt, expected_output="A dinner in one sentence", agent=cook)
    crew = Crew(agents=[cook], tasks=[task], memory=MemweldMemory(backend.user(user_id)))
    return [(user_id, prompt), ("CrewAI crew", str(crew.kickoff()))]
