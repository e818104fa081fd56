"""Questions to the guardrails, for tests: a harmless plan, of which a test changes what it is
about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from remediator.engine.guardrails import NO_HISTORY, Question
from remediator.model.history import History, PastChange
from remediator.model.limits import Limits, Mode
from remediator.model.plans import Change, Impact, Plan, Target
from remediator.model.policy import Policy
from remediator.model.signals import Signal
from remediator.model.verdicts import Verdict

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = Target("kubernetes", "Deployment", "shop", "api", "uid-1", {"team": "shop"})
FREE: dict[str, Any] = {
    "mode": "auto",
    "cooldown": "0s",
    "rate": {"per_runbook": [], "total": []},
    "max_impact": {},
    "bounds": {"min_replicas": None, "max_replicas": None},
    "storm": {"opened": None},
    "breaker": {"failures": None},
    "flapping": {"treated": None},
}
"""A policy that limits nothing."""


def plan(target: Target = TARGET, **impact: Any) -> Plan:
    return Plan(
        action="kubernetes.scale",
        target=target,
        changes=(Change("spec.replicas", 4, 6),),
        impact=replace(Impact(pods=2, of_pods=4, replicas=6), **impact),
        summary="replicas 4 → 6",
    )


def policy(*rules: dict[str, Any], **base: Any) -> Policy:
    """A policy that limits what is given and no more."""
    return Policy.model_validate({**FREE, **base, "rules": list(rules)})


def ask(**more: Any) -> Question:
    values: dict[str, Any] = {
        "plan": plan(),
        "run_id": "run-1",
        "sequence": 0,
        "runbook": "scale-out",
        "mode": Mode.AUTO,
        "limits": Limits(),
        "policy": policy(),
        "history": NO_HISTORY,
        "signal": Signal.FIRING,
        "approved": False,
        "manual": False,
        "now": NOW,
        "owner": "team-shop",
    }
    values.update(more)
    return Question(**values)


def changed(minutes_ago: float, **more: Any) -> PastChange:
    values: dict[str, Any] = {
        "run_id": f"old-{minutes_ago}",
        "sequence": 0,
        "runbook": "scale-out",
        "target_key": TARGET.key,
        "pods": 2,
        "at": NOW - timedelta(minutes=minutes_ago),
        "owner": "team-shop",
    }
    return PastChange(**{**values, **more})


def history(*changes: PastChange, **more: Any) -> History:
    return replace(NO_HISTORY, changes=changes, **more)


def told(verdict: Verdict) -> str:
    """Everything that a verdict says, for a look at its words."""
    return f"{verdict} | {verdict.by} | {verdict.figure} | {verdict.limit}"
