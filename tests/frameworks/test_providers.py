"""The tools' schemas as the providers' converters send them: nothing is lost, and nothing that a provider refuses."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest
from crewai.utilities.pydantic_schema_utils import (
    generate_model_description,
    sanitize_tool_params_for_anthropic_strict,
    sanitize_tool_params_for_openai_strict,
)
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import ToolMessage
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_google_genai._function_utils import convert_to_genai_function_declarations
from langchain_openai import ChatOpenAI
from mcp_servers import served
from pydantic import SecretStr

import memweld.crewai
import memweld.langchain
from memweld import Memory, connect
from memweld.mcp import create_app
from memweld.testing import HashEmbedder
from memweld.testing.adapters.tools import open_types
from memweld.tools import TOOLS, TOOLSETS

Schemas = Mapping[str, dict[str, Any]]
KEY = SecretStr("none")


@pytest.fixture
def ana() -> Iterator[Memory]:
    with connect("sqlite://", embedder=HashEmbedder()) as backend:
        yield backend.user("ana")


def nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema and all schemas in it."""
    yield schema
    inner = [*schema.get("properties", {}).values(), *(schema.get("anyOf") or ())]
    for part in (*inner, *([schema["items"]] if "items" in schema else [])):
        yield from nodes(part)


def types(schema: dict[str, Any]) -> set[str]:
    """The types that a value may have, however the schema writes them."""
    found = {schema["type"].lower()} if isinstance(schema.get("type"), str) else set[str]()
    found |= {"null"} if schema.get("nullable") else set()
    return found.union(*map(types, schema.get("anyOf") or []))


def check(arrived: Schemas) -> None:
    """Each argument arrives with its description, types and choices, down to the fields of a message."""
    assert set(arrived) == set(TOOLS)
    for name, tool in TOOLS.items():
        assert open_types(arrived[name]) == [], name
        compare(tool.parameters, arrived[name], name)


def compare(sent: dict[str, Any], arrived: dict[str, Any], place: str) -> None:
    sent_properties, properties = sent.get("properties", {}), arrived.get("properties") or {}
    assert list(properties) == list(sent_properties), place
    assert set(arrived.get("required") or ()) >= set(sent.get("required", ())), place
    for name, schema in sent_properties.items():
        other, here = properties[name], f"{place}.{name}"
        assert other["description"] == schema["description"], here
        assert types(other) | {"null"} == types(schema) | {"null"}, here
        choices = [each.get("enum") for each in nodes(schema) if each.get("enum")]
        assert [each.get("enum") for each in nodes(other) if each.get("enum")] == choices, here
        if "items" in schema:
            compare(schema["items"], other["items"], f"{here}[]")


def check_strict(schema: dict[str, Any], place: str) -> None:
    """The rules of strict tools: objects are closed and require all; no references, defaults or titles."""
    for node in nodes(schema):
        if "object" in types(node):
            assert node["additionalProperties"] is False, place
            assert set(node.get("required", ())) == set(node["properties"]), place
        assert not {"$ref", "$defs", "default", "title", "oneOf", "allOf"} & set(node), place


def test_openais_strict_form(ana: Memory) -> None:
    model = ChatOpenAI(model="gpt-5", api_key=KEY)
    bound: Any = model.bind_tools(memweld.langchain.memory_tools(ana, TOOLSETS), strict=True)
    functions = [tool["function"] for tool in bound.kwargs["tools"]]
    assert all(function["strict"] for function in functions)
    arrived = {function["name"]: function["parameters"] for function in functions}
    check(arrived)
    for name, schema in arrived.items():
        check_strict(schema, name)


def test_openais_strict_form_of_tools_over_mcp(ana: Memory) -> None:
    with served(create_app(ana, toolsets=TOOLSETS)) as url, memweld.langchain.mcp_tools(url) as tools:
        bound: Any = ChatOpenAI(model="gpt-5", api_key=KEY).bind_tools(tools, strict=True)
    arrived = {tool["function"]["name"]: tool["function"]["parameters"] for tool in bound.kwargs["tools"]}
    check(arrived)
    for name, schema in arrived.items():
        check_strict(schema, name)


def test_anthropics_form(ana: Memory) -> None:
    model = cast("Any", ChatAnthropic)(model="claude-sonnet-4-5", api_key=KEY)
    bound: Any = model.bind_tools(memweld.langchain.memory_tools(ana, TOOLSETS))
    assert {tool["name"]: tool["input_schema"] for tool in bound.kwargs["tools"]} == {
        name: tool.parameters for name, tool in TOOLS.items()
    }


def test_geminis_form(ana: Memory, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)  # it warns of each `additionalProperties`
    model = ChatGoogleGenerativeAI(model="gemini-2.5-flash", google_api_key=KEY)
    bound: Any = model.bind_tools(memweld.langchain.memory_tools(ana, TOOLSETS))
    (sent,) = convert_to_genai_function_declarations(bound.kwargs["tools"])
    arrived: dict[str, dict[str, Any]] = {}
    for function in sent.function_declarations or ():
        assert function.name is not None
        schema = function.parameters.model_dump(mode="json", exclude_none=True) if function.parameters else {}
        arrived[function.name] = renamed(schema) if schema else {"type": "OBJECT"}
        # Gemini refuses an object whose fields have no names.
        for node in nodes(schema):
            assert "object" not in types(node) or node["properties"], function.name
    check(arrived)


def renamed(schema: Any) -> Any:
    """Gemini's schema with the names of JSON Schema."""
    if isinstance(schema, list):
        return [renamed(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    return {("anyOf" if name == "any_of" else name): renamed(part) for name, part in schema.items()}


@pytest.mark.parametrize(
    "sanitize", [sanitize_tool_params_for_openai_strict, sanitize_tool_params_for_anthropic_strict]
)
def test_crewais_strict_forms(ana: Memory, sanitize: Any) -> None:
    arrived: dict[str, dict[str, Any]] = {}
    for tool in memweld.crewai.memory_tools(ana, TOOLSETS):
        description: Any = generate_model_description(tool.args_schema, strip_null_types=False)
        arrived[tool.name] = sanitize(description["json_schema"]["schema"])
        check_strict(arrived[tool.name], tool.name)
    check(arrived)


def test_a_strict_models_call_is_read(ana: Memory) -> None:
    """It names every argument: null for those that it leaves out, and JSON text for objects."""
    tools = {tool.name: tool for tool in memweld.langchain.memory_tools(ana, TOOLSETS)}

    def call(name: str, **arguments: Any) -> ToolMessage:
        given = dict.fromkeys(TOOLS[name].arguments.model_fields) | arguments
        message: ToolMessage = tools[name].invoke({"type": "tool_call", "id": "1", "name": name, "args": given})
        assert message.status == "success", message.text
        return message

    spoken = [{"role": "user", "content": "I keep bees", "name": None}]
    call("add_memory", messages=spoken, metadata='{"source": "chat"}')
    found = call("search_memories", query="bees", limit=5, filters='{"source": "chat"}')
    assert "I keep bees" in str(found.text)
    memory_id = re.findall(r"ID: (\S+)", str(found.text))[0]
    call("update_memory", memory_id=memory_id, data="I kept bees")
    assert ana.get(memory_id).metadata == {"source": "chat"}
    call("set_state", namespace="trip", key="plan", value='{"days": 3}')
    assert ana.state("trip")["plan"] == {"days": 3}
