"""The demo's story, in order. Every claim that it prints is checked first; a false one ends it."""

import http.client
import json
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from remediator.cli import run_page
from remediator.cli.api import Api
from remediator.cli.demo import asking
from remediator.cli.demo.customers import Customers, Measured
from remediator.cli.demo.stage import Broken, Stage
from remediator.cli.demo.teller import Teller, bars

NORMAL_PER_S = 12.0
RUSH_PER_S = 60.0
# What the demo's alerting rules say.
SLOW_S = 0.5
FAILING = 0.2
_LOOK_EVERY_S = 0.1
_ENDED = {
    "succeeded",
    "rolled_back",
    "failed",
    "suppressed",
    "observed",
    "denied",
    "expired",
    "cancelled",
    "interrupted",
}

Item = dict[str, Any]


class Denied(Exception):
    """The person said no: a legitimate end, but not the whole story."""


class Story:
    """Plays both acts and the proof on a stage."""

    def __init__(
        self, stage: Stage, teller: Teller, customers: Customers, *, ask: bool, why_not: str
    ) -> None:
        """Take the stage; `why_not` says why nobody is asked, when `ask` is False."""
        self.stage = stage
        self.tell = teller
        self.customers = customers
        self.ask = ask
        self.why_not = why_not
        self.api = Api(stage.url, token="")
        self.trace: list[float] = []

    def play(self) -> None:
        """Play all of it.

        Raises:
            Broken: something did not happen as it must.
            Denied: the person said no.
        """
        self.first_act()
        self.second_act()
        self.proof()

    # ------------------------------------------------------------------ act 1

    def first_act(self) -> None:
        """Slow → alert → plan → approval → change → settled → resolved → succeeded."""
        say = self.tell.say
        self.tell.act("Act 1: the checkout becomes slow")
        calm = self._measure(lambda m: m.orders >= NORMAL_PER_S and m.p95_s < SLOW_S, 10)
        say("customers", f"{NORMAL_PER_S:.0f} orders a second, 95% of them within {_s(calm.p95_s)}")
        self.customers.per_second = RUSH_PER_S
        say("customers", f"a sale begins: {RUSH_PER_S:.0f} orders a second, and 2 workers")
        slow = self._measure(lambda m: m.p95_s > SLOW_S, 20)
        say("customers", f"95% of orders take up to {_s(slow.p95_s)}, and it gets worse", "red")
        run = self._alert("CheckoutSlow", "checkout-slow", "Orders take more than 0.5 s")
        view = self._reach(run, {"awaiting_approval"}, 20)
        self._show_plan(view)
        rulings = self._rulings(run)
        held = [rule for rule, ruling in rulings.items() if ruling != "allow"]
        self._expect(held == ["mode"], f"not only the mode holds the run: {held}")
        say(
            "guardrails", f"{len(rulings) - 1} of {len(rulings)} allow it: {_but(rulings, 'mode')};"
        )
        say("", f"one holds it: {view['verdicts'][0]['reason']}", "yellow")
        self._decide(view)

        view = self._reach(run, {"verifying"}, 60)
        done = next(step for step in view["steps"] if step["id"] == "scale")
        started = self._records(run, "step.started")
        approved = view["approval"]["digests"]["scale"]
        self._expect(
            [one["details"]["digest"] for one in started] == [approved],
            "what was carried out is not what was approved",
        )
        say("step", f"planned again, the digest is still {approved[:16]}; applied:")
        say("", done["message"], "green")
        self._expect(self._shop("GET", "/workers") == "6", "the shop has not got its six workers")
        fast = self._measure(lambda m: m.p95_s < SLOW_S / 2, 20)
        say("customers", f"95% of orders within {_s(fast.p95_s)} again", "green")
        say("customers", f"how long it took: {bars(_thin(self.trace))}", "green")
        self._send("CheckoutSlow", "Orders take more than 0.5 s", resolved=True)
        say("alert", "CheckoutSlow is resolved", "green")
        view = self._reach(run, {"succeeded"}, 20)
        say("verify", f"{view['message']}: the run has {view['state']}", "bold green")

    # ------------------------------------------------------------------ act 2

    def second_act(self) -> None:
        """Errors → a repair that does not help → taken back → a person is called."""
        say = self.tell.say
        self.tell.act("Act 2: a repair that does not help")
        self._shop("PUT", "/provider?to=down")
        bad = self._measure(lambda m: m.errors > FAILING, 20)
        say("customers", f"{bad.errors:.0%} of orders fail: the payment provider is down", "red")
        run = self._alert("CheckoutErrors", "checkout-errors", "Orders fail")
        view = self._reach(run, {"verifying", "undoing", "rolled_back"}, 20)
        self._show_plan(view)
        rulings = self._rulings(run)
        self._expect(set(rulings.values()) == {"allow"}, f"not all rules allow it: {rulings}")
        say("guardrails", f"all {len(rulings)} allow it; mode auto: no person is asked")
        step = next(one for one in view["steps"] if one["id"] == "bypass-cache")
        say("step", f"{step['message']}; does it help?")
        self._expect(self._shop("GET", "/cache") == "off", "the cache was not turned off")
        still = self._measure(lambda m: m.errors > FAILING, 5)
        say("customers", f"no: {still.errors:.0%} still fail", "red")
        view = self._reach(run, {"rolled_back"}, 40)
        step = next(one for one in view["steps"] if one["id"] == "bypass-cache")
        self._expect(len(self._records(run, "step.undone")) == 1, "no undo is on record")
        say("verify", view["message"].partition("; taken back")[0])
        say("undo", f"{step['message'].removeprefix('run ')}", "magenta")
        say("", f"the run is {view['state'].replace('_', ' ')}", "magenta")
        self._expect(self._shop("GET", "/cache") == "on", "the cache was not turned on again")
        say("shop", "the price cache is on, as it was before")
        page = self._page()
        self._expect(page["event_action"] == "trigger", f"the pager got {page['event_action']}")
        say("notify", "a person must look: escalated, as the runbook says")
        say("pager", f"«{page['payload']['summary']}»", "bold red")
        self._shop("PUT", "/provider?to=up")

    # ------------------------------------------------------------------ proof

    def proof(self) -> None:
        """Stop the daemon, verify the chain, and show that a forged record is found."""
        say = self.tell.say
        self.tell.act("The record")
        code = self.stage.stop_daemon()
        self._expect(code == 0, f"the daemon ended with exit code {code}")
        say("app", "SIGTERM: the daemon finishes what it has in hand, and ends")
        config = ("--config", str(self.stage.config))
        with ThreadPoolExecutor(1) as beside:  # both only read
            export = self.stage.folder / "audit.jsonl"
            making = beside.submit(
                self.stage.remediator, "audit", "export", *config, "--to", str(export)
            )
            checked = self.stage.remediator("audit", "verify", *config, "-o", "json")
            made = making.result()
        self._expect(checked.returncode == 0, f"audit verify: {checked.stderr.strip()}")
        result = json.loads(checked.stdout)
        heads = result["signed_heads"]
        self._expect(result["records"] > 0 and heads > 0, "the audit chain is empty or unsigned")
        signed = f"{heads} signed head{'s agree' if heads > 1 else ' agrees'}"
        say("audit", "remediator audit verify: the chain is whole,", "bold green")
        say("", f"{result['records']} records, each with the hash of the one before; {signed}")
        self._expect(made.returncode == 0, f"audit export: {made.stderr.strip()}")
        sentence = self._forge(export)
        say("audit", "and if somebody edits who approved it, in a copy?")
        say("", sentence, "red")

    def _forge(self, export: Path) -> str:
        """Change a name in an export; returns the sentence by which `audit verify` finds it."""
        lines = export.read_text(encoding="utf-8").splitlines(keepends=True)
        number = next(
            n for n, line in enumerate(lines) if json.loads(line)["kind"] == "approval.decision"
        )
        lines[number] = lines[number].replace('"actor":"', '"actor":"not-')
        export.write_text("".join(lines), encoding="utf-8")
        forged = self.stage.remediator("audit", "verify", "--export", str(export))
        self._expect(forged.returncode == 1, "a forged record was not found")
        return forged.stderr.splitlines()[0].removeprefix("remediator: ")

    # ------------------------------------------------------------------ parts

    def _alert(self, name: str, runbook: str, summary: str) -> str:
        """Send a firing alert; returns the id of the run that it started."""
        took_ms, receipt = self._send(name, summary, resolved=False)
        self.tell.say("alert", f"{name} fires", "bold red")
        self._expect(len(receipt["runs_started"]) == 1, f"{name} did not start one run: {receipt}")
        run: str = receipt["runs_started"][0]
        self.tell.say(
            "web",
            f"POST /webhook/alertmanager → 200 in {took_ms:.0f} ms, after the commit",
        )
        self.tell.say("intake", f"opened an incident; runbook {runbook} matches it:")
        self.tell.say("", f"run {run}")
        return run

    def _rulings(self, run: str) -> dict[str, str]:
        """Return what each guardrail said when the run was planned, out of the record."""
        planned = self._records(run, "run.planned")[-1]["details"]
        return {one["rule"]: one["ruling"] for one in planned["verdicts"]}

    def _records(self, run: str, kind: str) -> list[Item]:
        page = self.api.get("/api/v1/audit", run_id=run)
        return [record for record in page["items"] if record["kind"] == kind]

    def _show_plan(self, view: Item) -> None:
        self.tell.say("planning", "asked the action what exactly it would change:")
        for step in view["steps"]:
            if step["plan"] is not None:
                self.tell.block(run_page.plan_table(step))

    def _decide(self, view: Item) -> None:
        run, say = view["id"], self.tell.say
        until = datetime.fromisoformat(view["approval"]["expires_at"]) - datetime.now(UTC)
        say(
            "approvals",
            f"a person must say yes to this plan within {until.total_seconds() / 60:.0f} minutes",
        )
        answer: bool | None = True
        if self.ask:
            say("", f"(or in another terminal: remediator approve {run} --url {self.stage.url})")
            answer = asking.ask(self.tell, lambda: self._state(run) != "awaiting_approval")
        else:
            say("you", self.why_not)
        if answer is not None:
            word, reason = ("approve", "the plan looks right") if answer else ("deny", "not now")
            body = {"approval_id": view["approval"]["id"], "reason": reason}
            self.api.post(f"/api/v1/runs/{run}/{word}", body)
        view = self.api.get(f"/api/v1/runs/{run}")
        decided = view["approval"]
        who = ", ".join(one["actor"] for one in decided["decisions"])
        say("approvals", f"{decided['status']} by {who}, for the digest above and no other plan")
        if decided["status"] != "approved":
            self._reach(run, {"denied"}, 10)
            self._expect(self._shop("GET", "/workers") == "2", "denied, and yet it was changed")
            raise Denied

    def _send(self, name: str, summary: str, *, resolved: bool) -> tuple[float, Item]:
        """Post what Alertmanager would, version 4 of its webhook; returns the time and answer."""
        now = datetime.now(UTC).isoformat()
        status = "resolved" if resolved else "firing"
        labels = {
            "alertname": name,
            "service": "checkout",
            "severity": "warning",
            "instance": f"127.0.0.1:{self.stage.shop_port}",
        }
        if not resolved:
            self._started = now
        body = {
            "version": "4",
            "groupKey": f'{{}}:{{alertname="{name}"}}',
            "truncatedAlerts": 0,
            "status": status,
            "receiver": "remediator",
            "groupLabels": {"alertname": name},
            "commonLabels": labels,
            "commonAnnotations": {"summary": summary},
            "externalURL": "http://alertmanager.example.org",
            "alerts": [
                {
                    "status": status,
                    "labels": labels,
                    "annotations": {"summary": summary},
                    "startsAt": self._started,
                    "endsAt": now if resolved else "0001-01-01T00:00:00Z",
                    "generatorURL": "http://prometheus.example.org/graph",
                    "fingerprint": "",
                }
            ],
        }
        began = time.monotonic()
        receipt = self.api.post("/webhook/alertmanager", body)
        return (time.monotonic() - began) * 1000, receipt

    def _page(self) -> Item:
        try:
            return self.stage.pager.pages.get(timeout=15)
        except queue.Empty:
            raise Broken("nobody was paged") from None

    def _state(self, run: str) -> str:
        return str(self.api.get(f"/api/v1/runs/{run}")["state"])

    def _reach(self, run: str, states: set[str], within_s: float) -> Item:
        """Wait until the run is in one of these states."""
        deadline = time.monotonic() + within_s
        while True:
            view = self.api.get(f"/api/v1/runs/{run}")
            if view["state"] in states:
                return view
            if view["state"] in _ENDED or time.monotonic() > deadline:
                raise Broken(
                    f"run {run} of {view['runbook']} is {view['state']} and not "
                    f"{' or '.join(sorted(states))}: {view['message']}"
                )
            self._look()

    def _measure(self, wanted: Callable[[Measured], bool], within_s: float) -> Measured:
        """Watch the customers' own figures until they are as wanted."""
        deadline = time.monotonic() + within_s
        while True:
            now = self._look()
            if wanted(now):
                return now
            if time.monotonic() > deadline:
                raise Broken(
                    f"after {within_s:.0f} s the customers still meet {_s(now.p95_s)} and "
                    f"{now.errors:.0%} errors"
                )

    def _look(self) -> Measured:
        time.sleep(_LOOK_EVERY_S)
        now = self.customers.measured()
        self.trace.append(now.p95_s)
        return now

    def _shop(self, method: str, target: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.stage.shop_port, timeout=5)
        try:
            connection.request(method, target)
            return connection.getresponse().read().decode()
        except OSError as error:
            raise Broken(f"the shop does not answer: {error}") from None
        finally:
            connection.close()

    def _expect(self, fact: bool, otherwise: str) -> None:
        if not fact:
            raise Broken(otherwise)


def _s(seconds: float) -> str:
    return f"{seconds:.2f} s"


def _but(rulings: Mapping[str, str], held: str) -> str:
    names = [rule.replace("_", " ") for rule in rulings if rule != held]
    return f"{', '.join(names[:3])}, …"


def _thin(values: Sequence[float], columns: int = 40) -> Sequence[float]:
    """Return at most so many values, each the largest of its neighbours."""
    size = max(1, -(-len(values) // columns))
    return [max(values[at : at + size]) for at in range(0, len(values), size)]
