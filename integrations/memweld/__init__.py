"""memweld: one user-scoped memory that spans LangChain, CrewAI, AutoGen and MCP.

::

    import memweld

    backend = memweld.connect()
    ana = backend.user("ana")
    ana.add("I love Python")
    ana.search("which languages?")

The import is light: no framework, no mem0 and no numpy is loaded before it is used.
"""

from .connect import connect, redact_secrets
from .consolidation import ConsolidationPlan, ConsolidationReceipt
from .errors import (
    AccessDeniedError,
    BackendUnavailableError,
    ConfigurationError,
    InvalidInputError,
    MemoryNotFoundError,
    MemweldError,
    MissingExtraError,
)
from .explanation import Explanation
from .memory.backend import Backend
from .memory.memory import AsyncMemory, Memory
from .memory.profile import Profile
from .models import ChatMessage, Conflict, EraseReceipt, Hit, MemoryItem, Related, Session, TaskOutcome, ToolCall
from .scope import Scope, user_scope

__version__ = "0.1.0"

__all__ = [
    "AccessDeniedError",
    "AsyncMemory",
    "Backend",
    "BackendUnavailableError",
    "ChatMessage",
    "ConfigurationError",
    "Conflict",
    "ConsolidationPlan",
    "ConsolidationReceipt",
    "EraseReceipt",
    "Explanation",
    "Hit",
    "InvalidInputError",
    "Memory",
    "MemoryItem",
    "MemoryNotFoundError",
    "MemweldError",
    "MissingExtraError",
    "Profile",
    "Related",
    "Scope",
    "Session",
    "TaskOutcome",
    "ToolCall",
    "connect",
    "redact_secrets",
    "user_scope",
]
