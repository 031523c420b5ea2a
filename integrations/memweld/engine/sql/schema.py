"""The tables of every database, written once and rendered with the column types of each.

Each database adds what it alone needs: its triggers, its indexes on long keys, its policies.

owners
    A scope; an empty string stands for "none", because NULLs never equal each other in an index. ``root``: the row of
    the user (or of the agent, for an agent's own memory) that carries the counters of the whole memory. ``version``
    counts changes of items, ``cleared`` is the version of the last removal: indexes in RAM compare both. Ids are never
    used twice, so that an index of an erased user cannot serve the next one.
items
    ``id``: unique among the items of a user (or of an agent's own memory); another user may have an item with the same
    id. ``seq`` is never used twice. ``stamp``: the root's version when the row was written. ``terms``: the numbers of
    the text's terms (``search/tokenizer.py``); NULL: readers make them. A full-text index in their place would weigh
    words by how common they are among all users, and keep deleted ones. ``next_vector``: the new embedder's, until it
    takes its place (``search/reindex.py``); a trigger drops it when the text changes. ``occurrences``: a JSON list;
    NULL for a text that was added once (``occurrences.py``). ``links``: a JSON list of ids, of a source its facts and
    of a fact its sources. ``valid_from``, ``valid_until``: seconds since 1970 (``validity.py``). ``superseded_by``: the
    id of the item in its place. ``changed_by``, ``source``: see `MemoryItem`. ``expires_at``, ``pinned_at``: seconds
    since 1970.
    ``relation``: the relation that the text states, ``several``, or NULL: none that memweld knows. ``own_end``,
    ``own_expiry``: the ``valid_until`` and ``expires_at`` that a superseded item had before.
recalls
    How often an item was put before a model, and when last (``profile.py``). A table of its own, so that a count
    changes no item: indexes in RAM would read it again.
state
    ``version``: for conditional writes; begins at a random number, so that a key that was deleted and set again never
    looks unchanged. ``seq``: the order in which keys were first set. ``ttl``: seconds; ``expires_at``: seconds since
    1970; ``record``: the item that holds the value's text.
sessions
    Ids are never used twice, because a paged export continues behind the id where it stopped.
outbox
    Changes that a projection, the ``target``, has not received yet (``outbox.py``): neither texts nor names, because
    nothing of an erased user may wait here. Triggers fill it. ``item``: the ``seq`` of an item. ``made_at``,
    ``not_before``: seconds since 1970.
outbox_lease
    The process that delivers, in one row for each target.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["ColumnTypes", "earlier_text", "tables"]

_TABLES = """
CREATE TABLE meta (
    key {text} NOT NULL PRIMARY KEY,
    value {text} NOT NULL
);

CREATE TABLE owners (
    id {identity},
    user_id {text} NOT NULL,
    agent_id {text} NOT NULL,
    root {integer} NOT NULL,
    version {integer} NOT NULL DEFAULT 0,
    cleared {integer} NOT NULL DEFAULT 0,
    UNIQUE (user_id, agent_id)
);
CREATE INDEX owners_by_root ON owners (root);

CREATE TABLE items (
    seq {identity},
    id {text} NOT NULL,
    owner {integer} NOT NULL REFERENCES owners (id),
    root {integer} NOT NULL,
    stamp {integer} NOT NULL,
    kind {text} NOT NULL,
    key {text},
    session_id {text},
    role {text},
    name {text},
    message_id {text},
    occurrences {text},
    links {text},
    text {text} NOT NULL,
    hash {text} NOT NULL,
    metadata {text} NOT NULL,
    extraction {text} NOT NULL,
    extraction_error {text},
    valid_from {real},
    valid_until {real},
    superseded_by {text},
    changed_by {text},
    source {text} NOT NULL DEFAULT 'user',
    expires_at {real},
    pinned_at {real},
    relation {text},
    own_end {real},
    own_expiry {real},
    created_at {text} NOT NULL,
    updated_at {text} NOT NULL,
    vector {vector} NOT NULL,
    terms {blob},
    next_vector {vector},
    UNIQUE (id, root)
);
CREATE UNIQUE INDEX items_once ON items (owner, kind, hash) WHERE key IS NULL AND superseded_by IS NULL;
CREATE INDEX items_by_stamp ON items (root, stamp);
CREATE INDEX items_by_validity ON items (root) WHERE (valid_from IS NOT NULL OR valid_until IS NOT NULL);
CREATE INDEX items_pinned ON items (root) WHERE pinned_at IS NOT NULL;
CREATE INDEX items_by_occurrences ON items (root) WHERE occurrences IS NOT NULL;
CREATE INDEX items_superseded ON items (superseded_by) WHERE superseded_by IS NOT NULL;
CREATE INDEX items_by_relation ON items (root, relation) WHERE relation IS NOT NULL;
CREATE INDEX items_by_end ON items (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX items_in_order ON items (root, seq);
CREATE INDEX items_of_owner ON items (owner, seq);

CREATE TABLE recalls (
    item {integer} NOT NULL PRIMARY KEY REFERENCES items (seq) ON DELETE CASCADE,
    owner {integer} NOT NULL REFERENCES owners (id),
    times {integer} NOT NULL,
    recalled_at {real} NOT NULL
);
CREATE INDEX recalls_by_times ON recalls (owner, times);

CREATE TABLE entities (
    place {identity},
    id {text} NOT NULL UNIQUE,
    owner {integer} NOT NULL REFERENCES owners (id),
    payload {text} NOT NULL,
    vector {vector} NOT NULL,
    next_vector {vector}
);
CREATE INDEX entities_by_owner ON entities (owner);

CREATE TABLE state (
    seq {identity},
    owner {integer} NOT NULL REFERENCES owners (id),
    namespace {text} NOT NULL,
    key {text} NOT NULL,
    value {text} NOT NULL,
    version {integer} NOT NULL,
    created_at {text} NOT NULL,
    updated_at {text} NOT NULL,
    ttl {real},
    expires_at {real},
    record {text}
);
CREATE INDEX state_in_order ON state (owner, namespace, seq, expires_at);
CREATE INDEX state_by_end ON state (expires_at) WHERE expires_at IS NOT NULL;
CREATE UNIQUE INDEX state_by_record ON state (record, owner) WHERE record IS NOT NULL;

CREATE TABLE sessions (
    id {identity},
    owner {integer} NOT NULL REFERENCES owners (id),
    session_id {text} NOT NULL,
    messages {integer} NOT NULL,
    started_at {text} NOT NULL,
    updated_at {text} NOT NULL,
    UNIQUE (owner, session_id)
);

CREATE TABLE messages (
    seq {serial},
    session {integer} NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    id {text} NOT NULL,
    role {text} NOT NULL,
    content {text} NOT NULL,
    name {text},
    tool_calls {text},
    tool_call_id {text},
    native {text},
    created_at {text} NOT NULL,
    UNIQUE (session, id)
);
CREATE INDEX messages_in_order ON messages (session, seq);

CREATE TABLE outbox (
    version {identity},
    target {text} NOT NULL,
    item {integer} NOT NULL,
    owner {integer} NOT NULL,
    made_at {real} NOT NULL,
    not_before {real} NOT NULL DEFAULT 0
);
CREATE INDEX outbox_in_order ON outbox (target, version);
CREATE INDEX outbox_of_owner ON outbox (owner, version);

CREATE TABLE outbox_lease (
    target {text} NOT NULL PRIMARY KEY,
    holder {text} NOT NULL,
    fence {integer} NOT NULL,
    expires_at {real} NOT NULL,
    problem {text},
    failing_since {real},
    retry_at {real} NOT NULL
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnTypes:
    """How a database declares its columns.

    Attributes:
        identity: A primary key that the database numbers, in order, and never uses twice.
        serial: A primary key that the database numbers in order.
        integer: 64 bits.
        real: A double.
        text: Compared byte by byte.
        blob: Bytes.
        vector: A vector of float32 in any number of dimensions.
    """

    identity: str
    serial: str
    integer: str
    real: str
    text: str
    blob: str
    vector: str


def earlier_text(row: str = "items") -> str:
    """The condition on rows of ``items`` that hold an earlier text of an item (``versions.py``)."""
    return f"coalesce({row}.changed_by, '') IN ('update', 'set')"


def tables(types: ColumnTypes) -> str:
    """The script that creates all tables, and the indexes that are the same everywhere."""
    return _TABLES.format(**asdict(types))
