"""People whom runbooks ask and call exist: found at load, with the place and the right name."""

import pytest

from remediator.plugin.registry import Registry
from remediator.runbook import people
from remediator.runbook.compile import compile_runbook

GROUPS = {"sre-oncall": ("slack:U0ANNA", "api:bert")}
BOOK = """\
name: api
description: A runbook.
match: ['alertname="X"']
steps: [{id: a, action: http.check, with: {url: "http://x"}}]
"""


def findings(registry: Registry, more: str, *, default: tuple[str, ...] = ("local",)) -> list[str]:
    runbook = compile_runbook(BOOK + more, "a.yaml", registry)
    found = people.check([runbook], groups=GROUPS, default_approvers=default, notifiers={"slack"})
    return [str(one) for one in found]


@pytest.mark.parametrize(
    "more",
    [
        "",
        "approval: {approvers: [sre-oncall], quorum: 2}\n",
        "approval: {approvers: [api:carla, slack:U1], quorum: 2}\n",
        "on_failure: {escalate: [slack]}\n",
    ],
)
def test_people_who_exist(registry: Registry, more: str) -> None:
    assert findings(registry, more) == []


def test_a_group_that_nobody_is_in(registry: Registry) -> None:
    (found,) = findings(registry, "approval: {approvers: [sre-oncal]}\n")
    assert found.startswith("a.yaml:5:24: error: api: ")
    assert 'did you mean "sre-oncall"?' in found


def test_more_people_than_there_are(registry: Registry) -> None:
    (found,) = findings(registry, "approval: {approvers: [sre-oncall], quorum: 3}\n")
    assert "3 people must approve, and only 2 may" in found
    assert findings(registry, "approval: {quorum: 2}\n") != []


def test_a_pager_that_is_not_configured(registry: Registry) -> None:
    (found,) = findings(registry, "on_failure: {escalate: [pagerduty]}\n")
    assert '"pagerduty" is not configured, so nobody would be called' in found
