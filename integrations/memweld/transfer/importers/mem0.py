"""mem0's memories: the answer of its ``get_all`` as JSON (mem0 2.2; also the hosted API's pages)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from ...engine.export_data import ExportedItem
from ...errors import InvalidInputError
from ...models import JSON
from ...scope import Scope
from ...validation import utc_now, validate_text, validate_time
from ..import_plan import Plan, validated
from .files import objects

__all__ = ["read_mem0"]

# Fields with a place of their own in a memory item; the score belongs to a past search.
_PLACED = frozenset(
    {"id", "memory", "created_at", "updated_at", "user_id", "agent_id", "run_id", "role", "metadata", "score"}
)


def read_mem0(
    data: object,
    *,
    scope: Scope | None,
    session_id: str | None = None,
    at: datetime | None = None,
) -> Plan:
    """Plan to store the answer of mem0's ``get_all``.

    Texts, ids, times and metadata stay as they are. A ``run_id`` becomes the session, an ``agent_id`` the agent that
    keeps the memory. Other fields of mem0 (``hash``, ``actor_id``, ``categories`` …) go to ``mem0`` in the metadata.

    Args:
        data: ``{"results": […]}`` or the list of rows.
        scope: The scope to import: it gets the rows without an owner, and rows of others are skipped. None: all rows,
            each for the user or agent that it names.
        session_id: The session of rows without a ``run_id``.
        at: The time of rows without any; now if not given.

    Raises:
        InvalidInputError: It is something else, or a row breaks a rule or names no owner (the message names the row).
    """
    plan = Plan()
    moment = at or utc_now()
    for place, row in objects(_rows(data, plan), "memory of mem0"):
        owner = validated(place, lambda row=row: _owner(row, scope))
        if owner is None:
            plan.skipped["of other users or agents"] += 1
            continue
        item = validated(place, lambda row=row, owner=owner: _item(row, owner, session_id, moment))
        if not row.get("created_at") and not row.get("updated_at"):
            plan.undated.add(item.id)
        plan.add(owner, item)
    return plan


def _rows(data: object, plan: Plan) -> Sequence[object]:
    rows = data
    if isinstance(data, Mapping):
        whole = cast("Mapping[str, Any]", data)
        rows = whole.get("results")
        if relations := whole.get("relations"):
            plan.skipped["relations of its graph"] += len(relations)
    if not isinstance(rows, list):
        raise InvalidInputError(
            'This is not what get_all of mem0 returns: it must be {"results": […]} or a list of memories.'
        )
    return cast("list[object]", rows)


def _owner(row: Mapping[str, Any], requested: Scope | None) -> Scope | None:
    """The scope of the row; None for one that the import skips."""
    # The hosted API writes empty strings and nulls alike.
    user_id, agent_id = row.get("user_id") or None, row.get("agent_id") or None
    if user_id is None and agent_id is None:
        if requested is None:
            raise InvalidInputError("it names neither a user nor an agent. Import it for one user.")
        return requested
    owner = Scope(user_id=user_id, agent_id=agent_id)
    return owner if requested is None or requested.contains(owner) else None


def _item(row: Mapping[str, Any], owner: Scope, session_id: str | None, at: datetime) -> ExportedItem:
    text = validate_text("memory", row.get("memory"))
    updated_at = validate_time("updated_at", row.get("updated_at"))
    created_at = validate_time("created_at", row.get("created_at")) or updated_at or at
    role, name = row.get("role"), row.get("actor_id")
    extra = {key: value for key, value in row.items() if key not in _PLACED and value is not None}
    if role is not None and role not in ("user", "assistant"):
        extra["role"] = role
    session_id = row.get("run_id") or session_id
    metadata = _metadata(row.get("metadata"), extra)
    return ExportedItem(
        id=row["id"] if row.get("id") is not None else _made_id(owner, text, session_id, metadata),
        text=text,
        user_id=owner.user_id,
        agent_id=owner.agent_id,
        session_id=session_id,
        role=role if role in ("user", "assistant") else None,
        name=name if isinstance(name, str) and name.strip() else None,
        metadata=metadata,
        created_at=created_at,
        updated_at=max(updated_at or created_at, created_at),
        source="import",
    )


def _metadata(given: object, extra: Mapping[str, JSON]) -> dict[str, JSON]:
    if given is not None and not isinstance(given, Mapping):
        raise InvalidInputError(f"its metadata must be an object, not {type(given).__name__}.")
    metadata = dict(cast("Mapping[str, JSON]", given or {}))
    if extra:
        metadata.setdefault("mem0", dict(extra))
    return metadata


def _made_id(owner: Scope, text: str, session_id: object, metadata: Mapping[str, JSON]) -> str:
    # The same at the next import.
    content = repr([owner.user_id, owner.agent_id, text, session_id, metadata])
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"memweld:mem0:{content}"))
