"""mem0's hosted service, imitated locally after the source of mem0's client: nothing here shows the service itself."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import memweld
from memweld import Backend, BackendUnavailableError, ConfigurationError
from memweld.testing import HashEmbedder
from memweld.testing.mem0_service import Mem0Service, serve_mem0

KEY = "m0-very-secret"


@pytest.fixture
def service() -> Mem0Service:
    return Mem0Service(key=KEY)


@pytest.fixture
def host(service: Mem0Service) -> Iterator[str]:
    with serve_mem0(service) as url:
        yield url


def at(host: str, key: str = KEY) -> dict[str, Any]:
    return {"platform": {"api_key": key, "host": host}}


@pytest.fixture
def backend(tmp_path: Path, host: str) -> Iterator[Backend]:
    with memweld.connect(f"sqlite:///{tmp_path / 'm.db'}", mem0=at(host), embedder=HashEmbedder()) as backend:
        yield backend


def outbox_of(backend: Backend) -> Any:
    return backend._engine.projection.opened.outbox  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]


def waiting(backend: Backend) -> int:
    return outbox_of(backend).pending().count


def hours_later(backend: Backend) -> None:
    with outbox_of(backend).writing() as connection:
        connection.execute("UPDATE mem0_sent SET at = at - 7200")


def test_the_service_gets_the_texts_and_is_asked(backend: Backend, service: Mem0Service) -> None:
    ana, bob = backend.user("ana"), backend.user("bob")
    (tea,) = ana.add("I love green tea", metadata={"private": "note"})
    bob.add("I love coffee")
    backend.agent("ana").add("I am an agent")
    assert {(each["user_id"], each["memory"]) for each in service.memories.values()} == {
        ("ana", "I love green tea"),
        ("bob", "I love coffee"),
        ("agent:ana", "I am an agent"),
    }
    assert "private" not in str(service.memories), "metadata stay here"
    assert [hit.id for hit in ana.search("green tea")] == [tea.id]
    assert ("POST", "/v3/memories/search/") in service.requests
    changed = ana.update(tea.id, "I love black tea")
    assert {each["memory"] for each in service.memories.values() if each["user_id"] == "ana"} == {"I love black tea"}
    assert ana.get(tea.id) == changed
    ana.delete(tea.id)
    assert {each["user_id"] for each in service.memories.values()} == {"bob", "agent:ana"}


def test_an_edited_message_deletes_the_copy_at_once(backend: Backend, service: Mem0Service) -> None:
    ana = backend.user("ana")
    ana.capture({"role": "user", "content": "I live in Porto", "id": "1"}, session_id="s")
    assert [each["memory"] for each in service.memories.values()] == ["I live in Porto"]
    ana.history("s").append({"role": "user", "content": "Never mind", "id": "1"})
    assert (service.memories, waiting(backend)) == ({}, 0)


def test_what_the_service_has_not_taken_up_yet(backend: Backend, service: Mem0Service) -> None:
    """It is found by its words; what is changed and deleted meanwhile is changed and deleted there later."""
    service.slow = True
    ana = backend.user("ana")
    (tea,) = ana.add("I love green tea")
    (gone,) = ana.add("I hate mornings")
    assert ana.search("green tea")[0].id == tea.id
    ana.update(tea.id, "I love black tea")
    ana.delete(gone.id)
    assert waiting(backend) == 2
    assert [hit.text for hit in ana.search("mornings tea")] == ["I love black tea"]
    service.settle()
    assert len(service.memories) == 2
    deadline = time.monotonic() + 30
    while waiting(backend) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert waiting(backend) == 0
    assert [each["memory"] for each in service.memories.values()] == ["I love black tea"]


def test_what_the_service_never_took_up_is_sent_again(backend: Backend, service: Mem0Service) -> None:
    service.slow = True
    ana = backend.user("ana")
    ana.add("I love green tea")
    service.arriving.clear()
    assert backend.admin.reindex() == 0, "it may still arrive"
    hours_later(backend)
    service.slow = False
    assert backend.admin.reindex() == 1
    assert [each["memory"] for each in service.memories.values()] == ["I love green tea"]


def test_erasure_says_that_it_cannot_promise(backend: Backend, service: Mem0Service) -> None:
    ana = backend.user("ana")
    ana.add([{"role": "user", "content": f"fact {number}"} for number in range(120)])
    backend.user("bob").add("I love coffee")
    with outbox_of(backend).reading() as connection:
        assert connection.execute("SELECT count(*) FROM mem0_sent").fetchone()[0] == 121
    receipt = ana.erase()
    assert (receipt.counts["items"], receipt.overwritten) == (120, False)
    assert {each["user_id"] for each in service.memories.values()} == {"bob"}
    with outbox_of(backend).reading() as connection:
        assert connection.execute("SELECT count(*) FROM mem0_sent").fetchone()[0] == 1


def test_a_service_that_is_down(backend: Backend, service: Mem0Service, caplog: pytest.LogCaptureFixture) -> None:
    ana = backend.user("ana")
    (tea,) = ana.add("I love green tea")
    service.down = True
    ana.add("I love coffee")
    assert [item.text for item in ana.all()] == ["I love green tea", "I love coffee"]
    with pytest.raises(BackendUnavailableError, match=r"mem0's service at http://127\.0\.0\.1:\d+ failed"):
        ana.search("coffee")
    with pytest.raises(BackendUnavailableError, match="deleted here"):
        ana.delete(tea.id)
    service.down = False
    assert ana.clear() == 1
    assert (service.memories, waiting(backend)) == ({}, 0)
    assert KEY not in caplog.text


def test_a_key_that_is_refused_and_a_service_that_is_not_there(tmp_path: Path, host: str) -> None:
    with memweld.connect(f"sqlite:///{tmp_path / 'm.db'}", mem0=at(host, "m0-wrong")) as backend:
        with pytest.raises(ConfigurationError, match="refuses the API key") as caught:
            backend.user("ana").add("I love tea")
        assert "m0-wrong" not in str(caught.value) + repr(backend)
        assert backend.user("ana").all() == []
    with (
        memweld.connect(f"sqlite:///{tmp_path / 'm.db'}", mem0=at("http://127.0.0.1:1")) as backend,
        pytest.raises(BackendUnavailableError, match="does not answer"),
    ):
        backend.user("ana").add("I love tea")


def test_settings(tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch, service: Mem0Service) -> None:
    monkeypatch.setenv("MEM0_API_KEY", KEY)
    monkeypatch.setenv("MEMWELD_MEM0", "platform")
    with memweld.connect(f"sqlite:///{tmp_path / 'm.db'}") as backend:
        assert backend._engine.inner._options["mem0_store"].name == "mem0 platform"  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    with memweld.connect("sqlite://", mem0={"platform": {"host": host}}) as backend:
        backend.user("ana").add("I love tea")
    assert len(service.memories) == 1
