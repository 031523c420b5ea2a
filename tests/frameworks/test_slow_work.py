"""Slow work holds up no quick work: while 40 texts wait for an embedder, a search is answered on every surface."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, TypeAlias

import anyio
import httpx
import pytest
from fastmcp import Client
from langchain.agents import create_agent
from mcp_servers import served

from memweld import Backend, connect
from memweld.ag2 import memory_tools as ag2_tools
from memweld.agent_framework import memory_tools as framework_tools
from memweld.autogen import MemweldMemory as AutogenMemory
from memweld.autogen import memory_tools as autogen_tools
from memweld.crewai import MemweldMemory as CrewMemory
from memweld.crewai import memory_tools as crew_tools
from memweld.langchain import MemweldMiddleware, MemweldRetriever, MemweldStore
from memweld.langchain import memory_tools as langchain_tools
from memweld.mcp import create_app, create_server
from memweld.testing import HashEmbedder, facts
from memweld.testing.langchain import ScriptedChatModel

CALLS = 40
Call: TypeAlias = Callable[[str], Awaitable[Any]]
Surface: TypeAlias = Callable[[Backend], contextlib.AbstractAsyncContextManager[tuple[Call, Call]]]
HEADERS = {"accept": "application/json", "content-type": "application/json"}


class StuckEmbedder(HashEmbedder):
    """Embeds texts that say "slow" only when it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()
        self.reached = threading.Event()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        if any("slow" in text for text in texts):
            self.reached.set()
            assert self.released.wait(120)
        return super().embed_documents(texts)


@pytest.fixture
def stuck() -> StuckEmbedder:
    return StuckEmbedder()


@pytest.fixture
def memory(stuck: StuckEmbedder) -> Iterator[Backend]:
    with connect("sqlite://", embedder=stuck) as backend:
        backend.user("ana").add("I love tea")
        yield backend


@asynccontextmanager
async def aio(backend: Backend) -> AsyncIterator[tuple[Call, Call]]:
    ana = backend.user("ana").aio
    yield (lambda text: ana.add(text, infer=False)), ana.search


@asynccontextmanager
async def captures(backend: Backend) -> AsyncIterator[tuple[Call, Call]]:
    ana = backend.user("ana").aio
    yield (lambda text: ana.capture([{"role": "user", "content": text}], session_id="s")), ana.recall


@asynccontextmanager
async def preferences(backend: Backend) -> AsyncIterator[tuple[Call, Call]]:
    ana = backend.user("ana").aio
    yield (lambda text: ana.preferences.set(text, text)), (lambda _: ana.preferences.all())


@asynccontextmanager
async def state(backend: Backend) -> AsyncIterator[tuple[Call, Call]]:
    ana = backend.user("ana").aio
    yield (lambda text: ana.state("n").set(text, 1, text=text)), (lambda text: ana.state("n").get(text))


@asynccontextmanager
async def mcp(backend: Backend) -> AsyncIterator[tuple[Call, Call]]:
    async with Client(create_server(backend, user_id="ana")) as client:

        def add(text: str) -> Awaitable[Any]:
            return client.call_tool("add_memory", {"messages": [{"role": "user", "content": text}]})

        yield add, lambda text: client.call_tool("search_memories", {"query": text})


@asynccontextmanager
async def rest(backend: Backend) -> AsyncIterator[tuple[Call, Call]]:
    app = create_app(backend, user_id="ana", stateless=True)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", timeout=150) as client,
    ):

        async def add(text: str) -> None:
            params = {"name": "set_preference", "arguments": {"key": text, "value": text}}
            call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            answer = await client.post("/mcp", json=call, headers=HEADERS)
            assert "result" in answer.json()

        async def look(_: str) -> None:
            assert (await client.put("/memory/n/k", json={"value": 1})).json()["stored"]
            assert (await client.get("/memory/n/k")).json()["value"] == 1
            assert (await client.get("/health")).status_code == 200

        yield add, look


@asynccontextmanager
async def remote(backend: Backend) -> AsyncIterator[tuple[Call, Call]]:
    with served(create_app(backend)) as url, connect(url) as client:
        ana = client.user("ana").aio
        await ana.search("warm up")
        yield ana.add, ana.search


@asynccontextmanager
async def langchain(backend: Backend) -> AsyncIterator[tuple[Call, Call]]:
    tools = {tool.name: tool for tool in langchain_tools(backend.user("ana"))}
    retriever = MemweldRetriever(backend.user("ana"))
    yield (
        (lambda text: tools["record_task_outcome"].ainvoke({"task_id": text, "outcome": text})),
        retriever.ainvoke,
    )


@asynccontextmanager
async def middleware(backend: Backend) -> AsyncIterator[tuple[Call, Call]]:
    def run(text: str, *, capture: bool) -> Awaitable[Any]:
        middleware = MemweldMiddleware(backend.user("ana"), capture=capture)
        agent = create_agent(ScriptedChatModel(lambda _: "Well"), middleware=[middleware])
        config: Any = {"configurable": {"thread_id": text}}
        return agent.ainvoke({"messages": [{"role": "user", "content": text}]}, config)

    yield (lambda text: run(f"My garden has a {text}", capture=True)), (lambda text: run(text, capture=False))


@asynccontextmanager
async def store(backend: Backend) -> AsyncIterator[tuple[Call, Call]]:
    kept = MemweldStore(backend.user("ana"))
    await kept.aput(("a",), "k", {"text": "tea"})

    async def look(text: str) -> None:
        assert await kept.aget(("a",), "k") is not None
        assert await kept.asearch(("a",), query=text)

    yield (lambda text: kept.aput(("a",), text, {"text": text})), look


@asynccontextmanager
async def crewai(backend: Backend) -> AsyncIterator[tuple[Call, Call]]:
    crew = CrewMemory(backend.user("ana"))
    tools = {tool.name: tool for tool in crew_tools(backend.user("ana"))}

    async def look(text: str) -> None:
        await crew.arecall(text)
        await tools["search_memories"]._arun(query=text)

    yield crew.aremember, look


@asynccontextmanager
async def autogen(backend: Backend) -> AsyncIterator[tuple[Call, Call]]:
    from autogen_core import CancellationToken
    from autogen_core.memory import MemoryContent, MemoryMimeType

    memory = AutogenMemory(backend.user("ana"))
    tools = {tool.name: tool for tool in autogen_tools(backend.user("ana"))}

    async def look(text: str) -> None:
        assert (await memory.query(text)).results
        await tools["search_memories"].run_json({"query": text}, CancellationToken())

    yield (lambda text: memory.add(MemoryContent(content=text, mime_type=MemoryMimeType.TEXT))), look


@asynccontextmanager
async def ag2(backend: Backend) -> AsyncIterator[tuple[Call, Call]]:
    from ag2.events import ToolCallEvent

    tools: dict[str, Any] = {tool.name: tool for tool in ag2_tools(backend.user("ana"))}

    def call(name: str, **arguments: Any) -> Awaitable[Any]:
        return tools[name](ToolCallEvent(name, arguments=json.dumps(arguments)), SimpleNamespace(variables={}))

    yield (
        (lambda text: call("set_preference", key=text, value=text)),
        (lambda text: call("search_memories", query=text)),
    )


@asynccontextmanager
async def agent_framework(backend: Backend) -> AsyncIterator[tuple[Call, Call]]:
    tools: dict[str, Any] = {tool.name: tool for tool in framework_tools(backend.user("ana"))}
    yield (
        (lambda text: tools["set_preference"].invoke(arguments={"key": text, "value": text})),
        (lambda text: tools["search_memories"].invoke(arguments={"query": text})),
    )


SURFACES: list[Surface] = [
    aio, captures, preferences, state, mcp, rest, remote, langchain, middleware, store, crewai, autogen, ag2,
    agent_framework,
]  # fmt: skip


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.__name__)
async def test_forty_slow_writes_and_a_quick_look(memory: Backend, stuck: StuckEmbedder, surface: Surface) -> None:
    async with surface(memory) as (write, look):

        async def write_slowly(number: int) -> None:
            await write(f"slow fact {number}")

        await look("tea")
        async with anyio.create_task_group() as group:
            try:
                for number in range(CALLS):
                    group.start_soon(write_slowly, number)
                with anyio.fail_after(60):
                    while not stuck.reached.is_set():
                        await anyio.sleep(0.01)
                    await anyio.sleep(0.1)
                    await look("tea")
                assert not stuck.released.is_set()
            finally:
                stuck.released.set()


class StuckModel:
    """An extracting LLM that answers only when it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.reached = threading.Event()

    def invoke(self, _: Any) -> str:
        self.reached.set()
        assert self.released.wait(120)
        return facts()


@asynccontextmanager
async def aio_extracting(backend: Backend) -> AsyncIterator[tuple[Call, Call]]:
    ana = backend.user("ana").aio

    async def look(text: str) -> None:
        assert await ana.search(text)
        await ana.add("I love coffee", infer=False)
        await ana.state("n").set("k", 1, text="a value with a text")
        await ana.capture([{"role": "user", "content": "I sail"}], session_id="s", keep="history")

    yield ana.add, look


@asynccontextmanager
async def adding_tools(backend: Backend) -> AsyncIterator[tuple[Call, Call]]:
    tools = {tool.name: tool for tool in langchain_tools(backend.user("ana"))}

    async def look(text: str) -> None:
        assert "Found" in str(await tools["search_memories"].ainvoke({"query": text}))
        await tools["set_preference"].ainvoke({"key": "theme", "value": "dark"})

    yield (lambda text: tools["add_memory"].ainvoke({"messages": text})), look


@asynccontextmanager
async def chats(backend: Backend) -> AsyncIterator[tuple[Call, Call]]:
    """Runs wait for their captures; another run, which only recalls and keeps its history, does not."""

    def run(text: str, **options: Any) -> Awaitable[Any]:
        middleware = MemweldMiddleware(backend.user("ana"), **options)
        agent = create_agent(ScriptedChatModel(lambda _: "Well"), middleware=[middleware])
        config: Any = {"configurable": {"thread_id": text}}
        return agent.ainvoke({"messages": [{"role": "user", "content": f"My garden has a {text}"}]}, config)

    async def look(text: str) -> None:
        await run(text, capture=True, keep="history")
        # Its facts wait behind the others; it does not.
        await run(f"{text} too", capture="background")
        assert backend.user("ana").history(f"{text} too").messages()

    yield (lambda text: run(text, capture=True)), look


async def write_slowly(write: Call, text: str) -> None:
    await write(text)


EXTRACTING: list[Surface] = [aio_extracting, captures, mcp, remote, adding_tools, chats]


@pytest.mark.parametrize("surface", EXTRACTING, ids=lambda surface: surface.__name__)
async def test_forty_extractions_and_a_quick_look(surface: Surface) -> None:
    stuck = StuckModel()
    with connect("sqlite://", embedder=HashEmbedder(), llm=stuck) as backend:
        backend.user("ana").add("I love tea", infer=False)
        async with surface(backend) as (write, look), anyio.create_task_group() as group:
            try:
                for number in range(CALLS):
                    group.start_soon(write_slowly, write, f"slow fact {number}")
                with anyio.fail_after(60):
                    while not stuck.reached.is_set():
                        await anyio.sleep(0.01)
                    await anyio.sleep(0.1)
                    await look("tea")
                assert not stuck.released.is_set()
            finally:
                stuck.released.set()
