"""The agent tools as plain annotated functions, for any framework that makes tools of functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, JsonValue, WithJsonSchema
from pydantic.fields import FieldInfo

from ..errors import invalid
from ..memory.memory import Memory
from ..tools import MemoryTool, select_tools
from .binding import MemorySource, resolve_memory, validate_source
from .tools import ToolOutcome, run_tool, run_tool_async

__all__ = ["Errors", "memory_functions"]

Errors: TypeAlias = Literal["raise", "text"]
"""How a function reports what went wrong: it raises a `MemweldError`, or answers ``Error: …`` for the model to read."""

_MODULE = "memweld.tools"


def memory_functions(
    memory: MemorySource, tools: Sequence[str] | None = None, *, errors: Errors = "raise", asynchronous: bool = False
) -> list[Callable[..., Any]]:
    """The memory tools as functions with real names, signatures, type hints and docstrings.

    They import no framework, and frameworks that make tools of functions take them: AG2 Classic and AutoGen of any age
    (``register_function``, ``FunctionTool``), LangChain's ``@tool``, or ``inspect.signature`` and a loop of your own.
    Where memweld has an adapter, the adapter's own tools know more. Each parameter is
    ``Annotated[type, "description", Field(…)]``, each answer is the text that a model reads. Whose memory they work
    on is no parameter.

    Args:
        memory: A memory; or a backend, then each call is for the user of `memweld.user_scope`. A framework that runs
            sync functions in bare threads (``autogen_core``) loses that user: take ``asynchronous=True`` there.
        tools: Toolsets or names of tools (see `memweld.tools`); memory, preferences and tasks if None.
        errors: ``raise`` for frameworks that show a tool's exception to the model, as AutoGen and AG2 Classic do;
            ``text`` for those that end the run by it or hide it: LangChain's ``@tool``, Agent Framework's.
        asynchronous: Coroutine functions, whose work is done in a thread.

    Raises:
        InvalidInputError: ``memory`` is neither, a word in ``tools`` is neither a toolset nor a tool, or ``errors`` is
            another word.
    """
    if errors not in ("raise", "text"):
        raise invalid("errors", errors, "it is raise or text", "Choose one.")
    source = validate_source(memory)
    return [_function(source, tool, errors, asynchronous=asynchronous) for tool in select_tools(tools)]


def _function(source: MemorySource, tool: MemoryTool, errors: Errors, *, asynchronous: bool) -> Callable[..., Any]:
    def resolve() -> Memory:
        return resolve_memory(source)

    def call(*args: Any, **kwargs: Any) -> str:
        arguments = _arguments(tool, args, kwargs)
        if isinstance(arguments, ToolOutcome):
            return _reported(arguments, errors)
        return _reported(run_tool(tool, resolve, arguments), errors)

    async def call_async(*args: Any, **kwargs: Any) -> str:
        arguments = _arguments(tool, args, kwargs)
        if isinstance(arguments, ToolOutcome):
            return _reported(arguments, errors)
        return _reported(await run_tool_async(tool, resolve, arguments), errors)

    return _dressed(call_async if asynchronous else call, tool)


def _arguments(tool: MemoryTool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | ToolOutcome:
    positional = dict(zip(tool.arguments.model_fields, args, strict=False))
    if len(args) > len(positional) or positional.keys() & kwargs.keys():
        error = invalid("arguments", args, f"{tool.name} takes each argument once", "Pass them by name.")
        return ToolOutcome(str(error), error=error)
    return positional | kwargs


def _reported(outcome: ToolOutcome, errors: Errors) -> str:
    if outcome.error is not None and errors == "raise":
        raise outcome.error
    return outcome.marked


def _dressed(function: Callable[..., Any], tool: MemoryTool) -> Callable[..., Any]:
    """Give the function what its callers inspect: name, documentation, annotations and signature."""
    parameters = [_parameter(name, field) for name, field in tool.arguments.model_fields.items()]
    parameters.sort(key=lambda parameter: parameter.default is not inspect.Parameter.empty)
    function.__name__ = function.__qualname__ = tool.name
    function.__module__ = _MODULE
    function.__doc__ = tool.description
    function.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": str}
    vars(function)["__signature__"] = inspect.Signature(parameters, return_annotation=str)
    return function


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    default = inspect.Parameter.empty if field.is_required() else field.get_default(call_default_factory=True)
    # AG2 Classic and autogen-core read the first piece of metadata, and only if it is text; pydantic reads the field
    # and its limits, and skips text.
    annotation: Any = Annotated[_plain(field.annotation), field.description or name, _limits(field)]
    if default is not inspect.Parameter.empty:
        # Models write null for an argument that they leave out.
        annotation = Annotated[annotation, BeforeValidator(lambda value: default if value is None else value)]
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation)


def _limits(field: FieldInfo) -> FieldInfo:
    """The field's description and limits, without its default, which the signature has."""
    limits = FieldInfo(description=field.description)
    limits.metadata = list(field.metadata)
    return limits


def _plain(annotation: Any) -> Any:
    """The type without models of ours: an object is a dict that carries its schema.

    AG2 Classic 0.14 writes a model's schema with references that lead nowhere, and FastDepends 3 cannot resolve the
    recursive `JsonValue`. The tool itself checks what comes in.
    """
    if annotation is JsonValue:
        return Any
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return Annotated[dict[str, Any], WithJsonSchema(annotation.model_json_schema())]
    origin, arguments = get_origin(annotation), tuple(map(_plain, get_args(annotation)))
    if origin in (list, dict):
        generic: Any = origin
        return generic[arguments]
    return Union[arguments] if arguments else annotation  # noqa: UP007 - the members are not known before
