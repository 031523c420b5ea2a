"""The names of nodes: whose they are stands in every one, so that nobody shares a node with anybody else."""

from __future__ import annotations

from urllib.parse import quote

from ....scope import Scope

__all__ = ["entity_id", "memory_id", "space_of"]


def space_of(store: str, scope: Scope) -> str:
    """Where all nodes of a user (or of an agent's own memory) belong; the store is the database of the memories."""
    whose = f"agent:{quote(scope.agent_id or '', safe='')}"
    if scope.user_id is not None:
        whose = f"user:{quote(scope.user_id, safe='')}"
    return f"{store}/{whose}"


def memory_id(store: str, item: str) -> str:
    """The node of a memory item."""
    return f"{store}/memory:{item}"


def entity_id(space: str, key: str) -> str:
    """The node of an entity. The space holds no bar, so that it cannot be mistaken for another's."""
    return f"{space}|{key}"
