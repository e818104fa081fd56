"""Proves `db` on PostgreSQL: migrations that may meet each other, dumps beside a daemon, a restore
that no daemon gets into half-way, and retention beside running daemons.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from remediator.journal import schema
from remediator.journal.opening import postgres_access
from remediator.journal.postgres.dumping import Dump
from tests.cli.commands import (
    CONFIG,
    ROOT,
    Box,
    db,
    done,
    environment,
    refused,
    remediator,
    serve_refused,
    serving,
)
from tests.servers.postgres import Postgres

CURRENT = schema.known()[-1].version
Boxes = Callable[[str], Box]


@pytest.fixture
def boxes(tmp_path: Path, postgres: Postgres) -> Boxes:
    """Return what makes a box over a new, empty database; all share one signing key."""
    proofs = f"audit:\n  signing_key_file: {tmp_path}/key.pem\n  anchor_file: {tmp_path}/heads\n"

    def make(name: str) -> Box:
        config = CONFIG.replace("sqlite:///{folder}/journal.db", postgres.create_database())
        return Box.make(tmp_path / name, config + proofs)

    return make


@pytest.fixture
def box(boxes: Boxes) -> Box:
    """Return a box over a database that is migrated."""
    made = boxes("b")
    done(db(made, "migrate"))
    return made


def dsn_of(box: Box) -> str:
    """Return the address in a box's settings."""
    text = (box.folder / "config.yaml").read_text()
    return text.partition("journal: ")[2].partition("\n")[0]


def test_an_empty_database_is_migrated_by_whoever_comes_first(boxes: Boxes) -> None:
    box = boxes("b")
    assert serve_refused(box).endswith(" is empty; run `remediator db migrate` once")
    racing = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "remediator",
                *("db", "migrate", "--config", box.config),
                "-ojson",
            ],
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    answers = [(*process.communicate(timeout=120), process.returncode) for process in racing]
    assert [code for *_, code in answers] == [0, 0, 0, 0], answers
    told = [json.loads(out) for out, *_ in answers]
    made = sorted(name for one in told for name in one["made"])
    assert made == [migration.name for migration in schema.known()]
    assert {one["schema"] for one in told} == {CURRENT}
    assert "remediator:" not in told[0]["journal"]  # neither user nor password
    assert "is up to date: schema" in done(db(box, "migrate"))
    with serving(box):
        box.until(box.fire("Looks", "seen")[0], "observed")


def test_a_dump_beside_a_daemon_and_a_restore_after_which_nothing_is_done_twice(
    box: Box, boxes: Boxes, tmp_path: Path, postgres: Postgres
) -> None:
    dump = tmp_path / "journal.dump"
    with serving(box):
        waits = box.waiting("lamp")
        (acted,) = box.fire("Acts", "fan")
        box.until(acted, "verifying")
        told = json.loads(done(db(box, "backup", str(dump), "-o", "json")))
        done(box.cli("approve", waits, "--yes"))
        box.until(waits, "verifying")
    assert told["bytes"] == dump.stat().st_size > 10_000
    assert told["schema"] == CURRENT
    assert dump.stat().st_mode & 0o777 == 0o600
    assert "is not empty" in refused(db(box, "restore", str(dump)))
    (box.folder / "switch.lamp").unlink()

    new = boxes("new")
    # Half-way through, the database is shut.
    half = boxes("half")
    Dump(dump).load(postgres_access(dsn_of(half), None))
    assert serve_refused(half).endswith(" is empty; run `remediator db migrate` once")
    assert "if a restore was broken off, make a new database" in refused(db(half, "migrate"))

    told = json.loads(done(db(new, "restore", str(dump), "-o", "json")))
    assert (told["runs_cancelled"], told["runs_interrupted"], told["signed"]) == (1, 1, True)
    with serving(new):
        assert new.api(f"/api/v1/runs/{waits}")["state"] == "cancelled"
        assert new.api(f"/api/v1/runs/{acted}")["state"] == "interrupted"
        new.until(new.fire("Acts", "radio")[0], "suppressed")
        done(new.cli("resume"))
        new.until(new.fire("Acts", "stove")[0], "verifying")
    assert not box.is_on("lamp")
    whole = remediator("audit", "verify", "--config", new.config)
    assert whole.returncode == 0, whole.stderr
    assert "a signed line says so, and the record journal.restored" in whole.stdout
    assert dsn_of(new).rpartition("@")[0] not in whole.stdout
    (count,) = postgres.psql("SELECT COUNT(*) FROM runs", dsn_of(new)).splitlines()
    assert int(count) == 4


def test_the_password_is_in_no_argument(box: Box, tmp_path: Path) -> None:
    real = shutil.which("pg_dump")
    folder = tmp_path / "bin"
    folder.mkdir()
    told = tmp_path / "told"
    wrapper = folder / "pg_dump"
    wrapper.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" > {told}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    password = dsn_of(box).partition("@")[0].rpartition(":")[2]
    done(db(box, "backup", str(tmp_path / "a.dump"), PATH=path))
    assert password not in told.read_text()
    assert "--format=custom" in told.read_text()
    # In a setting of its own, too.
    without = dsn_of(box).replace(f":{password}@", "@")
    env = {"REMEDIATOR_JOURNAL": without, "REMEDIATOR_POSTGRES__PASSWORD": password, "PATH": path}
    done(db(box, "backup", str(tmp_path / "b.dump"), **env))
    assert password not in told.read_text()


def test_what_is_missing_or_wrong_is_said(box: Box, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    target = str(tmp_path / "a.dump")
    assert "pg_dump is not on this machine" in refused(db(box, "backup", target, PATH=str(empty)))
    assert not Path(target).exists()
    noise = tmp_path / "noise"
    noise.write_text("no dump")
    assert "pg_restore failed: " in refused(db(box, "restore", str(noise)))
    gone = dsn_of(box).rpartition("/")[0] + "/no_such_database"
    for words in (["migrate"], ["backup", target], ["prune"]):
        said = refused(db(box, *words, REMEDIATOR_JOURNAL=gone))
        assert "no_such_database" in said
        assert dsn_of(box).partition("@")[0] not in said
    down = "postgresql://u:hidden@127.0.0.1:1/x"
    said = refused(db(box, "migrate", REMEDIATOR_JOURNAL=down))
    assert "127.0.0.1:1/x does not answer" in said
    assert "hidden" not in said


def test_a_dump_that_was_forged_is_not_opened(
    box: Box, boxes: Boxes, tmp_path: Path, postgres: Postgres
) -> None:
    with serving(box):
        box.until(box.fire("Looks", "seen")[0], "observed")
    postgres.psql("UPDATE audit SET actor = 'mallory' WHERE seq = 2", dsn_of(box))
    dump = tmp_path / "forged.dump"
    done(db(box, "backup", str(dump)))
    new = boxes("new")
    assert "record 2 was changed" in refused(db(new, "restore", str(dump)))
    assert "is empty" in serve_refused(new)


def test_prune_beside_a_daemon(box: Box, postgres: Postgres) -> None:
    with serving(box):
        box.until(box.fire("Looks", "seen")[0], "observed")
        postgres.psql("UPDATE notifications SET received_us = 0", dsn_of(box))
        shown = json.loads(done(db(box, "prune", "--dry-run", "-o", "json")))
        told = json.loads(done(db(box, "prune", "-o", "json")))
        assert shown["notifications"] == told["notifications"] == 1
        # It was there for a moment only, and said so.
        alive = postgres.psql("SELECT COUNT(*) FROM nodes WHERE dead_us IS NULL", dsn_of(box))
        assert alive == "1"
        box.until(box.fire("Looks", "again")[0], "observed")
    assert remediator("audit", "verify", "--config", box.config).returncode == 0
