"""Checkpoints: a restored crew and its agents have their memory again, and it is still their user's."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
import types
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, RuntimeState, Task
from crewai.agents.agent_builder import base_agent
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.events.event_bus import crewai_event_bus
from crewai.memory.unified_memory import Memory as CrewMemory
from crewai.state.checkpoint_config import CheckpointConfig
from observed import texts

import memweld
from memweld import Backend, ConfigurationError, connect
from memweld.crewai import MemweldMemory, loading_with, memory_tools, user_texts
from memweld.testing import HashEmbedder
from memweld.testing.crewai import ModelCall, ScriptedLLM, tool_call

# memweld.crewai filters this itself when it is imported, but pytest restores the filters after each import.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:Pydantic serializer warnings[\s\S]*input_type=MemweldMemory:UserWarning"
)

MODELS: list[ScriptedLLM] = []


def answer(call: ModelCall) -> Any:
    if any(message["role"] == "tool" for message in call.messages):
        return "Done."
    if call.tools and "look it up" in call.text:
        return tool_call("search_memories", {"query": "bees"})
    return "Black." if "bees are black" in call.text else "I do not know."


class RestoredLLM(ScriptedLLM):
    """CrewAI's form of a scripted model in a checkpoint; it restores providers' models only."""

    def __init__(self, **_: Any) -> None:
        super().__init__(answer)
        MODELS.append(self)


@pytest.fixture(autouse=True)
def restorable_models(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = types.ModuleType("restored_models")
    module.RestoredLLM = RestoredLLM  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(base_agent._LLM_TYPE_REGISTRY, "base", f"{module.__name__}.RestoredLLM")
    MODELS.clear()
    # A checkpoint holds every crew that the context knows, those of earlier tests too.
    crewai_event_bus.reset_runtime_state()
    yield
    crewai_event_bus.reset_runtime_state()
    MODELS.clear()


def make_crew(*, crew: Any = False, agent: Any = None, tools: Any = (), text: str = "bees?") -> Crew:
    helpers: list[BaseAgent] = [
        Agent(role=f"Helper {n}", goal="Help", backstory="You help.", llm=model, memory=agent, tools=list(tools))
        for n, model in ((1, ScriptedLLM(answer)), (2, ScriptedLLM([])))
    ]
    tasks = [Task(description=f"{each.role} {text}", expected_output="An answer", agent=each) for each in helpers]
    return Crew(agents=helpers, tasks=tasks, memory=crew)


def interrupt(crew: Crew, directory: Path) -> None:
    """Let the first of the crew's two tasks be done and the second fail, as its model says nothing; and checkpoint.

    Automatic checkpoints of CrewAI 1.15 are written by a thread while the crew goes on, and fail now and then.
    """
    with pytest.raises(RuntimeError, match="script"):
        crew.kickoff()
    checkpoint(crew, directory)


def checkpoint(crew: Crew, directory: Path) -> None:
    assert RuntimeState is not None
    RuntimeState(root=[crew]).checkpoint(str(directory))


def first_checkpoint(directory: Path) -> str:
    (written,) = directory.rglob("*.json")
    return str(written)


def restore(directory: Path) -> Crew:
    return Crew.from_checkpoint(CheckpointConfig(restore_from=first_checkpoint(directory)))


def finish(crew: Crew) -> str:
    output: Any = crew.kickoff()
    return output.raw


@pytest.mark.parametrize("level", ["crew", "agent"])
def test_a_restored_memory_is_still_its_users(backend: Backend, tmp_path: Path, level: str) -> None:
    ana, bob = backend.user("ana"), backend.user("bob")
    ana.add("My bees are black")
    bob.add("My bees are blue")
    options: Any = {"recall_budget": 500, "kinds": ["item"], "root_scope": "/", "on_error": "raise"}
    memory = MemweldMemory(ana, **options)
    interrupt(make_crew(crew=memory) if level == "crew" else make_crew(agent=memory), tmp_path)
    before = texts(ana)
    crew = restore(tmp_path)
    memories = [crew.memory] if level == "crew" else [agent.memory for agent in crew.agents]
    assert all(type(memory) is MemweldMemory for memory in memories)
    (memory,) = {id(memory): memory for memory in memories[:1]}.values()
    assert isinstance(memory, MemweldMemory)
    dumped = memory.model_dump(mode="json")["storage"]["memweld"]["options"]
    assert dumped == {"recall_limit": 10_000, "recall_budget": 500, "kinds": ["item"], "on_error": "raise"}
    assert crew.tasks[0].output is not None
    assert crew.tasks[1].output is None
    with memweld.user_scope("bob"):
        assert finish(crew) == "Black."
    seen = "".join(model.seen for model in MODELS)
    assert "bees are black" in seen
    assert "bees are blue" not in seen
    assert texts(ana) == before
    memory.remember("Ana keeps wasps")
    assert texts(ana)[-1] == "Ana keeps wasps"
    crew.reset_memories("memory") if level == "crew" else memory.reset()
    assert ana.all() == []
    assert texts(bob) == ["My bees are blue"]


def test_a_restored_memory_knows_the_words_of_the_planner(backend: Backend, tmp_path: Path) -> None:
    """Another process has not seen CrewAI append its plan to the user's words."""
    ana = backend.user("ana")
    steps = [{"task_number": n, "task": "t", "plan": " Step 1: the user owns a yacht."} for n in (1, 2)]
    crew = make_crew(crew=MemweldMemory(ana), text="lives in Faro")
    crew.planning, crew.planning_llm = True, ScriptedLLM([json.dumps({"list_of_plans_per_task": steps})])
    interrupt(crew, tmp_path)
    assert isinstance(crew.memory, MemweldMemory)
    notes = crew.memory.model_dump(mode="json")["storage"]["memweld"]["notes"]
    assert len(notes) == 2
    stranger = MemweldMemory(backend.user("bob")).model_dump(mode="json")
    assert stranger["storage"]["memweld"]["notes"] == [], "another crew's checkpoint holds none of them"
    user_texts._notes.clear()
    crew = restore(tmp_path)
    assert "yacht" in crew.tasks[1].description
    crew.planning = False
    finish(crew)
    assert texts(ana) == ["Helper 1 lives in Faro", "Helper 2 lives in Faro"]


def test_a_restored_memory_asks_for_the_user_of_the_moment(backend: Backend, tmp_path: Path) -> None:
    backend.user("ana").add("My bees are black")
    with memweld.user_scope("ana"):
        interrupt(make_crew(crew=MemweldMemory(backend), agent=MemweldMemory(backend)), tmp_path)
    with pytest.raises(ConfigurationError, match="No user is known here"):
        restore(tmp_path).kickoff()
    for user, said in (("ana", "Black."), ("bob", "I do not know.")):
        with memweld.user_scope(user):
            assert finish(restore(tmp_path)) == said


def test_a_restored_crew_is_checkpointed_copied_and_run_for_each(backend: Backend, tmp_path: Path) -> None:
    ana = backend.user("ana")
    ana.add("My bees are black")
    interrupt(make_crew(agent=MemweldMemory(ana), crew=MemweldMemory(ana)), tmp_path / "one")
    crew = restore(tmp_path / "one")
    crew.kickoff()
    checkpoint(crew, tmp_path / "two")
    again = restore(tmp_path / "two").copy()
    assert isinstance(again.memory, MemweldMemory)
    assert isinstance(again.agents[1].memory, MemweldMemory)
    outputs: list[Any] = list(again.kickoff_for_each([{}, {}]))
    assert [output.raw for output in outputs] == ["Black.", "Black."]


def test_tools_of_a_restored_agent_are_their_users(backend: Backend, tmp_path: Path) -> None:
    ana = backend.user("ana")
    ana.add("My bees are black")
    backend.user("bob").add("My bees are blue")
    interrupt(make_crew(tools=memory_tools(ana), text="look it up"), tmp_path)
    restore(tmp_path).kickoff()
    (found,) = [
        message["content"]
        for model in MODELS
        if model.calls
        for message in model.calls[-1].messages
        if message["role"] == "tool"
    ]
    assert "bees are black" in found
    assert "blue" not in found


def test_a_checkpoint_holds_no_secret() -> None:
    with connect("http://someone:s3cret@127.0.0.1:9/mcp?token=t0ken", token="b3arer") as remote:
        memory = MemweldMemory(remote.user("ana"))
        crew = make_crew(crew=memory, agent=memory, tools=memory_tools(remote))
        written = crew.model_dump_json()
    assert '"user_id":"ana"' in written
    assert "http://127.0.0.1:9/mcp" in written
    for secret in ("someone", "s3cret", "t0ken", "b3arer"):
        assert secret not in written


def test_functions_and_models_are_not_restored_and_it_says_so(
    backend: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ana = backend.user("ana")
    memory = MemweldMemory(ana, said=lambda _: "I keep bees", llm=ScriptedLLM(["no JSON"] * 9, function_calling=False))
    interrupt(make_crew(crew=memory), tmp_path)
    assert texts(ana) == ["I keep bees"]
    crew = restore(tmp_path)
    assert "cannot hold said= and llm= of a MemweldMemory, so nothing is captured" in caplog.text
    crew.kickoff()
    assert texts(ana) == ["I keep bees"]


def test_a_store_that_was_in_ram_is_gone(tmp_path: Path) -> None:
    with connect("sqlite://", embedder=HashEmbedder()) as backend:
        interrupt(make_crew(crew=MemweldMemory(backend.user("ana"))), tmp_path)
    forgotten = weakref.ref(backend._engine)
    del backend
    deadline = time.monotonic() + 60
    while forgotten() is not None and time.monotonic() < deadline:
        # A thread of CrewAI's that has nothing to do may still hold what it did last.
        time.sleep(0.1)
        gc.collect()
    with pytest.raises(ConfigurationError, match="loading_with"):
        restore(tmp_path).kickoff()
    with connect("sqlite://", embedder=HashEmbedder()) as other:
        other.user("ana").add("My bees are black")
        with loading_with(other):
            crew = restore(tmp_path)
        assert finish(crew) == "Black."


def test_crewais_own_memories_stay_what_they_are(tmp_path: Path) -> None:
    plain = CrewMemory(storage=str(tmp_path / "lance"), llm="openai/x", embedder=lambda texts: [[0.0] for _ in texts])
    assert type(plain) is CrewMemory
    assert type(CrewMemory.model_validate({"storage": str(tmp_path / "lance")})) is CrewMemory


RESTORING = """
import json, sys
from crewai import Crew
from crewai.agents.agent_builder import base_agent
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.state.checkpoint_config import CheckpointConfig
import memweld
import memweld.crewai
from memweld.testing.crewai import ScriptedLLM

class Model(ScriptedLLM):
    def __init__(self, **_):
        super().__init__(lambda call: "Black." if "bees are black" in call.text else "I do not know.")

base_agent._LLM_TYPE_REGISTRY["base"] = "__main__.Model"
crew = Crew.from_checkpoint(CheckpointConfig(restore_from=sys.argv[1]))
with memweld.user_scope("bob"):
    said = crew.kickoff().raw
    crew.agents[1].memory.remember("Remembered by another process")
    print(json.dumps([said, crew.agents[0].tools[0].run(query="bees")]))
"""


@pytest.mark.exhaustive
def test_another_process_restores(tmp_path: Path) -> None:
    """The memory of the agents is Ana's; their tools are for whoever is served."""
    with connect(f"sqlite:///{tmp_path / 'memory.db'}") as backend:
        ana, bob = backend.user("ana"), backend.user("bob")
        ana.add("My bees are black")
        bob.add("My bees are blue")
        tools = memory_tools(backend, ["search_memories"])
        crew = make_crew(agent=MemweldMemory(ana), tools=tools, text="which colour are my bees?")
        interrupt(crew, tmp_path / "checkpoints")
        command = [sys.executable, "-c", RESTORING, first_checkpoint(tmp_path / "checkpoints")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=dict(os.environ), check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        said, found = json.loads(done.stdout.splitlines()[-1])
        assert said == "Black."
        assert "bees are blue" in found
        assert "black" not in found
        assert texts(ana)[-1] == "Remembered by another process"
        assert texts(bob) == ["My bees are blue"]
