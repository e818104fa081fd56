"""Proves what is told of an expression from its text: labels that it reads, arguments that can
never do, and what the author of a wrong one likely meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.runbook import cel_text, document
from remediator.runbook.expressions import Environment, ExpressionError
from remediator.runbook.findings import RunbookErrors

ENV = Environment()


@pytest.mark.parametrize(
    ("text", "hint", "at"),
    [
        ('labels.x.startWith("a")', 'did you mean "startsWith"?', "startWith"),
        ("len(labels.x) > 1", 'did you mean "size"?', "len"),
        ('labels["x"].toLowerCase() == "a"', 'did you mean "lowerAscii"?', "toLowerCase"),
        ("math.max(1, 2) > 1", 'did you mean "math.greatest"?', "math.max"),
        ("labels.x == “a”", "write straight quotes: \" or '", "“"),
        ('labels.x = "a"', "to compare, write ==", "= "),
        ('labels.x =~ "a"', 'write labels.x.matches("…")', "=~"),
        ('alert.firing and labels.x == "a"', "write &&", "and"),
        ('labels.x == "a" or labels.x == "b"', "write ||", "or"),
        ("not alert.firing", "write !", "alert"),
        ("labels.x > 5", "a label is text: convert it, as in int(labels.count)", "> 5"),
        ("labls.x == 'labls.x'", 'did you mean "labels.x"?', "labls"),
    ],
)
def test_what_was_likely_meant(text: str, hint: str, at: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        ENV.compile(text)
    assert caught.value.hint == hint
    assert text[caught.value.offset :].startswith(at)


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ('labels.x.matches("[")', '"["', "no regular expression (RE2)"),
        ("labels.x.matches('a') && matches(labels.y, '(')", "'('", "no regular expression"),
        ('alert.starts_at + duration("1d") < now', '"1d"', "a day is 24h"),
        ('now > timestamp("2026-01-05")', '"2026-01-05"', "is no time"),
        ("labels.x.matches(r'\\d(')", "r'", "no regular expression"),
    ],
)
def test_an_argument_that_can_never_do(text: str, at: str, message: str) -> None:
    with pytest.raises(ExpressionError, match="") as caught:
        ENV.compile(text)
    assert message in str(caught.value)
    assert text[caught.value.offset :].startswith(at)


@pytest.mark.parametrize(
    "text",
    [
        'labels.x.matches("a[b]+")',
        "labels.x.matches(r'\\d+')",
        'labels.x.matches("\\\\d+")',
        "labels.x.matches(labels.y)",
        'labels.x.matches("(" + labels.y + ")")',
        'alert.starts_at + duration("1h30m") < now',
        'now > timestamp("2026-01-05T10:00:00+01:00")',
        "labels.x == \"matches('[')\"",
    ],
)
def test_what_may_do_is_left_alone(text: str) -> None:
    assert ENV.compile(text).type_name == "BOOL"


def test_every_function_that_is_named_exists() -> None:
    """Of an unknown one it is said that it is, of a known one that its arguments are wrong."""
    for name in cel_text.FUNCTIONS:
        try:
            ENV.compile(f"{name}()" if "." in name else f"{name}(1, 2, 3, 4, 5, 6)")
        except ExpressionError as error:
            assert "unknown" not in str(error), name
    for name in cel_text._ELSEWHERE.values():
        assert name in cel_text.FUNCTIONS


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("labels.a == alert.labels.b", {"a": False, "b": False}),
        ('labels["a b"] == "labels.c"', {"a b": False}),
        ("has(labels.a) && labels.a == 'x'", {"a": True}),
        ('labels[?"a"].orValue("x") == labels.?b.orValue("y")', {"a": True, "b": True}),
        ('"a" in labels && labels.a == labels.b', {"a": True, "b": False}),
        ('"a" in alert.labels ? labels.a : "x"', {"a": True}),
        ("labels.`a-b` == 'x'", {"a-b": False}),
        ("mylabels.a == group.labels.b", {}),
        ("labels.all(k, k != 'a')", {}),
    ],
)
def test_labels_that_are_read(text: str, reads: dict[str, bool]) -> None:
    found = list(cel_text.label_reads(text))
    assert {one.name: one.guarded for one in found} == reads
    assert all(text[one.offset :].lstrip("`").startswith(one.name) for one in found)


@given(st.text(alphabet="labels.x\"'\\[]()?` matches", max_size=60))
def test_any_text_is_looked_at_to_its_end(text: str) -> None:
    assert len(cel_text.blanked(text)) == len(text)
    for one in cel_text.label_reads(text):
        assert 0 <= one.offset <= len(text)
    for offset, _ in cel_text.wrong_arguments(text):
        assert 0 <= offset <= len(text)


QUOTE = 'put the value in quotes: "${{ … }}"'


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("a: {b: ${{ labels.x }}, c: 1}", QUOTE),
        ('a: ${{ labels.x ? "a: b" : "c" }}', QUOTE),
        ("a: [${{ labels.x }}, b]", QUOTE),
        ("a:\n  - ${{ has(labels.x) ? 1 : 2 }}", QUOTE),
        ("a:\n\tb: 1", "indent with blanks, not with tabs"),
        ("a: b: c", ""),
        ('a: "${{ labels.x }}"\nb: [1', ""),
    ],
)
def test_the_commonest_slips_in_yaml(source: str, hint: str) -> None:
    with pytest.raises(RunbookErrors) as caught:
        document.parse(source, "a.yaml")
    assert [one.hint for one in caught.value.findings] == [hint]
