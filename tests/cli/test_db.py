"""Proves `db` on SQLite: a copy of a live journal, a restore after which nothing is done twice, and
retention that leaves the chain provable; and that a user's mistake is answered with a sentence.
"""

import asyncio
import json
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remediator.journal import schema
from remediator.journal.opening import open_journal
from remediator.journal.values import AuditEntry, Opening
from tests.cli.commands import ROOT, Box, asked, db, done, refused, remediator, serving
from tests.journal.factories import HandClock

CURRENT = schema.known()[-1].version


def verified(journal: Path) -> Any:
    """Return what `audit verify` says of a journal, with the heads and the key beside it."""
    env = {"REMEDIATOR_JOURNAL": f"sqlite:///{journal}"}
    return json.loads(remediator("audit", "verify", "-o", "json", env=env).stdout)


@pytest.fixture
def used(fresh: Box) -> Box:
    """Return a box whose daemon has done something, has something left to do, and is stopped."""
    with serving(fresh):
        fresh.until(fresh.fire("Looks", "seen")[0], "observed")
        fresh.waiting("lamp")
    return fresh


@contextmanager
def flooding(journal: Path) -> Iterator["subprocess.Popen[str]"]:
    """Have a process write to a journal as fast as it can, and say what was acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.journal.writing", "flood", str(journal)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


# --- backup -------------------------------------------------------------------------------


def test_a_copy_of_a_journal_that_is_being_written_holds_all_that_was_acknowledged(
    fresh: Box, tmp_path: Path
) -> None:
    journal, copy = fresh.folder / "journal.db", tmp_path / "copy.db"
    with flooding(journal) as process:
        assert process.stdout is not None
        before = [process.stdout.readline().split() for _ in range(2000)]
        # A thread reads on, or the writer would wait for its pipe to be emptied.
        with subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL) as drain:
            said = done(db(fresh, "backup", str(copy)))
            assert process.poll() is None
            process.kill()
            drain.wait(30)
    assert "its audit chain is whole: " in said
    assert asked(copy, "PRAGMA integrity_check") == [("ok",)]
    taken = [(words[1], words[2], words[3]) for words in before if words[0] == "taken"]
    assert len(taken) > 100
    for notification, incident, run in taken:
        assert asked(copy, "SELECT 1 FROM notifications WHERE id = ?", notification)
        assert asked(copy, "SELECT 1 FROM incidents WHERE id = ?", incident)
        assert asked(copy, "SELECT 1 FROM runs WHERE id = ?", run)
    # It was written on while it was copied.
    (head,), (written,) = (asked(file, "SELECT seq FROM audit_head")[0] for file in (copy, journal))
    assert head < written
    found = verified(copy)
    assert (found["ok"], found["head"]["seq"]) == (True, head)


def test_a_copy_beside_a_daemon_can_be_proved_where_it_lies(box: Box, tmp_path: Path) -> None:
    box.until(box.fire("Looks", box.item())[0], "observed")
    copy = tmp_path / "copy.db"
    told = json.loads(done(db(box, "backup", str(copy), "-o", "json")))
    assert told["file"] == str(copy)
    assert told["schema"] == CURRENT
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert f"{copy}.signing-key.pem.pub" in told["beside"]
    assert not any(
        "signing-key.pem" in path and not path.endswith(".pub") for path in told["beside"]
    )
    found = verified(copy)
    assert found["ok"], found
    assert found["head"] == {"seq": told["audit_head"]["seq"], "hash": told["audit_head"]["hash"]}
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"copy.db", *(Path(path).name for path in told["beside"])}


def test_a_copy_overwrites_nothing_unless_told(used: Box, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_text("precious")
    assert refused(db(used, "backup", str(copy))) == (
        f"{copy} is there already; name another file, or give --force"
    )
    assert copy.read_text() == "precious"
    said = done(db(used, "backup", str(copy), "--force"))
    assert said.startswith(f"copied the journal sqlite:///{used.folder}/journal.db to {copy} (")
    assert f"not copied: the private key {used.folder}/journal.db.signing-key.pem" in said
    assert verified(copy)["signed_heads"] == 1
    assert "can't be written" in refused(db(used, "backup", "/proc/none/copy.db"))


def test_without_a_journal_there_is_nothing_to_copy(fresh: Box, tmp_path: Path) -> None:
    assert "there is no journal at" in refused(db(fresh, "backup", str(tmp_path / "copy.db")))
    assert "there is no journal at" in refused(db(fresh, "prune"))
    assert refused(db(fresh, "restore", str(tmp_path / "copy.db"))) == (
        f"there is no file {tmp_path}/copy.db"
    )
    assert [path.name for path in fresh.folder.glob("journal.db*")] == []
    assert not (tmp_path / "copy.db").exists()


# --- restore ------------------------------------------------------------------------------


def test_after_a_restore_nothing_is_done_twice(fresh: Box, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    with serving(fresh):
        waits = fresh.waiting("lamp")
        (acted,) = fresh.fire("Acts", "fan")
        fresh.until(acted, "verifying")
        done(db(fresh, "backup", str(copy)))
        # What the copy does not know: the lamp was approved, the fan's alert resolved.
        done(fresh.cli("approve", waits, "--yes"))
        fresh.until(waits, "verifying")
        fresh.fire("Acts", "fan", status="resolved")
        fresh.until(acted, "succeeded")
    assert fresh.is_on("lamp")
    (fresh.folder / "switch.lamp").unlink()  # done once; to be on again it would be done twice
    told = json.loads(done(db(fresh, "restore", str(copy), "--force", "-o", "json")))
    assert (told["runs_cancelled"], told["runs_interrupted"], told["signed"]) == (1, 1, True)
    with serving(fresh):
        assert fresh.api(f"/api/v1/runs/{waits}")["state"] == "cancelled"
        view = fresh.api(f"/api/v1/runs/{acted}")
        assert (view["state"], view["reason"]) == ("interrupted", "restored")
        # The alert fires on, and is sent again: a pause stands before every change.
        (again,) = fresh.fire("Acts", "lamp")
        assert "was restored from a copy" in fresh.until(again, "suppressed")["message"]
        assert not fresh.is_on("lamp")
        # The person looks, and says how it goes on.
        done(fresh.cli("resume"))
        done(fresh.cli("runs", "resume", acted, "--how", "done"))
        fresh.until(acted, "verifying")
        (new,) = fresh.fire("Acts", "radio")
        fresh.until(new, "verifying")
        assert fresh.is_on("radio")
    whole = remediator("audit", "verify", "--config", fresh.config)
    assert whole.returncode == 0, whole.stderr
    assert f"from a copy that ended at record {told['audit_head']['seq']}: a signed" in whole.stdout
    exported = remediator("audit", "export", "--config", fresh.config).stdout
    (record,) = (
        r for r in map(json.loads, exported.splitlines()) if r["kind"] == "journal.restored"
    )
    assert record["seq"] == told["audit_head"]["seq"] + 1
    assert record["details"]["copy"]["hash"] == told["audit_head"]["hash"] == record["previous"]


def test_heads_without_the_line_of_the_restore_show_that_the_tail_is_gone(
    used: Box, tmp_path: Path
) -> None:
    copy, elsewhere = tmp_path / "copy.db", tmp_path / "elsewhere.jsonl"
    done(db(used, "backup", str(copy)))
    with serving(used):
        used.until(used.fire("Looks", "seen-2")[0], "observed")
    shutil.copy(used.folder / "journal.db.heads.jsonl", elsewhere)
    done(db(used, "restore", str(copy), "--force"))
    said = remediator("audit", "verify", "--config", used.config, "--anchors", str(elsewhere))
    assert said.returncode == 1
    assert "that the journal was restored at" in said.stderr
    # Nor does a line that was forged without the key.
    ours = used.folder / "journal.db.heads.jsonl"
    lines = ours.read_text().splitlines()
    restored = json.loads(lines[-1])
    assert restored["restored"] is True
    lines[-1] = json.dumps({**restored, "seq": 1})
    ours.write_text("\n".join(lines) + "\n")
    forged = remediator("audit", "verify", "--config", used.config)
    assert forged.returncode == 1
    assert "the signature of the head at record 1 is wrong" in forged.stderr


def test_a_restore_is_refused_where_it_would_harm(used: Box, tmp_path: Path) -> None:
    copy, journal = tmp_path / "copy.db", used.folder / "journal.db"
    done(db(used, "backup", str(copy)))
    before = journal.read_bytes()
    assert "there is a journal at" in refused(db(used, "restore", str(copy)))
    with serving(used) as daemon:
        said = refused(db(used, "restore", str(copy), "--force"))
        assert said == f"a daemon (process {daemon.pid}) has the journal: stop it first"
    before = journal.read_bytes()

    torn = tmp_path / "torn.db"
    torn.write_bytes(copy.read_bytes()[:-8192])
    assert str(torn) in refused(db(used, "restore", str(torn), "--force"))
    forged = tmp_path / "forged.db"
    shutil.copy(copy, forged)
    with closing(sqlite3.connect(forged)) as connection:
        connection.execute("UPDATE audit SET actor = 'mallory' WHERE seq = 3")
        connection.commit()
    assert refused(db(used, "restore", str(forged), "--force")) == (
        f"the audit chain in {forged} is broken: record 3 was changed: its hash does not fit its"
        " content"
    )
    noise = tmp_path / "noise.db"
    noise.write_bytes(b"not a database" * 100)
    assert "no SQLite database" in refused(db(used, "restore", str(noise), "--force"))
    assert journal.read_bytes() == before
    assert not list(used.folder.glob("*.partial"))


def test_a_restore_keeps_the_journal_that_was_there(used: Box, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    done(db(used, "backup", str(copy)))
    with serving(used):
        used.until(used.fire("Looks", "later")[0], "observed")
    told = json.loads(done(db(used, "restore", str(copy), "--force", "-o", "json")))
    kept = Path(told["kept"])
    assert kept.name.startswith("journal.db.before-restore-")
    assert asked(kept, "SELECT COUNT(*) FROM runs")[0][0] == 3
    assert asked(used.folder / "journal.db", "SELECT COUNT(*) FROM runs")[0][0] == 2
    assert stat.S_IMODE((used.folder / "journal.db").stat().st_mode) == 0o600


def test_a_restore_by_mistake_is_taken_back_by_another(used: Box, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    done(db(used, "backup", str(copy)))
    with serving(used):
        used.until(used.fire("Looks", "seen-2")[0], "observed")
    mistake = json.loads(done(db(used, "restore", str(copy), "--force", "-o", "json")))
    with serving(used):  # signs heads with numbers that the journal put aside has, too
        used.until(used.fire("Looks", "seen-3")[0], "observed")
    aside = tmp_path / "aside.db"
    Path(mistake["kept"]).rename(aside)
    done(db(used, "restore", str(aside), "--force"))
    with serving(used):
        used.until(used.fire("Looks", "seen-4")[0], "observed")
        known = {one["labels"]["item"] for one in used.api("/api/v1/incidents")["items"]}
    assert known >= {"seen-2", "seen-4"}
    assert "seen-3" not in known
    whole = remediator("audit", "verify", "--config", used.config)
    assert whole.returncode == 0, whole.stderr


def test_a_restore_on_a_new_machine_says_that_the_key_is_missing(used: Box, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    done(db(used, "backup", str(copy)))
    new = Box.make(tmp_path / "new")
    said = done(db(new, "restore", str(copy)))
    assert f"no signing key at {new.folder}/journal.db.signing-key.pem: bring it" in said
    assert said.splitlines()[-1].startswith("everything is paused: start the daemon, look at")
    assert verified(new.folder / "journal.db")["ok"] is True


# --- prune --------------------------------------------------------------------------------


def test_prune_leaves_a_chain_that_verifies(used: Box) -> None:
    journal = used.folder / "journal.db"
    _age(journal, days=20)
    shown = done(db(used, "prune", "--before", "10d", "--dry-run"))
    assert ": 2 notifications, 1 run, " in shown
    told = json.loads(done(db(used, "prune", "--before", "10d", "-o", "json")))
    assert (told["notifications"], told["runs"], told["audit_records"]) == (2, 1, 0)
    assert told["rows"] >= 3
    assert asked(journal, "SELECT COUNT(*) FROM notifications") == [(0,)]
    assert [state for (state,) in asked(journal, "SELECT state FROM runs")] == ["awaiting_approval"]
    found = verified(journal)
    assert (found["ok"], found["pruned"]) == (True, 0)


def test_audit_records_go_where_the_settings_say_so_and_the_rest_is_provable(
    fresh: Box, tmp_path: Path
) -> None:
    journal, export = fresh.folder / "journal.db", tmp_path / "before.jsonl"
    old = asyncio.run(_write_old(journal, days=20))
    with serving(fresh):
        fresh.until(fresh.fire("Looks", "seen")[0], "observed")
    done(remediator("audit", "export", "--config", fresh.config, "--to", str(export)))
    assert json.loads(done(db(fresh, "prune", "-o", "json")))["audit_records"] == 0
    keep = {"REMEDIATOR_AUDIT__RETENTION": "7d"}
    shown = json.loads(done(db(fresh, "prune", "--dry-run", "-o", "json", **keep)))
    told = json.loads(done(db(fresh, "prune", "-o", "json", **keep)))
    assert shown["audit_records"] == told["audit_records"] == old
    found = verified(journal)
    assert (found["ok"], found["pruned"], found["signed_heads"]) == (True, old, 1)
    said = done(remediator("audit", "verify", "--config", fresh.config))
    assert f"records 1 to {old} were deleted by retention" in said
    # The export goes up to where the chain begins now, and can be verified by itself.
    records = [json.loads(line) for line in export.read_text().splitlines()]
    (first,) = asked(journal, "SELECT previous FROM audit ORDER BY seq LIMIT 1")
    assert records[old - 1]["hash"] == first[0]
    rest = tmp_path / "rest.jsonl"
    done(remediator("audit", "export", "--config", fresh.config, "--to", str(rest)))
    assert len(rest.read_text().splitlines()) == found["records"]
    for file in (export, rest):
        assert remediator("audit", "verify", "--export", str(file)).returncode == 0
    # Without the record that says so, the beginning is missing.
    lines = [line for line in rest.read_text().splitlines() if '"audit.pruned"' not in line]
    rest.write_text("\n".join(lines[:3]) + "\n")
    cut = remediator("audit", "verify", "--export", str(rest))
    assert f"records 1 to {old} are missing: no record says that" in cut.stderr


def test_prune_is_refused_beside_a_daemon_and_below_the_least(box: Box) -> None:
    box.until(box.fire("Looks", box.item())[0], "observed")
    said = refused(db(box, "prune"))
    assert said.startswith("a daemon (process ")
    assert said.endswith(" it prunes by itself every hour; --dry-run shows what would go")
    assert "would delete from" in done(db(box, "prune", "--dry-run"))
    for age in ("1d", "soon"):
        usage = db(box, "prune", "--before", age)
        assert (usage.returncode, usage.stdout) == (2, "")
        assert "Traceback" not in usage.stderr


def test_prune_keeps_what_a_limit_looks_back_on(used: Box) -> None:
    _age(used.folder / "journal.db", days=20)
    config = used.folder / "config.yaml"
    config.write_text(config.read_text().replace("total: [1000/1h]", "total: [1000/30d]"))
    said = done(db(used, "prune", "--before", "10d"))
    assert "0 notifications, 0 runs" in said
    assert said.splitlines()[-1] == "kept longer than asked: a limit looks back that far"


# --- migrate ------------------------------------------------------------------------------


def test_migrate_on_sqlite(fresh: Box) -> None:
    journal = fresh.folder / "journal.db"
    *made, last = done(db(fresh, "migrate")).splitlines()
    assert made == [f"made {migration.name}" for migration in schema.known()]
    assert last == f"the journal sqlite:///{journal} is now at schema {CURRENT}"
    told = json.loads(done(db(fresh, "migrate", "-o", "json")))
    assert told == {"journal": f"sqlite:///{journal}", "schema": CURRENT, "made": []}
    with serving(fresh):
        assert f"is up to date: schema {CURRENT}" in done(db(fresh, "migrate"))
        with closing(sqlite3.connect(journal)) as connection:
            connection.execute("DELETE FROM schema_version WHERE version = ?", (CURRENT,))
            connection.commit()
        assert "stop it and start the new version" in refused(db(fresh, "migrate"))


def _age(journal: Path, *, days: int) -> None:
    """Let all that is over be so much older."""
    us = days * 86_400_000_000
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("UPDATE notifications SET received_us = received_us - ?", (us,))
        connection.execute("UPDATE runs SET ended_us = ended_us - ?", (us,))
        connection.execute(
            "UPDATE incidents SET status = 'resolved', updated_us = updated_us - ?"
            " WHERE id IN (SELECT incident_id FROM runs WHERE ended_us > 0)",
            (us,),
        )
        connection.commit()


async def _write_old(journal: Path, *, days: int) -> int:
    """Begin a journal so many days ago; returns how many audit records that left."""
    at = datetime.now(UTC) - timedelta(days=days)
    clock = HandClock()
    clock.time = at
    opened = await open_journal(f"sqlite:///{journal}", clock, Opening("of-old"))
    await opened.record([AuditEntry("note", "al", at, {"n": n}) for n in range(2500)])
    seq, _ = await opened.audit_head()
    await opened.close()
    return seq
