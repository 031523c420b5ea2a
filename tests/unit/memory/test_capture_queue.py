"""Work in the background: in order within a session, within bounds, and done before the program ends."""

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from memweld import Backend, connect
from memweld.engine.cancellation import on_cancel
from memweld.memory.capture_queue import CaptureQueue
from memweld.memory.recall import drop_already_shown, recall_query
from memweld.models import Hit
from memweld.testing import HashEmbedder
from memweld.testing.llm import ScriptedExtractor, facts


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_order_is_kept_within_a_key_and_keys_do_not_wait_for_each_other() -> None:
    background = CaptureQueue(workers=4)
    done: list[tuple[str, int]] = []
    gate = threading.Event()
    background.submit("held", lambda: gate.wait(60))
    background.submit("held", lambda: done.append(("held", 0)))
    for number in range(50):
        for key in ("a", "b"):
            background.submit(key, lambda key=key, number=number: done.append((key, number)))
    until(lambda: len(done) == 100)
    assert not background.flush(timeout=0.05), "the held one is not done"
    assert [number for key, number in done if key == "a"] == list(range(50))
    assert [number for key, number in done if key == "b"] == list(range(50))
    assert ("held", 0) not in done
    gate.set()
    assert background.flush(timeout=60)
    assert done[-1] == ("held", 0)


def test_who_submits_too_much_waits() -> None:
    background = CaptureQueue(workers=1, capacity=2)
    gate = threading.Event()
    submitted: list[int] = []

    def submit() -> None:
        for number in range(4):
            background.submit(number, lambda: gate.wait(60))
            submitted.append(number)

    caller = threading.Thread(target=submit)
    caller.start()
    until(lambda: len(submitted) == 2)
    time.sleep(0.05)
    assert submitted == [0, 1]
    gate.set()
    caller.join(60)
    assert submitted == [0, 1, 2, 3]
    assert background.flush(timeout=60)


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(1)])
def test_an_error_is_logged_and_the_rest_is_done(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    background = CaptureQueue(workers=1)
    done: list[str] = []

    def fail() -> None:
        raise error

    background.submit("a", fail)
    background.submit("a", lambda: done.append("a"))
    with caplog.at_level(logging.WARNING, "memweld.background"):
        assert background.flush(timeout=60)
    assert done == ["a"]
    assert "work in the background failed" in caplog.text


def test_no_thread_is_left_without_work() -> None:
    background = CaptureQueue()
    for number in range(20):
        background.submit(number, lambda: None)
    background.flush()
    until(lambda: all(thread.name != "memweld-background" for thread in threading.enumerate()))


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of threads that the system refuses to start."""
    refused: list[str] = []
    start = threading.Thread.start

    def start_or_refuse(thread: threading.Thread) -> None:
        if thread.name in refused:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_refuse)
    return refused


def test_without_a_thread_the_work_is_done_by_who_submits_it(no_threads: list[str]) -> None:
    background = CaptureQueue(workers=2)
    done: list[object] = []
    no_threads.append("memweld-background")
    background.submit("a", lambda: done.append(threading.current_thread()))
    assert done == [threading.current_thread()]
    no_threads.clear()
    background.submit("a", lambda: done.append(threading.current_thread()))
    assert background.flush(60)
    assert done[1] is not threading.current_thread()
    # One thread that there is does the work of those that there are not.
    gate = threading.Event()
    background.submit("a", lambda: gate.wait(60))
    no_threads.append("memweld-background")
    background.submit("b", lambda: done.append("b"))
    assert len(done) == 2
    gate.set()
    assert background.flush(60)
    assert done[2] == "b"


def test_without_a_thread_for_the_llm_the_text_is_kept(no_threads: list[str]) -> None:
    with connect("sqlite://", llm=ScriptedExtractor([facts("Likes tea")]), embedder=HashEmbedder()) as backend:
        no_threads.append("memweld-extraction")
        for number in range(70):  # more than may wait at once
            (item,) = backend.user("ana").add(f"I like tea {number}")
            assert (item.text, item.extraction) == (f"I like tea {number}", "failed")
            assert "no thread" in str(item.extraction_error)
        no_threads.clear()
        assert backend.user("ana").add("I like tea!")[0].text == "Likes tea"


def test_who_finds_no_room_in_time_does_it_the_quick_way(caplog: pytest.LogCaptureFixture) -> None:
    background = CaptureQueue(workers=1, capacity=2, patience=0.05)
    gate = threading.Event()
    done: list[str] = []
    for number in range(4):
        background.submit(number, lambda: gate.wait(60), instead=lambda: done.append("quick"))
    assert done == ["quick", "quick"]
    assert "kept as it is" in caplog.text
    gate.set()
    assert background.flush(60)
    background.submit("a", lambda: done.append("slow"), instead=lambda: done.append("quick"))
    assert background.flush(60)
    assert done == ["quick", "quick", "slow"]


@pytest.mark.parametrize("is_told", [True, False])
def test_at_the_end_nobody_waits_for_what_hangs(is_told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memweld.memory.capture_queue._STUCK_SECONDS", 30 if is_told else 0.1)
    background = CaptureQueue(workers=1)
    gate, begun = threading.Event(), threading.Event()
    done: list[str] = []

    def hang() -> None:
        begun.set()
        with on_cancel(gate.set) if is_told else nullcontext():
            gate.wait(60)
        done.append("held")

    background.submit("a", hang, instead=lambda: done.append("quick 1"))
    background.submit("a", lambda: done.append("slow"), instead=lambda: done.append("quick 2"))
    background.submit("b", lambda: done.append("no other way"))
    assert begun.wait(60)
    background.finish(0.1)
    assert done[0] == ("held" if is_told else "quick 1")
    assert sorted(done[1:]) == ["no other way", "quick 2"]
    gate.set()
    assert background.flush(60)
    background.submit("a", lambda: done.append("slow"), instead=lambda: done.append("later"))
    background.finish(10)
    assert done[-1] == "later"


def test_what_is_dropped_is_not_done() -> None:
    background = CaptureQueue(workers=1)
    gate = threading.Event()
    done: list[str] = []
    background.submit("a", lambda: gate.wait(60))
    for key in ("a", "b", "a", "c"):
        background.submit(key, lambda key=key: done.append(key))
    background.drop(lambda key: key in ("a", "b"))
    gate.set()
    assert background.flush(60)
    background.submit("a", lambda: done.append("anew"))
    assert background.flush(60)
    assert done == ["c", "anew"]


def test_an_llm_that_hangs_keeps_no_other_call_waiting() -> None:
    """Neither what asks no LLM, nor a capture in the background, nor the end."""
    gate = threading.Event()
    llm = ScriptedExtractor([lambda _: gate.wait(60)])

    async def scenario(backend: Backend) -> None:
        held = [asyncio.create_task(backend.user("ana").aio.add(f"Thing {number}")) for number in range(20)]
        await asyncio.sleep(0.3)
        bob = backend.user("bob").aio
        await asyncio.wait_for(bob.add("I like tea", infer=False), 20)
        await asyncio.wait_for(bob.capture("I like trams", session_id="s", background=True), 20)
        assert not await bob.flush(0.1)
        assert [item.text for item in await bob.all()] == ["I like tea"]
        gate.set()
        await asyncio.gather(*held)

    with connect("sqlite://", llm=llm, embedder=HashEmbedder()) as backend:
        backend.user("ana").search("what is loaded first")
        asyncio.run(scenario(backend))


def test_closing_does_not_wait_for_an_llm_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    llm = ScriptedExtractor([lambda _: gate.wait(60)])
    backend = connect(url, llm=llm, embedder=HashEmbedder())
    ana = backend.user("ana")
    for number in range(3):
        ana.capture(f"I say {number}", session_id="s", background=True)
    until(lambda: len(llm.prompts) == 1)
    monkeypatch.setenv("MEMWELD_LLM_TIMEOUT", "60")
    backend.close(grace=0.2)
    gate.set()
    with connect(url, embedder=HashEmbedder()) as again:
        kept = [(item.text, item.extraction) for item in again.user("ana").all()]
    assert kept == [("I say 0", "failed"), ("I say 1", "verbatim"), ("I say 2", "verbatim")]


def test_closing_waits_for_what_was_captured(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    gate = threading.Event()
    answers = [lambda _, number=number: gate.wait(60) and facts(f"Fact {number}") for number in range(3)]
    extractor = ScriptedExtractor(answers, delay=0.1)
    with connect(url, llm=extractor, embedder=HashEmbedder()) as backend:
        ana = backend.user("ana")
        for number in range(3):
            assert ana.capture(f"I say {number}", session_id="s", background=True) == []
        assert len(ana.history("s").messages()) == 3, "the history is not put off"
        assert ana.all() == []
        gate.set()
    with connect(url, embedder=HashEmbedder()) as backend:
        assert [item.text for item in backend.user("ana").all()] == ["Fact 0", "Fact 1", "Fact 2"]


def test_users_and_their_facts_stay_apart(tmp_path: Path) -> None:
    extractor = ScriptedExtractor([lambda prompt: facts(str(prompt).rpartition("I am ")[2][:6])], delay=0.02)
    with connect(f"sqlite:///{tmp_path / 'memory.db'}", llm=extractor, embedder=HashEmbedder()) as backend:
        users = [f"user-{number}" for number in range(8)]
        for user in users:
            backend.user(user).capture(f"I am {user}", session_id="s", background=True)
        assert backend.flush(timeout=30)
        assert [[item.text for item in backend.user(user).all()] for user in users] == [[user] for user in users]


EXIT = """
import sys, threading, memweld
from memweld.memory import capture_queue
from memweld.testing import HashEmbedder
gate = threading.Event()
capture_queue.GRACE_SECONDS = 60  # loading mem0 alone takes longer than the default on a busy machine
from memweld.testing.llm import ScriptedExtractor, facts
answers = (facts("Lives in Porto"), facts("Has a cat"))
llm = ScriptedExtractor([lambda _, answer=answer: gate.wait(60) and answer for answer in answers], delay=0.3)
ana = memweld.connect(sys.argv[1], llm=llm, embedder=HashEmbedder()).user("ana")
ana.capture("I moved to Porto", session_id="s", background=True)
ana.capture("With my cat", session_id="s", background=True)
print(len(ana.all()))
gate.set()
"""
FORK = """
import os, sys, threading, memweld
from memweld.testing import HashEmbedder
from memweld.testing.llm import ScriptedExtractor, facts
llm = ScriptedExtractor([lambda _: facts("Said in " + ("the child" if child == 0 else "the parent"))], delay=0.3)
backend = memweld.connect(sys.argv[1], llm=llm, embedder=HashEmbedder())
child = -1
backend.user("ana").add("loaded")  # a fork in the middle of an import leaves half a module in the child
backend.user("ana").clear()
backend.user("ana").capture("I am here", background=True)
child = os.fork()
if child == 0:
    backend.user("bob").capture("I am there", background=True)
    os._exit(0 if backend.flush(20) else 1)
assert os.waitpid(child, 0)[1] == 0
assert backend.flush(20)
print([[item.text for item in backend.user(user).all()] for user in ("ana", "bob")])
"""


HANGS = """
import sys, time, memweld
from memweld.memory import capture_queue
from memweld.testing import HashEmbedder
capture_queue.GRACE_SECONDS = 0.5
class Hanging:
    def invoke(self, _):
        time.sleep(1_000)
ana = memweld.connect(sys.argv[1], llm=Hanging(), embedder=HashEmbedder()).user("ana")
for number in range(6):
    ana.capture(f"I say {number}", session_id="s", background=True)
"""
FORK_LLM = """
import os, sys, threading, memweld
from memweld.testing import HashEmbedder
from memweld.testing.llm import ScriptedExtractor, facts
gate = threading.Event()
llm = ScriptedExtractor([lambda _: gate.wait(60)] * 64 + [facts("Likes tea")])
backend = memweld.connect(sys.argv[1], llm=llm, embedder=HashEmbedder())
backend.user("ana").search("what is loaded first")
threads = [threading.Thread(target=backend.user("ana").add, args=(f"Thing {each}",)) for each in range(64)]
for thread in threads:
    thread.start()
while len(llm.prompts) < 64:
    pass
child = os.fork()
if child == 0:
    print([item.text for item in backend.user("bob").add("I like tea")], flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
gate.set()
"""


def run(code: str, url: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", code, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.skipif(
    (3, 12) <= sys.version_info < (3, 12, 2),
    reason="these start no thread while a program ends, so that memweld keeps the text as it is",
)
def test_the_end_of_the_program_waits_too(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    assert run(EXIT, url) == "0", "nothing was there when the last line ran"
    with connect(url, embedder=HashEmbedder()) as backend:
        assert [item.text for item in backend.user("ana").all()] == ["Lives in Porto", "Has a cat"]


def test_the_end_of_the_program_does_not_wait_for_an_llm_that_hangs(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    done = subprocess.run([sys.executable, "-c", HANGS, url], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0
    with connect(url, embedder=HashEmbedder()) as backend:
        assert [item.text for item in backend.user("ana").all()] == [f"I say {number}" for number in range(6)]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.slow
def test_a_fork_waits_for_no_answer_of_the_parents(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK_LLM, f"sqlite:///{tmp_path / 'memory.db'}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "['Likes tea']"), done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.slow
def test_a_fork_begins_with_an_empty_queue(tmp_path: Path) -> None:
    said = run(FORK, f"sqlite:///{tmp_path / 'memory.db'}")
    assert said == "[['Said in the parent'], ['Said in the child']]"


# what goes before a model


def hit(text: str, session_id: str | None) -> Hit:
    from memweld.validation import utc_now

    return Hit(id=text, text=text, session_id=session_id, created_at=utc_now(), updated_at=utc_now(), score=1.0)


def test_what_is_shown_is_not_recalled() -> None:
    hits = [hit("I like tea", "s"), hit("I like tea", "other"), hit("I like trams", "s"), hit("Café", "s")]
    left = drop_already_shown(hits, session_id="s", shown=["  I like tea\n", "Cafe\u0301", "I"])
    assert [(each.text, each.session_id) for each in left] == [("I like tea", "other"), ("I like trams", "s")]
    assert drop_already_shown([hit("tea", None)], session_id=None, shown=["tea"]) == []


def test_what_is_searched_for() -> None:
    assert recall_query("  tea\x00 ") == "tea"
    assert recall_query(" \n") == ""
    assert recall_query("a" * 5_000 + "b") == "a" * 3_999 + "b"
    assert recall_query("half \ud800") == "half ?"
