"""Which mode evidence is enough for, and what is missing in words."""

from datetime import timedelta

import pytest

from remediator.model.evidence import NO_EVIDENCE, Evidence
from remediator.model.limits import Mode
from remediator.model.policy import Trust
from remediator.model.promotion import Track, bars, earned, following, missing

TRUST = Trust.model_validate(
    {
        "to_approve": {"observed": 5, "within": "30d"},
        "to_auto": {"approved": 10, "success": "95%", "denied": 0, "within": "60d"},
    }
)


def track(**given: int) -> Track:
    found = Evidence(**given)
    return Track(found, found)


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        (track(), Mode.OBSERVE),
        (track(observed=4), Mode.OBSERVE),
        (track(observed=5), Mode.APPROVE),
        (track(observed=2, asked=2, automatic=1, helped=1), Mode.APPROVE),
        (track(asked=9, approved=9, helped=9), Mode.APPROVE),
        (track(asked=10, approved=10, helped=10), Mode.AUTO),
        (track(asked=10, approved=10, helped=9), Mode.APPROVE),
        (track(asked=20, approved=20, helped=19), Mode.AUTO),
        (track(asked=11, approved=10, helped=10, denied=1), Mode.APPROVE),
        # What it did by itself keeps what it has earned.
        (track(automatic=12, helped=12), Mode.AUTO),
        (track(asked=5, approved=5, automatic=5, helped=10), Mode.AUTO),
    ],
)
def test_the_mode_that_is_earned(given: Track, mode: Mode) -> None:
    assert earned(given, TRUST) is mode


def test_each_bar_has_its_own_time() -> None:
    old = Track(NO_EVIDENCE, Evidence(asked=10, approved=10, helped=10))
    assert earned(old, TRUST) is Mode.AUTO
    assert [bar.met for bar in bars(Mode.APPROVE, old, TRUST)] == [False]


def test_what_is_missing_has_figure_and_limit() -> None:
    some = track(asked=4, approved=3, helped=2, denied=1)
    assert missing(Mode.AUTO, some, TRUST) == (
        "3 of 10 approved runs within 60d; 66.6% of them helped, 95% are asked for; "
        "1 denied within 60d, at most 0 allowed"
    )
    assert missing(Mode.APPROVE, some, TRUST) == "4 of 5 plans shown within 30d"
    assert missing(Mode.OBSERVE, track(), TRUST) == ""


def test_a_share_is_never_rounded_up_to_the_bar() -> None:
    nearly = track(asked=2000, approved=2000, helped=1899)  # 94.95 %
    (_, success, _) = bars(Mode.AUTO, nearly, TRUST)
    assert (success.text.partition(" ")[0], success.met) == ("94.9%", False)


def test_bars_of_nothing_are_met_by_nothing() -> None:
    free = Trust.model_validate({"to_approve": {"observed": 0}, "to_auto": {"approved": 0}})
    assert earned(track(), free) is Mode.AUTO


def test_one_step_at_a_time() -> None:
    assert following(Mode.OBSERVE) is Mode.APPROVE
    assert following(Mode.APPROVE) is Mode.AUTO
    assert following(Mode.AUTO) is None


def test_the_shipped_bars_are_the_defaults() -> None:
    assert Trust().to_approve.observed == 5
    assert Trust().to_auto.within == timedelta(days=30)
