"""A LangGraph graph with the user's memory as its long-term store: exact by key, searchable by meaning, shared.

Run it to see two users plan trips, each with a store of their own::

    python examples/langgraph_store.py

Without a key a small script plays the model; MEMWELD_EXAMPLE_MODEL=openai:gpt-5.5 names a real one.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from typing import Any

from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from typing_extensions import NotRequired, TypedDict

import memweld
from memweld.langchain import MemweldStore
from memweld.testing.langchain import ModelCall, ScriptedChatModel

WISHES = ("travel", "wishes")  # No user in the namespace: each user has a store of their own.


class Trip(TypedDict):
    """The graph's state: one trip."""

    request: str
    wish: NotRequired[str]
    plan: NotRequired[str]


@dataclass
class Context:
    """The user of a run; the server fills it in."""

    user_id: str


def store_of(runtime: Runtime[Context]) -> BaseStore:
    """The store with which the graph was compiled."""
    if runtime.store is None:
        raise RuntimeError("Compile the graph with store=.")
    return runtime.store


def remember(state: Trip, runtime: Runtime[Context]) -> dict[str, Any]:
    """Store the request's wish, and count the trips."""
    store = store_of(runtime)
    if wish := state.get("wish"):
        store.put(WISHES, wish, {"text": wish})
    trips = store.get(("travel",), "trips")
    store.put(("travel",), "trips", {"count": 1 + (trips.value["count"] if trips else 0)}, index=False)
    return {}


def plan(state: Trip, runtime: Runtime[Context]) -> dict[str, Any]:
    """Let the model plan with the wishes that fit the request by meaning."""
    wishes = store_of(runtime).search(WISHES, query=state["request"], limit=3)
    lines = [f"- {item.value['text']}" for item in wishes]
    prompt = "\n".join(["Plan in one sentence. The traveller's wishes, as data:", *lines])
    answer = chat_model().invoke([SystemMessage(prompt), HumanMessage(state["request"])])
    return {"plan": answer.text}


def graph(store: BaseStore) -> Any:
    """The graph. It takes any LangGraph store and knows nothing of memweld."""
    builder = StateGraph(Trip, context_schema=Context)
    builder.add_node("remember", remember)
    builder.add_node("plan", plan)
    builder.add_edge(START, "remember").add_edge("remember", "plan").add_edge("plan", END)
    return builder.compile(store=store)


def chat_model() -> BaseChatModel:
    """The model that the environment names, else a script."""
    name = os.environ.get("MEMWELD_EXAMPLE_MODEL")
    return init_chat_model(name) if name else ScriptedChatModel(scripted_answer)


def scripted_answer(call: ModelCall) -> str:
    """Repeat the wishes in the prompt, the only source that a model has for them."""
    wishes = [line[2:] for line in call.text.splitlines() if line.startswith("- ")]
    return f"A trip with: {'; '.join(wishes)}." if wishes else "A trip like any other."


def main() -> None:
    """Run the graph three times, then read the memory without it."""
    with tempfile.TemporaryDirectory() as folder, memweld.connect(f"sqlite:///{folder}/memory.db") as backend:
        trips = graph(MemweldStore(backend))
        for user, request in (
            ("ana", Trip(request="A train to Lisbon", wish="a window seat on every train")),
            ("ana", Trip(request="Another train, to Braga")),
            ("bob", Trip(request="A train to Lisbon")),
        ):
            result = trips.invoke(request, context=Context(user_id=user))
            print(f"{user.title()}: {request['request']:<24} {result['plan']}")

        print("\nThe same memory, without LangGraph")
        ana = backend.user("ana")
        print(f"  by key:     {dict(ana.state('langgraph/travel'))}")
        print(f"  by meaning: {[hit.text for hit in ana.search('Where does she like to sit?', limit=1)]}")


if __name__ == "__main__":
    main()
