"""No sequence of events gets more through than the policy allows in any window.

Over the pure guardrails: changes by several runbooks to several targets, further attempts at them,
clocks that go forwards and back, policies that replace each other. The same over the journal, with
runs that race and daemons that start anew, is `tests/journal/test_conformance_limits.py`.
"""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.engine import guardrails
from remediator.model.history import History, PastChange, begun
from remediator.model.policy import Policy
from remediator.model.verdicts import Ruling, heaviest
from tests.engine import oracle
from tests.engine.asking import NOW, ask
from tests.engine.oracle import OWNERS, WISHES, Accepted, Wish

GAPS_S = st.integers(0, 60) | st.integers(0, 1800) | st.integers(-600, 0) | st.just(3600)


@pytest.mark.parametrize("kind", oracle.KINDS)
@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    events=st.lists(
        st.tuples(WISHES, GAPS_S, st.integers(1, 3), st.sampled_from([0, 0, 0, 1])),
        min_size=5,
        max_size=40,
    ),
)
def test_no_sequence_gets_more_through_than_any_window_allows(
    kind: str, data: st.DataObject, events: list[tuple[Wish, int, int, int]]
) -> None:
    in_turn: list[Policy] = data.draw(
        st.lists(oracle.policies(kind), min_size=1, max_size=2), label="policies in turn"
    )
    past: dict[str, PastChange] = {}
    accepted: list[Accepted] = []
    under: dict[int, list[Accepted]] = {number: [] for number in range(len(in_turn))}
    now, now_in_force = NOW, 0
    for number, (wish, gap_s, attempts, switch) in enumerate(events):
        now += timedelta(seconds=gap_s)
        now_in_force = (now_in_force + switch) % len(in_turn)
        in_force = in_turn[now_in_force]
        for attempt in range(attempts):
            question = ask(
                plan=wish.plan,
                policy=in_force,
                runbook=wish.runbook,
                owner=OWNERS[wish.runbook],
                run_id=f"run-{number}",
                now=now + timedelta(seconds=attempt),
            )
            look = guardrails.look_back(
                question.limits,
                in_force,
                question.now,
                blocks=[block for _, block in question.blocks],
            )
            known = tuple(c for c in past.values() if look.changes and c.at >= look.changes)
            question = question.with_history(History(known, (), {}), question.now)
            if heaviest(guardrails.judge(question)) is not Ruling.ALLOW:
                break
            if question.run_id in past:
                continue  # a further attempt at the same change
            past[question.run_id] = begun(
                wish.plan,
                run_id=question.run_id,
                sequence=0,
                runbook=wish.runbook,
                owner=question.owner,
                rules=frozenset(question.rules),
                at=question.now,
            )
            accepted.append(Accepted(wish, question.now))
            under[now_in_force].append(accepted[-1])
    for number, in_force in enumerate(in_turn):
        oracle.check(in_force, under[number])
