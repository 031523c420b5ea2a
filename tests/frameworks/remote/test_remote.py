"""The remote backend in a rough world: servers that restart, lose answers or are somebody else's; threads and loops."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest
from fastmcp import Client, FastMCP
from fastmcp.server.auth import AccessToken, TokenVerifier
from mcp.shared.exceptions import McpError
from mcp_servers import Counting, Losing, children, served, stdio, threads

import memweld
from memweld import (
    AccessDeniedError,
    Backend,
    BackendUnavailableError,
    ConfigurationError,
    InvalidInputError,
    MemoryNotFoundError,
    MissingExtraError,
)
from memweld.engine.operations import OPERATIONS, ListKeys, Operation
from memweld.engine.remote import RemoteEngine
from memweld.engine.remote.mcp_client.connection import PAUSES
from memweld.mcp import create_server
from memweld.scope import Scope
from memweld.testing import HashEmbedder, ScriptedExtractor, facts
from memweld.testing.serving import reserved_port


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Backend]:
    with memweld.connect(f"sqlite:///{tmp_path / 'memory.db'}", embedder=HashEmbedder()) as backend:
        yield backend


@pytest.fixture
def extracting(tmp_path: Path) -> Iterator[Callable[[threading.Event], Backend]]:
    """A backend whose LLM answers once the event is set."""
    with ExitStack() as stack:

        def make(answering: threading.Event) -> Backend:
            llm = ScriptedExtractor([lambda _: facts("Ana likes tea") if answering.wait(60) else ""])
            url = f"sqlite:///{tmp_path / 'extracting.db'}"
            return stack.enter_context(memweld.connect(url, embedder=HashEmbedder(), llm=llm))

        yield make


@pytest.fixture
def url(local: Backend) -> Iterator[str]:
    with served(create_server(local).http_app()) as url:
        yield url


@pytest.fixture
def remote(url: str) -> Iterator[Backend]:
    with memweld.connect(url) as backend:
        yield backend


class Pauses:
    """The pauses between repetitions, noted when they are taken."""

    def __init__(self, taken: list[float]) -> None:
        self._taken = taken

    def __iter__(self) -> Iterator[float]:
        for pause in PAUSES:
            self._taken.append(pause)
            yield pause


class TestConnecting:
    def test_nothing_opens_before_the_first_use(self) -> None:
        for url in ("http://127.0.0.1:9/mcp", "stdio:no-such-command"):
            with memweld.connect(url) as backend:
                backend.user("ana").state("n")
        assert threads() == []

    @pytest.mark.parametrize(
        ("url", "options"),
        [
            ("http://", {}),
            ("http://:8710", {}),
            ("http://host:port/mcp", {}),
            ("stdio:", {}),
            ("stdio:memweld 'serve", {}),
            ("stdio:memweld serve", {"token": "x"}),
            ("http://host", {"llm": {"provider": "openai"}}),
            ("http://host", {"embedder": HashEmbedder()}),
            ("http://host", {"graph": "neo4j://host"}),
            ("http://host", {"mem0": {}}),
            ("ftp://host", {}),
        ],
    )
    def test_what_cannot_be_is_refused_at_once(self, url: str, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError):
            memweld.connect(url, **options)

    def test_no_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        paused = list[float]()
        monkeypatch.setattr("memweld.engine.remote.mcp_client.connection.PAUSES", Pauses(paused))
        unreached = pytest.raises(BackendUnavailableError, match=r"http://127\.0\.0\.1:\d+/mcp cannot be reached")
        with reserved_port() as port, memweld.connect(f"http://127.0.0.1:{port}/mcp") as backend, unreached:
            backend.user("ana").all()
        with memweld.connect("stdio:no-such-command serve --url postgresql://me:secret@host/db") as backend:
            assert "secret" not in repr(backend)
            with pytest.raises(ConfigurationError, match="'no-such-command' cannot be started") as caught:
                backend.user("ana").all()
            assert "secret" not in str(caught.value)
        assert paused == []

    def test_a_url_without_a_path_means_mcp(self, url: str) -> None:
        with memweld.connect(url.removesuffix("/mcp")) as backend:
            assert backend.user("ana").all() == []

    def test_a_wrong_path_is_named(self, url: str) -> None:
        refused = pytest.raises(ConfigurationError, match="memweld serves it at /mcp")
        with memweld.connect(url + "/elsewhere") as backend, refused:
            backend.user("ana").all()

    def test_another_mcp_server(self) -> None:
        stranger: FastMCP[Any] = FastMCP("stranger")
        refused = pytest.raises(ConfigurationError, match="no memweld")
        with served(stranger.http_app()) as url, memweld.connect(url) as backend, refused:
            backend.user("ana").all()

    def test_a_command_that_is_no_server(self) -> None:
        with memweld.connect(f"stdio:{sys.executable} -c pass") as backend, pytest.raises(BackendUnavailableError):
            backend.user("ana").all()

    def test_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("memweld.engine.remote.engine.find_spec", lambda name: None)
        with pytest.raises(MissingExtraError, match=r"pip install 'memweld\[mcp\]'"):
            memweld.connect("http://host/mcp")

    def test_connecting_imports_nothing_heavy(self) -> None:
        code = """
import sys, memweld
memweld.connect("http://127.0.0.1:1/mcp"), memweld.connect("stdio:memweld serve")
print([name for name in ("mcp", "fastmcp", "httpx", "mem0", "numpy", "sqlite3") if name in sys.modules])
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
        assert (done.stdout, done.stderr) == ("[]\n", "")


class TestErrors:
    def test_ours_come_back_as_ours(self, remote: Backend) -> None:
        ana = remote.user("ana")
        with pytest.raises(MemoryNotFoundError) as missing:
            ana.get("nothing")
        assert missing.value.memory_id == "nothing"
        assert str(missing.value) == "No memory exists with ID nothing"
        ana.add("I love tea")
        (coffee,) = ana.add("I love coffee")
        with pytest.raises(InvalidInputError, match=r"^Invalid .*another memory"):
            ana.update(coffee.id, "I love tea")

    def test_more_than_the_server_takes_at_once(self, remote: Backend) -> None:
        state = remote.user("ana").state("n")
        state["k"] = "x" * 3_000_000
        with pytest.raises(InvalidInputError, match="HTTP 413: this is more than it takes at once"):
            state["k"] = "x" * 5_000_000
        assert len(state["k"]) == 3_000_000

    @pytest.mark.parametrize("errors", ["jsonrpc", "tool"])
    def test_a_strangers_exception_shows_its_type(
        self, local: Backend, monkeypatch: pytest.MonkeyPatch, errors: Any
    ) -> None:
        plain = local._engine.run

        def run(scope: Scope, operation: Operation[Any]) -> Any:
            if isinstance(operation, ListKeys):
                raise KeyError("secret")
            return plain(scope, operation)

        monkeypatch.setattr(local._engine, "run", run)
        with served(create_server(local, errors=errors).http_app()) as url, memweld.connect(url) as backend:
            with pytest.raises(BackendUnavailableError, match="failed with KeyError") as caught:
                backend.user("ana").state("n").list_keys()
            assert "secret" not in str(caught.value)
            assert backend.user("ana").all() == []

    def test_a_call_that_takes_too_long(self, extracting: Callable[[threading.Event], Backend]) -> None:
        answering = threading.Event()
        with served(create_server(extracting(answering)).http_app()) as url:
            late = pytest.raises(BackendUnavailableError, match=r"did not answer within 4 seconds")
            with Backend(RemoteEngine(url, timeout=4), url=url) as backend, late:
                backend.user("ana").add("tea")
            answering.set()

    def test_what_the_server_can_is_asked_once(self, extracting: Callable[[threading.Event], Backend]) -> None:
        answering = threading.Event()
        answering.set()
        app = Counting(create_server(extracting(answering)).http_app())
        with served(app) as url, memweld.connect(url) as backend:
            for _ in range(3):
                assert backend.user("ana").add("blah tea")[0].text == "Ana likes tea"
            assert backend.user("ana").has_graph is False
        counts = [app.asked.count(name) for name in ("engine_info", "engine_add_items", "tools/list")]
        assert counts == [1, 3, 0]

        # Otherwise uvicorn finds the answer incomplete and cuts the connection.


@pytest.fixture(params=["status", "cut", "empty"])
def losing(request: pytest.FixtureRequest, local: Backend) -> Iterator[tuple[Losing, Backend]]:
    app = Losing(create_server(local).http_app(), request.param)
    with served(app) as url, memweld.connect(url) as backend:
        backend.user("ana").all()
        yield app, backend


class TestLostAnswers:
    def test_calls_are_repeated_without_harm(self, losing: tuple[Losing, Backend], local: Backend) -> None:
        app, backend = losing
        ana = backend.user("ana")

        def lose(call: Callable[[], Any]) -> Any:
            app.losing = 1
            answer = call()
            assert app.losing == 0
            return answer

        (item,) = lose(lambda: ana.add("I love tea", session_id="s"))
        lose(lambda: ana.preferences.set("theme", "dark"))
        lose(lambda: ana.history("s").append([{"role": "user", "content": "hello"}]))
        lose(lambda: ana.state("n").set("k", 1))
        assert lose(lambda: ana.state("n")["k"]) == 1
        lose(lambda: ana.update(item.id, "I love coffee"))
        kept = local.user("ana")
        assert [each.text for each in kept.all()] == ["I love coffee", "theme: dark"]
        assert [message.text for message in kept.history("s").messages()] == ["hello"]
        lose(lambda: ana.delete(item.id))
        assert [each.text for each in kept.all()] == ["theme: dark"]
        with pytest.raises(MemoryNotFoundError):
            ana.delete(item.id)
        assert lose(lambda: ana.history("s").clear()) == 0
        lose(ana.erase)
        assert (kept.all(), kept.sessions(), list(kept.state("n"))) == ([], [], [])

    def test_a_conditional_write_is_not_repeated_in_the_dark(
        self, losing: tuple[Losing, Backend], local: Backend
    ) -> None:
        app, backend = losing
        state = backend.user("ana").state("n")
        state["count"] = 1
        ran: list[int] = []

        def increment(value: int) -> int:
            ran.append(value)
            app.losing = 1
            return value + 1

        with pytest.raises(BackendUnavailableError, match="not known: read it before"):
            state.update("count", increment)
        assert (ran, local.user("ana").state("n")["count"]) == ([1], 2)

    def test_what_answers_with_a_receipt_is_not_repeated(self, losing: tuple[Losing, Backend], local: Backend) -> None:
        """The second answer would be another receipt: of steps that count as changed meanwhile."""
        app, backend = losing
        ana, kept = backend.user("ana"), local.user("ana")
        ana.add([{"role": "user", "content": text} for text in ("I like tea", "I do like tea!")])
        plan, doubt = ana.consolidate(), "not known: read it before"
        app.losing = 1
        with pytest.raises(BackendUnavailableError, match=doubt):
            ana.consolidate(plan=plan)
        assert len(kept.all()) == 1
        kept.clear()
        kept.add([{"role": "user", "content": text} for text in ("I like tea", "I do like tea!")])
        receipt = ana.consolidate(dry_run=False)
        app.losing = 1
        with pytest.raises(BackendUnavailableError, match=doubt):
            ana.undo(receipt)
        assert len(kept.all()) == 2

    def test_a_server_that_loses_every_answer_is_given_up(
        self, losing: tuple[Losing, Backend], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app, backend = losing
        app.losing = 1_000
        assert 2 < sum(PAUSES) < 20
        monkeypatch.setattr("memweld.engine.remote.mcp_client.connection.PAUSES", [each / 20 for each in PAUSES])
        with pytest.raises(BackendUnavailableError):
            backend.user("ana").all()
        assert app.losing == 1_000 - (1 + len(PAUSES))
        app.losing = 0


class TestRestart:
    @pytest.mark.parametrize("stateless", [False, True])
    def test_a_session_survives_a_restart(self, local: Backend, stateless: bool) -> None:
        with reserved_port() as port, memweld.connect(f"http://127.0.0.1:{port}/mcp") as backend:
            state = backend.user("ana").state("n")
            for number in range(3):
                with served(create_server(local).http_app(stateless_http=stateless), port):
                    assert state.update("count", lambda value: value + 1, default=0) == number + 1
                    assert backend.user("ana").add("I love tea")[0].text == "I love tea"

    def test_calls_wait_for_a_server_that_comes_back(self, local: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        paused = list[float]()
        monkeypatch.setattr("memweld.engine.remote.mcp_client.connection.PAUSES", Pauses(paused))
        with (
            reserved_port() as port,
            memweld.connect(f"http://127.0.0.1:{port}/mcp") as backend,
            ThreadPoolExecutor(8) as pool,
        ):
            with served(create_server(local).http_app(), port):
                backend.user("ana").all()
            adds = [pool.submit(backend.user("ana").add, f"fact {number}") for number in range(8)]
            while len(paused) < 8:
                time.sleep(0.01)
            with served(create_server(local).http_app(), port):
                for future in adds:
                    future.result(timeout=60)
        assert len(local.user("ana").all()) == 8

    def test_writers_go_on_while_the_server_restarts(self, local: Backend) -> None:
        stop, done = threading.Event(), [0]
        with reserved_port() as port, memweld.connect(f"http://127.0.0.1:{port}/mcp") as backend:

            def write(name: int) -> int:
                written = 0
                while written < 4 or (not stop.is_set() and written < 2_000):
                    backend.user("ana").history(f"s{name}").add_user_message(f"message {written}")
                    written += 1
                return written

            with ThreadPoolExecutor(4) as pool:
                futures = []
                for round_ in range(3):
                    with served(create_server(local).http_app(), port):
                        if round_ == 0:
                            backend.user("ana").all()
                            futures = [pool.submit(write, name) for name in range(4)]
                        time.sleep(0.7)
                        if round_ == 2:
                            stop.set()
                            done = [future.result(timeout=60) for future in futures]
        for name, written in enumerate(done):
            assert written > 3
            texts = [message.text for message in local.user("ana").history(f"s{name}").messages()]
            assert texts == [f"message {number}" for number in range(written)]

    @pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
    def test_a_killed_process_is_started_again(self, tmp_path: Path) -> None:
        with memweld.connect(stdio("--url", f"sqlite:///{tmp_path / 'm.db'}")) as backend:
            state = backend.user("ana").state("n")
            state["k"] = 1
            (child,) = children()
            os.kill(child, signal.SIGKILL)
            assert state["k"] == 1
            assert children() != [child]
        assert children() == []


class TestThreadsAndLoops:
    def test_several_event_loops_share_the_session(self, remote: Backend, local: Backend) -> None:
        async def work(name: str) -> int:
            aio = remote.user(name).aio
            await asyncio.gather(*(aio.add(f"fact {number}") for number in range(10)))
            return len(await aio.all())

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda name: asyncio.run(work(name)), ["ana", "bob", "carl", "dora"])) == [10] * 4
        assert len(threads()) == 1
        assert len(local.user("dora").all()) == 10

    def test_the_sync_api_works_inside_a_running_loop(self, remote: Backend) -> None:
        async def cell() -> list[str]:
            remote.user("ana").add("I love tea")
            return [hit.text for hit in remote.user("ana").search("tea")]

        assert asyncio.run(cell()) == ["I love tea"]
        assert anyio.run(cell) == ["I love tea"]

    @pytest.mark.exhaustive
    def test_many_threads(self, remote: Backend) -> None:
        def work(number: int) -> bool:
            ana = remote.user(f"user {number % 8}")
            ana.state("n").update("count", lambda value: value + 1, default=0)
            ana.add(f"fact {number}")
            return all(item.user_id == f"user {number % 8}" for item in ana.all())

        with ThreadPoolExecutor(32) as pool:
            assert all(pool.map(work, range(128)))
        assert [remote.user(f"user {number}").state("n")["count"] for number in range(8)] == [16] * 8

    def test_close_ends_calls_and_thread(self, extracting: Callable[[threading.Event], Backend]) -> None:
        answering = threading.Event()
        app = Counting(create_server(extracting(answering)).http_app())
        with served(app) as url, ThreadPoolExecutor(1) as pool:
            backend = memweld.connect(url)
            backend.user("ana").all()
            waiting = pool.submit(backend.user("ana").add, "tea")
            while "engine_add_items" not in app.asked:
                time.sleep(0.01)
            backend.close()
            with pytest.raises(BackendUnavailableError, match="closed"):
                waiting.result(timeout=60)
            backend.close()
            with pytest.raises(BackendUnavailableError, match="closed"):
                backend.user("ana").all()
            answering.set()
        assert threads() == []

    def test_close_ends_a_session_that_is_being_opened(self, local: Backend) -> None:
        app, asked, answering = create_server(local).http_app(), threading.Event(), threading.Event()

        async def late(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and not answering.is_set():
                asked.set()
                await anyio.to_thread.run_sync(answering.wait)
            await app(scope, receive, send)

        with served(late) as url, ThreadPoolExecutor(2) as pool:
            backend: Any = memweld.connect(url)
            waiting = pool.submit(backend.user("ana").all)
            assert asked.wait(60)
            connection = backend._engine._opened._connection
            closing = pool.submit(backend.close)
            while not connection._ending.is_set():
                time.sleep(0.01)
            answering.set()
            with pytest.raises(BackendUnavailableError, match="closed"):
                waiting.result(timeout=60)
            closing.result(timeout=60)
        assert threads() == []

    def test_a_backend_that_is_let_go_leaves_no_thread(self, url: str) -> None:
        backend = memweld.connect(url)
        backend.user("ana").all()
        assert len(threads()) == 1
        del backend
        gc.collect()
        deadline = time.monotonic() + 60
        while threads() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert threads() == []

    def test_a_program_that_just_ends_does_end(self, url: str) -> None:
        code = f"""
import memweld
kept = [memweld.connect({url!r}), memweld.connect({stdio("--url", "sqlite://")!r})]
for backend in kept:
    backend.user("ana").state("n")["k"] = 1
print("done")
"""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")
    @pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
    def test_a_forked_process_connects_for_itself(self, remote: Backend) -> None:
        remote.user("ana").state("n")["parent"] = 1
        child = os.fork()
        if child == 0:
            try:
                remote.user("ana").state("n")["child"] = 1
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert remote.user("ana").state("n").list_keys() == ["child", "parent"]

    def test_a_process_does_not_start_itself_for_ever(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MEMWELD_URL", stdio())
        with memweld.connect() as backend:
            backend.user("ana").state("n")["k"] = 1
            assert len(children()) == 1


class Tokens(TokenVerifier):
    SCOPES: ClassVar[dict[str, list[str]]] = {
        "ana": [],
        "bob": [],
        "service": ["memory:any-user"],
        "robots": ["memory:agents"],
    }

    async def verify_token(self, token: str) -> AccessToken | None:
        if token not in self.SCOPES:
            return None
        scopes = [*self.SCOPES[token], "memory:engine"]
        return AccessToken(token=token, client_id=token, scopes=scopes, claims={"sub": token})


class TestWhoseMemory:
    @pytest.fixture
    def connect(self, local: Backend) -> Iterator[Callable[[str | None], Backend]]:
        made: list[Backend] = []
        with served(create_server(local, auth=Tokens()).http_app()) as url:

            def connect(token: str | None) -> Backend:
                made.append(memweld.connect(url, token=token))
                return made[-1]

            yield connect
            for backend in made:
                backend.close()

    def test_a_token_is_its_user(self, connect: Callable[[str | None], Backend], local: Backend) -> None:
        ana, bob = connect("ana"), connect("bob")
        (secret,) = ana.user("ana").add("Ana's safe opens with 4711")
        ana.user("ana").state("n")["k"] = 1
        ana.user("ana", agent_id="writer").add("Ana likes short sentences")
        assert bob.user("bob").all() == []
        assert bob.user("bob").search("safe") == []
        with pytest.raises(MemoryNotFoundError):
            bob.user("bob").get(secret.id)
        with pytest.raises(MemoryNotFoundError):
            bob.user("bob").all(cursor=secret.id)
        anas = bob.user("ana")
        calls: list[Callable[[], Any]] = [
            anas.all,
            anas.export,
            anas.erase,
            anas.clear,
            anas.sessions,
            lambda: anas.search("safe"),
            lambda: anas.get(secret.id),
            lambda: anas.delete(secret.id),
            lambda: anas.state("n")["k"],
            lambda: anas.add("x"),
            lambda: bob.user("ana", agent_id="writer").all(),
            lambda: bob.agent("writer").all(),
            lambda: bob.agent("ana").all(),
        ]
        for call in calls:
            with pytest.raises(AccessDeniedError):
                call()
        assert len(local.user("ana").all()) == 2
        assert local.user("bob").erase().total == 0

    def test_scopes_widen_it(self, connect: Callable[[str | None], Backend], local: Backend) -> None:
        service, robots = connect("service"), connect("robots")
        for name in ("ana", "bob"):
            service.user(name).add(f"I am {name}")
        assert [item.text for item in local.user("bob").all()] == ["I am bob"]
        with pytest.raises(AccessDeniedError):
            service.agent("writer").all()
        robots.agent("writer").add("be brief")
        assert [item.text for item in local.agent("writer").all()] == ["be brief"]
        with pytest.raises(AccessDeniedError):
            robots.user("ana").all()

    @pytest.mark.parametrize("token", [None, "mallory"])
    def test_no_valid_token(self, connect: Callable[[str | None], Backend], token: str | None) -> None:
        with pytest.raises(AccessDeniedError, match="HTTP 401") as caught:
            connect(token).user("ana").all()
        assert "mallory" not in str(caught.value)
        assert ("Pass token=" in str(caught.value)) == (token is None)

    def test_the_token_comes_from_the_environment(self, local: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MEMWELD_TOKEN", "ana")
        with served(create_server(local, auth=Tokens()).http_app()) as url, memweld.connect(url) as backend:
            backend.user("ana").add("I love tea")
            assert "ana" not in repr(backend)

    def test_a_locked_server_is_one_user(self, local: Backend) -> None:
        app = create_server(local, user_id="ana", lock_user=True).http_app()
        with served(app) as url, memweld.connect(url) as backend:
            backend.user("ana").add("I love tea")
            for other in (backend.user("bob"), backend.agent("writer"), backend.user("bob", agent_id="ana")):
                with pytest.raises(AccessDeniedError):
                    other.all()

    def test_an_agents_own_memory_is_never_the_default_users(self, local: Backend) -> None:
        local.agent("writer").add("be brief")
        app = create_server(local, user_id="ana").http_app()
        with served(app) as url, memweld.connect(url) as backend:
            assert [item.text for item in backend.agent("writer").all()] == ["be brief"]
            backend.agent("writer").add("use tables")
        assert local.user("ana").all() == []

    def test_a_served_memory_is_the_only_one(self, local: Backend) -> None:
        app = create_server(local.user("ana", agent_id="writer")).http_app()
        with served(app) as url, memweld.connect(url) as backend:
            backend.user("ana", agent_id="writer").add("I love tea")
            for other in (backend.user("ana"), backend.user("ana", agent_id="reader"), backend.agent("writer")):
                with pytest.raises(AccessDeniedError):
                    other.all()


class TestHiddenTools:
    """Visibility of the engine tools, and limits for their clients."""

    def test_they_stand_in_no_list(self, local: Backend) -> None:
        async def use() -> None:
            for toolsets in (None, ["preferences"]):
                async with Client(create_server(local, toolsets=toolsets, engine_tools=True)) as client:
                    assert [tool.name for tool in await client.list_tools() if "engine" in tool.name] == []
                    found = await client.call_tool_mcp("engine_info", {})
                    assert found.structuredContent == {"answer": {"has_graph": False, "can_extract": False}}
                    assert found.content == []

        anyio.run(use)

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [
            ("engine_list_items", {"limit": 0}),
            ("engine_get_item", {"memory_id": "a\x00b"}),
            ("engine_get_item", {"memory_id": "a", "extra": 1}),
            ("engine_search", {"query": " ", "limit": 5, "filters": {}}),
            ("engine_search", {"query": "x", "limit": 0, "filters": {}}),
            (
                "engine_search",
                {"query": "x", "limit": 5, "kinds": None, "filters": {"AND": [{"user_id": "bob"}]}},
            ),
            ("engine_search", {"query": "x", "limit": 5, "kinds": ["secret"]}),
            ("engine_put_value", {"namespace": "", "key": "k", "value": 1}),
            ("engine_put_value", {"namespace": "n", "key": "k", "value": 1, "if_version": -1}),
            ("engine_put_value", {"namespace": "n", "key": "k", "value": 1, "if_version": 2**70}),
            ("engine_put_keyed", {"kind": "item", "key": "k", "text": "t"}),
            ("engine_put_keyed", {"kind": "task", "key": "", "text": "t"}),
            ("engine_put_keyed", {"kind": "task", "key": "k", "text": " "}),
            ("engine_put_value", {"namespace": "n", "key": "k", "value": 1, "text": " "}),
            ("engine_write_values", {"writes": [{"namespace": "n", "key": "k", "value": 1, "text": "\ud800"}]}),
            ("engine_delete_value", {"namespace": "n", "key": "k", "if_version": -1}),
            ("engine_scan_values", {"namespace": "n", "prefix": "a\x00", "limit": 5}),
            ("engine_append_messages", {"session_id": "s", "messages": []}),
            ("engine_append_messages", {"session_id": "s", "messages": [{"role": "user", "content": "x", "id": " "}]}),
            (
                "engine_add_items",
                {
                    "drafts": [{"text": "x", "role": "system"}],
                    "infer": False,
                    "metadata": {},
                    "session_id": None,
                    "created_at": None,
                },
            ),
        ],
    )
    def test_arguments_are_checked_again(self, local: Backend, name: str, arguments: dict[str, Any]) -> None:
        async def use() -> Any:
            async with Client(create_server(local, engine_tools=True)) as client:
                with pytest.raises(McpError) as caught:
                    await client.call_tool_mcp(name, {**arguments, "user_id": "ana"})
                return caught.value.error

        assert anyio.run(use).code == -32602
        assert local.user("ana").erase().total == 0

    @pytest.mark.parametrize("who", [{}, {"user_id": ""}, {"user_id": "*"}, {"user_id": 7}, {"agent_id": ["a"]}])
    def test_nobody_is_no_scope(self, local: Backend, who: dict[str, Any]) -> None:
        async def use() -> Any:
            async with Client(create_server(local, user_id="ana", engine_tools=True)) as client:
                with pytest.raises(McpError) as caught:
                    await client.call_tool_mcp("engine_export", who)
                return caught.value.error

        assert anyio.run(use).code == -32602

    def test_there_is_one_for_each_primitive(self, local: Backend) -> None:
        async def use() -> None:
            server = create_server(local)
            for primitive in ("info", *OPERATIONS):
                assert await server.get_tool(f"engine_{primitive}") is not None

        anyio.run(use)
