"""Content parts, and foreign values as JSON that every database keeps."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest

from memweld.memory.content import (
    attempt,
    image_part,
    join_parts,
    noting_changes,
    other_part,
    read_parts,
    split_data_url,
    storable,
    text_part,
)
from memweld.validation import validate_json

PICTURE = "data:image/png;base64,QUJD"


@pytest.mark.parametrize(
    "part",
    [
        image_part(PICTURE),
        {"type": "image_url", "image_url": PICTURE},
        {"type": "image", "base64": "QUJD", "mime_type": "image/png"},
        {"type": "image", "source": {"type": "base64", "data": "QUJD", "media_type": "image/png"}},
        {"type": "image", "url": PICTURE},
    ],
)
def test_an_image_of_any_framework(part: dict[str, Any]) -> None:
    (read,) = read_parts([part])
    assert (read.kind, read.url, read.text) == ("image", PICTURE, "[image]")
    assert split_data_url(PICTURE) == ("image/png", "QUJD")


def test_parts_are_read_and_joined() -> None:
    parts = [text_part("look"), image_part("https://example.com/a.png"), other_part("input_audio")]
    assert [(part.kind, part.text) for part in read_parts(parts)] == [
        ("text", "look"),
        ("image", "[image]"),
        ("other", "[input_audio]"),
    ]
    assert join_parts(parts) == parts
    assert join_parts([text_part("look"), None]) == "look"
    assert join_parts([]) == ""
    assert split_data_url("https://example.com/a.png") is None


class Stubborn:
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_any_value_is_storable() -> None:
    loop: dict[str, Any] = {"twice": []}
    loop["me"] = loop
    loop["twice"] += [loop, loop]
    deep: Any = "leaf"
    for _ in range(1000):
        deep = [deep]
    value = storable({"loop": loop, "deep": deep, "big": 2**9_000, "nan": float("nan"), 1: {2}, "s": Stubborn()})
    validate_json("value", value, inside=4)
    assert value["loop"]["me"] == "…"
    assert value["nan"] == "nan"
    assert value["1"] == [2]
    assert value["s"] == "<Stubborn>"
    assert storable("a\x00\ud800b") == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b"
    same = {"a": 1}
    assert storable([same, same]) == [same, same]


class StrangeError(BaseException):
    pass


class Hostile(str):
    """Text and an object in one, whose every method raises."""

    def __str__(self) -> str:
        raise StrangeError

    isascii = encode = __repr__ = __str__  # type: ignore[assignment]


class Unreadable:
    @property
    def __class__(self) -> type:
        raise StrangeError

    @property
    def model_dump(self) -> Any:
        raise StrangeError


def test_whatever_a_value_raises_the_rest_is_kept() -> None:
    with noting_changes() as changes:
        kept = storable({"a": Unreadable(), "b": [Hostile("text"), 1], "c": {Stubborn(): 2}})
    assert kept == {"a": "<Unreadable>", "b": ["text", 1], "c": {"<Stubborn>": 2}}
    assert "Unreadable cannot be read (StrangeError)" in changes
    for end in (KeyboardInterrupt, SystemExit, asyncio.CancelledError):
        with pytest.raises(end):
            attempt(functools.partial(_raise, end()), None, what="it")


def _raise(error: BaseException) -> None:
    raise error


def test_what_is_replaced_is_noted() -> None:
    values: dict[str, Any] = {"nan": float("inf"), "big": 2**9_000, "text": "\ud800", "time": 1.5}
    with noting_changes() as changes:
        storable(values)
    assert list(changes) == [
        "JSON has no number like this",
        "a number is too long",
        "characters that no database keeps are replaced",
    ]


@pytest.mark.timeout(30)
def test_one_part_that_is_referred_to_many_times_is_cut() -> None:
    tree: Any = functools.reduce(lambda inner, _: [inner, inner], range(45), "leaf")
    with noting_changes() as changes:
        storable(tree)
    assert list(changes) == ["a value has too many elements"]
