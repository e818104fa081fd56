"""Proves that the simulation of fleets plays what it says: the same each time, faster with more,
stuck where something is full.
"""

import pytest

from benchmarks import fleet
from benchmarks.fleet import Costs, Load

_COSTS = Costs(
    notification_s=150e-6,
    alert_s=50e-6,
    batch_s=500e-6,
    batch_notification_s=0.0,
    batch_alert_s=100e-6,
    chain_s=4e-3,
    chain_record_s=30e-6,
)


def test_it_is_the_same_each_time() -> None:
    load = Load(200_000, 10)
    assert fleet.play(_COSTS, load, 2, 1) == fleet.play(_COSTS, load, 2, 1)


def test_what_comes_faster_than_it_is_parsed_is_not_answered_in_time() -> None:
    played = fleet.play(_COSTS, Load(1_000_000, 1), 1, 1)
    assert not played.holds
    assert played.saturates == "processors"


def test_a_quiet_fleet_answers_within_a_commit() -> None:
    played = fleet.play(_COSTS, Load(600, 1), 2, 1)
    assert played.holds
    assert played.p50_s == pytest.approx(0.0049, abs=0.0005)
    assert played.chain_busy < 0.06


def test_a_plan_holds_and_the_one_before_it_does_not() -> None:
    load = Load(1_000_000, 10)
    *before, last = fleet.plan(_COSTS, load)
    assert last.holds
    assert before
    assert not any(one.holds for one in before)
    assert last.replicas >= before[-1].replicas
