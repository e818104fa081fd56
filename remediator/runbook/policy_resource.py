"""`RemediationPolicy` resources: YAML → rules of the policy that can only tighten, and only for one
namespace.

A resource holds a policy's limits as its file does, but for what is of the whole (where remediator
may act, breakers, trust, overrides) and for what could loosen: who answers, and whether silence is
a yes. Its limits and each of its rules become rules that match targets of its namespace. Pure.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field, ValidationError

from remediator.model import complaints, matchers
from remediator.model.policy import Block, Rule
from remediator.model.quantities import format_duration
from remediator.runbook import faults, manifests
from remediator.runbook.document import Document, Path
from remediator.runbook.findings import Finding, RunbookErrors
from remediator.runbook.manifests import Home

MOST_RULES = 20
"""Of one resource: every plan asks all of them."""
LONGEST_WINDOW = timedelta(days=31)
"""The journal keeps what limits look back on; a namespace must not make it keep years."""


class PolicyResourceSpec(Block):
    """Limits for the targets of one namespace; all hold beside the operator's policy."""

    rules: Annotated[tuple[Rule, ...], Field(max_length=MOST_RULES)] = ()
    """More limits for the plans that their matchers choose; all that match hold."""


def rules_in(doc: Document) -> tuple[Home, tuple[Rule, ...]]:
    """Return the rules that a resource adds to the policy.

    Raises:
        RunbookErrors: with every fault.
    """
    spec, home = manifests.spec_of(doc, manifests.POLICY)
    if found := list(_loosening(spec)):
        raise RunbookErrors(found)
    policy = faults.validated(spec, PolicyResourceSpec, "the spec of a policy")
    if found := list(_too_far_back(spec, policy)):
        raise RunbookErrors(found)
    return home, tuple(_rules(spec, home, policy))


def _rules(doc: Document, home: Home, policy: PolicyResourceSpec) -> Iterator[Rule]:
    base = {k: getattr(policy, k) for k in Block.model_fields if k in policy.model_fields_set}
    own = f'system="kubernetes", scope="{home.namespace}"'
    if base:
        yield _rule(doc, (), str(home), (own,), base)
    for number, rule in enumerate(policy.rules):
        given = {k: getattr(rule, k) for k in Block.model_fields if k in rule.model_fields_set}
        lines = tuple(_narrowed(line, own) for line in rule.match)
        yield _rule(doc, ("rules", number), f"{home}/{rule.name}", lines, given)


def _narrowed(line: str, own: str) -> str:
    """Return a line with the namespace's own matchers after those that stand there."""
    return ", ".join([*(str(one) for one in matchers.parse(line)), own])


def _rule(
    doc: Document, path: Path, name: str, match: tuple[str, ...], given: Mapping[str, Any]
) -> Rule:
    try:
        return Rule(name=name, match=match, **given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        text = f"as rule {name}: {complaints.plain(first['msg'])}"
        raise RunbookErrors([doc.finding(path, "invalid", text)]) from None


def _loosening(doc: Document) -> Iterator[Finding]:
    """Find what is not a namespace's to say, before anything of it is looked at: a calendar would
    be read from the daemon's own files."""
    blocks: list[tuple[Path, Any]] = [((), doc.value)]
    rules = doc.value.get("rules")
    if isinstance(rules, list):
        blocks += [(("rules", n), rule) for n, rule in enumerate(rules)]
    for path, block in blocks:
        if not isinstance(block, Mapping):
            continue
        for kind in ("freeze", "maintenance"):
            windows = block.get(kind)
            for number, window in enumerate(windows if isinstance(windows, list) else ()):
                if isinstance(window, Mapping) and "calendar" in window:
                    text = "calendar: it would be a file of the daemon's; give the times"
                    at = (*path, kind, number, "calendar")
                    yield doc.finding(at, "not-yours", text, key=True)
        approval = block.get("approval")
        if not isinstance(approval, Mapping):
            continue
        if "approvers" in approval:
            text = (
                "approvers: who may answer is the operator's to say; quorum and four_eyes are not"
            )
            yield doc.finding((*path, "approval", "approvers"), "not-yours", text, key=True)
        if approval.get("on_expiry") == "approve":
            text = "on_expiry: that silence is a yes is the operator's to say"
            yield doc.finding((*path, "approval", "on_expiry"), "not-yours", text)


def _too_far_back(doc: Document, policy: PolicyResourceSpec) -> Iterator[Finding]:
    blocks: list[tuple[Path, Block]] = [((), policy)]
    blocks += [(("rules", number), rule) for number, rule in enumerate(policy.rules)]
    for path, block in blocks:
        for key, span in _spans(block):
            if span > LONGEST_WINDOW:
                at_most = format_duration(LONGEST_WINDOW)
                text = f"{'.'.join(key)}: {format_duration(span)} is too long; at most {at_most}"
                yield doc.finding((*path, *key), "too-long", text)


def _spans(block: Block) -> Iterator[tuple[tuple[str, ...], timedelta]]:
    if block.cooldown is not None:
        yield ("cooldown",), block.cooldown
    for section in ("rate", "budget", "cost"):
        given = getattr(block, section)
        for name in type(given).model_fields:
            values = getattr(given, name)
            for one in values if isinstance(values, tuple) else ():
                yield (section, name), one.per
