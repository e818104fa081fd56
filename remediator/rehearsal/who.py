"""Who the people of a test are: groups, default approvers, and who may do what. Pure.

Without `groups` whoever is named in a timeline is in every group that a runbook or the policy
names, so that a test of a plan need not say who its approvers are.
"""

from collections.abc import Iterable, Iterator, Sequence

from remediator.engine.people import Known
from remediator.model import escalation
from remediator.model.policy import Policy
from remediator.rehearsal.schema import Event, TestFile
from remediator.runbook.runbook import Runbook
from remediator.settings import Role

LOCAL = "local"
"""Who sits at the machine: somebody who may do everything."""


def known(spec: TestFile, timeline: Sequence[Event], asked: Iterable[str]) -> Known:
    """Return what the settings of a test's daemon say about people.

    Args:
        spec: the test's file.
        timeline: of the test.
        asked: every name that a runbook or the policy asks.
    """
    everyone = named(timeline)
    if spec.groups is None:
        groups = {name: everyone for name in asked if name not in everyone}
        return Known(groups=groups, roles={Role.OPERATOR: everyone})
    members = tuple(dict.fromkeys(name for group in spec.groups.values() for name in group))
    return Known(groups=spec.groups, roles={Role.OPERATOR: members})


def default_approvers(spec: TestFile, timeline: Sequence[Event]) -> tuple[str, ...]:
    """Return who is asked where a runbook names nobody."""
    if spec.default_approvers is not None:
        return spec.default_approvers
    return named(timeline) or (LOCAL,)


def asked(runbooks: Iterable[Runbook], policy: Policy) -> Iterator[str]:
    """Yield every name that is asked, or that the policy lets answer or override."""
    for runbook in runbooks:
        yield from runbook.approval.approvers
    for block in (policy, *policy.rules):
        yield from block.approval.approvers
    yield from policy.override.people


def pagers(spec: TestFile, runbooks: Iterable[Runbook]) -> tuple[str, ...]:
    """Return the notifiers that an escalation calls by name, each once."""
    calls = [*spec.escalate_to, *(c for one in runbooks for c in one.on_failure.escalate)]
    return tuple(dict.fromkeys(escalation.names(calls)))


def named(timeline: Sequence[Event]) -> tuple[str, ...]:
    """Return the people in a timeline, each once."""
    words = (getattr(event, event.what) for event in timeline)
    found = (getattr(word, "by", None) for word in words)
    return tuple(dict.fromkeys(name for name in found if name))
