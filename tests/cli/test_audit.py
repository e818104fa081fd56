"""Proves `audit`: a whole chain verifies, a changed or shortened one does not, and both say so."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.commands import Box, remediator, serving


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Box:
    """Return a box whose daemon has done something and is stopped."""
    box = Box.make(tmp_path_factory.mktemp("audit") / "b")
    with serving(box):
        run = box.waiting("lamp")
        box.cli("deny", run)
        box.until(run, "denied")
    return box


def test_whole(used: Box) -> None:
    verified = remediator("audit", "verify", "--config", used.config)
    assert verified.returncode == 0, verified.stderr
    first, head, heads = verified.stdout.splitlines()
    assert first.startswith("the audit chain is whole: ")
    assert head.startswith("head: record ")
    assert heads == f"1 signed head agrees ({used.folder}/journal.db.heads.jsonl)"
    told = json.loads(remediator("audit", "verify", "--config", used.config, "-o", "json").stdout)
    assert told["ok"] is True
    assert told["records"] == told["head"]["seq"] > 5


def test_beside_a_running_daemon(box: Box) -> None:
    box.fire("Looks", box.item())
    verified = box.cli("audit", "verify", "--config", box.config)
    assert verified.returncode == 0, verified.stderr


def test_export_and_forgery(used: Box, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    exported = remediator("audit", "export", "--config", used.config, "--to", str(file))
    assert exported.returncode == 0, exported.stderr
    assert remediator("audit", "export", "--config", used.config).stdout == file.read_text("utf-8")
    verified = remediator("audit", "verify", "--export", str(file))
    assert verified.returncode == 0
    assert "no signed heads were looked at" in verified.stdout

    text = file.read_text(encoding="utf-8")
    seq = next(
        r["seq"] for r in map(json.loads, text.splitlines()) if r["kind"] == "approval.asked"
    )
    file.write_text(text.replace('"kind":"approval.asked"', '"kind":"approval.given"'), "utf-8")
    forged = remediator("audit", "verify", "--export", str(file))
    assert forged.returncode == 1
    assert forged.stderr.splitlines()[0] == (
        f"remediator: the audit chain is broken: record {seq} was changed: "
        "its hash does not fit its content"
    )
    assert forged.stdout == ""

    file.write_text("".join(text.splitlines(keepends=True)[:-2]), encoding="utf-8")
    heads = ("--anchors", f"{used.folder}/journal.db.heads.jsonl")
    key = ("--key", f"{used.folder}/journal.db.signing-key.pem.pub")
    assert remediator("audit", "verify", "--export", str(file)).returncode == 0
    cut = remediator("audit", "verify", "--export", str(file), *heads, *key)
    assert cut.returncode == 1
    assert "the tail was cut off" in cut.stderr
    without = remediator("audit", "verify", "--export", str(file), *heads)
    assert "can't be checked without --key" in without.stderr

    file.write_text("{}\n", encoding="utf-8")
    broken = remediator("audit", "verify", "--export", str(file))
    assert broken.returncode == 1
    assert f"remediator: {file}: line 1 is no audit record" in broken.stderr


def test_a_journal_that_was_changed(used: Box, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    source = sqlite3.connect(used.folder / "journal.db")
    target = sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.execute("UPDATE audit SET actor = 'mallory' WHERE seq = 3")
    target.commit()
    target.close()
    env = {"REMEDIATOR_JOURNAL": f"sqlite:///{copy}"}
    verified = remediator("audit", "verify", "--config", used.config, env=env)
    assert verified.returncode == 1
    assert "record 3 was changed" in verified.stderr
    assert "2 records before that are good" in verified.stderr


def test_a_record_that_was_put_behind_the_head(used: Box, tmp_path: Path) -> None:
    copy = tmp_path / "journal.db"
    with (
        closing(sqlite3.connect(used.folder / "journal.db")) as whole,
        closing(sqlite3.connect(copy)) as forged,
    ):
        whole.backup(forged)
        forged.execute(
            "INSERT INTO audit (seq, at_us, kind, actor, details, previous, hash)"
            " SELECT seq + 1, at_us, kind, 'somebody', details, hash, hash FROM audit"
            " ORDER BY seq DESC LIMIT 1"
        )
        forged.commit()
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"journal: sqlite:///{copy}\n", encoding="utf-8")
    verified = remediator("audit", "verify", "--config", str(settings))
    assert verified.returncode == 1
    assert "was inserted: the journal's head says" in verified.stderr
    assert "somebody" not in remediator("audit", "export", "--config", str(settings)).stdout


def test_no_journal(tmp_path: Path) -> None:
    env = {"REMEDIATOR_JOURNAL": f"sqlite:///{tmp_path}/none.db"}
    for word in ("verify", "export"):
        refused = remediator("audit", word, env=env)
        assert refused.returncode == 1
        assert f"there is no journal at {tmp_path}/none.db" in refused.stderr
        assert "Traceback" not in refused.stderr
