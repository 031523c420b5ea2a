"""Proves of a regular expression that a search takes linear time, on its parse tree.

Two rules suffice. Nothing may fail behind a repetition without a bound: then no match is ever given up, and none
backtracks. Bounded parts may backtrack, at most `MOST_STEPS` steps from each start. Where a repetition and what must
follow share no character, only one length fits.
"""

from __future__ import annotations

import re
import sys
from typing import Any, NamedTuple

if sys.version_info >= (3, 11):
    from re import _constants as tokens  # pyright: ignore[reportAttributeAccessIssue]
    from re import _parser as parser  # pyright: ignore[reportAttributeAccessIssue]
else:
    import sre_constants as tokens
    import sre_parse as parser

__all__ = ["MOST_STEPS", "why_not_linear"]

MOST_STEPS = 20_000
_MANY = 1_000
# ASCII, and a character of each kind that a class may tell apart.
_ALPHABET = frozenset([*range(0x180), *map(ord, "’“”«»„「」｡。！？…٣²\u2003\u0300ابيه\u0648你か한เ（）＜")])


_classes = dict[str, "frozenset[int]"]()


class _Rest(NamedTuple):
    """What follows a part: the characters that it may begin with, whether it may be empty, and whether it may fail."""

    first: frozenset[int]
    nullable: bool
    fallible: bool


_END = _Rest(frozenset(), nullable=True, fallible=False)


class _Unproven(Exception):  # noqa: N818 - it ends the walk
    pass


def why_not_linear(pattern: str, flags: int = 0, *, is_whole: bool = False) -> str | None:
    """The part without proof; None if a search of any text with this pattern takes linear time.

    Args:
        pattern: The pattern.
        flags: Its flags.
        is_whole: Whether it must match a whole text, so that it has one start only.
    """
    try:
        pattern = rf"(?:{pattern})\Z" if is_whole else pattern
        tree = parser.parse(pattern, flags)
        steps = _steps(list(tree), _END, flags | tree.state.flags)
    except _Unproven as error:
        return str(error)
    return None if steps <= MOST_STEPS * (100 if is_whole else 1) else f"{steps:,} steps from each start"


def _steps(items: list[Any], rest: _Rest, flags: int) -> int:
    """At most so many steps does a sequence take from one start, where what follows may fail."""
    total, ways = 1, 1
    for place, (token, argument) in enumerate(items):
        behind = _rest_of(items[place + 1 :], rest, flags)
        cost, several = _part(token, argument, behind, flags)
        total += ways * cost
        ways *= several
    return total + ways


def _part(token: Any, argument: Any, rest: _Rest, flags: int) -> tuple[int, int]:
    """The steps of a part, and in how many ways it may match from one start."""
    if token in (tokens.MAX_REPEAT, tokens.MIN_REPEAT):
        return _repeat(argument, rest, flags)
    if token is tokens.SUBPATTERN:
        return _inner(list(argument[3]), rest, (flags | argument[1]) & ~argument[2])
    if token is tokens.BRANCH:
        parts = [_inner(list(branch), rest, flags) for branch in argument[1]]
        ways = max(each for _, each in parts) if _disjoint(argument[1], flags) or not rest.fallible else None
        return sum(cost for cost, _ in parts), sum(each for _, each in parts) if ways is None else ways
    if token in (tokens.ASSERT, tokens.ASSERT_NOT):
        inside = list(argument[1])
        if _has_unbounded(inside):
            raise _Unproven("a repetition without a bound in a look-around")
        return _steps(inside, _END._replace(fallible=True), flags), 1
    return 1, 1


def _inner(items: list[Any], rest: _Rest, flags: int) -> tuple[int, int]:
    total, ways = 1, 1
    for place, (token, argument) in enumerate(items):
        cost, several = _part(token, argument, _rest_of(items[place + 1 :], rest, flags), flags)
        total += ways * cost
        ways *= several
    return total, ways


def _repeat(argument: Any, rest: _Rest, flags: int) -> tuple[int, int]:
    least, most, body = argument[0], argument[1], list(argument[2])
    is_unbounded = most is tokens.MAXREPEAT or most > _MANY
    again = _first(body, flags)
    loop = _Rest(again.first | rest.first, rest.nullable, rest.fallible)
    cost, ways = _inner(body, loop, flags)
    if is_unbounded:
        if rest.fallible:
            raise _Unproven(f"something may fail behind a repetition without a bound, of {body}")
        return cost, 1
    if not rest.fallible:
        return most * cost, 1
    if ways == 1 and not rest.nullable and not again.nullable and again.first.isdisjoint(rest.first):
        return most * cost, 1
    if ways == 1:
        return most * cost, most - least + 1
    return cost * ways**most, ways**most


def _disjoint(branches: list[Any], flags: int) -> bool:
    seen = frozenset[int]()
    for branch in branches:
        first = _first(list(branch), flags)
        if first.nullable or not first.first.isdisjoint(seen):
            return False
        seen |= first.first
    return True


def _has_unbounded(items: list[Any]) -> bool:
    return "MAXREPEAT" in str(items)


def _rest_of(items: list[Any], rest: _Rest, flags: int) -> _Rest:
    mine = _first(items, flags)
    first = mine.first | rest.first if mine.nullable else mine.first
    return _Rest(first, mine.nullable and rest.nullable, mine.fallible or rest.fallible)


def _first(items: list[Any], flags: int) -> _Rest:
    """The beginning of a sequence."""
    first, nullable, fallible = frozenset[int](), True, False
    for token, argument in items:
        mine = _first_of(token, argument, flags)
        fallible = fallible or mine.fallible
        if nullable:
            first |= mine.first
            nullable = mine.nullable
    return _Rest(first, nullable, fallible)


def _first_of(token: Any, argument: Any, flags: int) -> _Rest:
    if token in (tokens.MAX_REPEAT, tokens.MIN_REPEAT):
        mine = _first(list(argument[2]), flags)
        nullable = argument[0] == 0 or mine.nullable
        return _Rest(mine.first, nullable, mine.fallible and argument[0] > 0)
    if token is tokens.SUBPATTERN:
        return _first(list(argument[3]), (flags | argument[1]) & ~argument[2])
    if token is tokens.BRANCH:
        parts = [_first(list(branch), flags) for branch in argument[1]]
        nullable = any(part.nullable for part in parts)
        return _Rest(frozenset[int]().union(*(part.first for part in parts)), nullable, not nullable)
    if token in (tokens.AT, tokens.ASSERT, tokens.ASSERT_NOT):
        return _Rest(frozenset(), nullable=True, fallible=True)
    return _Rest(_characters(token, argument, flags), nullable=False, fallible=True)


def _characters(token: Any, argument: Any, flags: int) -> frozenset[int]:
    """The characters of the alphabet that a single token matches."""
    if token in (tokens.GROUPREF, tokens.GROUPREF_EXISTS):
        raise _Unproven("a reference to a group")
    if token is tokens.ANY:
        return _ALPHABET
    if token is tokens.LITERAL:
        codes = {argument}
    elif token is tokens.NOT_LITERAL:
        return _ALPHABET - {argument}
    else:
        key = repr((argument, flags & re.IGNORECASE))
        if key not in _classes:
            _classes[key] = frozenset(code for code in _ALPHABET if _is_in(code, argument, flags))
        return _classes[key]
    if flags & re.IGNORECASE:
        codes |= {ord(each) for code in codes for each in (chr(code).lower(), chr(code).upper()) if len(each) == 1}
    return frozenset(codes)


_CATEGORIES = {
    tokens.CATEGORY_DIGIT: r"\d", tokens.CATEGORY_NOT_DIGIT: r"\D", tokens.CATEGORY_SPACE: r"\s",
    tokens.CATEGORY_NOT_SPACE: r"\S", tokens.CATEGORY_WORD: r"\w", tokens.CATEGORY_NOT_WORD: r"\W",
}  # fmt: skip


def _is_in(code: int, items: Any, flags: int) -> bool:
    codes = {code}
    if flags & re.IGNORECASE:
        codes |= {ord(each) for each in (chr(code).lower(), chr(code).upper()) if len(each) == 1}
    found = False
    for token, argument in items:
        if token is tokens.NEGATE:
            continue
        if token is tokens.LITERAL:
            found = found or argument in codes
        elif token is tokens.RANGE:
            found = found or any(argument[0] <= each <= argument[1] for each in codes)
        else:
            found = found or bool(re.match(_CATEGORIES[argument], chr(code)))
    return found is not (items[0][0] is tokens.NEGATE)
