"""The agent tools as plain annotated functions, for any framework that makes tools of functions."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal, TypeAlias, Union, cast, get_args, get_origin

from pydantic import BaseModel, JsonValue, WithJsonSchema
from pydantic.fields import FieldInfo

from ..errors import invalid
from ..memory.memory import Memory
from ..memory.source import MemorySource, validate_source
from ..scope import current_user
from .call import ToolOutcome, run_tool, run_tool_async
from .registry import select_tools
from .run import MemoryTool

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
    ``Annotated[type, "description", …]``, each answer is the text that a model reads. Whose memory they work
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
        return source if isinstance(source, Memory) else source.scoped(current_user())

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
    properties = tool.parameters["properties"]
    parameters = [_parameter(name, field, properties[name]) for name, field in tool.arguments.model_fields.items()]
    parameters.sort(key=lambda parameter: parameter.default is not inspect.Parameter.empty)
    function.__name__ = function.__qualname__ = tool.name
    function.__module__ = _MODULE
    function.__doc__ = tool.description
    function.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": str}
    vars(function)["__signature__"] = inspect.Signature(parameters, return_annotation=str)
    return function


def _parameter(name: str, field: FieldInfo, schema: dict[str, Any]) -> inspect.Parameter:
    default = inspect.Parameter.empty if field.is_required() else field.get_default(call_default_factory=True)
    members = _plain_types(field.annotation)
    # Models write null for an argument that they leave out, and text for a list or an object. Frameworks check the type
    # before the function is called; the tool itself checks what comes in.
    if default is not inspect.Parameter.empty:
        members.append(type(None))
    if any(each is Any or get_origin(each) in (list, dict) for each in members):
        members.append(str if Any in members else Any)
    if len(members) > 1:
        # AG2 Classic 0.14 keeps of an annotation's metadata the first piece alone, if that is text. So each member of
        # the union carries the schema: pydantic writes equal ones once.
        members = [Annotated[each, WithJsonSchema(schema)] for each in members]
    annotation: Any = Annotated[Union[tuple(members)], field.description or name, _described(field)]  # noqa: UP007
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation)


def _described(field: FieldInfo) -> FieldInfo:
    return FieldInfo(description=field.description)


def _plain_types(annotation: Any) -> list[Any]:
    """The members of a type, in types of JSON: a model is a dict, a time its number, any JSON value is anything.

    AG2 Classic 0.14 writes a model's schema with references that lead nowhere, and FastDepends 3 cannot resolve the
    recursive `JsonValue`.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in (JsonValue, timedelta):
        return [Any if annotation is JsonValue else float]
    if origin is Annotated:
        return _plain_types(arguments[0])
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [dict[str, Any]]
    if origin in (list, dict):
        inner = tuple(Union[tuple(_plain_types(each))] for each in arguments)  # noqa: UP007
        return [cast("Any", origin)[inner]]
    if origin in (Union, types.UnionType):
        return [plain for each in arguments for plain in _plain_types(each)]
    return [annotation]
