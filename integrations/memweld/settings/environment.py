"""Reads and validates the ``MEMWELD_*`` variables with pydantic."""

from __future__ import annotations

import dataclasses
from typing import Any, get_type_hints

from pydantic import Field, ValidationError, create_model
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from ..errors import ConfigurationError
from . import PREFIX, Settings

__all__ = ["read_environment"]

_BOUNDS: dict[str, dict[str, Any]] = {"llm_timeout": {"gt": 0}, "cache_mb": {"ge": 0}}


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
        return Settings(**_variables()().model_dump())
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        name = PREFIX + "".join(str(part).upper() for part in problem["loc"][:1])
        raise ConfigurationError(
            f"The environment variable {name} is {problem['input']!r}: {problem['msg']}. Correct or unset it."
        ) from error
    except SettingsError as error:
        raise ConfigurationError(
            f"A MEMWELD_* environment variable is not the JSON that it should be: {error}. Correct or unset it."
        ) from error
