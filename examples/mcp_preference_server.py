"""An MCP server whose tools remember: a recommendation that knows its user, and research in several steps.

Run it to compare these tools with the same tools without memory::

    python examples/mcp_preference_server.py

As a server for an MCP client, over stdio, for the user MEMWELD_USER_ID::

    python examples/mcp_preference_server.py serve
"""

from __future__ import annotations

import sys
from typing import Any

import anyio
from fastmcp import Client, FastMCP

import memweld
from memweld import Memory
from memweld.mcp import current_memory, use_backend

# Stand-ins for a database of dishes, and for a slow search in a library.
DISHES = {
    "Beef Wellington": {"meat"},
    "Sole meunière": {"fish"},
    "Spinach lasagne": {"vegetarian"},
    "Mushroom risotto": {"vegetarian", "vegan"},
    "Lentil dal": {"vegetarian", "vegan"},
}
SOURCES = {
    "Handbook of Heating": "heat pumps move three times the energy that they use",
    "Field study": "old houses need larger radiators",
    "Price list": "the pump pays for itself in nine years",
}


def remembering_server(backend: memweld.Backend) -> FastMCP[Any]:
    """The tools with memory. No parameter names the user, because the server knows the caller."""
    server: FastMCP[Any] = FastMCP("evenings")
    use_backend(server, backend)

    @server.tool
    async def recommend_dish(memory: Memory = current_memory()) -> str:
        """Recommend a dish that suits the user and was not recommended lately."""
        # Recall at entry: any agent of any framework may have learned this about the user.
        diet = await memory.aio.preferences.get("diet")
        suitable = [dish for dish, tags in DISHES.items() if diet is None or diet in tags]
        if not suitable:
            return f"nothing here is {diet}"

        def with_one_more(recommended: Any) -> Any:
            # After the whole list, the dish recommended longest ago comes round again.
            chosen = min(suitable, key=lambda dish: recommended.index(dish) if dish in recommended else -1)
            return [*(dish for dish in recommended if dish != chosen), chosen]

        # Write on change, atomically: two simultaneous calls recommend two dishes.
        recommended: Any = await memory.aio.state("recommend_dish").modify("recommended", with_one_more, default=[])
        return recommended[-1]

    @server.tool
    async def research(topic: str, memory: Memory = current_memory()) -> str:
        """Read one more source on a topic; after the last one, the findings. Call it until it says that it is done."""
        state = memory.aio.state("research")
        notes: Any = await state.get(topic, default={})
        source = next((source for source in SOURCES if source not in notes), None)
        if source is None:
            findings = "; ".join(notes.values())
            await memory.aio.tasks.record(f"research: {topic}", outcome=findings, success=True)
            return f"done: {findings}"
        # Store each source as soon as it is read, so that no call reads it twice, whatever happens next.
        await state.modify(topic, lambda kept: {**kept, source: SOURCES[source]}, default={})
        return f"read {len(notes) + 1} of {len(SOURCES)}: {source}"

    return server


def forgetful_server() -> FastMCP[Any]:
    """The same tools without memory: each call is the first one."""
    server: FastMCP[Any] = FastMCP("evenings")

    @server.tool
    async def recommend_dish() -> str:
        """Recommend a dish."""
        return next(iter(DISHES))

    @server.tool
    async def research(topic: str) -> str:  # noqa: ARG001
        """Read one more source on a topic."""
        notes: dict[str, str] = {}  # These live as long as this call.
        source = next(iter(SOURCES))
        notes[source] = SOURCES[source]
        return f"read {len(notes)} of {len(SOURCES)}: {source}"

    return server


async def ask(server: FastMCP[Any], user: str, tool: str, **arguments: str) -> str:
    """One call in a new session, as after a restart of the client."""
    with memweld.user_scope(user):
        async with Client(server) as client:
            return (await client.call_tool(tool, arguments)).data


async def compare() -> None:
    """Play the same calls against both servers and print them side by side."""
    with memweld.connect("sqlite://") as backend:
        # The user told another agent, on another day.
        backend.user("ana").preferences.set("diet", "vegan")
        # A new server for each call, because the memory does not live in the server.
        calls = [("ana", "recommend_dish", {})] * 2 + [("bob", "recommend_dish", {})]
        calls += [("ana", "research", {"topic": "heat pumps"})] * 4
        print(f"{'call':<20} {'without memory':<34} with memory")
        for user, tool, arguments in calls:
            without = await ask(forgetful_server(), user, tool, **arguments)
            remembered = await ask(remembering_server(backend), user, tool, **arguments)
            print(f"{user + ' ' + tool:<20} {without:<34} {remembered}")
        (outcome,) = backend.user("ana").tasks.context("research: heat pumps", limit=1)
        print(f"\nWhat every agent of Ana's can now look up: {outcome.outcome}")


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        remembering_server(memweld.connect()).run(show_banner=False)
    else:
        anyio.run(compare)
