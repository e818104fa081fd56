"""Proves of promtool's notation of series: the same samples as promtool reads, and a clear message
for what is none."""

import json
import math
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remediator.simulated.prometheus import notation
from remediator.simulated.prometheus.evaluating import Rules
from remediator.simulated.prometheus.notation import STALE, BadSeries
from tests.servers import binaries
from tests.simulated.prometheus.oracle import ours, promtool, same, simulated


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", [1]),
        ("1x3", [1, 1, 1, 1]),
        ("0x3", [0, 0, 0, 0]),
        ("1x0", [1]),
        ("1+2x3", [1, 3, 5, 7]),
        ("-1-2x2", [-1, -3, -5]),
        ("1.5e2+.5x1", [150, 150.5]),
        ("_ _x2 1", [None, None, None, 1]),
        ("1 stale 2", [1, STALE, 2]),
        ("+Inf -Inf", [math.inf, -math.inf]),
        ("", []),
        ("  1 \n 2\t3 ", [1, 2, 3]),
    ],
)
def test_what_is_written_is_read(text: str, expected: list[object]) -> None:
    assert notation.parse_values(text) == expected


WORDS = st.sampled_from(
    [
        "1", "-2.5", "1x4", "0x10", "1+2x5", "10-0.5x3", "_", "_x3", "stale", "Inf", "NaN", "-Inf",
        "1e3", "1e-3+1e3x2", "-1-1x2", "0.1+0.1x9", "+5", "1.", ".5",
    ]
)  # fmt: skip


@pytest.mark.servers
@given(st.lists(WORDS, min_size=1, max_size=6))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_promtool_reads_the_same_samples(tmp_path: Path, words: list[str]) -> None:
    series = {'x{a="1"}': " ".join(words)}
    times = [
        timedelta(minutes=number) for number in range(len(notation.parse_values(*series.values())))
    ]
    queries = [f"x @ {round(at.total_seconds())}" for at in times]
    end = timedelta(minutes=len(times) + 1)
    made = simulated(series, end, Rules(generation=2))  # promtool's: a window holds both its ends
    for query, real in zip(queries, promtool(series, queries, end, tmp_path), strict=True):
        found = ours(made, query)
        assert found.values.keys() == real.values.keys(), query
        assert all(same(found.values[one], real.values[one]) for one in real.values), query


WRONG = ["1y5", "x5", "1x", "1+2", "1+x3", "--1", "one", "1x-2", "1,2", "stalex3", "1x2x3", "_5"]


@pytest.mark.servers
@pytest.mark.parametrize("text", WRONG)
def test_what_promtool_refuses_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadSeries, match="is no value; write 1, 1x5"):
        notation.parse_values(text)
    test = {"interval": "1m", "input_series": [{"series": "x", "values": text}]}
    file = tmp_path / "wrong.yaml"
    file.write_text(json.dumps({"rule_files": [], "tests": [test]}))
    command = [str(binaries.find("promtool")), "test", "rules", str(file)]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("up", {"__name__": "up"}),
        ('up{job="api", a=\'b"\'}', {"__name__": "up", "job": "api", "a": 'b"'}),
        ('{__name__="up", a=""}', {"__name__": "up"}),
        ('{"a.b", "c.d"="e"}', {"__name__": "a.b", "c.d": "e"}),
    ],
)
def test_labels_are_read(text: str, expected: dict[str, str]) -> None:
    assert notation.parse_labels(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no series"),
        ("up{", "unexpected end of input"),
        ('up{job=~"a"}', "write = for it"),
        ('up{job="a", job="b"}', "names the label job twice"),
        ("sum(up)", "write name and labels"),
        ("up offset 5m", "write name and labels"),
        ("up[5m]", "write name and labels"),
    ],
)
def test_what_is_no_series_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadSeries, match=said):
        notation.parse_labels(text)


def test_bounds_and_histograms_are_told_clearly() -> None:
    with pytest.raises(BadSeries, match="more than 20000 samples"):
        notation.parse_values("1x99999999999999999999")
    with pytest.raises(BadSeries, match="native histograms are not simulated; write the buckets"):
        notation.parse_values("{{schema:1 sum:5}}x3")
