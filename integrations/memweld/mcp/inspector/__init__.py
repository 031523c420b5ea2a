"""The inspector: web pages at ``/ui`` that show a user's memory, correct it, export it and erase it."""

from __future__ import annotations

from .routes import inspector_routes
from .session import InspectorEdge

__all__ = ["InspectorEdge", "inspector_routes"]
