"""Every metric that remediator has, in one registry of its own.

Owns names, units and labels (Prometheus's conventions: base units, `_total` for counters). Labels
hold only what is bounded by code or by the operator's files: enums, runbooks, actions, configured
senders. Never an alert's label, a target, a run id or a path that a client chose. The module that
does the thing counts it; `web` renders the registry at /metrics and fills `BACKLOG` from the
journal.
"""

import platform
import threading
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

# `_created` series double the number of series and nothing of ours reads them.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # has no types
prometheus_client.ProcessCollector(registry=REGISTRY)
prometheus_client.GCCollector(registry=REGISTRY)

# From one fsync on a good disk to a stalled one.
_COMMIT_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
# From a no-op to a rollout that reaches its deadline.
_STEP_BUCKETS_S = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 1800)
_HTTP_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
# From a click at once to a question that ends with a shift.
_ANSWER_BUCKETS_S = (5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800)
_BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(name, text, labels, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(name, text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(name, text, labels, registry=REGISTRY, buckets=buckets)


# ------------------------------------------------------------------------------ what comes in

NOTIFICATIONS = _counter(
    "remediator_notifications_total",
    "Webhook posts by configured sender and result (accepted, rejected, too_large, overloaded, "
    "unavailable, unauthorized, failed).",
    "source",
    "sender",
    "result",
)
ALERTS = _counter(
    "remediator_alerts_total",
    "Alerts of accepted notifications, by what became of them.",
    "fate",
)

# ------------------------------------------------------------------------------ runs and steps

RUNS = _gauge(
    "remediator_runs", "Runs that have not ended, by state; read at each scrape.", "state"
)
RUNS_ENDED = _counter(
    "remediator_runs_ended_total", "Runs that ended.", "runbook", "state", "reason"
)
INCIDENTS_OPEN = _gauge("remediator_incidents_open", "Open incidents; read at each scrape.")
STEPS = _counter(
    "remediator_steps_total",
    "Steps by how they went.",
    "action",
    "result",
)
STEP_DURATION = _histogram(
    "remediator_step_duration_seconds",
    "From the intent of a step to its settled outcome.",
    _STEP_BUCKETS_S,
    "action",
)
VERDICTS = _counter(
    "remediator_guardrail_verdicts_total", "What guardrails said of plans.", "rule", "ruling"
)
BREAKER_OPEN = _gauge(
    "remediator_breaker_open",
    "Breakers (storm, failure) that hold automatic runs for a person: 1 while one is open, 0.5 "
    "while one automatic run at a time may show that the runbook works again. Absent while closed.",
    "breaker",
    "runbook",
)
BREAKER_TRIPS = _counter(
    "remediator_breaker_trips_total", "Times that a breaker was found to have opened.", "breaker"
)
APPROVALS = _counter(
    "remediator_approvals_total",
    "Answers to approval requests, by what became of them.",
    "outcome",
)

QUESTIONS_CLOSED = _counter(
    "remediator_questions_closed_total",
    "Questions to people that somebody or the time closed (approved, denied, snoozed, expired, "
    "silence). Those that are open are the runs in awaiting_approval.",
    "how",
)
ANSWER_TIME = _histogram(
    "remediator_answer_duration_seconds",
    "From a question to the answer that decided it.",
    _ANSWER_BUCKETS_S,
    "answer",
)
REFUSED_ANSWERS = _counter(
    "remediator_answers_refused_total",
    "Answers that were not taken, by why (not_among, cannot_tell, four_eyes, needs_reason).",
    "reason",
)
REMINDERS = _counter("remediator_reminders_total", "Reminders that a question is still open.")
NOT_AUTHORISED = _counter(
    "remediator_not_authorised_total",
    "What people wanted and may not, beside answers to approval requests.",
)
ROSTERS = _counter(
    "remediator_rosters_total",
    "Times that who is in a group or on call was asked elsewhere (asked, failed).",
    "kind",
    "result",
)

OVERRIDES = _counter(
    "remediator_overrides_total",
    "Overrides of a guardrail by what became of the wish (granted, started, not_refused, …, "
    "not_authorised).",
    "guardrail",
    "outcome",
)

# ------------------------------------------------------------------------------ the journal

JOURNAL_UP = _gauge(
    "remediator_journal_up", "Whether the journal could be read at this scrape (1 or 0)."
)
COMMIT_DURATION = _histogram(
    "remediator_journal_commit_duration_seconds",
    "Time of one COMMIT of the journal's writer: how long the disk takes.",
    _COMMIT_BUCKETS_S,
)
CHAIN_DURATION = _histogram(
    "remediator_journal_chain_duration_seconds",
    "What the audit chain costs a batch: hashing and writing its records; on PostgreSQL until the "
    "commit, since all replicas wait for its head meanwhile.",
    _COMMIT_BUCKETS_S,
)
BATCH_SIZE = _histogram(
    "remediator_journal_batch_size", "Operations that shared one transaction.", _BATCH_BUCKETS
)
QUEUE_LENGTH = _gauge(
    "remediator_journal_queue_length", "Operations that wait for the journal's writer."
)
JOURNAL_CONFLICTS = _counter(
    "remediator_journal_conflicts_total",
    "Batches that were carried out again on PostgreSQL: another replica was in the way, or the "
    "connection was lost.",
    "kind",
)
NODE_LEASE = _gauge(
    "remediator_node_lease_seconds",
    "How long this node may still be sure to live, on PostgreSQL; below zero it changes nothing.",
)
DUTIES = _gauge(
    "remediator_duty",
    "What one node at a time does: 1 where it is this one, on PostgreSQL.",
    "duty",
)

# ------------------------------------------------------------------------------ telling people

OUTBOX_PENDING = _gauge(
    "remediator_outbox_pending", "Notes not delivered yet; read at each scrape.", "notifier"
)
NOTES = _counter(
    "remediator_notes_total",
    "Attempts to deliver a note (delivered, retried, refused).",
    "notifier",
    "result",
)

SLACK_CONNECTED = _gauge(
    "remediator_slack_connected",
    "Whether the connection that people's clicks come over stands (1 or 0); not there without one.",
    "mode",
)
SLACK_RECONNECTS = _counter(
    "remediator_slack_reconnects_total",
    "Socket Mode connections that were replaced, by who wanted it or what broke.",
    "reason",
)
SLACK_ENVELOPES = _counter(
    "remediator_slack_envelopes_total",
    "What came over Socket Mode, by kind and what became of it (handled, repeated, failed).",
    "kind",
    "result",
)

SILENCES = _counter(
    "remediator_silences_total",
    "Alertmanager silences around changes, by what became of them (set, failed, refused, removed, "
    "expired).",
    "result",
)

# ------------------------------------------------------------------------------ runbooks

RUNBOOKS_LOADED = _gauge("remediator_runbooks_loaded", "Runbooks that are being served.")
RELOAD_SUCCESS = _gauge(
    "remediator_runbook_reload_success",
    "Whether the last reload took over (1), or an older set goes on being served (0).",
)
RELOAD_TIMESTAMP = _gauge(
    "remediator_runbook_reload_success_timestamp_seconds", "When runbooks were last taken over."
)

POLICY_INFO = _gauge(
    "remediator_policy_info",
    "Always 1; the label is the beginning of the digest of the policy in force. Replicas that "
    "differ for long judge by different policies.",
    "digest",
)

# ------------------------------------------------------------------------------ custom resources

RESOURCES = _gauge(
    "remediator_resources",
    "Custom resources that the cluster holds, by whether their spec is in force (accepted, "
    "refused).",
    "kind",
    "result",
)
RESOURCE_FEED_UP = _gauge(
    "remediator_resource_feed_up",
    "Whether a kind of custom resource is being watched in a configured namespace (1 or 0); `*` is "
    "all of them.",
    "kind",
    "namespace",
)
RESOURCE_FEEDS = _counter(
    "remediator_resource_feeds_total",
    "Lists and watches of custom resources, by how they ended (listed, ended, gone, missing, "
    "refused, unavailable).",
    "kind",
    "result",
)
RESOURCE_STATUS_WRITES = _counter(
    "remediator_resource_status_writes_total",
    "Statuses of custom resources that were written back (written, gone, refused, unavailable).",
    "kind",
    "result",
)

# ------------------------------------------------------------------------------ the HTTP edge

HTTP_DURATION = _histogram(
    "remediator_http_request_duration_seconds",
    "Time to answer a request, by route.",
    _HTTP_BUCKETS_S,
    "method",
    "route",
    "code",
)

CONNECTIONS = _gauge("remediator_http_connections", "Open connections to the listener.")

# ------------------------------------------------------------------------------ the daemon

TASKS = _gauge("remediator_tasks", "Tasks of the event loop; read at each scrape.")
THREADS = _gauge("remediator_threads", "Threads of the process; read at each scrape.")
THREADS.set_function(threading.active_count)
RUNS_IN_HAND = _gauge(
    "remediator_runs_in_hand", "Runs that are being carried on now; `worker.concurrency` at most."
)

LIMIT_HIT = _counter(
    "remediator_limit_hit_total", "A built-in or configured limit held something back.", "limit"
)
CONDITIONS_FAILED = _counter(
    "remediator_conditions_failed_total",
    "Runbooks passed over because their `if:` could not be evaluated for an alert.",
)
TRUNCATED_PENDING = _gauge(
    "remediator_truncated_notifications_pending",
    "Notifications whose dropped tail could not be fetched from Alertmanager yet.",
)
BUILD_INFO = _gauge(
    "remediator_build_info", "Always 1; the labels say what is running.", "version", "python"
)
BUILD_INFO.labels(version("remediator"), platform.python_version()).set(1)


@lru_cache(maxsize=4096)
def counter(metric: Counter, *labels: str) -> Counter:
    """Return what `labels` returns, sooner: for what is counted with every alert or step."""
    return metric.labels(*labels)


@lru_cache(maxsize=4096)
def histogram(metric: Histogram, *labels: str) -> Histogram:
    """Likewise."""
    return metric.labels(*labels)


def run_ended(runbook: str, state: str, reason: str) -> None:
    """Count a run's end; called by whoever brought it about, once it is committed."""
    RUNS_ENDED.labels(runbook=runbook, state=state, reason=reason).inc()


def show(gauge: Gauge, values: Mapping[str, float]) -> None:
    """Make a gauge with one label show exactly `values`; what is no longer there goes."""
    gauge.clear()
    for label, value in values.items():
        gauge.labels(label).set(value)


def render(accept: str) -> tuple[bytes, str]:
    """Return the page and its content type, in the text or the OpenMetrics format.

    Args:
        accept: the request's `Accept` header.
    """
    encode, content_type = prometheus_client.exposition.choose_encoder(accept)
    return encode(REGISTRY), content_type
