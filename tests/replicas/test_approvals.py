"""Proves with two real daemons on one PostgreSQL that people may answer at any of them: a quorum
that comes in halves, reminders that come once, and every answer that is too late or not theirs.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.replicas.fleet import Fleet
from tests.scenarios.daemon import RemediatorProcess
from tests.servers.rest import Response, request
from tests.servers.waiting import eventually

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

_TOKENS = {name: f"token-of-{name}-0123456789" for name in ("ann", "ann-phone", "bob", "cleo")}


class Pair:
    """Two replicas, and people with tokens."""

    def __init__(self, fleet: Fleet, oncall: Path) -> None:
        self.fleet = fleet
        self.one, self.other = fleet.replicas
        self._oncall = oncall

    def on_call(self, *who: str) -> None:
        """Edit the file that says who is on call."""
        self._oncall.write_text(_schedule(who), encoding="utf-8")

    def ask(
        self, replica: RemediatorProcess, who: str, method: str, path: str, body: object = None
    ) -> Response:
        """Use a replica's API."""
        return request(method, f"{replica.url}/api/v1/{path}", body, token=_TOKENS[who])

    def fire(self, case: str) -> str:
        """Let an alert fire; returns the run once it asks."""
        self.fleet.rig.send(case, "firing")
        return self.asking()

    def asking(self) -> str:
        """The only run, once it asks."""
        found: list[str] = []

        def look() -> bool:
            runs = self.ask(self.other, "bob", "GET", "runs?state=awaiting_approval").json()
            found[:] = [run["id"] for run in runs["items"]]
            return len(found) == 1

        eventually(look, what="the question")
        return found[0]

    def view(self, run: str, at: RemediatorProcess | None = None) -> Any:
        """A run, whole."""
        return self.ask(at or self.one, "bob", "GET", f"runs/{run}").json()

    def seen(self, run: str) -> dict[str, str]:
        """The question as somebody looks at it now."""
        return {"approval_id": self.view(run)["approval"]["id"]}

    def say(
        self, replica: RemediatorProcess, who: str, run: str, seen: dict[str, str], word: str
    ) -> tuple[int, str]:
        """Answer; returns the status and the outcome, or what the problem says."""
        answer = self.ask(replica, who, "POST", f"runs/{run}/{word}", seen)
        told = answer.json()
        return answer.status, str(told.get("outcome") or told.get("detail"))

    def until(self, run: str, state: str) -> None:
        """Wait for a state."""
        eventually(lambda: self.view(run, self.other)["state"] == state, what=state)

    def records(self, run: str, kind: str) -> Sequence[Any]:
        """The audit records of this kind."""
        page = self.ask(self.other, "bob", "GET", f"audit?run_id={run}&limit=500").json()
        return [one for one in page["items"] if one["kind"] == kind]


def _schedule(who: Sequence[str]) -> str:
    return (
        "time_zone: UTC\nshifts:\n"
        f"  - {{from: 2020-01-01T00:00, until: 2090-01-01T00:00, who: [{', '.join(who)}]}}\n"
    )


@contextmanager
def pair(folder: Path, dsn: str, approval: str) -> Iterator[Pair]:
    """Two replicas whose approvers are on call by a file: ann and bob."""
    oncall = folder / "oncall.yaml"
    oncall.write_text(_schedule(["ann", "bob"]), encoding="utf-8")
    settings = {
        "api": {
            "tokens": [
                {"name": name, "token": token, "role": "operator"}
                for name, token in _TOKENS.items()
            ]
        },
        "people": {"ann": ["api:ann", "api:ann-phone"], "bob": ["api:bob"]},
        "schedules": {"duty": {"file": str(oncall)}},
        "groups": {"sre": ["schedule:duty"]},
        "default_approvers": ["sre"],
    }
    with Fleet(folder, dsn, mode="approve", approval=approval, settings=settings) as fleet:
        fleet.migrate()
        fleet.first.start()
        fleet.add()
        fleet.well()
        yield Pair(fleet, oncall)


def test_a_quorum_that_comes_in_halves_at_two_replicas(tmp_path: Path, postgres_dsn: str) -> None:
    with pair(tmp_path, postgres_dsn, "{quorum: 2}") as two:
        run = two.fire("halves")
        seen = two.seen(run)
        clicks = [
            (two.one, "ann", "approve"),
            (two.other, "ann-phone", "approve"),
            (two.other, "bob", "approve"),
            (two.one, "bob", "approve"),
        ]
        with ThreadPoolExecutor(len(clicks)) as pool:
            told = list(pool.map(lambda one: two.say(one[0], one[1], run, seen, one[2]), clicks))
        outcomes = sorted(outcome for _, outcome in told)
        assert outcomes.count("approved") == 1, told
        assert outcomes.count("counted") == 1, told
        two.until(run, "succeeded")
        assert two.fleet.rig.ledger() == ["do halves"]
        assert len(two.records(run, "approval.decision")) == 4
        late = two.say(two.one, "ann", run, seen, "deny")
        assert late == (409, "already_decided")


def test_a_reminder_comes_once_and_who_left_has_no_say(tmp_path: Path, postgres_dsn: str) -> None:
    with pair(tmp_path, postgres_dsn, "{quorum: 2, remind: [1s, 2s]}") as two:
        run = two.fire("left")
        seen = two.seen(run)
        assert two.say(two.one, "ann", run, seen, "approve") == (200, "counted")
        eventually(lambda: len(two.records(run, "approval.reminded")) == 2, what="both reminders")
        mine = two.ask(two.other, "ann", "GET", "approvals?mine=1").json()["items"]
        assert [one["run"]["id"] for one in mine] == [run]
        two.on_call("bob", "api:cleo")
        status, why = two.say(two.other, "ann", run, seen, "approve")
        assert (status, "it is for sre" in why) == (403, True), why
        # bob's is the first yes that counts, since ann left.
        assert two.say(two.other, "bob", run, seen, "approve") == (200, "counted")
        assert two.fleet.rig.ledger() == []
        assert two.say(two.one, "cleo", run, seen, "approve") == (200, "approved")
        two.until(run, "succeeded")
        reminders = [one["details"]["reminder"] for one in two.records(run, "approval.reminded")]
        assert reminders == [1, 2]


def test_a_schedule_that_cant_be_read_lets_nobody_in(tmp_path: Path, postgres_dsn: str) -> None:
    with pair(tmp_path, postgres_dsn, "{}") as two:
        run = two.fire("broken")
        seen = two.seen(run)
        (tmp_path / "oncall.yaml").write_text("time_zone: [", encoding="utf-8")
        for replica in (two.one, two.other):
            status, why = two.say(replica, "ann", run, seen, "approve")
            assert (status, "can't be found out now" in why) == (403, True), why
        assert [
            one["details"]["reason"] for one in two.records(run, "approval.not_authorised")
        ] == [
            "cannot_tell",
            "cannot_tell",
        ]
        two.on_call("ann")
        assert two.say(two.other, "ann", run, seen, "approve") == (200, "approved")


def test_answers_after_a_snooze_the_end_of_the_time_and_resolved(
    tmp_path: Path, postgres_dsn: str
) -> None:
    with pair(tmp_path, postgres_dsn, "{timeout: 4s, on_expiry: deny}") as two:
        run = two.fire("late")
        seen = two.seen(run)
        put_off = two.ask(two.one, "ann", "POST", f"runs/{run}/snooze", {**seen, "for": "1m"})
        assert put_off.json()["outcome"] == "snoozed"
        assert two.say(two.other, "bob", run, seen, "approve") == (409, "void")
        two.fleet.rig.send("late", "resolved")
        two.until(run, "cancelled")

        run = two.fire("expires")
        seen = two.seen(run)
        two.until(run, "expired")
        assert two.say(two.other, "bob", run, seen, "approve") == (409, "expired")

        run = two.fire("clears")
        seen = two.seen(run)
        two.fleet.rig.send("clears", "resolved")
        two.until(run, "cancelled")
        assert two.say(two.other, "bob", run, seen, "deny") == (409, "void")
        assert two.fleet.rig.ledger() == []


def test_who_started_it_at_one_replica_says_no_yes_at_the_other(
    tmp_path: Path, postgres_dsn: str
) -> None:
    with pair(tmp_path, postgres_dsn, "{four_eyes: true}") as two:
        labels = {"case": "eyes", "alertname": "Broken"}
        started = two.ask(two.one, "ann", "POST", "runs", {"runbook": "mend", "labels": labels})
        assert started.status == 201, started.text
        run = two.asking()
        seen = two.seen(run)
        status, why = two.say(two.other, "ann-phone", run, seen, "approve")
        assert (status, "started this run" in why) == (403, True), why
        me = two.ask(two.one, "ann-phone", "GET", "me").json()
        assert (me["identity"], me["person"], me["groups"]) == ("api:ann-phone", "ann", ["sre"])
        assert two.say(two.other, "bob", run, seen, "approve") == (200, "approved")
        two.until(run, "succeeded")
        assert two.fleet.rig.ledger() == ["do eyes"]
