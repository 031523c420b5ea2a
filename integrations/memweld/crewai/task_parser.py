"""What was said in a task: read back from the text that CrewAI hands to a memory when an agent has finished."""

from __future__ import annotations

import re

from crewai.utilities.i18n import I18N_DEFAULT

__all__ = ["Turn", "parse_turn", "without_history"]

# CrewAI 1.15 flattens the turn into one string, in `BaseAgentExecutor._save_to_memory` and in
# `Agent._save_kickoff_to_memory`. What was said ends at the first lines that can be meant: an answer that imitates
# them, copied from a web page perhaps, never becomes the user's words. A user may paste single ones of the lines.
_AGENT = r"\nAgent: (?P<agent>(?:(?!\n(?:Agent|Expected result|Result): ).)*)"
_TASK = re.compile(
    rf"Task: (?P<said>.*?){_AGENT}\nExpected result: (?P<expected>.*?)\nResult: (?P<answer>.*)", re.DOTALL
)
_KICKOFF = re.compile(rf"Input: (?P<said>.*?){_AGENT}\nResult: (?P<answer>.*)", re.DOTALL)


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
        """A turn in which ``said`` was said."""
        turn = super().__new__(cls, said)
        turn.answer = answer
        turn.agent = agent
        return turn


def parse_turn(content: str) -> Turn | None:
    """The turn in CrewAI's text; None if the text is none.

    A task that one agent delegates to another is a turn in which the user said nothing: an empty one.
    """
    found = _TASK.fullmatch(content) or _KICKOFF.fullmatch(content)
    if found is None:
        return None
    parts = found.groupdict()
    delegated = parts.get("expected") == I18N_DEFAULT.slice("manager_request")
    said = "" if delegated else without_history(parts["said"])
    return Turn(said.strip(), answer=parts["answer"].strip(), agent=parts["agent"].strip())


def without_history(description: str) -> str:
    """A task's description without the conversation that ``crewai chat`` appends to it at every turn."""
    return description.partition(f"\n\n{I18N_DEFAULT.slice('conversation_history_instruction')}")[0]
