"""Operations as data: one frozen dataclass for each thing that an engine does, with the rules for its operands.

An engine runs an operation for a scope (`protocol.Engine.run`). A new operation needs a class here and its handler in
an engine; the codec, the remote engine and the server's tools derive from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from .base import Lane, Operation
from .changes import ItemVersions, KeepBoth, ListConflicts, SupersedeItems, UpdateItem
from .consolidation import Consolidate, PlanConsolidation, UndoConsolidation
from .items import (
    AddItems,
    ClearItems,
    DeleteItem,
    DeleteItems,
    DeleteKeyed,
    DeleteMatching,
    GetEpoch,
    GetItem,
    GetKeyed,
    ItemPage,
    ListItems,
    PutKeyed,
    RelatedItems,
    Search,
    SettleGraph,
)
from .operands import ItemDraft, StoredValue
from .profile import CountRecalls, PinItem, ProfileItems, ReadProfile
from .sessions import (
    AppendMessages,
    ClearMessages,
    CountStored,
    Erase,
    Export,
    ListSessions,
    ReadMessages,
    Restore,
)
from .state import (
    DeleteValue,
    FindValues,
    GetValue,
    ListKeys,
    ListNamespaces,
    PurgeExpired,
    PutValue,
    ReadValues,
    ScanValues,
    SearchValues,
    WriteValues,
)

__all__ = [
    "OPERATIONS",
    "AddItems",
    "AppendMessages",
    "ClearItems",
    "ClearMessages",
    "Consolidate",
    "CountRecalls",
    "CountStored",
    "DeleteItem",
    "DeleteItems",
    "DeleteKeyed",
    "DeleteMatching",
    "DeleteValue",
    "Erase",
    "Export",
    "FindValues",
    "GetEpoch",
    "GetItem",
    "GetKeyed",
    "GetValue",
    "ItemDraft",
    "ItemPage",
    "ItemVersions",
    "KeepBoth",
    "Lane",
    "ListConflicts",
    "ListItems",
    "ListKeys",
    "ListNamespaces",
    "ListSessions",
    "Operation",
    "PinItem",
    "PlanConsolidation",
    "ProfileItems",
    "PurgeExpired",
    "PutKeyed",
    "PutValue",
    "ReadMessages",
    "ReadProfile",
    "ReadValues",
    "RelatedItems",
    "Restore",
    "ScanValues",
    "Search",
    "SearchValues",
    "SettleGraph",
    "StoredValue",
    "SupersedeItems",
    "UndoConsolidation",
    "UpdateItem",
    "WriteValues",
]


def _is_operation(value: Any) -> TypeGuard[type[Operation[Any]]]:
    return isinstance(value, type) and issubclass(value, Operation) and value is not Operation


OPERATIONS: Mapping[str, type[Operation[Any]]] = {
    kind.name: kind for kind in list(globals().values()) if _is_operation(kind)
}
"""All operations by their name on the wire."""
