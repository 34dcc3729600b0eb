-- The facts of one node. Times are milliseconds since 1970; bodies, paths and values are JSON texts.

-- Events are found through `postings`: for each thing that is asked for (a workspace, a type, a correlation id, a
-- session, a tenth of a second of ids), the blocks of 64 positions that hold some. That takes a fraction of the entries
-- that an index for each of them would need, in one tree. The numbers in `events` narrow a block down to its rows; the
-- condition on the body decides.
CREATE TABLE tenants (
    number       INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE
);
CREATE TABLE events (
    position     INTEGER PRIMARY KEY,
    workspace    INTEGER NOT NULL,
    type         INTEGER NOT NULL,
    correlation  INTEGER NOT NULL,
    session      INTEGER,
    created_at   INTEGER NOT NULL,
    body         TEXT NOT NULL
);
CREATE TABLE postings (
    term         INTEGER NOT NULL,
    block        INTEGER NOT NULL,
    PRIMARY KEY (term, block)
) WITHOUT ROWID;
CREATE TABLE blocks (
    block        INTEGER PRIMARY KEY,
    earliest     INTEGER NOT NULL,
    latest       INTEGER NOT NULL
);
-- No event gets a position up to this one again, though those that had them may be gone.
CREATE TABLE forgotten (position INTEGER NOT NULL);
INSERT INTO forgotten VALUES (0);

-- A context document is what `documents` holds of it, as it was after row `n` of `changes`, and then the operations of later
-- rows. The last one says when the document ends. Rows that are in `documents` go from the beginning of the log.
CREATE TABLE changes (
    n            INTEGER PRIMARY KEY AUTOINCREMENT,
    key          BLOB NOT NULL,
    op           TEXT NOT NULL,
    path         BLOB NOT NULL,
    value        BLOB NOT NULL,
    expires_at   INTEGER
);
CREATE TABLE documents (
    key          BLOB NOT NULL UNIQUE,
    n            INTEGER NOT NULL,
    body         BLOB NOT NULL,
    expires_at   INTEGER
);
CREATE INDEX documents_by_end ON documents (expires_at) WHERE expires_at IS NOT NULL;

-- What is still to be done. `number` is the order of the commits; finding one by its id is the writer's memory.
CREATE TABLE deliveries (
    number       INTEGER PRIMARY KEY,
    id           TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    event_id     TEXT NOT NULL,
    automation   TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    body         BLOB NOT NULL
);
CREATE TABLE waits (
    number       INTEGER PRIMARY KEY,
    id           TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    expires_at   INTEGER NOT NULL,
    body         BLOB NOT NULL
);
CREATE TABLE ticks (
    workspace_id TEXT NOT NULL,
    automation   TEXT NOT NULL,
    at           INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, automation, at)
) WITHOUT ROWID;

CREATE TABLE sessions (
    id           TEXT NOT NULL PRIMARY KEY,
    user_id      TEXT NOT NULL,
    expires_at   INTEGER,
    body         BLOB NOT NULL
);
CREATE INDEX sessions_by_end ON sessions (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE items (
    collection   TEXT NOT NULL,
    id           TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    expires_at   INTEGER,
    body         BLOB NOT NULL,
    PRIMARY KEY (collection, id)
);
CREATE INDEX items_of_workspace ON items (workspace_id, collection);
CREATE INDEX items_by_end ON items (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE workspaces (
    id           TEXT NOT NULL PRIMARY KEY,
    slug         TEXT NOT NULL UNIQUE,
    revision     INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    body         BLOB NOT NULL
);
CREATE TABLE apps (
    slug         TEXT NOT NULL PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    body         BLOB NOT NULL
);
CREATE TABLE topics (
    workspace_id TEXT NOT NULL,
    topic        TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    PRIMARY KEY (workspace_id, topic, user_id)
) WITHOUT ROWID;

-- Holds something only while the store finds out whether it can write again.
CREATE TABLE probes (body BLOB NOT NULL);
