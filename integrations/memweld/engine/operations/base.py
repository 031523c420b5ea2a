"""The base of all operations, and the types of their operands: each an annotation with its rule.

The annotations are read while a class is made, and later by the codec: the modules of this package therefore do
without ``from __future__ import annotations``.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeAlias, TypeVar, get_args

from ...models import JSON, Kind, Source
from ...validation import (
    MAX_LIMIT,
    validate_flag,
    validate_item_source,
    validate_item_sources,
    validate_key,
    validate_kinds,
    validate_limit,
    validate_metadata,
    validate_prefix,
    validate_query,
    validate_text,
    validate_ttl,
)
from ..filters import validate_filters
from .operands import Rule, validate_version

__all__ = [
    "Filters",
    "ItemSource",
    "ItemSources",
    "Key",
    "Kinds",
    "Lane",
    "Limit",
    "ManyLimit",
    "Metadata",
    "Operation",
    "Prefix",
    "Query",
    "Text",
    "Ttl",
    "Version",
    "between",
    "unnamed",
]

T = TypeVar("T")

Lane: TypeAlias = Literal["quick", "search", "write", "llm", "queue", "flush"]
"""The reason why work may wait: the store alone; the embedder, for a query; the embedder, for texts to store, or a
rewrite of the file; an LLM; room in the queue of captures; the end of that queue or of deliveries to a graph."""

MANY = 1_000_000
"""The largest limit of what is no ranking: messages, values, rows of an export."""


def between(minimum: int, maximum: int) -> Rule:
    """The rule for whole numbers in a range, both ends included."""
    return lambda name, value: validate_limit(value, name=name, minimum=minimum, maximum=maximum)


def unnamed(validate: Callable[[Any], Any]) -> Rule:
    """A rule made of a validator whose errors name the operand themselves."""
    return lambda _name, value: validate(value)


Key = Annotated[str, validate_key]
Prefix = Annotated[str, validate_prefix]
Text = Annotated[str, validate_text]
Query = Annotated[str, validate_query]
Limit = Annotated[int, between(1, MAX_LIMIT)]
ManyLimit = Annotated[int, between(1, MANY)]
Version = Annotated[int, validate_version]
Metadata = Annotated[Mapping[str, JSON], unnamed(validate_metadata)]
Filters = Annotated[Mapping[str, JSON], unnamed(validate_filters)]
Kinds = Annotated[Sequence[Kind], unnamed(validate_kinds)]
ItemSources = Annotated[Sequence[Source] | Literal["trusted"], unnamed(validate_item_sources)]
ItemSource = Annotated[Source, unnamed(validate_item_source)]
Ttl = Annotated[float, unnamed(validate_ttl)]


def _rules_of(annotations: Mapping[str, Any]) -> tuple[tuple[str, Rule, bool], ...]:
    """Each operand that has a rule, as booleans do: its name, the rule, and whether None means "left out"."""
    rules: list[tuple[str, Rule, bool]] = []
    for name, annotation in annotations.items():
        options = (annotation, *get_args(annotation))
        rule = next((each.__metadata__[0] for each in options if hasattr(each, "__metadata__")), None)
        if rule is not None:
            rules.append((name, rule, not hasattr(annotation, "__metadata__")))
        elif bool in options:
            rules.append((name, validate_flag, annotation is not bool))
    return tuple(rules)


class Operation(Generic[T]):
    """A request to an engine; ``T`` is the type of its answer. The constructor validates the operands.

    Attributes:
        name: Its name on the wire and in errors, e.g. ``list_items``.
        answer: The type of its answer.
        read_only: Whether it changes nothing that users have stored.
        changes_items: Whether it may add, change or delete memory items.
        overwrites: Whether it deletes or replaces what users have stored.
        usual_lane: The reason why operations of the class may wait, unless their operands say another.

    Raises:
        InvalidInputError: An operand breaks a rule.
    """

    __slots__ = ()
    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid"}

    name: ClassVar[str]
    answer: ClassVar[Any]
    read_only: ClassVar[bool] = False
    changes_items: ClassVar[bool] = False
    overwrites: ClassVar[bool] = False
    usual_lane: ClassVar[Lane] = "quick"
    _rules: ClassVar[tuple[tuple[str, Rule, bool], ...]] = ()

    def __init_subclass__(cls) -> None:
        cls.name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        (cls.answer,) = get_args(cls.__dict__["__orig_bases__"][0])
        cls._rules = _rules_of(inspect.get_annotations(cls))

    def __post_init__(self) -> None:
        for name, rule, is_optional in self._rules:
            value = getattr(self, name)
            if value is None and is_optional:
                continue
            valid = rule(name, value)
            if valid is not value:
                object.__setattr__(self, name, valid)
        self.validate_together()

    def validate_together(self) -> None:
        """Apply rules that concern several operands.

        Raises:
            InvalidInputError: They break one.
        """

    @property
    def lane(self) -> Lane:
        """The reason why it may wait."""
        return self.usual_lane

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be sent again when its answer was lost: the second time changes nothing more."""
        return True
