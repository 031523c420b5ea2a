"""Changing the embedder: room for new vectors beside the old ones, and an index that knows how long its vectors are."""

from __future__ import annotations

from memweld.engine.postgres.migrations.scripts import run

revision = "0003"
down_revision = "0002"

# next_vector: what ``reindexing.py`` has made and not put in place yet. An erasure takes it along with its row; another
# text drops it.
_COLUMNS = """
ALTER TABLE items ADD COLUMN next_vector @vector@.vector;
ALTER TABLE entities ADD COLUMN next_vector @vector@.vector;

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
"""

# An index is built over rows that are dead but still seen by somebody, too: those of another length are left out. While
# meta names no number of dimensions, because vectors of two lengths are in the table, there is no index.
_INDEX = r"""
CREATE OR REPLACE FUNCTION index_vectors() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    dimensions integer := substring(NEW.value FROM '\((\d+) dimensions\)$');
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DROP INDEX IF EXISTS items_by_vector;
    END IF;
    IF dimensions <= 2000 THEN
        EXECUTE format(
            'CREATE INDEX IF NOT EXISTS items_by_vector ON items '
            'USING hnsw ((vector::vector(%s)) vector_cosine_ops) WHERE wide AND vector_dims(vector) = %s',
            dimensions, dimensions
        );
    END IF;
    RETURN NEW;
END
$$;
"""

# The planner's statistics keep samples of a column's values, also of users who were erased, until the next ANALYZE.
# What no condition compares needs none.
_UNSAMPLED = {
    "items": "text metadata extra extraction_error name vector next_vector terms",
    "entities": "payload vector next_vector",
    "state": "value",
    "messages": "content name tool_calls tool_call_id native",
}


def upgrade() -> None:
    """Add the columns, replace the index's function, and sample no contents."""
    statements = [_COLUMNS, _INDEX]
    for table, columns in _UNSAMPLED.items():
        changes = ", ".join(f"ALTER COLUMN {column} SET STATISTICS 0" for column in columns.split())
        statements.append(f"ALTER TABLE {table} {changes}")
    for script in statements:
        run(script)
