"""People whom runbooks ask and call exist: found at load, with the place and the right name."""

from typing import Any

import pytest

from remediator.model.oncall import OnCall
from remediator.model.policy import Policy
from remediator.plugin.registry import Registry
from remediator.runbook import people, policy_file
from remediator.runbook.compile import compile_runbook
from remediator.settings import Settings

GROUPS = {"sre-oncall": ("slack:U0ANNA", "api:bert")}
BOOK = """\
name: api
description: A runbook.
match: ['alertname="X"']
steps: [{id: a, action: http.check, with: {url: "http://x"}}]
"""


def findings(registry: Registry, more: str, *, default: tuple[str, ...] = ("local",)) -> list[str]:
    runbook = compile_runbook(BOOK + more, "a.yaml", registry)
    names = people.Names(GROUPS)
    found = people.check([runbook], names=names, default_approvers=default, notifiers={"slack"})
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


ONE = OnCall.model_validate(
    {
        "time_zone": "UTC",
        "rotation": {"people": ["alice", "bob"], "start": "2026-01-05T09:00"},
    }
)


@pytest.mark.parametrize(
    ("approvers", "quorum", "says"),
    [
        ("alice, api:al", 2, "2 people must approve, and only 1 may"),
        ("alice, slack:U9", 2, ""),
        ("schedule:duty", 2, "2 people must approve, and only 1 may"),
        ("schedule:duty, slack:U9", 2, ""),
        ("schedule:paged", 3, ""),
        ("slack-group:S1", 3, ""),
        ("leads", 3, ""),
    ],
)
def test_a_quorum_is_of_different_people(
    registry: Registry, approvers: str, quorum: int, says: str
) -> None:
    runbook = compile_runbook(
        BOOK + f"approval: {{approvers: [{approvers}], quorum: {quorum}}}\n", "a.yaml", registry
    )
    names = people.Names(
        groups={"leads": ("slack-group:S1",)},
        people={"alice": ("slack:U1", "api:al")},
        schedules={"duty": ONE, "paged": None},
    )
    found = people.check([runbook], names=names, default_approvers=(), notifiers=())
    assert [says in str(one) for one in found] == ([True] if says else [])


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"groups": {"sre": []}}, "groups.sre: nobody is in it"),
        ({"groups": {"sre": ["dba"], "dba": ["slack:U1"]}}, "groups do not nest"),
        ({"groups": {"sre": ["slak:U1"]}}, 'groups.sre.0: "slak:U1": nobody is known by "slak:"'),
        ({"groups": {"sre": ["slak:U1"]}}, 'did you mean "slack"?'),
        ({"groups": {"sre": ["slack:anna"]}}, "write it like slack:U0123"),
        ({"groups": {"sre": ["slack-group:sre"]}}, "write it like slack-group:S0123"),
        ({"groups": {"sre": ["schedule:dty"]}}, 'did you mean "duty"?'),
        ({"groups": {"alice": ["slack:U2"]}}, "a person is called so too"),
        ({"groups": {"slack:U1": ["slack:U2"]}}, "groups.slack:U1: an identity is called so"),
        ({"groups": {"local": ["slack:U2"]}}, "groups.local: an identity is called so"),
        ({"groups": {"sre": ["alic"]}}, 'did you mean "alice"?'),
        ({"default_approvers": ["sre"]}, 'default_approvers.0: "sre" is no group or person'),
        ({"roles": {"admin": ["sre"]}}, 'roles.admin.0: "sre" is no group or person'),
        ({"roles": {"admin": ["api:al"]}}, "has the role of its token"),
        ({"roles": {"admin": ["local"]}}, "local is an admin while no token is configured"),
        ({"people": {"Al": ["slack:U2"]}}, "people.Al: call people like alice"),
        ({"people": {"local": ["slack:U2"]}}, "people.local: call people like alice"),
        ({"people": {"al": []}}, "people.al: has no identity"),
        ({"people": {"al": ["schedule:duty"]}}, "is no identity such as"),
        ({"people": {"al": ["slack:U2"], "bo": ["slack:U2"]}}, "slack:U2 is al already"),
    ],
)
def test_people_of_the_settings_who_can_not_be(more: dict[str, Any], says: str) -> None:
    given = Settings.model_validate({"people": {"alice": ["slack:U1"]}, **more})
    names = people.Names(given.groups, given.people, {"duty": None})
    found = list(people.faults(given, names))
    assert any(says in line for line in found), found


def test_a_user_group_without_slack_is_a_fault() -> None:
    given = Settings.model_validate({"groups": {"sre": ["slack-group:S1"]}})
    (found,) = people.faults(given, people.Names(given.groups, user_groups=False))
    assert "Slack is not configured" in found


def test_whom_a_schedule_names_must_exist() -> None:
    given = Settings.model_validate({"people": {"alice": ["slack:U1"]}})
    (found,) = people.faults(given, people.Names({}, given.people, {"duty": ONE}))
    assert found.startswith('schedules.duty.file: "bob" is no group or person')


def test_settings_with_people_as_they_should_be() -> None:
    given = Settings.model_validate(
        {
            "people": {"alice": ["slack:U1", "api:al", "pagerduty:P1"], "bob": ["slack:U2"]},
            "groups": {"sre": ["alice", "slack:U3", "slack-group:S1", "schedule:duty", "local"]},
            "roles": {"viewer": ["sre"], "operator": ["alice"], "admin": ["schedule:duty"]},
            "default_approvers": ["sre", "local"],
        }
    )
    assert list(people.faults(given, people.Names(given.groups, given.people, {"duty": ONE}))) == []


def test_a_rule_that_asks_more_people_than_it_names_is_an_error_where_it_stands() -> None:
    source = policy_file.of_settings(
        Policy.model_validate(
            {
                "rules": [
                    {
                        "name": "pay",
                        "match": 'scope="pay"',
                        "approval": {"approvers": ["api:al", "api:bo"], "quorum": 3},
                    }
                ]
            }
        )
    )
    (finding,) = people.of_policy(source, people.Names())
    assert finding.code == "quorum"
    assert "rules.0.approval.quorum: 3 people must approve, and only 2 may" in finding.message
