"""Whole AutoGen teams as components: written as JSON, read in a new process, without secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat, SelectorGroupChat, Swarm
from autogen_core.model_context import BufferedChatCompletionContext

import memweld
from memweld import Backend
from memweld.autogen import MemweldChatCompletionContext, MemweldMemory, memory_tools, memory_workbench
from memweld.testing.autogen import ScriptedChatCompletionClient

Model = ScriptedChatCompletionClient

READ = """
import asyncio, json, sys
from pathlib import Path
from autogen_agentchat.base import Team

async def main():
    read = json.loads(Path(sys.argv[1]).read_text())
    team = Team.load_component(read["component"])
    await team.load_state(read["state"])
    result = await team.run(task="And then?")
    print(json.dumps([message.to_text() for message in result.messages]))

asyncio.run(main())
"""


def run(script: str, folder: Path, *arguments: str, **environment: str) -> str:
    path = folder / "script.py"
    path.write_text(script)
    done = subprocess.run(
        [sys.executable, str(path), *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def agent(name: str, backend: Backend, replies: list[str], **options: Any) -> AssistantAgent:
    ana = backend.user("ana")
    context = MemweldChatCompletionContext(
        ana, "trip", agent_name=name, inner=BufferedChatCompletionContext(9), keep_on_clear=True
    )
    return AssistantAgent(
        name,
        model_client=Model(replies),
        model_context=context,
        memory=[MemweldMemory(backend.user("ana", agent_id=name), recall_limit=3)],
        description=name,
        **options,
    )


def teams(backend: Backend) -> dict[str, Any]:
    ana = backend.user("ana")

    def pair(**options: Any) -> list[Any]:
        workbench: Any = {} if options else {"workbench": [memory_workbench(ana)]}
        return [
            agent("writer", backend, ["Porto it is"], tools=memory_tools(ana), **options),
            agent("critic", backend, ["Good"], **workbench),
        ]

    done = MaxMessageTermination(2)
    return {
        "round robin": RoundRobinGroupChat(pair(), termination_condition=done),
        "selector": SelectorGroupChat(pair(), model_client=Model(["writer"]), termination_condition=done),
        "swarm": Swarm(pair(handoffs=["critic"]), termination_condition=done),
    }


@pytest.mark.parametrize("kind", ["round robin", "selector", "swarm"])
async def test_a_team_is_read_in_a_new_process(kind: str, tmp_path: Path) -> None:
    with memweld.connect(f"sqlite:///{tmp_path / 'memory.db'}") as backend:
        ana = backend.user("ana")
        team = teams(backend)[kind]
        await team.run(task="Where to?")
        # A fresh team, as scripts of models are dumped from their beginning.
        component = json.loads(teams(backend)[kind].dump_component().model_dump_json())
        state = json.loads(json.dumps(await team.save_state()))
        before = [(said.name, said.text) for said in ana.history("trip").messages()]
    assert before == [(None, "Where to?"), ("writer", "Porto it is")]
    (tmp_path / "team.json").write_text(json.dumps({"component": component, "state": state}))
    printed = run(READ, tmp_path, str(tmp_path / "team.json"), AUTOGEN_ALLOWED_PROVIDER_NAMESPACES="memweld")
    # The state says whose turn it is; a swarm goes on with who spoke last.
    speaker, reply = ("writer", "Porto it is") if kind == "swarm" else ("critic", "Good")
    assert json.loads(printed) == ["And then?", reply]
    with memweld.connect(f"sqlite:///{tmp_path / 'memory.db'}") as backend:
        after = [(said.name, said.text) for said in backend.user("ana").history("trip").messages()]
    assert after == [*before, (None, "And then?"), (speaker, reply)]


def test_a_dumped_team_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMWELD_LLM", json.dumps({"provider": "openai", "config": {"api_key": "sk-s3cret"}}))
    url = "http://127.0.0.1:9/mcp?token=s3cret"
    with memweld.connect(url, token="s3cret") as backend:
        dumped = [team.dump_component().model_dump_json() for team in teams(backend).values()]
    for dump in dumped:
        assert "s3cret" not in dump
        assert "http://127.0.0.1:9/mcp" in dump
