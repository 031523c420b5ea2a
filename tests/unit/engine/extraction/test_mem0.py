"""mem0, guarded: its traps, the extraction, embedders, and the index that follows the table."""

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import memweld
from memweld.engine.extraction.mem0.call_guard import Call
from memweld.engine.search.cache import IndexCache
from memweld.testing import HashEmbedder, ScriptedExtractor, facts


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[..., memweld.Backend]]:
    made: list[memweld.Backend] = []
    defaults: dict[str, Any] = {"embedder": HashEmbedder(), "extraction": "mem0"}

    def connect(**options: Any) -> memweld.Backend:
        made.append(memweld.connect(f"sqlite:///{tmp_path / 'memory.db'}", **{**defaults, **options}))
        return made[-1]

    yield connect
    for backend in made:
        backend.close()


def fresh(code: str, **environment: str) -> str:
    """The output of a program in an interpreter of its own, with sockets forbidden."""
    guard = "import socket\ndef refuse(*a, **k): raise SystemExit('network')\nsocket.socket.connect = refuse\n"
    command = [sys.executable, "-W", "error", "-c", guard + textwrap.dedent(code)]
    import os

    clean = {name: value for name, value in os.environ.items() if not name.startswith("MEM0_")}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**clean, **environment}
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


EXTRACTING = """
import memweld
from memweld.testing import ScriptedExtractor, facts
llm = ScriptedExtractor([facts("Ana loves tea")])
ana = memweld.connect("sqlite://", llm=llm, extraction="mem0").user("ana")
(item,) = ana.add("I love tea")
assert item.extraction == "extracted", item
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a program saw that let mem0 extract: with a home of its own, and with a spaCy that has no model."""
    home, packages = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("packages")
    package = packages / "spacy"
    package.mkdir()
    (package / "__init__.py").write_text(
        "class util:\n    is_package = staticmethod(lambda name: False)\nclass cli:\n    pass\n"
    )
    (package / "cli.py").write_text("def download(name):\n    raise SystemExit('a download was tried')\n")
    code = """
        import json, logging, sys, threading, warnings
        import memweld
        from memweld.testing import HashEmbedder, ScriptedExtractor, facts
        warnings.filterwarnings("ignore", message="mine")
        before = list(warnings.filters)
        with memweld.connect(
            "sqlite://", llm=ScriptedExtractor([facts("they love tea")] * 8), extraction="mem0"
        ) as backend:
            backend.user("nobody").search("loads the embedder")
            assert "mem0" not in sys.modules
            start, answers, made = threading.Barrier(8), [], set()
            def work(number):
                start.wait()
                answers.append(backend.user(f"user {number}").add("tea")[0].extraction)
                made.add(id(backend._engine.facts._extraction.mem0))
            threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
            [thread.start() for thread in threads], [thread.join() for thread in threads]
            found = len(backend.user("user 1").search("tea"))
        for_all = [each for each in warnings.filters if each[2] is DeprecationWarning and not (each[1] or each[3])]
        for _ in range(2):
            llm = ScriptedExtractor([facts("x")])
            with memweld.connect("sqlite://", llm=llm, extraction="mem0", embedder=HashEmbedder()) as backend:
                backend.user("ana").add("I love tea")
        from mem0.memory import telemetry
        print(json.dumps({
            "answers": answers,
            "made": len(made),
            "found": found,
            "telemetry": telemetry.MEM0_TELEMETRY,
            "new filters": len([each for each in for_all if each not in before]),
            "lost filters": len([each for each in before if each not in warnings.filters]),
            "log filters": len(logging.getLogger("mem0.memory.main").filters),
        }))
    """
    seen = json.loads(fresh(code, HOME=str(home), PYTHONPATH=str(packages)))
    return {**seen, "written": [str(path) for path in home.rglob("*mem0*")]}


@pytest.mark.slow
def test_mem0_calls_nobody_downloads_nothing_and_writes_nothing_at_home(program: dict[str, Any]) -> None:
    """`fresh` forbids sockets, and the spaCy of the program forbids downloads."""
    assert (program["found"], program["telemetry"], program["written"]) == (1, False, [])


@pytest.mark.slow
def test_threads_that_need_mem0_first_get_it_once_and_change_no_warnings(program: dict[str, Any]) -> None:
    assert (program["answers"], program["made"]) == (["extracted"] * 8, 1)
    assert (program["new filters"], program["lost filters"]) == (0, 0)


@pytest.mark.slow
def test_backends_that_are_closed_leave_nothing_on_mem0s_logger(program: dict[str, Any]) -> None:
    assert program["log filters"] == 1


@pytest.mark.slow
def test_mem0_imported_first_is_left_alone_until_it_is_needed_and_then_silenced() -> None:
    code = f"""
import mem0, memweld
from mem0.memory import main, telemetry
plain = memweld.connect("sqlite://").user("ana")
plain.add("I love tea")
print(len(plain.search("tea")), telemetry.MEM0_TELEMETRY)
{EXTRACTING}
print(telemetry.MEM0_TELEMETRY, main.MEM0_TELEMETRY)
"""
    assert fresh(code, MEM0_DIR="/tmp").split() == ["1", "True", "False", "False"]


@pytest.mark.slow
@pytest.mark.exhaustive
def test_telemetry_that_is_asked_for_stays_on() -> None:
    code = """
        from memweld.engine.extraction.mem0.side_effects import load_mem0
        load_mem0()
        from mem0.memory import main, telemetry
        print(telemetry.MEM0_TELEMETRY, main.MEM0_TELEMETRY)
    """
    assert fresh(code, MEM0_DIR="/tmp", MEM0_TELEMETRY="true").split() == ["True", "True"]
    assert fresh(code, MEM0_DIR="/tmp").split() == ["False", "False"]


def test_changes_and_searches_through_mem0_are_those_without_it(
    connect: Callable[..., memweld.Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where spaCy and its model are installed they go through mem0, which otherwise has nothing to add."""

    def use(user_id: str) -> list[Any]:
        ana = connect().user(user_id)
        (item,) = ana.add([{"role": "user", "name": "Ana", "content": "I love tea"}], metadata={"a": 1}, session_id="s")
        ana.add("The door is blue")
        changed = ana.update(item.id, "I love coffee")
        ana.update(item.id, "I love cocoa", metadata={"b": [2]})
        ana.preferences.set("theme", "dark")
        ana.preferences.set("theme", "light")
        ana.tasks.record("ship", outcome="late", success=False)
        ana.tasks.record("ship", outcome="on time", success=True)
        assert changed.updated_at > changed.created_at == item.created_at
        rows = [(each.text, each.kind, each.key, each.role, each.name, each.session_id) for each in ana.all()]
        data = [(each.metadata, each.extraction, each.updated_at >= each.created_at) for each in ana.all()]
        found = ana.search("cocoa or a door", explain=True)
        hits = [(hit.text, round(hit.score, 6), str(hit.explanation)) for hit in found]
        return [rows, data, hits, ana.preferences.get("theme")]

    bare = use("ana")
    monkeypatch.setattr("memweld.engine.facts.finds_entities", lambda: True)
    assert use("bob") == bare


@pytest.mark.parametrize("through_mem0", [False, True])
def test_the_names_of_an_agents_memory_go_when_the_user_changes_it(
    connect: Callable[..., memweld.Backend], monkeypatch: pytest.MonkeyPatch, *, through_mem0: bool
) -> None:
    backend = connect()
    agent = backend.user("ana", agent_id="research")
    (item,) = agent.add("Ana is treated by Dr Strange")
    with backend._engine.database.writing_all() as connection:  # type: ignore[attr-defined]
        owner = connection.execute("SELECT id FROM owners WHERE agent_id = 'research'").fetchone()[0]
        payload = json.dumps({"user_id": "ana", "data": "Dr Strange", "linked_memory_ids": [item.id]})
        row = ("e", owner, payload, b"\0" * 4 * 64)
        connection.execute("INSERT INTO entities (id, owner, payload, vector) VALUES (?, ?, ?, ?)", row)
    monkeypatch.setattr("memweld.engine.facts.finds_entities", lambda: through_mem0)
    assert backend.user("ana").update(item.id, "Ana is healthy").agent_id == "research"
    with backend._engine.database.reading_all() as connection:  # type: ignore[attr-defined]
        assert connection.execute("SELECT payload FROM entities").fetchall() == []
    assert [hit.text for hit in agent.search("healthy")] == ["Ana is healthy"]


def test_logging_of_the_program_is_left_alone() -> None:
    code = """
        import logging, memweld
        memweld.connect("sqlite://").user("ana").add("I love tea")
        print(logging.getLogger().handlers, logging.getLogger().level == logging.WARNING)
    """
    assert fresh(code) == "[] True"


def test_what_was_extracted_does_not_stay_in_ram(connect: Callable[..., memweld.Backend]) -> None:
    backend = connect(llm=ScriptedExtractor([facts("Ana prays to Quetzalcoatl")]))
    assert backend.user("ana").add("I pray")[0].extraction == "extracted"
    assert backend._engine.facts._extraction.mem0._llm.take_facts() == []  # type: ignore[attr-defined]


def test_bare_mem0_has_the_holes_that_the_guard_closes(connect: Callable[..., memweld.Backend]) -> None:
    """mem0's own Memory on our store: by id it would serve anybody; without the guard it serves nobody."""
    backend = connect()
    (item,) = backend.user("ana").add("I love tea")
    mem0 = backend._engine.facts._extraction.mem0.memory  # type: ignore[attr-defined]
    with pytest.raises(memweld.AccessDeniedError):
        mem0.get(item.id)
    with pytest.raises(memweld.AccessDeniedError):
        mem0.delete(item.id)
    with pytest.raises(PermissionError):
        mem0.reset()
    guard = backend._engine.facts._extraction.mem0.guard  # type: ignore[attr-defined]
    with guard.entered(Call(scope=memweld.Scope(user_id="bob"))):
        assert mem0.get(item.id) is None
        for filters in ({"user_id": "*"}, {"user_id": "bob", "AND": [{"user_id": "ana"}]}, {"user_id": "ana"}):
            with pytest.raises((memweld.AccessDeniedError, memweld.InvalidInputError)):
                mem0.search("tea", filters=filters)
    assert len(backend.user("ana").all()) == 1


def test_a_slow_llm_is_given_up_and_holds_no_lock(
    connect: Callable[..., memweld.Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMWELD_LLM_TIMEOUT", "0.2")
    ana = connect(llm=ScriptedExtractor([facts("never")], delay=30)).user("ana")
    (item,) = ana.add("I love tea")
    assert (item.text, item.extraction) == ("I love tea", "failed")
    assert item.extraction_error == "the LLM did not answer within 0.2 s"


def test_others_write_while_an_llm_thinks(connect: Callable[..., memweld.Backend]) -> None:
    other = connect().user("bob")

    def think(_: object) -> str:
        other.add("written meanwhile")
        return facts("Ana loves tea")

    assert connect(llm=ScriptedExtractor([think])).user("ana").add("tea!")[0].text == "Ana loves tea"
    assert len(other.all()) == 1


def test_the_llm_sees_the_session_before_the_turn(connect: Callable[..., memweld.Backend]) -> None:
    llm = ScriptedExtractor([facts("x")])
    ana = connect(llm=llm).user("ana")
    ana.history("s").append("My cat is called Miau")
    ana.capture([{"role": "user", "content": "She is ill"}], session_id="s")
    prompt = "".join(text for _, text in llm.prompts[0])
    assert prompt.count("Miau") == 1
    assert prompt.count("She is ill") == 1


def test_an_answer_in_fences_or_thoughts_is_understood(connect: Callable[..., memweld.Backend]) -> None:
    answers = [
        f"```json\n{facts('one')}\n```",
        f"<think>hm {{}}</think>{facts('two')}",
        f"Here you are: {facts('three')} Bye",
        type("Message", (), {"content": [{"type": "text", "text": facts("four")}]})(),
    ]
    ana = connect(llm=ScriptedExtractor(answers)).user("ana")
    for text in ("one", "two", "three", "four"):
        assert [(item.text, item.extraction) for item in ana.add(f"say {text}")] == [(text, "extracted")]


def test_a_langchain_chat_model_extracts(connect: Callable[..., memweld.Backend]) -> None:
    from memweld.testing.langchain import ScriptedChatModel

    ana = connect(llm=ScriptedChatModel([facts("Ana loves tea")])).user("ana")
    assert [item.text for item in ana.add("tea!")] == ["Ana loves tea"]


def test_a_mem0_llm_configuration_that_cannot_be_made(connect: Callable[..., memweld.Backend]) -> None:
    ana = connect(llm={"provider": "no-such-llm", "config": {}}).user("ana")
    with pytest.raises(memweld.ConfigurationError, match="no-such-llm"):
        ana.add("I love tea")
    with pytest.raises(memweld.ConfigurationError, match="LangChain"):
        connect(llm=7).user("ana").add("I love tea")


def test_embedders(connect: Callable[..., memweld.Backend]) -> None:
    from langchain_core.embeddings import DeterministicFakeEmbedding

    ana = connect(embedder=DeterministicFakeEmbedding(size=16)).user("ana")
    ana.add("I love tea")
    assert len(ana.search("tea")) == 1
    with pytest.raises(memweld.ConfigurationError, match="no-such"):
        connect(embedder={"provider": "no-such", "config": {}}).user("ana").add("x")
    with pytest.raises(memweld.ConfigurationError, match="Embeddings"):
        connect(embedder="wordllama").user("ana").add("x")


@pytest.mark.parametrize(
    "vector", [[float("nan")] * 4, [[1.0]], RuntimeError("no GPU")], ids=["nan", "shape", "raises"]
)
def test_a_broken_embedder_is_our_error_and_stores_nothing(
    connect: Callable[..., memweld.Backend], vector: Any
) -> None:
    class Broken(HashEmbedder):
        def embed_query(self, text: str) -> list[float]:
            if isinstance(vector, Exception):
                raise vector
            return vector

    ana = connect(embedder=Broken()).user("ana")
    for call in (lambda: ana.add("I love tea"), lambda: ana.preferences.set("k", 1)):
        with pytest.raises(memweld.BackendUnavailableError, match="embedder"):
            call()
    assert ana.all() == []


def test_the_default_embedder_knows_meaning(tmp_path: Path) -> None:
    with memweld.connect(f"sqlite:///{tmp_path / 'm.db'}") as backend:
        ana = backend.user("ana")
        for fact in ("My dog is called Rex", "The invoice is due on Friday", "I study at a university in Coimbra"):
            ana.add(fact)
        assert ana.search("puppy", limit=1)[0].text == "My dog is called Rex"
        assert ana.search("payment deadline", limit=1)[0].text == "The invoice is due on Friday"
        assert ana.search("college", limit=1)[0].text == "I study at a university in Coimbra"


def test_neighbours_in_a_session_lend_weight(connect: Callable[..., memweld.Backend]) -> None:
    ana = connect().user("ana")
    ana.add("Where did you buy the saxophone?", session_id="s")
    answer = ana.add("In a small shop by the harbour", session_id="s")[0]
    ana.add("It rained all day", session_id="t")
    assert [hit.id for hit in ana.search("saxophone", limit=2)][1] == answer.id


def test_the_index_cache_is_bounded(connect: Callable[..., memweld.Backend]) -> None:
    backend = connect()
    backend.user("nobody").search("loads")
    store = backend._engine.facts._store  # type: ignore[attr-defined]
    store._indexes = IndexCache(maximum_bytes=50_000)
    users = [backend.user(f"user {number}") for number in range(20)]
    for user in users:
        user.add(f"I am {user.user_id}")
        assert len(user.search("am")) == 1
    assert 0 < len(store._indexes) < 20
    assert 0 < store._indexes.bytes <= 50_000
    assert all(len(user.search("am")) == 1 for user in users)


def test_search_is_not_disturbed_by_writers(connect: Callable[..., memweld.Backend]) -> None:
    import threading

    ana = connect().user("ana")
    (anchor,) = ana.add("the anchor fact")
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            (item,) = ana.add(f"passing fact {number}")
            ana.update(item.id, f"changed fact {number}")
            if number % 3 == 0:
                ana.delete(item.id)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        deadline = time.monotonic() + 0.7
        while time.monotonic() < deadline:
            assert ana.search("anchor", limit=1)[0].id == anchor.id
    finally:
        stop.set()
        writer.join()
    assert {hit.id for hit in ana.search("fact anchor", limit=10_000)} == {item.id for item in ana.all(limit=10_000)}


def test_what_another_scope_says_does_not_keep_an_extracted_fact_out(connect: Callable[..., memweld.Backend]) -> None:
    backend = connect(llm=ScriptedExtractor([facts("Ana loves tea", "theme: dark", "Ana lives in Porto")]))
    backend.user("ana", agent_id="r").add("Ana loves tea", infer=False)
    ana = backend.user("ana")
    ana.preferences.set("theme", "dark")
    assert [item.text for item in ana.add("blah")] == ["Ana loves tea", "theme: dark", "Ana lives in Porto"]
    assert len(ana.all()) == 5


@pytest.mark.parametrize(
    "answer",
    [
        '{"memory":' + "[" * 200_000,
        [42],
        [type("Block", (), {"text": 7})()],
        '{"memory": [{"text": "\\ud800"}]}',
    ],
    ids=["deep", "numbers", "blocks", "surrogate"],
)
def test_more_rubbish(connect: Callable[..., memweld.Backend], answer: Any) -> None:
    message = type("Message", (), {"content": answer})()
    (item,) = connect(llm=ScriptedExtractor([message])).user("ana").add("I love tea")
    assert (item.text, item.extraction) == ("I love tea", "failed")


def test_tags_and_fences_in_facts_are_kept(connect: Callable[..., memweld.Backend]) -> None:
    texts = ["uses the <think>x</think> tag", "writes ```python``` fences"]
    ana = connect(llm=ScriptedExtractor([facts(*texts)])).user("ana")
    assert [item.text for item in ana.add("blah")] == texts


def test_a_refusal_of_the_store_is_told_also_through_mem0(connect: Callable[..., memweld.Backend]) -> None:
    connect().user("ana").add("I love tea")
    llm = ScriptedExtractor([facts("one", "two")])
    with pytest.raises(memweld.ConfigurationError, match="memweld-hash-64"):
        connect(llm=llm, embedder=HashEmbedder(32)).user("ana").add("blah")
    assert len(connect().user("ana").all()) == 1


def test_vectors_of_one_name_and_another_length_are_refused(connect: Callable[..., memweld.Backend]) -> None:
    class Nameless(HashEmbedder):
        def __init__(self, dimensions: int) -> None:
            super().__init__(dimensions)
            self.model = ""

    one, other = connect(embedder=Nameless(16)).user("ana"), connect(embedder=Nameless(32)).user("ana")
    other.search("loads while the file is empty")
    (item,) = one.add("I love tea")
    one.preferences.set("theme", "dark")
    calls: list[Callable[[], Any]] = [
        lambda: other.search("tea"),
        lambda: other.update(item.id, "I love coffee"),
        lambda: other.preferences.set("theme", "light"),
        lambda: other.add("I love coffee"),
    ]
    for call in calls:
        with pytest.raises(memweld.ConfigurationError, match="16 dimensions"):
            call()
    assert one.search("tea")[0].text == "I love tea"


def test_to_forget_needs_no_embedder(connect: Callable[..., memweld.Backend]) -> None:
    (one, two) = connect().user("ana").add([{"role": "user", "content": text} for text in ("one", "two")])
    ana = connect(embedder={"provider": "openai", "config": {}}).user("ana")
    with pytest.raises(memweld.ConfigurationError):
        ana.search("one")
    ana.delete(one.id)
    assert ana.get(two.id).text == "two"
    assert ana.clear() == 1


def test_mem0_logs_no_text(connect: Callable[..., memweld.Backend], caplog: pytest.LogCaptureFixture) -> None:
    ana = connect(llm=ScriptedExtractor([facts("my word is tangerine"), "my word is tangerine"])).user("ana")
    with caplog.at_level("DEBUG"):
        (item,) = ana.add("my word is tangerine")
        ana.add("the word is still tangerine")
        ana.update(item.id, "my word is tangerines")
        ana.preferences.set("word", "tangerine")
        ana.preferences.set("word", "tangerines")
        ana.delete(item.id)
    assert "tangerine" not in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("extraction", ["mem0", "compact"])
def test_a_full_disk_in_the_middle_of_extracted_facts_leaves_none_of_them(tmp_path: Path, extraction: str) -> None:
    code = """
        import resource, signal, sys, memweld
        from memweld.testing import HashEmbedder, ScriptedExtractor, facts
        url, extraction = "sqlite:///" + sys.argv[1], sys.argv[2]
        texts = [f"{number} " + "x" * 30_000 for number in range(13)]
        llm = ScriptedExtractor([facts(*texts)])
        backend = memweld.connect(url, embedder=HashEmbedder(), llm=llm, extraction=extraction)
        ana = backend.user("ana")
        ana.add("kept before", infer=False)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (350_000, resource.RLIM_INFINITY))
        try:
            ana.add("say")
        except memweld.BackendUnavailableError as error:
            assert "disk" in str(error), error
        else:
            raise SystemExit("it was stored")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert [item.text for item in ana.all()] == ["kept before"], len(ana.all())
        assert len(ana.add("say")) == 13
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "m.db"), extraction]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_a_restoration_writes_no_vectors_of_another_embedder(connect: Callable[..., memweld.Backend]) -> None:
    """Also not over those that are there already, where nothing is added."""
    ana = connect().user("ana")
    ana.add("I love Python")
    ana.preferences.set("theme", "dark")
    later = ana.export()
    for item in later["items"]:
        item["updated_at"] = "2099-01-01T00:00:00+00:00"
    other = connect(embedder=HashEmbedder(16))
    with pytest.raises(memweld.ConfigurationError, match="vectors of the embedder"):
        other.user("ana").restore(later)
    assert [hit.text for hit in ana.search("Python", limit=1)] == ["I love Python"]
    assert ana.restore(later)["items"] == 2
    assert [hit.text for hit in ana.search("Python", limit=1)] == ["I love Python"]
