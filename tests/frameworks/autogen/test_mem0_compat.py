"""Mem0Memory: AutoGen's own finds nothing with mem0 2, ours takes its place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_core import CancellationToken
from autogen_core.memory import Memory as AutoGenMemory
from autogen_core.memory import MemoryContent, MemoryMimeType

from memweld import Backend, ConfigurationError, InvalidInputError
from memweld.autogen import Mem0Memory, loading_with
from memweld.testing.autogen import ScriptedChatCompletionClient

THEIRS = """
import asyncio, json, logging
logging.disable(logging.CRITICAL)
from langchain_core.embeddings import DeterministicFakeEmbedding
from autogen_core import CancellationToken
from autogen_core.memory import MemoryContent
from autogen_ext.memory.mem0 import Mem0Memory
from memweld.testing.langchain import ScriptedChatModel

answer = json.dumps({"memory": [{"id": "0", "text": "The user likes blue"}]})
memory = Mem0Memory(
    user_id="ana",
    is_cloud=False,
    config={
        "llm": {"provider": "langchain", "config": {"model": ScriptedChatModel([answer] * 9)}},
        "embedder": {"provider": "langchain", "config": {"model": DeterministicFakeEmbedding(size=64)}},
        "vector_store": {"provider": "chroma", "config": {"path": "chroma"}},
        "history_db_path": "history.db",
    },
)

async def main():
    await memory.add(MemoryContent(content="I like blue", mime_type="text/plain"))
    stored = memory._client.get_all(filters={"user_id": "ana"})["results"]
    found = (await memory.query("What does the user like?")).results
    try:
        await memory.add(MemoryContent(content="I like green", mime_type="text/plain"), CancellationToken())
    except Exception as error:
        print(json.dumps([len(stored), len(found), type(error).__name__]))

asyncio.run(main())
"""


def content(text: str, **metadata: Any) -> MemoryContent:
    return MemoryContent(content=text, mime_type=MemoryMimeType.TEXT, metadata=metadata or None)


@pytest.mark.exhaustive
def test_autogens_own_finds_nothing_with_mem0_2(tmp_path: Path) -> None:
    """The claim of docs/guides/autogen.md about autogen-ext 0.7.5 with mem0 2.2. If this fails, it is mended."""
    script = tmp_path / "theirs.py"
    script.write_text(THEIRS)
    environment = {**os.environ, "MEM0_TELEMETRY": "False", "MEM0_DIR": str(tmp_path / "mem0")}
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # One is stored, none is found, and a token, never cancelled, breaks the writing.
    assert json.loads(done.stdout.splitlines()[-1]) == [1, 0, "AttributeError"]


class TestOurs:
    async def test_made_and_used_the_same_way(self, backend: Backend) -> None:
        with loading_with(backend):
            memory = Mem0Memory(user_id="ana", limit=3, is_cloud=False)
        assert (memory.user_id, memory.limit) == ("ana", 3)
        await memory.add(content("I like blue", room=1), CancellationToken())
        await memory.add("I like green")
        found = (await memory.query("blue", CancellationToken(), limit=1)).results
        assert [one.content for one in found] == ["I like blue"]
        metadata = found[0].metadata or {}
        assert metadata["room"] == 1
        assert 0 < metadata["score"] <= 1
        assert isinstance(metadata["created_at"], datetime)
        model = ScriptedChatCompletionClient(["Blue."])
        result = await AssistantAgent("assistant", model, memory=[memory]).run(task="Do I like blue?")
        assert "I like blue" in model.seen
        assert [type(event).__name__ for event in result.messages] == ["TextMessage", "MemoryQueryEvent", "TextMessage"]
        await memory.clear()
        assert backend.user("ana").all() == []

    async def test_the_user_is_the_one_it_was_made_for(self, backend: Backend) -> None:
        with pytest.raises(ConfigurationError, match="pass user_id"):
            Mem0Memory(backend=backend)
        memory = Mem0Memory("ana", backend=backend)
        await memory.add(content("I like blue", user_id="ana"))
        with pytest.raises(InvalidInputError, match="belongs to 'ana'"):
            await memory.add(content("I like red", user_id="bob"))
        with pytest.raises(InvalidInputError, match="user_id"):
            await memory.query("blue", user_id="bob")
        assert backend.user("bob").all() == []
        assert [dict(item.metadata) for item in backend.user("ana").all()] == [{}]

    def test_what_has_no_meaning_is_refused(self, backend: Backend) -> None:
        with pytest.raises(ConfigurationError, match="no mem0 cloud"):
            Mem0Memory("ana", is_cloud=True)
        with pytest.raises(ConfigurationError, match="no mem0 cloud"):
            Mem0Memory("ana", api_key="m0-secret")
        with pytest.raises(ConfigurationError, match=r"config\['vector_store'\]"):
            Mem0Memory("ana", config={"vector_store": {"provider": "qdrant"}})
        with pytest.raises(ConfigurationError, match="not both"):
            Mem0Memory("ana", config={"llm": {}}, backend=backend)

    async def test_models_of_a_mem0_configuration_are_taken(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from langchain_core.embeddings import DeterministicFakeEmbedding

        from memweld.testing.langchain import ScriptedChatModel

        monkeypatch.setenv("MEMWELD_URL", f"sqlite:///{tmp_path / 'models.db'}")
        answer = json.dumps({"memory": [{"id": "0", "text": "The user likes blue"}]})
        config = {
            "version": "v1.1",
            "llm": {"provider": "langchain", "config": {"model": ScriptedChatModel([answer])}},
            "embedder": {"provider": "langchain", "config": {"model": DeterministicFakeEmbedding(size=64)}},
        }
        memory, other = Mem0Memory("ana", config=config), Mem0Memory("bob", config=config)
        await memory.add(content("I do like blue, you know"))
        # The words that the fact does not cover are found beside it.
        assert "The user likes blue" in [one.content for one in (await memory.query("blue")).results]
        assert (await other.query("blue")).results == []

    async def test_components_go_round_without_secrets(
        self, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await Mem0Memory("ana", 3, backend=backend).add(content("I like blue"))
        dump = json.loads(Mem0Memory("ana", 3, backend=backend).dump_component().model_dump_json())
        assert dump["provider"] == "memweld.autogen.Mem0Memory"
        assert dump["config"] == {"user_id": "ana", "limit": 3, "is_cloud": False, "url": backend.url}
        with loading_with(backend):
            loaded = AutoGenMemory.load_component(dump)
        assert [one.content for one in (await loaded.query("blue")).results] == ["I like blue"]
        # A config that was written by AutoGen's class needs the name of the provider changed, and no cloud.
        written = {"user_id": "ana", "limit": 10, "is_cloud": False, "config": {"llm": {"provider": "openai"}}}
        with loading_with(backend):
            assert isinstance(AutoGenMemory.load_component({**dump, "config": written}), Mem0Memory)
        with pytest.raises(ConfigurationError, match="no mem0 cloud"):
            AutoGenMemory.load_component({**dump, "config": {"user_id": "ana", "is_cloud": True}})
        secret = {"llm": {"provider": "openai", "config": {"api_key": "sk-s3cret"}}}
        monkeypatch.setenv("MEMWELD_URL", f"sqlite:///{tmp_path / 'secret.db'}")
        assert "s3cret" not in Mem0Memory("ana", config=secret).dump_component().model_dump_json()
