"""LangMem's tools and managers on MemweldStore."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import ToolMessage
from langchain_core.tools import BaseTool
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.warnings import LangGraphDeprecatedSinceV10

import memweld
from memweld import Backend, Memory, connect, user_scope
from memweld.langchain import MemweldStore
from memweld.testing import HashEmbedder, Mode
from memweld.testing.langchain import ScriptedChatModel, tool_call

if sys.version_info < (3, 11):
    pytest.skip("langmem 0.0.30 needs Python 3.11", allow_module_level=True)

with warnings.catch_warnings():
    # trustcall 0.0.39, which langmem imports, reads a name that LangGraph has moved.
    warnings.simplefilter("ignore", LangGraphDeprecatedSinceV10)
    from langmem import create_manage_memory_tool, create_memory_store_manager, create_search_memory_tool


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    with connect(f"sqlite:///{tmp_path / 'memory.db'}", embedder=HashEmbedder()) as backend:
        yield backend


def langmem_tools(store: BaseStore | None) -> list[BaseTool]:
    namespace = ("memories", "{user_id}")
    return [
        create_manage_memory_tool(namespace=namespace, store=store),
        create_search_memory_tool(namespace=namespace, store=store),
    ]


def memorise(store: BaseStore | None, tools: list[BaseTool], config: Any, mode: Mode) -> list[str]:
    """An agent that makes, finds, changes, finds, deletes and no more finds a memory; what its tools answered."""

    def script() -> Iterator[Any]:
        yield tool_call("manage_memory", {"content": "Ana keeps bees", "action": "create"})
        yield tool_call("search_memory", {"query": "bees"})
        identity = answers[-1].partition('"key":"')[2].partition('"')[0] or answers[0].split()[-1]
        yield tool_call("manage_memory", {"content": "Ana keeps wasps", "action": "update", "id": identity})
        yield tool_call("search_memory", {"query": "wasps"})
        yield tool_call("manage_memory", {"action": "delete", "id": identity})
        yield tool_call("search_memory", {"query": "wasps"})
        yield "Done."

    answers: list[str] = []
    steps = script()

    def answer(call: Any) -> Any:
        if isinstance(call.messages[-1], ToolMessage):
            answers.append(str(call.messages[-1].content))
        return next(steps)

    agent = create_agent(ScriptedChatModel(answer), tools=tools, store=store)
    state: Any = {"messages": [{"role": "user", "content": "Go"}]}
    agent.invoke(state, config) if mode == "sync" else asyncio.run(agent.ainvoke(state, config))
    return answers


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("given", ["to the tools", "to the agent"])
def test_langmem_runs_on_it(backend: Backend, given: str, mode: Mode) -> None:
    config = {"configurable": {"user_id": "ana"}}
    store = MemweldStore(backend)
    in_tools, in_agent = (store, None) if given == "to the tools" else (None, store)
    created, found, updated, again, deleted, nothing = memorise(in_agent, langmem_tools(in_tools), config, mode)
    assert (created.split()[0], updated.split()[0], deleted.split()[0]) == ("created", "updated", "Deleted")
    assert ("Ana keeps bees" in found, "Ana keeps wasps" in again, nothing) == (True, True, "[]")
    memory = backend.user("ana")
    assert (memory.all(), memory.values.namespaces()) == ([], [])


def test_langmem_answers_as_on_an_in_memory_store(ana: Memory) -> None:
    config = {"configurable": {"user_id": "ana"}}
    embedder = HashEmbedder()

    def embed(texts: Sequence[str]) -> list[list[float]]:
        return [embedder.embed_query(text) for text in texts]

    reference = InMemoryStore(index={"dims": 64, "embed": embed, "fields": ["content"]})
    shapes: list[list[list[str]]] = []
    for store in (reference, MemweldStore(ana)):
        answers = memorise(None, langmem_tools(store), config, "sync")
        shapes.append([sorted(word for word in answer.split() if word.isalpha()) for answer in answers])
    assert shapes[0] == shapes[1]


def test_langmem_memories_are_recalled_elsewhere(backend: Backend) -> None:
    manage, _ = langmem_tools(MemweldStore(backend))
    config: Any = {"configurable": {"user_id": "ana"}}
    manage.invoke({"content": "Ana keeps bees", "action": "create"}, config)
    assert "Ana keeps bees" in backend.user("ana").recall("what does she keep?")
    assert backend.user("bob").recall("what does she keep?") == ""
    with pytest.raises(memweld.MemweldError), user_scope("bob"):
        manage.invoke({"content": "Bob keeps bees", "action": "create"}, config)


def test_langmem_extracts_memories_into_it(backend: Backend) -> None:
    model = ScriptedChatModel([tool_call("Memory", {"content": "Ana keeps bees"})])
    manager = create_memory_store_manager(model, namespace=("memories", "{user_id}"), store=MemweldStore(backend))
    turn: Any = {"messages": [{"role": "user", "content": "I keep bees"}]}
    # langmem 0.0.30 does not set the config that it is given; within a node of a graph it is set already.
    with user_scope("ana"):
        manager.invoke(turn, {"configurable": {"user_id": "ana"}})
    assert "Ana keeps bees" in backend.user("ana").recall("what does she keep?")
    assert backend.user("bob").all() == []
