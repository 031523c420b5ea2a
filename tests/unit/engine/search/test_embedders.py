"""Embedders: what may be given, how each is asked, and how a file changes from one to another."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import memweld
from memweld.cli import app
from memweld.engine.search.embedders import GuardedEmbedding
from memweld.engine.search.static_model import StaticEmbedder
from memweld.engine.search.tokenizer import query_words
from memweld.testing import HashEmbedder


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Callable[..., memweld.Backend]]:
    made: list[memweld.Backend] = []

    def connect(**options: Any) -> memweld.Backend:
        made.append(memweld.connect(f"sqlite:///{tmp_path / 'memory.db'}", **{"embedder": HashEmbedder(), **options}))
        return made[-1]

    yield connect
    for backend in made:
        backend.close()


class Asymmetric(HashEmbedder):
    """A model that embeds queries in another way than documents, and remembers what it was asked."""

    def __init__(self, dimensions: int = 32) -> None:
        super().__init__(dimensions)
        self.queries: list[str] = []
        self.documents: list[list[str]] = []

    def embed_query(self, text: str) -> list[float]:
        self.queries.append(text)
        return super().embed_query(text)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.documents.append(texts)
        return [HashEmbedder.embed_query(self, text) for text in texts]


# the static default


def test_static_embeds_meaning_and_weighs_words() -> None:
    static = StaticEmbedder()
    embedding = GuardedEmbedding(static)
    dog, puppy, tax = embedding.embed_batch(["dog", "a puppy", "tax return"])
    assert dog @ puppy > 0.3 > dog @ tax
    assert np.isclose(np.linalg.norm(dog), 1)
    assert not embedding.embed("").any()
    plain = embedding.embed("the dog", "search")
    weighted = embedding.for_query("the dog", plain, lambda word: 0.0 if word.asks else 1.0)
    assert weighted @ dog > plain @ dog
    assert not embedding.for_query("the dog", plain, lambda _: 0.0).any(), "words without weight mean nothing"
    assert np.allclose(embedding.embed("DOG"), dog)


def test_static_needs_no_word_to_answer() -> None:
    embedding = GuardedEmbedding(StaticEmbedder())
    for query in ("", " ", "?!", "\x00", "🙂", "\u200b"):
        vector = embedding.for_query(query, embedding.embed(query, "search"), lambda _: 1.0)
        assert vector.shape == (256,)
        assert np.isfinite(vector).all()


# what connect takes


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (42, "is a int"),
        ("openai", "'openai'"),
        ("fastembed:no/such-model", "does not know the model 'no/such-model'"),
        ({"provider": "no such"}, "'no such' cannot be made"),
        ({}, "cannot be made"),
    ],
)
def test_what_is_no_embedder_is_refused(connect: Callable[..., memweld.Backend], given: Any, message: str) -> None:
    with pytest.raises(memweld.ConfigurationError, match=message):
        connect(embedder=given).user("ana").add("I love tea")


def test_the_default_has_a_name(connect: Callable[..., memweld.Backend]) -> None:
    connect(embedder="static").user("ana").add("I love tea")
    assert connect(embedder=None).user("ana").search("tea")[0].text == "I love tea"


def test_a_langchain_model_embeds_queries_and_documents_apart(connect: Callable[..., memweld.Backend]) -> None:
    model = Asymmetric()
    ana = connect(embedder=model).user("ana")
    ana.add([{"role": "user", "content": text} for text in ("I love tea", "I own a cat")])
    ana.search("who drinks tea?")
    assert model.queries == ["who drinks tea?"]
    assert model.documents == [["I love tea", "I own a cat"]]


def test_a_mem0_model_is_told_what_it_embeds_for(
    connect: Callable[..., memweld.Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider of mem0's own, by its configuration: the factory loads the class by its path."""
    from mem0.utils.factory import EmbedderFactory

    monkeypatch.setitem(EmbedderFactory.provider_to_class, "told", f"{__name__}.ToldEmbedding")
    ToldEmbedding.asked.clear()
    ana = connect(embedder={"provider": "told", "config": {"model": "m"}}).user("ana")
    ana.add("I love tea")
    ana.search("tea?")
    assert ToldEmbedding.asked == [("I love tea", "add"), ("tea?", "search")]


class ToldEmbedding:
    """A mem0 embedder."""

    asked: list[tuple[str, str | None]] = []  # noqa: RUF012 - what all of them were asked

    def __init__(self, config: Any) -> None:
        self.config = config

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        self.asked.append((text, memory_action))
        return HashEmbedder(16).embed_query(text)


@pytest.mark.parametrize("answer", [[], [[]], [[float("nan")]], [[1.0], [2.0]], [["x"]], None], ids=repr)
def test_a_model_that_answers_rubbish_stores_nothing(connect: Callable[..., memweld.Backend], answer: Any) -> None:
    class Rubbish(HashEmbedder):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return answer

    ana = connect(embedder=Rubbish()).user("ana")
    with pytest.raises(memweld.BackendUnavailableError, match="Rubbish"):
        ana.add("I love tea")
    assert ana.all() == []


# fastembed


def tensor(name: str, kind: int, *dimensions: int | str) -> bytes:
    """An ONNX ``ValueInfoProto``, written as protobuf writes it."""
    shape = b"".join(
        field(1, field(1, each) if isinstance(each, int) else field(2, each.encode())) for each in dimensions
    )
    return field(1, name.encode()) + field(2, field(1, field(1, kind) + field(2, shape)))


def field(number: int, value: int | bytes) -> bytes:
    """One field of a protobuf message: a number, or bytes with their length."""

    def varint(rest: int) -> bytes:
        return bytes([rest]) if rest < 128 else bytes([rest & 127 | 128]) + varint(rest >> 7)

    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def write_model(place: Path, words: Sequence[str], dimensions: int = 8) -> None:
    """A model that fastembed runs: it looks up a random vector for each word. Its ONNX file has a single node."""
    import json

    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    vocabulary = {word: at for at, word in enumerate(["[PAD]", "[UNK]", *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.save(str(place / "tokenizer.json"))
    (place / "config.json").write_text(json.dumps({"pad_token_id": 0}))
    settings = {"model_max_length": 32, "pad_token": "[PAD]", "unk_token": "[UNK]"}
    (place / "tokenizer_config.json").write_text(json.dumps(settings))
    (place / "special_tokens_map.json").write_text(json.dumps({"pad_token": "[PAD]", "unk_token": "[UNK]"}))
    table = np.random.default_rng(0).normal(size=(len(vocabulary), dimensions)).astype("<f4")
    floats, integers = 1, 7
    weights = b"".join(field(1, size) for size in table.shape) + field(2, floats)
    weights += field(8, b"table") + field(9, table.tobytes())
    node = field(1, b"table") + field(1, b"input_ids") + field(2, b"last_hidden_state") + field(4, b"Gather")
    graph = field(1, node) + field(2, b"lookup") + field(5, weights)
    graph += field(11, tensor("input_ids", integers, "batch", "length"))
    graph += field(11, tensor("attention_mask", integers, "batch", "length"))
    graph += field(12, tensor("last_hidden_state", floats, "batch", "length", dimensions))
    (place / "model.onnx").write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 17)))


def test_a_transformer_of_ones_own(connect: Callable[..., memweld.Backend], tmp_path: Path) -> None:
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    write_model(tmp_path, ["tea", "cat", "moon"])
    name = "memweld-tests/words"
    if all(each["model"] != name for each in TextEmbedding.list_supported_models()):
        TextEmbedding.add_custom_model(
            name, PoolingType.MEAN, normalization=True, sources=ModelSource(hf="x/y"), dim=8, model_file="model.onnx"
        )
    model = TextEmbedding(name, specific_model_path=str(tmp_path))
    ana = connect(embedder=model).user("ana")
    ana.add([{"role": "user", "content": text} for text in ("tea", "moon moon", "cat")])
    assert [hit.text for hit in ana.search("moon", limit=1)] == ["moon moon"]
    with pytest.raises(memweld.ConfigurationError, match="fastembed/memweld-tests/words"):
        connect().user("ana").search("moon")


@pytest.mark.parametrize("environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}], ids=str)
def test_a_model_that_cannot_be_had_is_said_at_once(
    connect: Callable[..., memweld.Backend],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    environment: dict[str, str],
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FASTEMBED_CACHE_PATH", str(tmp_path / "cache"))
    start = time.monotonic()
    with pytest.raises(memweld.ConfigurationError, match=r"bge-small-en-v1.5.*cannot be reached.*FASTEMBED_CACHE_PATH"):
        connect(embedder="fastembed").user("ana").add("I love tea")
    assert time.monotonic() - start < 10


def test_without_fastembed_its_extra_is_named(
    connect: Callable[..., memweld.Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fastembed", None)
    with pytest.raises(memweld.MissingExtraError, match=r"memweld\[fastembed\]"):
        connect(embedder="fastembed:BAAI/bge-small-en-v1.5").user("ana").add("I love tea")


# from one embedder to another


def fill(backend: memweld.Backend, count: int = 150) -> None:
    for user in ("ana", "bob"):
        turn = [{"role": "user", "content": f"{user} has fact number {number}"} for number in range(count // 2)]
        backend.user(user).add(turn)
    backend.user("ana").preferences.set("theme", "dark")


def test_another_embedder_is_refused_until_it_has_reindexed(connect: Callable[..., memweld.Backend]) -> None:
    old = connect()
    fill(old)
    new = connect(embedder=Asymmetric())
    with pytest.raises(memweld.ConfigurationError, match="memweld reindex"):
        new.user("ana").search("fact 7")
    told: list[tuple[int, int]] = []
    assert new.admin.reindex(lambda done, total: told.append((done, total))) == 151
    assert told[-1] == (151, 151)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert new.user("ana").search("fact number 7", limit=1)[0].text == "ana has fact number 7"
    assert new.user("ana").preferences.get("theme") == "dark"
    assert new.admin.reindex() == 0
    for call in (lambda: old.user("ana").search("fact 7"), lambda: old.user("ana").add("late")):
        with pytest.raises(memweld.ConfigurationError, match="Asymmetric"):
            call()
    assert old.admin.reindex() == 151
    assert old.user("bob").search("fact number 9", limit=1)[0].text == "bob has fact number 9"


def test_a_new_file_needs_no_reindexing(connect: Callable[..., memweld.Backend]) -> None:
    backend = connect()
    assert backend.admin.reindex() == 0
    backend.user("ana").add("I love tea")
    assert backend.admin.reindex() == 0


def test_writes_meanwhile_are_neither_lost_nor_mixed(connect: Callable[..., memweld.Backend]) -> None:
    """Another process with the embedder before adds, changes and deletes while vectors are made."""
    old = connect()
    fill(old)
    ana = old.user("ana")
    (doomed,) = ana.add("to be deleted")
    (changed,) = ana.add("to be changed")
    rounds = 0

    def meddle(_done: int, _total: int) -> None:
        nonlocal rounds
        rounds += 1
        if rounds > 5:
            return
        ana.add(f"written in round {rounds}")
        ana.update(changed.id, f"changed in round {rounds}")
        ana.preferences.set("theme", f"of round {rounds}")
        if rounds == 4:
            ana.delete(doomed.id)
        assert ana.search(f"written in round {rounds}", limit=1)[0].text == f"written in round {rounds}"

    new = connect(embedder=Asymmetric())
    earlier_texts = 5 + 5
    assert new.admin.reindex(meddle) == 151 + 1 + 5 + earlier_texts
    assert rounds >= 5
    texts = {hit.text for hit in new.user("ana").search("round written changed", limit=1000)}
    assert {f"written in round {number}" for number in range(1, 6)} <= texts
    assert "changed in round 5" in texts
    assert "to be deleted" not in texts
    model = Asymmetric()
    database = new._engine._database  # type: ignore[attr-defined]
    with database.reading_all() as connection:
        for text, vector in connection.execute("SELECT text, vector FROM items"):
            wanted = np.array(HashEmbedder.embed_query(model, text), dtype="<f4")
            assert np.allclose(np.frombuffer(vector, dtype="<f4"), wanted, atol=1e-6), text


def test_nobody_waits_for_the_new_embedder(connect: Callable[..., memweld.Backend]) -> None:
    """Texts that are written while the last vectors are made are embedded without a transaction, too."""
    old = connect()
    fill(old)
    ana = old.user("ana")

    class Meddled(Asymmetric):
        calls = 0

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            Meddled.calls += 1
            assert not new._engine._database._thread.in_unit, "others wait"  # type: ignore[attr-defined]
            if Meddled.calls < 12:
                ana.add(f"written during call {Meddled.calls}")
            return super().embed_documents(texts)

    new = connect(embedder=Meddled())
    assert new.admin.reindex() >= 150 + 11
    assert Meddled.calls >= 12


def test_erased_while_reindexing_is_erased_there_too(connect: Callable[..., memweld.Backend]) -> None:
    old = connect()
    fill(old)
    new = connect(embedder=Asymmetric())

    def stop(done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        new.admin.reindex(stop)
    with old._engine._database.reading_all() as connection:  # type: ignore[attr-defined]
        before = connection.execute("SELECT count(*) FROM items WHERE next_vector IS NOT NULL").fetchone()[0]
    old.user("ana").erase()
    with old._engine._database.reading_all() as connection:  # type: ignore[attr-defined]
        after = connection.execute("SELECT count(*) FROM items WHERE next_vector IS NOT NULL").fetchone()[0]
    assert (before, after) == (64, 0)
    assert new.admin.reindex() == 75


def test_killed_half_way_it_continues(connect: Callable[..., memweld.Backend], tmp_path: Path) -> None:
    fill(connect())
    code = """
        import os, signal, sys, memweld
        from test_embedders import Asymmetric
        backend = memweld.connect("sqlite:///" + sys.argv[1], embedder=Asymmetric())
        backend.admin.reindex(lambda done, total: os.kill(os.getpid(), signal.SIGKILL) if done > 100 else None)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "memory.db")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(command, capture_output=True, timeout=120, check=False, env=environment)
    assert done.returncode == -9, done.stderr
    assert connect().user("ana").search("fact number 7", limit=1)[0].text == "ana has fact number 7"
    model = Asymmetric()
    assert connect(embedder=model).admin.reindex() == 151
    embedded = [text for batch in model.documents for text in batch if text != "memory"]
    assert len(embedded) == 151 - 128


def test_a_third_embedder_takes_over_and_the_second_notices(connect: Callable[..., memweld.Backend]) -> None:
    fill(connect())
    third = connect(embedder=Asymmetric(16))
    with pytest.raises(memweld.ConfigurationError, match="reindexes"):
        connect(embedder=Asymmetric()).admin.reindex(lambda _done, _total: third.admin.reindex())
    assert third.user("bob").search("fact number 9", limit=1)[0].text == "bob has fact number 9"


def test_a_failing_embedder_leaves_the_old_vectors(connect: Callable[..., memweld.Backend]) -> None:
    class Failing(Asymmetric):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            if len(self.documents) > 2:
                raise TimeoutError("the model is tired")
            return super().embed_documents(texts)

    old = connect()
    fill(old)
    with pytest.raises(memweld.BackendUnavailableError, match="tired"):
        connect(embedder=Failing()).admin.reindex()
    assert old.user("ana").search("fact number 7", limit=1)[0].text == "ana has fact number 7"
    # Who stays with the old one clears up.
    assert old.admin.reindex() == 0
    with old._engine._database.reading_all() as connection:  # type: ignore[attr-defined]
        left = connection.execute("SELECT count(*) FROM items WHERE next_vector IS NOT NULL").fetchone()[0]
    assert left == 0


def test_a_server_chooses_its_embedder_itself() -> None:
    with (
        memweld.connect("http://127.0.0.1:9/mcp") as backend,
        pytest.raises(memweld.ConfigurationError, match="itself"),
    ):
        backend.admin.reindex()


def test_the_command(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'memory.db'}"
    with memweld.connect(url, embedder=HashEmbedder()) as backend:
        backend.user("ana").add("I love tea")
    run = CliRunner()
    done = run.invoke(app, ["reindex", "--url", url, "--embedder", "static"])
    assert (done.exit_code, done.stdout) == (0, "Embedded 1 memories again.\n"), done.output
    done = run.invoke(app, ["reindex", "--url", url], env={"MEMWELD_EMBEDDER": "static"})
    assert (done.exit_code, "Nothing to do" in done.stdout) == (0, True)
    assert "I love tea" in run.invoke(app, ["search", "tea", "--user", "ana", "--url", url]).stdout
    done = run.invoke(app, ["reindex", "--url", url, "--embedder", "{nonsense"])
    assert (done.exit_code, "JSON" in done.stderr) == (1, True)


def test_words_of_a_query_stand_where_they_are() -> None:
    query = "Wo wohnt die Straßenkatze?"
    assert [query[word.start : word.end] for word in query_words(query)] == ["Wo", "wohnt", "die", "Straßenkatze"]
