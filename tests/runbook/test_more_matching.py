"""Matchers let through what Alertmanager's own routes let through, whatever the labels; the index
asks no more of ten thousand runbooks than of ten; expressions end, whatever they ask for."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.model import matchers
from remediator.model.matchers import MatcherError
from remediator.plugin import registry as plugins
from remediator.runbook.compile import compile_runbook
from remediator.runbook.expressions import Environment, ExpressionError, ExpressionFailed
from remediator.runbook.index import Index
from remediator.runbook.runbook import Runbook
from tests.servers import binaries

STEPS = "steps: [{id: a, action: http.check, with: {url: 'http://x'}}]"
ONE = compile_runbook(
    f"name: r\ndescription: d\nmatch: ['a=b']\n{STEPS}\n",
    "a.yaml",
    plugins.load(third_party=False),
)


def runbook(number: int, *lines: str) -> Runbook:
    return replace(ONE, name=f"r{number}", matchers=tuple(map(matchers.parse, lines)))


ROUTES = [
    'a="x"',
    'a!="x"',
    'a=~"x|y"',
    'a!~"x|y"',
    'a=~"x"',
    'a=~"x.*"',
    'a=~".*"',
    'a=~".+"',
    'a=""',
    'a!=""',
    'b=""',
    'b=~"z?"',
    'a="x",b="z"',
    '{a=~"[xy]+", b!~"z"}',
    'a=~"(?i)X"',
    r'a=~"\\w+"',
    r'a=~"x\\.y"',
    r'a="q\"q"',
    r'a="back\\slash"',
    r'a="two\nlines"',
    'a=~"x|"',
    "a=x",
    "a!=x, b=z",
    'a=~"^x$"',
]
LABELS: list[dict[str, str]] = [
    {"a": "x"},
    {"a": "y"},
    {"a": "xy"},
    {"a": "X"},
    {"a": "x", "b": "z"},
    {"a": "x.y"},
    {"a": 'q"q'},
    {"a": "back\\slash"},
    {"b": "z"},
    {"c": "1"},
]


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One route for each line, so that amtool names every one that lets an alert through."""
    children = [
        {"receiver": f"r{number}", "matchers": [line], "continue": True}
        for number, line in enumerate(ROUTES)
    ]
    config = {
        "route": {"receiver": "none", "routes": children},
        "receivers": [{"name": "none"}, *({"name": f"r{n}"} for n in range(len(ROUTES)))],
    }
    file = tmp_path_factory.mktemp("amtool") / "alertmanager.yml"
    file.write_text(json.dumps(config))
    return file


@pytest.mark.parametrize("labels", LABELS, ids=json.dumps)
def test_what_matches_is_what_alertmanager_routes(labels: dict[str, str], routes: Path) -> None:
    pairs = [f"{name}={json.dumps(value)}" for name, value in labels.items()]
    asked = subprocess.run(
        [binaries.find("amtool"), "config", "routes", "test", f"--config.file={routes}", *pairs],
        capture_output=True,
        text=True,
        check=True,
    )
    there = {int(name.strip()[1:]) for name in asked.stdout.split(",") if name.strip() != "none"}
    here = {
        number
        for number, line in enumerate(ROUTES)
        if all(matcher.matches(labels) for matcher in matchers.parse(line))
    }
    assert {ROUTES[n] for n in here} == {ROUTES[n] for n in there}


@pytest.mark.parametrize("pattern", ["(?=x)", "(?!x)", "(?<=x)y", r"(x)\1", "x++", "(?>x)"])
def test_constructs_that_re2_has_not_are_refused(pattern: str) -> None:
    with pytest.raises(MatcherError, match="RE2"):
        matchers.parse(f"a=~'{pattern}'" if "'" in pattern else f"a=~{json.dumps(pattern)}")


def test_a_pattern_that_explodes_elsewhere_takes_linear_time() -> None:
    (matcher,) = matchers.parse('a=~"(x+x+)+y"')
    assert not matcher.matches({"a": "x" * 50_000})


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_an_equal_sign_compares_the_whole_value(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    (matcher,) = matchers.parse(f'a="{escaped}"')
    assert matcher.matches({"a": value})
    assert not matcher.matches({"a": value + "x"})
    assert matcher.matches({}) is (value == "")


def asked(index: Index, labels: dict[str, str]) -> int:
    """How many matchers are compared for one alert, at most."""
    return sum(len(line) for one in index.candidates(labels) for line in one.matchers)


@pytest.mark.parametrize(
    ("shape", "labels"),
    [
        ('alertname="A{n}", severity="page"', {"alertname": "A7", "severity": "page"}),
        ('alertname=~"A{n}|B{n}", namespace!="x"', {"alertname": "B7"}),
        ('service="s{n}", severity=~"a.*"', {"service": "s7", "alertname": "A"}),
    ],
)
def test_ten_thousand_runbooks_cost_no_more_than_ten(shape: str, labels: dict[str, str]) -> None:
    few = Index([runbook(n, shape.format(n=n)) for n in range(10)])
    many = Index([runbook(n, shape.format(n=n)) for n in range(10_000)])
    assert [r.name for r in many.candidates(labels)] == ["r7"]
    assert asked(many, labels) <= 2 * asked(few, labels)


@pytest.mark.parametrize(
    "text",
    [
        "[1,2,3,4,5,6,7,8,9,10].all(a, "
        "[1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, "
        "[1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, true)))))",
        "[" * 100 + "1" + "]" * 100,
        "(" * 100 + "true" + ")" * 100,
        "9223372036854775807 + 1 > 0",
        "1 / 0 == 1",
    ],
)
def test_an_expression_that_asks_for_too_much_fails_at_once(text: str) -> None:
    with pytest.raises((ExpressionError, ExpressionFailed)):
        Environment().compile(text).evaluate({})
