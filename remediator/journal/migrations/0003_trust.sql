-- Guardrails that look further back, approvals by schedule, overrides, earned trust, and notes that
-- are due later. All of it is additive: daemons of the version before go on beside newer ones.

-- guardrails: what is known of a change beside its target, for limits by owner, rule and cost.
ALTER TABLE steps ADD COLUMN nodes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE steps ADD COLUMN down INTEGER;                     -- pods out of service at once
ALTER TABLE steps ADD COLUMN part_of TEXT NOT NULL DEFAULT ''; -- the workload, if not the target
ALTER TABLE steps ADD COLUMN owner TEXT NOT NULL DEFAULT '';   -- the runbook's
ALTER TABLE steps ADD COLUMN rules TEXT NOT NULL DEFAULT '[]'; -- names of the policy's that applied
ALTER TABLE steps ADD COLUMN cost TEXT NOT NULL DEFAULT '';    -- by the hour, empty where unknown
CREATE INDEX incidents_by_opening ON incidents (opened_us);
CREATE INDEX runs_outcomes ON runs (runbook, ended_us) WHERE ended_us IS NOT NULL;
-- The last time that a person closed a runbook's failure breaker.
CREATE TABLE breaker_resets (
    runbook  TEXT   PRIMARY KEY,
    reset_by TEXT   NOT NULL,
    reason   TEXT   NOT NULL,
    at_us    BIGINT NOT NULL
);

-- overrides and earned trust

-- approvals
ALTER TABLE approvals ADD COLUMN terms TEXT NOT NULL DEFAULT '{}'; -- JSON: four eyes, expiry, reminders

-- notes
