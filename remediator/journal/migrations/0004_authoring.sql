-- Runs of one runbook in a line, and what a run leaves. All of it is additive: daemons of the version
-- before go on beside newer ones.

-- repeat: runs of one runbook with one key stand in a line from the moment in which they want to
-- begin until they end. `has_turn` is 0 while a run waits for those before it.
ALTER TABLE runs ADD COLUMN line TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN has_turn INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_in_line ON runs (line, id) WHERE line <> '' AND ended_us IS NULL;

-- outputs: JSON, what a run that ended well leaves, and what of it could not be worked out.
ALTER TABLE runs ADD COLUMN outputs TEXT NOT NULL DEFAULT '{}';
