"""Alertmanager or Prometheus is gone, or hangs, when the daemon asks whether an alert still fires,
or whether a repair helped.

Not to know is no answer: before a change the run holds and changes nothing; after it, it holds and
takes nothing back. It asks again by itself. An Alertmanager that has just been started knows of no
alert yet, so its silence proves nothing until it is warm.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.crash.rig import Rig
from tests.faults.books import UNDO, book
from tests.servers.alertmanager import Alertmanager, webhook_config
from tests.servers.process import Process
from tests.servers.prometheus import Prometheus, prometheus_config
from tests.servers.waiting import eventually

WARM_AFTER_S = 3
HELPED_WITHIN_S = 1

_HOLDING = "signal_unknown"
MakeWatched = Callable[[str], "Watched"]


class Watched:
    """A daemon that asks a real Alertmanager, which tells it of the alert `Broken`."""

    def __init__(self, folder: Path, runbook: str) -> None:
        self.rig = Rig(folder / "rig", runbook)
        config = webhook_config(self.rig.daemon.webhook, group_by=("alertname", "case"))
        self.alertmanager = Alertmanager(folder / "alertmanager", config)

    def start(self) -> None:
        self.alertmanager.start()
        own = {
            "alertmanager": [self.alertmanager.url],
            "alertmanager_warmup": f"{WARM_AFTER_S}s",
        }
        self.rig.daemon.settings["senders"] = {"default": own}
        self.rig.daemon.start()

    def stop(self) -> None:
        self.rig.daemon.stop()
        self.alertmanager.stop()

    def fire(self, case: str) -> None:
        """Prometheus tells of it, or tells again."""
        self.alertmanager.post_alerts([{"labels": {"alertname": "Broken", "case": case}}])

    def clear(self, case: str) -> None:
        now = datetime.now(UTC)
        self.alertmanager.post_alerts(
            [
                {
                    "labels": {"alertname": "Broken", "case": case},
                    "startsAt": (now - timedelta(minutes=1)).isoformat(),
                    "endsAt": now.isoformat(),
                }
            ]
        )


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[MakeWatched]:
    made: list[Watched] = []

    def make(runbook: str) -> Watched:
        one = Watched(tmp_path, runbook)
        made.append(one)
        one.start()
        return one

    yield make
    for one in made:
        one.stop()


@contextmanager
def _gone(process: Process, how: str) -> Iterator[None]:
    """Killed, and started again with nothing in its memory; or frozen, and awake again."""
    if how == "killed":
        process.kill()
        yield
        process.start()
    else:
        process.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.signal(signal.SIGCONT)


EITHER = pytest.mark.parametrize("how", ["killed", "frozen"])


@EITHER
def test_before_a_change_nobody_knows_so_it_holds(watched: MakeWatched, how: str) -> None:
    here = watched(book(tail="wait_for: 1s\nverify: {resolved_within: 60s}\n"))
    rig = here.rig
    here.fire("before")
    rig.until("pending")
    with _gone(here.alertmanager.process, how):
        held = rig.until("pending", reason=_HOLDING)
        assert "no Alertmanager of this sender answers" in held["message"]
    if how == "killed":
        assert rig.until("pending", reason=_HOLDING), "its silence proves nothing yet"
        assert rig.ledger() == []
        here.fire("before")
    run = rig.until("verifying")
    assert rig.ledger() == ["do before"]
    here.clear("before")
    assert rig.until("succeeded")["id"] == run["id"]
    rig.check_whole()


def test_between_the_yes_and_the_change_nobody_knows_so_it_holds(watched: MakeWatched) -> None:
    here = watched(book("approve"))
    rig = here.rig
    here.fire("yes")
    asked = rig.until("awaiting_approval")
    with _gone(here.alertmanager.process, "frozen"):
        rig.approve(asked)
        rig.until("applying", reason=_HOLDING)
        assert rig.ledger() == []
    rig.until("succeeded")
    assert rig.ledger() == ["do yes"]
    rig.check_whole()


@EITHER
def test_after_a_change_nobody_knows_so_nothing_is_taken_back(
    watched: MakeWatched, how: str
) -> None:
    here = watched(book(tail=f"{UNDO}verify: {{resolved_within: {HELPED_WITHIN_S}s}}\n"))
    rig = here.rig
    here.fire("after")
    eventually(rig.ledger, what="the change")
    with _gone(here.alertmanager.process, how):
        rig.until("verifying", reason=_HOLDING)
        assert rig.ledger() == ["do after"]
    if how == "killed":
        # Nobody tells it of the alert again, so when it is warm, it has cleared.
        rig.until("succeeded")
        assert rig.ledger() == ["do after"]
    else:
        rig.until("rolled_back")
        assert rig.ledger() == ["do after", "undo after"]
    rig.check_whole()


_ASKS_PROMETHEUS = """
verify:
  action: prometheus.query
  with: {query: sum(healthy), expect: value > 0.0}
  within: 1s
"""
_PROBE_FIRST = """
steps:
  - id: broken
    action: prometheus.query
    with: {query: vector(1), expect: value > 0.0}
"""


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Prometheus]:
    with Prometheus(tmp_path / "prometheus", prometheus_config({})) as started:
        yield started


def _asking(folder: Path, prometheus: Prometheus, runbook: str) -> Rig:
    settings = {"prometheus": {"url": prometheus.url, "timeout_s": 1.0}}
    return Rig(folder / "rig", runbook, settings=settings)


@EITHER
def test_a_probe_that_is_not_answered_holds_the_run(
    tmp_path: Path, prometheus: Prometheus, how: str
) -> None:
    rig = _asking(tmp_path, prometheus, book().replace("\nsteps:\n", _PROBE_FIRST))
    with rig.daemon:
        with _gone(prometheus.process, how):
            rig.send("probe", "firing")
            rig.until("pending", reason="unreachable")
            assert rig.ledger() == []
        rig.until("succeeded")
        assert rig.ledger() == ["do probe"]
        rig.check_whole()


@pytest.mark.parametrize("helped", [True, False], ids=["helped", "did-not-help"])
def test_a_verdict_that_is_not_given_takes_nothing_back(
    tmp_path: Path, prometheus: Prometheus, helped: bool
) -> None:
    verify = _ASKS_PROMETHEUS.replace("sum(healthy)", f"vector({int(helped)})")
    rig = _asking(tmp_path, prometheus, book(takes_s=1, tail=UNDO + verify))
    with rig.daemon:
        rig.send("verdict", "firing")
        eventually(lambda: rig.begun("verdict"), interval_s=0.01, what="the change to begin")
        with _gone(prometheus.process, "killed"):
            rig.until("verifying", reason=_HOLDING)
            assert rig.ledger() == ["do verdict"]
        rig.until("succeeded" if helped else "rolled_back")
        assert rig.ledger() == ["do verdict", *([] if helped else ["undo verdict"])]
        rig.check_whole()
