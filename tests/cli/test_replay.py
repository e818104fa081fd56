"""Proves `replay` and `--against`, run as people run them: beside a daemon, from files, between
revisions; nothing is changed, not even the journal's bytes."""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import CONFIG, Box, db, done, notification, refused, remediator, serving
from tests.servers.postgres import Postgres

T0 = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box in which something has happened; its daemon runs."""
    made = Box.make(tmp_path_factory.mktemp("past") / "b")
    with serving(made):
        (run,) = made.fire("Acts", "lamp")
        made.until(run, "verifying")
        made.fire("Acts", "lamp", status="resolved")
        made.until(run, "succeeded")
        made.waiting("door")
        made.fire("Looks", "window")
        yield made


def _json(box: Box, *arguments: str, **more: Any) -> dict[str, Any]:
    shown = box.cli("replay", "--config", box.config, "-o", "json", *arguments, **more)
    assert shown.returncode == 0, shown.stderr
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


def test_what_happened_would_happen_again(past: Box) -> None:
    found = _json(past)
    assert found["notifications"]["replayed"] == 4
    assert (found["total"]["runs"], found["total"]["differing"]) == (3, 0)
    acts = next(run for run in found["runs"] if run["runbook"] == "acts-alone")
    assert (
        acts["now"]["plans"] == acts["then"]["plans"] == ["command box/lamp: switch lamp off → on"]
    )
    assert (acts["now"]["end"], acts["then"]["end"]) == ("succeeded", "succeeded")
    assert past.api(f"/api/v1/runs/{acts['then']['run_id']}")["runbook"] == "acts-alone"


def test_a_tighter_policy_shows_what_it_would_have_refused(past: Box) -> None:
    env = {"REMEDIATOR_POLICY__SCOPE__SYSTEMS": '["kubernetes"]'}
    shown = past.cli("replay", "--config", past.config, "--exit-code", env=env)
    assert shown.returncode == 1, shown.stderr
    lines = [line.split("  ") for line in shown.stdout.splitlines()]
    (acts,) = [line for line in lines if line[1:2] == ["acts-alone"]]
    cells = [cell.strip() for cell in acts if cell.strip()]
    assert cells[3:6] == ["refused (scope)", "acts", "verdict"]
    assert "nothing was changed" in shown.stdout


def test_only_what_differs_is_shown_unless_all_is_asked_for(past: Box) -> None:
    same = past.cli("replay", "--config", past.config, "--exit-code")
    assert same.returncode == 0
    assert "no run differs" in same.stderr
    assert "switch lamp" not in same.stdout
    everything = past.cli("replay", "--config", past.config, "--all")
    assert "command box/lamp: switch lamp off → on" in everything.stdout


def test_without_plans(past: Box) -> None:
    found = _json(past, "--no-plans")
    assert found["total"]["unplanned"] == 3
    assert {run["now"]["verdict"] for run in found["runs"]} == {"acts", "asks", "observes"}


def test_the_journal_is_not_touched(fresh: Box) -> None:
    with serving(fresh):
        (run,) = fresh.fire("Acts", "lamp")
        fresh.until(run, "verifying")
    (fresh.folder / "switch.lamp").unlink()

    def state() -> dict[str, str]:
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in fresh.folder.glob("journal.db*")
            # A reader's own marks, and the empty log that SQLite opens for it.
            if not path.name.endswith("-shm") and path.stat().st_size
        }

    before = state()
    assert len(_json(fresh)["runs"]) == 1
    alert = fresh.folder / "alert.json"
    alert.write_text(json.dumps(notification("Acts", "lamp")), encoding="utf-8")
    assert remediator("simulate", str(alert), "--config", fresh.config).returncode == 0
    assert state() == before
    assert not fresh.is_on("lamp")


def test_bodies_that_are_gone_are_counted(fresh: Box) -> None:
    with serving(fresh):
        fresh.fire("Looks", "lamp")
    import sqlite3  # noqa: PLC0415 - the hand of somebody who prunes

    with sqlite3.connect(fresh.folder / "journal.db") as connection:
        connection.execute("DELETE FROM notifications")
    shown = fresh.cli("replay", "--config", fresh.config)
    assert "1 are on record and their bodies are gone (retention)" in shown.stdout
    found = _json(fresh)
    assert (found["notifications"]["gone"], found["notifications"]["replayed"]) == (1, 0)


# --------------------------------------------------------------------------------------- files


def _body(alert: str, item: str, at: datetime, status: str = "firing") -> dict[str, Any]:
    body = notification(alert, item, status=status)
    (one,) = body["alerts"]
    one["startsAt"] = T0.isoformat() if status == "resolved" else at.isoformat()
    one["endsAt"] = at.isoformat() if status == "resolved" else one["endsAt"]
    return body


def _recording(folder: Path) -> Path:
    made = folder / "recorded"
    made.mkdir()
    for name, body in (
        ("z.json", _body("Acts", "lamp", T0)),
        ("b.json", _body("Acts", "lamp", T0 + timedelta(minutes=5), "resolved")),
        ("a.json", _body("Acts", "lamp", T0 + timedelta(minutes=10))),
    ):
        (made / name).write_text(json.dumps(body), encoding="utf-8")
    (made / "broken.json").write_text("{", encoding="utf-8")
    lines = [
        {"received_at": "2026-11-02T00:00:00Z", "body": _body("Looks", "x", T0)},
        {"received_at": "2026-11-03T00:00:00Z", "sender": "eu", "body": _body("Looks", "x", T0)},
    ]
    text = "\n".join(json.dumps(line) for line in lines)
    (made / "more.jsonl").write_text(f"{text}\n\n", encoding="utf-8")
    return made


def test_a_folder_of_recorded_notifications(fresh: Box) -> None:
    recording = _recording(fresh.folder)
    env = {"REMEDIATOR_POLICY__COOLDOWN": "30m"}
    found = _json(fresh, str(recording), env=env)
    assert found["notifications"]["replayed"] == 5
    assert found["notifications"]["unreadable"] == 1
    assert "broken.json" in found["unreadable"][0]
    told = [(run["at"][:16], run["sender"], run["now"]["verdict"]) for run in found["runs"]]
    assert told == [
        ("2026-11-01T00:00", "default", "acts"),
        ("2026-11-01T00:10", "default", "refused"),
        ("2026-11-02T00:00", "default", "observes"),
        ("2026-11-03T00:00", "eu", "observes"),
    ]
    later = _json(fresh, str(recording), "--since", "2026-11-02", "--until", "2026-11-02T12:00Z")
    assert [run["at"][:10] for run in later["runs"]] == ["2026-11-02"]
    table = fresh.cli("replay", str(recording), "--config", fresh.config)
    assert table.returncode == 0
    assert "5 notifications until" in table.stdout
    assert "1 can't be read: " in table.stdout


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("--since", "yesterday"), "neither a duration like 30d nor a time", 2),
        (("--since", "2d", "--until", "3d"), "it is not before --until", 2),
        (("--world", "no.yaml"), "does not exist", 2),
        ((), "there is no journal at sqlite:///", 1),
    ],
)
def test_mistakes(fresh: Box, arguments: tuple[str, ...], said: str, code: int) -> None:
    shown = remediator("replay", "--config", fresh.config, *arguments)
    assert shown.returncode == code
    assert said in shown.stderr
    assert "Traceback" not in shown.stderr


def test_one_alert_as_for_simulate(fresh: Box) -> None:
    alert = fresh.folder / "alert.json"
    alert.write_text('{"labels": {"alertname": "Acts", "item": "lamp"}}', encoding="utf-8")
    (run,) = _json(fresh, str(alert))["runs"]
    assert run["now"]["verdict"] == "acts"
    alert.write_text('{"labels": {}}', encoding="utf-8")
    shown = fresh.cli("replay", str(alert), "--config", fresh.config)
    assert shown.returncode == 1
    assert "nothing could be read" in shown.stderr


def test_a_folder_without_notifications(fresh: Box) -> None:
    shown = remediator("replay", str(fresh.folder / "runbooks"), "--config", fresh.config)
    assert "no file ends in .json or .jsonl" in refused(shown)


# ----------------------------------------------------------------------------------- revisions


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
    )


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def versioned(fresh: Box) -> Box:
    """A box whose runbooks have changed since the commit `HEAD`, in the work tree alone."""
    runbooks = fresh.folder / "runbooks"
    (fresh.folder / ".gitattributes").write_text("* export-ignore\n", encoding="utf-8")
    _git(fresh.folder, "init", "-q", "-b", "main")
    _git(fresh.folder, "add", "runbooks", ".gitattributes")
    _git(fresh.folder, "commit", "-q", "-m", "before")
    _git(fresh.folder, "tag", "before")
    _edit(runbooks / "acts-alone.yaml", "mode: auto", "mode: approve")
    _edit(runbooks / "only-looks.yaml", 'default: "on"', 'default: "bright"')
    (runbooks / "asks-first.yaml").rename(runbooks / "new.yaml")
    _edit(runbooks / "new.yaml", "name: asks-first", "name: new")
    return fresh


def test_another_revision_side_by_side(versioned: Box) -> None:
    recording = versioned.folder / "recorded.jsonl"
    lines = [json.dumps(_body(name, "lamp", T0)) for name in ("Acts", "Looks", "Asks")]
    recording.write_text("\n".join(lines), encoding="utf-8")
    before = subprocess.run(
        ["git", "status", "--porcelain"], cwd=versioned.folder, capture_output=True, check=True
    ).stdout
    found = _json(versioned, str(recording), "--against", "before")
    assert {run["runbook"]: run["difference"] for run in found["runs"]} == {
        "acts-alone": "verdict",
        "only-looks": "plan",
        "new": "added",
        "asks-first": "gone",
    }
    deeper = versioned.folder / "runbooks" / "deeper"
    deeper.mkdir()
    shown = remediator(
        "replay", str(recording), "--config", versioned.config, "--against", "HEAD", cwd=deeper
    )
    assert shown.returncode == 0, shown.stderr
    deeper.rmdir()
    assert "switch lamp off → bright, not command box/lamp: switch lamp off → on" in shown.stdout
    after = subprocess.run(
        ["git", "status", "--porcelain"], cwd=versioned.folder, capture_output=True, check=True
    ).stdout
    assert before == after


def test_one_alert_against_another_revision(versioned: Box) -> None:
    alert = versioned.folder / "alert.json"
    alert.write_text(json.dumps(notification("Acts", "lamp")), encoding="utf-8")
    shown = versioned.cli("simulate", str(alert), "--config", versioned.config, "--against", "main")
    assert shown.returncode == 0, shown.stderr
    for expected in (
        "what differs from main",
        "acts-alone  end, verdict",
        "- applying",
        "+ awaiting_approval",
    ):
        assert expected in shown.stdout, shown.stdout
    as_json = versioned.cli(
        "simulate", str(alert), "--config", versioned.config, "--against", "main", "-o", "json"
    )
    (one,) = json.loads(as_json.stdout)["against"]["differences"]
    assert (one["runbook"], one["then"]["end"]) == ("acts-alone", "applying")
    (versioned.folder / "runbooks" / "acts-alone.yaml").unlink()
    gone = versioned.cli("simulate", str(alert), "--config", versioned.config, "--against", "main")
    assert "acts-alone  gone" in gone.stdout


def test_the_policy_file_of_the_revision_counts(versioned: Box) -> None:
    policy = versioned.folder / "policy.yaml"
    policy.write_text("mode: observe\n", encoding="utf-8")
    _edit(Path(versioned.config), "policy:\n  mode: auto\n  cooldown: 0s\n", "policy_file: ")
    config = Path(versioned.config).read_text(encoding="utf-8").splitlines()
    kept = [line for line in config if not line.startswith(("policy_file", "  rate"))]
    text = "\n".join([*kept, f"policy_file: {policy}"])
    Path(versioned.config).write_text(text, encoding="utf-8")
    _git(versioned.folder, "add", "policy.yaml", "runbooks")
    _git(versioned.folder, "commit", "-q", "-m", "observe")
    policy.write_text("mode: auto\n", encoding="utf-8")
    recording = versioned.folder / "r.json"
    recording.write_text(json.dumps(_body("Acts", "lamp", T0)), encoding="utf-8")
    (run,) = _json(versioned, str(recording), "--against", "HEAD")["runs"]
    assert (run["now"]["verdict"], run["then"]["verdict"]) == ("asks", "observes")


def test_errors_of_revisions(versioned: Box, tmp_path: Path) -> None:
    recording = versioned.folder / "r.json"
    recording.write_text(json.dumps(_body("Acts", "lamp", T0)), encoding="utf-8")

    def replay(revision: str, **more: Any) -> str:
        return refused(
            versioned.cli(
                "replay",
                str(recording),
                "--config",
                versioned.config,
                "--against",
                revision,
                **more,
            )
        )

    assert "has no such revision" in replay("no-such-branch")
    assert "has no such revision" in replay("--output=x")
    _git(versioned.folder, "commit", "-q", "--allow-empty", "-m", "x")
    who = {
        f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    nothing = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # the empty tree, in every repository
    empty = subprocess.run(
        ["git", "commit-tree", "-m", "x", nothing],
        cwd=versioned.folder,
        env={**os.environ, **who},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert "there was no runbooks in" in replay(empty)
    broken = versioned.folder / "runbooks" / "broken.yaml"
    broken.write_text("name: [", encoding="utf-8")
    _git(versioned.folder, "add", "runbooks")
    _git(versioned.folder, "commit", "-q", "-m", "broken")
    broken.unlink()
    assert "HEAD:runbooks/broken.yaml:1:" in replay("HEAD")
    elsewhere = Box.make(tmp_path / "no-repository")
    told = refused(
        remediator("replay", str(recording), "--config", elsewhere.config, "--against", "main")
    )
    assert "is in no Git work tree" in told


def test_secrets_in_alerts_are_masked(fresh: Box) -> None:
    body = _body("Acts", "lamp", T0)
    body["alerts"][0]["labels"]["api_token"] = "hunter2-hunter2"
    recording = fresh.folder / "r.json"
    recording.write_text(json.dumps(body), encoding="utf-8")
    for command in ("replay", "simulate"):
        for output in ("json", "table"):
            shown = fresh.cli(command, str(recording), "--config", fresh.config, "-o", output)
            assert shown.returncode == 0, shown.stderr
            assert "hunter2" not in shown.stdout
            assert "api_token" in shown.stdout


def test_a_journal_on_postgresql_beside_its_daemon(tmp_path: Path, postgres: Postgres) -> None:
    config = CONFIG.replace("sqlite:///{folder}/journal.db", postgres.create_database())
    box = Box.make(tmp_path / "b", config)
    done(db(box, "migrate"))
    with serving(box):
        (run,) = box.fire("Acts", "lamp")
        box.until(run, "verifying")
        found = _json(box)
        assert [r["now"]["verdict"] for r in found["runs"]] == ["acts"]
        assert found["runs"][0]["then"]["run_id"] == run
        assert found["withheld"] == []
        alert = box.folder / "alert.json"
        alert.write_text(json.dumps(notification("Acts", "lamp")), encoding="utf-8")
        env = {"REMEDIATOR_POLICY__COOLDOWN": "1h"}
        shown = box.cli("simulate", str(alert), "--config", box.config, env=env)
        assert "refuse  cooldown" in shown.stdout, shown.stdout + shown.stderr
