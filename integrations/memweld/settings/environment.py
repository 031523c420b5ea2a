"""Reads and validates the ``MEMWELD_*`` variables with pydantic."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, get_type_hints

from pydantic import Field, ValidationError, create_model
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from ..errors import ConfigurationError
from . import PREFIX, Settings

__all__ = ["read_environment"]

_BOUNDS: dict[str, dict[str, Any]] = {"llm_timeout": {"gt": 0}, "cache_mb": {"ge": 0}}

_SHOWN = frozenset({"llm_timeout", "durability", "cache_mb", "lock_user", "engine_tools", "redact"})
"""The variables whose values an error repeats. Any other may hold a key or password."""


class _Base(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")


def _variables() -> type[_Base]:
    types = get_type_hints(Settings)
    fields: dict[str, Any] = {
        field.name: (types[field.name], Field(default=field.default, **_BOUNDS.get(field.name, {})))
        for field in dataclasses.fields(Settings)
    }
    return create_model("Environment", __base__=_Base, **fields)


def read_environment() -> Settings:
    """The settings in the environment.

    Raises:
        ConfigurationError: A variable has a value that it cannot have.
    """
    try:
        settings = Settings(**_variables()().model_dump())
        # Compose files set a variable without a value; an empty name is no user.
        settings = dataclasses.replace(settings, user_id=settings.user_id or None)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        field = "".join(map(str, problem["loc"][:1]))
        shown = repr(problem["input"]) if field in _SHOWN else "not what it should be"
        text = f"The environment variable {PREFIX}{field.upper()} is {shown}: {problem['msg']}. Correct or unset it."
    except SettingsError as error:
        field = next((name for name in get_type_hints(Settings) if f'"{name}"' in str(error)), "*")
        place = f" ({error.__cause__})" if isinstance(error.__cause__, json.JSONDecodeError) else ""
        name = PREFIX + field.upper()
        text = f"The environment variable {name} is not the JSON that it should be{place}. Correct or unset it."
    else:
        if not isinstance(settings.llm, str) or (":" in settings.llm and not settings.llm.lstrip().startswith("{")):
            return settings
        name = f"{PREFIX}LLM"
        text = (
            f"The environment variable {name} is not the JSON that it should be, nor the name of a model, as "
            "openai:gpt-4o-mini. Correct or unset it."
        )
    # Without the cause: pydantic's error and the decoder's hold the value, which may be a key.
    raise ConfigurationError(text)
