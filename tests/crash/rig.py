"""A daemon with a small world beside it, carried through a run whatever kills it on the way.

The world is a ledger: `do NAME` and `undo NAME` append a line each, by one write, so that a change
that is made twice is there to be seen. `Rig.carry` plays the people and the sender: it sends what
was not acknowledged again, as Alertmanager does, and starts a daemon that died.
"""

import hashlib
import signal
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash import bodies
from tests.crash.strace import COMMIT, Strace
from tests.faults import whole
from tests.scenarios.daemon import RemediatorProcess
from tests.servers.rest import request
from tests.servers.waiting import eventually

_WORLD = """#!/bin/sh
ledger="${0%/*}/ledger"
case "$1" in
  do|undo)
    : > "${0%/*}/begun-$2"
    [ -z "$3" ] || sleep "$3"
    echo "$1 $2" >> "$ledger"
    [ ! -e "${0%/*}/fills" ] || cat /dev/zero > "$(cat "${0%/*}/fills")" 2> /dev/null || true ;;
  check) [ "$(grep " $2\\$" "$ledger" | tail -n 1)" = "do $2" ] ;;
  ready) echo >> "${0%/*}/looks"; [ -e "${0%/*}/ready" ] ;;
esac
"""
# A run here takes a second; a machine that is busy with eight others takes longer.
_RUN_WITHIN_S = 60.0

Run = dict[str, Any]
Act = Callable[[Run], None]


@dataclass
class Carried:
    """How a run ended, and what it took."""

    run: Run
    deaths: int = 0
    states: list[str] = field(default_factory=list)
    """As they were seen from outside; short ones may be missing."""


class Rig:
    """One daemon, one ledger, one run after the other."""

    def __init__(
        self,
        folder: Path,
        runbook: str,
        *,
        settings: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """`runbook` may say WORLD for the path of the program that keeps the ledger; `more` is
        the daemon's (see `RemediatorProcess`).
        """
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.world = folder / "world"
        self.world.write_text(_WORLD)
        self.world.chmod(0o755)
        self._ledger = folder / "ledger"
        self._ledger.touch()
        own = {
            "policy": {
                "mode": "auto",
                "cooldown": "0s",
                "rate": {"per_runbook": [], "total": []},
                "storm": {"opened": None},
                "breaker": {"failures": None},
                "flapping": {"treated": None},
            },
            "exec": {"allow": [str(self.world)], "host": "here"},
            "worker": {"poll": "50ms", "hold": "100ms"},
            "log": {"format": "json", "level": "info"},
        }
        text = runbook.replace("WORLD", str(self.world))
        self.daemon = RemediatorProcess(
            folder / "daemon", {**own, **(settings or {})}, {"runbook": text}, **more
        )
        self.acknowledged: set[str] = set()
        self._known: set[str] = set()
        self.trace: Strace | None = None

    # --- a run ----------------------------------------------------------------------------

    def carry(
        self,
        case: str,
        acts: Mapping[str, Act] | None = None,
        *,
        kill_at: int | None = None,
        call: str = COMMIT,
        lives: int = 1,
        **labels: str,
    ) -> Carried:
        """Fire the alert of `case`, act as `acts` say for each state, until the run has ended.

        The daemon is killed at the `kill_at`-th `call` from now on, and started again; so it goes
        with as many of its `lives`, and with none it is let alone. `labels` are the alert's.
        """
        carried = Carried({})

        def watch() -> None:
            if self.trace is not None:
                self.trace.close()
            if carried.deaths < lives:
                self.trace = Strace(
                    self.daemon.process.pid, self.folder, kill_at=kill_at, call=call
                )

        watch()
        try:
            self._carry(case, labels, acts or {}, carried, watch)
        finally:
            if self.trace is not None:
                self.trace.close()
        self.done_with(carried.run)
        return carried

    def _carry(
        self,
        case: str,
        labels: Mapping[str, str],
        acts: Mapping[str, Act],
        carried: Carried,
        watch: Callable[[], None],
    ) -> None:
        deadline = time.monotonic() + _RUN_WITHIN_S
        while True:
            assert time.monotonic() < deadline, (
                f"{case}: {carried} has not ended\n{self.daemon.log_tail()}"
            )
            if not self.daemon.process.running:
                assert self.daemon.process.exit_code == -signal.SIGKILL, self.daemon.log_tail()
                carried.deaths += 1
                self.daemon.restart()
                watch()
            try:
                self.send(case, "firing", **labels)
                if self._turn(acts, carried):
                    return
            except OSError:
                time.sleep(0.01)  # it is dying; the next turn sees that it is dead

    def _turn(self, acts: Mapping[str, Act], carried: Carried) -> bool:
        run = self.run_of()
        if run["state"] not in carried.states[-1:]:
            carried.states.append(run["state"])
        carried.run = run
        if run["ended_at"] is not None:
            return True
        act = acts.get(run["state"])
        if act is not None:
            act(run)
        time.sleep(0.02)
        return False

    def run_of(self) -> Run:
        """The one new run of an alert; two would be one too many. (A limit that was raised comes
        back by a run of its own.)
        """
        runs: list[Run] = self.daemon.api("/api/v1/runs")["items"]
        new = [r for r in runs if r["id"] not in self._known and r["trigger"] == "firing"]
        assert len(new) == 1, f"{len(new)} new runs: {new}"
        return new[0]

    def until(self, *states: str, reason: str = "", timeout_s: float = 30.0) -> Run:
        """The one new run, once it is in one of these states (and, perhaps, for this reason)."""

        def look() -> Run:
            run = self.run_of()
            assert run["state"] in states, run
            assert reason in ("", run["reason"]), run
            return run

        return eventually(look, timeout_s, what=f"the run to be {' or '.join(states)} {reason}")

    def done_with(self, run: Run) -> None:
        """From now on another run is the new one."""
        self._known.add(run["id"])

    # --- what people and senders do -------------------------------------------------------

    def send(self, case: str, status: str, **labels: str) -> None:
        """Post the alert until it was acknowledged once; 503 and a dead daemon mean «again»."""
        self.post(bodies.notification(bodies.alert(case, status, **labels)))

    def post(self, body: bytes, *, again: bool = False) -> bool:
        """The same with a whole body; `again`, even if it was acknowledged. Returns whether it was
        sent now.
        """
        digest = hashlib.sha256(body).hexdigest()
        if digest in self.acknowledged and not again:
            return False
        answer = request("POST", self.daemon.webhook, body, timeout_s=60.0)
        if answer.status == 503:
            raise OSError(answer.text)
        assert answer.status == 200, answer.text
        self.acknowledge(body)
        return True

    def acknowledge(self, body: bytes) -> None:
        """This body was answered 200, whoever posted it."""
        self.acknowledged.add(hashlib.sha256(body).hexdigest())

    def approve(self, run: Run) -> None:
        """Say yes; that it was said already is fine, as after an answer that was lost."""
        view = request("GET", f"{self.daemon.url}/api/v1/runs/{run['id']}").json()
        if view["approval"] is None:
            return
        seen = {"approval_id": view["approval"]["id"]}
        answer = self.daemon.post(f"/api/v1/runs/{run['id']}/approve", seen)
        assert answer.status in (200, 409, 503), answer.text

    def resume(self, run: Run, how: str) -> None:
        """Tell what was found out about an interrupted run."""
        answer = self.daemon.post(f"/api/v1/runs/{run['id']}/resume", {"how": how})
        assert answer.status in (200, 409, 503), answer.text

    def begun(self, name: str) -> bool:
        """Whether a command for `name` has begun, whether or not its line is there yet."""
        return (self.folder / f"begun-{name}").exists()

    def looks(self) -> int:
        """How often it was asked whether the world is ready."""
        looks = self.folder / "looks"
        return len(looks.read_text().splitlines()) if looks.exists() else 0

    def fills(self, file: Path) -> None:
        """From now on each change fills the disk that this file is on."""
        (self.folder / "fills").write_text(str(file))

    # --- what is left ---------------------------------------------------------------------

    def ledger(self, name: str = "") -> list[str]:
        """What was done to `name`, or to everything, in order."""
        lines = self._ledger.read_text().splitlines()
        return [line for line in lines if not name or line.split()[1] == name]

    def locks(self) -> dict[str, str]:
        """Target key → run, out of the file."""
        with self.daemon.reading() as journal:
            return dict(journal.execute("SELECT target_key, run_id FROM locks").fetchall())

    def audit(self, run: Run) -> list[dict[str, Any]]:
        """The run's part of the chain."""
        return self.daemon.items(f"/api/v1/audit?run_id={run['id']}")

    def check_whole(
        self,
        changes: Mapping[str, int] | None = None,
        *,
        waiting: Collection[str] = (),
    ) -> None:
        """See `whole.check`; the changes are those of the ledger unless others are given."""
        made = Counter(self.ledger()) if changes is None else changes
        whole.check(self.daemon, acknowledged=self.acknowledged, changes=made, waiting=waiting)
