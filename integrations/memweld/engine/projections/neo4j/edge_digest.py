"""What a memory is tied to in the graph, as a number: kept with it when told, made again when compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

from ....models import JSON
from .entity_names import key_of

__all__ = ["digest_of", "is_as_told", "tie_of"]

_ENTITY_TIE = "MENTIONS"


def digest_of(ties: Iterable[Sequence[str]]) -> str:
    """The number of some ties, each a kind and the nodes that it leads to, whatever their order."""
    listed = json.dumps(sorted(list(tie) for tie in ties)).encode()
    return hashlib.blake2b(listed, digest_size=12).hexdigest()


def tie_of(kind: str, node: Mapping[str, JSON]) -> list[str]:
    """The tie to a node as it stands in the graph; one whose properties are not those of its id is no tie of ours."""
    identity, space, name = (str(node.get(each)) for each in ("memweld_id", "space", "name"))
    if kind == _ENTITY_TIE:
        sound = identity == f"{space}|{node.get('key')}" and key_of(name) == node.get("key")
    else:
        sound = identity.startswith(f"{space}/") and identity.endswith((f":{name}", f"/{name}"))
    return [kind, identity] if sound else [kind, identity, "changed"]


def is_as_told(expected: Mapping[str, JSON], properties: Mapping[str, JSON], ties: Iterable[Sequence[str]]) -> bool:
    """Whether the node of a memory says what it was told.

    Args:
        expected: The properties that follow from the item.
        properties: Those that the node has.
        ties: What it is tied to.
    """
    same = all(properties.get(name) == value for name, value in expected.items())
    return same and properties.get("ties") == digest_of(ties)
