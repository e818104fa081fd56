"""Rules on a runbook under its policy: what that will always refuse, or makes no use of. Pure.

The guardrails judge plans when there are some; what is said here holds for every plan that the
runbook can make, as far as its text and its matchers tell.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from remediator.model import matchers
from remediator.model.limits import MaxImpact, Mode, lower_mode
from remediator.model.matchers import Matcher
from remediator.model.policy import Block, Policy, Rule
from remediator.runbook.expressions import Template
from remediator.runbook.findings import Finding, Severity
from remediator.runbook.lint import known
from remediator.runbook.lint.subject import Subject
from remediator.runbook.policy_file import PolicySource
from remediator.runbook.runbook import Compiled, CompiledStep, render

_KINDS = {
    "deployment": "Deployment",
    "statefulset": "StatefulSet",
    "daemonset": "DaemonSet",
    "pod": "Pod",
    "node": "Node",
    "job": "Job",
    "cronjob": "CronJob",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of every plan of one step, for alerts that pass one line of matchers.

    Args:
        values: fact → the values that it may have.
        line: what the alert's labels must pass.
    """

    values: Mapping[str, frozenset[str]]
    line: Sequence[Matcher]

    def certainly(self, matcher: Matcher) -> bool:
        """Whether the plan passes a rule's matcher, whatever comes."""
        few = self.values.get(matcher.name)
        if few is not None:
            return bool(few) and all(matcher.matches({matcher.name: v}) for v in few)
        if matcher.name.startswith(("target_label_", "target_annotation_")):
            return False
        name = matcher.name.removeprefix("alert_label_")
        if name == matcher.name and name in _OF_PLANS:
            return known.implies((), matcher)
        about = [
            Matcher(matcher.name, m.operator, m.value, m.pattern)
            for m in self.line
            if m.name == name
        ]
        return known.implies(about, matcher)


_OF_PLANS = ("action", "system", "scope", "kind", "name", "account", "region", "runbook", "owner")


def conflicts(subject: Subject, source: PolicySource) -> Iterator[Finding]:
    """Yield what the policy keeps a runbook from, whatever alert comes."""
    if not subject.changes:
        return
    policy = source.policy
    yield from _mode(subject, source)
    for step in _always_planned(subject):
        for refusal in _refused(subject, step, policy):
            path, message, hint = refusal
            yield subject.of_step(step, path, "policy-refuses", message, f"{hint} ({_of(source)})")
            break
    yield from _impact(subject, source)


def _of(source: PolicySource) -> str:
    return source.file or "the policy of the settings"


def _always_planned(subject: Subject) -> Iterator[CompiledStep]:
    """Yield the changes that every run plans, or gets to: those without a condition."""
    return (s for s in subject.changes if s.condition is None and s.block is None)


# ------------------------------------------------------------------------------------ modes


def _mode(subject: Subject, source: PolicySource) -> Iterator[Finding]:
    wanted: Mode = subject.runbook.mode
    if wanted == Mode.OBSERVE:
        return
    steps = list(_always_planned(subject)) or list(subject.changes[:1])
    blocks = [("the policy", source.policy)] + [
        (f"rule {rule.name} of the policy", rule)
        for rule in source.policy.rules
        if any(_applies(rule, subject, step) for step in steps)
    ]
    lowest, by = Mode(wanted), ""
    for name, block in blocks:
        if block.mode is not None and lower_mode(lowest, block.mode) is not lowest:
            lowest, by = block.mode, name
    path = ("mode",)
    if lowest == Mode.OBSERVE:
        yield subject.finding(
            path,
            "policy-refuses",
            f"{by} lets it only observe: what it plans is put on record and never done",
            f"write mode: observe, or raise mode in {_of(source)}",
        )
    elif lowest != wanted:
        yield subject.finding(
            path,
            "policy-lowers",
            f"{by} lowers the mode from {wanted.value} to {lowest.value}",
            f"raise mode in {_of(source)} once the runbook has shown that it helps",
            severity=Severity.INFO,
        )


# ---------------------------------------------------------------------------------- refusals


def _refused(
    subject: Subject, step: CompiledStep, policy: Policy
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield why every plan of a step is refused: where, the sentence, and what to do."""
    each = [facts(subject, step, line) for line in subject.runbook.matchers]
    for what in ("system", "kind", "scope", "name", "account", "region"):
        found = [one.values.get(what) for one in each]
        if not found or any(few is None for few in found):
            continue
        values = frozenset[str]().union(*(few for few in found if few is not None))
        path = ("with", _parameter(step, what)) if _parameter(step, what) else ("action",)
        patterns: tuple[str, ...] = getattr(policy.scope, f"{what}s")
        if values and not any(_fits(value, patterns) for value in values):
            allowed = ", ".join(patterns) or "none"
            said = (
                f"{what} {_or(values)} is not among those where the policy lets it act: {allowed}"
            )
            yield path, said, f"add it to scope.{what}s"
        protected: tuple[str, ...] = getattr(policy.protected, f"{what}s", ())
        if values and all(value and _fits(value, protected) for value in values):
            yield path, f"{what} {_or(values)} is protected", f"see protected.{what}s"
    for rule in policy.rules:
        if rule.refuse and _applies(rule, subject, step):
            said = f"rule {rule.name} refuses every plan of this step: {rule.refuse}"
            yield ("action",), said, f"see rules.{rule.name}"
    if policy.refuse:
        yield ("action",), f"the policy refuses every change: {policy.refuse}", "see refuse"
    for name, block in _blocks(policy, subject, step):
        yield from _bounds(step, name, block)


def _blocks(policy: Policy, subject: Subject, step: CompiledStep) -> Iterator[tuple[str, Block]]:
    yield "the policy", policy
    for rule in policy.rules:
        if _applies(rule, subject, step):
            yield f"rule {rule.name} of the policy", rule


def _bounds(
    step: CompiledStep, by: str, block: Block
) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield the bounds on replicas, and the caps on pods, that a step always breaks."""
    bounds, to, least, most = block.bounds, *(step.parameters.get(n) for n in ("to", "min", "max"))
    if step.operation.name == "kubernetes.scale":
        low, high = bounds.min_replicas, bounds.max_replicas
        for name, value in (("to", to), ("min", least)):
            if isinstance(value, int) and high is not None and value > high:
                said = f"{value} replicas are more than {by} allows: {high}"
                yield ("with", name), said, "see bounds.max_replicas"
        for name, value in (("to", to), ("max", most)):
            if isinstance(value, int) and low is not None and value < low:
                said = f"{value} replicas are less than {by} allows: {low}"
                yield ("with", name), said, "see bounds.min_replicas"
    if step.operation.name in _TOUCH_PODS and block.max_impact.pods == 0:
        yield ("action",), f"{by} allows no change that touches a pod", "see max_impact.pods"


_TOUCH_PODS = ("kubernetes.delete_pod", "kubernetes.rollout_restart", "kubernetes.rollout_undo")


def _impact(subject: Subject, source: PolicySource) -> Iterator[Finding]:
    """Say where a runbook's own cap is wider than the policy's, which then decides."""
    own, cap = subject.runbook.limits.max_impact, source.policy.max_impact
    for name in MaxImpact.model_fields:
        asked, allowed = getattr(own, name), getattr(cap, name)
        if asked is not None and allowed is not None and asked > allowed:
            yield subject.finding(
                ("guardrails", "max_impact", name),
                "policy-lowers",
                f"the policy allows {allowed}, so {name}: {asked} is not used up",
                f"write {allowed} or less, or see max_impact.{name} in {_of(source)}",
                severity=Severity.INFO,
            )


# ------------------------------------------------------------------------------------- facts


def _applies(rule: Rule, subject: Subject, step: CompiledStep) -> bool:
    """Whether a rule is for every plan of a step, whichever alert comes."""
    lines = [matchers.parse(text) for text in rule.match]
    return bool(subject.runbook.matchers) and all(
        any(all(told.certainly(m) for m in line) for line in lines)
        for told in (facts(subject, step, line) for line in subject.runbook.matchers)
    )


def facts(subject: Subject, step: CompiledStep, line: Sequence[Matcher]) -> Facts:
    """Return what is known of every plan of a step, for alerts that pass a line."""
    runbook, name = subject.runbook, step.operation.name
    found = {
        "action": frozenset({name}),
        "runbook": frozenset({runbook.name}),
        "owner": frozenset({runbook.owner}),
    }
    if name.startswith("kubernetes."):
        found["system"] = frozenset({"kubernetes"})
        found["account"] = found["region"] = frozenset({""})
        _add(found, "scope", step.parameters.get("namespace"), subject, line)
        for parameter, kind in _KINDS.items():
            if parameter in step.parameters:
                found["kind"] = frozenset({kind})
                _add(found, "name", step.parameters[parameter], subject, line)
    elif name == "exec":
        found["system"], found["kind"] = frozenset({"host"}), frozenset({"Command"})
        found["account"] = found["region"] = frozenset({""})
        if step.parameters.get("target"):
            _add(found, "name", step.parameters["target"], subject, line)
    return Facts(found, line)


def _add(
    found: dict[str, frozenset[str]],
    name: str,
    value: Compiled,
    subject: Subject,
    line: Sequence[Matcher],
) -> None:
    few = _values(value, subject, line)
    if few:
        found[name] = few


def _values(value: Compiled, subject: Subject, line: Sequence[Matcher]) -> frozenset[str] | None:
    """Return the values that a parameter may have; None where they are not few and known."""
    if isinstance(value, str):
        return frozenset({value})
    sole = value.sole if isinstance(value, Template) else None
    if sole is None:
        return None
    text = sole.text.replace(" ", "")
    if text.startswith("vars."):
        inner = subject.runbook.frame.vars.get(text.removeprefix("vars."))
        return _values(inner, subject, line) if inner is not None else None
    for prefix in ("labels.", "alert.labels."):
        if text.startswith(prefix) and text.removeprefix(prefix).isidentifier():
            return known.values(line, text.removeprefix(prefix))
    if not sole.names:
        return frozenset({str(render(value, {}))})
    return None


def _parameter(step: CompiledStep, what: str) -> str:
    if what == "scope" and "namespace" in step.parameters:
        return "namespace"
    if what in ("kind", "name"):
        return next((name for name in _KINDS if name in step.parameters), "")
    return ""


def _fits(value: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(value, pattern) for pattern in patterns)


def _or(values: frozenset[str]) -> str:
    return " or ".join(repr(value) for value in sorted(values))
