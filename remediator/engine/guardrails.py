"""Guardrails: may this plan be carried out now? An ordered list of pure functions.

Each looks at one `Question` and answers with one verdict. The list at the end is the whole of it;
the first refusal ends the run, a hold asks a person, a wait comes back later. Undo and escalation
never pass through here: a tripped guardrail must not block the way back. Called by `run` when every
step is planned, and by the journal inside the transaction that stores an intent (`step.guard`), so
that no limit can be raced.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache

from remediator.journal.protocol import Control, History
from remediator.model.plans import Plan
from remediator.model.policy import Limits, MaxImpact, Mode, Policy, lower_mode
from remediator.model.quantities import Rate, Share, format_duration
from remediator.model.reasons import Reason
from remediator.model.signals import Signal
from remediator.model.verdicts import Ruling, Verdict


@dataclass(frozen=True, slots=True)
class Question:
    """What the guardrails judge: one plan, with all that may bear on it.

    `approved` says that people approved this plan's digest; a hold is then lifted. `signal` is
    what Alertmanager said when it was asked just now, None before the first asking.
    """

    plan: Plan
    run_id: str
    sequence: int
    runbook: str
    mode: Mode
    limits: Limits
    policy: Policy
    history: History
    signal: Signal | None
    approved: bool
    manual: bool
    now: datetime


Guardrail = Callable[[Question], Verdict]


def scope(q: Question) -> Verdict:
    """The target must lie where the policy lets remediator act."""
    target, allowed = q.plan.target, q.policy.scope
    for what, value, patterns in (
        ("system", target.system, allowed.systems),
        ("kind", target.kind, allowed.kinds),
        ("scope", target.scope, allowed.scopes),
    ):
        if not _matches(value, patterns):
            return _refuse(
                "scope",
                f"{what} {value!r} is not among the policy's: {', '.join(patterns) or 'none'}",
                f"add it to policy.scope.{what}s",
            )
    return _allow("scope")


def protected(q: Question) -> Verdict:
    """Protected objects are never changed."""
    target, policy = q.plan.target, q.policy.protected
    if _matches(target.scope, policy.scopes):
        return _refuse(
            "protected", f"{target.scope!r} is protected", "remove it from policy.protected.scopes"
        )
    if _matches(target.name, policy.names):
        return _refuse(
            "protected", f"{target.name!r} is protected", "remove it from policy.protected.names"
        )
    for name, value in policy.labels.items():
        if target.labels.get(name) == value:
            return _refuse(
                "protected",
                f"{target} carries the label {name}={value}",
                f"remove the label {name} from it",
            )
    return _allow("protected")


def kill_switch(q: Question) -> Verdict:
    """A person paused everything, this runbook, or this scope."""
    for control in q.history.controls:
        if _switched_off(control, q):
            until = f" until {control.until:%H:%M} UTC" if control.until else ""
            return _refuse(
                "kill_switch",
                f"{_show_scope(control.scope)} is paused{until} by {control.by}: {control.reason}",
                f"remediator resume --scope {control.scope!r}",
            )
    return _allow("kill_switch")


def mode_ceiling(q: Question) -> Verdict:
    """`approve` needs a person's yes to this very plan; `observe` never acts."""
    mode = effective_mode(q.mode, q.policy)
    if mode is Mode.OBSERVE:
        return _refuse("mode", "the mode is observe: plan only", _raise_mode(q))
    if mode is Mode.APPROVE and not q.approved:
        return _hold("mode", "the mode is approve", "an approval of this plan")
    return _allow("mode")


def still_firing(q: Question) -> Verdict:
    """Before anything is changed the alert must still fire; not to know is to wait."""
    if q.manual:
        return _allow("still_firing")
    if q.history.incident_open is False:  # its *resolved* came since Alertmanager was asked
        return _refuse("still_firing", "the alert was resolved", "nothing: there is nothing to do")
    if q.signal is None or q.signal in (Signal.FIRING, Signal.NOT_CONFIGURED):
        return _allow("still_firing")
    if q.signal is Signal.UNKNOWN:
        return _wait(
            "still_firing",
            "no Alertmanager of this sender answers, so nobody knows whether the alert still fires",
            "an Alertmanager that answers",
        )
    return _refuse("still_firing", "the alert no longer fires", "nothing: there is nothing to do")


def cooldown(q: Question) -> Verdict:
    """Let a target come to rest between two runs' changes; runbook's and policy's both hold."""
    last_any = _last(q, lambda change_runbook: True)
    last_own = _last(q, lambda change_runbook: change_runbook == q.runbook)
    for last, limit, whose in (
        (last_own, q.limits.cooldown, f"runbook {q.runbook}"),
        (last_any, q.policy.cooldown, "policy"),
    ):
        if last is None or not limit or q.now - last >= limit:
            continue
        free_at = last + limit
        return _refuse(
            "cooldown",
            f"{q.plan.target} was changed {format_duration(_whole(q.now - last))} ago; "
            f"the cooldown of the {whose} is {format_duration(limit)}",
            f"waiting until {free_at:%Y-%m-%d %H:%M:%S} UTC",
        )
    return _allow("cooldown")


def rate(q: Question) -> Verdict:
    """At most so many changes in any window: of this runbook, and of the whole daemon."""
    # A retry of the same step is the same change.
    others = [c for c in q.history.changes if (c.run_id, c.sequence) != (q.run_id, q.sequence)]
    own = [c.at for c in others if c.runbook == q.runbook]
    every = [c.at for c in others]
    for times, rates, whose in (
        (own, q.limits.rate, f"runbook {q.runbook}"),
        (own, q.policy.rate.per_runbook, f"policy for runbook {q.runbook}"),
        (every, q.policy.rate.total, "policy in total"),
    ):
        for limit in rates:
            verdict = _over(times, limit, whose, q.now)
            if verdict is not None:
                return verdict
    return _allow("rate")


def one_run_per_target(q: Question) -> Verdict:
    """Two runs never change one target at the same time."""
    holder = q.history.locks.get(q.plan.target.key)
    if holder is None:
        return _allow("one_run_per_target")
    return _wait(
        "one_run_per_target",
        f"{q.plan.target} is being changed by run {holder}",
        f"the end of run {holder}, or remediator runs cancel {holder}",
    )


def bounds(q: Question) -> Verdict:
    """What the change leads to must lie within the policy's absolute bounds."""
    replicas = q.plan.impact.replicas
    low, high = q.policy.bounds.min_replicas, q.policy.bounds.max_replicas
    if replicas is not None and not low <= replicas <= high:
        return _refuse(
            "bounds",
            f"{replicas} replicas is outside {low} to {high}",
            "policy.bounds.min_replicas and max_replicas",
        )
    return _allow("bounds")


def impact(q: Question) -> Verdict:
    """An absolute cap and a share; both hold, and the stricter of runbook's and policy's binds."""
    for limit, whose in (
        (q.limits.max_impact, f"runbook {q.runbook}"),
        (q.policy.max_impact, "policy"),
    ):
        verdict = _too_much(q.plan, limit, whose)
        if verdict is not None:
            return verdict
    return _allow("impact")


GUARDRAILS: Sequence[Guardrail] = (
    scope,
    protected,
    kill_switch,
    still_firing,
    bounds,
    impact,
    cooldown,
    rate,
    one_run_per_target,
    mode_ceiling,
)
"""In this order: what no person can lift first, what a person's yes lifts last."""


def judge(question: Question) -> tuple[Verdict, ...]:
    """Return every guardrail's verdict, in order."""
    return tuple(guardrail(question) for guardrail in GUARDRAILS)


def effective_mode(mode: Mode, policy: Policy) -> Mode:
    """Return the runbook's mode under the policy's ceiling."""
    return lower_mode(mode, policy.mode)


def waiting_reason(verdicts: Iterable[Verdict]) -> Reason:
    """Return why a run waits when these verdicts let it."""
    waiting = {verdict.rule for verdict in verdicts if verdict.ruling is Ruling.WAIT}
    return Reason.SIGNAL_UNKNOWN if "still_firing" in waiting else Reason.TARGET_BUSY


def look_back(limits: Limits, policy: Policy, now: datetime) -> datetime | None:
    """Return how far back the history must be read for these limits, None for not at all."""
    spans: list[timedelta] = [r.per for r in limits.rate]
    spans += [r.per for r in (*policy.rate.per_runbook, *policy.rate.total)]
    spans += [span for span in (limits.cooldown, policy.cooldown) if span]
    return now - max(spans) if spans else None


def _over(times: Sequence[datetime], limit: Rate, whose: str, now: datetime) -> Verdict | None:
    inside = sorted(at for at in times if now - at < limit.per)
    if len(inside) < limit.count:
        return None
    lifted = (
        f"waiting until {inside[-limit.count] + limit.per:%Y-%m-%d %H:%M:%S} UTC"
        if limit.count
        else "a rate above zero"
    )
    return _refuse(
        "rate",
        f"{len(inside)} changes in {format_duration(limit.per)}; the {whose} allows {limit}",
        lifted,
    )


def _too_much(plan: Plan, limit: MaxImpact, whose: str) -> Verdict | None:
    touched = plan.impact
    if limit.pods is not None and touched.pods > limit.pods:
        return _refuse(
            "impact",
            f"{touched.pods} pods are touched; the {whose} allows {limit.pods}",
            f"max_impact.pods of the {whose}",
        )
    if limit.share is not None and touched.share > limit.share.fraction:
        return _refuse(
            "impact",
            f"{Share(round(touched.share, 4))} of {plan.target} would be down at once; "
            f"the {whose} allows {limit.share}",
            f"max_impact.share of the {whose}",
        )
    if limit.nodes is not None and touched.nodes > limit.nodes:
        return _refuse(
            "impact",
            f"{touched.nodes} nodes are touched; the {whose} allows {limit.nodes}",
            f"max_impact.nodes of the {whose}",
        )
    return None


def _last(q: Question, wanted: Callable[[str], bool]) -> datetime | None:
    key = q.plan.target.key
    times = [
        c.at
        for c in q.history.changes
        if c.target_key == key and c.run_id != q.run_id and wanted(c.runbook)
    ]
    return max(times, default=None)


def _switched_off(control: Control, q: Question) -> bool:
    kind, _, name = control.scope.partition(":")
    return (
        control.scope == "*"
        or (kind == "runbook" and fnmatchcase(q.runbook, name))
        or (kind == "scope" and fnmatchcase(q.plan.target.scope, name))
    )


def _show_scope(scope_text: str) -> str:
    return "everything" if scope_text == "*" else scope_text.replace(":", " ", 1)


def _raise_mode(q: Question) -> str:
    return "mode in the runbook" if q.mode is Mode.OBSERVE else "policy.mode"


def _matches(value: str, patterns: Sequence[str]) -> bool:
    return "*" in patterns or any(fnmatchcase(value, pattern) for pattern in patterns)


def _whole(span: timedelta) -> timedelta:
    return timedelta(seconds=int(span.total_seconds()))


@cache
def _allow(rule: str) -> Verdict:
    return Verdict(rule, Ruling.ALLOW)


def _wait(rule: str, reason: str, lifted_by: str) -> Verdict:
    return Verdict(rule, Ruling.WAIT, reason, lifted_by)


def _hold(rule: str, reason: str, lifted_by: str) -> Verdict:
    return Verdict(rule, Ruling.HOLD, reason, lifted_by)


def _refuse(rule: str, reason: str, lifted_by: str) -> Verdict:
    return Verdict(rule, Ruling.REFUSE, reason, lifted_by)


NO_HISTORY = History(changes=(), controls=(), locks={})
"""For simulation without a journal."""
