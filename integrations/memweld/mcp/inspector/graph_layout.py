"""The drawing of a graph: something in the middle, the entities that lead from it around, and lines between."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ...models import Related

__all__ = ["Node", "star_of"]

_MOST = 14
_WIDTH, _HEIGHT = 640, 420


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the drawing.

    Attributes:
        name: The entity.
        x: From the left, in units of the drawing (640 by 420).
        y: From above.
        memories: How many of the memories mention it.
    """

    name: str
    x: int
    y: int
    memories: int


def star_of(middle: str, related: Sequence[Related]) -> list[Node]:
    """The entities around the middle, those that most memories mention first, evenly on an ellipse."""
    mentions = Counter(name for each in related for name in dict.fromkeys((*each.entities, *each.path)))
    mentions.pop(middle, None)
    chosen = mentions.most_common(_MOST)
    nodes: list[Node] = []
    for place, (name, memories) in enumerate(chosen):
        angle = 2 * math.pi * place / len(chosen) - math.pi / 2
        x = _WIDTH / 2 + 0.37 * _WIDTH * math.cos(angle)
        y = _HEIGHT / 2 + 0.4 * _HEIGHT * math.sin(angle)
        nodes.append(Node(name, round(x), round(y), memories))
    return nodes
