"""Durations, rates and shares read as people write them, and refuse everything else by name."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.model.quantities import Rate, Share, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("1h30m", 5400), ("7d", 604800), ("1.5h", 5400), ("250ms", 0.25)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "5x", "-5m", "m5", "5 m", "11y", "4000d", 5, None, "1e3s"]
)
def test_what_is_no_duration_is_named(text: object) -> None:
    with pytest.raises(ValueError, match=r"no duration|longer than ten years"):
        parse_duration(text)


@given(st.integers(0, 300_000_000_000))
def test_a_formatted_duration_reads_back(milliseconds: int) -> None:
    span = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(span)) == span


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        span = parse_duration(text)
    except ValueError:
        return
    assert span >= timedelta()


def test_rates() -> None:
    assert Rate.parse("3/1h") == Rate(3, timedelta(hours=1))
    assert str(Rate.parse("7/1d")) == "7/1d"


@pytest.mark.parametrize("text", ["3", "3/", "/1h", "-1/1h", "3/0s", "x/1h"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"rate|duration|window"):
        Rate.parse(text)


def test_shares() -> None:
    assert Share.parse("50%").fraction == 0.5
    assert str(Share.parse("12.5%")) == "12.5%"


@pytest.mark.parametrize("text", ["50", "101%", "-1%", "%", 0.5])
def test_what_is_no_share_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="percentage"):
        Share.parse(text)
