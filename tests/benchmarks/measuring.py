"""Lifelike texts, and clocks, for all benchmarks of the embedded engine."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from rivals import Shared


def vocabulary(shared: Shared) -> list[str]:
    """English words, the more common ones first: the embedder's whole-word tokens in the order of their numbers."""
    tokens = sorted(shared.embedder._tokenizer.get_vocab().items(), key=lambda each: each[1])
    words = [token[1:] for token, _ in tokens if token.startswith("▁") and token[1:].isalpha()]
    return [word.lower() for word in words if len(word) > 2 and word.isascii()]


def sentences(words: Sequence[str], count: int, rng: random.Random) -> list[str]:
    """Texts of twelve words; as in speech, a few words are common and most are rare."""
    weights = [1 / (rank + 20) for rank in range(len(words))]
    drawn = rng.choices(words, weights, k=12 * count)
    return [" ".join(drawn[at : at + 12]) + f" {at // 12}" for at in range(0, len(drawn), 12)]


def timed(call: Callable[..., Any], *arguments: Any) -> float:
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def median(call: Callable[[int], Any], times: int) -> float:
    return statistics.median(timed(call, number) for number in range(times))


def ms(seconds: float) -> str:
    return f"{1000 * seconds:.3f}" if seconds < 0.01 else f"{1000 * seconds:.1f}"
