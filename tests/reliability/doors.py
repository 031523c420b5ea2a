"""The ways in to a memory, each with the framework's real objects: a tool by name, for a user, and all that comes back.

What is answered is returned as one text, errors included: nothing of another user may stand in those either.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, cast

import httpx
from anyio.from_thread import start_blocking_portal
from autogen_agentchat.agents import AssistantAgent
from autogen_core import CancellationToken
from crewai import Agent, Crew, Task
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.server.auth import StaticTokenVerifier
from langchain.agents import create_agent
from langchain_core.messages import ToolCall
from mcp.shared.exceptions import McpError

import memweld
import memweld.autogen
import memweld.crewai
import memweld.langchain
from memweld import Backend, MemweldError, Scope
from memweld.mcp import Limits, create_app
from memweld.testing.autogen import ScriptedChatCompletionClient
from memweld.testing.crewai import ScriptedLLM
from memweld.testing.langchain import ScriptedChatModel
from memweld.tools import TOOLS, TOOLSETS, memory_functions

Arguments = Mapping[str, Any]


class Door:
    """One way in."""

    def __init__(self, backend: Backend, scopes: list[Scope]) -> None:
        self.backend = backend

    def call(self, scope: Scope, tool: str, arguments: Arguments) -> str:
        """Call a tool as a model would, in the name of the scope's user."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is open."""


class Tools(Door):
    """The tools themselves, as the command line calls them."""

    def call(self, scope: Scope, tool: str, arguments: Arguments) -> str:
        try:
            answer = TOOLS[tool](self.backend.scoped(scope), arguments)
        except MemweldError as error:
            return f"error: {error}"
        return answer.text + repr(answer.data)


class Functions(Door):
    """Plain functions over the backend, with the user of the context."""

    def __init__(self, backend: Backend, scopes: list[Scope]) -> None:
        self.functions = {each.__name__: each for each in memory_functions(backend, TOOLSETS)}

    def call(self, scope: Scope, tool: str, arguments: Arguments) -> str:
        try:
            with memweld.user_scope(cast("str", scope.user_id), agent_id=scope.agent_id):
                return self.functions[tool](**arguments)
        except MemweldError as error:
            return f"error: {error}"


class LangChain(Door):
    """LangChain's tools over the backend, with the user of the run."""

    def __init__(self, backend: Backend, scopes: list[Scope]) -> None:
        self.tools = {tool.name: tool for tool in memweld.langchain.memory_tools(backend, TOOLSETS)}

    def call(self, scope: Scope, tool: str, arguments: Arguments) -> str:
        named = {"user_id": scope.user_id} | ({} if scope.agent_id is None else {"agent_id": scope.agent_id})
        call = ToolCall(name=tool, args=dict(arguments), id="1", type="tool_call")
        message = self.tools[tool].invoke(call, config={"configurable": named})
        return f"{message.status}: {message.text}{message.artifact!r}"


class CrewAI(Door):
    """CrewAI's tools over the backend, with the user of the context."""

    def __init__(self, backend: Backend, scopes: list[Scope]) -> None:
        self.tools = {tool.name: tool for tool in memweld.crewai.memory_tools(backend, TOOLSETS)}

    def call(self, scope: Scope, tool: str, arguments: Arguments) -> str:
        with memweld.user_scope(cast("str", scope.user_id), agent_id=scope.agent_id):
            answer = self.tools[tool].run(**arguments)
        return answer if isinstance(answer, str) else f"error: {answer!r}"


class AutoGen(Door):
    """AutoGen's tools over the backend, with the user of the context."""

    def __init__(self, backend: Backend, scopes: list[Scope]) -> None:
        self.tools = {tool.name: tool for tool in memweld.autogen.memory_tools(backend, TOOLSETS)}
        self.loop = asyncio.new_event_loop()

    def call(self, scope: Scope, tool: str, arguments: Arguments) -> str:
        async def run() -> str:
            with memweld.user_scope(cast("str", scope.user_id), agent_id=scope.agent_id):
                answer = await self.tools[tool].run_json(arguments, CancellationToken())
            return self.tools[tool].return_value_as_string(answer) + repr(answer)

        try:
            return self.loop.run_until_complete(run())
        except MemweldError as error:
            return f"error: {error}"

    def close(self) -> None:
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


class MCP(Door):
    """The server over HTTP, each user with a session and a token of their own; all of it in this process."""

    def __init__(self, backend: Backend, scopes: list[Scope]) -> None:
        self.users = list(dict.fromkeys(scope.user_id for scope in scopes))
        tokens = {f"token {number}": {"client_id": "a program", "sub": user} for number, user in enumerate(self.users)}
        # The callers here are quicker than any agent.
        limits = Limits(calls_per_minute=10_000_000)
        app = create_app(backend, auth=StaticTokenVerifier(cast("Any", tokens)), toolsets=TOOLSETS, limits=limits)

        def http(**options: Any) -> httpx.AsyncClient:
            options.pop("follow_redirects", None)
            return httpx.AsyncClient(transport=httpx.ASGITransport(cast("Any", app)), **options)

        self._closing = contextlib.ExitStack()
        self._portal = self._closing.enter_context(start_blocking_portal())
        self._closing.enter_context(self._portal.wrap_async_context_manager(app.lifespan(app)))
        self._clients: dict[str | None, Client[Any]] = {}
        for number, user in enumerate(self.users):
            transport = StreamableHttpTransport(
                "http://127.0.0.1/mcp", auth=f"token {number}", httpx_client_factory=cast("Any", http)
            )
            entered = self._portal.wrap_async_context_manager(Client(transport))
            self._clients[user] = self._closing.enter_context(entered)

    def call(self, scope: Scope, tool: str, arguments: Arguments) -> str:
        # With a token, agent_id alone names the agent's own memory, which belongs to no user.
        named = {} if scope.agent_id is None else {"user_id": scope.user_id, "agent_id": scope.agent_id}
        return self._portal.call(self._call, self._clients[scope.user_id], tool, {**named, **arguments})

    async def _call(self, client: Client[Any], tool: str, arguments: dict[str, Any]) -> str:
        try:
            answer = await client.call_tool(tool, arguments)
        except McpError as error:
            return f"error: {error.error!r}"
        return repr(answer.content) + repr(answer.structured_content)

    def close(self) -> None:
        self._closing.close()


DOORS: dict[str, type[Door]] = {
    "tools": Tools,
    "functions": Functions,
    "langchain": LangChain,
    "crewai": CrewAI,
    "autogen": AutoGen,
    "mcp": MCP,
}


def langchain_turn(backend: Backend, scope: Scope, text: str, session_id: str) -> str:
    """All that a model saw in a turn of a LangChain agent."""
    model = ScriptedChatModel(["Noted."])
    agent = create_agent(model, middleware=[memweld.langchain.MemweldMiddleware(backend)])
    named = {"user_id": scope.user_id, "thread_id": session_id}
    named |= {} if scope.agent_id is None else {"agent_id": scope.agent_id}
    agent.invoke(cast("Any", {"messages": [{"role": "user", "content": text}]}), config={"configurable": named})
    return model.seen


def crewai_turn(backend: Backend, scope: Scope, text: str, session_id: str) -> str:
    """All that a model saw in a run of a crew."""
    model = ScriptedLLM(["Noted."])
    agent = Agent(role="Helper", goal="Help", backstory="You help.", llm=model)
    task = Task(description=text, expected_output="An answer", agent=agent)
    crew = Crew(agents=[agent], tasks=[task], memory=memweld.crewai.MemweldMemory(backend))
    with memweld.user_scope(cast("str", scope.user_id), agent_id=scope.agent_id):
        crew.kickoff()
    return model.seen


def autogen_turn(backend: Backend, scope: Scope, text: str, session_id: str) -> str:
    """All that a model saw in a run of an AutoGen agent."""
    model = ScriptedChatCompletionClient(["Noted."])
    with memweld.user_scope(cast("str", scope.user_id), agent_id=scope.agent_id):
        context = memweld.autogen.MemweldChatCompletionContext(backend, session_id)
        asyncio.run(AssistantAgent("helper", model, model_context=context).run(task=text))
    return model.seen


TURNS = (langchain_turn, crewai_turn, autogen_turn)
