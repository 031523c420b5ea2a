"""Runs of CrewAI that do not finish: what the user said is kept all the same, and what others said is not."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Process, Task
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.memory_events import MemorySaveStartedEvent
from crewai.flow import ConversationConfig, ConversationState, Flow, persist
from observed import texts

from memweld import Backend, Memory, connect
from memweld.crewai import MemweldFlowPersistence, MemweldMemory
from memweld.testing import HashEmbedder
from memweld.testing.crewai import ModelCall, ScriptedLLM, tool_call
from memweld.testing.llm import ScriptedExtractor, facts

DOWN = RuntimeError("the model is down")


def make_agent(model: ScriptedLLM, role: str = "Helper", **agent: Any) -> Agent:
    return Agent(role=role, goal="Help", backstory="You help.", llm=model, **agent)


def make_crew(model: ScriptedLLM, text: str, **crew: Any) -> Crew:
    agent = make_agent(model)
    return Crew(agents=[agent], tasks=[Task(description=text, expected_output="An answer", agent=agent)], **crew)


def make_chat(model: ScriptedLLM, memory: Memory) -> Flow[ConversationState]:
    @persist(MemweldFlowPersistence(memory))
    @ConversationConfig(llm=model)
    class Chat(Flow[ConversationState]):
        pass

    return Chat(memory=MemweldMemory(memory), suppress_flow_events=True)


def fail(work: Any) -> None:
    with pytest.raises(Exception, match="the model is down"):
        work()
    crewai_event_bus.flush()


@pytest.mark.parametrize("with_llm", [False, True])
def test_a_kickoff_of_an_agent_that_fails_keeps_the_users_words(tmp_path: Path, with_llm: bool) -> None:
    llm = ScriptedExtractor([facts("Ana keeps bees")]) if with_llm else None
    with connect(f"sqlite:///{tmp_path / 'm.db'}", embedder=HashEmbedder(), llm=llm) as backend:
        ana = backend.user("ana")
        agent = make_agent(ScriptedLLM([DOWN, DOWN, "Nice."]), memory=MemweldMemory(ana))
        fail(lambda: agent.kickoff("I moved to Faro"))
        fail(lambda: asyncio.run(agent.kickoff_async("I sail on Sundays")))
        assert texts(ana) == ["I moved to Faro", "I sail on Sundays"]
        agent.kickoff("I keep bees")
        assert texts(ana)[2:] == ["Ana keeps bees" if with_llm else "I keep bees"]


def test_with_an_llm_a_crew_keeps_the_words_of_the_task_that_failed(tmp_path: Path) -> None:
    llm = ScriptedExtractor([facts("Ana keeps bees")])
    with connect(f"sqlite:///{tmp_path / 'm.db'}", embedder=HashEmbedder(), llm=llm) as backend:
        ana = backend.user("ana")
        agent = make_agent(ScriptedLLM(["Nice.", DOWN, DOWN, DOWN]))
        tasks = [Task(description=text, expected_output="-", agent=agent) for text in ("I keep bees", "I sail")]
        crew = Crew(agents=[agent], tasks=tasks, memory=MemweldMemory(ana))
        fail(crew.kickoff)
        assert texts(ana) == ["Ana keeps bees", "I sail"]


@pytest.mark.parametrize("with_llm", [False, True])
def test_a_part_of_a_memory_keeps_the_words_of_a_run_that_fails(tmp_path: Path, with_llm: bool) -> None:
    llm = ScriptedExtractor([facts("Ana keeps bees")]) if with_llm else None
    with connect(f"sqlite:///{tmp_path / 'm.db'}", embedder=HashEmbedder(), llm=llm) as backend:
        ana = backend.user("ana")
        part = MemweldMemory(ana).scope("/team").subscope("garden")
        fail(make_crew(ScriptedLLM([DOWN] * 3), "I keep bees", memory=part).kickoff)
        assert texts(ana) == ["I keep bees"]
        assert [match.record.scope for match in part.recall("bees")] == ["/team/garden"]


@pytest.mark.parametrize("kind", ["crew", "agent"])
def test_a_cancelled_run_keeps_the_users_words(tmp_path: Path, kind: str) -> None:
    llm = ScriptedExtractor([facts()])
    with connect(f"sqlite:///{tmp_path / 'm.db'}", embedder=HashEmbedder(), llm=llm) as backend:
        ana = backend.user("ana")
        asked, over = threading.Event(), threading.Event()

        def wait(_call: ModelCall) -> str:
            asked.set()
            over.wait(30)
            return "Nice."

        async def run() -> None:
            model, text, memory = ScriptedLLM(wait), "I moved to Faro", MemweldMemory(ana)
            if kind == "crew":
                await make_crew(model, text, memory=memory).akickoff()
            else:
                await make_agent(model, memory=memory).kickoff_async(text)

        async def cancel() -> None:
            task = asyncio.create_task(run())
            assert await asyncio.to_thread(asked.wait, 30)
            task.cancel()
            over.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert texts(ana) == ["I moved to Faro"]

        asyncio.run(cancel())


def test_only_the_request_of_a_kickoff_is_the_users(ana: Memory) -> None:
    """CrewAI joins system messages, answers and requests, and hands a memory that text."""
    model = ScriptedLLM(["Nice.", "Nice.", DOWN])
    agent = make_agent(model, memory=MemweldMemory(ana))
    system: Any = {"role": "system", "content": "The user is rich"}
    answer: Any = {"role": "assistant", "content": "I guess you live in Porto"}
    agent.kickoff([system, {"role": "user", "content": "Hi"}, answer, {"role": "user", "content": "I live in Faro"}])
    agent.kickoff([system, answer])
    fail(lambda: agent.kickoff([answer, {"role": "user", "content": "I keep bees"}, answer]))
    assert texts(ana) == ["I live in Faro", "I keep bees"]


def test_a_kickoff_says_nothing_of_the_text_of_another(ana: Memory, backend: Backend) -> None:
    ben = backend.user("ben")
    answer: Any = {"role": "assistant", "content": "I live in Faro"}
    make_agent(ScriptedLLM(["Nice."]), memory=MemweldMemory(ana)).kickoff([answer])
    make_agent(ScriptedLLM(["Nice."]), memory=MemweldMemory(ben)).kickoff("I live in Faro")
    assert (texts(ana), texts(ben)) == ([], ["I live in Faro"])


def test_a_kickoff_without_text_keeps_nothing(ana: Memory) -> None:
    message: Any = {"role": "user", "content": "", "files": {}}
    memory = MemweldMemory(ana, infer=False)
    make_agent(ScriptedLLM(["Nice."]), memory=memory).kickoff([message])
    make_agent(ScriptedLLM(["Nice."]), memory=memory).kickoff("User request: I live in Faro")
    assert texts(ana) == ["User request: I live in Faro"]


def test_what_an_agent_delegates_is_not_kept_when_the_other_begins(ana: Memory) -> None:
    arguments = {"task": "The user owns a yacht", "context": "None", "coworker": "Writer"}

    def manage(call: ModelCall) -> Any:
        return tool_call("delegate_work_to_coworker", arguments) if len(manager.calls) < 2 else "Done."

    manager = ScriptedLLM(manage)
    writer = make_agent(ScriptedLLM(["I write."] * 3), role="Writer")
    crew = Crew(
        agents=[writer],
        tasks=[Task(description="I live in Faro", expected_output="An answer")],
        process=Process.hierarchical,
        manager_llm=manager,
        memory=MemweldMemory(ana),
    )
    crew.kickoff()
    assert texts(ana) == ["I live in Faro"]


def test_a_recall_of_a_program_keeps_nothing(ana: Memory) -> None:
    assert MemweldMemory(ana).recall("I live in Faro") == []
    read_only = MemweldMemory(ana, read_only=True)
    fail(make_crew(ScriptedLLM([DOWN] * 3), "I live in Faro", memory=read_only).kickoff)
    fail(make_crew(ScriptedLLM([DOWN] * 3), "I live in Faro", memory=MemweldMemory(ana, capture=False)).kickoff)
    assert texts(ana) == []


def test_a_task_that_is_tried_again_recalls_not_itself(ana: Memory) -> None:
    fail(make_crew(ScriptedLLM([DOWN] * 3), "I live in Faro", memory=MemweldMemory(ana)).kickoff)
    model = ScriptedLLM(["Nice."])
    make_crew(model, "I live in Faro", memory=MemweldMemory(ana)).kickoff()
    assert model.seen.count("I live in Faro") == 1
    assert texts(ana) == ["I live in Faro"]


def test_a_failed_crew_keeps_the_words_in_its_root_scope(ana: Memory) -> None:
    fail(make_crew(ScriptedLLM([DOWN] * 3), "I live in Faro", memory=MemweldMemory(ana, root_scope="/trip")).kickoff)
    (record,) = MemweldMemory(ana).list_records()
    assert record.scope == "/trip"


def test_a_conversation_that_fails_before_its_first_state_keeps_the_message(ana: Memory) -> None:
    """The model that sorts the message is asked before CrewAI saves anything."""
    flow = make_chat(ScriptedLLM(["Hello"]), ana)
    fail(lambda: flow.handle_turn("I am Ana", session_id="s", intents=["a", "b"], intent_llm=ScriptedLLM([DOWN] * 5)))
    assert [message.text for message in ana.history("s").messages()] == ["I am Ana"]
    assert make_chat(ScriptedLLM(["Hello Ana"]), ana).handle_turn("Who am I?", session_id="s") == "Hello Ana"
    assert [message.text for message in ana.history("s").messages()] == ["I am Ana", "Who am I?", "Hello Ana"]


def test_a_function_for_the_users_words_gets_no_conversation_of_crewai_chat(ana: Memory) -> None:
    memory = MemweldMemory(ana, said=lambda description: description.partition("The user writes: ")[2])
    crew = make_crew(ScriptedLLM([DOWN] * 3), "Answer. The user writes: I live in Faro", memory=memory)
    fail(lambda: crew.kickoff(inputs={"crew_chat_messages": '[{"role": "assistant", "content": "Porto?"}]'}))
    assert texts(ana) == ["I live in Faro"]


def test_runs_of_one_user_at_the_same_time_keep_each_their_own_words(tmp_path: Path) -> None:
    llm = ScriptedExtractor([facts("Ana keeps bees"), facts("Ana lives in Faro")])
    with connect(f"sqlite:///{tmp_path / 'm.db'}", embedder=HashEmbedder(), llm=llm) as backend:
        ana = backend.user("ana")
        memory = MemweldMemory(ana)
        seen: list[list[str]] = []

        def run_another(_call: ModelCall) -> str:
            make_crew(ScriptedLLM(["Nice."]), "I keep bees", memory=memory).kickoff()
            fail(lambda: make_agent(ScriptedLLM([DOWN]), memory=memory).kickoff("I sail"))
            seen.append(texts(ana))
            return "Nice."

        make_crew(ScriptedLLM(run_another), "I moved to Faro", memory=memory).kickoff()
        assert seen == [["Ana keeps bees", "I sail"]]
        assert texts(ana) == ["Ana keeps bees", "I sail", "Ana lives in Faro"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_failed_kickoff_has_kept_the_words_when_it_raises(tmp_path: Path, is_async: bool) -> None:
    url = f"sqlite:///{tmp_path / 'm.db'}"
    with connect(url, embedder=HashEmbedder(), llm=ScriptedExtractor([facts()])) as backend:
        agent = make_agent(ScriptedLLM([DOWN]), memory=MemweldMemory(backend.user("ana")))
        with pytest.raises(RuntimeError, match="the model is down"):
            asyncio.run(agent.kickoff_async("I sail")) if is_async else agent.kickoff("I sail")
    with connect(url, embedder=HashEmbedder()) as backend:
        assert texts(backend.user("ana")) == ["I sail"]


def test_erased_words_of_a_run_do_not_come_back_when_it_fails(tmp_path: Path) -> None:
    llm = ScriptedExtractor([facts()])
    with connect(f"sqlite:///{tmp_path / 'm.db'}", embedder=HashEmbedder(), llm=llm) as backend:
        ana = backend.user("ana")
        memory = MemweldMemory(ana)

        def erase(_call: ModelCall) -> Any:
            ana.erase()
            raise DOWN

        fail(lambda: make_agent(ScriptedLLM(erase), memory=memory).kickoff("I moved to Faro"))
        fail(make_crew(ScriptedLLM(erase), "I sail", memory=memory).kickoff)
        memory.drain_writes()
        assert texts(ana) == []


def test_a_write_is_announced_only_where_there_is_one(ana: Memory, tmp_path: Path) -> None:
    saved: list[str | None] = []
    with (
        connect(f"sqlite:///{tmp_path / 'm.db'}", embedder=HashEmbedder(), llm=ScriptedExtractor([facts()])) as backend,
        crewai_event_bus.scoped_handlers(),
    ):
        crewai_event_bus.on(MemorySaveStartedEvent)(lambda _, event: saved.append(event.value))
        for memory in (
            MemweldMemory(ana, capture=False),
            MemweldMemory(ana, said=lambda _: None),
            MemweldMemory(backend.user("ana")),
        ):
            fail(make_crew(ScriptedLLM([DOWN] * 3), "I live in Faro", memory=memory).kickoff)
        assert saved == []
        fail(make_crew(ScriptedLLM([DOWN] * 3), "I live in Faro", memory=MemweldMemory(ana)).kickoff)
        assert set(saved) == {"I live in Faro"}


class ThreadsOfWrites(HashEmbedder):
    """Notes the threads that embed what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[threading.Thread] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.threads.append(threading.current_thread())
        return super().embed_documents(texts)


def test_a_kickoff_in_an_event_loop_writes_in_another_thread(tmp_path: Path) -> None:
    embedder = ThreadsOfWrites()
    with connect(f"sqlite:///{tmp_path / 'm.db'}", embedder=embedder) as backend:
        ana = backend.user("ana")
        agent = make_agent(ScriptedLLM([DOWN]), memory=MemweldMemory(ana))
        with pytest.raises(RuntimeError, match="the model is down"):
            asyncio.run(agent.kickoff_async("I sail on Sundays"))
        assert texts(ana) == ["I sail on Sundays"]
        assert embedder.threads
        assert threading.current_thread() not in embedder.threads
