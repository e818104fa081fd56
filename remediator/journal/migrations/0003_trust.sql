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
CREATE INDEX runs_outcomes ON runs (runbook, ended_us)
    WHERE ended_us IS NOT NULL AND state IN ('succeeded', 'rolled_back', 'failed');
-- The last time that a person closed a runbook's failure breaker.
CREATE TABLE breaker_resets (
    runbook  TEXT   PRIMARY KEY,
    reset_by TEXT   NOT NULL,
    reason   TEXT   NOT NULL,
    at_us    BIGINT NOT NULL
);

-- overrides and earned trust: what a version does to the world, apart from mode, limits and words.
ALTER TABLE runbooks ADD COLUMN substance TEXT NOT NULL DEFAULT '';

-- One guardrail lifted for one run. `state` is open, used or expired.
CREATE TABLE overrides (
    id         TEXT   PRIMARY KEY,
    run_id     TEXT   NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    asked_for  TEXT   NOT NULL,
    guardrail  TEXT   NOT NULL,
    given_by   TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    via        TEXT   NOT NULL,
    state      TEXT   NOT NULL,
    created_us BIGINT NOT NULL,
    expires_us BIGINT NOT NULL,
    used_us    BIGINT
);
CREATE UNIQUE INDEX overrides_one_open ON overrides (run_id, guardrail) WHERE state = 'open';
CREATE INDEX overrides_by_run ON overrides (run_id);
CREATE INDEX overrides_open ON overrides (expires_us) WHERE state = 'open';

-- approvals
ALTER TABLE approvals ADD COLUMN terms TEXT NOT NULL DEFAULT '{}'; -- JSON: four eyes, expiry, reminders
ALTER TABLE approvals ADD COLUMN differs TEXT NOT NULL DEFAULT '[]'; -- JSON: from the plan asked before
ALTER TABLE approvals ADD COLUMN reminded INTEGER NOT NULL DEFAULT 0; -- of the terms' reminders, sent
ALTER TABLE approvals ADD COLUMN closed_why TEXT NOT NULL DEFAULT ''; -- beside its status
ALTER TABLE decisions ADD COLUMN person TEXT NOT NULL DEFAULT ''; -- who stands behind the actor

-- notes
-- `state` may also be `later` (a call of an escalation that is not due yet) and `dropped` (one that
-- was not needed). `news` is the note's kind where the version before would not know it.
ALTER TABLE outbox ADD COLUMN news TEXT NOT NULL DEFAULT '';
CREATE INDEX outbox_later ON outbox (next_us) WHERE state = 'later';

-- Alertmanager silences around runs' changes; a row is there before its silence.
CREATE TABLE silences (
    run_id     TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    sender     TEXT    NOT NULL,
    matchers   TEXT    NOT NULL,
    until_us   BIGINT  NOT NULL,
    state      TEXT    NOT NULL, -- wanted, set, failed, ending, removed, expired
    silence_id TEXT    NOT NULL DEFAULT '',
    attempts   INTEGER NOT NULL DEFAULT 0,
    error      TEXT    NOT NULL DEFAULT '',
    next_us    BIGINT  NOT NULL,
    PRIMARY KEY (run_id, number)
);
CREATE INDEX silences_ending ON silences (next_us) WHERE state = 'ending';

-- Who answered a run's newest escalation.
CREATE TABLE acknowledgements (
    run_id TEXT   PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    actor  TEXT   NOT NULL,
    reason TEXT   NOT NULL,
    at_us  BIGINT NOT NULL
);

-- storms
-- A note of the outbox may also be in the state `shared`: the storm's message tells it.
CREATE TABLE storms (
    id        TEXT   PRIMARY KEY,
    notifier  TEXT   NOT NULL,
    place     TEXT   NOT NULL,
    began_us  BIGINT NOT NULL,
    joined_us BIGINT NOT NULL, -- when the last run joined
    closed_us BIGINT,          -- since then none joins any more
    ended_us  BIGINT,          -- since then its message is not edited any more
    ref       TEXT   NOT NULL  -- JSON: what the notifier remembers of it
);
CREATE INDEX storms_going_on ON storms (notifier) WHERE ended_us IS NULL;
CREATE TABLE storm_runs (
    notifier TEXT NOT NULL,
    run_id   TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    storm_id TEXT NOT NULL REFERENCES storms (id) ON DELETE CASCADE,
    PRIMARY KEY (notifier, run_id)
);
CREATE INDEX storm_runs_by_storm ON storm_runs (storm_id);
CREATE INDEX storm_runs_by_run ON storm_runs (run_id); -- for the end of a run that is pruned
