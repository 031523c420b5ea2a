"""Relations of texts: labelled utterances in seven languages, most of them look-alikes; values; and its time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from memweld.engine.statements.relations import Relation, contradict, may_conflict, relations_of

_ROWS = Path(__file__).with_name("relations.tsv").read_text(encoding="utf-8").splitlines()[1:]
UTTERANCES = [tuple(row.replace("\\n", "\n").split("\t")) for row in _ROWS]


def written(relation: Relation) -> str:
    """A relation as the table has it."""
    subject, _, name = relation.key.partition("|")
    assert subject == "i"
    mark = "=" if relation.is_single else "~"
    rest = "" if relation.is_whole else "+"
    return f"{'-' if relation.is_end else ''}{name}{mark}{' '.join(relation.value)}{rest}"


@pytest.mark.parametrize(("language", "expected", "text"), UTTERANCES, ids=[row[2][:60] for row in UTTERANCES])
def test_the_relations_of_a_text(language: str, expected: str, text: str) -> None:
    assert language
    assert (";".join(map(written, relations_of(text))) or "none") == expected


def test_the_table_is_large_and_mostly_of_look_alikes() -> None:
    assert len(UTTERANCES) > 350
    assert sum("=" not in row[1] for row in UTTERANCES) > 150


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("I live in Porto", "I moved to Lisbon", True),
        ("I live in Porto", "I live in Lisbon, Portugal", True),
        ("I live in Porto", "I'm living in Porto now", False),
        ("I live in York", "I live in New York", False),
        ("I live in London", "I live in London, Ontario", False),
        ("I live in Paris, France", "I live in Paris, Texas", False),
        ("I live in Porto, Portugal", "I live in Lisbon, Portugal", True),
        ("I live in Porto", "I don't live in Porto", False),
        ("I don't live in Porto", "I moved to Porto", True),
        ("I live in Porto", "I no longer live in Porto (just kidding)", False),
        ("I work at Google", "I quit my job at Google", True),
        ("I live in Porto", "I moved to Lisbon. Can you find me a bakery?", True),
        ("I live in Porto", "I moved to Lisbon. I love it.", True),
        ("I live in Porto and I work at Acme", "I moved to Lisbon", False),
        ("I live in Porto with Ana", "I moved to Lisbon", False),
        ("I live in Porto", "I live in Porto and Lisbon", False),
        ("My favourite player is Messi", "My favourite player is Ronaldo", False),
        ("My birthday is May 3", "My birthday is 3 May", False),
        ("Moro no Porto", "I live in Lisbon", True),
        ("I live in Porto", "I no longer live in Porto", True),
        ("I live in Porto", "I no longer live in Lisbon", False),
        ("I no longer live in Porto", "I live in Porto", True),
        ("I no longer live in Porto", "I live in Lisbon", False),
        ("I'm divorced", "I'm single", False),
        ("I'm married", "I'm divorced", True),
        ("I'm engaged", "I'm married", True),
        ("I live in Porto", "I live in Portugal", False),
        ("I live in Germany", "I moved to Munich", False),
        ("I live in Portugal", "I moved to the United States", True),
        ("I live in Porto", "My address is 5 Main Street", False),
        ("I live at 5 Main Street", "I live at 7 Hill Road", True),
        ("My phone number is 912345678", "My phone number is +351 912345678", False),
        ("My phone number is 912345678", "My phone number is +351 923456789", True),
    ],
)
def test_which_value_takes_the_place_of_another(old: str, new: str, expected: bool) -> None:
    first, second = relations_of(old)[0], relations_of(new)[0]
    assert first.key == second.key
    assert contradict(first, second) is expected


def test_which_statements_may_conflict() -> None:
    def conflict(one: str, other: str) -> bool:
        (first,), (second,) = relations_of(one), relations_of(other)
        return may_conflict(first, second)

    assert conflict("My favourite player is Messi", "My favorite player is Ronaldo")
    assert conflict("My favourite colour is blue", "My favorite color is green")
    assert not conflict("My favourite player is Messi", "Messi is my favourite player")
    assert not conflict("My favourite player is Messi", "My brother's favourite player is Ronaldo")
    assert conflict("I live in York", "I live in New York")
    assert conflict("I live in London", "I live in London, Ontario")
    assert conflict("I live in Paris, France", "I live in Paris, Texas")
    assert not conflict("I live in Lisbon, Portugal", "I'm living in Lisbon (Portugal)")
    assert conflict("I live in Porto", "I don't live in Porto")
    assert not conflict("I live in Lisbon", "I don't live in Porto")
    assert not conflict("I live in Lisbon", "I no longer live in Porto")


def test_each_speaker_has_relations_of_their_own() -> None:
    def key(text: str, name: str | None = None) -> str | None:
        return next((each.key for each in relations_of(text, name=name)), None)

    assert key("I live in Porto") == "i|home"
    assert key("I live in Porto", "Bob") == "bob|home"
    assert key("Bob Dylan lives in Porto", "Bob Dylan") == "bob dylan|home"
    assert key("Bob Dylan's name is Bob", "Bob Dylan") == "bob dylan|name"
    assert key("The user lives in Porto", "Bob") == "i|home"
    assert key("Ana lives in Porto", "Bob") is None
    assert relations_of("I live in Porto", role="assistant") == ()


def test_long_and_odd_texts() -> None:
    assert relations_of("I live in Porto. " + "Lorem ipsum dolor. " * 30) == ()
    for text in (
        "",
        "   ",
        "\ud800",
        "🙂",
        "\x00",
        "my",
        "my name",
        "my name is",
        "is my favourite",
    ):
        assert relations_of(text) == ()
    assert relations_of("I live in Porto", name="?")[0].key == "?|home"


PUMPS = [
    "i live in ",
    "my name is ",
    "ich bin nach a ",
    "and i ",
    "I live in A ",
    "'-",
    "3. ",
    "my favourite ",
    ", ",
    "é",
    "(1) ",
]


@pytest.mark.parametrize("pump", PUMPS)
def test_the_time_is_linear(pump: str) -> None:
    started_at = time.process_time()
    for _ in range(10):
        relations_of((pump * 500)[:500])
    assert time.process_time() - started_at < 0.5
