"""A chat service for many users with one agent object. A token proves who speaks, and so selects the memory.

Run it to see two users, one of whom pretends to be the other::

    python examples/fastapi_chat.py

As a service, with the tokens of its users in the environment::

    export CHAT_TOKENS='{"ana": "a-long-random-token", "bob": "another-one"}'
    python examples/fastapi_chat.py serve
    curl http://127.0.0.1:8000/chat --oauth2-bearer a-long-random-token --json '{"text": "My cat is called Tofu"}'

Without a key a small script plays the model; MEMWELD_EXAMPLE_MODEL=openai:gpt-5.5 names a real one.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import anyio
import httpx
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel, ConfigDict, Field

import memweld
from memweld import Backend
from memweld.langchain import MemweldMiddleware
from memweld.testing.langchain import ModelCall, ScriptedChatModel


class Say(BaseModel):
    """A client's request. FastAPI refuses any other field, such as one that names a user."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=20_000)
    thread: str = Field(default="main", pattern=r"^[\w-]{1,64}$")


@dataclass
class Context:
    """The run-time context of a run. Only the server fills it in."""

    user_id: str


# `async def`, because it waits for nothing; as `def` it would cost each request a thread.
async def user_of_token(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
) -> str:
    """The user whose token the request carries; else 401."""
    sent = given.credentials.encode() if given else b""
    tokens: dict[str, str] = request.app.state.tokens
    # It compares all tokens, each in constant time, so the response time does not tell how close a guess was.
    users = [user for user, token in tokens.items() if hmac.compare_digest(token.encode(), sent)]
    if not sent or not users:
        raise HTTPException(401, "Send a valid bearer token.", {"WWW-Authenticate": "Bearer"})
    return users[0]


User = Annotated[str, Depends(user_of_token)]


def create_app(backend: Backend, model: BaseChatModel, tokens: Mapping[str, str]) -> FastAPI:
    """The service.

    Args:
        backend: The memory of all users; closed when the service ends.
        model: The chat model.
        tokens: Each user's bearer token.
    """
    checkpointer = InMemorySaver()
    agent = create_agent(
        model,
        middleware=[MemweldMiddleware(backend)],  # The backend, not a memory: each run names its user.
        context_schema=Context,
        checkpointer=checkpointer,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with backend:
            yield

    def run(user: str, say: Say) -> dict[str, Any]:
        # The user is part of the thread's id, so clients can name only threads of their own. As JSON, no two pairs have
        # the same id.
        config = {"configurable": {"thread_id": json.dumps([user, say.thread])}}
        return {"input": {"messages": [HumanMessage(say.text)]}, "config": config, "context": Context(user)}

    app = FastAPI(title="Chat with memory", lifespan=lifespan)
    app.state.tokens = dict(tokens)

    @app.post("/chat")
    async def chat(say: Say, user: User) -> dict[str, str]:
        """One turn. It awaits model and memory, so other users' turns go on meanwhile."""
        result = await agent.ainvoke(**run(user, say))
        return {"answer": result["messages"][-1].text}

    @app.post("/chat/stream")
    async def stream(say: Say, user: User) -> StreamingResponse:
        """One turn, its answer piece by piece as the model writes it."""

        async def pieces() -> AsyncIterator[str]:
            async for message, _ in agent.astream(**run(user, say), stream_mode="messages"):
                if isinstance(message, AIMessage):
                    yield message.text

        return StreamingResponse(pieces(), media_type="text/plain; charset=utf-8")

    @app.get("/me/memories")
    async def memories(user: User) -> list[str]:
        """The caller's memories."""
        return [item.text for item in await backend.user(user).aio.all()]

    @app.delete("/me")
    def erase(user: User) -> dict[str, int]:
        """Erase the caller's data. FastAPI runs a `def` in a thread, which these synchronous methods need."""
        memory = backend.user(user)
        for session in memory.sessions():
            checkpointer.delete_thread(session.session_id)  # Erasing memory leaves checkpoints alone.
        return dict(memory.erase().counts)

    return app


def chat_model() -> BaseChatModel:
    """The model that the environment names, else a script."""
    name = os.environ.get("MEMWELD_EXAMPLE_MODEL")
    return init_chat_model(name) if name else ScriptedChatModel(scripted_answer)


def scripted_answer(call: ModelCall) -> str:
    """Repeat the memories in the prompt, the only source that a model has for them."""
    remembered = [line.partition("] ")[2] for line in call.text.splitlines() if line.startswith("- [")]
    return f"You told me: {'; '.join(remembered)}." if remembered else "I know nothing of you yet."


async def play() -> None:
    """Play two users, one of whom pretends to be the other."""
    tokens = {user: secrets.token_urlsafe() for user in ("ana", "bob")}
    app = create_app(memweld.connect("sqlite://"), chat_model(), tokens)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://chat", timeout=120) as client,
    ):

        async def say(who: str, text: str, token: str | None, **fields: str) -> None:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            response = await client.post("/chat", json={"text": text, **fields}, headers=headers)
            answer = response.json()["answer"] if response.is_success else response.reason_phrase
            print(f"{who:<28} {text:<24} {response.status_code} {answer}")

        await say("Ana", "My cat is called Tofu", tokens["ana"])
        await say("Ana, another conversation", "What is my cat called?", tokens["ana"], thread="2")
        await say("Bob", "What is my cat called?", tokens["bob"])
        await say("Bob, in Ana's thread", "What is my cat called?", tokens["bob"], thread="2")
        await say("Bob, who says he is Ana", "What is my cat called?", tokens["bob"], user_id="ana")
        await say("somebody without a token", "What is my cat called?", None)


def main() -> None:
    """Serve, or play."""
    if sys.argv[1:] != ["serve"]:
        anyio.run(play)
        return
    tokens: dict[str, str] = json.loads(os.environ.get("CHAT_TOKENS", "{}"))
    if not tokens or not all(len(token) >= 16 for token in tokens.values()):
        sys.exit('Set CHAT_TOKENS to {"user": "a token of 16 characters or more", …}.')
    uvicorn.run(create_app(memweld.connect(), chat_model(), tokens), host="127.0.0.1", port=8000)


if __name__ == "__main__":
    main()
