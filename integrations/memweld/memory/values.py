"""All of a scope's state at once: many values read and written together, found by conditions, across namespaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..engine.filters import validate_conditions
from ..engine.protocol import Engine
from ..models import JSON, ValueEntry, ValueWrite
from ..scope import Scope
from ..validation import validate_json, validate_key, validate_limit, validate_prefix, validate_text, validate_ttl

__all__ = ["Values"]

_MOST = 1_000_000


def _checked(write: ValueWrite) -> ValueWrite:
    validate_key("namespace", write.namespace)
    validate_key("key", write.key)
    validate_json("value", write.value)
    text = None if write.text is None else validate_text("text", write.text)
    return replace(write, text=text, ttl=validate_ttl(write.ttl))


class Values:
    """The state of all namespaces of one scope. Where a namespace has slashes, they separate levels."""

    def __init__(self, engine: Engine, scope: Scope) -> None:
        self._engine = engine
        self._scope = scope

    def read(self, places: Sequence[tuple[str, str]], *, refresh: bool = False) -> list[ValueEntry | None]:
        """The values at these places.

        Args:
            places: Pairs of namespace and key.
            refresh: Whether those that expire live their whole time again from now.

        Returns:
            An entry for each place, in order; None where there is no value.
        """
        wanted = [(validate_key("namespace", namespace), validate_key("key", key)) for namespace, key in places]
        return self._engine.read_values(self._scope, wanted, refresh=refresh) if wanted else []

    def write(self, writes: Sequence[ValueWrite]) -> None:
        """Store and delete values in order, all or none.

        Raises:
            InvalidInputError: A write breaks a rule; nothing was written.
        """
        checked = [_checked(write) for write in writes]
        if checked:
            self._engine.write_values(self._scope, checked)

    def find(
        self,
        under: str = "",
        *,
        where: Mapping[str, JSON] | None = None,
        offset: int = 0,
        limit: int | None = None,
        refresh: bool = False,
    ) -> list[ValueEntry]:
        """The values that fit, by namespace, the oldest of each first.

        Args:
            under: Only this namespace and those below it; all if it is empty.
            where: What the values must be, e.g. ``{"status": "active", "score": {"$gte": 3}}`` (see `conditions`).
            offset: How many of those that fit are left out at the beginning.
            limit: How many at most; all if None.
            refresh: Whether those that expire live their whole time again from now.

        Raises:
            InvalidInputError: An argument breaks a rule.
        """
        return self._engine.find_values(
            self._scope,
            under=validate_prefix("under", under),
            where=validate_conditions(where),
            offset=validate_limit(offset, name="offset", minimum=0, maximum=_MOST),
            limit=None if limit is None else validate_limit(limit, maximum=_MOST),
            refresh=refresh,
        )

    def namespaces(self, under: str = "") -> list[str]:
        """The namespaces that hold values, in the order of the oldest value of each."""
        return self._engine.list_namespaces(self._scope, under=validate_prefix("under", under))

    def sweep(self) -> int:
        """Delete what has expired of this scope; how many values.

        What has expired is absent from every answer anyway: this only frees its room, sooner than writes do.
        """
        return self._engine.sweep_values(self._scope)
