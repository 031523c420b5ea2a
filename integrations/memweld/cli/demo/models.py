"""The models of the demo: real ones where there is a key, else scripted ones that say so.

A scripted model has no knowledge of its own: it repeats what memweld put before it, which is the point of the demo.
"""

from __future__ import annotations

import os
import re
from typing import Any

from ...errors import MissingExtraError

__all__ = ["autogen_model", "crewai_model", "is_real", "langchain_model", "model_name", "remembered"]

_MEMORY = re.compile(r"^\s*- \[\d{4}-\d\d-\d\d\] (.+)$", re.MULTILINE)


def is_real() -> bool:
    """Whether real models are used: there is a key for an OpenAI-compatible API."""
    return bool(os.environ.get("OPENAI_API_KEY"))


def model_name() -> str:
    """The real model, ``OPENAI_MODEL`` or a small one."""
    return os.environ.get("OPENAI_MODEL", "gpt-4o-mini")


def remembered(shown: str) -> list[str]:
    """The memories in what a model was shown, each once."""
    return list(dict.fromkeys(line.strip() for line in _MEMORY.findall(shown)))


def langchain_model(script: Any) -> Any:
    """A chat model for LangChain; ``script`` is what the scripted one answers."""
    if is_real():
        try:
            from langchain_openai import ChatOpenAI
        except ImportError as error:
            raise MissingExtraError("langchain-openai is not installed; run: pip install langchain-openai") from error
        return ChatOpenAI(model=model_name(), timeout=60)
    from ...testing.langchain import ScriptedChatModel

    return ScriptedChatModel(script)


def crewai_model(script: Any) -> Any:
    """A model for CrewAI."""
    if is_real():
        from crewai import LLM

        return LLM(model=model_name(), provider="openai", base_url=os.environ.get("OPENAI_BASE_URL"), timeout=60)
    from ...testing.crewai import ScriptedLLM

    return ScriptedLLM(script)


def autogen_model(script: Any) -> Any:
    """A model client for AutoGen."""
    if is_real():
        try:
            from autogen_ext.models.openai import OpenAIChatCompletionClient
        except ImportError as error:
            raise MissingExtraError("autogen-ext is not installed; run: pip install 'autogen-ext[openai]'") from error
        from autogen_core.models import ModelFamily, ModelInfo

        info = ModelInfo(
            vision=False,
            function_calling=True,
            json_output=True,
            family=ModelFamily.UNKNOWN,
            structured_output=False,
            multiple_system_messages=True,
        )
        return OpenAIChatCompletionClient(model=model_name(), model_info=info, timeout=60)
    from ...testing.autogen import ScriptedChatCompletionClient

    return ScriptedChatCompletionClient(script)
