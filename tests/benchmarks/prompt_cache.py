"""Measures how much of each request a provider's prompt cache cannot serve, by the place of the recalled block.

    python tests/benchmarks/prompt_cache.py [--turns 30]

A LangChain agent with `MemweldMiddleware` talks for some turns about facts that it remembers. A cache serves the
longest beginning that a request shares with the one before; the rest is sent and read again. "Behind the history" is
what memweld does; "in the system message" is the same requests with the block moved there. Four characters count as a
token. It takes some seconds.
"""

from __future__ import annotations

import argparse
import itertools
import statistics

from langchain.agents import create_agent
from langchain_core.messages import BaseMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from rich.console import Console
from rich.table import Table

import memweld
from memweld.langchain import MemweldMiddleware
from memweld.memory.recall import CLOSING, OPENING
from memweld.testing.langchain import ScriptedChatModel

PROMPT = "You are the concierge of a small hotel. Answer briefly, and ask if something is not clear. " * 10
SUBJECTS = ("breakfast", "the garden", "my dog", "the train", "a taxi", "my room", "the bill", "dinner", "the museum")
REPLY = "Of course. I have noted it, and I will see to it at once; tell me if anything else is needed. " * 3
CHARACTERS_PER_TOKEN = 4


def requests(turns: int) -> list[list[str]]:
    """The messages of each request, as text; the prompt is the first."""
    with memweld.connect("sqlite://") as backend:
        ana = backend.user("ana")
        for subject in SUBJECTS:
            for number in range(5):
                ana.add(f"About {subject} I said on stay {number} that I like it as it was on day {number * 7}")
        model = ScriptedChatModel([REPLY] * turns)
        middleware = MemweldMiddleware(ana, capture=False)
        agent = create_agent(model, system_prompt=PROMPT, middleware=[middleware], checkpointer=InMemorySaver())
        for turn in range(turns):
            text = f"What did I say about {SUBJECTS[turn % len(SUBJECTS)]}, and can we have it like that? ({turn})"
            agent.invoke({"messages": [HumanMessage(text)]}, {"configurable": {"thread_id": "t"}})
        return [[text_of(message) for message in call.messages] for call in model.calls]


def text_of(message: BaseMessage) -> str:
    return f"{message.type}: {message.text}\n"


def block_in_prompt(messages: list[str]) -> list[str]:
    """The same request with the block at the end of the system message."""
    before, opening, rest = messages[-1].partition(OPENING)
    inside, closing, after = rest.partition(CLOSING)
    return [f"{messages[0]}{opening}{inside}{closing}", *messages[1:-1], before + after]


def sent_again(calls: list[list[str]]) -> list[float]:
    """The tokens of each request but the first that no cache serves."""
    texts = ["".join(call) for call in calls]
    pairs = itertools.pairwise(texts)
    return [(len(text) - shared_beginning(before, text)) / CHARACTERS_PER_TOKEN for before, text in pairs]


def shared_beginning(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginnings."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (left, right) in pairs if left != right), min(len(one), len(other)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=30)
    calls = requests(parser.parse_args().turns)
    total = sum(len("".join(call)) for call in calls) / CHARACTERS_PER_TOKEN
    table = Table("place of the block", "tokens a turn", "last turn", "all", f"of {total:,.0f} in all")
    for place, requested in (("in the system message", [*map(block_in_prompt, calls)]), ("behind the history", calls)):
        tokens = sent_again(requested)
        share = f"{sum(tokens) / total:.0%}"
        table.add_row(place, f"{statistics.fmean(tokens):,.0f}", f"{tokens[-1]:,.0f}", f"{sum(tokens):,.0f}", share)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
