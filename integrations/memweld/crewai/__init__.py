"""memweld for CrewAI: tools for agents, a memory for Crew, Agent and Flow, and the state of flows.

::

    from memweld.crewai import MemweldFlowPersistence, MemweldMemory, memory_tools

    crew = Crew(agents=[...], tasks=[...], memory=MemweldMemory(backend))
    agent = Agent(..., tools=memory_tools(backend))
    flow = MyFlow(persistence=MemweldFlowPersistence(backend))

CrewAI sends telemetry to telemetry.crewai.com unless you turn it off: `disable_telemetry`.
"""

from __future__ import annotations

from ..errors import missing_extra

try:
    import crewai as _crewai  # pyright: ignore[reportUnusedImport]  # noqa: F401
except ImportError as error:
    raise missing_extra("crewai", "crewai") from error

from ..adapters.saved_config import loading_with
from .flows import MemweldFlowPersistence
from .memory import MemweldMemory
from .telemetry import announce_telemetry, disable_telemetry
from .tools import memory_tools

__all__ = ["MemweldFlowPersistence", "MemweldMemory", "disable_telemetry", "loading_with", "memory_tools"]

announce_telemetry()
