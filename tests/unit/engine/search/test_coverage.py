"""Which sources a search leaves out beside their facts."""

import pytest

import memweld
from memweld.engine.search.coverage import covers
from memweld.testing import ScriptedExtractor, facts


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("I like tea", ["Ana likes tea"], True),
        ("I live in Lisbon with a dog", ["Ana lives in Lisbon", "Ana has a dog"], True),
        ("I moved to Lisbon", ["Ana likes cats"], False),
        ("I moved to Lisbon", ["Ana moved to Porto"], False),
        ("my cat Tofu is three", ["Ana has a cat named Tofu"], False),
        ("私はリスボンに住んでいます", ["アナはリスボンに住んでいます"], True),
        ("私はリスボンに住んでいます", ["アナは猫が好きです"], False),
        ("tea " * 2_000, ["tea"], False),
    ],
)
def test_covers(text: str, found: list[str], expected: bool) -> None:
    assert covers(text, found) is expected


def test_a_source_is_shown_where_its_facts_lack_what_is_asked() -> None:
    answers = [
        facts("The user lives in the city of Lisbon", "The user has a dog"),
        facts("The user has a cat named Tofu"),
    ]
    with memweld.connect("sqlite://", llm=ScriptedExtractor(answers)) as backend:
        ana = backend.user("ana")
        ana.add("I live in Lisbon with a dog")
        ana.add("my cat Tofu is three")
        assert {hit.text for hit in ana.search("Who lives in Lisbon with a dog?", limit=2)} == {
            "The user lives in the city of Lisbon",
            "The user has a dog",
        }
        assert "my cat Tofu is three" in [hit.text for hit in ana.search("How old is Tofu? three?", limit=2)]
        assert len(ana.search("Lisbon", limit=4)) == 4
        assert [hit.kind for hit in ana.search("Lisbon dog Tofu", kinds="source")] == ["source", "source"]
