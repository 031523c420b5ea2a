"""The schema on Postgres: made at first use, brought forward, refused when newer; and row-level security."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from alembic.script import ScriptDirectory
from servers import PostgresServer
from typer.testing import CliRunner

import memweld
from memweld import BackendUnavailableError, ConfigurationError, connect
from memweld.cli import app
from memweld.engine.postgres import schema
from memweld.engine.postgres.rls import TABLES, proof
from memweld.engine.postgres.schema import REVISIONS, alembic_config
from memweld.scope import Scope
from memweld.testing import HashEmbedder

pytestmark = pytest.mark.services

HIDDEN = ("meta", "outbox", "outbox_lease")


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.make_database()


def run(url: str, *statements: str, role: str | None = None) -> list[tuple[Any, ...]]:
    place = url.replace("postgres@", f"{role}@") if role else url
    with psycopg.connect(place.partition("?")[0], autocommit=True) as connection:
        cursor = [connection.execute(statement.encode()) for statement in statements][-1]
        return cursor.fetchall() if cursor.description else []


def keep(url: str, user: str, text: str) -> None:
    with connect(url, embedder=HashEmbedder()) as backend:
        backend.user(user).add(text)


# what is made


def test_many_servers_at_first_use(url: str) -> None:
    """Each process finds the tables, no matter which one made them."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: keep(url, "ana", f"fact {number}"), range(8)))
    assert run(url, "SELECT count(*) FROM memweld.items") == [(8,)]
    assert run(url, "SELECT version_num FROM memweld.alembic_version") == [(REVISIONS[-1],)]


def test_many_schemas_at_first_use(url: str) -> None:
    """Programs with schemas of their own begin at once, also in one process: each gets the extension and its tables."""
    places = [f"{url}?schema=app{number}" for number in range(4)]
    with ThreadPoolExecutor(len(places)) as pool:
        list(pool.map(lambda place: keep(place, "ana", "fact"), places))
    for number in range(len(places)):
        assert run(url, f"SELECT count(*) FROM app{number}.items") == [(1,)]


def test_the_known_revisions_are_those_of_the_migrations() -> None:
    script = ScriptDirectory.from_config(alembic_config())
    assert tuple(reversed([step.revision for step in script.walk_revisions()])) == REVISIONS


def test_schemas_are_apart(url: str) -> None:
    keep(f"{url}?schema=one", "ana", "in one")
    keep(f"{url}?schema=two", "ana", "in two")
    with connect(f"{url}?schema=two", embedder=HashEmbedder()) as backend:
        assert [hit.text for hit in backend.user("ana").search("in one")] == ["in two"]
    assert run(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


def test_a_newer_schema_is_refused(url: str) -> None:
    keep(url, "ana", "fact")
    run(url, "UPDATE memweld.alembic_version SET version_num = '9999'")
    with connect(url) as backend:
        with pytest.raises(BackendUnavailableError, match=r"newer memweld.*upgrade"):
            backend.user("ana").all()
        with pytest.raises(BackendUnavailableError, match=r"newer memweld.*upgrade"):
            backend.admin.migrate()
    assert run(url, "SELECT count(*) FROM memweld.items") == [(1,)]


def test_an_older_schema_asks_for_migrate(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(url, "ana", "fact")
    monkeypatch.setattr(schema, "REVISIONS", (*REVISIONS, "9999"))
    with connect(url) as backend, pytest.raises(ConfigurationError, match="memweld migrate"):
        backend.user("ana").all()


def test_migrate(url: str) -> None:
    """It makes the tables, and does nothing the second time; an embedded file needs it not."""
    for _ in range(2):
        result = CliRunner().invoke(app, ["migrate", "--url", url])
        assert (result.exit_code, result.output) == (0, f"The tables are at revision {REVISIONS[-1]}.\n")
    assert "Nothing to do" in CliRunner().invoke(app, ["migrate", "--url", "sqlite://"]).output


def test_the_doctor_looks_and_touches_nothing(url: str) -> None:
    result = CliRunner().invoke(app, ["doctor", "--url", url])
    assert "none yet in the schema memweld" in result.output
    assert "All is well." in result.output
    assert run(url, "SELECT to_regnamespace('memweld')") == [(None,)]
    keep(url, "ana", "fact")
    result = CliRunner().invoke(app, ["doctor", "--url", url])
    for found in ("version 18", f"revision {REVISIONS[-1]}", "pgvector", "not in force", "1, 0 of them", "can be read"):
        assert found in result.output, result.output
    result = CliRunner().invoke(app, ["doctor", "--url", url.replace("memweld_", "nothing_")])
    assert (result.exit_code, "no such database" in result.output) == (1, True)


def test_the_planner_samples_no_contents(url: str) -> None:
    """Its statistics keep sampled texts after an erasure, too."""
    with connect(url, embedder=HashEmbedder()) as backend:
        for number in range(5):
            ana = backend.user(f"user-{number}")
            ana.add("I was born in Zanzibar", metadata={"place": "Zanzibar"})
            ana.state("n")["k"] = "Zanzibar"
            ana.history("s").append("Zanzibar")
    run(url, "ANALYZE")
    sampled = run(
        url,
        "SELECT tablename, attname FROM pg_stats WHERE schemaname = 'memweld' AND s::text LIKE '%Zanz%'".replace(
            "pg_stats WHERE", "pg_stats AS s WHERE"
        ),
    )
    assert sampled == []


# what is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda url: url.replace("memweld_", "nothing_"), "no such database"),
        (lambda url: url.replace("postgres@", "nobody:secret@"), "refuses the login"),
        (lambda url: f"{url}?schema=Drop Table", "small letters"),
        (lambda url: f"{url}?pool_size=0", "whole number"),
        (lambda url: f"{url}?rls=yes", "rls=1 or rls=0"),
        (lambda url: f"{url}?sslmode=require", "SSL"),
        (lambda url: f"{url}?password=secret&nonsense=1", "option 'nonsense', which neither"),
        (lambda url: f"{url}?shema=foo", "option 'shema', .* Did you mean schema"),
        (lambda url: f"{url}?poolsize=3", "option 'poolsize', .* Did you mean pool_size"),
        (lambda url: f"{url}?sslmode=requir", 'invalid sslmode value: "requir". Write this option'),
        (lambda url: f"{url}?connect_timeout=soon", "bad value for connect_timeout: 'soon'. Write this option"),
        (lambda url: url.replace("postgres@", "postgres:sec/secret@"), "percent-encoded"),
    ],
)
def test_a_url_that_is_wrong(url: str, change: Any, message: str) -> None:
    """One line that says what is wrong, without a password."""
    with pytest.raises(memweld.MemweldError, match=message) as caught, connect(change(url)) as backend:
        backend.user("ana").all()
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_migration_of_no_server() -> None:
    with (
        connect("postgresql://postgres@127.0.0.1:1/app") as backend,
        pytest.raises(BackendUnavailableError, match=r"cannot be reached: .* Check that it runs"),
    ):
        backend.admin.migrate()


def test_a_wrong_password_is_never_shown(postgres: PostgresServer, url: str) -> None:
    run(url, "DROP ROLE IF EXISTS careful", "CREATE ROLE careful LOGIN PASSWORD 'right'")
    rules = postgres.folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("host all careful 127.0.0.1/32 scram-sha-256\n" + before)
    try:
        run(url, "SELECT pg_reload_conf()")
        wrong = url.replace("postgres@", "careful:s3cret-wrong@")
        with (
            connect(wrong) as backend,
            pytest.raises(ConfigurationError, match="Check the user and password") as caught,
        ):
            backend.user("ana").all()
        assert "s3cret" not in f"{caught.value!r} {backend!r}"
    finally:
        rules.write_text(before)
        run(url, "SELECT pg_reload_conf()")


def test_a_role_that_only_reads(url: str) -> None:
    keep(url, "ana", "fact")
    with connect(f"{url}?options=-c%20default_transaction_read_only%3Don", embedder=HashEmbedder()) as backend:
        assert [item.text for item in backend.user("ana").all()] == ["fact"]
    run(url, "DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN")
    run(url, "GRANT USAGE ON SCHEMA memweld TO guest", "GRANT SELECT ON ALL TABLES IN SCHEMA memweld TO guest")
    with connect(url.replace("postgres@", "guest@"), embedder=HashEmbedder()) as backend:
        assert [item.text for item in backend.user("ana").all()] == ["fact"]
        with pytest.raises(ConfigurationError, match="permission denied"):
            backend.user("ana").state("n")["k"] = 1
        with pytest.raises(ConfigurationError, match="with the URL of the owner of the tables"):
            backend.admin.migrate(role="guest")
        assert backend.user("ana").state("n").get("k") is None


def test_a_database_without_pgvector(url: str) -> None:
    run(url, "DROP ROLE IF EXISTS plain", "CREATE ROLE plain LOGIN", "DROP EXTENSION IF EXISTS vector")
    name = url.rpartition("/")[2]
    run(url, f"GRANT CREATE ON DATABASE {name} TO plain")
    # pgvector may be made by whoever may create objects in the database, unless it is taken from them.
    run(url, "CREATE SCHEMA memweld AUTHORIZATION plain", f"REVOKE CREATE ON DATABASE {name} FROM plain")
    with connect(url.replace("postgres@", "plain@")) as backend, pytest.raises(ConfigurationError) as caught:
        backend.user("ana").all()
    assert "CREATE EXTENSION vector" in str(caught.value)


# row-level security


@pytest.fixture
def secured(url: str) -> Iterator[str]:
    """The URL of a role that is under row-level security."""
    run(url, "DROP ROLE IF EXISTS app", "CREATE ROLE app LOGIN")
    assert CliRunner().invoke(app, ["migrate", "--url", url, "--role", "app"]).exit_code == 0
    yield f"{url.replace('postgres@', 'app@')}?rls=1"
    run(url, "DROP SCHEMA memweld CASCADE", "DROP OWNED BY app", "DROP ROLE app")


def fill(url: str) -> None:
    with connect(url, embedder=HashEmbedder()) as backend:
        for memory in (backend.user("ana"), backend.user("bob"), backend.user("ana", agent_id="r"), backend.agent("r")):
            memory.add("a secret")
            assert memory.recall("a secret", limit=1)
            memory.preferences.set("theme", "dark")
            memory.state("n").set("k", 1, text="a value", ttl=9_000)
            memory.history("s").append("hello")


def bound(url: str, user: str, *statements: str, agent: str = "") -> list[tuple[Any, ...]]:
    """The row counts that raw SQL sees on a connection that is bound to a user."""
    settings = (
        f"SET memweld.user_id = '{user}'",
        f"SET memweld.agent_id = '{agent}'",
        "SET search_path = memweld, public",
    )
    return run(url, *settings, *statements)


def test_raw_sql_sees_the_rows_of_its_user_alone(secured: str) -> None:
    fill(secured)
    owners = "SELECT DISTINCT user_id, agent_id FROM owners ORDER BY 1, 2"
    assert bound(secured, "ana", owners) == [("ana", ""), ("ana", "r")]
    assert bound(secured, "bob", owners) == [("bob", "")]
    assert bound(secured, "", owners, agent="r") == [("", "r")]
    counts = "SELECT " + ", ".join(f"(SELECT count(*) FROM {table})" for table in TABLES if table not in HIDDEN)
    assert bound(secured, "ana", counts) == [(2, 6, 2, 0, 2, 2, 2)]
    assert bound(secured, "bob", counts) == [(1, 3, 1, 0, 1, 1, 1)]
    for nobody in ("", "eve"):
        assert bound(secured, nobody, counts) == [(0, 0, 0, 0, 0, 0, 0)]
    # A session that was never bound.
    assert run(secured, "SELECT count(*) FROM memweld.items") == [(0,)]


def test_raw_sql_changes_no_others_rows(secured: str) -> None:
    fill(secured)
    (bobs,) = bound(secured, "bob", "SELECT id FROM owners")
    (item,) = bound(secured, "bob", "SELECT min(seq) FROM items")
    (own,) = bound(secured, "ana", "SELECT min(id) FROM owners")
    for table in ("recalls", "items", "state", "sessions", "messages", "entities"):
        bound(secured, "ana", f"DELETE FROM {table}")
    bound(secured, "ana", "UPDATE owners SET version = 0")
    for statement in (
        f"INSERT INTO state (owner, namespace, key, value, version, created_at, updated_at) "
        f"VALUES ({bobs[0]}, 'n', 'x', '1', 1, '', '')",
        f"INSERT INTO sessions (owner, session_id, messages, started_at, updated_at) "
        f"VALUES ({bobs[0]}, 'x', 0, '', '')",
        # His counts would meet a row that he does not see.
        f"INSERT INTO recalls (item, owner, times, recalled_at) VALUES ({item[0]}, {own[0]}, 9, 0)",
        "INSERT INTO owners (user_id, agent_id, root) VALUES ('bob', 'x', 1)",
        "UPDATE owners SET user_id = 'bob', agent_id = 'stolen'",
        "DELETE FROM meta",
        "UPDATE meta SET value = 'x'",
        "TRUNCATE items CASCADE",
        "ALTER TABLE items DISABLE ROW LEVEL SECURITY",
        "DROP POLICY items_of_user ON items",
    ):
        with pytest.raises(psycopg.Error):
            bound(secured, "ana", statement)
    with connect(secured, embedder=HashEmbedder()) as backend:
        bob = backend.user("bob")
        assert [item.text for item in bob.all(kinds="item")] == ["a secret"]
        assert (bob.preferences.get("theme"), bob.state("n")["k"], len(bob.history("s").messages())) == ("dark", 1, 1)
        assert backend.user("ana").all() == []


def test_a_signed_binding_cannot_be_made_by_raw_sql(url: str, secured: str) -> None:
    """With a key, a client that sends any SQL still sees only the rows that the transaction is bound to."""
    result = CliRunner().invoke(app, ["migrate", "--url", url, "--role", "app", "--signed"])
    key = result.output.split("binding_key=")[1].strip()
    fill(f"{secured}&binding_key={key}")
    with connect(f"{secured}&binding_key={key}", embedder=HashEmbedder()) as backend:
        assert [hit.text for hit in backend.user("ana").search("secret", kinds="item")] == ["a secret"] * 2
        database = backend._engine._database  # type: ignore[attr-defined]
        with database.reading(Scope(user_id="ana")) as connection:
            # SQL of somebody else, in the middle of a transaction for ana.
            assert connection.execute("SELECT count(*) FROM items").fetchone() == (6,)
            connection.execute("SELECT set_config('memweld.user_id', 'bob', true)")
            assert connection.execute("SELECT count(*) FROM items").fetchone() == (0,)
    assert bound(secured, "ana", "SELECT count(*) FROM items") == [(0,)]
    forged = proof(b"mine", "bob", "")
    own = "CREATE TEMP TABLE binding (key bytea)", "INSERT INTO pg_temp.binding VALUES ('mine')"
    assert bound(secured, "bob", *own, f"SET memweld.proof = '{forged}'", "SELECT count(*) FROM items") == [(0,)]
    for statement in ("SELECT * FROM binding", "DELETE FROM binding", "INSERT INTO binding VALUES ('x')"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            bound(secured, "ana", statement)
    with connect(secured, embedder=HashEmbedder()) as backend:
        for call in (backend.user("ana").all, lambda: backend.user("ana").add("without the key")):
            with pytest.raises(ConfigurationError, match="has no binding_key"):
                call()


def test_what_is_not_secured_is_refused(url: str, secured: str) -> None:
    """rls=1 as the owner, a superuser, would promise what is not so."""
    with (
        connect(f"{url}?rls=1") as backend,
        pytest.raises(ConfigurationError, match="row-level security is not in force"),
    ):
        backend.user("ana").all()
    result = CliRunner().invoke(app, ["migrate", "--url", url, "--role", "postgres"])
    assert (result.exit_code, "superuser" in result.output, "CREATE ROLE postgres" in result.output) == (1, True, False)
    result = CliRunner().invoke(app, ["migrate", "--url", url, "--role", "nobody"])
    assert (result.exit_code, "does not exist" in result.output) == (1, True)


def test_an_id_of_another_user_is_free(secured: str) -> None:
    """Also where the role cannot see the other user's row: nothing tells that it exists."""
    with connect(secured, embedder=HashEmbedder()) as backend:
        (item,) = backend.user("ana").add("I love tea")
        export = backend.user("ana").export()
        assert backend.user("bob").restore({**export, "user_id": "bob"})["items"] == 1
        (restored,) = backend.user("bob").all()
        assert (restored.text, restored.id) == ("I love tea", item.id)
        backend.user("bob").update(item.id, "I love gin")
        assert [hit.text for hit in backend.user("bob").search("gin")] == ["I love gin"]
        backend.user("bob").delete(item.id)
        assert backend.user("ana").get(item.id).text == "I love tea"


def test_a_graph_needs_a_role_that_sees_all_users(secured: str) -> None:
    """Writing is refused in one line that says what to do; reading goes on."""
    with connect(secured, embedder=HashEmbedder()) as backend:
        backend.user("ana").add("My sister Clara works at Acme")
    with connect(secured, embedder=HashEmbedder(), graph="neo4j://127.0.0.1:9") as backend:
        ana = backend.user("ana")
        for call in (lambda: ana.add("Clara likes tea"), lambda: ana.related("Clara"), ana.clear):
            with pytest.raises(ConfigurationError, match=r"row-level security .* sees all \(the owner of the tables\)"):
                call()
        assert [hit.text for hit in ana.search("Clara")] == ["My sister Clara works at Acme"]
