-- The journal's first schema. Portable between SQLite 3.40 and PostgreSQL, see statements.py.
-- Columns that end in _us are microseconds since 1970 UTC; labels, plans, details are JSON text.

CREATE TABLE nodes (
    id         TEXT   PRIMARY KEY,
    started_us BIGINT NOT NULL,
    seen_us    BIGINT NOT NULL
);

-- Raw bodies, deflated, for replay; pruned by age.
CREATE TABLE notifications (
    id          TEXT    PRIMARY KEY,
    sender      TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    received_us BIGINT  NOT NULL,
    sha256      TEXT    NOT NULL,
    size        BIGINT  NOT NULL,
    alerts      INTEGER NOT NULL,
    truncated   INTEGER NOT NULL,
    fetched_us  BIGINT,            -- when its dropped tail was asked for; null while it is not
    body        BYTEA   NOT NULL
);
CREATE INDEX notifications_to_fetch ON notifications (id)
    WHERE truncated > 0 AND fetched_us IS NULL;
CREATE INDEX notifications_by_age ON notifications (received_us);

-- `episode` counts the incidents of one sender and fingerprint from 1; the last one is the greatest.
CREATE TABLE incidents (
    id            TEXT    PRIMARY KEY,
    sender        TEXT    NOT NULL,
    fingerprint   TEXT    NOT NULL,
    episode       INTEGER NOT NULL,
    status        TEXT    NOT NULL CHECK (status IN ('open', 'resolved')),
    labels        TEXT    NOT NULL,
    annotations   TEXT    NOT NULL,
    generator_url TEXT    NOT NULL,
    starts_us     BIGINT  NOT NULL,
    ends_us       BIGINT,
    opened_us     BIGINT  NOT NULL,
    updated_us    BIGINT  NOT NULL,
    end_assumed   INTEGER NOT NULL DEFAULT 0  -- ends_us is when we noticed; nobody told us
);
CREATE UNIQUE INDEX incidents_episodes ON incidents (sender, fingerprint, episode);
CREATE UNIQUE INDEX incidents_one_open ON incidents (sender, fingerprint) WHERE status = 'open';
CREATE INDEX incidents_open ON incidents (id) WHERE status = 'open';
CREATE INDEX incidents_by_age ON incidents (updated_us) WHERE status = 'resolved';

CREATE TABLE runbooks (
    version       TEXT   PRIMARY KEY,
    name          TEXT   NOT NULL,
    file          TEXT   NOT NULL,
    source        TEXT   NOT NULL,
    description   TEXT   NOT NULL,
    owner         TEXT   NOT NULL,
    links         TEXT   NOT NULL,
    registered_us BIGINT NOT NULL
);

CREATE TABLE runs (
    id                  TEXT    PRIMARY KEY,
    incident_id         TEXT    REFERENCES incidents (id),
    runbook             TEXT    NOT NULL,
    version             TEXT    NOT NULL REFERENCES runbooks (version),
    trigger             TEXT    NOT NULL,
    state               TEXT    NOT NULL,
    reason              TEXT    NOT NULL,
    message             TEXT    NOT NULL,
    target              TEXT    NOT NULL,
    context             TEXT    NOT NULL,
    epoch               BIGINT  NOT NULL,
    owner               TEXT,
    wake_us             BIGINT,
    created_us          BIGINT  NOT NULL,
    started_us          BIGINT,
    ended_us            BIGINT,
    started_by          TEXT    NOT NULL,
    cancel_requested_by TEXT,
    deadline_us         BIGINT,
    verdicts            TEXT    NOT NULL,
    -- Nothing wakes or owns what has ended.
    CHECK (ended_us IS NULL OR (wake_us IS NULL AND owner IS NULL))
);
-- One run per incident, runbook and trigger; raised limits may come back several times.
CREATE UNIQUE INDEX runs_once ON runs (incident_id, runbook, trigger)
    WHERE incident_id IS NOT NULL AND trigger IN ('firing', 'resolved');
CREATE INDEX runs_by_incident ON runs (incident_id) WHERE incident_id IS NOT NULL;
CREATE INDEX runs_by_state ON runs (state, id);
CREATE INDEX runs_by_runbook ON runs (runbook, id);
CREATE INDEX runs_by_version ON runs (version);
CREATE INDEX runs_due ON runs (wake_us) WHERE owner IS NULL AND wake_us IS NOT NULL;
CREATE INDEX runs_live ON runs (state, id) WHERE ended_us IS NULL;
CREATE INDEX runs_raised_limits ON runs (started_by) WHERE trigger = 'expiry' AND ended_us IS NULL;
CREATE INDEX runs_by_age ON runs (ended_us) WHERE ended_us IS NOT NULL;

-- `target_key` and `pods` are set where the plan changes something: guardrails count by them.
CREATE TABLE steps (
    run_id     TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    sequence   INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    step_id    TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    plan       TEXT,
    digest     TEXT,
    target_key TEXT,
    pods       INTEGER NOT NULL,
    params     TEXT    NOT NULL,
    message    TEXT    NOT NULL,
    output     TEXT    NOT NULL,
    changed    INTEGER NOT NULL,
    started_us BIGINT,
    ended_us   BIGINT,
    PRIMARY KEY (run_id, sequence, attempt)
);
CREATE INDEX steps_changes ON steps (started_us)
    WHERE started_us IS NOT NULL AND target_key IS NOT NULL;

CREATE TABLE approvals (
    id            TEXT    PRIMARY KEY,
    run_id        TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    digests       TEXT    NOT NULL,
    approvers     TEXT    NOT NULL,
    quorum        INTEGER NOT NULL,
    status        TEXT    NOT NULL,
    created_us    BIGINT  NOT NULL,
    expires_us    BIGINT  NOT NULL,
    asked_because TEXT    NOT NULL,
    number        INTEGER NOT NULL  -- of the run's questions, from 1
);
CREATE UNIQUE INDEX approvals_one_open ON approvals (run_id) WHERE status = 'open';
CREATE UNIQUE INDEX approvals_by_run ON approvals (run_id, number);

-- The same person with the same answer is the same click.
CREATE TABLE decisions (
    approval_id TEXT   NOT NULL REFERENCES approvals (id) ON DELETE CASCADE,
    actor       TEXT   NOT NULL,
    answer      TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    via         TEXT   NOT NULL,
    at_us       BIGINT NOT NULL,
    PRIMARY KEY (approval_id, actor, answer)
);

CREATE TABLE locks (
    target_key TEXT   PRIMARY KEY,
    run_id     TEXT   NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    epoch      BIGINT NOT NULL,
    since_us   BIGINT NOT NULL
);
CREATE INDEX locks_by_run ON locks (run_id);

-- `recipients` is the note's `to`; `state` is waiting, delivered or refused.
CREATE TABLE outbox (
    id         IDENTITY_KEY,
    run_id     TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    notifier   TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    text       TEXT    NOT NULL,
    at_us      BIGINT  NOT NULL,
    recipients TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    next_us    BIGINT  NOT NULL,
    attempts   INTEGER NOT NULL,
    error      TEXT    NOT NULL
);
CREATE INDEX outbox_queue ON outbox (run_id, notifier, id);
CREATE INDEX outbox_due ON outbox (next_us) WHERE state = 'waiting';

CREATE TABLE refs (
    run_id   TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    notifier TEXT NOT NULL,
    ref      TEXT NOT NULL,
    PRIMARY KEY (run_id, notifier)
);

CREATE TABLE facts (
    kind    TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    value   TEXT   NOT NULL,
    at_us   BIGINT NOT NULL,
    PRIMARY KEY (kind, subject, value)
);

CREATE TABLE controls (
    scope    TEXT   PRIMARY KEY,
    set_by   TEXT   NOT NULL,
    reason   TEXT   NOT NULL,
    since_us BIGINT NOT NULL,
    until_us BIGINT
);

CREATE TABLE audit (
    seq         BIGINT PRIMARY KEY,
    at_us       BIGINT NOT NULL,
    kind        TEXT   NOT NULL,
    actor       TEXT   NOT NULL,
    run_id      TEXT,
    incident_id TEXT,
    details     TEXT   NOT NULL,
    previous    TEXT   NOT NULL,
    hash        TEXT   NOT NULL
);
CREATE INDEX audit_by_run ON audit (run_id, seq) WHERE run_id IS NOT NULL;

-- One row; locked last in every transaction, so that the chain has one order.
CREATE TABLE audit_head (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    seq  BIGINT  NOT NULL,
    hash TEXT    NOT NULL
);
INSERT INTO audit_head (id, seq, hash)
VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');
