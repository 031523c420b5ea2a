"""The LangChain adapter never blocks the event loop: blockbuster watches every call, the first one included.

Each scenario runs in a fork of a fresh interpreter. The first call loads modules and the embedder, which takes a
second, and it must not do so on the loop either. Blockbuster itself lets imports pass, hence `ImportWatch`. It watches
the whole process, as under ``langgraph dev``.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from blockbuster import BlockBuster, BlockingError
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langchain_core.runnables.history import RunnableWithMessageHistory

import memweld
from memweld import Backend
from memweld.langchain import MemweldChatMessageHistory, MemweldMiddleware, mcp_tools, memory_tools
from memweld.testing.langchain import ScriptedChatModel, tool_call

pytestmark = pytest.mark.slow

Scenario = Callable[[Backend], Awaitable[Any]]

CLEAN: dict[str, Scenario] = {}
GUILTY: dict[str, Scenario] = {}


def clean(scenario: Scenario) -> Scenario:
    CLEAN[scenario.__name__] = scenario
    return scenario


def guilty(scenario: Scenario) -> Scenario:
    GUILTY[scenario.__name__] = scenario
    return scenario


def run(user: str, **configurable: Any) -> Any:
    return {"configurable": {"user_id": user, **configurable}}


def go(text: str = "I keep bees in the garden") -> Any:
    return {"messages": [HumanMessage(text)]}


# what must not block


@clean
async def middleware_in_ainvoke(backend: Backend) -> None:
    model = ScriptedChatModel(lambda call: "Fine.")
    agent = create_agent(model, middleware=[MemweldMiddleware(backend)])
    await agent.ainvoke(go(), run("ana", thread_id="1"))
    await asyncio.gather(*(agent.ainvoke(go("What is in the garden?"), run(user)) for user in ("ana", "bob")))
    assert sum("I keep bees" in call.text for call in model.calls[1:]) == 1


@clean
async def middleware_in_astream(backend: Backend) -> None:
    agent = create_agent(ScriptedChatModel(["Fine.", "Bees."]), middleware=[MemweldMiddleware(backend)])
    for _ in range(2):
        async for _ in agent.astream(go(), run("ana", thread_id="1"), stream_mode="messages"):
            pass
    assert len(await backend.user("ana").aio.history("1").messages()) == 4


@clean
async def middleware_of_a_run_that_fails(backend: Backend) -> None:
    agent = create_agent(ScriptedChatModel([OSError("no model")]), middleware=[MemweldMiddleware(backend)])
    with pytest.raises(OSError, match="no model"):
        await agent.ainvoke(go(), run("ana", thread_id="1"))
    assert [item.text for item in await backend.user("ana").aio.all()] == ["I keep bees in the garden"]


@clean
async def tools(backend: Backend) -> None:
    said = {"messages": [{"role": "user", "content": "I keep bees"}]}
    script = [tool_call("add_memory", said), tool_call("search_memories", {"query": "bees"}), "Done."]
    agent = create_agent(ScriptedChatModel(script), memory_tools(backend))
    messages = (await agent.ainvoke(go(), run("ana")))["messages"]
    assert "I keep bees" in messages[-2].text
    by_name = {tool.name: tool for tool in memory_tools(backend)}
    assert "bees" in await by_name["get_all_memories"].ainvoke({}, run("ana"))
    assert "No user" in await by_name["get_all_memories"].ainvoke({})


@clean
async def chat_history(backend: Backend) -> None:
    history = MemweldChatMessageHistory(backend.user("ana"), "1")
    await history.aadd_messages([HumanMessage("Hello"), HumanMessage("Hello?")])
    assert len(await history.aget_messages()) == 2
    await history.aclear()
    assert await history.aget_messages() == []


@clean
async def runnable_with_message_history(backend: Backend) -> None:
    def session(session_id: str) -> MemweldChatMessageHistory:
        return MemweldChatMessageHistory(backend.user("ana"), session_id)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LangChain has deprecated it.
        chain = RunnableWithMessageHistory(ScriptedChatModel(["Hi.", "Yes."]), session)
    for _ in range(2):
        await chain.ainvoke([HumanMessage("Hello")], {"configurable": {"session_id": "1"}})
    assert len(await session("1").aget_messages()) == 4


@clean
async def tools_of_an_mcp_server(backend: Backend) -> None:
    command = f"stdio:{sys.executable} -m memweld serve --url sqlite://"
    async with await asyncio.to_thread(mcp_tools, command) as given:
        said = {"messages": [{"role": "user", "content": "I keep bees"}]}
        script = [tool_call("add_memory", said), tool_call("search_memories", {"query": "bees"}), "Done."]
        messages = (await create_agent(ScriptedChatModel(script), given).ainvoke(go(), run("ana")))["messages"]
        assert "I keep bees" in messages[-2].text
        waiting = [asyncio.create_task(given[0].ainvoke(said, run("ana"))) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in done] == [asyncio.CancelledError, str, str]
    assert "closed" in await given[0].ainvoke(said, run("ana"))


# what must be caught, or the above proves nothing


@guilty
async def sleeping(backend: Backend) -> None:
    time.sleep(0.001)


@guilty
async def a_search_on_the_loop(backend: Backend) -> None:
    await backend.user("ana").aio.add("I keep bees")
    backend.user("ana").search("bees")


@guilty
async def middleware_that_blocks(backend: Backend) -> None:
    class Blocking(MemweldMiddleware):
        async def abefore_agent(self, state: Any, runtime: Any, config: Any = None) -> Any:
            return self.before_agent(state, runtime, config)

    await create_agent(ScriptedChatModel(["Fine."]), middleware=[Blocking(backend)]).ainvoke(go(), run("ana"))


@guilty
async def a_tool_of_an_mcp_server_on_the_loop(backend: Backend) -> None:
    given = await asyncio.to_thread(mcp_tools, f"stdio:{sys.executable} -m memweld serve --url sqlite://")
    try:
        given[0].invoke({"messages": [{"role": "user", "content": "I keep bees"}]}, run("ana"))
    finally:
        await given.aclose()


@guilty
async def an_import_on_the_loop(backend: Backend) -> None:
    import memweld.transfer.copier  # noqa: F401


# watching


def callers(frame: FrameType | None) -> Iterator[str]:
    while frame is not None:
        yield frame.f_code.co_filename.replace("\\", "/")
        frame = frame.f_back


class ImportWatch:
    """Finds no module and writes down which ones this program's part of memweld has loaded on the main event loop."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        # Whoever is nearest has asked for it; LangChain loads some of its own at its first run, whatever we do.
        for place in callers(sys._getframe(1)):
            if "/site-packages/lang" in place:
                return
            if "/memweld/" in place or place == __file__:
                self.found.append(name)
                return


async def watched(scenario: Scenario, backend: Backend) -> dict[str, Any]:
    """Run it, and tell what blocked and what was imported."""
    blocked: list[str] = []
    seen = BlockingError.__init__

    def note(self: BlockingError, func: str) -> None:  # however it is handled later
        blocked.append(func)
        seen(self, func)

    watch, buster = ImportWatch(), BlockBuster()
    sys.meta_path.insert(0, watch)  # pyright: ignore[reportArgumentType]
    BlockingError.__init__ = note
    buster.activate()
    try:
        await scenario(backend)
    except BlockingError:
        pass
    finally:
        buster.deactivate()
        sys.meta_path.remove(watch)  # pyright: ignore[reportArgumentType]
    return {"blocked": blocked, "imported": watch.found}


def report(name: str) -> dict[str, Any]:
    assert "tokenizers" not in sys.modules
    with tempfile.TemporaryDirectory() as folder, memweld.connect(f"sqlite:///{Path(folder) / 'm.db'}") as backend:
        result = asyncio.run(watched({**CLEAN, **GUILTY}[name], backend))
    return {**result, "embedder": "tokenizers" in sys.modules}


def main() -> None:
    """Print the report of each scenario, each from a fork of this process, which has used nothing yet."""
    for name in (*CLEAN, *GUILTY):
        sys.stdout.flush()
        child = os.fork()
        if not child:
            print(json.dumps({"name": name, **report(name)}), flush=True)
            os._exit(0)
        os.waitpid(child, 0)


@pytest.fixture(scope="module")
def reports() -> dict[str, dict[str, Any]]:
    """The report of each scenario by its name; a scenario that failed has none."""
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, timeout=170, check=False)
    print(done.stderr)
    return {report["name"]: report for report in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", CLEAN)
def test_nothing_blocks(name: str, reports: dict[str, dict[str, Any]]) -> None:
    report = reports[name]
    assert (report["blocked"], report["imported"]) == ([], [])
    # The first use of the memory, with all that it loads, was among what was watched.
    if name not in ("chat_history", "runnable_with_message_history", "tools_of_an_mcp_server"):
        assert report["embedder"]


@pytest.mark.parametrize("name", GUILTY)
def test_what_blocks_is_caught(name: str, reports: dict[str, dict[str, Any]]) -> None:
    report = reports[name]
    assert report["blocked"] or report["imported"]
    if name == "an_import_on_the_loop":
        assert "memweld.transfer.copier" in report["imported"]


if __name__ == "__main__":
    main()
