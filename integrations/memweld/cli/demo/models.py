"""The models of the demo: real ones where there is a key, else scripted ones that say so.

A scripted model has no knowledge of its own: it repeats what memweld put before it, which is the point of the demo.
"""

from __future__ import annotations

import os
import re
from typing import Any

from ...errors import MissingExtraError

__all__ = ["autogen_model", "crewai_model", "is_real", "langchain_model", "model_name", "remembered"]

_MEMORY = re.compile(r"^\s{0,8}- \[\d{4}-\d\d-\d\d\] (.+)", re.MULTILINE)


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
    from ...testing import models

    return models.crewai_model(script, f"openai:{model_name()}" if is_real() else None)


def autogen_model(script: Any) -> Any:
    """A model client for AutoGen."""
    from ...testing import models

    return models.autogen_model(script, f"openai:{model_name()}" if is_real() else None)
