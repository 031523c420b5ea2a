"""LangChain's own suites (langchain-tests), over every memory tool and the retriever, for one user and for many.

Its other suites are for chat models, embeddings, vector stores, indexes, caches, sandboxes and the key-value stores of
langchain-core, none of which memweld offers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import RetrieversIntegrationTests, ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

import memweld
from memweld import Backend, Memory
from memweld.adapters.binding import MemorySource
from memweld.langchain import MemweldRetriever, memory_tools
from memweld.tools import TOOLS, TOOLSETS


@pytest.fixture
def ana(backend: Backend) -> Memory:
    memory = backend.user("ana")
    for text in ("Ana keeps bees", "The bees are in the garden", "Bees like lavender", "Bees sleep in winter"):
        memory.add(text)
    memory.preferences.set("theme", "dark")
    memory.state("trip").set("step", 2)
    memory.history("s").add_user_message("Hello")
    return memory


@pytest.fixture(params=["memory", "backend"])
def source(request: pytest.FixtureRequest, backend: Backend, ana: Memory) -> Iterator[MemorySource]:
    """A memory of one user; and a backend, whose user the surrounding scope names."""
    if request.param == "memory":
        yield ana
    else:
        with memweld.user_scope("ana"):
            yield backend


def example(name: str, memory: Memory) -> dict[str, Any]:
    """Arguments with which the tool succeeds."""
    memory_id = memory.all(kinds="item")[0].id
    examples: dict[str, dict[str, Any]] = {
        "add_memory": {"messages": [{"role": "user", "content": "I keep a dog"}], "metadata": {"source": "form"}},
        "search_memories": {"query": "bees", "limit": 3},
        "get_memory": {"memory_id": memory_id},
        "get_profile": {},
        "get_all_memories": {},
        "update_memory": {"memory_id": memory_id, "data": "Ana kept bees"},
        "delete_memory": {"memory_id": memory_id},
        "delete_all_memories": {},
        "get_preferences": {"key": "theme"},
        "set_preference": {"key": "diet", "value": {"vegan": True}},
        "get_task_context": {"task_id": "ship-42", "limit": 2},
        "record_task_outcome": {"task_id": "ship-42", "outcome": "Delivered", "success": True},
        "set_state": {"namespace": "trip", "key": "step", "value": [1, 2]},
        "get_state": {"namespace": "trip", "key": "step"},
        "delete_state": {"namespace": "trip", "key": "step"},
        "list_state_keys": {"namespace": "trip"},
        "add_messages": {"session_id": "s", "messages": [{"role": "user", "content": "Hello"}]},
        "get_messages": {"session_id": "s", "limit": 5},
        "clear_messages": {"session_id": "s"},
    }
    return examples[name]


class EveryTool:
    """The tool and its arguments, for the suites."""

    @pytest.fixture(autouse=True, params=sorted(TOOLS))
    def bind(self, request: pytest.FixtureRequest, source: MemorySource, ana: Memory) -> None:
        (self._tool,) = memory_tools(source, [request.param])
        self._example = example(request.param, ana)

    @property
    def tool_constructor(self) -> BaseTool:
        return self._tool

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return self._example


class TestToolsUnit(EveryTool, ToolsUnitTests):
    pass


class TestToolsIntegration(EveryTool, ToolsIntegrationTests):
    pass


def test_the_examples_succeed(ana: Memory) -> None:
    """The suites take a tool's error for an answer, too."""
    for tool in memory_tools(ana, TOOLSETS):
        if tool.name != "delete_all_memories":
            call = {"type": "tool_call", "id": "1", "name": tool.name, "args": example(tool.name, ana)}
            assert tool.invoke(call).status == "success", tool.name


class TestRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def bind(self, source: MemorySource) -> None:
        self._source = source

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return MemweldRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"memory": self._source}

    @property
    def retriever_query_example(self) -> str:
        return "bees"
