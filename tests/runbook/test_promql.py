"""Proves of the reading of PromQL: what the tree says, where functions stand, and that nothing that
a stranger writes ends the process."""

import pytest

from remediator.runbook import promql
from remediator.runbook.promql import (
    Aggregation,
    Binary,
    Call,
    Cardinality,
    LabelMatcher,
    Match,
    Matching,
    Negation,
    NotPromQL,
    Number,
    Selector,
    Subquery,
    When,
    Window,
)


def test_the_tree_says_what_is_written() -> None:
    expr = promql.parse('sum by (a) (rate(x{j!~"b"}[5m] offset 1m)) * on (a) group_left (c) -y^2')
    assert isinstance(expr, Binary)
    assert expr.matching == Matching(True, ("a",), Cardinality.MANY_TO_ONE, ("c",))
    assert isinstance(expr.left, Aggregation)
    assert (expr.left.op, expr.left.by, expr.left.labels) == ("sum", True, ("a",))
    matchers = (
        LabelMatcher("__name__", Match.EQUAL, "x"), LabelMatcher("j", Match.NOT_REGEX, "b"),
    )  # fmt: skip
    window = Window(Selector(matchers, When(60.0)), 300.0)
    assert expr.left.inner == Call("rate", (window,), 12)
    assert isinstance(expr.right, Negation)
    assert isinstance(expr.right.inner, Binary)


def test_times_are_read() -> None:
    sub = promql.parse("x[10m:] @ 12.5 offset -1m")
    assert isinstance(sub, Subquery)
    assert (sub.range_s, sub.step_s, sub.when) == (600.0, None, When(-60.0, at_s=12.5))
    assert isinstance(sub.inner, Selector)
    at_end = promql.parse("x @ end()")
    assert isinstance(at_end, Selector)
    assert at_end.when == When(at_query=True)


def test_a_function_is_found_where_it_stands() -> None:
    text = '# abs(1)\nabs(x{a="abs("}) + ceil(abs(y)) + sum by (abs) (abs(z))'
    calls = [one for one in promql.walk(promql.parse(text)) if isinstance(one, Call)]
    assert [promql.where(text, one.offset) for one in calls] == [
        "line 2, column 1", "line 2, column 20", "line 2, column 25", "line 2, column 49",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sum(", "unclosed left parenthesis"),
        ("rate(x)", "expected type matrix"),
        ("nonsense(x)", "unknown function"),
        ("{}", "at least one non-empty matcher"),
        ("x @ -5", "before 1970"),
        ('x{a="b" or c="d"}', "is not supported here"),
        ("a + fill(0) b", "is not supported here"),
        ("(" * 20_000 + "1" + ")" * 20_000, "more than 1000 brackets"),
        ("1" + "+1" * 9_000, "more than 1000 brackets"),
        ("-" * 900 + "x", ""),
        ("(" * 900 + "1" + ")" * 900, ""),
        ("abs(" * 900 + "x" + ")" * 900, "nested too deeply"),
        ("x" * 70_000, "longer than"),
        ("\ud800", ""),
        ("x{a='\x00'}", ""),
    ],
)
def test_what_is_no_promql_is_an_error_and_no_crash(text: str, said: str) -> None:
    try:
        promql.parse(text)
    except NotPromQL as error:
        assert said in str(error)
    else:
        assert said == ""


def test_the_old_name_of_a_function_still_counts() -> None:
    expr = promql.parse('holt_winters(x{a="holt_winters"}[5m], 0.5, 0.5)')
    assert isinstance(expr, Call)
    assert expr.name == "double_exponential_smoothing"
    window = expr.args[0]
    assert isinstance(window, Window)
    assert window.selector.matchers[1].value == "holt_winters"
    assert expr.args[1] == Number(0.5)
