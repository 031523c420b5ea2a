"""Texts of state under long keys: their items' keys hold namespace and key, and are more than an index takes, too."""

from __future__ import annotations

from memweld.engine.postgres.migrations.scripts import run

revision = "0008"
down_revision = "0007"

# The key of a record is unique because its place in ``state`` is; it is looked for by its beginning, of which 600
# characters are in the index. Other keys have 512 at most. The columns of `key_within` lend their collation.
_RECORDS = """
ALTER TABLE items ADD COLUMN beginning text COLLATE "C"
    GENERATED ALWAYS AS (CASE WHEN kind = 'record' THEN left(key, 600) END) STORED;
CREATE INDEX items_by_beginning ON items (owner, beginning) WHERE beginning IS NOT NULL;
DROP INDEX items_by_key;
CREATE UNIQUE INDEX items_by_key ON items (owner, kind, key) WHERE key IS NOT NULL AND kind <> 'record';

CREATE FUNCTION key_within(beginning text, held text, first text, behind text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
        SELECT beginning >= pg_catalog.left(first, 600) AND beginning <= pg_catalog.left(behind, 600)
            AND held >= first AND held < behind
    $$;
"""


def upgrade() -> None:
    """Add the beginning, and leave records out of the index of whole keys."""
    run(_RECORDS)
