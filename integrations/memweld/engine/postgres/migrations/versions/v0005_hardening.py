"""What others may create in a shared schema has no say in our functions; the owner of the tables sees all users."""

from __future__ import annotations

from alembic import op

from memweld.engine.postgres.migrations.scripts import run

revision = "0005"
down_revision = "0004"

# A function that runs with its owner's rights looks for names where nobody else can put any: in pg_catalog. With
# another schema in the path, an overload there that fits an argument better would be called, with those rights.
_BOUND = r"""
CREATE OR REPLACE FUNCTION is_bound() RETURNS boolean
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
        NOT EXISTS (SELECT 1 FROM @schema@.binding)
    ) FROM @schema@.binding
$$;
"""

_INDEX = r"""
CREATE OR REPLACE FUNCTION index_vectors() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    dimensions integer := substring(NEW.value FROM '\((\d+) dimensions\)$');
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DROP INDEX IF EXISTS @schema@.items_by_vector;
    END IF;
    IF dimensions <= 2000 THEN
        EXECUTE format(
            'CREATE INDEX IF NOT EXISTS items_by_vector ON @schema@.items '
            'USING hnsw ((vector::@vector@.vector(%s)) @vector@.vector_cosine_ops) '
            'WHERE wide AND @vector@.vector_dims(vector) = %s',
            dimensions, dimensions
        );
    END IF;
    RETURN NEW;
END
$$;
REVOKE EXECUTE ON FUNCTION index_vectors() FROM PUBLIC;
"""

# Whose state has expired, for a role under row-level security that sees no user but the one it is bound to: it is
# answered when bound to nobody, with the proof of that where there is a key. `memweld migrate --role` grants it.
_ENDED = """
CREATE FUNCTION ended(at double precision, most bigint) RETURNS TABLE (user_id text, agent_id text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT DISTINCT roots.user_id, roots.agent_id FROM @schema@.state AS state
        JOIN @schema@.owners AS owners ON owners.id = state.owner
        JOIN @schema@.owners AS roots ON roots.id = owners.root
    WHERE state.expires_at <= least(at, extract(epoch FROM clock_timestamp())::double precision)
        AND coalesce(current_setting('memweld.user_id', true), '') = ''
        AND coalesce(current_setting('memweld.agent_id', true), '') = ''
        AND (SELECT @schema@.is_bound())
    LIMIT most
$$;
REVOKE EXECUTE ON FUNCTION ended(double precision, bigint) FROM PUBLIC;

DO $$
DECLARE
    role regrole;
BEGIN
    FOR role IN
        SELECT DISTINCT held.grantee::regrole FROM pg_class AS c, aclexplode(c.relacl) AS held
        WHERE c.oid = '@schema@.state'::regclass AND held.privilege_type = 'DELETE'
            AND held.grantee NOT IN (0, c.relowner)
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION @schema@.ended(double precision, bigint) TO %s', role);
    END LOOP;
END
$$;
"""

# The owner can switch the policies off anyway, and has to see all users: to sweep, for a graph, for another embedder,
# and for later steps like this one. Who needs to be under them is another role.
_TABLES = "meta owners items entities state sessions messages outbox outbox_lease".split()


def upgrade() -> None:
    """Replace the functions, and take the owner from under the policies."""
    for script in (_BOUND, _INDEX, _ENDED):
        run(script)
    for table in _TABLES:
        op.get_bind().exec_driver_sql(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
