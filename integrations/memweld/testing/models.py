"""Models for examples and demonstrations: a real one where one is named, else a script."""

from __future__ import annotations

import os
import re
from typing import Any

from ..errors import ConfigurationError, MissingExtraError

__all__ = ["autogen_model", "crewai_model", "example_model"]

_TIMEOUT = 60


def example_model() -> str | None:
    """The real model that ``MEMWELD_EXAMPLE_MODEL`` names, such as ``openai:gpt-5.5``; None: a script plays it."""
    return os.environ.get("MEMWELD_EXAMPLE_MODEL") or None


def _parts(name: str) -> tuple[str, str]:
    """The provider and the model of ``openai:gpt-5.5`` or ``openai/gpt-5.5``; without one it is OpenAI."""
    found = re.match(r"([a-z_]{1,40})[:/](.+)", name)
    return (found[1], found[2]) if found else ("openai", name)


def crewai_model(script: Any, name: str | None = None) -> Any:
    """A model for CrewAI.

    Args:
        script: The answers of the script: a function, or a list.
        name: The real model; `example_model` if not given.
    """
    name = name or example_model()
    if name is None:
        from .crewai import ScriptedLLM

        return ScriptedLLM(script)
    from crewai import LLM

    provider, model = _parts(name)
    base_url = os.environ.get("OPENAI_BASE_URL") if provider == "openai" else None
    return LLM(model=model, provider=provider, base_url=base_url, timeout=_TIMEOUT)


def autogen_model(script: Any, name: str | None = None) -> Any:
    """A model client for AutoGen, whose real one speaks OpenAI's protocol (``OPENAI_BASE_URL`` names another server).

    Args:
        script: The answers of the script: a function, or a list.
        name: The real model; `example_model` if not given.

    Raises:
        ConfigurationError: The model is not OpenAI's.
        MissingExtraError: The client is not installed.
    """
    name = name or example_model()
    if name is None:
        from .autogen import ScriptedChatCompletionClient

        return ScriptedChatCompletionClient(script)
    provider, model = _parts(name)
    if provider != "openai":
        raise ConfigurationError(f"AutoGen's client is OpenAI's, not {provider}'s: name openai:MODEL.")
    try:
        from autogen_ext.models.openai import OpenAIChatCompletionClient
    except ImportError as error:
        raise MissingExtraError("autogen-ext is not installed; run: pip install 'memweld[examples]'") from error
    from autogen_core.models import ModelFamily, ModelInfo

    # AutoGen knows what a model can do only of some names.
    info = ModelInfo(
        vision=False,
        function_calling=True,
        json_output=True,
        family=ModelFamily.UNKNOWN,
        structured_output=False,
        multiple_system_messages=True,
    )
    return OpenAIChatCompletionClient(model=model, model_info=info, timeout=_TIMEOUT)
