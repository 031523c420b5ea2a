"""State under long keys: a namespace and a key of 512 characters each are more than an entry of an index may hold."""

from __future__ import annotations

from memweld.engine.postgres.migrations.scripts import run

revision = "0006"
down_revision = "0005"

# An entry of a B-tree has 2,704 bytes at most, and 512 characters up to 2,048. The namespace stands in it as a digest:
# keys stay in order within theirs. A comparison goes by `in_namespace`, which the planner sees through; the digest is a
# column and no expression, because row-level security lets an index look for no function of a column. convert_to is
# immutable as long as the database keeps its encoding, which it does.
_PLACES = """
CREATE FUNCTION digest_of(name text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT pg_catalog.sha256(pg_catalog.convert_to(name, 'UTF8'::pg_catalog.name)) $$;

CREATE FUNCTION in_namespace(digest bytea, held text, wanted text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT digest = @schema@.digest_of(wanted) AND held = wanted $$;

ALTER TABLE state ADD COLUMN digest bytea GENERATED ALWAYS AS (@schema@.digest_of(namespace)) STORED;
ALTER TABLE state DROP CONSTRAINT state_owner_namespace_key_key;
ALTER TABLE state ADD CONSTRAINT state_once UNIQUE (owner, digest, key);
"""


def upgrade() -> None:
    """Add the digest, and let the place of a value be unique by it."""
    run(_PLACES)
