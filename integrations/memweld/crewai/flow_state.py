"""The state of a flow as JSON, and back: each field comes back as it was, or is refused by its name.

JSON has no times, sets or tuples. In a state of plain data such a value is an object with the key ``__memweld__``,
which names its type. A pydantic model reads most of them from its own dump, so there they stay as pydantic writes them.
"""

from __future__ import annotations

import base64
import enum
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError

from ..errors import InvalidInputError
from ..models import JSON
from ..validation import MAX_DEPTH

__all__ = ["dump_state", "load_state"]

_TYPE, _VALUE = "__memweld__", "value"
# Types with a text: how it is written and read.
_TEXTS: Mapping[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "date": (date, date.isoformat, date.fromisoformat),
    "time": (time, time.isoformat, time.fromisoformat),
    "uuid": (UUID, str, UUID),
    "decimal": (Decimal, str, Decimal),
    "path": (type(Path()), str, Path),
    "bytes": (bytes, lambda value: base64.b64encode(value).decode(), base64.b64decode),
}
_SEQUENCES: Mapping[str, Callable[[list[Any]], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}
_NAMES: Mapping[type, str] = {kind: name for name, (kind, _, _) in _TEXTS.items()}


class _UnfitError(Exception):
    """A value that would come back changed.

    Attributes:
        place: Its path in the state.
        reason: What is wrong with it.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason


def dump_state(state: object, fields: Mapping[str, Any]) -> dict[str, JSON]:
    """The fields of a state as JSON, from which `load_state` makes equal ones.

    Args:
        state: The dict or pydantic model.
        fields: Those of its fields that are to be dumped.

    Raises:
        InvalidInputError: A field would come back changed; the error names it.
    """
    try:
        if isinstance(state, BaseModel):
            return _dump_model(state, fields)
        return {_name(name): _encode(value, name) for name, value in fields.items()}
    except _UnfitError as error:
        raise InvalidInputError(
            f"The state of a flow cannot be kept because of {error.place!r}: {error.reason}. Keep plain data in the "
            "state of a flow; live objects belong into attributes of the flow."
        ) from error


def load_state(dump: Mapping[str, JSON]) -> dict[str, Any]:
    """The fields of a state that `dump_state` dumped."""
    return {name: _decode(value) for name, value in dump.items()}


def _dump_model(state: BaseModel, fields: Mapping[str, Any]) -> dict[str, JSON]:
    """As the model writes its fields, where it reads them back equal; else with the types of plain data."""
    dump: dict[str, JSON] = {}
    for name in fields:
        try:
            dump |= state.model_dump(mode="json", include={name})
        except (ValueError, RecursionError):  # `PydanticSerializationError` is a ValueError
            dump[name] = _encode_field(state, name)
    changed = _changed(state, dump)
    for name in changed:
        dump[name] = _encode_field(state, name)
    if changed and (unfit := next(iter(_changed(state, dump)), None)) is not None:
        raise _UnfitError(unfit, f"the model reads its {type(fields[unfit]).__name__} back as something else")
    return dump


def _encode_field(state: BaseModel, name: str) -> JSON:
    try:
        plain = state.model_dump(include={name})[name]
    except (KeyError, ValueError, RecursionError) as error:
        raise _UnfitError(name, f"pydantic cannot dump it ({error})") from error
    return _encode(plain, name)


def _changed(state: BaseModel, dump: Mapping[str, JSON]) -> list[str]:
    """The dumped fields that the model reads back as something else."""
    kind = type(state)
    live = {name: getattr(state, name) for name in (*kind.model_fields, *(state.model_extra or {}))}
    try:
        # Fields that the dump leaves out keep their live value; the model may require them.
        again = kind.model_validate({**live, **load_state(dump)})
    except ValidationError as error:
        unread = {str(each["loc"][0]) if each["loc"] else "" for each in error.errors(include_url=False)}
        return [name for name in dump if name in unread] or list(dump)
    return [name for name in dump if not _is_same(live[name], getattr(again, name, None))]


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal, and all their parts of the same types."""
    if isinstance(one, BaseModel):
        if type(one) is not type(other):
            return False
        names = (*type(one).model_fields, *(one.model_extra or {}))
        return all(_is_same(getattr(one, name), getattr(other, name, None)) for name in names)
    if _is_plain(one, dict) and isinstance(other, dict):
        fields, pairs = dict(cast("Mapping[Any, Any]", one)), cast("Mapping[Any, Any]", other)
        return len(fields) == len(pairs) and all(
            key in pairs and _is_same(value, pairs[key]) for key, value in fields.items()
        )
    if (_is_plain(one, list) and isinstance(other, list)) or _type_of(one) is _type_of(other) is tuple:
        ones, others = cast("Sequence[Any]", one), cast("Sequence[Any]", other)
        return len(ones) == len(others) and all(map(_is_same, ones, others))
    try:
        return _type_of(one) is _type_of(other) and bool(one == other)
    except (TypeError, ValueError):  # of numpy, for instance
        return False


def _type_of(value: object) -> type[Any]:
    return type(value)


def _is_plain(value: object, kind: type) -> bool:
    """Whether it is a list or dict, or one that CrewAI has put into its proxy for threads."""
    own = _type_of(value)
    return own is kind or (issubclass(own, kind) and own.__module__.startswith("crewai."))


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise _UnfitError(str(name), f"the name of a field is a string, not {type(name).__name__}")
    return name


def _encode(value: Any, place: str, depth: int = 0) -> JSON:
    if depth > MAX_DEPTH:
        raise _UnfitError(place, f"it nests more than {MAX_DEPTH} levels deep")
    kind = _type_of(value)
    if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
        return value
    if _is_plain(value, list):
        return [_encode(each, f"{place}[{number}]", depth + 1) for number, each in enumerate(value)]
    if _is_plain(value, dict):
        return _encode_dict(value, place, depth)
    if kind in (tuple, set, frozenset):
        return _typed(kind.__name__, [_encode(each, place, depth + 1) for each in tuple(value)])
    if isinstance(value, enum.Enum):
        return _encode_enum(value, place, depth)
    return _encode_atom(value, place)


def _encode_enum(value: enum.Enum, place: str, depth: int) -> JSON:
    kind = type(value)
    names = {"module": kind.__module__, "class": kind.__qualname__, "name": value.name}
    if _find_member(names) is not value:
        raise _unfit(place, value)
    return _typed("enum", _encode(value.value, place, depth + 1), **names)


def _encode_atom(value: Any, place: str) -> JSON:
    """A value without parts that JSON does not have."""
    kind = _type_of(value)
    if kind in (datetime, time):
        return _encode_time(value, place)
    if kind in _NAMES:
        return _typed(_NAMES[kind], _TEXTS[_NAMES[kind]][1](value))
    if kind is timedelta:
        return _typed("timedelta", [value.days, value.seconds, value.microseconds])
    raise _unfit(place, value)


def _encode_time(value: datetime | time, place: str) -> JSON:
    zone = value.tzinfo
    if zone is None or type(zone) is timezone:
        return _typed(type(value).__name__, value.isoformat())
    if isinstance(value, datetime) and type(zone) is ZoneInfo and zone.key:
        return _typed("datetime", value.isoformat(), zone=zone.key)
    raise _unfit(place, zone)


def _unfit(place: str, value: object) -> _UnfitError:
    kind = value if isinstance(value, float) else f"an object of the type {type(value).__name__}"
    advice = " (keep its model_dump())" if isinstance(value, BaseModel) else ""
    return _UnfitError(place, f"JSON cannot hold {kind} so that it comes back as it was{advice}")


def _encode_dict(value: Mapping[Any, Any], place: str, depth: int) -> JSON:
    value = dict(value)  # another method of the flow may change it meanwhile
    if all(type(key) is str for key in value) and _TYPE not in value:
        return {key: _encode(each, f"{place}.{key}", depth + 1) for key, each in value.items()}
    pairs = [
        [_encode(key, f"{place} (a key)", depth + 1), _encode(each, f"{place}[{key!r}]", depth + 1)]
        for key, each in value.items()
    ]
    return _typed("dict", pairs)


def _typed(kind: str, value: JSON, **more: JSON) -> dict[str, JSON]:
    return {_TYPE: kind, _VALUE: value, **more}


def _decode(value: JSON) -> Any:
    if isinstance(value, list):
        return [_decode(each) for each in cast("list[JSON]", value)]
    if not isinstance(value, Mapping):
        return value
    fields = cast("Mapping[str, JSON]", value)
    if _TYPE not in fields:
        return {key: _decode(each) for key, each in fields.items()}
    try:
        return _decode_typed(fields)
    except (LookupError, TypeError, ValueError, ArithmeticError):
        # Another program wrote it.
        return {key: _decode(each) for key, each in fields.items()}


def _decode_typed(fields: Mapping[str, JSON]) -> Any:
    kind, value = cast("str", fields[_TYPE]), fields[_VALUE]
    match kind:
        case "dict":
            return {_decode(key): _decode(each) for key, each in value}
        case "timedelta":
            return timedelta(*value)
        case "datetime":
            moment = datetime.fromisoformat(value)
            return moment.astimezone(ZoneInfo(fields["zone"])) if "zone" in fields else moment
        case "enum":
            member = _find_member(fields)
            return _decode(value) if member is None else member
        case _:
            return _SEQUENCES[kind](_decode(value)) if kind in _SEQUENCES else _TEXTS[kind][2](value)


def _find_member(names: Mapping[str, JSON]) -> enum.Enum | None:
    """The member of an enumeration in a module that the program has imported; a dump imports nothing."""
    found: Any = sys.modules.get(names["module"])
    for part in names["class"].split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type) or not issubclass(found, enum.Enum):
        return None
    return found.__members__.get(names["name"])
