"""The first tables: those of the embedded file, with vectors by pgvector and words as a tsvector."""

from __future__ import annotations

from memweld.engine.postgres.migrations.scripts import run

revision = "0001"
down_revision = None

# Texts are compared byte by byte, as the embedded file does, whatever the database's own collation.
#
# owners     whose rows these are; an empty string stands for "none". root: the row of the user (or of the agent, for an
#            agent's own memory) with the counters by which indexes in RAM learn that they are out of date.
# items      scope: unused, gone in 0004. vector: of the one embedder that meta names. terms: see ``facts/words.py``.
#            words: for finding candidates among very many memories; the beginning of a text, because a tsvector holds
#            a megabyte at most. wide: of a user with so many memories that the vectors are in the HNSW index, which
#            holds nobody else's: each insert into it takes milliseconds.
# state      version: for conditional writes. ttl: seconds; expires_at: seconds since 1970. record: its text's item.
_TABLES = """
CREATE TABLE meta (
    key text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE owners (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C" NOT NULL,
    root bigint NOT NULL,
    version bigint NOT NULL DEFAULT 0,
    cleared bigint NOT NULL DEFAULT 0,
    wide boolean NOT NULL DEFAULT false,
    UNIQUE (user_id, agent_id)
) WITH (fillfactor = 80);
CREATE INDEX owners_by_root ON owners (root);

CREATE TABLE items (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    owner bigint NOT NULL REFERENCES owners (id),
    root bigint NOT NULL,
    scope text NOT NULL,
    stamp bigint NOT NULL,
    kind text COLLATE "C" NOT NULL,
    key text COLLATE "C",
    session_id text COLLATE "C",
    role text,
    name text,
    text text NOT NULL,
    hash text COLLATE "C" NOT NULL,
    metadata text NOT NULL,
    extraction text NOT NULL,
    extraction_error text,
    extra text NOT NULL,
    created_at text NOT NULL,
    updated_at text NOT NULL,
    vector @vector@.vector NOT NULL,
    terms bytea,
    wide boolean NOT NULL DEFAULT false,
    words tsvector GENERATED ALWAYS AS (to_tsvector('english', left(text, 100000))) STORED
);
CREATE UNIQUE INDEX items_once ON items (owner, kind, hash) WHERE key IS NULL;
CREATE UNIQUE INDEX items_by_key ON items (owner, kind, key) WHERE key IS NOT NULL;
CREATE INDEX items_by_stamp ON items (root, stamp);
CREATE INDEX items_in_order ON items (root, seq);
CREATE INDEX items_of_owner ON items (owner, seq);
CREATE INDEX items_in_session ON items (owner, session_id, seq) WHERE session_id IS NOT NULL;
CREATE INDEX items_by_words ON items USING gin (words);

CREATE TABLE entities (
    rowid bigint GENERATED ALWAYS AS IDENTITY,
    id text COLLATE "C" PRIMARY KEY,
    owner bigint NOT NULL REFERENCES owners (id),
    payload text NOT NULL,
    vector @vector@.vector NOT NULL
);
CREATE INDEX entities_by_owner ON entities (owner);

CREATE TABLE state (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner bigint NOT NULL REFERENCES owners (id),
    namespace text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    value text NOT NULL,
    version bigint NOT NULL,
    created_at text NOT NULL,
    updated_at text NOT NULL,
    ttl double precision,
    expires_at double precision,
    record text COLLATE "C",
    UNIQUE (owner, namespace, key)
) WITH (fillfactor = 80);
CREATE INDEX state_in_order ON state (owner, namespace, seq, expires_at);
CREATE INDEX state_by_end ON state (expires_at) WHERE expires_at IS NOT NULL;
CREATE UNIQUE INDEX state_by_record ON state (record) WHERE record IS NOT NULL;

CREATE TABLE sessions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner bigint NOT NULL REFERENCES owners (id),
    session_id text COLLATE "C" NOT NULL,
    messages bigint NOT NULL,
    started_at text COLLATE "C" NOT NULL,
    updated_at text COLLATE "C" NOT NULL,
    UNIQUE (owner, session_id)
) WITH (fillfactor = 80);

CREATE TABLE messages (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session bigint NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    id text COLLATE "C" NOT NULL,
    role text NOT NULL,
    content text NOT NULL,
    name text,
    tool_calls text,
    tool_call_id text,
    native text,
    created_at text NOT NULL,
    UNIQUE (session, id)
);
CREATE INDEX messages_in_order ON messages (session, seq);
"""

# What the embedded file's SQL calls, by SQLite's names; metadata_fits decides filters on metadata. jsonb compares
# numbers by value and tells true from 1; it refuses NUL, which a rare character takes the place of on both sides.
_FUNCTIONS = r"""
CREATE FUNCTION instr(held text, wanted text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT strpos(held, wanted) > 0 $$;

CREATE FUNCTION min(one text, other text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT least(one COLLATE "C", other COLLATE "C") $$;

CREATE FUNCTION max(one text, other text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT greatest(one COLLATE "C", other COLLATE "C") $$;

CREATE FUNCTION metadata_fits(held text, filters text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
        SELECT replace(held, '\u0000', U&'\E000\F8FF\E000')::jsonb
            @> replace(filters, '\u0000', U&'\E000\F8FF\E000')::jsonb
    $$;
"""

# The HNSW index needs the number of dimensions, which the first vector brings: it is made, empty, when meta learns the
# embedder. SECURITY DEFINER, because the application's role need not own the table.
_TRIGGERS = r"""
CREATE FUNCTION item_is_wide() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.wide := (SELECT owners.wide FROM owners WHERE owners.id = NEW.root);
    RETURN NEW;
END
$$;
CREATE TRIGGER items_wide BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION item_is_wide();

CREATE FUNCTION index_vectors() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    dimensions integer := substring(NEW.value FROM '\((\d+) dimensions\)$');
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DROP INDEX IF EXISTS items_by_vector;
    END IF;
    IF dimensions <= 2000 THEN
        EXECUTE format(
            'CREATE INDEX IF NOT EXISTS items_by_vector ON items '
            'USING hnsw ((vector::vector(%s)) vector_cosine_ops) WHERE wide',
            dimensions
        );
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER meta_embedder AFTER INSERT OR UPDATE ON meta FOR EACH ROW WHEN (NEW.key = 'embedder')
    EXECUTE FUNCTION index_vectors();
"""

# Inert until row-level security is switched on (`memweld migrate --role`). A transaction is bound to a user, or to an
# agent's own memory, by its settings; one that is bound to nobody sees nothing. Where there is a key, a binding counts
# only with its proof, so that whoever has the connection but not the key cannot make one; the key is read by these
# functions alone, which are their owner's.
_POLICIES = r"""
CREATE TABLE binding (
    key bytea NOT NULL
);
REVOKE ALL ON binding FROM PUBLIC;

CREATE FUNCTION is_bound() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT coalesce(
        bool_and(
            encode(
                sha256(key || sha256(key || convert_to(
                    coalesce(current_setting('memweld.user_id', true), '') || E'\n'
                    || coalesce(current_setting('memweld.agent_id', true), ''), 'UTF8'
                ))),
                'hex'
            ) = current_setting('memweld.proof', true)
        ),
        NOT EXISTS (SELECT 1 FROM binding)
    ) FROM binding
$$;

CREATE POLICY owners_of_user ON owners
    USING (
        (SELECT is_bound())
        AND user_id = coalesce(current_setting('memweld.user_id', true), '')
        AND (user_id <> '' OR agent_id = nullif(current_setting('memweld.agent_id', true), ''))
    );
CREATE POLICY items_of_user ON items USING (owner IN (SELECT id FROM owners));
CREATE POLICY entities_of_user ON entities USING (owner IN (SELECT id FROM owners));
CREATE POLICY state_of_user ON state USING (owner IN (SELECT id FROM owners));
CREATE POLICY sessions_of_user ON sessions USING (owner IN (SELECT id FROM owners));
CREATE POLICY messages_of_user ON messages USING (session IN (SELECT id FROM sessions));
CREATE POLICY meta_is_read ON meta FOR SELECT USING (true);
CREATE POLICY meta_is_begun ON meta FOR INSERT WITH CHECK (key = 'embedder');
"""


def upgrade() -> None:
    """Make tables, functions, triggers and policies."""
    for script in (_TABLES, _FUNCTIONS, _TRIGGERS, _POLICIES):
        run(script)
