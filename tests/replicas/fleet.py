"""Daemons that share one PostgreSQL and one small world: a ledger that shows every change.

The world, the notifications and what must hold afterwards are the crash tests' (`tests.crash.rig`).
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from remediator.journal.opening import postgres_access
from remediator.journal.postgres import migrate
from tests.crash.rig import Rig, Run
from tests.scenarios.daemon import RemediatorProcess
from tests.servers.rest import request
from tests.servers.waiting import eventually

RUNBOOK = """
name: mend
description: Writes a line, can find out whether it is there, and waits until it is well.
match: ['alertname="Broken"']
mode: MODE
approval: APPROVAL
steps:
  - id: mend
    action: exec
    timeout: 2m
    with:
      command: [WORLD, do, "${{ labels.case }}"]
      check: [WORLD, check, "${{ labels.case }}"]
      settle: [WORLD, ready]
      plan_text: write the line ${{ labels.case }}
      target: ${{ labels.case }}
"""


class Fleet:
    """Replicas on one database; the first is the rig's."""

    def __init__(
        self,
        folder: Path,
        dsn: str,
        *,
        mode: str = "auto",
        approval: str = "{}",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """`approval` is the runbook's, in YAML; `settings` are for all replicas."""
        # One key and one file of heads for all, as on a shared volume or in a secret.
        kept = {"signing_key_file": f"{folder}/key.pem", "anchor_file": f"{folder}/heads.jsonl"}
        self._settings: Mapping[str, Any] = {"journal": dsn, "audit": kept, **(settings or {})}
        runbook = RUNBOOK.replace("MODE", mode).replace("APPROVAL", approval)
        self.rig = Rig(folder / "0", runbook, settings=self._settings)
        self.replicas: list[RemediatorProcess] = [self.rig.daemon]
        self._folder = folder

    @property
    def first(self) -> RemediatorProcess:
        """The replica that was started first."""
        return self.replicas[0]

    def migrate(self) -> None:
        """Make the schema."""
        access = postgres_access(self._settings["journal"], None)
        asyncio.run(migrate.upgrade(access, datetime.now(UTC)))

    def add(self) -> RemediatorProcess:
        """Start one more replica, with the same settings and runbooks."""
        folder = self._folder / str(len(self.replicas))
        replica = RemediatorProcess(folder, self.first.settings)
        for file in (self.first.folder / "runbooks").iterdir():
            (folder / "runbooks" / file.name).write_bytes(file.read_bytes())
        self.replicas.append(replica)
        replica.start()
        return replica

    def well(self) -> None:
        """Let what was changed become healthy."""
        (self.rig.folder / "ready").touch()

    def in_hand(self, case: str) -> Run:
        """Fire at the first replica, and wait until it has made the change and watches it."""
        self.rig.send(case, "firing")
        wanted = f"do {case}"
        eventually(lambda: wanted in self.rig.ledger(case), what="the change to be made")
        return self.rig.run_of()

    def state(self, run: Run, at: RemediatorProcess) -> str:
        """A run's state as a replica knows it."""
        answer = request("GET", f"{at.url}/api/v1/runs/{run['id']}").json()
        return str(answer["run"]["state"] if "run" in answer else answer["state"])

    def succeeds(self, run: Run, at: RemediatorProcess, within_s: float = 30.0) -> float:
        """Wait until a run has succeeded; returns how long that took, in seconds."""
        began = time.monotonic()
        eventually(lambda: self.state(run, at) == "succeeded", within_s, what="the run to succeed")
        return time.monotonic() - began

    def check_whole(self) -> None:
        """What was acknowledged is on record, no change was made twice, and the chain verifies."""
        replica = next(one for one in self.replicas if one.running)
        records = replica.items("/api/v1/audit")
        received = {r["details"]["sha256"] for r in records if r["kind"] == "notification"}
        assert self.rig.acknowledged <= received
        ledger = self.rig.ledger()
        assert len(ledger) == len(set(ledger)), ledger
        verified = replica.command("audit", "verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr

    def stop(self) -> None:
        """Stop all."""
        for replica in self.replicas:
            replica.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
