"""The rows, in the order of the issue's table."""

from collections.abc import Sequence

from benchmarks import idle, matching, runs, size, waiting, webhook
from benchmarks.measure import Row

ROWS: Sequence[Row] = (
    Row(
        "webhook-1",
        "webhook, 1 alert a body, everything on (auth, incident identity, matching over 1,000"
        " runbooks, audit), SQLite `synchronous=FULL`",
        "≥ 0.6 × bare handler, ≥ 2 × commit per request",
        webhook.single,
        "× bare",
    ),
    Row(
        "webhook-100",
        "the same, 100 alerts a body",
        "≥ 10,000 alerts/s on this class of machine, ≥ 2 × commit per request",
        webhook.hundred,
        "alerts/s",
    ),
    Row(
        "webhook-postgres",
        "the same, 1 alert a body, on PostgreSQL on the same machine",
        "≥ 0.5 of the SQLite figure",
        webhook.postgres,
        "× SQLite",
        postgres="only",
    ),
    Row(
        "storm",
        "20,000 alerts in one body",
        "answered, peak extra memory ≤ 300 MB",
        webhook.storm,
        "MB",
    ),
    Row(
        "matching",
        "matching against 10,000 runbooks",
        "≤ 2 × the cost against 10",
        matching.ten_thousand,
        "×",
    ),
    Row(
        "runs",
        "runs of five no-op steps, end to end, 64 at once",
        "≥ 1,000/s on SQLite, ≥ 400/s on PostgreSQL",
        runs.five_steps,
        "runs/s",
        postgres="also",
    ),
    Row(
        "first-apply",
        "notification received → first apply begins, `auto`",
        "idle p99 ≤ 50 ms; under 500 alerts/s p99 ≤ 250 ms",
        runs.first_apply,
        "ms",
    ),
    Row(
        "waiting",
        "10,000 runs waiting for approval",
        "≤ 10 MB over idle, no measurable CPU; a decision takes effect in ≤ 50 ms",
        waiting.ten_thousand,
        "MB",
    ),
    Row(
        "journal-size",
        "1,000,000 journal runs: claim, console list, audit append",
        "within 2 × of the figures with 1,000",
        size.million,
        "×",
    ),
    Row(
        "idle",
        "idle",
        "resident memory ≤ 120 MB, start to ready ≤ 1.5 s, CPU ≤ 0.5 %",
        idle.idle,
        "MB",
    ),
)
