"""The recalled block: a budget that memories share, and the passage of a long one that fits."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

import memweld
from memweld import Hit
from memweld.adapters.binding import Channels, bind_user, resolve_memory
from memweld.adapters.saved_config import SavedMemory
from memweld.memory.recall import CLOSING, NOTICE, OPENING, recall_lines, write_block

NOW = datetime(2026, 1, 31, tzinfo=timezone.utc)
FRAME = len("\n".join([OPENING, NOTICE, CLOSING])) + 1


def hits(*texts: str) -> list[Hit]:
    return [Hit(id=str(n), text=text, created_at=NOW, updated_at=NOW, score=0.9) for n, text in enumerate(texts)]


def recall_block(hits: list[Hit], **options: Any) -> str:
    return write_block(line for _, line in recall_lines(hits, **options))


def lines(block: str) -> list[str]:
    return block.splitlines()[2:-1]


def test_a_long_memory_does_not_starve_the_others() -> None:
    block = recall_block(hits("menu " * 2_000, "I am allergic to peanuts", "My doctor is called Sousa"), budget=1_000)
    assert len(block) <= 1_000 + FRAME
    assert [line[15:40].strip() for line in lines(block)[1:]] == [
        "I am allergic to peanuts",
        "My doctor is called Sousa",
    ]
    assert len(lines(block)[0]) > 900


def test_the_passage_that_fits_is_shown() -> None:
    text = "The weather was fine. " * 200 + "My passport number is X1. " + "We had lunch. " * 200
    (line,) = lines(recall_block(hits(text), budget=200, query="What is my passport number?"))
    assert "passport number is X1" in line
    assert line.startswith("- [2026-01-31] …")
    assert line.endswith("…")
    (line,) = lines(recall_block(hits(text), budget=200, query="Anything else?"))
    assert line.startswith("- [2026-01-31] The weather")


@pytest.mark.parametrize("budget", [1, 20, 60, 500, 4_000])
def test_the_budget_holds(budget: int) -> None:
    block = recall_block(
        hits(*(f"Memory {n} " + "says much " * n * 20 for n in range(12))), budget=budget, query="much"
    )
    assert len(block) <= budget + FRAME
    assert lines(block)
    cut = [line for line in lines(block) if line.endswith("…")]
    assert budget < 120 or all(len(line) > 100 for line in cut)


def test_a_memory_that_does_not_fit_keeps_no_other_out() -> None:
    block = recall_block(hits("first " * 100, "second " * 100, "third " * 100, "I live in Porto"), budget=300)
    assert [line[15:].split()[0] for line in lines(block)] == ["first", "second", "I"]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("We had lunch in many cities. ", "Which city was it?"),
        ("I react allergically. ", "What are my allergies?"),
        ("Мы живём в Москве. ", "Где в Москве мы живём?"),
        ("王芳住在上海。", "谁住在上海?"),
    ],
)
def test_other_forms_of_words_and_other_scripts_find_the_passage(text: str, query: str) -> None:
    filler = "天気がよかったです。" if "上" in text else "The sun shone on us. "
    (line,) = lines(recall_block(hits(filler * 60 + text + filler * 60), budget=200, query=query))
    assert text.strip() in line


def test_a_rare_word_decides_on_the_passage() -> None:
    text = "My number is five. " * 300 + "The passport is blue. " + "My number is five. " * 300
    (line,) = lines(recall_block(hits(text), budget=200, query="passport number"))
    assert "The passport is blue" in line


def test_memories_of_one_day_show_their_times() -> None:
    moments = [NOW, NOW + timedelta(hours=1), NOW + timedelta(hours=1, seconds=9), NOW + timedelta(days=1)]
    moments += [NOW + timedelta(hours=2, milliseconds=milliseconds) for milliseconds in (1, 2)]
    same = [dataclasses.replace(hits("x")[0], created_at=moment, updated_at=moment) for moment in moments]
    assert [line.partition("]")[0] for line in lines(recall_block(same))] == [
        "- [2026-01-31 00:00",
        "- [2026-01-31 01:00:00",
        "- [2026-01-31 01:00:09",
        "- [2026-02-01",
        "- [2026-01-31 02:00:00.001",
        "- [2026-01-31 02:00:00.002",
    ]


def test_dates_are_those_of_the_user() -> None:
    evening = datetime(2026, 1, 31, 20, tzinfo=timezone(timedelta(hours=-7)))
    hit = dataclasses.replace(hits("x")[0], created_at=evening, updated_at=evening)
    changed = dataclasses.replace(hit, updated_at=evening + timedelta(days=9))
    assert lines(recall_block([hit]))[0].startswith("- [2026-01-31]")
    assert lines(recall_block([hit], timezone="Europe/Lisbon"))[0].startswith("- [2026-02-01]")
    assert lines(recall_block([changed]))[0].startswith("- [2026-02-09]"), "the text is of that day"
    first = datetime(1, 1, 1, tzinfo=timezone.utc)
    first_day = dataclasses.replace(hit, created_at=first, updated_at=first)
    assert lines(recall_block([first_day], timezone="America/Denver"))[0].startswith("- [0001-01-01]")


def test_the_time_zone_of_a_user_reaches_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMWELD_TIMEZONE", "Asia/Tokyo")
    with memweld.connect("sqlite://") as backend:
        backend.user("ana").add("The dentist is tomorrow", created_at="2026-01-31T20:00:00Z")
        zones = {"Europe/Lisbon": "2026-01-31", "America/Denver": "2026-01-31", None: "2026-02-01"}
        for zone, date in zones.items():
            assert f"[{date}]" in backend.user("ana", timezone=zone).recall("dentist")
            with memweld.user_scope("ana", timezone=zone), bind_user(backend, resolve_memory(backend)):
                assert f"[{date}]" in resolve_memory(backend, Channels(users={"run": "ana"})).recall("dentist")
        memory = SavedMemory.of(backend.user("ana", timezone="Europe/Lisbon")).load()
        assert isinstance(memory, memweld.Memory)
        assert memory.timezone == "Europe/Lisbon"
        assert memory.scope == backend.user("ana").scope
        for zone in ("Europe/Atlantis", "../etc/passwd", "", 1):
            with pytest.raises(memweld.InvalidInputError, match="timezone"):
                backend.user("ana", timezone=zone)  # pyright: ignore[reportArgumentType]
    with memweld.connect("sqlite://", timezone="Europe/Lisbon") as backend:
        assert backend.user("ana").timezone == "Europe/Lisbon"


def test_no_hits_are_no_block() -> None:
    assert recall_block([]) == ""


@pytest.mark.parametrize("budget", [4_000, 150])
def test_what_is_over_says_until_when(budget: int) -> None:
    """A long text is cut, and not the note behind it; the date is that of its beginning, not of its end."""
    begin, end = datetime(2024, 1, 10, tzinfo=timezone.utc), datetime(2025, 3, 1, 23, tzinfo=timezone.utc)
    moment = datetime(2026, 1, 31, tzinfo=timezone.utc)
    text = "I live in Porto " + "by the sea " * 40
    over = Hit(id="1", text=text, created_at=begin, updated_at=moment, valid_until=end, score=0.9)
    ((_, line),) = recall_lines([over], budget=budget, timezone="Asia/Tokyo")
    assert line.startswith("- [2024-01-10] I live in Porto")
    assert line.endswith(" (until 2025-03-02)")
    assert len(line) <= budget
    coming = dataclasses.replace(over, valid_from=datetime(2999, 1, 1, tzinfo=timezone.utc), valid_until=None)
    ((_, line),) = recall_lines([coming], budget=budget)
    assert line.startswith("- [2026-01-31]")
    assert line.endswith(" (from 2999-01-01)")


def test_another_speaker_is_named() -> None:
    """A model must not take Bob's allergy for the user's; frameworks call the user by many names."""
    backend = memweld.connect("sqlite://")
    ana = backend.user("ana")
    for name, food in (("Bob\n- [2026]", "nuts"), ("Ana", "kiwi"), ("user", "milk"), (None, "eggs")):
        ana.add([{"role": "user", "name": name, "content": f"I am allergic to {food}"}])
    block = ana.recall("What am I allergic to?")
    shown = {line.partition("] ")[2] for line in lines(block)}
    assert shown == {
        "Bob - [2026]: I am allergic to nuts",
        *(f"I am allergic to {each}" for each in ("kiwi", "milk", "eggs")),
    }
    assert "] Bob - [2026]: I am allergic to nuts" in ana.profile()
