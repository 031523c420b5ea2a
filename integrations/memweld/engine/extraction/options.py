"""How facts are extracted: the LLM, the pipeline, and the caller's wishes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ...errors import ConfigurationError

__all__ = ["ExtractionMode", "ExtractionOptions"]

ExtractionMode: TypeAlias = Literal["compact", "mem0"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractionOptions:
    """The arguments of `connect` for an extraction.

    Attributes:
        llm: See `connect`; None: nothing is extracted.
        timeout: Seconds to wait for its answer.
        mode: ``compact``: memweld's own prompt. ``mem0``: mem0's pipeline. None: mem0's for an LLM of mem0's, else
            memweld's.
        instructions: What to keep and what to leave out, in the caller's words.
        categories: Of these the LLM gives each fact one, which is ``category`` in its metadata.
        redact: Takes out of the LLM's answers what must not be stored; it may have read older texts.

    Raises:
        ConfigurationError: The mode is unknown, or categories are for mem0.
    """

    llm: Any = field(default=None, repr=False)
    timeout: float = 60.0
    mode: ExtractionMode | None = None
    instructions: str | None = None
    categories: Sequence[str] = ()
    redact: Callable[[str], str] = field(default=str, repr=False)

    def __post_init__(self) -> None:
        if self.mode not in (None, "compact", "mem0"):
            raise ConfigurationError(f"extraction={self.mode!r} is not known: it is compact or mem0.")
        if isinstance(self.categories, str) or not all(isinstance(each, str) and each for each in self.categories):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError("categories= is a list of names, such as ['health', 'travel'].")
        if self.categories and self.uses_mem0:
            raise ConfigurationError("mem0 gives no categories: pass extraction='compact', or leave categories= out.")

    @property
    def uses_mem0(self) -> bool:
        """Whether mem0's pipeline extracts."""
        is_mem0 = isinstance(self.llm, Mapping) or callable(getattr(self.llm, "generate_response", None))
        return self.mode == "mem0" or (self.mode is None and is_mem0)
