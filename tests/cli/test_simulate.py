"""Proves `simulate`: plan, verdicts, and why other runbooks do not apply; nothing is changed."""

import json
from pathlib import Path

import pytest

from remediator.engine import guardrails
from tests.cli.commands import Box, notification, remediator


def _file(folder: Path, value: object) -> str:
    file = folder / "alert.json"
    file.write_text(json.dumps(value), encoding="utf-8")
    return str(file)


def test_a_notification(fresh: Box) -> None:
    alert = _file(fresh.folder, notification("Asks", "lamp"))
    shown = remediator("simulate", alert, "--config", fresh.config)
    assert shown.returncode == 0, shown.stderr
    for expected in (
        "alert Asks  firing",
        "runbook asks-first  mode approve",
        "step turn  exec  planned",
        "command box/lamp: switch lamp off → on",
        f"check: not in place → {fresh.folder}/switch on lamp",
        "allow  scope",
        "hold  mode: the mode is approve",
        "→ awaiting_approval",
        "simulated without a journal's history; nothing was changed",
    ):
        assert expected in shown.stdout, shown.stdout
    assert not fresh.is_on("lamp")
    assert not (fresh.folder / "journal.db").exists()


def test_one_alert_from_standard_input_as_json(fresh: Box) -> None:
    alert = json.dumps({"labels": {"alertname": "Acts", "item": "lamp"}})
    shown = remediator("simulate", "-", "--config", fresh.config, "-o", "json", stdin=alert)
    assert shown.returncode == 0, shown.stderr
    (answer,) = json.loads(shown.stdout)["alerts"]
    (run,) = answer["runs"]
    assert (run["runbook"], run["state"], run["reason"]) == ("acts-alone", "applying", "automatic")
    (step,) = run["steps"]
    assert step["plan"]["summary"] == "switch lamp off → on"
    assert {v["ruling"] for v in step["verdicts"]} == {"allow"}
    assert len(step["verdicts"]) == len(guardrails.GUARDRAILS)


def test_why_not(fresh: Box) -> None:
    folder = fresh.folder / "runbooks"
    text = (folder / "asks-first.yaml").read_text(encoding="utf-8")
    for name, change in (
        ("other-tier", ('"Asks"', '"Asks", tier="web"')),
        ("big-only", ("mode:", 'if: labels.item == "big"\nmode:')),
        ("after", ("mode:", "when: resolved\nmode:")),
    ):
        more = text.replace("name: asks-first", f"name: {name}").replace(*change, 1)
        (folder / f"{name}.yaml").write_text(more, encoding="utf-8")
    alert = _file(fresh.folder, [{"labels": {"alertname": "Asks", "item": "lamp"}}])
    shown = remediator("simulate", alert, "--config", fresh.config)
    assert shown.returncode == 0, shown.stderr
    why = [line.strip() for line in shown.stdout.splitlines() if line.startswith("  not ")]
    assert why == [
        "not after: it starts when an alert is resolved, and this one is firing",
        'not big-only: its condition is false: labels.item == "big"',
        'not other-tier: it wants tier="web", and the alert has no label tier',
    ]
    nothing = _file(fresh.folder, {"labels": {"alertname": "Other"}})
    assert "no runbook applies" in remediator("simulate", nothing, "--config", fresh.config).stdout


def test_a_guardrail_refuses(fresh: Box) -> None:
    alert = _file(fresh.folder, notification("Acts", "lamp"))
    env = {"REMEDIATOR_POLICY__SCOPE__SYSTEMS": '["kubernetes"]'}
    shown = remediator("simulate", alert, "--config", fresh.config, env=env)
    assert "refuse  scope: system 'host' is not among the policy's: kubernetes" in shown.stdout
    assert "→ suppressed" in shown.stdout


def test_the_journals_history_counts(box: Box) -> None:
    item = box.item()
    (run,) = box.fire("Acts", item)
    box.until(run, "verifying")
    (box.folder / f"switch.{item}").unlink()
    alert = _file(box.folder, notification("Acts", item))
    shown = box.cli(
        "simulate", alert, "--config", box.config, env={"REMEDIATOR_POLICY__COOLDOWN": "1h"}
    )
    assert "refuse  cooldown: command box/" in shown.stdout, shown.stdout + shown.stderr
    assert "simulated with the journal's history" in shown.stdout


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "is no JSON document"),
        ('{"version": "3", "alerts": []}', 'version: it is "3"'),
        ('{"labels": {}}', "alerts[0].labels: an alert needs at least one label"),
        ("[1]", "alerts[0].labels"),
    ],
)
def test_no_alert(fresh: Box, body: str, said: str) -> None:
    shown = remediator("simulate", "-", "--config", fresh.config, stdin=body)
    assert shown.returncode == 1
    assert shown.stderr.startswith("remediator: standard input: ")
    assert said in shown.stderr
    assert "Traceback" not in shown.stderr


def test_who_would_be_asked_and_what_would_be_silenced(fresh: Box) -> None:
    runbook = fresh.folder / "runbooks" / "asks-first.yaml"
    text = runbook.read_text(encoding="utf-8")
    more = """\
approval: {approvers: [sre], quorum: 2, timeout: 20m}
silence: {match: ['alertname="Noise"'], equal: [item], for: 10m}
"""
    runbook.write_text(text + more, encoding="utf-8")
    config = Path(fresh.config)
    config.write_text(
        config.read_text(encoding="utf-8")
        + "groups: {sre: [ann, ben]}\n"
        + "senders: {default: {alertmanager: ['http://alertmanager.example.org']}}\n",
        encoding="utf-8",
    )
    alert = _file(fresh.folder, notification("Asks", "lamp"))
    shown = remediator("simulate", alert, "--config", fresh.config)
    assert shown.returncode == 0, shown.stderr
    assert "asks sre, 2 of them; within 20m" in shown.stdout
    assert 'silences alertname="Noise", item="lamp" for 10m at most' in shown.stdout
    found = json.loads(
        remediator("simulate", alert, "--config", fresh.config, "-o", "json").stdout
    )["alerts"][0]["runs"][0]
    assert (found["approval"]["approvers"], found["approval"]["quorum"]) == (["sre"], 2)
    assert found["silences"] == ['alertname="Noise", item="lamp" for 10m at most']


def test_no_command_is_started_not_even_a_check(fresh: Box) -> None:
    switch = fresh.folder / "switch"
    switch.write_text(f'#!/bin/sh\necho "$@" >> {fresh.folder}/started\n', encoding="utf-8")
    alert = _file(fresh.folder, notification("Acts", "lamp"))
    shown = remediator("simulate", alert, "--config", fresh.config)
    assert shown.returncode == 0, shown.stderr
    assert f"assumed {switch} is-on lamp: not started, taken to end with 1" in shown.stdout
    assert not (fresh.folder / "started").exists()


def test_a_run_that_would_fail_is_no_success(fresh: Box) -> None:
    env = {"REMEDIATOR_EXEC__ALLOW": '["/usr/bin/true"]'}
    alert = _file(fresh.folder, notification("Acts", "lamp"))
    shown = remediator("simulate", alert, "--config", fresh.config, env=env)
    assert shown.returncode == 1
    assert "→ failed  turn: " in shown.stdout
    assert "may not be started" in shown.stdout
