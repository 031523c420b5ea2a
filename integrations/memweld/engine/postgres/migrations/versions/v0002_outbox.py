"""The outbox of a graph: what it has not been told yet, and who tells it."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

# As in the embedded file (see ``stores/outbox.py``): neither texts nor names, because what is known of somebody who was
# erased must not wait here. Nothing is written while meta knows of no graph.
_OUTBOX = """
CREATE TABLE outbox (
    version bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    item text COLLATE "C" NOT NULL,
    owner bigint NOT NULL,
    made_at double precision NOT NULL
);
CREATE INDEX outbox_of_owner ON outbox (owner, version);

CREATE TABLE outbox_lease (
    id integer PRIMARY KEY CHECK (id = 1),
    holder text NOT NULL,
    fence bigint NOT NULL,
    expires_at double precision NOT NULL,
    problem text,
    failing_since double precision,
    retry_at double precision NOT NULL
);

CREATE FUNCTION item_to_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM meta WHERE key = 'graph') THEN
        IF TG_OP = 'DELETE' THEN
            INSERT INTO outbox (item, owner, made_at)
                VALUES (OLD.id, OLD.owner, floor(extract(epoch FROM now())));
        ELSE
            INSERT INTO outbox (item, owner, made_at)
                VALUES (NEW.id, NEW.owner, floor(extract(epoch FROM now())));
        END IF;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER items_outbox AFTER INSERT OR DELETE OR UPDATE OF text, kind, key, session_id, owner ON items
    FOR EACH ROW EXECUTE FUNCTION item_to_outbox();

CREATE POLICY outbox_is_fed ON outbox FOR INSERT WITH CHECK (owner IN (SELECT id FROM owners));
"""


def upgrade() -> None:
    """Make the tables, the trigger and the policy."""
    op.get_bind().exec_driver_sql(_OUTBOX)
