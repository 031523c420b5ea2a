"""The options that every adapter takes: one name, one default and one rule each."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar, cast

from ..errors import invalid
from ..memory.profile import DEFAULT_PROFILE_BUDGET
from ..memory.recall import DEFAULT_BUDGET, LEAST_SCORE, drop_unfitting
from ..memory.transcript import DEFAULT_HISTORY_BUDGET
from ..models import Hit, Kind, Sources
from ..validation import (
    MAX_VALUE_CHARACTERS,
    validate_item_sources,
    validate_kinds,
    validate_limit,
    validate_recency,
    validate_score,
)
from .failures import OnError, validate_on_error

__all__ = [
    "Capture",
    "CaptureKeywords",
    "MemoryKeywords",
    "RecallKeywords",
    "TurnKeywords",
    "TurnOptions",
    "shows_options",
]

T = TypeVar("T", bound="Callable[..., None]")

Capture: TypeAlias = bool | Literal["awaited", "background"]
"""Whether turns are kept, and whether a run waits for it."""


class RecallKeywords(TypedDict, total=False):
    """The options of a class that only recalls, as keyword arguments; documented by `TurnOptions`."""

    recall_limit: int
    recall_budget: int
    min_score: float | None
    recency: timedelta | None
    kinds: Kind | Sequence[Kind] | None
    sources: Sources | None
    profile: bool | int
    on_error: OnError


class CaptureKeywords(TypedDict, total=False):
    """The options of a class that only captures, as keyword arguments; documented by `TurnOptions`."""

    capture: Capture
    infer: bool | None
    on_error: OnError


class MemoryKeywords(RecallKeywords, total=False):
    """The options of a class that recalls and captures, as keyword arguments; documented by `TurnOptions`."""

    capture: Capture
    infer: bool | None


class TurnKeywords(MemoryKeywords, total=False):
    """The options of a class that also puts a session before a model; documented by `TurnOptions`."""

    history_limit: int | None
    history_budget: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOptions:
    """How an adapter recalls before a turn and captures after it.

    Attributes:
        recall_limit: How many memories at most a turn recalls, 0 to 10,000; 0 for no recall.
        recall_budget: How many characters of them at most.
        min_score: Only memories with at least this score, 0 to 1; 0 for all. If None, only those that seem to fit what
            the user says: see `memweld.memory.recall.drop_unfitting`.
        recency: The age at which a memory counts half; age does not count if None.
        kinds: Only these kinds of memories; all if None.
        sources: Only from these sources; from all if None. ``"trusted"``: what the user said and what was added on
            purpose, not what an LLM extracted from answers of the assistant or from a tool's words.
        profile: Whether the user's profile (see `Memory.profile`) stands before the model in each turn, in the system
            message. It stays as it was in the session's first turn, so that a provider's cache serves it, as long as
            all that it says still holds. A number is its budget in characters.
        capture: Whether turns are kept, and whether the run waits for it. ``True`` or ``"awaited"``: it does.
            ``"background"``: it waits for the history alone; facts follow, in order within the session. A failure of
            theirs is logged. None: ``"background"`` if an LLM extracts, else ``"awaited"``.
        infer: Whether the backend's LLM extracts facts from a turn; None means if there is one.
        history_limit: How many messages of the session at most are put before the model, the latest; all if None.
        history_budget: How many characters of them at most, an image counted as 4,000; any number if None.
        on_error: What a failing memory does to a run. ``"warn"``: it is logged and the run goes on; ``"raise"``: it
            ends. A run without a user, or with two, always raises.

    Raises:
        InvalidInputError: An option breaks a rule.
    """

    recall_limit: int = 5
    recall_budget: int = DEFAULT_BUDGET
    min_score: float | None = None
    recency: timedelta | None = None
    kinds: Kind | Sequence[Kind] | None = None
    sources: Sources | None = "trusted"
    profile: bool | int = False
    capture: Capture | None = None
    infer: bool | None = None
    history_limit: int | None = 50
    history_budget: int | None = DEFAULT_HISTORY_BUDGET
    on_error: OnError = "warn"

    def __post_init__(self) -> None:
        validate_limit(self.recall_limit, name="recall_limit", minimum=0)
        validate_limit(self.recall_budget, name="recall_budget", maximum=10_000_000)
        validate_score("min_score", self.min_score)
        validate_recency(self.recency)
        object.__setattr__(self, "kinds", validate_kinds(self.kinds))
        object.__setattr__(self, "sources", validate_item_sources(self.sources))
        if not isinstance(self.profile, bool):
            if not isinstance(self.profile, int):  # pyright: ignore[reportUnnecessaryIsInstance]
                rule = "it is True, False, or a number of characters"
                raise invalid("profile", self.profile, rule, "Pass True for the usual length.")
            validate_limit(self.profile, name="profile", maximum=10_000_000)
        if self.capture not in (None, True, False, "awaited", "background"):
            raise invalid("capture", self.capture, "it is true, false, awaited or background", "Choose one.")
        if self.infer not in (True, False, None):
            raise invalid(
                "infer", self.infer, "it is true, false or None", "Leave it out to use the LLM if there is one."
            )
        if self.history_limit is not None:
            validate_limit(self.history_limit, name="history_limit", maximum=1_000_000)
        if self.history_budget is not None:
            validate_limit(self.history_budget, name="history_budget", maximum=MAX_VALUE_CHARACTERS)
        validate_on_error(self.on_error)

    @property
    def profile_budget(self) -> int:
        """How many characters a profile may take; 0 for none."""
        return (DEFAULT_PROFILE_BUDGET if self.profile else 0) if isinstance(self.profile, bool) else self.profile

    @property
    def captures(self) -> bool:
        """Whether turns are kept."""
        return self.capture is not False

    @property
    def search(self) -> dict[str, Any]:
        """The keywords of `Memory.search` other than the limit; `fitting` takes the hits."""
        least = LEAST_SCORE if self.min_score is None else self.min_score
        return {"kinds": self.kinds, "sources": self.sources, "min_score": least, "recency": self.recency}

    def fitting(self, hits: list[Hit], query: str) -> list[Hit]:
        """Those of the hits that may be put before a model."""
        return drop_unfitting(hits, query) if self.min_score is None else hits

    def dump(self) -> dict[str, Any]:
        """The options that differ from their defaults, as JSON, for saved configurations."""
        fields = ((name, getattr(self, name), field.default) for name, field in self.__dataclass_fields__.items())
        changed = {name: value for name, value, default in fields if value != default}
        if self.recency is not None:
            changed["recency"] = self.recency.total_seconds()
        if self.kinds is not None:
            changed["kinds"] = list(cast("Sequence[Kind]", self.kinds))
        if isinstance(self.sources, tuple):
            changed["sources"] = list(self.sources)
        return changed

    @classmethod
    def load(cls, dump: dict[str, Any]) -> TurnOptions:
        """The options that `dump` wrote."""
        fields = dict(dump)
        if fields.get("recency") is not None:
            fields["recency"] = timedelta(seconds=fields["recency"])
        return cls(**fields)


def shows_options(keywords: type[RecallKeywords | CaptureKeywords], **defaults: Any) -> Callable[[T], T]:
    """Let ``help`` and `inspect.signature` show what ``**options`` of an ``__init__`` takes, and refuse others.

    Args:
        keywords: The names.
        defaults: Those that differ from `TurnOptions`.
    """
    fields = TurnOptions.__dataclass_fields__
    names = [name for name in fields if name in keywords.__optional_keys__]
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=defaults.get(name, fields[name].default),
            annotation=fields[name].type,
        )
        for name in names
    ]

    def decorate(initialiser: T) -> T:
        signature = inspect.signature(initialiser)
        own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        known = [each.name for each in own[1:]] + names

        @functools.wraps(initialiser)
        def checked(self: object, *args: Any, **keywords: Any) -> None:
            for name in keywords:
                if name not in known and name not in fields:
                    raise TypeError(f"{type(self).__name__} has no option {name!r}. It has {', '.join(known)}.")
            initialiser(self, *args, **keywords)

        vars(checked)["__signature__"] = signature.replace(parameters=[*own, *options])
        return cast("T", checked)

    return decorate
