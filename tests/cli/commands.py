"""Runs the real `remediator` as child processes, and a real daemon for them to talk to."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[2]
START_WITHIN_S = 60.0

CONFIG = """\
listen: 127.0.0.1:0
journal: sqlite:///{folder}/journal.db
runbooks: [{folder}/runbooks]
reload_every: 1h
policy:
  mode: auto
  cooldown: 0s
  rate: {{per_runbook: [1000/1h], total: [1000/1h]}}
exec: {{allow: [{folder}/switch], host: box}}
worker: {{poll: 100ms, hold: 200ms}}
"""

# Three runbooks over one real command, which turns a named switch (a file) on and off.
RUNBOOK = """\
name: {name}
description: Turn a switch on.
owner: team-box
match: ['alertname="{alert}"']
mode: {mode}
steps:
  - id: turn
    action: exec
    with:
      command: [{folder}/switch, "on", "${{{{ labels.item }}}}"]
      plan_text: switch ${{{{ labels.item }}}} off → ${{{{ params.to }}}}
      check: [{folder}/switch, is-on, "${{{{ labels.item }}}}"]
      undo: [{folder}/switch, "off", "${{{{ labels.item }}}}"]
      target: ${{{{ labels.item }}}}
verify: {{resolved_within: 5m}}
parameters:
  to: {{default: "on", pattern: "[a-z ]+"}}
"""

SWITCH = """\
#!/bin/sh
file="{folder}/switch.$2"
case "$1" in
  on) : > "$file"; echo "$2 is on" ;;
  off) rm -f "$file"; echo "$2 is off" ;;
  is-on) test -e "$file" ;;
  *) exit 64 ;;
esac
"""


def environment(**more: str) -> dict[str, str]:
    """Return the tests' own environment without anybody's settings for remediator."""
    ours = {k: v for k, v in os.environ.items() if not k.upper().startswith("REMEDIATOR_")}
    return {**ours, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **more}


def remediator(
    *arguments: str,
    cwd: Path = ROOT,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "remediator", *arguments],
        cwd=cwd,
        env=environment(**(env or {})),
        input=stdin or "",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@dataclass
class Box:
    """A folder with settings, runbooks and the switch."""

    folder: Path
    url: str = ""
    token: str = ""
    _items: Iterator[int] = field(default_factory=lambda: iter(range(1, 10_000)))

    @classmethod
    def make(cls, folder: Path, config: str = CONFIG) -> "Box":
        """Write everything."""
        (folder / "runbooks").mkdir(parents=True)
        (folder / "config.yaml").write_text(config.format(folder=folder), encoding="utf-8")
        for name, alert, mode in (
            ("asks-first", "Asks", "approve"),
            ("acts-alone", "Acts", "auto"),
            ("only-looks", "Looks", "observe"),
        ):
            text = RUNBOOK.format(name=name, alert=alert, mode=mode, folder=folder)
            (folder / "runbooks" / f"{name}.yaml").write_text(text, encoding="utf-8")
        switch = folder / "switch"
        switch.write_text(SWITCH.format(folder=folder), encoding="utf-8")
        switch.chmod(0o755)
        return cls(folder)

    @property
    def config(self) -> str:
        """The settings file."""
        return str(self.folder / "config.yaml")

    def item(self) -> str:
        """Return the name of a switch that nobody has used."""
        return f"item-{next(self._items)}"

    def is_on(self, item: str) -> bool:
        """Look at the world."""
        return (self.folder / f"switch.{item}").exists()

    def cli(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a command that talks to this box's daemon."""
        env = {"REMEDIATOR_URL": self.url, **more.pop("env", {})}
        if self.token:
            env.setdefault("REMEDIATOR_TOKEN", self.token)
        return remediator(*arguments, cwd=self.folder, env=env, **more)

    def api(self, path: str) -> Any:
        """Ask the daemon without the command line."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        with urlopen(Request(self.url + path, headers=headers), timeout=30) as answer:  # noqa: S310 - loopback
            return json.loads(answer.read())

    def fire(self, alert: str, item: str, *, status: str = "firing") -> list[str]:
        """Send an alert as Alertmanager does; returns the ids of the runs that it started."""
        body = json.dumps(notification(alert, item, status=status)).encode()
        request = Request(  # noqa: S310 - loopback
            f"{self.url}/webhook/alertmanager",
            data=body,
            headers={"Content-Type": "application/json"},
        )
        with urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            started: list[str] = json.loads(answer.read())["runs_started"]
        return started

    def waiting(self, item: str) -> str:
        """Bring a run as far as its question; returns its id."""
        (run,) = self.fire("Asks", item)
        self.until(run, "awaiting_approval")
        return run

    def until(self, run: str, *states: str) -> Any:
        """Wait until a run is in one of these states."""
        return until(lambda: self.api(f"/api/v1/runs/{run}"), lambda view: view["state"] in states)


def notification(alert: str, item: str, *, status: str = "firing") -> dict[str, Any]:
    """Return a version 4 webhook body with one alert."""
    now = datetime.now(UTC).isoformat()
    labels = {"alertname": alert, "item": item}
    return {
        "version": "4",
        "groupKey": f"{{}}:{alert}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "remediator",
        "groupLabels": {"alertname": alert},
        "commonLabels": labels,
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.org",
        "alerts": [
            {
                "status": status,
                "labels": labels,
                "annotations": {},
                "startsAt": now,
                "endsAt": now if status == "resolved" else "0001-01-01T00:00:00Z",
                "generatorURL": "",
                "fingerprint": "",
            }
        ],
    }


def until(look: Callable[[], Any], wanted: Callable[[Any], bool], within_s: float = 60.0) -> Any:
    """Look until it is as wanted.

    Raises:
        AssertionError: it did not become so; with what was seen last.
    """
    deadline = time.monotonic() + within_s
    while True:
        seen = look()
        if wanted(seen):
            return seen
        assert time.monotonic() < deadline, f"not within {within_s:.0f}s; last seen: {seen}"
        time.sleep(0.05)


@contextmanager
def serving(box: Box) -> Iterator[subprocess.Popen[str]]:
    """Run the daemon of a box; its URL is put into the box."""
    process = start(box)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        box.url = line.strip().rpartition(" ")[2]
        log = box.folder / "daemon.log"
        assert box.url.startswith("http://"), log.read_text(encoding="utf-8")
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(START_WITHIN_S)
        assert process.stdout is not None
        process.stdout.close()


def start(box: Box, *more: str) -> subprocess.Popen[str]:
    """Start `remediator serve` for a box; its log goes to daemon.log there."""
    with (box.folder / "daemon.log").open("a", encoding="utf-8") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "remediator", "serve", "--config", box.config, *more],
            cwd=box.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def db(box: Box, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `remediator db …` with a box's settings."""
    return remediator("db", *words, "--config", box.config, env=env)


def done(ran: subprocess.CompletedProcess[str]) -> str:
    """Return what a command that went well printed."""
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def refused(ran: subprocess.CompletedProcess[str]) -> str:
    """Return what a command that was refused said: one message, and no stack trace."""
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert ran.stdout == ""
    assert ran.stderr.startswith("remediator: ")
    assert "Traceback" not in ran.stderr
    return ran.stderr.removeprefix("remediator: ").strip()


def asked(journal: Path, sql: str, *args: object) -> list[Any]:
    """Ask a journal's file, past our own code."""
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
        return connection.execute(sql, args).fetchall()


def serve_refused(box: Box) -> str:
    """Return what `serve` says when it does not start."""
    process = start(box)
    assert process.wait(60) == 1
    assert process.stdout is not None
    process.stdout.close()
    return (box.folder / "daemon.log").read_text().splitlines()[-1]
