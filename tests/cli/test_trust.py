"""Proves trust through the real command line and a real daemon: the policy file and its reload,
`policy explain`, overrides, what a pause never blocks, `report`, `promote` and `breaker`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import CONFIG, Box, done, notification, refused, remediator, serving, until

CONFIG_WITH_FILE = (
    CONFIG.partition("policy:")[0]
    + "policy_file: {folder}/policy.yaml\n"
    + CONFIG[CONFIG.index("exec:") :]
).replace("reload_every: 1h", "reload_every: 200ms")

POLICY = """\
# The operator's own words stay where they are.
mode: auto
cooldown: 1h
rate: {per_runbook: [1000/1h], total: [1000/1h]}
storm: {opened: null}
flapping: {treated: null}
breaker: {failures: 2/1d, cool_off: 1h}
trust:
  to_approve: {observed: 2, within: 30d}
  to_auto: {approved: 1, success: 50%, denied: 5}
override:
  people: [local]
  guardrails: [cooldown]
  expires: 15m
"""

# Its alert does not clear in time, so that it is taken back.
NO_HELP = """\
name: no-help
description: Turn a switch on, to no avail.
owner: team-box
match: ['alertname="NoHelp"']
mode: auto
steps:
  - id: turn
    action: exec
    with:
      command: [{folder}/switch, "on", "${{{{ labels.item }}}}"]
      plan_text: switch ${{{{ labels.item }}}} off → on
      check: [{folder}/switch, is-on, "${{{{ labels.item }}}}"]
      undo: [{folder}/switch, "off", "${{{{ labels.item }}}}"]
      target: ${{{{ labels.item }}}}
verify: {{resolved_within: {within}}}
"""


def make(folder: Path, policy: str = POLICY, *, within: str = "1s") -> Box:
    """Return a box with a policy file."""
    box = Box.make(folder, CONFIG_WITH_FILE)
    (box.folder / "policy.yaml").write_text(policy, encoding="utf-8")
    text = NO_HELP.format(folder=box.folder, within=within)
    (box.folder / "runbooks" / "no-help.yaml").write_text(text, encoding="utf-8")
    return box


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Return a box whose daemon runs under a policy file; each test uses an item of its own."""
    box = make(tmp_path_factory.mktemp("trusted") / "b")
    with serving(box):
        yield box


def told(box: Box, kind: str) -> list[dict[str, Any]]:
    """Return the details of the audit records of a kind."""
    records = box.api("/api/v1/audit?limit=500")["items"]
    return [record["details"] for record in records if record["kind"] == kind]


def act(box: Box, item: str) -> str:
    """Let a run act by itself and its alert clear, and turn the switch off; returns its id."""
    (run,) = box.fire("Acts", item)
    box.until(run, "verifying")
    box.fire("Acts", item, status="resolved")
    box.until(run, "succeeded")
    (box.folder / f"switch.{item}").unlink()
    return run


def suppressed(box: Box, item: str) -> str:
    """Bring a run to where the cooldown ends it."""
    act(box, item)
    (run,) = box.fire("Acts", item)
    box.until(run, "suppressed")
    return run


# ------------------------------------------------------------------------------ explain


def test_explain_shows_every_verdict_of_a_run(trusted: Box) -> None:
    item = trusted.item()
    run = suppressed(trusted, item)
    page = done(trusted.cli("policy", "explain", run[-10:]))
    head, _, step, columns, *rows, _, way = page.splitlines()
    assert way == (
        f"local may lift cooldown for it, once: remediator override {run} --guardrail cooldown"
        " --reason …"
    )
    assert done(trusted.cli("runs", "show", run)).splitlines()[-1] == (
        f"every guardrail's verdict: remediator policy explain {run}"
    )
    assert head == f"run {run}  acts-alone  suppressed"
    assert step == f"step turn  command box/{item}: switch {item} off → on"
    assert columns.split() == ["GUARDRAIL", "VERDICT", "BY", "WHY", "LIFTED", "BY"]
    said = {row.split()[0]: row.split()[1] for row in rows if row}
    assert said["scope"] == said["kill_switch"] == said["mode"] == "allow"
    assert said["cooldown"] == "refuse"
    refusal = next(row for row in rows if row.startswith("cooldown"))
    assert "1h" in refusal
    assert "waiting until" in refusal
    found = json.loads(done(trusted.cli("policy", "explain", run, "-o", "json")))
    verdicts = found["steps"][0]["verdicts"]
    assert [v["rule"] for v in verdicts] == [row.split()[0] for row in rows if row]
    assert len(verdicts) > 10


def test_explain_says_why_there_is_nothing_to_judge(trusted: Box) -> None:
    run = act(trusted, trusted.item())
    page = done(trusted.cli("policy", "explain", run))
    assert "no plan is left to be judged" in page
    assert refused(trusted.cli("policy", "explain", "nobody")) == "there is no run nobody"


def test_explain_judges_an_alert_by_the_daemon_or_by_the_files(
    trusted: Box, tmp_path: Path
) -> None:
    item = trusted.item()
    act(trusted, item)
    alert = tmp_path / "alert.json"
    alert.write_text(json.dumps(notification("Acts", item)["alerts"][0]), encoding="utf-8")
    page = done(trusted.cli("policy", "explain", str(alert)))
    assert "cooldown" in page
    assert "→ suppressed" in page
    assert page.splitlines()[-1] == (
        f"judged by the daemon at {trusted.url}, with the journal's history; nothing was changed"
    )
    alone = make(tmp_path / "alone")
    offline = ("policy", "explain", str(alert), "--offline", "--config", alone.config)
    page = done(remediator(*offline))
    assert "→ applying" in page
    assert page.splitlines()[-1] == (
        "judged by the files here, without history; nothing was changed"
    )
    asked = ("policy", "explain", str(alert), "--config", alone.config)
    gone = remediator(*asked, env={"REMEDIATOR_URL": "http://127.0.0.1:9"})
    assert "nothing answers at http://127.0.0.1:9" in refused(gone)
    missing = trusted.cli("policy", "explain", "missing.json")
    assert missing.returncode == 2
    assert "there is no file missing.json" in missing.stderr


# ------------------------------------------------------------------------------ override


def test_an_override_lets_one_run_pass_once(trusted: Box) -> None:
    item = trusted.item()
    run = suppressed(trusted, item)
    words = ("--guardrail", "cooldown", "--reason", "customers wait")
    first, second = done(trusted.cli("override", run, *words)).splitlines()
    fresh = second.rpartition(" ")[2]
    assert fresh != run
    assert first.startswith(f"run {fresh} was started; cooldown is lifted for it, once, until ")
    view = trusted.until(fresh, "verifying")
    assert trusted.is_on(item)
    assert (view["trigger"], view["started_by"]) == ("manual", "local")
    assert view["incident_id"] == trusted.api(f"/api/v1/runs/{run}")["incident_id"]
    lifted = next(v for v in view["verdicts"] if v["rule"] == "cooldown")
    assert lifted["ruling"] == "allow"
    assert lifted["reason"].startswith("overridden by local: customers wait")
    assert "overridden by local: customers wait" in done(trusted.cli("runs", "show", fresh))
    kinds = [record["kind"] for record in trusted.api(f"/api/v1/audit?run_id={fresh}")["items"]]
    assert kinds.index("override.created") < kinds.index("override.used")
    page = done(trusted.cli("policy", "explain", fresh))
    assert "cooldown overridden by local: customers wait  (used)" in page

    busy = refused(trusted.cli("override", run, *words))
    assert busy == f"run {fresh} is on its way for this; override there what stops it"
    trusted.fire("Acts", item, status="resolved")
    trusted.until(fresh, "succeeded")
    over = refused(trusted.cli("override", run, *words))
    assert over == "the alert does not fire any more: there is nothing to do"
    # It was for that run: the next one is refused as before.
    (trusted.folder / f"switch.{item}").unlink()
    (after,) = trusted.fire("Acts", item)
    assert trusted.until(after, "suppressed")["verdicts"][0]["rule"] == "cooldown"


def test_the_policy_says_who_overrides_what(trusted: Box) -> None:
    run = suppressed(trusted, trusted.item())
    for guardrail, why in (
        ("kill_switch", "kill_switch is never overridden"),
        ("coldown", 'did you mean "cooldown"?'),
        ("rate", "the policy lets these be overridden: cooldown"),
    ):
        words = ("--guardrail", guardrail, "--reason", "why not")
        assert why in refused(trusted.cli("override", run, *words))
    silent = trusted.cli("override", run, "--guardrail", "cooldown")
    assert silent.returncode == 2
    blank = refused(trusted.cli("override", run, "--guardrail", "cooldown", "--reason", " "))
    assert "say why" in blank
    assert trusted.api(f"/api/v1/runs/{run}/verdicts")["overrides"] == []


def test_who_is_not_named_is_refused_on_record(tmp_path: Path) -> None:
    box = make(tmp_path / "b", POLICY.replace("people: [local]", "people: [api:alice]"))
    with serving(box):
        run = suppressed(box, box.item())
        words = ("--guardrail", "cooldown", "--reason", "customers wait")
        why = refused(box.cli("override", run, *words))
        assert why == (
            "local may not override a guardrail: the policy names api:alice for overrides"
        )
        assert told(box, "override.not_authorised") == [{"guardrail": "cooldown", "via": "api"}]


def test_what_nobody_used_in_time_expires_on_record(tmp_path: Path) -> None:
    box = make(tmp_path / "b", POLICY.replace("expires: 15m", "expires: 1s"))
    with Path(box.config).open("a", encoding="utf-8") as file:
        file.write("audit: {anchor_every: 1s}\n")
    with serving(box):
        item = box.item()
        run = suppressed(box, item)
        asks = POLICY.replace("mode: auto", "mode: approve").replace("expires: 15m", "expires: 1s")
        (box.folder / "policy.yaml").write_text(asks, encoding="utf-8")
        until(lambda: told(box, "policy.loaded"), lambda found: len(found) == 2)
        words = ("--guardrail", "cooldown", "--reason", "customers wait")
        fresh = json.loads(done(box.cli("override", run, *words, "-o", "json")))["id"]
        box.until(fresh, "awaiting_approval")
        (expired,) = until(lambda: told(box, "override.expired"), bool)
        assert (expired["guardrail"], expired["by"]) == ("cooldown", "local")
        done(box.cli("approve", fresh, "--yes"))
        assert box.until(fresh, "suppressed")["message"].startswith("cooldown: ")
        assert not box.is_on(item)


# ------------------------------------------------------------------------------ never blocked


def test_a_pause_never_blocks_the_way_back_nor_a_cancel(tmp_path: Path) -> None:
    box = make(tmp_path / "b", within="4s")
    with serving(box):
        item, other = box.item(), box.item()
        asks = box.waiting(other)
        (run,) = box.fire("NoHelp", item)
        box.until(run, "verifying")
        assert box.is_on(item)
        done(box.cli("pause", "--reason", "something is odd"))
        view = box.until(run, "rolled_back", "failed")
        assert view["state"] == "rolled_back"
        assert not box.is_on(item)
        assert box.cli("runs", "cancel", asks).stdout == f"cancelled run {asks}\n"
        # And everything else is stopped, with the words that lift it.
        (late,) = box.fire("Acts", box.item())
        stopped = box.until(late, "suppressed")
        assert "everything is paused by local: something is odd" in stopped["message"]
        page = done(box.cli("policy", "explain", late))
        assert "remediator resume" in page


# ------------------------------------------------------------------------------ kill switch


def test_pauses_are_listed_and_lifted_by_their_scope(trusted: Box) -> None:
    done(trusted.cli("pause", "--scope", "runbook:only-*", "--for", "1h", "--reason", "tests"))
    try:
        listed = done(trusted.cli("pause", "--list"))
        row = next(line for line in listed.splitlines() if line.startswith("runbook:only-*"))
        assert row.split()[1] == "local"
        assert row.endswith("tests")
        (run,) = trusted.fire("Looks", trusted.item())
        view = trusted.until(run, "observed", "suppressed")
        paused = next(v for v in view["verdicts"] if v["rule"] == "kill_switch")
        assert "until" in paused["reason"]
        wrong = refused(trusted.cli("resume", "--scope", "runbook:only"))
        assert wrong.startswith("runbook:only is not paused; ")
        assert "runbook:only-*" in wrong
        unknown = refused(trusted.cli("pause", "--scope", "runbook:only-look"))
        assert "did you mean only-looks?" in unknown
        done(trusted.cli("pause", "--scope", "scope:nowhere"))
        lifted = done(trusted.cli("resume", "--scope", "scope:nowhere"))
        assert lifted.splitlines() == [
            "lifted the pause of scope:nowhere",
            "still paused: runbook:only-*",
        ]
    finally:
        done(trusted.cli("resume", "--scope", "runbook:only-*"))
    assert "only-*" not in trusted.cli("pause", "--list").stdout


# ------------------------------------------------------------------------------ the policy file


def test_a_policy_takes_over_whole_or_not_at_all(tmp_path: Path) -> None:
    box = make(tmp_path / "b")
    path = box.folder / "policy.yaml"
    with serving(box):
        (first,) = told(box, "policy.loaded")
        assert first["file"] == str(path)
        suppressed(box, box.item())

        path.write_text(POLICY.replace("cooldown: 1h", "coldown: 1h"), encoding="utf-8")
        (refusal,) = until(lambda: told(box, "runbooks.refused"), bool)
        (finding,) = refusal["findings"]
        assert f'{path}:3:1: error: unknown key "coldown"' in finding
        suppressed(box, box.item())  # the last good one is in force

        path.write_text(POLICY.replace("cooldown: 1h", "cooldown: 0s"), encoding="utf-8")
        loaded = until(lambda: told(box, "policy.loaded"), lambda found: len(found) == 2)
        assert loaded[1]["digest"] != first["digest"]
        item = box.item()
        act(box, item)
        act(box, item)
        shown = done(box.cli("policy", "show"))
        assert shown.startswith(f"# {path}, digest {loaded[1]['digest'][:12]}\n")
        assert "\ncooldown: 0s\n" in shown

        # A bad runbook keeps the last good policy too.
        (box.folder / "runbooks" / "bad.yaml").write_text("name: bad\n", encoding="utf-8")
        path.write_text(POLICY, encoding="utf-8")
        until(lambda: told(box, "runbooks.refused"), lambda found: len(found) == 2)
        act(box, item)
        assert len(told(box, "policy.loaded")) == 2
        (box.folder / "runbooks" / "bad.yaml").unlink()
        again = until(lambda: told(box, "policy.loaded"), lambda found: len(found) == 3)
        assert again[2]["digest"] == first["digest"]


def test_check_finds_the_faults_of_a_policy(tmp_path: Path) -> None:
    box = make(tmp_path / "b", POLICY.replace("cooldown: 1h", "coldown: 1h"))
    for arguments in ((str(box.folder / "policy.yaml"),), ("--config", box.config)):
        checked = remediator("check", *arguments)
        assert checked.returncode == 1
        finding, page, summary = checked.stdout.splitlines()
        assert page.startswith("docs/findings.md#unknown-key")
        assert finding == (
            f'{box.folder}/policy.yaml:3:1: error: unknown key "coldown";'
            ' did you mean "cooldown"? [unknown-key]'
        )
        assert summary.endswith(": 1 error")
    stranger = POLICY.replace("people: [local]", "people: [sre-leads]")
    (box.folder / "policy.yaml").write_text(stranger, encoding="utf-8")
    checked = remediator("check", "--config", box.config, str(box.folder / "runbooks"))
    assert f"{box.folder}/policy.yaml:12:12: error: override.people.0: " in checked.stdout
    assert '"sre-leads" is no group or person of the settings' in checked.stdout
    (box.folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    clean = done(remediator("check", str(box.folder / "policy.yaml"), str(box.folder)))
    assert clean.endswith(": clean\n")


def test_a_policy_stands_in_one_place(tmp_path: Path) -> None:
    box = make(tmp_path / "b")
    assert "\n  cooldown: 1h\n" in done(remediator("config", "--config", box.config))
    with Path(box.config).open("a", encoding="utf-8") as file:
        file.write("policy: {mode: auto}\n")
    said = refused(remediator("config", "--config", box.config))
    assert "give policy or policy_file, not both" in said


# ------------------------------------------------------------------------------ earned trust


def test_a_runbook_earns_the_next_mode(tmp_path: Path) -> None:
    box = make(tmp_path / "b")
    file = box.folder / "runbooks" / "only-looks.yaml"
    before = file.read_text(encoding="utf-8").replace(
        "mode: observe", "mode: observe  # until it has shown what it would do"
    )
    file.write_text(before, encoding="utf-8")
    with serving(box):
        (run,) = box.fire("Looks", box.item())
        box.until(run, "observed")
        promote = ("promote", "only-looks", "--config", box.config)
        early = box.cli(*promote)
        assert early.returncode == 1
        assert early.stdout.splitlines() == [
            "only-looks: stays observe",
            "  missing  1 of 2 plans shown within 30d",
        ]
        (run,) = box.fire("Looks", box.item())
        box.until(run, "observed")
        page = done(box.cli(*promote))
        assert "until it is raised" not in page
        assert page.splitlines()[:2] == [
            "only-looks: observe → approve",
            "  met      2 of 2 plans shown within 30d",
        ]
        assert "-mode: observe  # until it has shown what it would do" in page
        assert "+mode: approve  # until it has shown what it would do" in page
        assert file.read_text(encoding="utf-8") == before

        written = json.loads(done(box.cli(*promote, "--write", "-o", "json")))
        assert written["items"][0]["written"]
        after = file.read_text(encoding="utf-8")
        assert after == before.replace("mode: observe  #", "mode: approve  #")
        until(
            lambda: box.api("/api/v1/runbooks")["items"],
            lambda found: {r["name"]: r["mode"] for r in found}["only-looks"] == "approve",
        )
        # The evidence stays with what it does, whatever its mode; now people are asked.
        item = box.item()
        (run,) = box.fire("Looks", item)
        box.until(run, "awaiting_approval")
        done(box.cli("approve", run, "--yes"))
        box.until(run, "verifying")
        box.fire("Looks", item, status="resolved")
        box.until(run, "succeeded")
        report = json.loads(done(box.cli("report", "only-looks", "-o", "json")))
        (line,) = report["items"]
        assert (line["runs"], line["helped"], line["observed"], line["approved"]) == (3, 1, 2, 1)
        assert (line["trust"]["earned"], line["trust"]["proposal"]["to"]) == ("auto", "auto")
        assert line["saved_s"] == report["saved_s"] == 20 * 60 - 2 * 60
        assert "only-looks: approve → auto" in done(box.cli(*promote))

        # What does something else has shown nothing yet.
        file.write_text(after.replace("5m", "6m"), encoding="utf-8")
        other = box.cli("promote", "only-looks", "--config", box.config, "-o", "json")
        assert other.returncode == 1


def test_report_tells_what_stood_in_the_way(trusted: Box) -> None:
    suppressed(trusted, trusted.item())
    page = done(trusted.cli("report", "acts-alone"))
    head, row, formula = page.splitlines()
    assert head.split()[:5] == ["RUNBOOK", "MODE", "EARNED", "RUNS", "HELPED"]
    assert row.startswith("acts-alone  auto  ")
    assert "cooldown " in row
    assert formula.endswith("saved = helped runs x 20m by hand - answers given x 2m")
    nobody = refused(trusted.cli("report", "nobody"))
    assert nobody == "there is no runbook nobody, and none of the name has run"
    wrong = trusted.cli("report", "--by-hand", "soon")
    assert wrong.returncode == 2


def test_trust_that_is_demanded_and_not_earned(tmp_path: Path) -> None:
    box = make(tmp_path / "b", POLICY.replace("trust:\n", "trust:\n  required: true\n"))
    with serving(box):
        item = box.item()
        (run,) = box.fire("Acts", item)
        view = box.until(run, "observed", "awaiting_approval", "verifying")
        assert view["state"] == "observed"  # it has shown nothing at all yet
        (run,) = box.fire("Acts", box.item())
        box.until(run, "observed")
        (run,) = box.fire("Acts", box.item())
        view = box.until(run, "awaiting_approval", "verifying")
        assert view["state"] == "awaiting_approval"
        held = next(v for v in view["verdicts"] if v["rule"] == "trust")
        assert held["ruling"] == "hold"
        assert "0 of 1 approved runs within 30d" in held["reason"]
        assert not box.is_on(item)
        done(box.cli("approve", run, "--yes"))
        box.until(run, "verifying")
        box.fire("Acts", view["context"]["alert"]["labels"]["item"], status="resolved")
        box.until(run, "succeeded")
        act(box, box.item())  # earned


def test_a_failure_breaker_takes_trust_back_and_is_reset(tmp_path: Path) -> None:
    box = make(tmp_path / "b")
    with serving(box):
        for _ in range(2):
            (run,) = box.fire("NoHelp", box.item())
            box.until(run, "rolled_back")
        (run,) = box.fire("NoHelp", box.item())
        view = box.until(run, "awaiting_approval", "verifying")
        assert view["state"] == "awaiting_approval"
        reported = done(box.cli("report", "no-help")).splitlines()[1]
        assert reported.startswith("no-help  auto (breaker open)  ")
        assert "failure_breaker" in done(box.cli("policy", "explain", run))
        listed = done(box.cli("breaker", "list"))
        _, row = listed.splitlines()
        assert row.split()[:3] == ["no-help", "open", "2"]
        reset = ("breaker", "reset", "no-help")
        assert box.cli(*reset).returncode == 2
        why = ("--reason", "the switch was mended")
        assert done(box.cli(*reset, *why)) == "the failure breaker of no-help is closed\n"
        again = refused(box.cli(*reset, *why))
        assert again == "the failure breaker of no-help is closed"
        assert "did you mean" in refused(box.cli("breaker", "reset", "no-hlp", *why))
        assert box.cli("breaker", "list").stderr == "no failure breaker is open\n"
        (run,) = box.fire("NoHelp", box.item())
        assert box.until(run, "awaiting_approval", "verifying")["state"] == "verifying"
        page = done(box.cli("breaker", "list", "--all"))
        assert "by local: the switch was mended" in page
