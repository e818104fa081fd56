"""Guardrails on what is touched: where it is, whose it is, and whether a person paused it."""

from fnmatch import fnmatchcase

from remediator.engine.guardrails.question import Question, allow, matches, places, refuse
from remediator.model.history import Control
from remediator.model.verdicts import Verdict
from remediator.runbook import confinement


def scope(q: Question) -> Verdict:
    """The target must lie where the policy lets remediator act."""
    for what, value in places(q.plan.target):
        patterns: tuple[str, ...] = getattr(q.policy.scope, f"{what}s")
        if not matches(value, patterns):
            allowed = ", ".join(patterns) or "none"
            return refuse(
                "scope",
                f"{what} {value!r} is not among the policy's: {allowed}",
                f"add it to policy.scope.{what}s",
                by="policy",
                figure=value,
                limit=allowed,
            )
    return allow("scope")


def own_namespace(q: Question) -> Verdict:
    """A runbook that lives in a namespace changes what is there, and nothing else."""
    target = q.plan.target
    if not q.home or (target.system == "kubernetes" and target.scope == q.home):
        return allow("own_namespace")
    return outside(q.home, f"{target} is not in namespace {q.home}")


def outside(home: str, reason: str) -> Verdict:
    """Refuse what leads out of the namespace that a runbook lives in."""
    return refuse(
        "own_namespace",
        reason,
        confinement.lifted(home),
        by="settings",
        limit=home,
    )


def protected(q: Question) -> Verdict:
    """Protected objects are never changed."""
    target, policy = q.plan.target, q.policy.protected
    for what, value in places(target)[1:]:
        if value and matches(value, getattr(policy, f"{what}s")):
            return refuse(
                "protected",
                f"{what} {value!r} is protected",
                f"remove it from policy.protected.{what}s",
                by="policy",
                figure=value,
                limit=", ".join(getattr(policy, f"{what}s")),
            )
    for what, found, wanted in (
        ("label", target.labels, policy.labels),
        ("annotation", target.annotations, policy.annotations),
    ):
        for name, value in wanted.items():
            if found.get(name) == value:
                return refuse(
                    "protected",
                    f"{target} carries the {what} {name}={value}",
                    f"remove the {what} {name} from it",
                    by="policy",
                    figure=f"{name}={value}",
                    limit=f"no {name}={value}",
                )
    return allow("protected")


def forbidden(q: Question) -> Verdict:
    """Where a block refuses all such changes, its sentence is the reason."""
    for by, block in q.blocks:
        if block.refuse:
            return refuse(
                "forbidden", f"the {by} forbids it: {block.refuse}", f"refuse of the {by}", by=by
            )
    return allow("forbidden")


def kill_switch(q: Question) -> Verdict:
    """A person paused everything, this runbook, or this scope."""
    for control in q.history.controls:
        if _switched_off(control, q):
            until = f" until {control.until:%Y-%m-%d %H:%M} UTC" if control.until else ""
            why = f": {control.reason}" if control.reason else ""
            return refuse(
                "kill_switch",
                f"{_show_scope(control.scope)} is paused{until} by {control.by}{why}",
                f"remediator resume --scope {control.scope!r}",
                by=control.by,
                figure=control.scope,
            )
    return allow("kill_switch")


def _switched_off(control: Control, q: Question) -> bool:
    kind, _, name = control.scope.partition(":")
    return (
        control.scope == "*"
        or (kind == "runbook" and fnmatchcase(q.runbook, name))
        or (kind == "scope" and fnmatchcase(q.plan.target.scope, name))
    )


def _show_scope(scope_text: str) -> str:
    return "everything" if scope_text == "*" else scope_text.replace(":", " ", 1)
