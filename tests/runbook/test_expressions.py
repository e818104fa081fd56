"""Expressions take their types to the parameter, name what is missing, and stay in their bounds."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.runbook.expressions import (
    Environment,
    ExpressionError,
    ExpressionFailed,
    compile_template,
)
from remediator.runbook.runbook import alert_values

CONTEXT: dict[str, Any] = {
    "alert": {
        "status": "firing",
        "labels": {"namespace": "shop", "count": "4"},
        "annotations": {},
        "starts_at": "2026-03-01T12:00:00Z",
        "generator_url": "",
        "fingerprint": "aa",
    },
    "group": {"labels": {}, "common_labels": {}, "common_annotations": {}, "receiver": "r"},
}
VALUES = {
    **alert_values(CONTEXT),
    "run.id": "r1",
    "run.name": "n",
    "now": datetime(2026, 3, 1, 13, tzinfo=UTC),
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("labels.namespace", "shop"),
        ("int(labels.count) * 2", 8),
        ('labels[?"tier"].orValue("web")', "web"),
        ("has(labels.tier)", False),
        ("alert.firing", True),
        ("now - alert.starts_at > duration('30m')", True),
        ("labels.namespace.upperAscii()", "SHOP"),
        ("[labels.namespace, 'x']", ["shop", "x"]),
    ],
)
def test_expressions(text: str, value: object) -> None:
    assert Environment().compile(text).evaluate(VALUES) == value


def test_a_missing_label_makes_a_condition_false_and_anything_else_an_error() -> None:
    assert Environment().compile('labels.tier == "web"').holds(VALUES) is False
    with pytest.raises(ExpressionFailed, match='the label or key "tier" is missing on this alert'):
        Environment().compile("labels.tier").evaluate(VALUES)


def test_a_condition_that_goes_wrong_otherwise_is_an_error() -> None:
    with pytest.raises(ExpressionFailed, match=r"labels\.namespace"):
        Environment().compile("int(labels.namespace) > 1").holds(VALUES)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a ${{ labels.namespace }} b", "a shop b"),
        ("${{ int(labels.count) }}", 4),
        ("n=${{ int(labels.count) }}", "n=4"),
        ("${{ alert.firing }}!", "true!"),
        ("$${{ not.one }}", "${{ not.one }}"),
        ("${{ {'a': 'b}}'}['a'] }}", "b}}"),
        ("plain", "plain"),
    ],
)
def test_templates(text: str, value: object) -> None:
    assert compile_template(text, Environment()).render(VALUES) == value


def test_what_reads_the_alerts_state_is_known() -> None:
    assert Environment().compile("alert.firing && labels.x == 'y'").reads_alert_state
    assert not Environment().compile('labels["alert.firing"] == "x"').reads_alert_state


def test_offsets_point_into_the_text() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_template("ab ${{ labels.a + labls.b }}", Environment())
    assert caught.value.offset == 18
    assert caught.value.hint == 'did you mean "labels.b"?'


def test_expressions_are_bounded() -> None:
    with pytest.raises(ExpressionError, match="longer than 4096"):
        Environment().compile("1" + "+1" * 3000)
    big = 'labels.namespace.replace("s", "' + "x" * 1000 + '")'
    many = f"{big} + {big} + {big}"
    assert len(Environment().compile(many).evaluate(VALUES)) < 256 * 1024
    with pytest.raises(
        ExpressionError, match="replace by what an alert says stands twice"
    ) as fault:
        Environment().compile('labels.a.replace("a", labels.a).replace("b", labels.a)')
    assert fault.value.offset == 31


def test_a_label_that_is_too_long_is_refused_where_it_is_read() -> None:
    labels = {**CONTEXT["alert"]["labels"], "tier": "x" * 5000}
    values = {**VALUES, "labels": labels}
    assert Environment().compile("labels.namespace").evaluate(values) == labels["namespace"]
    with pytest.raises(ExpressionFailed, match='"tier" is longer than 4096 characters'):
        Environment().compile("labels.tier").evaluate(values)


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("labels.severity == 'x' && s == 'y'", 26),
        ("labels.namespace == name", 20),
        ("size(sizes) > 0", 5),
    ],
)
def test_an_unknown_name_is_found_where_it_stands(text: str, offset: int) -> None:
    with pytest.raises(ExpressionError, match="unknown name") as fault:
        Environment().compile(text)
    assert fault.value.offset == offset


@given(st.text(max_size=60))
def test_any_text_compiles_or_is_an_expression_error(text: str) -> None:
    try:
        expression = Environment().compile(text)
    except ExpressionError as error:
        assert str(error)
        return
    try:
        expression.evaluate(VALUES)
    except ExpressionFailed as failed:
        assert str(failed)
