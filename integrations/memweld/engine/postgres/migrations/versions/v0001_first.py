"""The first schema: the tables of every database, and what only Postgres has.

The search path of a migration names our schema alone. Objects in ``public``, where on many servers anybody may create
functions, so take no part in what is created here. A function that runs with its owner's rights names every schema: an
overload elsewhere in the path that fits an argument better would run with those rights.
"""

from __future__ import annotations

from typing import cast

from alembic import op
from typing_extensions import LiteralString

from memweld.engine.postgres.connection import RawConnection
from memweld.engine.sql.schema import ColumnTypes, tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create tables, functions, triggers and policies."""
    connection = cast("RawConnection", op.get_bind().connection.dbapi_connection)
    schema, home = connection.execute(
        "SELECT quote_ident(current_schema()), quote_ident(n.nspname) FROM pg_extension AS e "
        "JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"
    ).fetchone() or ("", "")
    scripts = (_tables(home), _columns(schema), _FUNCTIONS, _TRIGGERS, _vector_index(schema, home))
    for script in (*scripts, _binding(schema), _expired_owners(schema), _roots(schema), _POLICIES, *_unsampled()):
        connection.execute(cast("LiteralString", script))


def _tables(home: str) -> str:
    # Texts are compared byte by byte, as SQLite does, whatever the database's own collation.
    identity = "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    return tables(
        ColumnTypes(
            identity=identity,
            serial=identity,
            integer="bigint",
            real="double precision",
            text='text COLLATE "C"',
            blob="bytea",
            vector=f"{home}.vector",
        )
    )


def _columns(schema: str) -> str:
    """Columns that serve Postgres's indexes.

    wide
        The user has so many memories that the vectors are in the HNSW index. It holds no other vectors, because
        each insert into it takes milliseconds.
    words
        Finds candidates among very many memories. It covers the beginning of a text: a tsvector holds 1 MB at most.
    digest
        A B-tree entry has 2,704 bytes at most, and a name of 512 characters up to 2,048. The digest stands for the
        namespace, so that keys stay in order within theirs. ``in_namespace`` compares, and the planner sees through it.
        The digest is a column and no expression: row-level security lets an index look for no function of a column.
    beginning
        The same for items of state values, whose keys hold a namespace and a key. Such a key is unique because its
        place in ``state`` is. Other keys have 512 characters at most.
    """
    return f"""
ALTER TABLE owners SET (fillfactor = 80);
ALTER TABLE state SET (fillfactor = 80);
ALTER TABLE sessions SET (fillfactor = 80);
ALTER TABLE owners ADD COLUMN wide boolean NOT NULL DEFAULT false;

ALTER TABLE items
    ADD COLUMN wide boolean NOT NULL DEFAULT false,
    ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector('english', left(text, 100000))) STORED,
    ADD COLUMN beginning text COLLATE "C"
        GENERATED ALWAYS AS (CASE WHEN kind = 'record' THEN left(key, 600) END) STORED;
CREATE INDEX items_by_words ON items USING gin (words);
CREATE INDEX items_in_session ON items (owner, session_id, seq) WHERE session_id IS NOT NULL;
CREATE INDEX items_by_beginning ON items (owner, beginning) WHERE beginning IS NOT NULL;
CREATE UNIQUE INDEX items_by_key ON items (owner, kind, key)
    WHERE key IS NOT NULL AND kind <> 'record' AND superseded_by IS NULL;

CREATE FUNCTION digest_of(name text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT pg_catalog.sha256(pg_catalog.convert_to(name, 'UTF8'::pg_catalog.name)) $$;
ALTER TABLE state ADD COLUMN digest bytea GENERATED ALWAYS AS ({schema}.digest_of(namespace)) STORED;
ALTER TABLE state ADD CONSTRAINT state_once UNIQUE (owner, digest, key);

CREATE FUNCTION in_namespace(digest bytea, held text, wanted text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT digest = {schema}.digest_of(wanted) AND held = wanted $$;

CREATE FUNCTION key_within(beginning text, held text, first text, behind text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
        SELECT beginning >= pg_catalog.left(first, 600) AND beginning <= pg_catalog.left(behind, 600)
            AND held >= first AND held < behind
    $$;
"""


# SQLite's functions, by its names, and those of postgres/conditions.py. jsonb compares numbers by value and tells true
# from 1; it refuses NUL, which a rare character replaces on both sides. A backslash before another escapes it.
_FUNCTIONS = r"""
CREATE FUNCTION seconds_of(held text) RETURNS double precision LANGUAGE sql STABLE STRICT PARALLEL SAFE
    AS $$ SELECT extract(epoch FROM held::timestamptz)::double precision $$;

CREATE FUNCTION instr(held text, wanted text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT strpos(held, wanted) > 0 $$;

CREATE FUNCTION json_of(held text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
        SELECT (CASE WHEN strpos(held, '\u0000') = 0 THEN held
            ELSE regexp_replace(held, '(?<!\\)((?:\\\\)*)\\u0000', U&'\\1\E000\F8FF\E000', 'g') END)::jsonb
    $$;

CREATE FUNCTION text_of(held jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT CASE jsonb_typeof(held) WHEN 'string' THEN held #>> '{}' END $$;

CREATE FUNCTION number_of(held jsonb) RETURNS numeric
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
        SELECT CASE jsonb_typeof(held)
            WHEN 'number' THEN held::numeric
            WHEN 'string' THEN CASE
                WHEN length(held #>> '{}') <= 100
                    AND held #>> '{}' ~* '^([+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,2})?|inf)|nan)$'
                THEN (held #>> '{}')::numeric END
            END
    $$;
"""

_TRIGGERS = """
CREATE FUNCTION item_is_wide() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.wide := (SELECT owners.wide FROM owners WHERE owners.id = NEW.root);
    RETURN NEW;
END
$$;
CREATE TRIGGER items_wide BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION item_is_wide();

CREATE FUNCTION forget_next_vector() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.next_vector := NULL;
    RETURN NEW;
END
$$;
CREATE TRIGGER items_next_vector BEFORE UPDATE OF text ON items FOR EACH ROW
    WHEN (NEW.next_vector IS NOT NULL AND NEW.text IS DISTINCT FROM OLD.text) EXECUTE FUNCTION forget_next_vector();
CREATE TRIGGER entities_next_vector BEFORE UPDATE OF payload ON entities FOR EACH ROW
    WHEN (NEW.next_vector IS NOT NULL AND NEW.payload IS DISTINCT FROM OLD.payload)
    EXECUTE FUNCTION forget_next_vector();

CREATE FUNCTION item_to_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(NEW.kind, OLD.kind) <> 'source'
        AND coalesce(NEW.changed_by, OLD.changed_by, '') NOT IN ('update', 'set')
        AND EXISTS (SELECT 1 FROM meta WHERE key = 'graph') THEN
        INSERT INTO outbox (target, item, owner, made_at)
            SELECT 'graph', coalesce(NEW.seq, OLD.seq), coalesce(NEW.owner, OLD.owner),
                floor(extract(epoch FROM now()));
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER items_outbox AFTER INSERT OR DELETE OR UPDATE OF text, kind, key, session_id, owner ON items
    FOR EACH ROW EXECUTE FUNCTION item_to_outbox();
"""


def _vector_index(schema: str, home: str) -> str:
    """The HNSW index, created empty when meta learns the embedder: it needs the number of dimensions.

    It leaves out vectors of another length, because it covers dead rows that an open transaction still sees. While
    meta names no number, there is no index. SECURITY DEFINER: the application's role need not own the table.
    """
    return rf"""
CREATE FUNCTION index_vectors() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dimensions integer := substring(NEW.value FROM '\((\d+) dimensions\)$');
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DROP INDEX IF EXISTS {schema}.items_by_vector;
    END IF;
    IF dimensions <= 2000 THEN
        EXECUTE format(
            'CREATE INDEX IF NOT EXISTS items_by_vector ON {schema}.items '
            'USING hnsw ((vector::{home}.vector(%s)) {home}.vector_cosine_ops) '
            'WHERE wide AND {home}.vector_dims(vector) = %s',
            dimensions, dimensions
        );
    END IF;
    RETURN NEW;
END
$$;
REVOKE EXECUTE ON FUNCTION index_vectors() FROM PUBLIC;
CREATE TRIGGER meta_embedder AFTER INSERT OR UPDATE ON meta FOR EACH ROW WHEN (NEW.key = 'embedder')
    EXECUTE FUNCTION index_vectors();
"""


def _binding(schema: str) -> str:
    """Whether the transaction's binding to a user counts.

    Where there is a key, a binding counts only with its proof: a client that has the connection but not the key cannot
    make one. These functions alone read the key, and they are their owner's.
    """
    return rf"""
CREATE TABLE binding (
    key bytea NOT NULL
);
REVOKE ALL ON binding FROM PUBLIC;

CREATE FUNCTION is_bound() RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(
        bool_and(
            encode(
                sha256(key || sha256(key || convert_to(
                    coalesce(current_setting('memweld.user_id', true), '') || E'\n'
                    || coalesce(current_setting('memweld.agent_id', true), ''), 'UTF8'::name
                ))),
                'hex'
            ) = current_setting('memweld.proof', true)
        ),
        NOT EXISTS (SELECT 1 FROM {schema}.binding)
    ) FROM {schema}.binding
$$;
"""


def _expired_owners(schema: str) -> str:
    """The users of whom something has expired, for a role under row-level security that sees only its own user.

    It answers a transaction that is bound to no user; where there is a key, the transaction must prove that.
    `memweld migrate --role` grants it.
    """
    return f"""
CREATE FUNCTION ended(at double precision, most bigint) RETURNS TABLE (user_id text, agent_id text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT roots.user_id, roots.agent_id FROM (
        SELECT state.owner, state.expires_at FROM {schema}.state AS state WHERE state.expires_at <= at
        UNION ALL
        SELECT items.owner, items.expires_at FROM {schema}.items AS items WHERE items.expires_at <= at
    ) AS expired
        JOIN {schema}.owners AS owners ON owners.id = expired.owner
        JOIN {schema}.owners AS roots ON roots.id = owners.root
    WHERE expired.expires_at <= extract(epoch FROM clock_timestamp())::double precision
        AND coalesce(current_setting('memweld.user_id', true), '') = ''
        AND coalesce(current_setting('memweld.agent_id', true), '') = ''
        AND (SELECT {schema}.is_bound())
    LIMIT most
$$;
REVOKE EXECUTE ON FUNCTION ended(double precision, bigint) FROM PUBLIC;
"""


def _roots(schema: str) -> str:
    """The root of an owner is a row of the same user. A policy on a table cannot look into the table itself.

    Otherwise a transaction of one user could hang its rows under another's, where the tables' owner finds them.
    """
    return f"""
CREATE FUNCTION check_root() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.root NOT IN (0, NEW.id) AND NOT EXISTS (
        SELECT 1 FROM {schema}.owners AS roots WHERE roots.id = NEW.root AND roots.user_id = NEW.user_id
            AND NEW.user_id <> '' AND roots.agent_id = ''
    ) THEN
        RAISE insufficient_privilege USING MESSAGE = 'the root of an owner is a row of the same user';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER owners_root BEFORE INSERT OR UPDATE OF root, user_id, agent_id ON owners
    FOR EACH ROW EXECUTE FUNCTION check_root();
"""


# Inert until row-level security is switched on (`memweld migrate --role`). A transaction's settings bind it to a user,
# or to an agent's own memory; a transaction that is bound to no user sees nothing. The tables' owner is not under the
# policies: it could switch them off anyway, and has to see all users to purge, to deliver to a graph, to reindex.
_POLICIES = """
CREATE POLICY owners_of_user ON owners
    USING (
        (SELECT is_bound())
        AND user_id = coalesce(current_setting('memweld.user_id', true), '')
        AND (user_id <> '' OR agent_id = nullif(current_setting('memweld.agent_id', true), ''))
    );
CREATE POLICY items_of_user ON items
    USING (owner IN (SELECT id FROM owners))
    WITH CHECK (root = (SELECT owners.root FROM owners WHERE owners.id = owner));
CREATE POLICY recalls_of_user ON recalls
    USING (owner IN (SELECT id FROM owners))
    WITH CHECK (owner = (SELECT items.owner FROM items WHERE items.seq = recalls.item));
CREATE POLICY entities_of_user ON entities USING (owner IN (SELECT id FROM owners));
CREATE POLICY state_of_user ON state USING (owner IN (SELECT id FROM owners));
CREATE POLICY sessions_of_user ON sessions USING (owner IN (SELECT id FROM owners));
CREATE POLICY messages_of_user ON messages USING (session IN (SELECT id FROM sessions));
CREATE POLICY outbox_is_fed ON outbox FOR INSERT WITH CHECK (owner IN (SELECT id FROM owners));
CREATE POLICY meta_is_read ON meta FOR SELECT USING (true);
CREATE POLICY meta_is_begun ON meta FOR INSERT WITH CHECK (key IN ('embedder', 'cursor_key'));
"""

# The planner's statistics keep samples of a column's values, also of erased users, until the next ANALYZE. Columns that
# no condition compares need none.
_UNSAMPLED = {
    "items": "text metadata extraction_error name occurrences links vector next_vector terms",
    "entities": "payload vector next_vector",
    "state": "value",
    "messages": "content name tool_calls tool_call_id native",
}


def _unsampled() -> list[str]:
    return [
        f"ALTER TABLE {table} " + ", ".join(f"ALTER COLUMN {column} SET STATISTICS 0" for column in columns.split())
        for table, columns in _UNSAMPLED.items()
    ]
