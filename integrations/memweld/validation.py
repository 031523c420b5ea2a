"""The rules for input, each in one place: texts, keys, JSON values, metadata, limits and times.

Every check returns the value in the form in which it is stored, or raises `InvalidInputError`. Checks run before the
first write, so that a refused call leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any, Literal, cast, get_args

from .errors import invalid
from .models import JSON, Kind, MemoryItem, Source

__all__ = [
    "MAX_DEPTH",
    "MAX_KEY_CHARACTERS",
    "MAX_LIMIT",
    "MAX_METADATA_CHARACTERS",
    "MAX_TEXT_CHARACTERS",
    "MAX_VALUE_CHARACTERS",
    "QUERY_CHARACTERS",
    "dump_json",
    "fold_text",
    "local_time",
    "normalize",
    "utc_now",
    "validate_end",
    "validate_flag",
    "validate_item_source",
    "validate_item_sources",
    "validate_json",
    "validate_json_text",
    "validate_key",
    "validate_kinds",
    "validate_limit",
    "validate_metadata",
    "validate_moment",
    "validate_prefix",
    "validate_query",
    "validate_recency",
    "validate_score",
    "validate_text",
    "validate_time",
    "validate_ttl",
]

MAX_TEXT_CHARACTERS = 1_000_000
QUERY_CHARACTERS = 4_000
"""How much of a long query (its end) is searched for."""
MAX_KEY_CHARACTERS = 512
MAX_VALUE_CHARACTERS = 16_000_000
MAX_METADATA_CHARACTERS = 65_536
MAX_LIMIT = 10_000
MAX_TTL_SECONDS = 100 * 366 * 86_400
MAX_DEPTH = 64
MAX_INTEGER_BITS = 8_192  # Python itself refuses to read decimals of more than 4,300 digits

_KINDS: tuple[Kind, ...] = ("item", "source", "preference", "task", "record")
_SOURCES: tuple[Source, ...] = get_args(Source)

# Marks are no letters; two kana of half width become marks.
_MANY_MARKS = re.compile(r"(?:[^\w\s!-~]|[\uff9e\uff9f]){32,}")

# json.dumps makes an encoder anew at each call that wants anything but its defaults.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=dict).encode


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(timezone.utc)


def _check_characters(name: str, value: str) -> None:
    if "\x00" in value:
        raise invalid(name, value, "it holds a NUL character, which databases cannot keep", "Remove it.")
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        rule = f"it holds a lone surrogate at position {error.start}, which is not text"
        raise invalid(name, value, rule, "Decode the text properly, or replace it.") from error


def validate_text(name: str, value: object, *, maximum: int = MAX_TEXT_CHARACTERS) -> str:
    """A text that says something, returned exactly as it is: not blank."""
    if not isinstance(value, str):
        raise invalid(name, value, f"it must be a string, not {type(value).__name__}", "Pass text.")
    _check_characters(name, value)
    if not value.strip():
        raise invalid(name, value, "it must not be empty or blank", "Pass text that says something.")
    if len(value) > maximum:
        raise invalid(name, value, f"it has {len(value):,} characters, at most {maximum:,}", "Split it.")
    return value


def normalize(form: Literal["NFC", "NFKC", "NFD", "NFKD"], text: str) -> str:
    """As `unicodedata.normalize`, in nearly linear time.

    CPython sorts the accents of a character by insertion. A megabyte of them would take it half an hour.
    """
    parts = "NFKD" if "K" in form else "NFD"

    def sort_marks(run: re.Match[str]) -> str:
        characters = [part for each in run[0] for part in unicodedata.normalize(parts, each)]
        groups = itertools.groupby(characters, lambda each: unicodedata.combining(each) > 0)
        return "".join("".join(sorted(group, key=unicodedata.combining) if marks else group) for marks, group in groups)

    return unicodedata.normalize(form, _MANY_MARKS.sub(sort_marks, text))


def fold_text(text: str) -> str:
    """The form in which texts are compared, embedded and searched for: NFC, without white space at its ends."""
    return (text if text.isascii() else normalize("NFC", text)).strip()


def validate_query(name: str, value: object) -> str:
    """A text to search for, folded."""
    return fold_text(validate_text(name, value))


def validate_key(name: str, value: object) -> str:
    """A key, namespace or session id: a string of 1 to 512 characters, kept exactly as given."""
    remedy = "Pass its id: item.id." if isinstance(value, MemoryItem) else "Pass a short name."
    if not isinstance(value, str):
        raise invalid(name, value, f"it must be a string, not {type(value).__name__}", remedy)
    _check_characters(name, value)
    if not value.strip():
        raise invalid(name, value, "it must not be empty or blank", remedy)
    if len(value) > MAX_KEY_CHARACTERS:
        raise invalid(name, value, f"it has {len(value):,} characters, at most {MAX_KEY_CHARACTERS}", remedy)
    return value


def validate_prefix(name: str, value: object) -> str:
    """How keys or namespaces begin: a string of at most 512 characters, which may be empty."""
    if not isinstance(value, str):
        raise invalid(name, value, f"it must be a string, not {type(value).__name__}", "Leave it out for all.")
    _check_characters(name, value)
    if len(value) > MAX_KEY_CHARACTERS:
        rule = f"it has {len(value):,} characters, at most {MAX_KEY_CHARACTERS}"
        raise invalid(name, value, rule, "Pass a short one.")
    return value


def _check_number(name: str, value: float) -> None:
    if isinstance(value, int):
        if value.bit_length() > MAX_INTEGER_BITS:
            raise invalid(name, "…", f"it holds an integer of more than {MAX_INTEGER_BITS} bits", "Use a string.")
    elif not math.isfinite(value):
        raise invalid(name, value, "JSON has no such number", "Use null or a string.")


def _check_json(name: str, value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise invalid(name, "…", f"with what it is kept in it nests more than {MAX_DEPTH} levels deep", "Flatten it.")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, (int, float)):
        _check_number(name, value)
    elif isinstance(value, str):
        if value.isascii():
            return
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise invalid(name, value, "it holds a lone surrogate, which is not text", "Replace it.") from error
    elif isinstance(value, (list, tuple)):
        for element in cast("Sequence[object]", value):
            _check_json(name, element, depth + 1)
    elif isinstance(value, Mapping):
        for key, element in cast("Mapping[object, object]", value).items():
            if not isinstance(key, str):
                raise invalid(name, key, f"JSON keys are strings, not {type(key).__name__}", "Convert the key.")
            _check_json(name, key, depth + 1)
            _check_json(name, element, depth + 1)
    else:
        rule = f"{type(value).__name__} is not a type of JSON"
        raise invalid(name, value, rule, "Use null, booleans, numbers, strings, lists and objects.")


def dump_json(value: JSON) -> str:
    """The one JSON text in which values are stored and compared."""
    return _encode(value)


def validate_json(name: str, value: JSON, *, maximum: int = MAX_VALUE_CHARACTERS, inside: int = 0) -> str:
    """Any JSON value, returned as its JSON text. Tuples become lists, mappings objects.

    Args:
        name: The name of the value, for the error.
        value: The value.
        maximum: How many characters its text may have.
        inside: How many levels it is kept inside of.
    """
    _check_json(name, value, inside)
    text = dump_json(value)
    if len(text) > maximum:
        raise invalid(name, "…", f"its JSON has {len(text):,} characters, at most {maximum:,}", "Split it.")
    return text


def validate_json_text(name: str, value: str) -> str:
    """A string as a JSON value, returned as it is."""
    _check_json(name, value, 0)
    # No character takes more than six in JSON: what is short enough need not be written to be counted.
    if 6 * len(value) + 2 > MAX_VALUE_CHARACTERS:
        validate_json(name, value)
    return value


def validate_metadata(value: object) -> dict[str, JSON]:
    """The caller's own data on a memory: a JSON object of at most 64 Ki characters, kept apart from our fields."""
    if value is None or (isinstance(value, dict) and not value):
        return {}
    if not isinstance(value, Mapping):
        raise invalid("metadata", value, f"it must be a JSON object, not {type(value).__name__}", "Pass a dict.")
    metadata = cast("Mapping[Any, JSON]", value)
    for key in metadata:
        validate_key("metadata key", key)
    return cast("dict[str, JSON]", json.loads(validate_json("metadata", metadata, maximum=MAX_METADATA_CHARACTERS)))


def validate_flag(name: str, value: object) -> bool:
    """True or False, and no text or number in their place."""
    if not isinstance(value, bool):
        raise invalid(name, value, f"it must be True or False, not {type(value).__name__}", "Pass a bool.")
    return value


def validate_limit(value: object, *, name: str = "limit", minimum: int = 1, maximum: int = MAX_LIMIT) -> int:
    """How many at most: a whole number from ``minimum`` to ``maximum``."""
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        rule = f"it must be a whole number from {minimum} to {maximum:,}"
        is_page = name == "limit" and isinstance(value, int) and value > maximum
        remedy = "Read what is longer in pages." if is_page else f"Pass a number such as {max(minimum, 1)}."
        raise invalid(name, value, rule, remedy)
    return value


def validate_end(expires_at: object, ttl: object, timezone_name: str | None) -> datetime | None:
    """When a memory expires: a time to come (see `validate_moment`), or so long from now; None: never. Not both."""
    seconds, end = validate_ttl(ttl), validate_moment("expires_at", expires_at, timezone_name)
    if seconds is not None:
        if end is not None:
            raise invalid("ttl", ttl, "expires_at says already when it expires", "Pass one of the two.")
        return utc_now() + timedelta(seconds=seconds)
    if end is not None and end <= utc_now():
        raise invalid("expires_at", expires_at, "it is over already", "Pass a time to come, or leave it out.")
    return end


def validate_ttl(value: object) -> float | None:
    """How long something is kept: seconds or a timedelta, more than none and at most a century; None for ever."""
    if value is None:
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MAX_TTL_SECONDS:
        rule = "it must be a number of seconds, more than 0 and at most a century"
        raise invalid("ttl", value, rule, "Leave it out to keep the value.")
    return float(value)


def validate_score(name: str, value: object) -> float | None:
    """A score: a number from 0 to 1; None for no limit."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise invalid(name, value, "it must be a number from 0 to 1", "Leave it out to find whatever fits best.")
    return float(value)


def validate_recency(value: object) -> timedelta | None:
    """The age at which a memory counts half: a timedelta; None where age does not count."""
    if value is None or (isinstance(value, timedelta) and value > timedelta(0)):
        return value
    rule = "it must be a timedelta of more than nothing, the age at which a memory counts half"
    raise invalid("recency", value, rule, "Pass timedelta(days=30), or leave it out.")


def validate_kinds(value: object) -> tuple[Kind, ...] | None:
    """Which kinds of memory to look at; None means all."""
    if value is None:
        return None
    if not isinstance(value, (str, list, tuple, set, frozenset)):
        raise invalid("kinds", value, f"a kind is one of {', '.join(_KINDS)}", "Leave it out to look at all.")
    kinds = (value,) if isinstance(value, str) else tuple(cast("Sequence[Any]", value))
    for kind in kinds:
        if kind not in _KINDS:
            raise invalid("kinds", kind, f"a kind is one of {', '.join(_KINDS)}", "Leave it out to look at all.")
    if not kinds:
        raise invalid("kinds", value, "it names no kind", "Leave it out to look at all.")
    return cast("tuple[Kind, ...]", kinds)


def validate_item_source(value: object) -> Source:
    """Where a memory comes from."""
    for source in _SOURCES:
        if value == source:
            return source
    raise invalid("source", value, f"it is one of {', '.join(_SOURCES)}", "Leave it out for the user's own words.")


def validate_item_sources(value: object) -> tuple[Source, ...] | Literal["trusted"] | None:
    """The sources of the memories to look at; None means all."""
    if value is None:
        return None
    if value == "trusted":
        return "trusted"
    named = (value,) if isinstance(value, str) else value
    sources = tuple(cast("Iterable[object]", named)) if isinstance(named, (list, tuple, set, frozenset)) else ()
    unknown = [each for each in sources if each not in _SOURCES] if sources else [value]
    if unknown:
        rule = f"it is one or several of {', '.join(_SOURCES)}, or trusted alone"
        raise invalid("sources", unknown[0], rule, "Pass some of these.")
    return cast("tuple[Source, ...]", sources)


def local_time(moment: datetime, timezone_name: str | None) -> datetime:
    """A time in a zone of the IANA database; in its own zone if None."""
    if timezone_name is None:
        return moment
    from zoneinfo import ZoneInfo

    # In the years 1 and 9999 another zone may lie outside of the calendar.
    with contextlib.suppress(OverflowError):
        return moment.astimezone(ZoneInfo(timezone_name))
    return moment


def validate_moment(name: str, value: object, timezone_name: str | None) -> datetime | None:
    """A time as `validate_time` has it, or a day, which stands for its beginning; without an offset in a named zone."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    if timezone_name is None:
        return validate_time(name, value)
    from zoneinfo import ZoneInfo

    return validate_time(name, value, zone=ZoneInfo(timezone_name))


def validate_time(name: str, value: object, *, zone: tzinfo = timezone.utc) -> datetime | None:
    """A time given by the caller: a datetime or ISO 8601 text; one without an offset is a time of the zone.

    It keeps its offset from UTC, which says what day it was for the user.
    """
    if value is None:
        return None
    moment = value
    if isinstance(value, str):
        try:
            # Python 3.10 does not read the "Z" of ISO 8601.
            moment = datetime.fromisoformat(value.strip().replace("Z", "+00:00").replace("z", "+00:00"))
        except ValueError as error:
            raise invalid(name, value, "it is no ISO 8601 time", "Write it as 2025-10-15T10:30:00Z.") from error
    if not isinstance(moment, datetime):
        raise invalid(name, value, "it must be a datetime or ISO 8601 text", "Write it as 2025-10-15T10:30:00Z.")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    if moment.tzinfo is timezone.utc:
        return moment
    try:
        moment.astimezone(timezone.utc)
        # Of a zone with summer time only the offset at that moment; a store keeps no more.
        return moment.replace(tzinfo=timezone(moment.utcoffset() or timedelta(0)))
    except OverflowError as error:
        raise invalid(name, value, "it lies outside the years 1 to 9999 in UTC", "Give a real time.") from error
