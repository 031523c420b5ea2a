"""A scripted model for CrewAI: it says what it is told to, and keeps what it was shown."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from crewai.llms.base_llm import BaseLLM
from pydantic import PrivateAttr

from ..memory.messages import new_id
from ..models import ToolCall
from .script import Script, ScriptedModel

__all__ = ["ModelCall", "Response", "ScriptedLLM", "tool_call"]

Answer: TypeAlias = "str | ToolCall | Sequence[ToolCall]"

Response: TypeAlias = "Answer | BaseException"
"""An answer of the model: text, a tool call, several at once, or an error that it raises."""


def tool_call(name: str, arguments: Mapping[str, Any] | None = None) -> ToolCall:
    """A call of a tool, for a script."""
    return ToolCall(id=new_id(), name=name, arguments=dict(arguments or {}))


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call as the model saw it.

    Attributes:
        messages: The messages, as CrewAI passed them.
        tools: The schemas of the tools, as CrewAI passed them.
    """

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]]

    @property
    def text(self) -> str:
        """All text of the messages."""
        return "\n".join(str(message.get("content") or "") for message in self.messages)


class ScriptedLLM(BaseLLM, ScriptedModel[ModelCall]):
    """A model for `crewai.Agent` that needs no key, no server and no download.

    Thread-safe; copies (as `Crew.copy` makes them) share the script and the record.

    Args:
        responses: What to answer, one after the other; or a function from a `ModelCall` to the answer.
        function_calling: Whether it takes tools natively; else CrewAI describes them in the prompt and reads calls out
            of the text.

    Raises:
        RuntimeError: On a call, when the script is at its end.
    """

    _script: Script[ModelCall, Answer] = PrivateAttr()
    _function_calling: bool = PrivateAttr(default=True)

    def __init__(
        self,
        responses: Iterable[Response] | Callable[[ModelCall], Response] = (),
        *,
        function_calling: bool = True,
        model: str = "scripted",
    ) -> None:
        super().__init__(model=model, provider="memweld")
        self._function_calling = function_calling
        self._script = Script(responses, _last_text)

    def call(self, messages: str | list[Any], tools: list[Any] | None = None, *_: Any, **__: Any) -> str | Any:
        """Answer the next response of the script."""
        shown = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        given = ModelCall(messages=copy.deepcopy(shown), tools=copy.deepcopy(tools or []))
        response = self._script.answer(given)
        if isinstance(response, str):
            return response
        return [_openai(each) for each in ([response] if isinstance(response, ToolCall) else response)]

    async def acall(self, messages: str | list[Any], tools: list[Any] | None = None, *_: Any, **__: Any) -> str | Any:
        """The same for CrewAI's asynchronous paths."""
        return self.call(messages, tools)

    def supports_function_calling(self) -> bool:
        """Whether it takes tool schemas and answers with tool calls."""
        return self._function_calling

    def supports_stop_words(self) -> bool:
        """It stops by itself."""
        return False

    def get_context_window_size(self) -> int:
        """Large enough that nothing is summarised."""
        return 1_000_000

    def get_input_tokens_count(self, messages: str | list[Any], *_: Any, **__: Any) -> int:
        """An estimate, without the warning that CrewAI's own logs."""
        return len(str(messages)) // 4


def _openai(call: ToolCall) -> dict[str, Any]:
    arguments = json.dumps(cast("dict[str, Any]", call.arguments))
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _last_text(call: ModelCall) -> object:
    return call.messages[-1].get("content") if call.messages else None
