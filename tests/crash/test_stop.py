"""Proves that SIGTERM loses nothing and repeats nothing: a change in hand is finished or recorded
as begun, the process ends with 0, and the next start goes on from there."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.crash import legal
from tests.crash.fixtures import MakeRig
from tests.crash.rig import Rig
from tests.servers.waiting import eventually

_RUNBOOK = """
name: slow
description: Writes a line slowly, and waits until it is well.
match: ['alertname="Broken"']
mode: auto
steps:
  - id: mend
    action: exec
    timeout: 1m
    with:
      command: [WORLD, do, "${{ labels.case }}", "3"]
      plan_text: write the line ${{ labels.case }}
      target: ${{ labels.case }}
      SETTLE
  - id: next
    action: exec
    with:
      command: [WORLD, do, "${{ labels.case }}-next"]
      plan_text: write the next line
      target: ${{ labels.case }}-next
"""
_SETTLE = "settle: [WORLD, ready]"


def _stop(rig: Rig) -> int:
    """SIGTERM to the daemon alone; what it ended with."""
    process = rig.daemon.process
    os.kill(process.pid, signal.SIGTERM)
    eventually(lambda: not process.running, 25, what="the daemon to end")
    code = process.exit_code
    assert code is not None
    return code


def _run(rig: Rig, state: str) -> bool:
    return bool(rig.run_of()["state"] == state)


def _finish(rig: Rig, case: str) -> None:
    eventually(lambda: _run(rig, "succeeded"), 30, what="the run to succeed")
    assert rig.ledger() == [f"do {case}", f"do {case}-next"]
    assert rig.locks() == {}
    legal.check(rig.audit(rig.run_of()))
    rig.check_whole()


@pytest.mark.parametrize("checked", [True, False])
def test_a_stop_inside_a_command_waits_for_it(make_rig: MakeRig, checked: bool) -> None:
    check = 'check: [WORLD, check, "${{ labels.case }}"]' if checked else ""
    rig = make_rig(_RUNBOOK.replace("SETTLE", check))
    rig.send("slow", "firing")
    eventually(lambda: _in_hand(rig), 20, what="the command to begin")
    assert rig.ledger() == []
    assert _stop(rig) == 0
    assert rig.ledger() == ["do slow"], "the command was not cut off, and the next not begun"
    rig.daemon.restart()
    _finish(rig, "slow")


@pytest.mark.parametrize("checked", [True, False])
def test_a_stop_while_it_settles_looks_on_after_the_start(make_rig: MakeRig, checked: bool) -> None:
    check = '      check: [WORLD, check, "${{ labels.case }}"]' if checked else ""
    rig = make_rig(_RUNBOOK.replace("SETTLE", f"{_SETTLE}\n{check}"))
    rig.send("slow", "firing")
    eventually(rig.ledger, 20, what="the change")
    assert _stop(rig) == 0
    rig.daemon.restart()
    assert _run(rig, "applying")
    (rig.folder / "ready").touch()
    _finish(rig, "slow")


def test_a_stop_claims_nothing_while_a_request_is_half_sent(make_rig: MakeRig) -> None:
    runbook = _RUNBOOK.replace("mode: auto", "mode: auto\nwait_for: 3s").replace("SETTLE", "")
    rig = make_rig(runbook)
    with _half_sent(rig):
        rig.send("slow", "firing")
        began = time.monotonic()
        assert _stop(rig) == 0
        took_s = time.monotonic() - began
    assert took_s > 3, "the run's time came while the stop waited for the request"
    assert took_s < 25, "Kubernetes kills after 30 s"
    assert rig.ledger() == []
    rig.daemon.restart()
    _finish(rig, "slow")


@contextmanager
def _half_sent(rig: Rig) -> Iterator[None]:
    """Hold a request open whose body does not come."""
    address = urlsplit(rig.daemon.webhook)
    with socket.create_connection((address.hostname, address.port)) as connection:
        head = f"POST {address.path} HTTP/1.1\r\nHost: remediator\r\nContent-Length: 1000\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\n\r\n{{".encode())
        yield


def _in_hand(rig: Rig) -> bool:
    steps = rig.daemon.api(f"/api/v1/runs/{rig.run_of()['id']}")["steps"]
    return any(step["state"] == "started" for step in steps)
