"""The retriever: what its Documents say, whose memories they are, and where it can stand."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from blockbuster import blockbuster_ctx
from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.load import dumps
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.runnables import ConfigurableField, Runnable, RunnableConfig, RunnableLambda, RunnablePassthrough
from langchain_core.tools import create_retriever_tool
from langgraph.graph import END, START, StateGraph
from typing_extensions import NotRequired, TypedDict

import memweld
from memweld import AccessDeniedError, Backend, ConfigurationError, InvalidInputError, Memory, connect
from memweld.langchain import MemweldRetriever
from memweld.testing import HashEmbedder, Mode
from memweld.testing.langchain import ScriptedChatModel, tool_call

both = pytest.mark.parametrize("mode", ["sync", "async"])


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    with connect(f"sqlite:///{tmp_path / 'memory.db'}", embedder=HashEmbedder()) as backend:
        backend.user("ana").add("Ana keeps bees")
        backend.user("bob").add("Bob keeps bees and a secret")
        yield backend


def run(runnable: Runnable[Any, Any], given: Any, mode: Mode = "sync", config: Any = None, **kwargs: Any) -> Any:
    if mode == "sync":
        return runnable.invoke(given, config, **kwargs)
    return asyncio.run(runnable.ainvoke(given, config, **kwargs))


def texts(documents: list[Document]) -> list[str]:
    return [document.page_content for document in documents]


def configured(user_id: str) -> RunnableConfig:
    return {"configurable": {"user_id": user_id}}


# documents


@both
def test_a_document_says_what_is_known_of_a_memory(backend: Backend, mode: Mode) -> None:
    cook = backend.user("ana", agent_id="cook")
    (item,) = cook.add(
        "Clara eats no peanuts",
        metadata={"source": "form 7", "tags": ["diet"]},
        session_id="dinner",
        created_at="2025-10-15T10:30:00Z",
    )
    (document,) = run(MemweldRetriever(backend.user("ana"), k=1), "Who eats peanuts?", mode)
    assert document.id == item.id
    assert document.page_content == "Clara eats no peanuts"
    (hit,) = backend.user("ana").search("Who eats peanuts?", limit=1)
    updated = document.metadata.pop("updated_at")
    assert updated.endswith("Z")
    assert document.metadata == {
        "score": hit.score,
        "created_at": "2025-10-15T10:30:00Z",
        "valid_from": None,
        "valid_until": None,
        "kind": "item",
        "key": None,
        "session_id": "dinner",
        "agent_id": "cook",
        "source": "form 7",
        "tags": ["diet"],
    }


@both
def test_a_document_says_until_when_a_memory_was_true(ana: Memory, mode: Mode) -> None:
    ana.add("I live in Porto", created_at="2024-01-10")
    ana.add("I moved to Lisbon", created_at="2025-03-01")
    retriever = MemweldRetriever(ana, kinds="item", k=1)
    (document,) = run(retriever, "Where did I live in June 2024?", mode)
    assert document.page_content == "I live in Porto (until 2025-03-01)"
    assert document.metadata["valid_until"] == "2025-03-01T00:00:00Z"
    assert texts(run(retriever, "home Porto", mode, as_of="2024-06-30")) == ["I live in Porto (until 2025-03-01)"]
    assert texts(run(retriever, "home Porto", mode, include_inactive=True)) == ["I live in Porto (until 2025-03-01)"]
    assert texts(run(retriever, "home Lisbon", mode)) == ["I moved to Lisbon"]


def test_own_metadata_does_not_take_the_place_of_ours(ana: Memory) -> None:
    own = {"score": 7, "kind": "lie", "metadata": {"deep": 1}, "source": "form"}
    ana.add("The hive is blue", metadata=own)
    (document,) = MemweldRetriever(ana, k=1).invoke("blue hive")
    assert 0 <= document.metadata["score"] <= 1
    assert document.metadata["kind"] == "item"
    assert document.metadata["source"] == "form"
    assert document.metadata["metadata"] == {"score": 7, "kind": "lie", "metadata": {"deep": 1}}


@both
def test_options_of_the_retriever_and_of_a_call(ana: Memory, mode: Mode) -> None:
    ana.preferences.set("insects", "bees")
    ana.add("Bees like lavender", metadata={"source": "book"})
    retriever = MemweldRetriever(ana, kinds={"item"}, filters={"source": "book"})  # pyright: ignore[reportArgumentType]
    assert texts(run(retriever, "bees", mode)) == ["Bees like lavender"]
    assert set(texts(run(retriever, "bees", mode, filters=None))) == {"Bees like lavender", "Ana keeps bees"}
    assert len(run(retriever, "bees", mode, filters=None, k=1)) == 1
    assert run(retriever, "bees", mode, before="2001-01-01") == []
    assert run(retriever, "bees", mode, session_id="none") == []
    assert texts(run(retriever, "bees", mode, filters={"source": {"$in": ["book"]}}, after="2001-01-01")) == [
        "Bees like lavender"
    ]
    (preference,) = run(retriever, "bees", mode, filters=None, kinds=["preference"])
    assert (preference.metadata["kind"], preference.metadata["key"]) == ("preference", "insects")
    assert len(run(retriever.bind(k=1, filters=None), "bees", mode)) == 1
    everything = run(MemweldRetriever(ana), "Bees like lavender", mode)
    best = everything[0].metadata["score"]
    assert everything[-1].metadata["score"] < best
    chosen = MemweldRetriever(ana, min_score=best)
    assert texts(run(chosen, "Bees like lavender", mode)) == ["Bees like lavender"]
    assert texts(run(chosen, "Bees like lavender", mode, min_score=None)) == texts(everything)


@both
def test_recency(ana: Memory, mode: Mode) -> None:
    ana.add("The hive of bees is blue", created_at="2001-01-01")
    ana.add("The hive of bees is green")
    retriever = MemweldRetriever(ana, k=1)
    (recent,) = run(retriever, "Is the hive of bees blue?", mode, recency=timedelta(days=1))
    assert recent.page_content == "The hive of bees is green"
    assert texts(run(retriever, "Is the hive of bees blue?", mode)) == ["The hive of bees is blue"]


def test_k_can_be_configured(ana: Memory) -> None:
    ana.add("Bees like lavender")
    retriever = MemweldRetriever(ana).configurable_fields(k=ConfigurableField(id="k"))
    assert len(retriever.invoke("bees")) == 2
    assert len(retriever.invoke("bees", {"configurable": {"k": 1}})) == 1


def test_arguments_that_break_a_rule(ana: Memory) -> None:
    with pytest.raises(InvalidInputError, match="must be a memweld Memory or Backend, not str"):
        MemweldRetriever("ana")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidInputError, match="k"):
        MemweldRetriever(ana, k=0)
    with pytest.raises(InvalidInputError, match="kind"):
        MemweldRetriever(ana, kinds=["facts"])  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidInputError, match="filters"):
        MemweldRetriever(ana, filters={"year": {"$after": 3}})
    retriever = MemweldRetriever(ana)
    wrongs: list[dict[str, Any]] = [
        {"k": -1},
        {"kinds": "facts"},
        {"filters": {"a": []}},
        {"top_k": 3},
        {"min_score": 2},
        {"recency": 7},
        {"after": "last May"},
        {"session_id": ""},
        {"as_of": "once"},
        {"include_inactive": "yes"},
        {"filter": {"year": 2024}},
        {"user_id": "bob"},
    ]
    for wrong in wrongs:
        with pytest.raises(InvalidInputError):
            MemweldRetriever(ana, **wrong)
        with pytest.raises(InvalidInputError):
            retriever.invoke("bees", **wrong)
        with pytest.raises(InvalidInputError):
            run(retriever, "bees", "async", **wrong)
    with pytest.raises(InvalidInputError, match="must be a string, not dict"):
        retriever.invoke({"query": "bees"})  # pyright: ignore[reportArgumentType]


@both
def test_whatever_a_user_says_can_be_searched_for(ana: Memory, mode: Mode) -> None:
    retriever = MemweldRetriever(ana)
    for blank in ("", "  \n", "\x00"):
        assert run(retriever, blank, mode) == []
    assert texts(run(retriever, "\ud83d bees\x00", mode)) == ["Ana keeps bees"]
    assert texts(run(retriever, "word " * 50_000 + "bees", mode)) == ["Ana keeps bees"]


# whose memory


@both
def test_the_user_of_a_call(backend: Backend, mode: Mode) -> None:
    retriever = MemweldRetriever(backend)
    assert texts(run(retriever, "bees", mode, configured("ana"))) == ["Ana keeps bees"]
    with memweld.user_scope("bob"):
        assert texts(run(retriever, "bees", mode)) == ["Bob keeps bees and a secret"]
        with pytest.raises(AccessDeniedError):
            run(retriever, "bees", mode, configured("ana"))
    for blank_or_not in ("bees", ""):
        with pytest.raises(ConfigurationError, match="No user is known"):
            run(retriever, blank_or_not, mode)
    assert texts(run(MemweldRetriever(backend.user("ana")), "bees", mode, configured("bob"))) == ["Ana keeps bees"]


@both
def test_many_users_in_one_batch(backend: Backend, mode: Mode) -> None:
    for number in range(8):
        backend.user(f"user-{number}").add(f"secret of user {number} is word{number}x")
    retriever = MemweldRetriever(backend)
    configs: Any = [configured(f"user-{number}") for number in range(8)] * 4
    queries = ["secret"] * len(configs)
    batch = retriever.batch(queries, configs) if mode == "sync" else asyncio.run(retriever.abatch(queries, configs))
    assert [texts(found) for found in batch] == [[f"secret of user {n} is word{n}x"] for n in range(8)] * 4


@both
def test_in_a_chain(backend: Backend, mode: Mode) -> None:
    def prompt(given: dict[str, Any]) -> str:
        return f"{given['question']} {texts(given['context'])}"

    retriever = MemweldRetriever(backend).with_config(run_name="memories")
    chain = {"context": retriever, "question": RunnablePassthrough()} | RunnableLambda(prompt)
    assert run(chain, "Who keeps bees?", mode, configured("ana")) == "Who keeps bees? ['Ana keeps bees']"
    with pytest.raises(ConfigurationError):
        run(chain, "Who keeps bees?", mode)


class Context(TypedDict):
    user_id: NotRequired[str]


class GraphState(TypedDict):
    question: str
    found: NotRequired[list[str]]


@both
@pytest.mark.parametrize("kwargs", [{"context": {"user_id": "ana"}}, {"config": configured("ana")}])
def test_in_a_node_of_a_graph(backend: Backend, mode: Mode, kwargs: dict[str, Any]) -> None:
    retriever = MemweldRetriever(backend)

    # On Python 3.10 the config reaches an asynchronous node's calls only if it is passed on.
    def look_up(state: GraphState, config: RunnableConfig) -> dict[str, Any]:
        return {"found": texts(retriever.invoke(state["question"], config))}

    async def alook_up(state: GraphState, config: RunnableConfig) -> dict[str, Any]:
        return {"found": texts(await retriever.ainvoke(state["question"], config))}

    builder = StateGraph(GraphState, context_schema=Context)
    builder.add_node("look_up", RunnableLambda(look_up, alook_up))
    builder.add_edge(START, "look_up").add_edge("look_up", END)
    graph = builder.compile()
    config, context = kwargs.get("config"), kwargs.get("context")
    assert run(graph, {"question": "bees"}, mode, config, context=context)["found"] == ["Ana keeps bees"]
    with pytest.raises(ConfigurationError):
        run(graph, {"question": "bees"}, mode)


@pytest.mark.parametrize(
    "mode",
    [
        "sync",
        pytest.param(
            "async",
            marks=pytest.mark.skipif(
                sys.version_info < (3, 11), reason="LangChain tells a tool's coroutine of no config on Python 3.10"
            ),
        ),
    ],
)
def test_as_a_tool_of_an_agent(backend: Backend, mode: Mode) -> None:
    tool = create_retriever_tool(MemweldRetriever(backend), "look_up", "What is remembered of the user.")

    def answer(user_id: str) -> str:
        model = ScriptedChatModel([tool_call("look_up", {"query": "bees"}), "Done."])
        agent = create_agent(model, tools=[tool], context_schema=Context)
        result = run(agent, {"messages": [HumanMessage("Bees?")]}, mode, context=Context(user_id=user_id))
        assert "user_id" not in str(model.calls[0].tools)
        (message,) = [message for message in result["messages"] if isinstance(message, ToolMessage)]
        return str(message.text)

    assert answer("ana") == "Ana keeps bees"
    assert answer("bob") == "Bob keeps bees and a secret"
    with memweld.user_scope("ana"):
        assert run(tool, {"query": "bees"}, mode) == "Ana keeps bees"
    with pytest.raises(ConfigurationError):
        run(tool, {"query": "bees"}, mode)


# what it does not tell


def test_it_is_dumped_without_the_memory() -> None:
    with connect("http://ana:pass-word-1@127.0.0.1:9/mcp?key=key-word-2", token="token-word-3") as backend:
        for retriever in (MemweldRetriever(backend), MemweldRetriever(backend.user("user-word-4"))):
            for dump in (dumps(retriever), repr(retriever), str(retriever), retriever.model_dump_json()):
                assert "-word-" not in dump
                assert "memory=" not in dump
            assert dumps({"context": retriever} | RunnablePassthrough()).count("-word-") == 0


def test_a_document_does_not_tell_the_user(backend: Backend) -> None:
    backend.user("user-word-4").add("I keep bees")
    (document,) = MemweldRetriever(backend).invoke("bees", configured("user-word-4"))
    assert "user-word-4" not in document.model_dump_json()


def test_the_event_loop_is_not_blocked(ana: Memory, backend: Backend) -> None:
    async def search() -> list[list[str]]:
        bound, shared = MemweldRetriever(ana), MemweldRetriever(backend)
        with blockbuster_ctx():
            return [texts(await bound.ainvoke("bees")), texts(await shared.ainvoke("bees", configured("ana")))]

    assert asyncio.run(search()) == [["Ana keeps bees"]] * 2
