"""A connection of the application's role in an attacker's hands: it is bound to one user, and reaches no other.

The attacker runs any SQL, knows the proof of their own binding, and not the key.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
import pytest
from typer.testing import CliRunner

import memweld
from memweld import Backend
from memweld.cli import app
from memweld.engine.postgres.rls import proof
from memweld.testing import HashEmbedder

pytestmark = pytest.mark.services

CANARY = "CANARY-4711"
TABLES = ("owners", "items", "entities", "state", "sessions", "messages", "outbox", "outbox_lease", "binding")


class Target(NamedTuple):
    """The URLs of the tables' owner and of the application, and the attacker's open connection."""

    owner: str
    application: str
    attacker: psycopg.Connection[Any]


def connect(url: str) -> Backend:
    return memweld.connect(url, embedder=HashEmbedder())


@pytest.fixture(scope="module")
def target(postgres: Any) -> Iterator[Target]:
    url = postgres.make_database()
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as superuser:
        for statement in ("CREATE ROLE holder2 LOGIN", "CREATE ROLE member2 LOGIN", "CREATE EXTENSION vector"):
            superuser.execute(statement)  # pyright: ignore[reportArgumentType]
        superuser.execute(f"ALTER DATABASE {name} OWNER TO holder2".encode())
    owner, member = (url.replace("postgres@", f"{role}@") for role in ("holder2", "member2"))
    result = CliRunner().invoke(app, ["migrate", "--url", owner, "--role", "member2", "--signed"])
    key = result.output.partition("binding_key=")[2].strip()
    application = f"{member}?rls=1&binding_key={key}"
    with connect(application) as backend:
        for user in ("bob", "mallory"):
            memory = backend.user(user)
            mark = CANARY if user == "bob" else "mine"
            memory.add(f"{mark} is a diagnosis", metadata={"note": mark})
            memory.state(f"n-{mark}")[f"k-{mark}"] = mark
            memory.preferences.set(f"p-{mark}", mark)
            memory.history(f"s-{mark}").append({"role": "user", "content": mark, "id": f"m-{mark}"})
            backend.user(user, agent_id=f"agent-{mark}").add(f"{mark} of an agent")
    with psycopg.connect(member) as attacker:
        attacker.execute("SELECT set_config('search_path', 'memweld', false)")
        attacker.execute("SELECT set_config('memweld.user_id', 'mallory', false)")
        attacker.execute("SELECT set_config('memweld.agent_id', '', false)")
        attacker.execute("SELECT set_config('memweld.proof', %s, false)", (proof(bytes.fromhex(key), "mallory", ""),))
        attacker.commit()
        yield Target(owner, application, attacker)
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute("DROP OWNED BY member2, holder2 CASCADE")
        superuser.execute(f"ALTER DATABASE {name} OWNER TO postgres".encode())
        superuser.execute("DROP ROLE member2, holder2")


def attempt(target: Target, *statements: str) -> str:
    """All that the statements answer, errors included; undone at once."""
    seen: list[str] = []
    try:
        for statement in statements:
            cursor = target.attacker.execute(statement.encode())
            seen += map(str, cursor.fetchall()) if cursor.description else [f"{cursor.rowcount} rows"]
    except psycopg.Error as error:
        seen += [str(error), str(error.diag.message_detail), str(error.diag.context)]
    finally:
        target.attacker.rollback()
    return "\n".join(seen)


def keep(target: Target, statement: str) -> str | None:
    """Run a statement and keep what it does; its error."""
    try:
        target.attacker.execute(statement.encode())
    except psycopg.Error as error:
        target.attacker.rollback()
        return str(error)
    target.attacker.commit()
    return None


def test_the_attacker_reads_their_own(target: Target) -> None:
    assert "mine is a diagnosis" in attempt(target, "SELECT text FROM items")


READS = (
    *(f"SELECT * FROM {table}" for table in TABLES),
    *(f"TABLE {table}" for table in ("items", "state", "messages")),
    *(f"SELECT row_to_json({table}) FROM {table}" for table in ("items", "state", "sessions")),
    "SELECT string_agg(i.text, ',') FROM items i FULL JOIN owners o ON true",
    "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM items WHERE text LIKE 'CAN%'",
    "SELECT * FROM pg_stats WHERE schemaname = 'memweld'",
    "SELECT * FROM pg_statistic",
    "SELECT query FROM pg_stat_activity",
    "SELECT * FROM pg_prepared_statements",
    "SELECT lo_get(oid) FROM pg_largeobject_metadata",
    "SELECT * FROM ended(1e12, 100)",
    "SELECT query_to_xml('SELECT * FROM items', true, true, '')",
    "SELECT schema_to_xml('memweld', true, true, '')",
    "SELECT database_to_xml(true, true, '')",
    "SELECT ts_stat('SELECT words FROM memweld.items')",
    "SELECT pg_read_file('postgresql.conf')",
    "WITH gone AS (DELETE FROM items RETURNING *) SELECT * FROM gone",
    "WITH kept AS (UPDATE state SET value = value RETURNING *) SELECT * FROM kept",
    "UPDATE messages SET content = content RETURNING *",
    "MERGE INTO items USING owners ON true WHEN MATCHED THEN UPDATE SET name = items.text",
)
ESCAPES = (
    "SET row_security = off",
    "SET memweld.user_id = 'bob'",
    "SELECT set_config('memweld.user_id', 'bob', false)",
    "SET memweld.user_id = ''",
    "SET SESSION AUTHORIZATION holder2",
    "SET ROLE holder2",
    "SET session_replication_role = replica",
    "ALTER TABLE memweld.items DISABLE ROW LEVEL SECURITY",
    "DROP POLICY items_of_user ON memweld.items",
    "CREATE POLICY open ON memweld.items USING (true)",
    "ALTER ROLE member2 BYPASSRLS",
    "GRANT holder2 TO member2",
    "GRANT SELECT ON memweld.binding TO member2",
    "CREATE FUNCTION memweld.is_bound() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "CREATE OR REPLACE FUNCTION memweld.is_bound() RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true'",
    "CREATE FUNCTION pg_temp.is_bound() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "CREATE FUNCTION pg_temp.current_setting(text, boolean) RETURNS text LANGUAGE sql AS $$ SELECT 'bob' $$",
    "SET search_path = pg_temp, memweld, pg_catalog",
    "CREATE TEMP TABLE owners AS SELECT generate_series(1, 99)::bigint AS id, 'mallory'::text AS user_id, 0 AS root",
    "CREATE TEMP TABLE binding (key bytea)",
    "CREATE FUNCTION pg_temp.peek(held text) RETURNS boolean COST 0.0000001 LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE NOTICE '%', held; RETURN true; END $$",
    "PREPARE loot AS SELECT * FROM memweld.items",
    "LISTEN memweld",
)


@pytest.mark.parametrize("escape", [None, *ESCAPES])
def test_no_sql_reads_another_user(target: Target, escape: str | None) -> None:
    notices: list[str] = []
    target.attacker.add_notice_handler(lambda notice: notices.append(str(notice.message_primary)))
    for read in (*READS, "SELECT * FROM memweld.items WHERE pg_temp.peek(text)", "EXECUTE loot"):
        answer = attempt(target, *([] if escape is None else [escape]), read)
        assert CANARY not in answer, f"{escape}; {read}: {answer}"
        assert "diagnosis" not in answer.replace("mine is a diagnosis", ""), f"{escape}; {read}"
    assert CANARY not in "\n".join(notices)


def ids(target: Target) -> tuple[int, int, int]:
    """Bob's owner, bob's session, and mallory's owner, as the owner of the tables sees them."""
    with psycopg.connect(target.owner) as owner:
        rows = owner.execute(
            "SELECT (SELECT id FROM memweld.owners WHERE user_id = 'bob' AND agent_id = ''), (SELECT min(s.id) FROM "
            "memweld.sessions s JOIN memweld.owners o ON o.id = s.owner WHERE o.user_id = 'bob'), (SELECT id FROM "
            "memweld.owners WHERE user_id = 'mallory' AND agent_id = '')"
        ).fetchone()
    assert rows is not None
    return rows


ITEM = (
    "INSERT INTO items (id, owner, root, stamp, kind, text, hash, metadata, extraction, created_at, updated_at, vector)"
    " SELECT 'planted', {owner}, {root}, 99, kind, 'PLANTED', 'x', metadata, extraction, created_at, updated_at, vector"
    " FROM items LIMIT 1"
)
WRITES = (
    ITEM.format(owner="{mallory}", root="{bob}"),
    ITEM.format(owner="{bob}", root="{bob}"),
    ITEM.format(owner="{bob}", root="{mallory}"),
    "UPDATE items SET root = {bob}",
    "UPDATE items SET owner = {bob}, root = {bob}",
    "UPDATE owners SET root = {bob}",
    "UPDATE owners SET user_id = 'bob'",
    "UPDATE owners SET user_id = 'bob', agent_id = 'agent-x'",
    "INSERT INTO owners (user_id, agent_id, root) VALUES ('mallory', 'other', {bob})",
    "INSERT INTO owners (user_id, agent_id, root) VALUES ('bob', 'other', {bob})",
    "INSERT INTO owners (id, user_id, agent_id, root) OVERRIDING SYSTEM VALUE VALUES (9999, 'mallory', 'y', 0)",
    "INSERT INTO items OVERRIDING SYSTEM VALUE SELECT * FROM items LIMIT 1",
    "UPDATE state SET owner = {bob}",
    "UPDATE sessions SET owner = {bob}",
    "UPDATE messages SET session = {session}",
    "INSERT INTO messages (session, id, role, content, created_at) VALUES ({session}, 'm', 'user', '\"x\"', 'now')",
    "INSERT INTO outbox (target, item, owner, made_at) VALUES ('graph', 'x', {bob}, 1)",
    "DELETE FROM owners WHERE user_id = 'bob'; INSERT INTO outbox_lease DEFAULT VALUES",
    "TRUNCATE items",
    "UPDATE meta SET value = 'x'",
    "INSERT INTO meta VALUES ('graph', 'x')",
    "INSERT INTO meta VALUES ('revision', 'x')",
    "DELETE FROM meta",
    "SELECT setval('items_seq_seq', 1)",
    "SELECT setval('owners_id_seq', 1)",
    "DROP TABLE messages",
    "CREATE TRIGGER t BEFORE INSERT ON items EXECUTE FUNCTION item_to_outbox()",
    "CREATE TABLE memweld.loot (a int)",
)


@pytest.mark.parametrize("statement", WRITES)
def test_no_sql_writes_for_another_user(target: Target, statement: str) -> None:
    bob, session, mallory = ids(target)
    with connect(target.owner) as backend:
        before = backend.user("bob").export()
    error = keep(target, statement.format(bob=bob, session=session, mallory=mallory))
    assert error is not None, "it is refused"
    assert CANARY not in error
    with connect(target.owner) as backend:
        after = backend.user("bob").export()
        assert {**after, "exported_at": None} == {**before, "exported_at": None}
        assert "PLANTED" not in str([item.text for item in backend.user("bob").all()])


def test_the_role_chooses_nothing_for_later_connections(target: Target) -> None:
    """A role may change the defaults of its own sessions; memweld's transactions set what they need."""
    settings = ("search_path = pg_temp, public", "default_transaction_isolation = serializable")
    try:
        for setting in settings:
            assert keep(target, f"ALTER ROLE member2 SET {setting}") is None
        with connect(target.application) as backend:
            assert next(item.text for item in backend.user("bob").search("diagnosis")).startswith(CANARY)
            assert CANARY not in str(backend.user("mallory").export())
    finally:
        assert keep(target, "ALTER ROLE member2 RESET ALL") is None
