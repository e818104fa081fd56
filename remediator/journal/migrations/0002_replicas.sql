-- Several daemons on one database. All of it is additive: daemons of the version before, which know
-- nothing of it, go on beside newer ones while these are rolled out.

-- Set once a node left or was declared dead; from then on it writes nothing.
ALTER TABLE nodes ADD COLUMN dead_us BIGINT;

-- When the run was last moved, by the clock of who moved it: a clock that was ahead shows.
ALTER TABLE runs ADD COLUMN moved_us BIGINT NOT NULL DEFAULT 0;
CREATE INDEX runs_owned ON runs (owner) WHERE owner IS NOT NULL;

-- What one node at a time may do; a dead node's rows go with it.
CREATE TABLE duties (
    name     TEXT   PRIMARY KEY,
    node     TEXT   NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
    since_us BIGINT NOT NULL
);

-- The last batch that each node committed: tells whether it was, when the answer was lost.
CREATE TABLE commits (
    node  TEXT PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
    batch TEXT NOT NULL
);

-- Whoever reads the past in order to add to it locks this row first.
CREATE TABLE gates (
    name TEXT PRIMARY KEY
);
INSERT INTO gates (name) VALUES ('intents');
