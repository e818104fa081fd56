"""Proves the commands that speak to a running daemon: what they show, do, and refuse."""

import json
import subprocess
from typing import Any

from tests.cli.commands import Box


def _json(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_run_from_question_to_change(box: Box) -> None:
    item = box.item()
    run = box.waiting(item)

    listed = box.cli("runs", "--state", "awaiting_approval")
    assert listed.returncode == 0
    head, *rows = listed.stdout.splitlines()
    assert head.split() == ["ID", "STATE", "AGE", "TOOK", "RUNBOOK", "TARGET", "MESSAGE"]
    row = next(line for line in rows if line.startswith(run))
    assert row.split()[1:2] == ["awaiting_approval"]
    assert f"switch {item} off → on" in row

    page = box.cli("runs", "show", run).stdout
    for expected in (
        "asks-first  Turn a switch on.",
        "awaiting_approval  mode_approve",
        f'alertname="Asks", item="{item}"',
        f"command: check: not in place → {box.folder}/switch on {item}",
        "runs a command on box",
        f"run {box.folder}/switch off {item}",
        "hold  mode: the mode is approve",
        "may decide  local",
        f"decide: remediator approve {run}, or remediator deny {run}",
    ):
        assert expected in page, page
    assert not box.is_on(item)

    blind = box.cli("approve", run)
    assert blind.returncode == 1
    assert f"command box/{item}: switch {item} off → on" in blind.stdout
    assert "way back" in blind.stdout
    assert "there is no terminal to ask on" in blind.stderr
    asked = box.until(run, "awaiting_approval")["approval"]["id"]
    assert f"--approval {asked}" in blind.stderr
    other = box.cli("approve", run, "--approval", "another")
    assert other.returncode == 1
    assert "the run asks something else by now" in other.stderr
    approved = box.cli("approve", run[-10:], "--approval", asked, "--reason", "looks right")
    assert approved.returncode == 0, approved.stderr
    assert approved.stdout.splitlines() == [
        "Approved. The change is being made.",
        f"follow it with: remediator runs show {run}",
    ]
    box.until(run, "verifying")
    assert box.is_on(item)
    page = box.cli("runs", "show", run).stdout
    assert "approve by local through api: looks right" in page
    assert f"{item} is on" in page

    again = box.cli("approve", run)
    assert again.returncode == 0
    assert "You had already said so; nothing changes." in again.stdout
    late = box.cli("deny", run)
    assert late.returncode == 1
    assert late.stderr == "remediator: This had already been decided; nothing changes.\n"

    box.fire("Asks", item, status="resolved")
    box.until(run, "succeeded")
    found = _json(box.cli("runs", "list", "--runbook", "asks-first", "-o", "json"))
    assert set(found) == {"items", "next"}
    assert next(one for one in found["items"] if one["id"] == run)["state"] == "succeeded"
    assert _json(box.cli("runs", "show", run, "-o", "json"))["steps"][0]["state"] == "done"


def test_what_waits_is_put_off_and_asked_anew(box: Box) -> None:
    item = box.item()
    run = box.waiting(item)
    listed = box.cli("approvals", "--mine")
    head, *rows = listed.stdout.splitlines()
    assert head.split() == ["ID", "UNTIL", "MINE", "NEEDS", "FOR", "RUNBOOK", "PLANS"]
    row = next(line for line in rows if line.startswith(run))
    assert "0 of 1" in row
    assert "asks-first" in row
    found = _json(box.cli("approvals", "-o", "json"))
    asked = next(one for one in found["items"] if one["run"]["id"] == run)
    assert (asked["mine"], asked["approval"]["approvers"]) == (True, ["local"])

    long = box.cli("snooze", run, "--for", "9h")
    assert long.returncode == 1
    assert "for: Snooze for 1m to 8h" in long.stderr
    off = box.cli("snooze", run[-10:], "--for", "1h", "--reason", "lunch")
    assert off.returncode == 0, off.stderr
    assert off.stdout.startswith("Snoozed until ")
    assert box.until(run, "pending")["reason"] == "snoozed"
    listed = box.cli("approvals", "-o", "json")
    assert all(one["run"]["id"] != run for one in _json(listed)["items"])
    again = box.cli("snooze", run, "--for", "1h")
    assert again.returncode == 1
    assert "Snoozed by local until" in again.stderr + box.cli("runs", "show", run).stdout
    assert not box.is_on(item)
    box.cli("runs", "cancel", run)


def test_deny_changes_nothing(box: Box) -> None:
    item = box.item()
    run = box.waiting(item)
    told = _json(box.cli("deny", run, "--reason", "not now", "-o", "json"))
    assert told["id"] == run
    assert told["outcome"] == "denied"
    assert box.until(run, "denied")["approval"]["decisions"][0]["reason"] == "not now"
    assert not box.is_on(item)
    late = box.cli("approve", run)
    assert late.returncode == 1
    assert late.stdout == ""


def test_cancel(box: Box) -> None:
    run = box.waiting(box.item())
    assert box.cli("runs", "cancel", run).stdout == f"cancelled run {run}\n"
    again = box.cli("runs", "cancel", run)
    assert again.returncode == 1
    assert again.stderr == "remediator: the run has ended already\n"


def test_only_what_called_somebody_is_acknowledged(box: Box) -> None:
    run = box.waiting(box.item())
    refused = box.cli("runs", "ack", run, "--reason", "mine")
    assert refused.returncode == 1
    assert refused.stderr == "remediator: the run has called nobody\n"


def test_only_interrupted_runs_are_resumed(box: Box) -> None:
    run = box.waiting(box.item())
    refused = box.cli("runs", "resume", run, "--how", "done")
    assert refused.returncode == 1
    assert refused.stderr == (
        "remediator: only an interrupted run is resumed; this one is awaiting_approval\n"
    )
    assert box.cli("runs", "resume", run).returncode == 2


def test_run_by_hand(box: Box) -> None:
    item = box.item()
    started = box.cli("run", "acts-alone", "--label", f"item={item}", "-l", "alertname=Acts")
    assert started.returncode == 0, started.stderr
    run = started.stdout.split()[1].rstrip(";")
    assert started.stdout == f"started {run}; follow it with: remediator runs show {run}\n"
    box.until(run, "verifying", "succeeded")
    assert box.is_on(item)
    page = box.cli("runs", "show", run).stdout
    assert f'alertname="Acts", item="{item}"' in page
    assert "started by" in page


def test_run_by_hand_with_parameters(box: Box) -> None:
    label = f"item={box.item()}"
    started = box.cli("run", "asks-first", "--label", label, "--param", "to=very much on")
    assert started.returncode == 0, started.stderr
    run = started.stdout.split()[1].rstrip(";")
    box.until(run, "awaiting_approval")
    page = box.cli("runs", "show", run).stdout
    assert 'to="very much on"' in page
    assert "off → very much on" in page
    records = box.cli("audit", "export", "--config", box.config).stdout
    assert '"parameters":{"to":"very much on"}' in records.replace(" : ", ":").replace(": ", ":")

    wrong = box.cli("run", "asks-first", "--param", "too=1")
    assert wrong.returncode == 1
    assert 'parameters.too: there is no parameter "too"; did you mean "to"?' in wrong.stderr
    form = box.cli("run", "asks-first", "--param", "to")
    assert form.stderr.splitlines()[-1] == (
        "Error: --param: 'to' is no parameter; write NAME=VALUE"
    )


def test_run_mistakes(box: Box) -> None:
    wrong = box.cli("run", "asks-first", "--label", "item")
    assert wrong.returncode == 2
    assert wrong.stderr.splitlines()[-1] == ("Error: --label: 'item' is no label; write NAME=VALUE")
    unknown = box.cli("run", "nothing")
    assert unknown.returncode == 1
    assert unknown.stderr == "remediator: there is no runbook nothing\n"


def test_incidents(box: Box) -> None:
    item = box.item()
    box.fire("Looks", item)
    listed = box.cli("incidents", "--status", "open").stdout
    row = next(line for line in listed.splitlines() if f'item="{item}"' in line)
    assert row.split()[1] == "open"
    assert " Looks " in row
    box.fire("Looks", item, status="resolved")
    found = _json(box.cli("incidents", "--status", "resolved", "-o", "json"))["items"]
    assert item in [one["labels"].get("item") for one in found]


def test_observe_shows_the_plan_and_changes_nothing(box: Box) -> None:
    item = box.item()
    (run,) = box.fire("Looks", item)
    box.until(run, "observed")
    assert f"switch {item} off → on" in box.cli("runs", "show", run).stdout
    assert not box.is_on(item)


def test_pause_and_resume(box: Box) -> None:
    scope = "runbook:acts-alone"
    paused = box.cli("pause", "--scope", scope, "--for", "1h", "--reason", "deploying")
    assert paused.returncode == 0, paused.stderr
    assert paused.stdout.startswith(f"paused {scope} until ")
    assert paused.stdout.endswith(f"lift it with: remediator resume --scope {scope}\n")
    assert "deploying" in box.cli("pause", "--list").stdout
    try:
        item = box.item()
        (run,) = box.fire("Acts", item)
        view = box.until(run, "suppressed")
        assert "deploying" in view["message"]
        assert not box.is_on(item)
    finally:
        lifted = box.cli("resume", "--scope", scope)
    assert lifted.stdout == f"lifted the pause of {scope}\n"
    again = box.cli("resume", "--scope", scope)
    assert again.returncode == 1
    assert again.stderr == f"remediator: {scope} is not paused; nothing is paused now\n"
    assert box.cli("pause", "--list").stderr == "nothing is paused\n"


def test_pause_mistakes(box: Box) -> None:
    for arguments, part in (
        (("--scope", "shop"), "scope"),
        (("--for", "soon"), "is no duration; write a number and a unit"),
    ):
        refused = box.cli("pause", *arguments)
        assert refused.returncode == 1
        assert part in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


def test_unknown_runs_and_words(box: Box) -> None:
    for arguments in (("runs", "show", "zzzzzzzz"), ("approve", "zzzzzzzz")):
        refused = box.cli(*arguments)
        assert refused.returncode == 1
        assert refused.stderr == "remediator: there is no run zzzzzzzz\n"
    refused = box.cli("runs", "--state", "done")
    assert refused.returncode == 1
    assert refused.stderr.startswith("remediator: state: write one of pending, planning, ")
    mixed = box.cli("runs", "--url", box.url, "show", "x")
    assert mixed.returncode == 2
    assert "write options after the word: remediator runs show …" in mixed.stderr


def test_nothing_found_is_said_on_standard_error(box: Box) -> None:
    empty = box.cli("runs", "--runbook", "none-such")
    assert (empty.returncode, empty.stdout, empty.stderr) == (0, "", "no runs like that\n")


def test_a_hostile_label_moves_no_cursor(box: Box) -> None:
    item = "[red]\x1b[2J" + box.item()
    box.fire("Looks", item)
    shown = box.cli("incidents").stdout
    assert "\x1b" not in shown
    assert "[red]\\x1b[2J" in shown
