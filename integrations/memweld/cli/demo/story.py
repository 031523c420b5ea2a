"""The story of the demo: prompts to the frameworks, and what must be in their answers."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["STORY", "Scene"]

_ABOUT_ANA = "Hi, I am Ana. I live in Porto, I am vegetarian and allergic to peanuts. I like short answers."
_ALLERGIC = "What am I allergic to?"
_DINNER = "Plan a dinner for me, a guest with an allergy."


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene, played in a process of its own.

    Attributes:
        title: What happens, for the reader.
        name: The module under ``scenes``.
        user_id: Who is asking.
        prompt: Their words.
        expected: A text that the answer must contain.
        forbidden: Texts that it must not contain.
    """

    title: str
    name: str
    user_id: str
    prompt: str
    expected: str = ""
    forbidden: tuple[str, ...] = ()


_ANAS = ("peanut", "Porto", "vegetarian", "short answers")

STORY = (
    Scene("Ana tells a LangChain agent about herself", "langchain_agent", "ana", _ABOUT_ANA, "Ana"),
    Scene(
        "A CrewAI crew cooks for her, and recalls what LangChain learned",
        "crewai_crew",
        "ana",
        _DINNER,
        "peanuts",
    ),
    Scene(
        "An AutoGen agent continues the chat session that LangChain began",
        "autogen_agent",
        "ana",
        "What did I tell you about myself?",
        "peanuts",
    ),
    Scene("An MCP client reads her preference and searches, over stdio", "mcp_client", "ana", _ALLERGIC, "peanuts"),
    Scene("Bob asks the AutoGen agent, in a session of the same name", "autogen_agent", "bob", _ALLERGIC, "", _ANAS),
    Scene("Bob asks the LangChain agent the same", "langchain_agent", "bob", _ALLERGIC, "", _ANAS),
    Scene("Bob asks over MCP", "mcp_client", "bob", _ALLERGIC, "No preference", _ANAS),
    Scene("Bob has the CrewAI crew cook for him", "crewai_crew", "bob", _DINNER, "", _ANAS),
    Scene(
        "All processes have ended; a new one still knows",
        "fresh_process",
        "ana",
        _ALLERGIC,
        "peanuts",
    ),
)
