"""memweld for AutoGen: memory tools, a Memory for agents, and a model context that keeps its session.

::

    from memweld.autogen import MemweldChatCompletionContext, memory_tools

    agent = AssistantAgent(
        "assistant",
        model_client=client,
        tools=memory_tools(ana),
        model_context=MemweldChatCompletionContext(ana, "session-1"),
    )
"""

from ..errors import missing_extra

try:
    import autogen_core as _autogen_core
except ImportError as error:
    raise missing_extra("autogen", "autogen-core") from error

from ..adapters.saved_config import loading_with
from .context import MemweldChatCompletionContext
from .mem0_compat import Mem0Memory
from .memory import MemweldMemory
from .tools import MemweldTool, MemweldToolAnswer, memory_tools, memory_workbench

del _autogen_core

__all__ = [
    "Mem0Memory",
    "MemweldChatCompletionContext",
    "MemweldMemory",
    "MemweldTool",
    "MemweldToolAnswer",
    "loading_with",
    "memory_tools",
    "memory_workbench",
]
