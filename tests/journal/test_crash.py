"""Proves that what was acknowledged is there after `kill -9`, and that the chain still verifies.

A real process floods a journal and says what was acknowledged; it is killed in the middle, several
times on the same file.
"""

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from remediator.journal import verify
from remediator.journal.opening import open_journal
from remediator.journal.protocol import Journal
from remediator.journal.values import AuditRecord, Opening
from remediator.model.runs import RunState, StepState
from tests.journal.factories import HandClock, after

_ROOT = Path(__file__).parents[2]


def _flood_and_kill(path: Path, after_lines: int) -> dict[str, list[list[str]]]:
    """Return what a writing process acknowledged before it was killed: word → the rest."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.journal.writing", "flood", str(path)],
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    with process, process.stdout as output:
        for line in output:
            lines.append(line)
            if len(lines) == after_lines:
                process.kill()
    said = defaultdict(list)
    for line in lines:
        if line.endswith("\n"):
            word, *rest = line.split()
            said[word].append(rest)
    assert "ready" in said, lines
    return said


async def _whole_chain(journal: Journal) -> list[AuditRecord]:
    records: list[AuditRecord] = []
    while page := await journal.audit(after=len(records), limit=1000):
        records += page
    return records


@pytest.mark.parametrize("after_lines", [2, 57, 400])
async def test_nothing_acknowledged_is_lost(tmp_path: Path, after_lines: int) -> None:
    path = tmp_path / "journal.db"
    for _ in range(2):
        said = _flood_and_kill(path, after_lines)
        journal = await open_journal(f"sqlite:///{path}", HandClock(), Opening("looks"))
        try:
            records = await _whole_chain(journal)
            found = verify.verify(records, expected_head=await journal.audit_head())
            assert found.ok, found.problem
            received = {r.entry.details["id"] for r in records if r.entry.kind == "notification"}
            for notification_id, incident_id, run_id in said["taken"]:
                assert notification_id in received
                assert await journal.incident(incident_id) is not None
                assert await journal.run(run_id) is not None
            for (run_id,) in said["started"]:
                (step,) = await journal.steps(run_id)
                assert step.state in {StepState.STARTED, StepState.DONE}
            for (run_id,) in said["done"]:
                assert [s.state for s in await journal.steps(run_id)] == [StepState.DONE]
            for (run_id,) in said["ended"]:
                run = await journal.run(run_id)
                assert run is not None
                assert run.state is RunState.SUCCEEDED
            # Whatever was in hand is taken up again, and holds its lock still.
            again = {run.id for run in await journal.claim(at=after(days=999), limit=10_000)}
            ended = {run_id for (run_id,) in said["ended"]}
            in_hand = {run_id for (run_id,) in said["claimed"]} - ended
            unended = {
                run_id
                for run_id in in_hand
                if (run := await journal.run(run_id)) and not run.state.ended
            }
            assert unended <= again
        finally:
            await journal.close()
