"""A user with very many memories: candidates from HNSW and from words, ranked as everybody's memories are."""

from __future__ import annotations

import random
import time
from typing import Any

import numpy as np
import psycopg
import pytest
from servers import PostgresServer

from memweld import Backend, connect

pytestmark = pytest.mark.services

WORDS = (
    "tea coffee bread cat dog train tram river garden piano letter doctor market winter summer island bridge museum "
    "bicycle novel recipe violin lamp mountain harbour kitchen cousin teacher nephew concert painting holiday"
).split()
TURNS = 600


class Meaning:
    """Vectors in which words that are equal lie close, of few dimensions, so that HNSW has something to find."""

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [
            np.sum([np.random.default_rng(sum(map(ord, word))).standard_normal(24) for word in text.split()], axis=0)
            .astype(float)
            .tolist()
            for text in texts
        ]


def fill(backend: Backend) -> None:
    chance = random.Random(1)
    memory, agent = backend.user("ana"), backend.user("ana", agent_id="r")
    for session in range(TURNS // 20):
        turns = [" ".join([*chance.choices(WORDS, k=5), str(session * 20 + turn)]) for turn in range(20)]
        for place, turn in enumerate(turns):
            memory.add(turn, session_id=f"s{session}", metadata={"even": place % 2 == 0, "place": str(place)})
    agent.add("the agent noted tea and a violin in the harbour", metadata={"even": True})
    memory.preferences.set("drink", "green tea in the winter garden")
    memory.state("n").set("k", 1, text="a record of the piano in the museum")
    backend.user("bob").add("bob's tea and violin in the harbour")


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    """Filled, with all vectors of ana in the index."""
    url = postgres.make_database()
    with connect(url, embedder=embedder()) as backend:
        fill(backend)
    with connect(f"{url}?exact_below=100", embedder=embedder()) as backend:
        backend.user("ana").search("tea")
        wait_until(url, "SELECT bool_and(wide) FROM memweld.owners WHERE user_id = 'ana' AND agent_id = ''")
    return url


def embedder() -> Any:
    from langchain_core.embeddings import Embeddings

    class Model(Meaning, Embeddings):
        pass

    return Model()


def ask(url: str, statement: str) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def wait_until(url: str, statement: str) -> None:
    deadline = time.monotonic() + 60
    while not ask(url, statement):
        assert time.monotonic() < deadline, statement
        time.sleep(0.05)


QUERIES = [" ".join(random.Random(number).choices(WORDS, k=3)) for number in range(25)]


def test_candidates_are_as_good_as_everything(url: str) -> None:
    """The first ten of an exact search are nearly all found, with scores that say nearly the same."""
    with (
        connect(url, embedder=embedder()) as exact,
        connect(f"{url}?exact_below=100", embedder=embedder()) as archived,
    ):
        shared, drift = 0, 0.0
        for query in QUERIES:
            want = {hit.id: hit.score for hit in exact.user("ana").search(query, limit=10)}
            have = {hit.id: hit.score for hit in archived.user("ana").search(query, limit=10)}
            shared += len(want.keys() & have.keys())
            drift = max([drift, *(abs(want[each] - have[each]) for each in want.keys() & have.keys())])
    assert shared >= 0.95 * 10 * len(QUERIES)
    assert drift < 0.05


def test_candidates_explain_their_scores(url: str) -> None:
    with connect(f"{url}?exact_below=100", embedder=embedder()) as backend:
        for query in QUERIES[:5]:
            hits = backend.user("ana").search(query, explain=True)
            assert [round(hit.score, 5) for hit in hits] == [
                round(hit.score, 5) for hit in backend.user("ana").search(query)
            ]
            for hit in hits:
                assert hit.explanation is not None
                assert sum(hit.explanation.shares.values()) == pytest.approx(hit.score, rel=1e-5)
                assert {word.word for word in hit.explanation.matches} == set(query.split()) & set(hit.text.split())


@pytest.mark.parametrize("few", [5_000, 0])
def test_values_are_chosen_before_candidates(url: str, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether they are few or many, and however many other memories fit the query better."""
    monkeypatch.setattr("memweld.engine.postgres.hnsw._FEW", few)
    with connect(f"{url}?exact_below=100", embedder=embedder()) as backend:
        state = backend.user("ana").state("shelf/a")
        for number in range(8):
            state.set(f"k{number}", {"n": number}, text=f"tea and a violin {number}")
        backend.user("ana").state("shelf").set("other", {"n": 1}, text="a lamp")
        backend.user("ana").state("shelf").set("plain", {"n": 1})
        search = backend.user("ana").values.search
        assert [hit.entry.key for hit in search("tea violin", "shelf", where={"n": 1})] == ["k1", "other", "plain"]
        hits = search("tea violin", "shelf", limit=20)
        assert [hit.score is None for hit in hits] == [False] * 9 + [True]
        assert {hit.entry.key for hit in hits[:8]} == {f"k{number}" for number in range(8)}
        state.clear()
        backend.user("ana").state("shelf").clear()


def test_candidates_are_valid(url: str) -> None:
    """The database leaves out what is superseded, or was learnt after the moment of the question."""
    with connect(f"{url}?exact_below=10", embedder=embedder()) as backend:
        clara = backend.user("clara")
        clara.add([{"role": "user", "content": f"a violin {number}"} for number in range(40)])
        (old,) = clara.add("tea in the harbour", created_at="2024-01-01T00:00:00Z")
        (new,) = clara.add("tea in the garden", created_at="2025-01-01T00:00:00Z", supersedes=old.id)
        clara.search("tea")
        wait_until(url, "SELECT bool_and(wide) FROM memweld.owners WHERE user_id = 'clara'")
        assert [hit.id for hit in clara.search("tea in the", limit=2) if "tea" in hit.text] == [new.id]
        assert [hit.id for hit in clara.search("tea in the", as_of="2024-06-01")] == [old.id]
        found = clara.search("tea in the", include_inactive=True, limit=2)
        assert {hit.id for hit in found} == {old.id, new.id}
        clara.erase()


def test_candidates_of_a_time(url: str) -> None:
    """What was said or held in a time that the query names is a candidate, however many others fit better."""
    with connect(f"{url}?exact_below=10", embedder=embedder()) as backend:
        dora = backend.user("dora")
        dora.add([{"role": "user", "content": f"violin {number}"} for number in range(300)], created_at="2025-01-01")
        old = "a dog and a violin"
        (said,) = dora.add(old, created_at="2024-03-05T12:00:00Z")
        (held,) = dora.add("my violin is red", created_at="2024-05-01T12:00:00Z")
        dora.add("my violin is blue", created_at="2024-09-01T12:00:00Z", supersedes=held.id)
        dora.search("tea")
        wait_until(url, "SELECT bool_and(wide) FROM memweld.owners WHERE user_id = 'dora'")
        assert said.id not in [hit.id for hit in dora.search("violin", limit=100)]
        assert dora.search("violin in March 2024", limit=1)[0].id == said.id
        found = dora.search("my violin in July 2024", limit=500, explain=True)
        assert held.id in [hit.id for hit in found]
        assert held.id not in [hit.id for hit in dora.search("my violin", limit=500)]
        assert dora.search("What was my previous violin?", limit=1)[0].id == held.id
        for hit in found:
            assert hit.explanation is not None
            assert sum(hit.explanation.shares.values()) == pytest.approx(hit.score, rel=1e-4)
        dora.erase()


def test_the_index_is_used(url: str) -> None:
    """Only vectors of users with very many memories are in it."""
    used = "SELECT coalesce(sum(idx_scan), 0) FROM pg_stat_user_indexes WHERE indexrelname = 'items_by_vector'"
    assert (
        ask(url, "SELECT count(*) FROM pg_indexes WHERE indexname = 'items_by_vector' AND indexdef LIKE '%hnsw%'") == 1
    )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path TO memweld, public")
        connection.execute("SET enable_seqscan = off; SET enable_sort = off")
        plan = connection.execute(
            "EXPLAIN SELECT seq FROM items WHERE root = 1 AND wide AND vector_dims(vector) = 24 "
            "ORDER BY vector::vector(24) <=> "
            f"'{[1.0] * 24}'::vector(24) LIMIT 5".encode()
        ).fetchall()
    assert any("items_by_vector" in line for (line,) in plan), (plan, used)
    assert ask(url, "SELECT bool_or(wide) FROM memweld.items WHERE text LIKE 'bob%'") is False


def test_filters_do_not_make_recall_collapse(url: str) -> None:
    """A filter that one row in twenty passes costs no recall; kinds, agents and other users are apart."""
    with (
        connect(url, embedder=embedder()) as exact,
        connect(f"{url}?exact_below=100", embedder=embedder()) as archived,
    ):
        for query in QUERIES[:10]:
            conditions: list[dict[str, Any]] = [
                {"filters": {"place": "7"}},
                {"filters": {"even": True}},
                {"filters": {"place": "no such"}},
                {"filters": {"$or": [{"place": {"$in": ["7", "8"]}}, {"place": {"$gt": 17}}]}},
                {"after": "2001-01-01", "filters": {"even": {"$ne": True}}},
                {"before": "2001-01-01"},
            ]
            for chosen in conditions:
                fitting = {item.id for item in exact.user("ana").all(limit=10_000, **chosen)}
                want = [hit.id for hit in exact.user("ana").search(query, limit=10, **chosen)]
                hits = archived.user("ana").search(query, limit=10, **chosen)
                assert {hit.id for hit in hits} <= fitting
                assert len({hit.id for hit in hits} & set(want)) >= 0.9 * len(want)
        ana = archived.user("ana")
        assert [hit.text for hit in ana.search("tea", kinds="preference")] == ["drink: green tea in the winter garden"]
        assert [hit.text for hit in ana.search("piano", kinds="record")] == ["a record of the piano in the museum"]
        assert "bob" not in " ".join(hit.text for hit in ana.search("bob's tea and violin in the harbour", limit=50))
        agent = archived.user("ana", agent_id="r")
        assert [hit.text for hit in agent.search("tea violin")] == ["the agent noted tea and a violin in the harbour"]


def test_changes_are_seen_at_once(url: str) -> None:
    """The next search sees each add, change, expiry and deletion."""
    with connect(f"{url}?exact_below=100", embedder=embedder()) as backend:
        ana = backend.user("ana")
        (item,) = ana.add("xylophone lessons on the volcano")
        assert ask(url, f"SELECT wide FROM memweld.items WHERE id = '{item.id}'") is True
        assert ana.search("xylophone volcano")[0].id == item.id
        ana.update(item.id, "trombone lessons on the glacier")
        assert ana.search("trombone glacier")[0].id == item.id
        ana.delete(item.id)
        assert item.id not in {hit.id for hit in ana.search("trombone glacier", limit=50)}
        ana.state("n").set("gone", 1, text="a zeppelin over the fjord", ttl=600)
        assert "zeppelin" in ana.search("zeppelin fjord")[0].text
        ana.state("n").set("gone", 1, text="a zeppelin over the fjord", ttl=0.1)
        time.sleep(0.2)
        assert "zeppelin" not in " ".join(hit.text for hit in ana.search("zeppelin fjord", limit=50))


@pytest.mark.parametrize("query", ["what is it?", "':*&|!() \\ '", "茶 を飲む", "a", "%s ? :x", "x" * 3000])
def test_any_query_is_a_query(url: str, query: str) -> None:
    with connect(f"{url}?exact_below=100", embedder=embedder()) as backend:
        assert len(backend.user("ana").search(query, limit=3)) <= 3


def test_what_is_half_indexed_is_found(postgres: PostgresServer) -> None:
    """Until all vectors of the user are in the index, the database compares with each."""
    url = f"{postgres.make_database()}?exact_below=5"
    with connect(url, embedder=embedder()) as backend:
        memory = backend.user("ana")
        for number in range(30):
            memory.add(f"{WORDS[number]} {number}")
        for word in ("tea", "doctor", "violin"):
            assert memory.search(word)[0].text.startswith(word)


def test_what_others_keep_of_the_user_changes_no_score_of_an_agent(postgres: PostgresServer) -> None:
    with connect(f"{postgres.make_database()}?exact_below=5", embedder=embedder()) as backend:
        shop, therapist = (backend.user("ana", agent_id=name) for name in ("shop", "therapist"))
        for number in range(10):
            therapist.add(f"note {number} about the garden")
        shop.add("Ana likes tea", session_id="s")
        shop.add("Ana has a red bicycle", session_id="s")
        before = {hit.text: hit.score for hit in shop.search("divorce tea bicycle")}
        for number in range(5):
            therapist.add(f"Ana wants a divorce {number}", session_id="s")
            therapist.add(f"tea with the divorce lawyer {number}", session_id="s")
        assert {hit.text: hit.score for hit in shop.search("divorce tea bicycle")} == pytest.approx(before, abs=1e-6)
        assert len(before) == 2
