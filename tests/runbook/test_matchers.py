"""Matchers read as Alertmanager reads them, and never crash on what is none."""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.model import matchers
from remediator.model.matchers import Matcher, MatcherError, Operator
from tests.servers import binaries

ALERT = {"alertname": "HighLatency", "namespace": "shop", "über straße": "1"}


@pytest.mark.parametrize(
    ("line", "passes"),
    [
        ('alertname="HighLatency"', True),
        ("alertname=HighLatency", True),
        ('{alertname="HighLatency",}', True),
        ('alertname="HighLatency", namespace!="shop"', False),
        ('alertname=~"High.*"', True),
        ('alertname=~"High"', False),
        ('alertname!~"Low.*"', True),
        ('missing=""', True),
        ('missing!="x"', True),
        ('missing=~".*"', True),
        ('missing=~".+"', False),
        ('"über straße"="1"', True),
        (r'namespace=~"sh\w+"', True),
    ],
)
def test_lines(line: str, passes: bool) -> None:
    assert all(m.matches(ALERT) for m in matchers.parse(line)) is passes


@pytest.mark.parametrize(
    ("line", "message", "offset"),
    [
        ("", "no matcher", 0),
        ("{}", "no matcher", 0),
        ('alertname="x', "the quote is not closed", 10),
        ("alertname", "expected =, !=, =~ or !~", 9),
        ('a="b" c="d"', "put a comma between", 6),
        ('{a="b"', "is not closed", 6),
        ('=~"x"', "expected a label name", 0),
        ('""="x"', "found an empty one", 0),
        ("a=", "expected a value", 2),
        ('a=~"(?=x)"', "no regular expression", 3),
        ('a=~"(x)\\1"', "no regular expression", 3),
        ("a" * 9000, "longer than", 0),
    ],
)
def test_what_is_no_matcher(line: str, message: str, offset: int) -> None:
    with pytest.raises(MatcherError, match=message.replace("(", r"\(")) as caught:
        matchers.parse(line)
    assert caught.value.offset == offset


NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8
)
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.tuples(NAMES, st.sampled_from(["=", "!="]), VALUES), min_size=1, max_size=4))
def test_what_is_printed_reads_back(parts: list[tuple[str, str, str]]) -> None:
    wanted = tuple(Matcher(name, Operator(sign), value) for name, sign, value in parts)
    assert matchers.parse(", ".join(map(str, wanted))) == wanted


@given(st.text(max_size=80))
def test_any_text_is_matchers_or_a_matcher_error(text: str) -> None:
    try:
        parsed = matchers.parse(text)
    except MatcherError as error:
        assert 0 <= error.offset <= len(text)
        return
    assert parsed


@pytest.mark.parametrize(
    "line",
    [
        'alertname="X"',
        "alertname=X",
        '{a="b",c!~"d|e"}',
        'a="b" c="d"',
        'a~"x"',
        'a=~"("',
        "a",
        'a="b',
        'a="b",',
        '="x"',
        "a!=b, c=~d.*",
    ],
)
def test_alertmanager_takes_and_refuses_the_same(line: str, tmp_path: Path) -> None:
    config = {
        "route": {"receiver": "r", "routes": [{"matchers": [line]}]},
        "receivers": [{"name": "r"}],
    }
    file = tmp_path / "alertmanager.yml"
    file.write_text(json.dumps(config))
    checked = subprocess.run(
        [binaries.find("amtool"), "check-config", file], capture_output=True, check=False
    )
    try:
        matchers.parse(line)
    except MatcherError:
        assert checked.returncode != 0
    else:
        assert checked.returncode == 0


def test_any_white_space_ends_a_bare_word() -> None:
    (matcher,) = matchers.parse('namespace\u00a0!="kube-system"')
    assert matcher.name == "namespace"
    assert not matcher.matches({"namespace": "kube-system"})
