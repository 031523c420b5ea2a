"""A scripted chat model for LangChain: it says what it is told to, and keeps what it was shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages import ToolCall as LangChainToolCall
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import PrivateAttr

from ..memory.messages import new_id
from .script import Script, ScriptedModel

__all__ = ["ModelCall", "Response", "ScriptedChatModel", "tool_call"]

Answer: TypeAlias = "str | AIMessage"

Response: TypeAlias = "Answer | BaseException"
"""An answer of the model: text, a message (see `tool_call`), or an error that it raises."""


def tool_call(name: str, arguments: Mapping[str, Any] | None = None) -> AIMessage:
    """An answer that calls a tool, for a script."""
    call = LangChainToolCall(name=name, args=dict(arguments or {}), id=new_id(), type="tool_call")
    return AIMessage(content="", tool_calls=[call])


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call as the model saw it.

    Attributes:
        messages: The messages, the system message first if there is one.
        tools: The schemas of the tools that were bound, in OpenAI's form.
    """

    messages: list[BaseMessage]
    tools: list[dict[str, Any]]

    @property
    def text(self) -> str:
        """All text of the messages."""
        return "\n".join(str(message.text) for message in self.messages)


class ScriptedChatModel(BaseChatModel, ScriptedModel[ModelCall]):
    """A chat model that needs no key, no server and no download. Thread-safe, sync and async.

    Args:
        responses: What to answer, one after the other; or a function from a `ModelCall` to the answer.

    Raises:
        RuntimeError: On a call, when the script is at its end.
    """

    _script: Script[ModelCall, Answer] = PrivateAttr()

    def __init__(self, responses: Iterable[Response] | Callable[[ModelCall], Response] = (), **fields: Any) -> None:
        super().__init__(**fields)
        self._script = Script(responses, _last_text)

    @property
    def _llm_type(self) -> str:
        return "memweld-scripted"

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: str | None = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Take the tools; their schemas are in `calls`."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], tool_choice=tool_choice, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002 - LangChain's signature
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        call = ModelCall(messages=[message.model_copy() for message in messages], tools=kwargs.get("tools") or [])
        response = self._script.answer(call)
        # A copy: LangChain writes an id into the message that it is given.
        answer = AIMessage(content=response) if isinstance(response, str) else response.model_copy()
        return ChatResult(generations=[ChatGeneration(message=answer)])


def _last_text(call: ModelCall) -> str | None:
    return str(call.messages[-1].text) if call.messages else None
