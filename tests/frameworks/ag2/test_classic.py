"""`memory_functions`: the adapter suite through AG2 Classic's agents, and the other makers of tools from functions."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
import typing
import warnings
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import agent_framework
import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import ToolCallExecutionEvent
from autogen_core import CancellationToken
from autogen_core.tools import FunctionTool
from langchain_core.tools import StructuredTool
from langchain_core.tools import tool as langchain_tool

import memweld
from memweld import Backend, InvalidInputError, Memory
from memweld.testing import AdapterSuite, Mode, ToolDriver, ToolReply
from memweld.testing.autogen import ScriptedChatCompletionClient
from memweld.testing.autogen import tool_call as autogen_call
from memweld.tools import TOOLS, TOOLSETS, memory_functions

with warnings.catch_warnings():
    # AG2 Classic 0.14 asks its optional packages (jsonschema, websockets) for what they have deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from autogen import ConversableAgent, register_function

CONFIG = {"config_list": [{"model": "scripted", "api_key": "none", "model_client_cls": "Scripted"}]}


class Scripted:
    """A model client as AG2 Classic lets users bring one."""

    def __init__(self, config: Any, responses: list[Any], seen: list[Any]) -> None:
        self.responses, self.seen = responses, seen

    def create(self, params: Any) -> Any:
        self.seen.append(json.loads(json.dumps(params["messages"])))
        response = self.responses.pop(0)
        if isinstance(response, str):
            message = SimpleNamespace(content=response, function_call=None, tool_calls=None)
        else:
            name, arguments = response
            call = {"id": "c1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            message = SimpleNamespace(content=None, function_call=None, tool_calls=[call])
        choice = SimpleNamespace(message=message)
        return SimpleNamespace(id=str(uuid4()), choices=[choice], model="scripted", cost=0)

    def message_retrieval(self, response: Any) -> list[Any]:
        message = response.choices[0].message
        if message.tool_calls is None:
            return [message.content]
        return [{"role": "assistant", "content": None, "tool_calls": message.tool_calls}]

    def cost(self, response: Any) -> float:
        return 0

    @staticmethod
    def get_usage(response: Any) -> dict[str, Any]:
        return {}


def agents(functions: Sequence[Any]) -> tuple[ConversableAgent, ConversableAgent]:
    caller = ConversableAgent("assistant", llm_config=CONFIG, human_input_mode="NEVER")
    executor = ConversableAgent("user", llm_config=False, human_input_mode="NEVER")
    for function in functions:
        register_function(function, caller=caller, executor=executor, description=function.__doc__ or "")
    return caller, executor


class ClassicDriver(ToolDriver):
    modes: tuple[Mode, ...] = ("sync", "async")

    def tool_schemas(self, memory: Memory, tools: Sequence[str] | None = None) -> Mapping[str, Mapping[str, Any]]:
        caller, _ = agents(memory_functions(memory, tools))
        shown = typing.cast("Any", caller.llm_config)["tools"]
        return {each["function"]["name"]: each["function"] for each in shown}

    def _call(self, source: Memory | Backend, name: str, arguments: Mapping[str, Any], mode: Mode) -> ToolReply:
        _, executor = agents(memory_functions(source, asynchronous=mode == "async"))
        call = {"name": name, "arguments": json.dumps(arguments)}
        succeeded, reply = (
            executor.execute_function(call) if mode == "sync" else asyncio.run(executor.a_execute_function(call))
        )
        return ToolReply(reply["content"], not succeeded)

    def call_tool(self, memory: Memory, name: str, arguments: Mapping[str, Any], mode: Mode) -> ToolReply:
        return self._call(memory, name, arguments, mode)

    def call_tool_as(self, backend: Backend, user_id: str | None, name: str, arguments: Mapping[str, Any]) -> ToolReply:
        if user_id is None:
            return self._call(backend, name, arguments, "sync")
        with memweld.user_scope(user_id):
            assert self._call(backend, name, arguments, "async") == self._call(backend, name, arguments, "sync")
            return self._call(backend, name, arguments, "sync")


class TestAG2Classic(AdapterSuite):
    driver = ClassicDriver()


def named(functions: Sequence[Any]) -> dict[str, Any]:
    return {function.__name__: function for function in functions}


class TestClassic:
    def test_a_chat_of_two_agents(self, ana: Memory) -> None:
        ana.add("I keep bees")
        caller, executor = agents(memory_functions(ana))
        seen: list[Any] = []
        script = [("search_memories", {"query": "bees", "limit": 1}), "You keep bees. TERMINATE"]
        caller.register_model_client(Scripted, responses=script, seen=seen)  # type: ignore[arg-type]
        result = executor.initiate_chat(caller, message="What do I keep?", max_turns=2)
        assert "I keep bees (score" in seen[1][-1]["content"]
        assert "You keep bees" in str(result.chat_history[-1]["content"])

    @pytest.mark.parametrize("asynchronous", [False, True])
    async def test_an_asynchronous_chat(self, ana: Memory, asynchronous: bool) -> None:
        caller, executor = agents(memory_functions(ana, asynchronous=asynchronous))
        script = [("set_preference", {"key": "theme", "value": "dark"}), "Done. TERMINATE"]
        caller.register_model_client(Scripted, responses=script, seen=[])  # type: ignore[arg-type]
        await executor.a_initiate_chat(caller, message="Make it dark", max_turns=2)
        assert ana.preferences.all() == {"theme": "dark"}

    def test_schemas_have_no_reference_that_leads_nowhere(self, ana: Memory) -> None:
        for schema in ClassicDriver().tool_schemas(ana, TOOLSETS).values():
            assert "$ref" not in json.dumps(schema)
        messages = ClassicDriver().tool_schemas(ana)["add_memory"]["parameters"]["properties"]["messages"]
        assert set(messages["items"]["properties"]) == {"role", "content", "name"}


class TestFunctions:
    def test_what_is_inspected(self, ana: Memory) -> None:
        functions = named(memory_functions(ana, TOOLSETS))
        assert list(functions) == list(TOOLS)
        for name, function in functions.items():
            assert inspect.isfunction(function)
            assert (function.__qualname__, function.__doc__) == (name, TOOLS[name].description)
            hints = typing.get_type_hints(function, include_extras=True)
            assert set(hints) == {*inspect.signature(function).parameters, "return"}
            for parameter, field in TOOLS[name].arguments.model_fields.items():
                given = inspect.signature(function).parameters[parameter]
                assert given.default == (inspect.Parameter.empty if field.is_required() else field.default)
                assert hints[parameter].__metadata__[0] == field.description
        assert typing.get_type_hints(functions["search_memories"])["limit"] == int | None

    def test_they_are_functions(self, ana: Memory) -> None:
        functions = named(memory_functions(ana))
        assert functions["add_memory"]([{"role": "user", "content": "I keep bees"}]).startswith("Added 1")
        assert "I keep bees" in functions["search_memories"]("bees", limit=1)
        assert "I keep bees" in functions["get_all_memories"]()
        delete = functions["delete_memory"]
        for wrong in (lambda: delete("a", "b"), lambda: delete("a", memory_id="b")):
            with pytest.raises(InvalidInputError, match="takes each argument once"):
                wrong()
        with pytest.raises(InvalidInputError, match="user_id: Extra inputs"):
            functions["get_all_memories"](user_id="bob")

    async def test_errors_as_text(self, ana: Memory) -> None:
        for asynchronous in (False, True):
            (function,) = memory_functions(ana, ["get_memory"], errors="text", asynchronous=asynchronous)
            answer = function(memory_id="x")
            assert (await answer if asynchronous else answer) == "Error: No memory exists with ID x"
        with pytest.raises(InvalidInputError):
            memory_functions(ana, errors="silence")  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError):
            memory_functions(ana, ["no_such_tool"])
        with pytest.raises(InvalidInputError):
            memory_functions("ana")  # type: ignore[arg-type]

    def test_no_framework_is_imported(self) -> None:
        code = (
            "import sys, memweld; from memweld.tools import memory_functions\n"
            "memory_functions(memweld.connect('sqlite://'))\n"
            "print(sorted({'autogen', 'autogen_core', 'ag2', 'langchain_core', 'agent_framework'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"


class TestOtherMakers:
    async def test_autogens_function_tool(self, ana: Memory) -> None:
        for name, function in named(memory_functions(ana, TOOLSETS)).items():
            schema = FunctionTool(function, description=function.__doc__, name=name).schema
            assert set(schema.get("parameters", {}).get("properties", {})) == set(TOOLS[name].arguments.model_fields)
        tool = FunctionTool(named(memory_functions(ana))["add_memory"], description="Remember")
        answer = await tool.run_json({"messages": [{"role": "user", "content": "I keep bees"}]}, CancellationToken())
        assert answer == "Added 1 memories for user ana"

    async def test_an_autogen_agent_with_a_backend(self, backend: Backend) -> None:
        """In AutoGen's threads a sync function has no user: an error, never somebody; async ones have."""
        call = autogen_call("set_preference", {"key": "theme", "value": "dark"})

        async def ask(*, asynchronous: bool) -> Any:
            functions = memory_functions(backend, ["set_preference"], asynchronous=asynchronous)
            agent = AssistantAgent("a", model_client=ScriptedChatCompletionClient([call]), tools=[*functions])
            with memweld.user_scope("ana"):
                result = await agent.run(task="Dark, please")
            event = next(each for each in result.messages if isinstance(each, ToolCallExecutionEvent))
            return event.content[0]

        refused = await ask(asynchronous=False)
        assert refused.is_error
        assert "No user is known" in refused.content
        assert not (await ask(asynchronous=True)).is_error
        assert backend.user("ana").preferences.all() == {"theme": "dark"}

    def test_langchains_tool(self, ana: Memory) -> None:
        functions = named(memory_functions(ana, TOOLSETS, errors="text"))
        for name, function in functions.items():
            for tool in (langchain_tool(function), StructuredTool.from_function(function)):
                assert (tool.name, tool.description) == (name, TOOLS[name].description)
                assert set(tool.args) == set(TOOLS[name].arguments.model_fields)
        tool = langchain_tool(functions["add_memory"])
        assert tool.invoke({"messages": [{"role": "user", "content": "I keep bees"}]}).startswith("Added 1")
        assert tool.args["messages"]["items"]["properties"]["role"]["description"]
        assert langchain_tool(functions["search_memories"]).args["limit"]["maximum"] == 50
        assert langchain_tool(functions["get_memory"]).invoke({"memory_id": "x"}).startswith("Error: No memory exists")

    def test_agent_frameworks_tool(self, ana: Memory) -> None:
        for name, function in named(memory_functions(ana, TOOLSETS, errors="text")).items():
            fields = set(TOOLS[name].arguments.model_fields)
            assert set(agent_framework.tool(function).parameters().get("properties", {})) == fields
