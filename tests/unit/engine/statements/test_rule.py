"""The rule for statements: some 600 labelled utterances, and its time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from memweld.engine.statements import worth_keeping

_ROWS = Path(__file__).with_name("utterances.tsv").read_text(encoding="utf-8").splitlines()[1:]
UTTERANCES = [tuple(row.split("\t")) for row in _ROWS]
# Before they were looked at, of a held-out third 0 were kept wrongly and 1 of 117 dropped wrongly; of a second set,
# written after the rules, 5 and 1 of 148; of a third set by another hand, 8 and 2 of 113, and
# after these were mended, of a fourth, 1 and 0 of 37.
MAX_ERRORS = 0.01


def test_the_utterances_are_told_apart() -> None:
    assert len(UTTERANCES) > 600
    kept = [row for row in UTTERANCES if row[1] == "drop" and worth_keeping(row[2])]
    dropped = [row for row in UTTERANCES if row[1] == "keep" and not worth_keeping(row[2])]
    assert len(kept) <= MAX_ERRORS * len(UTTERANCES), kept
    assert len(dropped) <= MAX_ERRORS * len(UTTERANCES), dropped


@pytest.mark.parametrize("language", ["en", "de", "es", "fr", "pt", "it", "zh", "ja"])
def test_each_language_has_both_labels(language: str) -> None:
    labels = [row[1] for row in UTTERANCES if row[0] == language]
    assert labels.count("keep") > 15
    assert labels.count("drop") > 20


def test_only_the_user_states_facts() -> None:
    assert worth_keeping("I live in Porto", role="user")
    assert worth_keeping("I live in Porto", role=None)
    for role in ("assistant", "system", "tool"):
        assert not worth_keeping("I live in Porto", role=role)


def test_an_open_fence_hides_nothing() -> None:
    assert worth_keeping("```\nlog\nI use Ubuntu and I live in Rome")
    assert not worth_keeping("What is wrong here? ```\nI live in Rome\n```")


def test_a_long_text_is_kept_and_odd_ones_are_read() -> None:
    assert worth_keeping("Lorem ipsum dolor sit amet. " * 1_000)
    for text in ("", "   ", "\ud800", "🙂", "\x00", "?" * 100, "7"):
        assert not worth_keeping(text)


PUMPS = ["a", "hi ", "what is ", "? ", "- ", "'-", "a'", "i live in ", "か。", "はい", "我", "é", "\n", "no, ", ";"]


@pytest.mark.parametrize("pump", PUMPS)
def test_the_time_is_linear(pump: str) -> None:
    started_at = time.process_time()
    for _ in range(3):
        worth_keeping((pump * 4_000)[:4_000] + "?")
    assert time.process_time() - started_at < 2
