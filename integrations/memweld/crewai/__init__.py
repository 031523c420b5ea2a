"""memweld for CrewAI: tools for agents, and a memory for Crew, Agent and Flow.

::

    from memweld.crewai import MemweldMemory, memory_tools

    crew = Crew(agents=[...], tasks=[...], memory=MemweldMemory(backend))
    agent = Agent(..., tools=memory_tools(backend))
"""

from __future__ import annotations

from ..errors import missing_extra

try:
    import crewai as _crewai  # pyright: ignore[reportUnusedImport]  # noqa: F401
except ImportError as error:
    raise missing_extra("crewai", "crewai") from error

from .memory import MemweldMemory
from .tools import memory_tools

__all__ = ["MemweldMemory", "memory_tools"]
