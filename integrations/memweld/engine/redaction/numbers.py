"""Card numbers and IBANs: digits whose length, beginning and checksum are all right."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["card_numbers", "ibans", "is_card_number", "is_iban"]

_SEPARATORS = " \u00a0\u202f.-"
_DIGITS = re.compile(rf"(?<![\w+])[0-9](?:[{_SEPARATORS}]{{0,2}}[0-9])*")
_GROUPS = re.compile(r"[0-9]+")
_SHAPES = {(4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 6, 5), (4, 6, 4)}
_LONGEST = 5
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ \u00a0\u202f-]?[A-Za-z0-9]){11,30}")

# (first digits from, to, lengths)
_ISSUERS = (
    ("4", "4", {13, 16, 19}),
    ("51", "55", {16}),
    ("2221", "2720", {16}),
    ("34", "34", {15}),
    ("37", "37", {15}),
    ("300", "305", {14}),
    ("36", "36", {14}),
    ("38", "39", {14}),
    ("6011", "6011", {16, 19}),
    ("644", "659", {16, 19}),
    ("3528", "3589", {16, 19}),
    ("62", "62", {16, 17, 18, 19}),
    ("5018", "5038", {16, 18, 19}),
    ("6304", "6304", {16, 18, 19}),
    ("6759", "6763", {16, 18, 19}),
)
_IBAN_LENGTHS = {
    code: int(length)
    for length, codes in (
        each.split(":")
        for each in (
            "15:NO", "16:BE", "18:DK FI FO GL NL", "19:MK SI", "20:AT BA EE KZ LT LU XK", "21:CH HR LI LV",
            "22:BG BH CR DE GB GE IE ME RS VA", "23:AE GI IL IQ TL", "24:AD CZ ES MD PK RO SA SE SK TN VG",
            "25:LY PT ST", "26:IS TR", "27:BI DJ FR GR IT MC MR SM", "28:AL AZ BY CY DO GT HU LB NI PL SV",
            "29:BR EG PS QA UA", "30:JO KW MU", "31:MT SC", "33:RU",
        )
    )
    for code in codes.split()
}  # fmt: skip


def card_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Where card numbers stand: in one piece, or in groups as cards print them."""
    for run in _DIGITS.finditer(text):
        if run.end() - run.start() < 13:
            continue
        groups = [each.span() for each in _GROUPS.finditer(text, run.start(), run.end())]
        place = 0
        while place < len(groups):
            count = _card_groups(text, groups[place : place + _LONGEST])
            if count:
                yield groups[place][0], groups[place + count - 1][1]
            place += count or 1


def _card_groups(text: str, groups: list[tuple[int, int]]) -> int:
    """How many of the groups, from the first on, are a card number; 0 if none."""
    for count in range(len(groups), 0, -1):
        sizes = tuple(end - start for start, end in groups[:count])
        if count > 1 and sizes not in _SHAPES:
            continue
        digits = "".join(text[start:end] for start, end in groups[:count])
        if is_card_number(digits) and not _is_part(text, groups[0][0], groups[count - 1][1]):
            return count
    return 0


def _is_part(text: str, start: int, end: int) -> bool:
    """Whether the digits are part of something longer: a UUID, a path, a decimal number, a file's name."""
    before, after = text[max(start - 2, 0) : start], text[end : end + 2]
    if before.endswith("/") or (before[-1:] in (".", "-") and before[:1].isdigit()):
        return True
    return (
        after[:1].isalnum()
        or after[:1] == "_"
        or (after[:1] == "-" and after[1:].isalnum())
        or (after[1:].isdigit() and after[0] == ".")
    )


def is_card_number(digits: str) -> bool:
    """Whether an issuer gives such numbers, and the check digit (Luhn) is right."""
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    issued = any(start <= digits[: len(start)] <= end and len(digits) in lengths for start, end, lengths in _ISSUERS)
    if not issued:
        return False
    total = sum(int(each) for each in digits[-1::-2])
    total += sum(sum(divmod(2 * int(each), 10)) for each in digits[-2::-2])
    return total % 10 == 0


def ibans(text: str) -> Iterator[tuple[int, int]]:
    """Where IBANs stand: in one piece, or in groups."""
    place = 0
    while (found := _IBAN.search(text, place)) is not None:
        place = found.start() + 2
        length = _IBAN_LENGTHS.get(found[0][:2].upper(), 0)
        places = [each for each in range(found.start(), found.end()) if text[each].isalnum()][:length]
        if not length or len(places) < length:
            continue
        end = places[-1] + 1
        if not text[end : end + 1].isalnum() and is_iban("".join(text[each] for each in places)):
            yield found.start(), end
            place = end


def is_iban(text: str) -> bool:
    """Whether the check digits of a text in the form of an IBAN are right (ISO 7064, modulo 97)."""
    moved = text[4:] + text[:4]
    return int("".join(str(int(each, 36)) for each in moved)) % 97 == 1
