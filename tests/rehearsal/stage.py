"""A folder with a runbook and its test, and what comes of playing it."""

from dataclasses import dataclass
from pathlib import Path

from remediator.plugin import registry as plugins
from remediator.rehearsal import report, suite
from remediator.rehearsal.play import Played
from remediator.rehearsal.suite import Outcome

REGISTRY = plugins.load(third_party=False)

SHOP = """\
name: shop
description: Restart the shop when its health check fails.
match: ['alertname="ShopDown"']
mode: approve
wait_for: 1m
approval: {approvers: [sre]}
steps:
  - id: look
    action: http.check
    with: {url: "http://shop.example.org/healthz", expect_status: 503}
  - id: restart
    action: exec
    with: {command: [/bin/shopctl, restart], plan_text: restart the shop}
verify: {resolved_within: 10m}
on_failure: {escalate: [pagerduty]}
"""
"""Asks, restarts, and watches the alert; its command can't be checked."""

WORLD = """\
world:
  http: [{request: GET http://shop.example.org/healthz, status: 503}]
  exec: [{command: [/bin/shopctl, restart], takes: 30s}]
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """A folder of a test's own."""

    folder: Path

    def write(self, name: str, text: str) -> Path:
        """Write a file, and return where it is."""
        path = self.folder / name
        path.write_text(text)
        return path

    def play(self, tests: str, *, runbook: str = SHOP, world: str = WORLD) -> Outcome:
        """Write `shop.yaml` and its test, and play it.

        Args:
            tests: YAML below `tests:`, and whatever else the file holds.
            world: YAML before it.
        """
        self.write("shop.yaml", runbook)
        self.write("shop.test.yaml", world + tests)
        return suite.run([self.folder / "shop.yaml"], REGISTRY)

    def one(self, tests: str, *, runbook: str = SHOP, world: str = WORLD) -> Played:
        """Play a file of one test, which must be readable."""
        outcome = self.play(tests, runbook=runbook, world=world)
        assert not list(faults(outcome))
        (played,) = outcome.played
        return played

    def passes(self, tests: str, *, runbook: str = SHOP, world: str = WORLD) -> Played:
        """Play a file of one test, which must pass."""
        played = self.one(tests, runbook=runbook, world=world)
        assert played.passed, "\n".join(line.text for line in report.of_test(played))
        return played


def faults(outcome: Outcome) -> list[str]:
    """Return every fault of the files as it is shown, the folder's path left out."""
    return [
        str(finding).replace(f"{file.path.parent}/", "")
        for file in outcome.files
        for finding in file.findings
    ]


def failed(played: Played) -> list[str]:
    """Return what was not as expected, each in a line: key, note, and the lines of the
    difference."""
    return [
        f"{one.line}:{one.column} {one.what} {one.note}"
        + "".join(f" [{line.side}{line.text}]" for line in one.lines)
        for one in played.failures
    ]
