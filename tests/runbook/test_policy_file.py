"""The policy file is read whole or not at all, and its faults are told with their places."""

import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest

from remediator.model.limits import Mode
from remediator.model.policy import Policy
from remediator.runbook import policy_file
from remediator.runbook.findings import RunbookErrors


def errors(source: str) -> list[str]:
    with pytest.raises(RunbookErrors) as caught:
        policy_file.parse(textwrap.dedent(source), "p.yaml")
    return [str(finding) for finding in caught.value.findings]


def test_a_policy_file_is_the_policy(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("mode: auto\ncooldown: 7m\n", encoding="utf-8")
    loaded = policy_file.load(path)
    assert loaded.policy == Policy.model_validate({"mode": "auto", "cooldown": "7m"})
    assert loaded.policy.mode is Mode.AUTO
    assert loaded.file == str(path)


def test_the_digest_is_of_the_values_and_not_of_the_layout() -> None:
    plain = policy_file.parse("mode: auto\ncooldown: 7m\n", "p.yaml")
    written = policy_file.parse("# why\ncooldown: 420s\nmode:   auto\n", "p.yaml")
    assert policy_file.digest(plain) == policy_file.digest(written)
    other = policy_file.parse("mode: auto\ncooldown: 8m\n", "p.yaml")
    assert policy_file.digest(plain) != policy_file.digest(other)
    assert policy_file.of_settings(plain).digest == policy_file.digest(plain)


def test_faults_name_file_line_column_and_the_nearest_right_name() -> None:
    source = """\
    mode: aproove
    coldown: 5m
    scope:
      scops: [shop]
    max_impact: {pods: -1, share: 120%}
    """
    assert errors(source) == [
        "p.yaml:1:7: error: mode: it should be 'observe', 'approve' or 'auto' [invalid]",
        'p.yaml:2:1: error: unknown key "coldown"; did you mean "cooldown"? [unknown-key]',
        'p.yaml:4:3: error: unknown key "scops"; did you mean "scopes"? [unknown-key]',
        "p.yaml:5:20: error: max_impact.pods: it should be greater than or equal to 0 [invalid]",
        "p.yaml:5:31: error: max_impact.share: '120%' is no share; write a percentage from 0% to"
        " 100% [invalid]",
    ]


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("", "0 documents where one policy is expected"),
        ("# all of it is commented out\n", "0 documents where one policy is expected"),
        ("mode: auto\n---\nmode: observe\n", "2 documents where one policy is expected"),
        ("- mode: auto\n", "a policy is a mapping of keys"),
        ("mode: [\n", "[yaml]"),
    ],
)
def test_what_is_no_policy_is_refused(source: str, fault: str) -> None:
    (found,) = errors(source)
    assert fault in found


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunbookErrors, match="the policy cannot be read: No such file"):
        policy_file.load(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ({"cooldown": "5m", "coldown": "5m"}, True),
        ({"rate": {}, "mode": "auto"}, True),
        ({"name": "a", "match": [], "mode": "auto"}, False),
        ({"policy": {"mode": "auto"}}, False),
        ([], False),
        (None, False),
    ],
)
def test_a_policy_is_told_from_runbooks_and_settings(value: object, is_one: bool) -> None:
    assert policy_file.is_policy(value) is is_one


CALENDAR = """\
BEGIN:VCALENDAR\r
VERSION:2.0\r
BEGIN:VEVENT\r
UID:a\r
SUMMARY:Release\r
DTSTART:20260701T100000Z\r
DTEND:20260701T{ends}0000Z\r
END:VEVENT\r
END:VCALENDAR\r
"""


def test_a_calendar_lies_beside_the_policy_and_is_part_of_its_digest(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "freeze.ics").write_text(CALENDAR.format(ends="12"), encoding="utf-8")
    path = folder / "policy.yaml"
    path.write_text("freeze: [{calendar: freeze.ics}]\n", encoding="utf-8")
    before = policy_file.load(path)
    at = datetime(2026, 7, 1, 11, 30, tzinfo=UTC)
    assert before.policy.freeze[0].covers(at) is not None
    assert list(before.policy.calendars) == [folder / "freeze.ics"]
    (folder / "freeze.ics").write_text(CALENDAR.format(ends="11"), encoding="utf-8")
    after = policy_file.load(path)
    assert after.policy.freeze[0].covers(at) is None
    assert after.digest != before.digest
    (folder / "freeze.ics").unlink()
    with pytest.raises(RunbookErrors) as refused:
        policy_file.load(path)
    assert "cannot read the calendar" in str(refused.value)
    assert str(refused.value).startswith(f"{path}:1:")
    assert before.policy.freeze[0].covers(at) is not None  # what was read stays in force


def test_calendars_of_a_policy_in_the_settings_are_read_again(tmp_path: Path) -> None:
    file = tmp_path / "freeze.ics"
    file.write_text(CALENDAR.format(ends="12"), encoding="utf-8")
    policy = Policy.model_validate({"freeze": [{"calendar": str(file)}], "cooldown": "7m"})
    file.write_text(CALENDAR.format(ends="11"), encoding="utf-8")
    again = policy_file.read_again(policy).policy
    assert again.cooldown == policy.cooldown
    assert again.calendars != policy.calendars
    file.unlink()
    with pytest.raises(RunbookErrors, match="cannot read the calendar"):
        policy_file.read_again(policy)
