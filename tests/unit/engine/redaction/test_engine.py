"""The engine that redacts: which operands it reads, how it fails, and what waits in memory."""

from __future__ import annotations

import dataclasses
import gc
import json
import threading
from pathlib import Path
from typing import Any, get_args

import pytest

import memweld
from memweld import ConfigurationError, InvalidInputError
from memweld.engine.export_data import validate_export_data
from memweld.engine.message_rules import validate_messages
from memweld.engine.operations import OPERATIONS, AddItems, ItemDraft, PutKeyed, Search
from memweld.engine.operations.base import Metadata
from memweld.engine.operations.consolidation import validate_receipt
from memweld.engine.operations.operands import (
    validate_drafts,
    validate_keyed_metadata,
    validate_value,
    validate_writes,
)
from memweld.engine.redaction.texts import redaction_of
from memweld.memory.capture_queue import CaptureQueue, capture_queue_of
from memweld.testing.llm import ScriptedExtractor, facts
from memweld.validation import validate_query, validate_text

CARD = "4111 1111 1111 1111"
SECRETS = redaction_of("secrets")

# The rules of operands whose texts are stored, embedded or shown on spans.
TEXTS = {
    validate_text,
    validate_query,
    validate_drafts,
    validate_messages,
    validate_writes,
    validate_value,
    validate_keyed_metadata,
    validate_export_data,
    validate_receipt,
    get_args(Metadata)[1],
}


def test_every_operand_with_texts_is_redacted() -> None:
    names = {
        name
        for operation in OPERATIONS.values()
        for name, rule, _ in operation._rules  # pyright: ignore[reportPrivateUsage]
        if rule in TEXTS
    }
    assert names == set(SECRETS.parts), "an operand with texts needs an entry in Redaction"


def test_an_operation_without_secrets_is_passed_on_as_it_is() -> None:
    add = AddItems(drafts=[ItemDraft(text="I like tea")], metadata={"a": [1, {"b": "c"}]})
    assert SECRETS.operation(add) is add
    search = Search(query="tea?")
    assert SECRETS.operation(search) is search


def test_json_in_a_text_stays_json() -> None:
    text = json.dumps(
        {"card": 4111111111111111, "password": "sun", "list": [CARD], "pin": 4711, "reset_password": 3, "is": True}
    )
    redacted = json.loads(SECRETS.text(text))
    assert redacted == {
        "card": "[redacted: card number]", "password": "[redacted: password]", "list": ["[redacted: card number]"],
        "pin": "[redacted: security code]", "reset_password": 3, "is": True,
    }  # fmt: skip
    assert SECRETS.text(f"{{no JSON}} {CARD}") == "{no JSON} [redacted: card number]"


@pytest.mark.parametrize("name", ["password", "token", "api_key", "client_secret", "PIN", "card", "Passwort"])
def test_the_key_of_a_preference_tells_what_its_value_is(name: str) -> None:
    value = {"PIN": "47114711", "card": CARD}.get(name, "a1b2c3d4e5")
    with memweld.connect("sqlite://", redact="secrets") as backend:
        ana = backend.user("ana")
        item = ana.preferences.set(name, value)
        ana.state("s").set(name, value)
        assert value not in item.text
        assert value not in json.dumps(ana.export())


def test_images_are_no_text() -> None:
    def refuse(text: str) -> str:
        assert not text.startswith("data:")
        return text

    with memweld.connect("sqlite://", redact=refuse) as backend:
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
        backend.user("ana").history("s").append([{"role": "user", "content": [image]}])
        assert backend.user("ana").history("s").messages()[0].content == [image]


def test_a_text_behind_an_image_is_redacted() -> None:
    assert "hunter2" not in SECRETS.text("data:image/png;base64,AAAA My password is hunter2")


def fail(text: str) -> str:
    raise ValueError(f"cannot read {text}")


def say_nothing(text: str) -> Any:
    return None if "card" in text else text


@pytest.mark.parametrize(("redact", "message"), [(fail, "raised ValueError"), (say_nothing, "returned NoneType")])
def test_where_it_fails_nothing_is_stored(redact: Any, message: str) -> None:
    with memweld.connect("sqlite://", redact=redact) as backend:
        ana = backend.user("ana")
        for write in (
            lambda: ana.add(f"my card {CARD}"),
            lambda: ana.preferences.set("card", CARD),
            lambda: ana.state("s").set("card", f"card {CARD}"),
            lambda: ana.capture(f"my card is {CARD}", session_id="s", keep="turn"),
            lambda: ana.capture(f"my card is {CARD}", session_id="s", keep="turn", background=True),
        ):
            with pytest.raises(ConfigurationError, match=message) as caught:
                write()
            assert CARD not in str(caught.value)
            assert caught.value.__cause__ is None, "its text may quote the secret"
        assert not any(ana.counts().values())


def test_a_text_that_breaks_a_rule_is_refused() -> None:
    with memweld.connect("sqlite://", redact=lambda _: " ") as backend, pytest.raises(InvalidInputError):
        backend.user("ana").add("I like tea")


@pytest.mark.parametrize("redact", ["all", 3, True])
def test_an_argument_of_another_kind_is_refused(redact: Any) -> None:
    with pytest.raises(ConfigurationError, match="redact= is neither"):
        memweld.connect("sqlite://", redact=redact)


def test_the_environment_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMWELD_REDACT", "secrets")
    with memweld.connect("sqlite://") as backend:
        assert backend.user("ana").add(f"my card {CARD}")[0].redacted == ("card number",)
    monkeypatch.setenv("MEMWELD_REDACT", "everything")
    with pytest.raises(ConfigurationError, match="MEMWELD_REDACT is 'everything'"):
        memweld.connect("sqlite://")


def test_what_waits_for_an_llm_is_redacted(tmp_path: Path) -> None:
    """Nothing in the process that a capture left behind holds the secret: neither the work, nor its quicker way."""
    release = threading.Event()

    def wait(_: object) -> str:
        release.wait(10)
        return facts("The user has a card.")

    url = f"sqlite:///{tmp_path / 'memory.db'}"
    with memweld.connect(url, llm=ScriptedExtractor([wait]), redact="secrets") as backend:
        ana = backend.user("ana")
        try:
            for _ in range(2):
                ana.capture(f"my card is {CARD}", session_id="s", background=True)
            queue = capture_queue_of(ana._engine)  # pyright: ignore[reportPrivateUsage]
            assert queue.count() == 2
            assert CARD not in _texts_behind(queue)
            assert "[redacted: card number]" in _texts_behind(queue)
        finally:
            release.set()
        assert backend.flush(20)


def _texts_behind(queue: CaptureQueue) -> str:
    """The texts of all drafts that waiting work can reach."""
    seen, left, texts = set[int](), list[Any](queue._pending.values()), list[str]()  # pyright: ignore[reportPrivateUsage]
    while left:
        each = left.pop()
        if id(each) in seen or isinstance(each, type) or len(seen) > 5_000:
            continue
        seen.add(id(each))
        if isinstance(each, ItemDraft):
            texts.append(each.text)
        elif callable(each) or isinstance(each, (tuple, list, dict, AddItems)) or dataclasses.is_dataclass(each):
            left += gc.get_referents(each)
    return "\n".join(texts)


@pytest.mark.parametrize("extraction", ["compact", "mem0"])
def test_answers_of_an_llm_are_redacted(tmp_path: Path, extraction: Any) -> None:
    """It may have read what was stored before, and a summary is a text of its own."""
    path = tmp_path / "m.db"
    with memweld.connect(path) as backend:
        messages = [{"role": "user", "content": f"I pay with {CARD}, number {n}"} for n in range(60)]
        backend.user("ana").history("s").append(messages)
    answers: list[Any] = [facts(f"Ana pays with {CARD}"), json.dumps({"summary": f"Ana paid with {CARD}."})]
    llm = ScriptedExtractor(answers)
    with memweld.connect(path, redact="secrets", llm=llm, extraction=extraction) as backend:
        ana = backend.user("ana")
        assert [item.text for item in ana.add("I pay by card")] == ["Ana pays with [redacted: card number]"]
        ana.consolidate(dry_run=False)
        assert "Ana paid with [redacted: card number]." in [item.text for item in ana.all()]


def test_a_record_keeps_its_place_at_a_restore() -> None:
    with memweld.connect("sqlite://") as plain, memweld.connect("sqlite://", redact="secrets") as discreet:
        state = plain.user("ana").state("card 4111111111111111")
        state.set("password", "sunflower", text="a flower")
        discreet.user("ana").restore(plain.user("ana").export())
        copied = discreet.user("ana").state("card 4111111111111111")
        assert copied.get("password") == "[redacted: password]"
        assert [hit.entry.key for hit in discreet.user("ana").values.search("flower")] == ["password"]


def test_putting_a_value_under_a_key_reads_the_key() -> None:
    put = PutKeyed(kind="preference", key="password", text="password: sun", metadata={"value": "sun"})
    assert SECRETS.operation(put) == PutKeyed(
        kind="preference",
        key="password",
        text="password: [redacted: password]",
        metadata={"value": "[redacted: password]"},
    )
