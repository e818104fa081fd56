"""The failure breaker as a state machine: what opens it, half-opens it, closes it; and that no
sequence of outcomes lets a failing runbook go by itself more often than it may."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from remediator.engine import guardrails
from remediator.engine.guardrails.breaker import State, standing
from remediator.model.history import GoingOn, Outcome, Reset
from remediator.model.policy import Breaker
from remediator.model.verdicts import Ruling
from tests.engine.asking import NOW, ask, history, policy, told

LIMIT = Breaker.model_validate({"failures": "3/1d", "cool_off": "1h"})


def came(minutes_ago: float, *, good: bool = False) -> Outcome:
    return Outcome(f"r{minutes_ago}", NOW - timedelta(minutes=minutes_ago), good)


def state(*outcomes: Outcome, reset: Reset | None = None, now: datetime = NOW) -> State:
    return standing(outcomes, reset, LIMIT, now).state


def test_from_closed_to_open_to_half_open_and_back() -> None:
    assert state() is State.CLOSED
    assert state(came(30), came(20)) is State.CLOSED
    assert state(came(30), came(20), came(10)) is State.OPEN
    assert state(came(90), came(80), came(61)) is State.HALF_OPEN
    assert state(came(90), came(80), came(70), came(5, good=True)) is State.CLOSED
    # A success while it is open is no trial; nor is the way back open before the cool-off.
    assert state(came(50), came(45), came(40), came(30, good=True)) is State.OPEN
    # A failed trial opens it anew, from then on; so does a failure while it is open.
    assert state(came(200), came(190), came(180), came(10)) is State.OPEN
    assert state(came(70), came(65), came(61), came(30)) is State.OPEN


def test_failures_out_of_the_window_count_no_more_and_a_success_does_not_wipe_them() -> None:
    assert state(came(25 * 60), came(20), came(10)) is State.CLOSED
    assert state(came(30), came(20, good=True), came(15), came(10)) is State.OPEN
    # After a trial has closed it, it takes as many failures again.
    assert (
        state(came(300), came(290), came(280), came(200, good=True), came(20), came(10))
        is State.CLOSED
    )


def test_a_reset_closes_it_and_forgets() -> None:
    reset = Reset("scale-out", "api:alice", "mended the image", NOW - timedelta(minutes=5))
    assert state(came(30), came(20), came(10), reset=reset) is State.CLOSED
    assert state(came(30), came(20), came(10), came(3), came(2), reset=reset) is State.CLOSED
    assert state(came(30), came(4), came(3), came(2), reset=reset) is State.OPEN


def test_a_clock_that_was_set_back_is_no_fresh_start() -> None:
    assert state(came(-30), came(-40), came(-50)) is State.OPEN


def test_the_guardrail_names_figures_and_one_trial_at_a_time() -> None:
    limit = policy(breaker={"failures": "3/1d", "cool_off": "1h"})
    open_now = history(outcomes=(came(10), came(20), came(30)))
    held = guardrails.failure_breaker(ask(policy=limit, history=open_now))
    assert held.ruling is Ruling.HOLD
    assert "runbook scale-out failed 3 times in 1d, the last time at 2026-03-01 11:50:00" in told(
        held
    )
    assert "an approval of this plan" in held.lifted_by
    assert "waiting until 2026-03-01 12:50:00 UTC" in held.lifted_by
    approved = ask(policy=limit, history=open_now, approved=True)
    assert guardrails.failure_breaker(approved).ruling is Ruling.ALLOW
    failed = (came(70), came(80), came(90))
    trial = ask(policy=limit, history=history(outcomes=failed))
    assert guardrails.failure_breaker(trial).ruling is Ruling.ALLOW
    others = history(outcomes=failed, going_on=(GoingOn("run-9", "scale-out"),))
    second = guardrails.failure_breaker(ask(policy=limit, history=others))
    assert second.ruling is Ruling.HOLD
    assert "run run-9 shows whether it works again" in second.reason
    elsewhere = history(outcomes=failed, going_on=(GoingOn("run-9", "restart"),))
    assert guardrails.failure_breaker(ask(policy=limit, history=elsewhere)).ruling is Ruling.ALLOW


LIMITS = st.builds(
    lambda count, per_m, cool_m: Breaker.model_validate(
        {"failures": f"{count}/{per_m}m", "cool_off": f"{cool_m}m"}
    ),
    st.integers(1, 4),
    st.integers(1, 120),
    st.integers(0, 60),
)
EVENTS = st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=40)
"""Minutes since the one before, and whether a run that may go by itself would succeed."""


@given(limit=LIMITS, events=EVENTS)
def test_no_sequence_gets_more_failures_through_than_the_breaker_allows(
    limit: Breaker, events: list[tuple[int, bool]]
) -> None:
    """A run is begun and ends at once, where the breaker is not open."""
    assert limit.failures is not None
    outcomes: list[Outcome] = []
    now = NOW
    for number, (gap, good) in enumerate(events):
        now += timedelta(minutes=gap)
        found = standing(outcomes, None, limit, now)
        if found.state is State.OPEN:
            assert found.half_open_at is not None
            assert now < found.half_open_at
            continue
        outcomes.append(Outcome(f"{number:03}", now, good))
        after = standing(outcomes, None, limit, now)
        if found.state is State.HALF_OPEN:  # a trial decides
            assert after.state is (State.CLOSED if good else _opened(limit))
    bad = [one.at for one in outcomes if not one.good]
    for at in bad:
        # In each window: the failures that open it, and then one for each cool-off that ended.
        inside = [one for one in bad if at <= one < at + limit.failures.per]
        if limit.cool_off and not any(one.good for one in outcomes):
            trials = limit.failures.per / limit.cool_off
            assert len(inside) <= limit.failures.count + trials + 1


def _opened(limit: Breaker) -> State:
    return State.OPEN if limit.cool_off else State.HALF_OPEN


@given(limit=LIMITS, events=EVENTS, seed=st.randoms(use_true_random=False))
def test_every_replica_comes_to_the_same_in_whatever_order_it_reads(
    limit: Breaker, events: list[tuple[int, bool]], seed: object
) -> None:
    now = NOW
    outcomes = []
    for number, (gap, good) in enumerate(events):
        now += timedelta(minutes=gap)
        outcomes.append(Outcome(f"{number:03}", now, good))
    shuffled = list(outcomes)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    assert standing(shuffled, None, limit, now) == standing(outcomes, None, limit, now)
    reset = Reset("x", "api:a", "y", now)
    assert standing(outcomes, reset, limit, now).state is State.CLOSED
