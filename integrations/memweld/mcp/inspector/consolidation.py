"""The page that tidies up a memory: the plan, what was done, and the button that takes it back."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import Any

from ...consolidation import ConsolidationPlan, ConsolidationReceipt
from ...errors import invalid
from ...models import JSON
from .visit import Done, Visit, number_in

__all__ = ["apply", "plan", "undo"]

_MOST_BYTES = 32 * 1024 * 1024
_KINDS = {
    "merge": "merge",
    "expire": "delete what has expired",
    "drop_versions": "delete earlier versions",
    "summarize": "summarise a session",
}


def plan(visit: Visit) -> dict[str, Any]:
    """What a consolidation would do. Nothing is changed."""
    keep = number_in(visit.query, "keep", 0, 1_000) if visit.given("keep") else None
    found = visit.memory.consolidate(keep_versions=keep)
    visit.count = len(found.steps)
    return {"plan": found, "keep": keep, "packed": _packed(found.to_dict()), "kinds": _KINDS}


def apply(visit: Visit) -> dict[str, Any]:
    """Do the plan that the page showed."""
    receipt = visit.memory.consolidate(plan=ConsolidationPlan.from_dict(_unpacked(visit, "plan")))
    visit.count = len(receipt.done)
    return {"receipt": receipt, "packed": _packed(receipt.to_dict()), "kinds": _KINDS}


def undo(visit: Visit) -> Done:
    """Take back what a receipt says."""
    undone = visit.memory.undo(ConsolidationReceipt.from_dict(_unpacked(visit, "receipt")))
    visit.count = len(undone.done)
    return Done("consolidate", "partly" if any(step.kind != "expire" for step in undone.skipped) else "undone")


def _packed(data: dict[str, JSON]) -> str:
    """An object as a field of a form, which has a tenth of its size."""
    return base64.b64encode(zlib.compress(json.dumps(data, ensure_ascii=False).encode())).decode()


def _unpacked(visit: Visit, name: str) -> dict[str, JSON]:
    """The object in a field of the form.

    Raises:
        InvalidInputError: There is none.
    """
    try:
        packed = base64.b64decode(visit.form.get(name, ""), validate=True)
        # No form of a person makes a server write gigabytes.
        text = zlib.decompressobj().decompress(packed, _MOST_BYTES)
        found = json.loads(text)
    except (binascii.Error, zlib.error, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise invalid(name, None, "the form does not hold it", "Open the page again, and send its form.")
    return found  # pyright: ignore[reportUnknownVariableType] - `from_dict` validates it
