"""No text freezes a process: patterns and everything else that reads a text take time in proportion to its length.

A thread in a regular expression, or in `unicodedata`, lets no other thread run.
"""

from __future__ import annotations

import ast
import importlib
import re
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pattern_proof import why_not_linear  # pyright: ignore[reportMissingImports]

import memweld
from memweld.engine.projections.neo4j.entity_rules import by_rule
from memweld.engine.statements import worth_keeping
from memweld.memory.passages import passage, query_pattern
from memweld.scope import validate_identity
from memweld.validation import normalize

PACKAGE = Path(memweld.__file__).parent
FUNCTIONS = {"compile", "search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
# Patterns that are made at run time, each as it may look.
MADE = {
    "crewai/checkpointing.py": None,  # pydantic's warnings are matched from their beginning, as timed below
    "memory/passages.py": r"(\bporto)|(\bmov)|(ポルト)",
}
# What a text may be full of.
PUMPS = (
    "<", "\n", " ", "\u200b", "\u0301", "\u0315\u0300", "\u0f73", "か\uff9e\u0300", "\u0301\u0316", "7", "王", "ال",
    "https://a.b/", "a@", "a.", "@", "-", " - ", "“", "'", "a'", "A", "A b A ", "[1,", "{", "\\", "\x1b]", "#a", "🙂",
    "Ana of the ", "I ", "if I ",
)  # fmt: skip


def calls() -> Iterator[tuple[str, str | None, str]]:
    """Each call of `re` in the package: its module, its function and the source of its pattern."""
    for file in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(file.read_text())
        whole = {
            ast.unparse(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr == "fullmatch"
        }
        names = {
            id(node.value): ast.unparse(node.targets[0]) for node in ast.walk(tree) if isinstance(node, ast.Assign)
        }
        for node in ast.walk(tree):
            match node:
                case ast.Call(ast.Attribute(ast.Name("re"), function), [pattern, *_]) if function in FUNCTIONS:
                    name = names.get(id(node))
                    is_whole = function == "fullmatch" or name in whole
                    yield file.relative_to(PACKAGE).as_posix(), name, f"{is_whole:d}{ast.unparse(pattern)}"


def pattern_of(module: str, name: str | None, source: str) -> str | None:
    try:
        return ast.literal_eval(source)
    except ValueError:
        if module in MADE:
            return MADE[module]
        assert name is not None, f"{module}: add an example of {source} to MADE"
        return getattr(importlib.import_module(f"memweld.{module[:-3].replace('/', '.')}"), name).pattern


def test_every_pattern_is_proven() -> None:
    unproven: list[str] = []
    count = 0
    for module, name, source in calls():
        pattern = pattern_of(module, name, source[1:])
        if pattern is not None:
            reason = why_not_linear(pattern, is_whole=source[0] == "1")
            unproven += [f"{module}: {pattern}: {reason}"] if reason else []
            count += 1
    assert not unproven, "\n".join(unproven)
    assert count > 40, "the patterns are found"


@pytest.mark.parametrize(
    "pattern",
    ["a*b", r"\w+@", "(a+)+$", "(?:a|aa)*b", r"(?=\W*x)", "(a{0,30}){0,30}b", r"[<＜](?=\W*memories\b)", r"(.)\1*"],
)
def test_the_proof_fails_for_slow_patterns(pattern: str) -> None:
    assert why_not_linear(pattern)


@pytest.mark.parametrize("pattern", ["a+b*", r"\w{1,64}@\w", r"(?:[-.]\w+)*", "(?:a|b)+", r"[<＜](?=\W{0,8}memories)"])
def test_the_proof_holds_for_quick_patterns(pattern: str) -> None:
    assert why_not_linear(pattern) is None


def seconds(call: Any) -> float:
    started_at = time.process_time()
    call()
    return time.process_time() - started_at


@pytest.mark.parametrize("pump", PUMPS, ids=ascii)
def test_no_text_freezes_a_process(pump: str) -> None:
    text = f"tea {pump * (40_000 // len(pump))}"
    with memweld.connect("sqlite://") as backend:
        ana = backend.user("ana")
        assert seconds(lambda: ana.add(text)) < 5, "a quadratic step takes ten seconds and more"
        assert seconds(lambda: ana.recall(text)) < 2
        assert seconds(lambda: ana.recall("tea")) < 2
        assert seconds(lambda: ana.search("tea")) < 2
    assert seconds(lambda: by_rule(text)) < 2
    assert seconds(lambda: worth_keeping(text)) < 2


def test_no_warning_of_pydantic_freezes_a_process() -> None:
    pattern = r"Pydantic serializer warnings[\s\S]*input_type=Memory"
    source = (PACKAGE / "crewai/checkpointing.py").read_text()
    assert r"Pydantic serializer warnings[\s\S]*input_type=" in source
    for pump in ("Pydantic serializer warnings", "input_type=", "\n"):
        text = "Pydantic serializer warnings" + pump * (200_000 // len(pump))
        assert seconds(lambda text=text: re.match(pattern, text, re.IGNORECASE)) < 1


def test_a_query_like_a_text_is_found_quickly() -> None:
    for letter in ("a", "я", "王"):
        query = " ".join(letter * (150 + number) + "b" for number in range(24))
        assert seconds(lambda q=query, x=letter * 200_000: passage(x, 400, query_pattern(q))) < 1


def test_a_long_id_is_refused_quickly() -> None:
    started_at = time.process_time()
    with pytest.raises(memweld.InvalidInputError, match="1,000,001 characters, at most 256"):
        validate_identity("user_id", "a" + "\u0315\u0300" * 500_000)
    assert time.process_time() - started_at < 1


MARKS = st.text([*"\u0300\u0315\u0316\u0323\u0344\u0f73\u0f75\u0f81\u3099\uff9e\uff9f\u05b0\u094d🙂、"], max_size=80)
LETTERS = st.text("aéが가\u1100\u1161ｶ !", max_size=3)


@given(st.lists(st.one_of(MARKS, LETTERS), max_size=8).map("".join))
@settings(max_examples=50)
def test_normalize_is_that_of_unicodedata(text: str) -> None:
    for form in ("NFC", "NFKC", "NFD", "NFKD"):
        assert normalize(form, text) == unicodedata.normalize(form, text)


def test_normalize_knows_every_mark() -> None:
    """A character whose parts begin with a mark is sorted, whichever form asks."""
    marks = [
        each
        for each in map(chr, [*range(0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE0200)])
        if unicodedata.combining(unicodedata.normalize("NFKD", each)[0])
    ]
    low = "\u0f71"
    assert len(marks) > 800
    assert seconds(lambda: [normalize("NFKC", f"a{each * 33}{low * 33}") for each in marks]) < 2
    for each in marks:
        text = f"a{each * 33}{low * 33}"
        assert normalize("NFC", text) == unicodedata.normalize("NFC", text)
    text = "a" + "\u0315\u0300" * 100_000
    assert seconds(lambda: normalize("NFC", text)) < 2
