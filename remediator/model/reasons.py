"""Why a run is in its state: one small enum for errors, metric labels, log keys and screens."""

from enum import StrEnum


class Reason(StrEnum):
    """The reason of a run's present state. The value is what people and metrics see."""

    # on the way
    NEW = "new"
    TARGET_BUSY = "target_busy"
    CONCURRENCY = "concurrency"  # as many runs change something as may at once
    SIGNAL_UNKNOWN = "signal_unknown"  # Alertmanager can't be asked: hold, do not act
    UNREACHABLE = "unreachable"  # a temporary error; will be tried again
    MODE_APPROVE = "mode_approve"
    GUARDRAIL_HOLDS = "guardrail_holds"  # a person should look first, whatever the mode
    PLAN_CHANGED = "plan_changed"
    SNOOZED = "snoozed"  # a person wants to be asked later
    QUEUED = "queued"  # other runs of the same runbook, with the same key, come first
    APPROVED = "approved"
    SILENCE = "silence"  # nobody decided, and the policy takes that for a yes here
    AUTOMATIC = "automatic"
    STEP_RETRY = "step_retry"
    NEXT_RUNG = "next_rung"
    WATCHING = "watching"
    RESUMED = "resumed"
    LIMIT_EXPIRED = "limit_expired"

    # ends
    VERIFIED = "verified"
    DONE = "done"  # succeeded, and the runbook has no verify
    NOTHING_TO_DO = "nothing_to_do"
    OBSERVE_ONLY = "observe_only"
    MAINTENANCE = "maintenance"  # people are at work there: the alert is expected
    EXPECTATION_UNMET = "expectation_unmet"
    LIST_TOO_LONG = "list_too_long"  # for_each was given more than its runbook allows
    ALREADY_RUNNING = "already_running"  # another run of the runbook, with the same key, goes on
    QUEUE_FULL = "queue_full"  # as many runs wait for their turn as may
    RESTARTED = "restarted"  # a further run of the runbook took its place
    GUARDRAIL_REFUSES = "guardrail_refuses"
    DENIED = "denied"
    APPROVAL_EXPIRED = "approval_expired"
    RESOLVED_BY_ITSELF = "resolved_by_itself"
    CANCELLED_BY_PERSON = "cancelled_by_person"
    PLAN_FAILED = "plan_failed"
    EXPRESSION_FAILED = "expression_failed"
    APPLY_FAILED = "apply_failed"
    STALE = "stale"  # the world moved: neither the plan's before nor its after
    NOT_HEALTHY = "not_healthy"
    STEP_TIMEOUT = "step_timeout"
    NOT_VERIFIED = "not_verified"
    UNDONE = "undone"
    UNDO_FAILED = "undo_failed"
    CRASHED_UNCHECKABLE = "crashed_uncheckable"
    RUNBOOK_GONE = "runbook_gone"
    RESTORED = "restored"  # the journal was restored from a copy that knows not what came after
    INTERNAL = "internal"
