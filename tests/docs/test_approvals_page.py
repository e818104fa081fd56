"""The examples of docs/approvals.md are good: settings, schedules, policies, sentences."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from remediator.engine import answers
from remediator.model.oncall import OnCall
from remediator.model.policy import Policy
from remediator.plugin import registry as plugins
from remediator.runbook import document, faults, people, policy_file
from remediator.runbook.compile import compile_runbook
from remediator.settings import Settings

PAGE = (Path(__file__).resolve().parents[2] / "docs/approvals.md").read_text(encoding="utf-8")
YAMLS: list[str] = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def example(key: str) -> str:
    (text,) = [one for one in YAMLS if re.search(rf"^{key}:", one, re.MULTILINE)]
    return text


def settings(key: str) -> Settings:
    return Settings.model_validate(YAML(typ="safe", pure=True).load(example(key)))


def oncall() -> OnCall:
    parsed = document.parse(example("rotation"), "oncall.yaml")
    return faults.validated(parsed[0], OnCall, "a schedule")


def names(given: Settings) -> people.Names:
    schedules = {name: oncall() if one.file else None for name, one in given.schedules.items()}
    return people.Names(given.groups, given.people, schedules)


def policy() -> Policy:
    return policy_file.parse(example("rules"), "policy.yaml")


@pytest.mark.parametrize("key", ["default_approvers", "roles"])
def test_the_people_of_the_examples_are_somebody(key: str) -> None:
    given = settings(key)
    assert list(people.faults(given, names(given))) == []


def test_the_runbook_and_the_policy_ask_people_who_are_there() -> None:
    given = settings("default_approvers")
    runbook = compile_runbook(example("match"), "a.yaml", plugins.load(third_party=False))
    found = people.check(
        [runbook],
        names=names(given),
        default_approvers=given.default_approvers,
        notifiers=(),
        policy=policy().approval,
    )
    assert list(found) == []
    assert list(people.of_policy(policy_file.of_settings(policy()), names(given))) == []
    assert policy().approval.deny_reason


def test_the_on_call_file_says_who() -> None:
    assert oncall().at(datetime(2026, 1, 12, 8, 0, tzinfo=UTC)) == ("bob",)
    assert list(oncall().gaps(after=datetime(2026, 2, 1, tzinfo=UTC))) == []


def test_the_page_tells_what_answers_really_say() -> None:
    table = PAGE.partition("| the answer | is told |")[2]
    told = [row.split("|")[2].strip() for row in table.splitlines() if row.startswith("| ")]
    quoted = [one.removesuffix(" …") for one in told if one[0].isupper()]
    assert len(quoted) == 5
    said = list(answers.SENTENCES.values())
    for sentence in quoted:
        assert any(one.startswith(sentence) for one in said), sentence


def test_the_bounds_of_a_snooze_are_what_the_page_says() -> None:
    assert (answers.SHORTEST_SNOOZE.total_seconds(), answers.LONGEST_SNOOZE.total_seconds()) == (
        60,
        8 * 3600,
    )
    assert "one minute to eight hours" in PAGE
