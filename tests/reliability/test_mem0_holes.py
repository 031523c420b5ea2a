"""mem0's known holes: each check is shown to fail on bare mem0 with its default store, and passes on memweld.

Checked with mem0 2.2.1 and its local Qdrant. If one of the holes is closed some day, its first half fails here and says
so; the second half is what counts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from langchain_core.embeddings import Embeddings

import memweld
from memweld.engine.extraction.mem0.side_effects import prepare_mem0
from memweld.testing import HashEmbedder
from memweld.testing.langchain import ScriptedChatModel

SECRET = "Bob's safe opens with 4711"


class Embedder(HashEmbedder, Embeddings):
    """mem0 wants LangChain's own class."""


class Store(Protocol):
    """The methods that the checks need of a memory that serves several users."""

    def add(self, user: str, text: str, **metadata: Any) -> str: ...
    def search(self, user: str, filters: dict[str, Any]) -> list[str]: ...
    def list(self, user: str) -> list[str]: ...
    def clear(self, user: str) -> None: ...
    def get(self, user: str, memory_id: str) -> str | None: ...
    def update(self, user: str, memory_id: str, text: str) -> None: ...
    def delete(self, user: str, memory_id: str) -> None: ...
    def past(self, user: str, memory_id: str) -> str: ...


class BareMem0:
    """mem0 as its documentation uses it."""

    def __init__(self, place: Path) -> None:
        prepare_mem0()
        import mem0

        self.mem0 = mem0.Memory.from_config(
            {
                "vector_store": {
                    "provider": "qdrant",
                    "config": {"path": str(place / "qdrant"), "embedding_model_dims": 64, "collection_name": "bare"},
                },
                "embedder": {"provider": "langchain", "config": {"model": Embedder(), "embedding_dims": 64}},
                "llm": {"provider": "langchain", "config": {"model": ScriptedChatModel(lambda _: "{}")}},
                "history_db_path": str(place / "history.db"),
            }
        )

    def add(self, user: str, text: str, **metadata: Any) -> str:
        return self.mem0.add(text, user_id=user, infer=False, metadata=metadata)["results"][0]["id"]

    def search(self, user: str, filters: dict[str, Any]) -> list[str]:
        found = self.mem0.search("safe opens", filters={"user_id": user, **filters}, threshold=0.0, top_k=50)
        return [each["memory"] for each in found["results"]]

    def list(self, user: str) -> list[str]:
        return [each["memory"] for each in self.mem0.get_all(filters={"user_id": user}, top_k=50)["results"]]

    def clear(self, user: str) -> None:
        self.mem0.delete_all(user_id=user)

    def get(self, user: str, memory_id: str) -> str | None:
        found = self.mem0.get(memory_id)
        return None if found is None else found["memory"]

    def update(self, user: str, memory_id: str, text: str) -> None:
        self.mem0.update(memory_id, text)

    def delete(self, user: str, memory_id: str) -> None:
        self.mem0.delete(memory_id)

    def past(self, user: str, memory_id: str) -> str:
        return repr(self.mem0.history(memory_id))

    def close(self) -> None:
        self.mem0.vector_store.client.close()
        self.mem0.close()


class Memweld:
    """The same calls here. What is refused is no answer."""

    def __init__(self, place: Path) -> None:
        self.backend = memweld.connect(f"sqlite:///{place / 'memory.db'}", embedder=HashEmbedder())

    def add(self, user: str, text: str, **metadata: Any) -> str:
        return self.backend.user(user).add(text, metadata=metadata)[0].id

    def search(self, user: str, filters: dict[str, Any]) -> list[str]:
        return [hit.text for hit in self.backend.user(user).search("safe opens", limit=50, filters=filters)]

    def list(self, user: str) -> list[str]:
        return [item.text for item in self.backend.user(user).all()]

    def clear(self, user: str) -> None:
        self.backend.user(user).clear()

    def get(self, user: str, memory_id: str) -> str | None:
        return self.backend.user(user).get(memory_id).text

    def update(self, user: str, memory_id: str, text: str) -> None:
        self.backend.user(user).update(memory_id, text)

    def delete(self, user: str, memory_id: str) -> None:
        self.backend.user(user).delete(memory_id)

    def past(self, user: str, memory_id: str) -> str:
        """There is no past: what a memory said before is gone."""
        return repr(self.backend.user(user).export())

    def close(self) -> None:
        self.backend.close()


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[BareMem0]:
    store = BareMem0(tmp_path)
    yield store
    store.close()


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Memweld]:
    store = Memweld(tmp_path)
    yield store
    store.close()


# Each check asserts what a memory of several users promises.


def wildcard_reads_nobody(store: Store) -> None:
    store.add("bob", SECRET)
    for read in (lambda: store.search("*", {}), lambda: store.list("*")):
        try:
            found = read()
        except ValueError:
            continue
        assert SECRET not in found


def wildcard_deletes_nobody(store: Store) -> None:
    store.add("bob", SECRET)
    with contextlib.suppress(ValueError):
        store.clear("*")
    assert store.list("bob") == [SECRET]


def filters_choose_no_user(store: Store) -> None:
    store.add("bob", SECRET)
    store.add("ana", "Ana has no safe")
    try:
        found = store.search("ana", {"AND": [{"user_id": "bob"}]})
    except ValueError:
        return
    assert SECRET not in found


def an_id_reads_nobody_elses(store: Store) -> None:
    memory_id = store.add("bob", SECRET)
    try:
        found = store.get("ana", memory_id)
    except LookupError:
        return
    assert found != SECRET


def an_id_changes_nobody_elses(store: Store) -> None:
    memory_id = store.add("bob", SECRET)
    with contextlib.suppress(LookupError):
        store.update("ana", memory_id, "Bob's safe is open")
    assert store.list("bob") == [SECRET]


def an_id_deletes_nobody_elses(store: Store) -> None:
    memory_id = store.add("bob", SECRET)
    with contextlib.suppress(LookupError):
        store.delete("ana", memory_id)
    assert store.list("bob") == [SECRET]


def an_id_tells_nobody_elses_past(store: Store) -> None:
    memory_id = store.add("bob", SECRET)
    store.update("bob", memory_id, "Bob has a new safe")
    assert SECRET not in store.past("ana", memory_id)


def what_is_deleted_has_no_past(store: Store) -> None:
    memory_id = store.add("bob", SECRET)
    store.clear("bob")
    assert SECRET not in store.past("bob", memory_id)


def metadata_makes_nothing_up(store: Store) -> None:
    """A caller's metadata says nothing about the memory itself."""
    store.add("ana", "Ana has no safe", user_id="bob", created_at="1970-01-01T00:00:00+00:00")
    assert store.list("ana") == ["Ana has no safe"]
    assert store.list("bob") == []


def two_forms_of_a_name_are_one_user(store: Store) -> None:
    store.add("Zo\u00eb", SECRET)
    assert store.list("Zoe\u0308") == [SECRET]


def an_invisible_character_makes_no_other_user(store: Store) -> None:
    store.add("bob", SECRET)
    try:
        store.add("bob\u200b", "I am Bob")
    except ValueError:
        return
    assert store.list("bob\u200b") != ["I am Bob"], "two users who look the same"


HOLES = [
    wildcard_reads_nobody,
    wildcard_deletes_nobody,
    filters_choose_no_user,
    an_id_reads_nobody_elses,
    an_id_changes_nobody_elses,
    an_id_deletes_nobody_elses,
    an_id_tells_nobody_elses_past,
    what_is_deleted_has_no_past,
    two_forms_of_a_name_are_one_user,
    an_invisible_character_makes_no_other_user,
]


@pytest.mark.parametrize("check", HOLES, ids=lambda check: check.__name__)
def test_the_hole_is_there_in_bare_mem0(bare: BareMem0, check: Any) -> None:
    with pytest.raises(AssertionError):
        check(bare)


@pytest.mark.parametrize("check", [*HOLES, metadata_makes_nothing_up], ids=lambda check: check.__name__)
def test_memweld_has_none_of_them(ours: Memweld, check: Any) -> None:
    check(ours)


def test_the_checks_let_a_sound_memory_pass(bare: BareMem0) -> None:
    """That bare mem0 fails is not because it could not be asked."""
    memory_id = bare.add("bob", SECRET)
    assert bare.search("bob", {}) == bare.list("bob") == [bare.get("bob", memory_id)] == [SECRET]
    assert bare.list("ana") == bare.search("ana", {}) == []
