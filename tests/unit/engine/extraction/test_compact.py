"""memweld's own extraction: its prompt, JSON mode, categories, and the reasons that failures give."""

import logging
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

import memweld
from memweld.engine.extraction.answers import read_facts
from memweld.engine.extraction.failures import ExtractionFailedError, explain_failure
from memweld.testing import HashEmbedder, ScriptedExtractor, facts

KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"


@pytest.fixture
def connect() -> Iterator[Callable[..., memweld.Memory]]:
    made: list[memweld.Backend] = []

    def connect(llm: Any, **options: Any) -> memweld.Memory:
        made.append(memweld.connect("sqlite://", llm=llm, embedder=HashEmbedder(), **options))
        return made[-1].user("ana")

    yield connect
    for backend in made:
        backend.close()


class RefusedError(Exception):
    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status_code = status


def test_the_prompt(connect: Callable[..., memweld.Memory]) -> None:
    llm = ScriptedExtractor([facts("Ana's cat Miau is ill")])
    ana = connect(llm, instructions="Keep what concerns {pets}.", categories=["pets", "health"])
    ana.history("s").append("My cat is called Miau")
    ana.capture([{"role": "user", "content": "She is ill", "name": "ana"}], session_id="s")
    ((_, system), (role, text)) = llm.prompts[0]
    assert role == "user"
    assert "Keep what concerns {pets}." in system
    assert '["pets", "health"]' in system
    assert text.index("## Earlier Messages") < text.index("Miau") < text.index("## New Messages") < text.index("She is")
    assert len(system) < 3_000
    ana.add("It was long ago", created_at="2001-02-03")
    assert "Saturday, 2001-02-03" in llm.prompts[1][0][1]


@pytest.mark.parametrize("way", ["add", "capture", "background"])
def test_the_day_is_that_of_the_user(
    connect: Callable[..., memweld.Memory], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the evening of Denver it is the next day already in UTC."""
    llm = ScriptedExtractor([facts("Ana ran on 30 January")])
    ana = connect(llm, timezone="America/Denver")
    monkeypatch.setattr("memweld.engine.fact_extraction.utc_now", lambda: datetime(2026, 2, 1, 2, tzinfo=timezone.utc))
    if way == "add":
        ana.add("I ran yesterday")
    else:
        ana.capture("I ran yesterday", background=way == "background")
        assert ana.flush(20)
    assert "Saturday, 2026-01-31" in llm.prompts[0][0][1]


def test_the_llm_sees_related_facts_and_no_sources(connect: Callable[..., memweld.Memory]) -> None:
    llm = ScriptedExtractor([facts("Ana's cat is called Miau"), facts()])
    ana = connect(llm)
    ana.add("I call my cat Miau")
    ana.add("The name of my cat is Miau")
    assert "Known Facts" not in llm.prompts[0][1][1]
    assert ["replaces" in prompt[0][1] for prompt in llm.prompts] == [False, True]
    known = llm.prompts[1][1][1].partition("## New Messages")[0]
    assert known.splitlines()[:2] == ["## Known Facts", '1. "Ana\'s cat is called Miau"']
    assert "I call my cat" not in known
    assert [item.text for item in ana.all()] == ["Ana's cat is called Miau", "The name of my cat is Miau"]


def test_the_llm_replaces_only_what_it_was_shown(connect: Callable[..., memweld.Memory]) -> None:
    """A memory that says something else by the time of the answer stays."""

    def answer(_: object) -> str:
        ana.update(known.id, "I drink green tea every day")
        return '{"facts": [{"text": "The user stopped drinking coffee", "replaces": [1]}]}'

    ana = connect(ScriptedExtractor([answer]))
    (known,) = ana.add("I drink coffee every day", infer=False)
    ana.add("I drink coffee every day no more")
    assert [item.text for item in ana.all()] == ["I drink green tea every day", "The user stopped drinking coffee"]


def test_categories_are_metadata(connect: Callable[..., memweld.Memory]) -> None:
    answer = (
        '{"facts": [{"text": "Ana eats no nuts", "category": "Health"}, {"text": "Ana has a cat", "category": "x"}, '
        '{"text": "Ana runs"}]}'
    )
    ana = connect(ScriptedExtractor([answer]), categories=["health", "pets"])
    ana.add("No nuts, my cat, and running", metadata={"a": 1})
    found = {item.text: item.metadata for item in ana.all()}
    assert found == {
        "Ana eats no nuts": {"a": 1, "category": "health"},
        "Ana has a cat": {"a": 1},
        "Ana runs": {"a": 1},
    }
    assert [item.text for item in ana.all(filters={"category": "health"})] == ["Ana eats no nuts"]


class Model:
    """A chat model with the type and the JSON mode of langchain-openai's."""

    _llm_type = "openai-chat"

    def __init__(self, *, refuses: bool) -> None:
        self.asked: list[Any] = []
        self.refuses = refuses

    def invoke(self, _messages: Any, **options: Any) -> str:
        self.asked.append(options)
        if options and self.refuses:
            raise RefusedError("response_format is not supported", 400)
        return facts("Ana loves tea")


def test_json_mode_where_the_model_has_it(connect: Callable[..., memweld.Memory]) -> None:
    mode = {"response_format": {"type": "json_object"}}
    model = Model(refuses=False)
    connect(model).add("tea")
    assert model.asked == [mode]
    refusing = Model(refuses=True)
    ana = connect(refusing)
    assert [ana.add(text)[0].extraction for text in ("tea", "more tea")] == ["extracted", "extracted"]
    assert refusing.asked == [mode, {}, {}]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            RefusedError(f"Incorrect API key provided: {KEY}. See https://x.org/keys?k=1", 401),
            "(401, the provider refuses",
        ),
        (RefusedError("The model `gpt-9` does not exist", 404), "(404, there is no such model"),
        (
            RefusedError("This model's maximum context length is 4096 tokens.\nmore", 400),
            "(400, the prompt is too long",
        ),
        (RuntimeError("request (9570 tokens) exceeds the available context size (4096 tokens)"), "(the prompt is too"),
        (RefusedError("slow down", 429), "(429, the provider limits"),
        (ValueError("cannot read 'I am allergic to peanuts and latex', sorry"), "ValueError: cannot read '…', sorry"),
        (SystemExit(1), "SystemExit"),
    ],
)
def test_a_failure_says_why(
    connect: Callable[..., memweld.Memory], caplog: pytest.LogCaptureFixture, error: BaseException, expected: str
) -> None:
    ana = connect(ScriptedExtractor([error]))
    with caplog.at_level(logging.WARNING, "memweld.extraction"):
        (item,) = ana.add("I am allergic to peanuts and latex")
    assert item.extraction == "failed"
    assert item.extraction_error is not None
    assert expected in item.extraction_error
    (record,) = [each for each in caplog.records if each.name == "memweld.extraction"]
    assert item.extraction_error in record.getMessage()
    for shown in (item.extraction_error, record.getMessage()):
        assert "\n" not in shown
        assert not any(secret in shown for secret in (KEY, "x.org", "peanuts"))


def test_an_error_that_cannot_be_shown() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert explain_failure(MuteError(), ()) == "the LLM raised MuteError"
    assert len(explain_failure(ValueError("{" * 100_000), ("{" * 50,))) < 400


def test_capture_with_a_failing_llm_keeps_statements(connect: Callable[..., memweld.Memory]) -> None:
    ana = connect(ScriptedExtractor([RefusedError("no", 500)]))
    turn = [
        {"role": "user", "content": "Where is the station?"},
        {"role": "user", "content": "I live in Porto"},
        {"role": "assistant", "content": "You may like trams."},
    ]
    assert [item.text for item in ana.capture(turn, session_id="s")] == ["I live in Porto"]


@pytest.mark.parametrize(
    "answer",
    [
        "{" * 300_000,
        "[" * 300_000,
        '{"a":' * 50_000,
        "<think>" * 50_000,
        '{"facts": ["' + "x" * 900_000,
        ",}" * 200_000,
    ],
)
def test_pumped_answers_are_read_in_time(answer: str) -> None:
    with pytest.raises(ExtractionFailedError):
        read_facts(answer)


def test_wrong_options() -> None:
    llm = ScriptedExtractor([facts()])
    for options in (
        {"extraction": "quick"},
        {"categories": "health"},
        {"categories": ["health"], "extraction": "mem0"},
        {"llm": {"provider": "openai"}, "categories": ["health"]},
    ):
        with pytest.raises(memweld.ConfigurationError):
            memweld.connect("sqlite://", **{"llm": llm, **options})
    with pytest.raises(memweld.ConfigurationError, match="server"):
        memweld.connect("http://127.0.0.1:1/mcp", extraction="compact")


def test_names_of_models(connect: Callable[..., memweld.Memory], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(memweld.ConfigurationError, match="cannot be made"):
        connect("openai:gpt-4o-mini").add("tea")
    with pytest.raises(memweld.MissingExtraError, match="pip install"):
        connect("mistralai:mistral-small").add("tea")
    ana = connect("mistralai:mistral-small")
    (kept,) = ana.capture("I love tea", session_id="s")
    assert (kept.text, kept.extraction) == ("I love tea", "failed"), "a turn loses nothing"
    monkeypatch.setitem(sys.modules, "langchain.chat_models", None)
    with pytest.raises(memweld.MissingExtraError, match=r"memweld\[langchain\]"):
        connect("openai:gpt-4o-mini").add("tea")
