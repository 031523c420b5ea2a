"""The chat service keeps its users apart, whatever a client sends, one after the other and at once."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from blockbuster import blockbuster_ctx

from memweld import Backend, connect
from memweld.testing import HashEmbedder
from memweld.testing.langchain import ModelCall, ScriptedChatModel

PATH = Path(__file__).parents[2] / "examples" / "fastapi_chat.py"
TOKENS = {f"user-{number}": f"token-of-user-{number}" for number in range(10)}
ANA, BOB = "user-0", "user-1"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location("fastapi_chat", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # FastAPI looks up the types of the functions in their module.
    monkeypatch.setitem(sys.modules, "fastapi_chat", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def model() -> ScriptedChatModel:
    def answer(call: ModelCall) -> str:
        return f"I was shown: {call.text}"

    return ScriptedChatModel(answer)


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return connect(f"sqlite:///{tmp_path / 'memory.db'}", embedder=HashEmbedder())


@pytest.fixture
async def client(example: Any, model: ScriptedChatModel, backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    app = example.create_app(backend, model, TOKENS)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chat") as client,
    ):
        yield client


def bearer(user: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[user]}"}


async def say(client: httpx.AsyncClient, user: str, text: str, path: str = "/chat", **fields: str) -> str:
    response = await client.post(path, json={"text": text, **fields}, headers=bearer(user))
    assert response.status_code == 200, response.text
    return response.json()["answer"] if path == "/chat" else response.text


both = pytest.mark.parametrize("path", ["/chat", "/chat/stream"])


@both
async def test_a_user_is_remembered_and_no_other(client: httpx.AsyncClient, path: str) -> None:
    await say(client, ANA, "The code of the safe is marigold", path)
    assert "marigold" in await say(client, ANA, "What is the code of the safe?", path, thread="another")
    for thread in ("main", "another", "third"):
        assert "marigold" not in await say(client, BOB, "What is the code of the safe?", path, thread=thread)


@both
async def test_a_thread_goes_on_for_its_user_alone(
    client: httpx.AsyncClient, backend: Backend, model: ScriptedChatModel, path: str
) -> None:
    await say(client, ANA, "Let us speak of bees", path, thread="t")
    await say(client, BOB, "Let us speak of cars", path, thread="t")
    await say(client, ANA, "What were we at?", path, thread="t")
    assert [message.text for message in model.calls[2].messages if message.type == "human"] == [
        "Let us speak of bees",
        "What were we at?",
    ]
    for user, spoken in ((ANA, 4), (BOB, 2)):
        (session,) = backend.user(user).sessions()
        assert session.messages == spoken


@both
@pytest.mark.parametrize("spoof", [{"user_id": ANA}, {"context": {"user_id": ANA}}, {"thread": f'["{ANA}", "main"]'}])
async def test_a_body_that_names_a_user_is_refused(
    client: httpx.AsyncClient, model: ScriptedChatModel, path: str, spoof: dict[str, Any]
) -> None:
    response = await client.post(path, json={"text": "hello", **spoof}, headers=bearer(BOB))
    assert response.status_code == 422
    assert model.calls == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer token-of-user-"},
        {"Authorization": "Bearer token-of-user-00"},
        {"Authorization": "Bearer tokén".encode()},
        {"Authorization": f"Basic {TOKENS[ANA]}"},
        {"X-User": ANA},
    ],
)
async def test_without_a_valid_token_there_is_nothing(
    client: httpx.AsyncClient, model: ScriptedChatModel, headers: dict[str, Any]
) -> None:
    for method, path in (("POST", "/chat"), ("POST", "/chat/stream"), ("GET", "/me/memories"), ("DELETE", "/me")):
        response = await client.request(method, path, json={"text": "hello"}, headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
    assert model.calls == []


async def test_many_users_at_once(client: httpx.AsyncClient) -> None:
    def secret(user: str) -> str:
        return f"the secret word is {user.replace('user', 'word')}x"

    async def converse(user: str) -> None:
        own, others = secret(user), [secret(other) for other in TOKENS if other != user]
        for turn in ("/chat", "/chat/stream"):
            await say(client, user, own, turn)
            answer = await say(client, user, "What is the secret word?", turn, thread=f"new-{turn[6:]}")
            assert own in answer
            assert not any(other in answer for other in others)
        kept = await client.get("/me/memories", headers=bearer(user))
        assert kept.json() == [own]

    await asyncio.gather(*map(converse, TOKENS))


async def test_a_user_who_is_forgotten_is_forgotten(client: httpx.AsyncClient, backend: Backend) -> None:
    for user in (ANA, BOB):
        await say(client, user, "The code of the safe is marigold")
    receipt = (await client.delete("/me", headers=bearer(ANA))).json()
    assert (receipt["items"], receipt["messages"]) == (1, 2)
    assert "marigold" not in await say(client, ANA, "What is the code of the safe?")
    assert "marigold" in await say(client, BOB, "What is the code of the safe?")


async def test_the_loop_is_not_blocked(client: httpx.AsyncClient) -> None:
    await say(client, ANA, "warm up: what is imported at the first use is read from disk")
    with blockbuster_ctx():
        assert "The hive is blue" in await say(client, ANA, "The hive is blue")
        await say(client, ANA, "What is blue?", "/chat/stream", thread="other")
        assert len((await client.get("/me/memories", headers=bearer(ANA))).json()) == 2
