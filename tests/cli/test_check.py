"""Proves `check`: every finding with its place, the exit codes, and that what we ship is clean."""

import json
import re
from pathlib import Path

from tests.cli.commands import ROOT, Box, remediator

DEMO = ROOT / "remediator" / "cli" / "demo_files"


def test_what_we_ship_is_clean() -> None:
    shipped = remediator(
        "check",
        "runbooks",
        "config/remediator.yaml",
        str(DEMO / "runbooks"),
        str(DEMO / "remediator.yaml"),
        env={"REMEDIATOR_PAGERDUTY__ROUTING_KEY": "as-the-demo-sets-it"},
    )
    assert shipped.returncode == 0, shipped.stdout
    assert re.search(r": clean( \(\d+ findings? ignored\))?\n$", shipped.stdout)
    assert len(shipped.stdout.splitlines()) == 1


def test_findings_have_places(fresh: Box) -> None:
    file = fresh.folder / "runbooks" / "asks-first.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("mode: approve", "mood: approve"), encoding="utf-8")
    checked = remediator("check", str(fresh.folder / "runbooks"))
    assert checked.returncode == 1
    finding, page, summary = checked.stdout.splitlines()
    assert page.startswith("docs/findings.md#")
    assert finding.startswith(f"{file}:5:1: error: ")
    assert 'did you mean "mode"?' in finding
    assert summary.endswith(": 1 error")
    assert checked.stderr == ""


def test_lint_warns(fresh: Box) -> None:
    file = fresh.folder / "runbooks" / "acts-alone.yaml"
    text = re.sub(r"^verify: .*\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    file.write_text(text, encoding="utf-8")
    checked = remediator("check", str(file), "-o", "json")
    assert checked.returncode == 1
    told = json.loads(checked.stdout)
    assert told["files"] == told["runbooks"] == 1
    (finding,) = told["findings"]
    assert finding["code"] == "no-verify"
    assert finding["severity"] == "warning"
    assert finding["file"] == str(file)


def test_settings_have_places(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(
        "listen: 127.0.0.1:0\npolicy:\n  cooldwn: 5m\n  mode: autom\n", encoding="utf-8"
    )
    for arguments in ((str(config),), ("--config", str(config))):
        checked = remediator("check", *arguments)
        assert checked.returncode == 1
        lines = checked.stdout.splitlines()
        assert (
            f"{config}:3:3: error: policy.cooldwn: unknown key; did you mean cooldown? [settings]"
            in lines
        )
        assert any(line.startswith(f"{config}:4:3: error: policy.mode: ") for line in lines)
        assert lines[-1] == "1 file, 0 runbooks: 2 errors"


def test_settings_that_are_no_yaml(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("policy: {\n", encoding="utf-8")
    checked = remediator("check", "--config", str(config))
    assert checked.returncode == 1
    assert checked.stdout.startswith(f"{config}:2:1: error: ")


def test_nothing_to_check_is_no_success(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for path in (empty, ROOT / "README.md"):
        checked = remediator("check", str(path))
        assert checked.returncode == 1
        assert checked.stdout.startswith(f"{path}:1:1: error: ")
        assert "[nothing-to-check]" in checked.stdout


def test_settings_inside_a_folder_are_checked_too(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("listen: 127.0.0.1:0\npolicy: {mode: autom}\n", encoding="utf-8")
    checked = remediator("check", str(tmp_path))
    assert checked.returncode == 1
    assert f"{config}:2:10: error: policy.mode" in checked.stdout


def test_people_are_held_against_the_settings(fresh: Box) -> None:
    file = fresh.folder / "runbooks" / "asks-first.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "\napproval: {approvers: [nobody-there]}\n", encoding="utf-8")
    assert remediator("check", str(file)).returncode == 0
    checked = remediator("check", str(file), "--config", fresh.config)
    assert checked.returncode == 1
    assert '"nobody-there" is no group or person of the settings' in checked.stdout


def test_a_warning_does_not_hide_people_who_are_nobody(fresh: Box) -> None:
    file = fresh.folder / "runbooks" / "acts-alone.yaml"
    text = re.sub(r"^verify: .*\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    file.write_text(text + "\napproval: {approvers: [nobody-there]}\n", encoding="utf-8")
    checked = remediator("check", str(file), "--config", fresh.config)
    assert "[no-verify]" in checked.stdout
    assert "[unknown-approver]" in checked.stdout


def test_people_of_the_settings_have_their_places(fresh: Box, tmp_path: Path) -> None:
    oncall = tmp_path / "oncall.yaml"
    oncall.write_text("time_zone: UTC\nrotation: {people: [bob], start: 2026-01-05T09:00}\n")
    config = tmp_path / "settings.yaml"
    config.write_text(
        "people: {alice: [api:alice]}\n"
        f"schedules: {{duty: {{file: {oncall}}}}}\n"
        "groups:\n  sre: [schedule:dty, alic]\n",
        encoding="utf-8",
    )
    runbooks = str(fresh.folder / "runbooks")
    checked = remediator("check", runbooks, "--config", str(config), "--severity", "warning")
    assert checked.returncode == 1
    first, second, third, *_ = checked.stdout.splitlines()
    assert first.startswith(f"{config}:2:20: error: schedules.duty.file: ")
    assert second.startswith(f"{config}:4:9: error: groups.sre.0: ")
    assert 'did you mean "duty"?' in second
    assert third.startswith(f"{config}:4:23: error: groups.sre.1: ")
    assert 'did you mean "alice"?' in third


def test_a_script_that_the_alert_writes(fresh: Box) -> None:
    file = fresh.folder / "runbooks" / "asks-first.yaml"
    text = file.read_text(encoding="utf-8")
    head, _, _ = text.partition("steps:")
    file.write_text(
        head
        + "steps:\n  - id: a\n    action: exec\n    with:\n      target: x\n      plan_text: y\n"
        + '      command: [/bin/sh, -c, "echo ${{ labels.item }}"]\n',
        encoding="utf-8",
    )
    told = remediator("check", str(file)).stdout
    assert "[templated-script]" in told


def test_a_slack_app_that_nobody_can_answer_is_warned_of(tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(
        "listen: 127.0.0.1:0\nslack:\n  bot_token: xoxb-1\n  channel: C0123456789\n",
        encoding="utf-8",
    )
    checked = remediator("check", str(config))

    assert checked.returncode == 1
    finding, page, summary = checked.stdout.splitlines()
    assert page.startswith("docs/findings.md#")
    assert finding.startswith(f"{config}:2:1: warning: slack: neither app_token nor signing_secret")
    assert summary.endswith(": 1 warning")


def test_usage() -> None:
    assert remediator("check").returncode == 2
    assert remediator("check", "no-such-folder").returncode == 2
