"""Running a memory tool for an agent: the user, the arguments, the lane, and errors that a model may read."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import MemweldError, for_log
from ..memory.asynchronous import in_thread
from ..memory.content import program_ends
from ..memory.memory import Memory
from ..models import JSON
from ..safe_text import safe_for_model
from .answers import INDENTED
from .errors import OutageLog, readable_error
from .run import MemoryTool

__all__ = ["ToolOutcome", "run_tool", "run_tool_async"]

_logger = logging.getLogger("memweld.tools")
_outages = OutageLog(_logger)


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """The outcome of a tool call.

    Attributes:
        text: What the model reads: the answer, or what is wrong and what to do.
        data: The answer as JSON; empty after an error.
        error: What went wrong; None if nothing did. Its text is safe for a model.
    """

    text: str
    data: dict[str, JSON] = field(default_factory=dict[str, JSON])
    error: MemweldError | None = None

    @property
    def is_error(self) -> bool:
        """Whether it went wrong."""
        return self.error is not None

    @property
    def marked(self) -> str:
        """The text, an error behind ``Error:``, for frameworks that have no other mark for one."""
        return f"Error: {self.text}" if self.is_error else self.text


def run_tool(tool: MemoryTool, resolve: Callable[[], Memory], arguments: object) -> ToolOutcome:
    """Run a tool and report all that goes wrong as an outcome. It raises only what ends a program or a task.

    Args:
        tool: The tool.
        resolve: Finds the memory of the user of the call.
        arguments: What the model passed: a mapping. Anything else is an error that the model reads.
    """
    try:
        memory = resolve()
        answer = tool.run(memory, tool.validate(arguments))
    except program_ends():
        raise
    except BaseException as error:  # noqa: BLE001 - a library's panic is no exception of Python's
        return _failure(tool, error)
    return ToolOutcome(answer.text, answer.data)


async def run_tool_async(tool: MemoryTool, resolve: Callable[[], Memory], arguments: object) -> ToolOutcome:
    """`run_tool` for async code: the user is found here, the work is done in a thread."""
    try:
        memory = resolve()
    except program_ends():
        raise
    except BaseException as error:  # noqa: BLE001 - as in run_tool
        return _failure(tool, error)
    return await in_thread(functools.partial(run_tool, tool, lambda: memory, arguments), lane=tool.lane)


def _failure(tool: MemoryTool, error: BaseException) -> ToolOutcome:
    if isinstance(error, MemweldError):
        _outages.note(error)
    else:
        _logger.warning("memweld: the tool %s failed", tool.name, exc_info=for_log(error))
    readable = readable_error(error, tool=tool.name)
    return ToolOutcome(safe_for_model(str(readable), line_break=INDENTED), error=readable)
