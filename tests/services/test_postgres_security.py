"""Powers of others in the database: planted functions, the wrong key, the owner of the tables, and a role.

The tables belong to a plain role here, as on most servers, and not to a superuser.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from servers import PostgresServer
from typer.testing import CliRunner

import memweld
from memweld import Backend, ConfigurationError
from memweld.cli import app
from memweld.engine.postgres.connection import PostgresConnection
from memweld.engine.postgres.transactions import PostgresDatabase
from memweld.scope import Scope
from memweld.testing import HashEmbedder
from memweld.transfer import copy

pytestmark = pytest.mark.services


class Place(NamedTuple):
    """One database, as its roles reach it."""

    superuser: str
    owner: str
    unkeyed: str
    key: str

    @property
    def member(self) -> str:
        """The URL of the application."""
        return f"{self.unkeyed}&binding_key={self.key}"


def run(url: str, *statements: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url.partition("?")[0], autocommit=True) as connection:
        cursor = [connection.execute(statement.encode()) for statement in statements][-1]
        return cursor.fetchall() if cursor.description else []


def migrated(url: str, *options: str) -> str:
    result = CliRunner().invoke(app, ["migrate", "--url", url, *options])
    assert result.exit_code == 0, result.output
    return result.output.partition("binding_key=")[2].strip()


def connect(url: str) -> Backend:
    return memweld.connect(url, embedder=HashEmbedder())


@pytest.fixture
def bare(postgres: PostgresServer) -> Iterator[Place]:
    """A database with two roles, and without tables."""
    url = postgres.make_database()
    run(url, "CREATE ROLE holder LOGIN", "CREATE ROLE member LOGIN", "CREATE EXTENSION vector")
    run(url, f"ALTER DATABASE {url.rpartition('/')[2]} OWNER TO holder")
    owner, member = (url.replace("postgres@", f"{role}@") for role in ("holder", "member"))
    yield Place(url, owner, f"{member}?rls=1", "")
    run(url, "DROP OWNED BY member, holder CASCADE", f"ALTER DATABASE {url.rpartition('/')[2]} OWNER TO postgres")
    run(url, "DROP ROLE member, holder")


@pytest.fixture
def place(bare: Place) -> Place:
    """With tables under row-level security, signed."""
    return bare._replace(key=migrated(bare.owner, "--role", "member", "--signed"))


def fill(url: str) -> None:
    with connect(url) as backend:
        for user in ("ana", "bob"):
            memory = backend.user(user)
            memory.add(f"a secret of {user}")
            memory.state("n")["k"] = user
            memory.history("s").append("hello")


def calls_of(memory: memweld.Memory) -> dict[str, Callable[[], object]]:
    return {
        "all": memory.all,
        "search": lambda: memory.search("secret"),
        "get": lambda: memory.get("01"),
        "state": lambda: memory.state("n").get("k"),
        "keys": lambda: memory.state("n").list_keys(),
        "messages": memory.history("s").messages,
        "sessions": memory.sessions,
        "export": memory.export,
        "erase": memory.erase,
        "clear": memory.clear,
        "add": lambda: memory.add("more"),
    }


def test_pages_go_on_in_another_process_and_the_owner_lists_users(place: Place) -> None:
    """The role of the application makes the key of the cursors, and each process reads it."""
    texts = [f"fact {number}" for number in range(5)]
    with connect(place.member) as first:
        first.user("ana").add([{"role": "user", "content": text} for text in texts])
        page = first.user("ana").all(limit=2)
        for item in page:
            first.user("ana").delete(item.id)
    with connect(place.member) as second:
        assert [item.text for item in second.user("ana").all(limit=9, cursor=page.next)] == texts[2:]
        with pytest.raises(memweld.MemoryNotFoundError):
            second.user("bob").all(cursor=page.next)
        with pytest.raises(memweld.ConfigurationError, match="sees one user at a time"):
            second.users()
    with connect(place.owner) as owner:
        assert owner.users() == ["ana"]
        assert owner.user("ana").counts()["items"] == 3


# what others plant


def test_functions_in_a_shared_schema_are_never_called(place: Place) -> None:
    """Where everybody may create in `public`, nobody's overloads are taken for Postgres's own by ours."""
    fill(place.member)
    run(place.superuser, "GRANT CREATE ON SCHEMA public TO PUBLIC")
    run(
        place.unkeyed,
        "CREATE TABLE public.loot (said text)",
        "GRANT ALL ON public.loot TO PUBLIC",
        *(
            f"CREATE FUNCTION public.{name} LANGUAGE plpgsql AS $$ BEGIN "
            f"INSERT INTO public.loot SELECT '{name} ' || encode(key, 'hex') FROM memweld.binding; {result} END $$"
            for name, result in (
                ("convert_to(text, text) RETURNS bytea", "RETURN '';"),
                ("encode(bytea, varchar) RETURNS text", "RETURN '';"),
                ("format(text, integer, integer) RETURNS text", "RETURN 'SELECT 1';"),
                ("substring(text, varchar) RETURNS text", "RETURN '1';"),
                ("vector_dims(text) RETURNS integer", "RETURN 1;"),
                ("pg_advisory_xact_lock(integer) RETURNS void", "RETURN;"),
                ("to_tsvector(text, text) RETURNS tsvector", "RETURN '';"),
            )
        ),
    )
    run(place.unkeyed, "SELECT memweld.is_bound()")
    fill(place.member)
    with connect(place.owner) as backend:
        backend.user("ana").search("secret")
        backend.admin.purge_expired()
        migrated(place.owner, "--role", "member", "--signed")
    migrated(f"{place.owner}?schema=another")
    fill(f"{place.owner}?schema=another")
    assert run(place.superuser, "SELECT * FROM public.loot") == []


def test_definer_functions_look_in_pg_catalog_alone(place: Place) -> None:
    found = run(
        place.superuser,
        "SELECT proname, proconfig FROM pg_proc WHERE pronamespace = 'memweld'::regnamespace AND prosecdef ORDER BY 1",
    )
    assert [name for name, _ in found] == ["ended", "index_vectors", "is_bound"]
    assert all(config == ["search_path=pg_catalog, pg_temp"] for _, config in found)


def test_no_proof_is_seen_in_the_activity_of_the_server(place: Place) -> None:
    """A role sees the statements of its other sessions, and could use a proof again that stands in one."""
    fill(place.member)
    seen: set[str] = set()
    done = threading.Event()

    def look() -> None:
        with psycopg.connect(place.unkeyed.partition("?")[0], autocommit=True) as connection:
            while not done.is_set():
                rows = connection.execute("SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
                seen.update(row[0] for row in rows if row[0])

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    with connect(place.member) as backend:
        memory = backend.user("a-very-special-user")
        deadline = time.monotonic() + 60
        number = 0
        while number < 100 or not any("memweld.proof" in query for query in seen.copy()):
            assert time.monotonic() < deadline, "it looked too seldom"
            number += 1
            memory.state("n")["k"] = number
            memory.state("n").get("k")
    done.set()
    watcher.join()
    assert not [query for query in seen if "a-very-special-user" in query and "set_config" in query]


# hidden rows are not an empty memory


@pytest.mark.parametrize("wrong", ["", f"&binding_key={'ab' * 32}"], ids=["no key", "another key"])
def test_a_wrong_key_is_an_error(place: Place, wrong: str, tmp_path: Path) -> None:
    fill(place.member)
    with connect(place.unkeyed + wrong) as backend:
        for name, call in calls_of(backend.user("ana")).items():
            with pytest.raises(ConfigurationError, match="binding_key that `memweld migrate --signed` showed last"):
                pytest.fail(f"{name}: {call()!r}")
        with pytest.raises(ConfigurationError):
            backend.admin.purge_expired()
    for command in (["erase", "--yes"], ["export", "--output", str(tmp_path / "out.json")]):
        result = CliRunner().invoke(app, [command[0], "--user", "ana", "--url", place.unkeyed + wrong, *command[1:]])
        assert result.exit_code == 1, result.output
        assert "binding_key" in result.output
        assert "Erased" not in result.output
        assert not list(tmp_path.iterdir())
    assert run(place.superuser, "SELECT count(*) FROM memweld.items") == [(2,)]
    result = CliRunner().invoke(app, ["doctor", "--url", place.unkeyed + wrong])
    assert (result.exit_code, "no user's rows can be seen" in result.output) == (1, True), result.output


def test_a_key_that_is_made_anew(place: Place) -> None:
    """The next call tells a process that has the earlier key, however long it runs."""
    fill(place.member)
    with connect(place.member) as backend:
        ana = backend.user("ana")
        assert len(ana.all()) == 1
        key = migrated(place.owner, "--role", "member", "--signed")
        for name, call in calls_of(ana).items():
            with pytest.raises(ConfigurationError, match="present binding_key"):
                pytest.fail(f"{name}: {call()!r}")
    with connect(place._replace(key=key).member) as backend:
        assert [hit.text for hit in backend.user("ana").search("secret")] == ["a secret of ana"]
    result = CliRunner().invoke(app, ["doctor", "--url", place._replace(key=key).member])
    assert (result.exit_code, "with the present binding_key" in result.output) == (0, True), result.output


def test_policies_that_come_into_force_meanwhile(bare: Place) -> None:
    """The check counts when a transaction begins, not when the database was opened."""
    migrated(bare.owner)
    rights = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA memweld TO member"
    run(bare.owner, "GRANT USAGE ON SCHEMA memweld TO member", rights, "REVOKE ALL ON memweld.binding FROM member")
    plain = bare.unkeyed.partition("?")[0]
    fill(plain)
    with connect(plain) as backend:
        assert len(backend.user("ana").all()) == 1
        migrated(bare.owner, "--role", "member")
        with pytest.raises(ConfigurationError, match="the list of users is for all"):
            list(copy(backend, memweld.connect("sqlite://"), everybody=True))
        migrated(bare.owner, "--signed")
        with pytest.raises(ConfigurationError, match="has no binding_key"):
            backend.user("ana").erase()
        with pytest.raises(ConfigurationError):
            list(copy(backend, memweld.connect("sqlite://"), everybody=True))


def test_policies_come_into_force_behind_an_open_write(bare: Place) -> None:
    """It locks its tables in another order: the migration waits for it with none of them locked."""
    with connect(bare.owner) as backend, ThreadPoolExecutor(1) as thread:
        backend.user("ana").history("s").append("hello")
        with backend._engine._database.writing(Scope("ana")) as connection:  # type: ignore[attr-defined]
            connection.execute("SELECT count(*) FROM messages")
            migration = thread.submit(migrated, bare.owner, "--role", "member")
            deadline = time.monotonic() + 60
            while run(bare.superuser, "SELECT count(*) FROM pg_locks WHERE NOT granted") == [(0,)]:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            for table in ("sessions", "items", "owners", "meta"):
                connection.execute(f"SELECT count(*) FROM {table}")
        migration.result(60)
    with connect(bare.unkeyed) as backend:
        assert len(backend.user("ana").history("s").messages()) == 1


def test_a_copy_of_everybody_needs_to_see_everybody(place: Place) -> None:
    fill(place.member)
    with memweld.connect("sqlite://") as target:
        with (
            connect(place.member) as backend,
            pytest.raises(ConfigurationError, match="the list of users is for all: use the URL of the owner"),
        ):
            list(copy(backend, target, everybody=True))
        with connect(place.owner) as backend:
            assert [report.equal for report in copy(backend, target, everybody=True)] == [True, True]


# the owner of the tables


def test_the_owner_sees_all_users(place: Place) -> None:
    """Without the key and without BYPASSRLS; and is not taken for somebody under row-level security."""
    fill(place.member)
    with connect(place.owner) as backend:
        assert [item.text for item in backend.user("ana").all()] == ["a secret of ana"]
        backend.user("ana").state("n").set("short", 1, ttl=0.01)
        time.sleep(0.05)
        assert backend.admin.purge_expired() == 1
    with memweld.connect(place.owner) as backend:
        assert backend.admin.reindex() == 2
    with connect(f"{place.owner}?rls=1") as backend, pytest.raises(ConfigurationError, match="neither their owner"):
        backend.user("ana").all()
    result = CliRunner().invoke(app, ["migrate", "--url", place.owner, "--role", "holder"])
    assert (result.exit_code, "owns the tables" in result.output) == (1, True)


def test_expired_values_of_those_who_never_come_back(place: Place) -> None:
    """The application's role deletes them, though it sees one user at a time; others learn nothing from it."""
    with connect(place.member) as backend:
        # No write of the test takes along what has expired.
        backend._engine.values.purging.seconds = float("inf")  # type: ignore[attr-defined]
        for user in ("ana", "bob"):
            backend.user(user).state("n").set("ends", 1, ttl=0.01, text=f"a text of {user}")
            backend.user(user).state("n").set("stays", 1, ttl=9_000)
        backend.agent("r").state("n").set("ends", 1, ttl=0.01)
        backend.user("cleo").add("a fact of cleo", ttl=0.01)
        time.sleep(0.05)
        listing = "SELECT count(*) FROM memweld.ended('infinity', 10)"
        for settings in ((), ("SET memweld.user_id = 'ana'",), ("SET memweld.proof = 'x'",)):
            assert run(place.unkeyed, *settings, listing) == [(0,)]
        run(place.superuser, "CREATE ROLE stranger LOGIN", "GRANT USAGE ON SCHEMA memweld TO stranger")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(place.superuser.replace("postgres@", "stranger@"), listing)
        run(place.superuser, "DROP OWNED BY stranger", "DROP ROLE stranger")
        assert backend.admin.purge_expired() == 4
        assert backend.admin.purge_expired() == 0
    assert run(place.superuser, "SELECT DISTINCT key FROM memweld.state") == [("stays",)]
    assert run(place.superuser, "SELECT count(*) FROM memweld.items") == [(0,)]


# what is made by whom


def test_the_first_use_under_row_level_security_makes_no_tables(bare: Place) -> None:
    """The role that makes the tables owns them, and no policy applies to an owner."""
    with connect(f"{bare.owner}?rls=1") as backend, pytest.raises(ConfigurationError, match="memweld migrate --role"):
        backend.user("ana").all()
    assert run(bare.superuser, "SELECT to_regnamespace('memweld')") == [(None,)]


def test_pgvector_that_the_role_may_not_make(bare: Place) -> None:
    """The doctor says so before anything fails, and does not send anybody to install what is installed."""
    run(bare.superuser, "DROP EXTENSION vector")
    result = CliRunner().invoke(app, ["doctor", "--url", bare.owner])
    assert result.exit_code == 1
    assert "this role may not make it: run `CREATE EXTENSION vector` there as a superuser" in result.output
    for command in (["migrate"], ["add", "fact", "--user", "ana"]):
        result = CliRunner().invoke(app, [*command, "--url", bare.owner])
        assert "CREATE EXTENSION vector" in result.output
        assert "install" not in result.output
    result = CliRunner().invoke(app, ["doctor", "--url", bare.superuser])
    assert (result.exit_code, "ready for this database" in result.output) == (0, True), result.output


def test_tables_that_the_role_may_not_make(bare: Place) -> None:
    result = CliRunner().invoke(app, ["doctor", "--url", bare.unkeyed.partition("?")[0]])
    assert (result.exit_code, "this role may not make it" in result.output) == (1, True), result.output
    result = CliRunner().invoke(app, ["migrate", "--url", bare.unkeyed.partition("?")[0]])
    assert (result.exit_code, "with the URL of the owner" in result.output) == (1, True), result.output


# state under long keys


def test_long_namespaces_and_keys(place: Place) -> None:
    """Characters of four bytes that nothing compresses: 512 of them in each, in order, by prefix, and copied."""
    import random

    pick = random.Random(2)
    word = lambda length: "".join(chr(pick.randint(0x20000, 0x2A000)) for _ in range(length))  # noqa: E731
    namespace, start = word(512), word(300)
    keys = sorted(start + word(212) for _ in range(20))
    with memweld.connect("sqlite://") as source, connect(place.member) as target:
        for user in ("ana", "bob", "zoe"):
            state = source.user(user).state(namespace if user == "bob" else "n")
            for number, key in enumerate(keys):
                state.set(key, number)
        assert [report.equal for report in copy(source, target, everybody=True)] == [True] * 3
        state, values = target.user("bob").state(namespace), target.user("bob").values
        state.set(keys[0], "again")
        assert state.list_keys() == keys
        assert [entry.key for entry in state.entries(start)] == keys
        assert [entry.key for entry in state.entries(keys[4][:400])] == [keys[4]]
        assert [entry.value for entry in values.find(namespace)][:2] == ["again", 1]
        assert [entry.value for entry in values.find()][:2] == ["again", 1]
        assert [entry and entry.value for entry in values.read([(namespace, keys[3]), ("n", keys[3])])] == [3, None]
        assert state.delete(keys[1])
        assert len(state.list_keys()) == 19


def test_texts_under_long_namespaces_and_keys(place: Place) -> None:
    """Each has a memory item whose key is both of them, found by its namespace alone."""
    import random

    pick = random.Random(3)
    word = lambda length: "".join(chr(pick.randint(0x20000, 0x2A000)) for _ in range(length))  # noqa: E731
    start = word(511)
    spaces = [f"{start}a", f"{start}b", "n"]
    keys = sorted(word(512) for _ in range(3))
    with memweld.connect("sqlite://", embedder=HashEmbedder()) as source, connect(place.member) as target:
        for space in spaces:
            for number, key in enumerate(keys):
                source.user("ana").state(space).set(key, number, text=f"text {number}")
        assert [report.equal for report in copy(source, target, everybody=True)] == [True]
        ana = target.user("ana")
        for space in spaces:
            ana.state(space).set(keys[0], "again", text="another text")
            found = ana.search("text", limit=50, kinds="record", filters={"namespace": space})
            assert sorted(hit.text for hit in found) == ["another text", "text 1", "text 2"]
        assert ana.preferences.set("theme", "dark").id == ana.preferences.set("theme", "light").id
    # So few rows are read by any index: without the others it is seen which fit.
    with psycopg.connect(place.superuser) as connection:
        connection.execute("DROP INDEX memweld.items_of_owner, memweld.items_in_session")
        connection.execute("SET LOCAL ROLE member")
        connection.execute("SET LOCAL search_path = memweld, pg_temp")
        connection.execute("SET LOCAL enable_seqscan = off")
        for condition, values, index in (
            (f"owner = ? AND {PostgresDatabase.dialect.key_between}", (1, '["n",', '["n-'), "items_by_beginning"),
            (
                "owner = ? AND kind = ? AND key = ? AND superseded_by IS NULL",
                (1, "preference", "theme"),
                "items_by_key",
            ),
        ):
            plan = PostgresConnection(connection).execute(f"EXPLAIN SELECT seq FROM items WHERE {condition}", values)
            text = "\n".join(row[0] for row in plan)
            assert index in text, text
        connection.rollback()


def test_a_value_is_found_by_the_index(place: Place) -> None:
    """Under row-level security, too, which keeps an index from being asked about functions of a column."""
    with connect(place.member) as backend:
        state = backend.user("ana").state("n")
        for number in range(50):
            state[f"key {number}"] = number
        run(place.superuser, "ANALYZE memweld.state")
        database = backend._engine._database  # type: ignore[attr-defined]
        with database.reading(Scope("ana")) as connection:
            connection.execute("SET LOCAL enable_seqscan = off")
            for extra, place_of in ((" AND key = ?", ("n", "key 7")), (" ORDER BY key LIMIT 5", ("n",))):
                plan = connection.execute(
                    f"EXPLAIN SELECT value FROM state WHERE owner = 1 AND {database.dialect.in_namespace}{extra}",
                    place_of,
                )
                text = "\n".join(row[0] for row in plan)
                assert "state_once" in text, text
                assert "digest = " in text, text


# waiting


def test_users_do_not_wait_for_each_other(place: Place) -> None:
    """Another server holds the lock of one user: of a thousand others in this process nobody is held up."""
    from memweld.engine.postgres.transactions import lock_number

    with connect(place.owner) as backend, psycopg.connect(place.owner) as other:
        backend.user("held").state("n")["k"] = 0
        other.execute("SELECT pg_advisory_xact_lock(%s)", (lock_number("memweld", "held", ""),))
        waiting = threading.Thread(target=lambda: backend.user("held").state("n").set("k", 1))
        waiting.start()
        time.sleep(0.3)
        started = time.monotonic()
        for number in range(1_000):
            backend.user(f"user-{number}").state("n").get("k")
            # A turn as a write takes it, without the trips to the server.
            database = backend._engine._database  # type: ignore[attr-defined]
            turn = database._lock_of((f"user-{number}", ""))
            assert turn.lock.acquire(timeout=1), f"user-{number} waits for another"
            turn.lock.release()
        del turn
        assert len(database._locks) == 1, "nobody is remembered who does not write"
        backend.user("another").state("n")["k"] = 1
        assert time.monotonic() - started < 25
        other.rollback()
        waiting.join()
        assert backend.user("held").state("n")["k"] == 1


def test_a_write_does_not_wait_for_what_has_expired_of_others(place: Place) -> None:
    from memweld.engine.postgres.transactions import lock_number

    with connect(place.member) as backend, psycopg.connect(place.owner) as other:
        backend.user("held").state("n").set("ends", 1, ttl=0.01)
        time.sleep(0.05)
        other.execute("SELECT pg_advisory_xact_lock(%s)", (lock_number("memweld", "held", ""),))
        backend._engine.values.purging._purged = float("-inf")  # type: ignore[attr-defined]
        started = time.monotonic()
        backend.user("ana").state("n")["k"] = 1
        assert time.monotonic() - started < 15
        other.rollback()
        while run(place.superuser, "SELECT count(*) FROM memweld.state WHERE key = 'ends'") != [(0,)]:
            assert time.monotonic() - started < 60
            time.sleep(0.05)


# what a pool says


def test_an_outage_is_told_by_errors_of_ours_alone(postgres: PostgresServer) -> None:
    """A program without logging finds no lines of the pool on its stderr."""
    import subprocess
    import sys

    url = postgres.make_database()
    code = (
        "import sys, memweld, psycopg\n"
        "from memweld.testing import HashEmbedder\n"
        "backend = memweld.connect(sys.argv[1], embedder=HashEmbedder())\n"
        "state = backend.user('ana').state('n'); state['k'] = 1\n"
        "with psycopg.connect(sys.argv[2], autocommit=True) as admin:\n"
        "    name = sys.argv[1].rpartition('/')[2]\n"
        "    admin.execute(f'ALTER DATABASE {name} ALLOW_CONNECTIONS false')\n"
        "    end = 'SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s'\n"
        "    admin.execute(end, (name,))\n"
        "    try: state['k']\n"
        "    except memweld.MemweldError as error: print(type(error).__name__)\n"
        "    admin.execute(f'ALTER DATABASE {name} ALLOW_CONNECTIONS true')\n"
        "backend.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, url, postgres.url], capture_output=True, text=True, check=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("BackendUnavailableError\n", "")


def test_a_consolidation_stays_with_its_user(place: Place) -> None:
    """Under the policies too: it is done and undone whole, and another user's receipt changes nothing."""
    with connect(place.member) as backend:
        ana, bob = backend.user("ana"), backend.user("bob")
        cook = backend.user("ana", agent_id="cook")
        for memory in (ana, bob, cook):
            memory.add("I like tea", infer=False)
            memory.add("I do like tea!", infer=False)
        (coffee,) = bob.add("I like coffee", infer=False)
        for number in range(3):
            bob.update(coffee.id, f"I like {number} coffees")
        before = [memory.export()["items"] for memory in (ana, bob)]
        receipt = ana.consolidate(dry_run=False)
        assert [step.kind for step in receipt.done] == ["merge", "merge"]
        assert bob.export()["items"] == before[1]
        with pytest.raises(memweld.InvalidInputError, match="belongs to user ana"):
            bob.undo(receipt)
        forged = {name: part for name, part in receipt.to_dict().items() if name not in ("user_id", "agent_id")}
        assert bob.undo(forged).done == ()
        others = bob.consolidate(dry_run=False, keep_versions=1)
        assert [step.kind for step in others.done] == ["merge", "drop_versions"]
        assert (bob.undo(others).skipped, ana.undo(receipt).skipped) == ((), ())
        after = [memory.export()["items"] for memory in (ana, bob)]
    by_id = [[sorted(items, key=lambda item: item["id"]) for items in exports] for exports in (before, after)]
    assert by_id[0] == by_id[1]


def test_a_fact_changes_for_its_user_alone(place: Place) -> None:
    """The rule for relations, ``supersedes`` and ``keep_both`` reach no memory of another user, known by id or not."""
    with connect(place.member) as backend:
        ana, bob, agent = backend.user("ana"), backend.user("bob"), backend.user("ana", agent_id="guide")
        (theirs,) = bob.add("I live in Porto", infer=False)
        (kept,) = agent.add("The user lives in Porto", infer=False)
        (home,) = ana.add("I moved to Lisbon", infer=False)
        assert (bob.get(theirs.id).superseded_by, ana.get(kept.id).superseded_by) == (None, home.id)
        assert (home.conflicts, bob.conflicts(), agent.all()) == ((), [], [])
        calls: list[Callable[[], object]] = [
            lambda: ana.add("I live in Faro", supersedes=theirs.id, infer=False),
            lambda: ana.supersede(theirs.id, by=home.id),
            lambda: ana.keep_both(home.id, theirs.id),
            lambda: ana.versions(theirs.id),
        ]
        for call in calls:
            with pytest.raises(memweld.MemoryNotFoundError):
                call()
        assert [item.text for item in bob.all()] == ["I live in Porto"]
        assert [item.text for item in ana.all()] == ["I moved to Lisbon"]
        (faro,) = bob.add("I moved to Faro", infer=False)
        assert [version.text for version in bob.versions(faro.id)] == ["I live in Porto", "I moved to Faro"]
