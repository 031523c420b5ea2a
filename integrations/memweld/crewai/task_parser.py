"""The turn in the text that CrewAI hands to a memory when an agent has finished a task or a kickoff."""

from __future__ import annotations

import itertools
import re

from crewai.utilities.i18n import I18N_DEFAULT

from .user_texts import user_text

__all__ = ["Turn", "parse_turn", "without_history"]

_MARK = re.compile(r"\n(Agent|Expected result|Result): ")


class Turn(str):
    """A finished task or kickoff: the string is what the user said, so it is the memory wherever it is remembered.

    Attributes:
        answer: What the agent answered.
        agent: The agent's role.
    """

    __slots__ = ("agent", "answer")

    answer: str
    agent: str

    def __new__(cls, said: str, *, answer: str, agent: str) -> Turn:
        """A turn whose user message is ``said``."""
        turn = super().__new__(cls, said)
        turn.answer = answer
        turn.agent = agent
        return turn


def parse_turn(content: str) -> Turn | None:
    """The turn in CrewAI's text; None if the text is none.

    CrewAI 1.15 writes the lines ``Task:``, ``Agent:``, ``Expected result:`` and ``Result:`` in
    `BaseAgentExecutor._save_to_memory`, and ``Input:``, ``Agent:`` and ``Result:`` in `Agent._save_kickoff_to_memory`.
    The user's words end at the first lines that can be meant: an answer that imitates them, copied from a web page
    perhaps, never becomes the user's words. A user may paste single ones of the lines. In a task that one agent
    delegates to another the user says nothing.
    """
    head, separator, body = content.partition(": ")
    behind_agent = {"Task": "Expected result", "Input": "Result"}.get(head)
    if not separator or behind_agent is None:
        return None
    body = user_text(body)
    marks = list(_MARK.finditer(body))
    for place, (mark, following) in enumerate(itertools.pairwise(marks)):
        if (mark[1], following[1]) == ("Agent", behind_agent):
            result = next((later for later in marks[place + 1 :] if later[1] == "Result"), None)
            if result is None:
                return None
            delegated = body[following.end() : result.start()] == I18N_DEFAULT.slice("manager_request")
            said = "" if delegated and result is not following else without_history(body[: mark.start()])
            agent, answer = body[mark.end() : following.start()], body[result.end() :]
            return Turn(said if said.strip() else "", answer=answer.strip(), agent=agent.strip())
    return None


def without_history(description: str) -> str:
    """A task's description without the conversation that ``crewai chat`` appends to it at every turn."""
    return description.partition(f"\n\n{I18N_DEFAULT.slice('conversation_history_instruction')}")[0]
