"""Proves that a replay rebuilds history as time goes: incidents fold as in the journal, runs begin
after their wait, limits see the replay's own past, and each difference to what happened is told."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.engine import reconcile
from remediator.engine.clock import SystemClock
from remediator.engine.context import ReadingContext
from remediator.engine.replay import Moment, Received
from remediator.engine.replay.assumed import Assumed, Turned
from remediator.engine.replay.course import Course
from remediator.engine.replay.lines import Pair, What
from remediator.engine.replay.pairing import replay
from remediator.engine.replay.tally import Tally
from remediator.engine.would import Ledger, NoLedger, World
from remediator.journal.values import Happened
from remediator.model.alerts import Alert, AlertStatus, Notification, fingerprint
from remediator.model.limits import Mode
from remediator.model.policy import Breaker, Flapping, Policy, Rates, Rule, Storm
from remediator.model.quantities import Rate
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, Trigger
from remediator.model.verdicts import Ruling, Verdict
from remediator.plugin.action import Permanent
from remediator.plugin.registry import Registry
from remediator.runbook.compile import compile_runbook
from remediator.runbook.runbook import Runbook
from tests.engine.conftest import FREE
from tests.engine.world import World as Things
from tests.engine.world import being, operations, runbook, setting

T0 = datetime(2026, 11, 1, tzinfo=UTC)
LABELS = {"alertname": "Broken"}


def at(**parts: float) -> datetime:
    return T0 + timedelta(**parts)


def alert(
    when: datetime,
    *,
    firing: bool = True,
    began: datetime | None = None,
    labels: Mapping[str, str] | None = None,
) -> Alert:
    whole = {**LABELS, **(labels or {})}
    return Alert(
        status=AlertStatus.FIRING if firing else AlertStatus.RESOLVED,
        labels=whole,
        annotations={},
        starts_at=began or when,
        ends_at=None if firing else when,
        generator_url="",
        fingerprint=fingerprint(whole),
    )


def told(
    when: datetime, *alerts: Alert, source: str = "alertmanager", receiver: str = ""
) -> Moment:
    first = alerts[0]
    notification = Notification(receiver, first.status, "", {}, dict(first.labels), {}, "", alerts)
    return Moment(Received(when, "default", source, notification))


def fires(when: datetime, **labels: str) -> Moment:
    return told(when, alert(when, labels=labels))


def clears(when: datetime, **labels: str) -> Moment:
    return told(when, alert(when, firing=False, began=T0, labels=labels))


@dataclass
class Replay:
    """One replay of a few notifications over a small world."""

    books: tuple[str, ...]
    policy: Policy = FREE
    assumed: Assumed = field(default_factory=Assumed)
    things: Things = field(default_factory=Things)
    other: tuple[str, ...] | None = None
    ledger: Ledger = field(default_factory=NoLedger)

    async def of(self, *moments: Moment) -> list[Pair]:
        clock = Turned(SystemClock(), moments[0].received.at)
        then = None if self.other is None else self.course(self.other, clock)
        now = self.course(self.books, clock)
        self.now = now
        return [pair async for pair in replay(_each(moments), now, then)]

    def course(self, books: Iterable[str], clock: Turned) -> Course:
        known = {one.name: one for one in operations(self.things)}
        registry = Registry(known, {}, {})
        compiled: list[Runbook] = [
            compile_runbook(text, f"{n}.yaml", registry) for n, text in enumerate(books)
        ]

        def context(run_id: str, names: Any) -> ReadingContext:
            return ReadingContext(run_id, clock, {}, None, names)

        world = World(compiled, self.policy, clock, context, ledger=self.ledger)
        return Course(world, clock, self.assumed)


class Today(NoLedger):
    """Every look at the world is one at today's."""

    @property
    def of_today(self) -> int:
        self._asked = getattr(self, "_asked", 0) + 1
        return self._asked

    @of_today.setter
    def of_today(self, _: int) -> None:
        """It counts by itself."""


async def _each(moments: Iterable[Moment]) -> AsyncIterator[Moment]:
    for moment in moments:
        yield moment


def verdicts(pairs: Iterable[Pair]) -> list[str]:
    return [pair.now.verdict for pair in pairs if pair.now]


def ends(pairs: Iterable[Pair]) -> list[RunState | None]:
    return [pair.now.end for pair in pairs if pair.now]


async def test_a_run_is_planned_judged_and_taken_as_carried_out() -> None:
    one = Replay((runbook(setting("a", 1)),))
    (pair,) = await one.of(fires(T0))
    assert pair.now is not None
    assert (pair.now.what, pair.now.plans) == (What.ACTS, ("thing here/a: 0 → 1",))
    assert (pair.now.at, pair.now.end, pair.then) == (T0, RunState.SUCCEEDED, None)
    assert one.things.made == []


async def test_repeats_and_late_news_start_nothing_twice() -> None:
    one = Replay((runbook(setting("a", 1)),))
    late = told(at(minutes=11), alert(at(minutes=1), began=T0))
    pairs = await one.of(
        fires(T0), fires(at(minutes=5)), clears(at(minutes=10)), late, fires(at(hours=1))
    )
    assert [pair.line.at for pair in pairs] == [T0, at(hours=1)]


async def test_a_run_waits_and_an_alert_that_clears_meanwhile_cancels_it() -> None:
    book = runbook(setting("a", 1), wait_for="5m")
    pairs = await Replay((book,)).of(
        fires(T0), clears(at(minutes=4)), fires(at(hours=1)), clears(at(hours=1, minutes=6))
    )
    assert verdicts(pairs) == ["cleared", "acts"]
    assert ends(pairs) == [RunState.CANCELLED, RunState.SUCCEEDED]


async def test_the_cooldown_counts_the_replays_own_changes() -> None:
    book = runbook(setting("a", 1), guardrails={"cooldown": "30m"})
    pairs = await Replay((book,)).of(
        fires(T0), clears(at(minutes=5)), fires(at(minutes=20)), clears(at(minutes=25)),
        fires(at(minutes=31)),
    )  # fmt: skip
    assert verdicts(pairs) == ["acts", "refused (cooldown)", "acts"]


async def test_rates_storms_and_flapping_count_too() -> None:
    rates = FREE.model_copy(
        update={"rate": Rates(per_runbook=(Rate(2, timedelta(hours=1)),), total=())}
    )
    pods = [fires(at(minutes=n), pod=f"p-{n}") for n in range(4)]
    book = runbook(setting("${{ labels.pod }}", 1, id="set"))
    assert verdicts(await Replay((book,), rates).of(*pods)) == [
        "acts", "acts", "refused (rate)", "refused (rate)",
    ]  # fmt: skip
    storm = FREE.model_copy(update={"storm": Storm(opened=Rate(2, timedelta(minutes=10)))})
    assert verdicts(await Replay((book,), storm).of(*pods)) == [
        "acts", "acts", "asks (storm)", "asks (storm)",
    ]  # fmt: skip
    flapping = FREE.model_copy(update={"flapping": Flapping(treated=Rate(2, timedelta(days=1)))})
    again = [
        moment for n in range(3) for moment in (fires(at(hours=n)), clears(at(hours=n, minutes=1)))
    ]
    assert verdicts(await Replay((runbook(setting("a", 1)),), flapping).of(*again)) == [
        "acts", "acts", "refused (flapping)",
    ]  # fmt: skip


async def test_what_did_not_help_opens_the_breaker() -> None:
    breaker = FREE.model_copy(
        update={
            "breaker": Breaker(failures=Rate(2, timedelta(hours=6)), cool_off=timedelta(hours=1))
        }
    )
    book = runbook(setting("a", 1), verify={"resolved_within": "10m"})
    pairs = await Replay((book,), breaker).of(
        fires(T0, pod="1"), clears(at(minutes=5), pod="1"),
        fires(at(minutes=30), pod="2"), fires(at(minutes=50), pod="3"),
        fires(at(minutes=70), pod="4"),
    )  # fmt: skip
    assert verdicts(pairs) == ["acts", "acts", "acts", "asks (failure_breaker)"]
    assert ends(pairs) == [RunState.SUCCEEDED, RunState.ROLLED_BACK, RunState.ROLLED_BACK, None]


async def test_the_next_rung_counts_when_its_turn_comes() -> None:
    book = runbook(
        setting("a", 1),
        setting("b", 1, if_="alert.firing"),
        verify={"resolved_within": "10m"},
    )
    later = runbook(setting("b", 2), name="later", match=['alertname="Later"'])
    rates = FREE.model_copy(update={"cooldown": timedelta(minutes=15)})
    others = [
        told(at(minutes=m), alert(at(minutes=m), labels={"alertname": "Later", "n": str(m)}))
        for m in (9, 12, 30)
    ]
    pairs = await Replay((book, later), rates).of(fires(T0), *others)
    assert [(p.line.runbook, p.now.verdict) for p in pairs if p.now] == [
        ("later", "acts"),
        ("later", "refused (cooldown)"),
        ("repair", "acts"),
        ("later", "acts"),
    ]


async def test_a_target_is_busy_while_the_run_before_watches() -> None:
    first = runbook(setting("a", 1), verify={"resolved_within": "10m"})
    second = runbook(setting("a", 2), name="second", match=['alertname="Other"'])
    other = told(at(minutes=1), alert(at(minutes=1), labels={"alertname": "Other"}))
    pairs = await Replay((first, second)).of(fires(T0), other, fires(at(hours=2), x="y"))
    assert [(p.line.runbook, p.now.verdict) for p in pairs if p.now][:2] == [
        ("repair", "acts"),
        ("second", "acts"),
    ]
    short = Assumed(give_up=timedelta(minutes=5))
    pairs = await Replay((first, second), assumed=short).of(
        fires(T0), other, fires(at(hours=2), x="y")
    )
    (waited,) = [p.now for p in pairs if p.now and p.now.runbook == "second"]
    assert (waited.verdict, waited.end) == ("waits (one_run_per_target)", RunState.FAILED)
    assert waited.message.startswith("gave up after 5m")


@pytest.mark.parametrize(
    ("repeat", "expected"),
    [
        ({"mode": "single"}, ["refused (repeat)", "refused (repeat)", "acts"]),
        ({"mode": "parallel", "most": 2}, ["refused (repeat)", "acts", "acts"]),
        ({"mode": "queued", "most": 1}, ["refused (repeat)", "acts", "acts"]),
        ({"mode": "restart"}, ["cancelled (repeat)", "acts", "acts"]),
        ({"mode": "single", "key": "${{ labels.n }}"}, ["acts", "acts", "acts"]),
    ],
)
async def test_repeated_incidents(repeat: dict[str, Any], expected: list[str]) -> None:
    book = runbook(
        setting("${{ labels.n }}", 1, id="set"),
        verify={"resolved_within": "20m"},
        repeat=repeat,
    )
    pairs = await Replay((book,)).of(
        fires(T0, n="1"), fires(at(minutes=1), n="2"), fires(at(minutes=2), n="3"),
        clears(at(minutes=5), n="1"), clears(at(minutes=10), n="2"), clears(at(minutes=15), n="3"),
    )  # fmt: skip
    assert sorted(verdicts(pairs), key=lambda v: (v == "acts", v)) == expected


async def test_people_say_yes_or_nobody_answers() -> None:
    book = runbook(
        setting("a", 1),
        mode="approve",
        approval={"timeout": "20m"},
        guardrails={"cooldown": "1h"},
    )
    moments = [fires(T0, n="1"), fires(at(minutes=30), n="2")]
    pairs = await Replay((book,)).of(*moments)
    assert verdicts(pairs) == ["asks (mode)", "refused (cooldown)"]
    nobody = Replay((book,), assumed=Assumed(approved=False))
    pairs = await nobody.of(*moments)
    assert verdicts(pairs) == ["asks (mode)", "asks (mode)"]
    assert ends(pairs) == [RunState.EXPIRED, RunState.EXPIRED]
    pairs = await Replay((book,), assumed=Assumed(approved=False)).of(
        fires(T0), clears(at(minutes=1))
    )
    assert ends(pairs) == [RunState.CANCELLED]


async def test_observed_nothing_to_do_and_unmet() -> None:
    things = Things(values={"a": 1})
    books = (
        runbook(setting("b", 1), name="only-looks", mode="observe"),
        runbook(setting("a", 1), name="is-so"),
        runbook(being("a", 0), setting("c", 1), name="no-case"),
    )
    pairs = await Replay(books, things=things).of(fires(T0))
    assert {p.line.runbook: p.now.verdict for p in pairs if p.now} == {
        "only-looks": "observes",
        "is-so": "nothing",
        "no-case": "unmet",
    }


async def test_a_plan_that_fails_today_is_not_known() -> None:
    things = Things()
    things.trouble["plan"] = [Permanent("there is no pod shop/web-1")]
    book = runbook(setting("a", 1), guardrails={"cooldown": "1h"})

    one = Replay((book,), things=things, ledger=Today())
    (pair,) = await one.of(fires(T0))
    assert pair.now is not None
    assert (pair.now.what, pair.now.plans) == (What.ACTS, ())
    assert "there is no pod shop/web-1" in pair.now.unplanned


async def test_without_plans_the_limits_that_need_none_hold() -> None:
    policy = FREE.model_copy(
        update={
            "rate": Rates(per_runbook=(Rate(1, timedelta(hours=1)),), total=()),
            "rules": (
                Rule(name="prod", match=('scope!="dev"',), mode=Mode.OBSERVE),
                Rule(name="team", match=('tier="web"',), mode=Mode.APPROVE),
            ),
        }
    )
    blind = Assumed(plans=False)
    pairs = await Replay((runbook(setting("a", 1)),), policy, blind).of(
        fires(T0), fires(at(minutes=1), n="2"), fires(at(hours=2), tier="web")
    )
    assert verdicts(pairs) == ["acts", "refused (rate)", "asks (mode)"]
    assert all(p.now and p.now.unplanned for p in pairs)


async def test_an_end_that_only_the_reconciler_noticed() -> None:
    gone = alert(at(minutes=5), firing=False, began=T0)
    noticed = told(
        at(minutes=9),
        replace(gone, ends_at=None),
        source=reconcile.SOURCE,
        receiver=reconcile.SOURCE,
    )
    after = runbook(setting("b", 1), name="after", when="resolved")
    pairs = await Replay((runbook(setting("a", 1), wait_for="30m"), after)).of(fires(T0), noticed)
    assert {p.line.runbook: (p.now.verdict, p.line.trigger) for p in pairs if p.now} == {
        "repair": ("cleared", Trigger.FIRING),
        "after": ("acts", Trigger.RESOLVED),
    }


def _happened(when: datetime, name: str = "repair", **more: Any) -> Happened:
    given: dict[str, Any] = {
        "run_id": "r1",
        "runbook": name,
        "trigger": Trigger.FIRING,
        "sender": "default",
        "fingerprint": fingerprint(LABELS),
        "created_at": when,
        "state": RunState.SUCCEEDED,
        "reason": Reason.DONE,
        "message": "",
        "verdicts": (),
        "asked": False,
        "changed": True,
        "plans": (),
        **more,
    }
    return Happened(**given)


@pytest.mark.parametrize(
    ("happened", "then", "same"),
    [
        ({}, "acts", True),
        ({"asked": True, "state": RunState.DENIED, "changed": False}, "asks", False),
        (
            {
                "state": RunState.SUPPRESSED,
                "reason": Reason.GUARDRAIL_REFUSES,
                "changed": False,
                "verdicts": (Verdict("cooldown", Ruling.REFUSE, "too soon"),),
            },
            "refused (cooldown)",
            False,
        ),
        (
            {"state": RunState.CANCELLED, "reason": Reason.RESOLVED_BY_ITSELF, "changed": False},
            "cleared",
            False,
        ),
        ({"state": RunState.OBSERVED, "changed": False}, "observes", False),
        ({"state": RunState.FAILED, "changed": False}, "fails", False),
    ],
)
async def test_what_happened_is_held_against_it(
    happened: dict[str, Any], then: str, same: bool
) -> None:
    moment = replace(fires(T0), happened=[_happened(T0, **happened)])
    (pair,) = await Replay((runbook(setting("a", 1)),)).of(moment)
    assert pair.then is not None
    assert (pair.then.verdict, pair.same) == (then, same)


async def test_runs_of_one_side_alone() -> None:
    moment = replace(fires(T0), happened=[_happened(T0, "was-there-once")])
    pairs = await Replay((runbook(setting("a", 1)),)).of(moment)
    tally = Tally()
    for pair in pairs:
        tally.add(pair)
    assert (tally.by_runbook["was-there-once"].gone, tally.by_runbook["repair"].added) == (1, 1)
    assert (tally.runs, tally.differing) == (1, 2)


async def test_two_sets_of_runbooks_side_by_side() -> None:
    books = (
        runbook(setting("a", 2), name="other-plan"),
        runbook(setting("b", 1), name="other-mode"),
        runbook(setting("c", 1), name="as-before", wait_for="5m"),
        runbook(setting("d", 1), name="new"),
    )
    before = (
        runbook(setting("a", 1), name="other-plan"),
        runbook(setting("b", 1), name="other-mode", mode="approve"),
        runbook(setting("c", 1), name="as-before"),
        runbook(setting("e", 1), name="dropped"),
    )
    pairs = await Replay(books, other=before).of(fires(T0), clears(at(hours=1)))
    found = {
        p.line.runbook: "added" if p.then is None else "gone" if p.now is None else
        ", ".join(p.differs) or "same"
        for p in pairs
    }  # fmt: skip
    assert found == {
        "other-plan": "plan",
        "other-mode": "verdict",
        "as-before": "same",
        "new": "added",
        "dropped": "gone",
    }


async def test_what_is_long_over_is_forgotten() -> None:
    one = Replay((runbook(setting("a", 1)),))

    async def many() -> AsyncIterator[Moment]:
        for n in range(6000):
            moment = at(minutes=n)
            yield fires(moment, n=str(n))
            yield clears(moment + timedelta(seconds=30), n=str(n))

    clock = Turned(SystemClock(), T0)
    course = one.course(one.books, clock)
    count = 0
    async for _ in replay(many(), course):
        count += 1
    assert count == 6000
    assert len(course._past.known) < 3000
    assert len(course._past._changes) < 3000
