"""The index gives what asking every runbook gives, and asks few of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.model import matchers
from remediator.plugin import registry as plugins
from remediator.runbook.compile import compile_runbook
from remediator.runbook.index import Index
from remediator.runbook.runbook import Runbook

_REGISTRY = plugins.load(third_party=False)
_STEPS = "steps: [{id: a, action: http.check, with: {url: 'http://x'}}]"


_ONE = compile_runbook(f"name: r\ndescription: d\nmatch: ['a=b']\n{_STEPS}\n", "a.yaml", _REGISTRY)


def runbook(number: int, *lines: str) -> Runbook:
    return replace(_ONE, name=f"r{number}", matchers=tuple(map(matchers.parse, lines)))


NAMES = st.sampled_from(["alertname", "namespace", "severity"])
WORDS = st.sampled_from(
    ["a", "b", "c", "a|b", "(a|b)", "^a$", "(?:a)|b", "^(b|c)$", ".*", "b.+", "a?", "[bc]+", ""]
)
MATCHERS = st.builds(
    lambda name, sign, word: f'{name}{sign}"{word}"',
    NAMES,
    st.sampled_from(["=", "!=", "=~", "!~"]),
    WORDS,
)
LINES = st.lists(st.lists(MATCHERS, min_size=1, max_size=3).map(", ".join), min_size=1, max_size=2)


@given(
    st.lists(LINES, max_size=6),
    st.dictionaries(NAMES, st.sampled_from(["a", "b", "c", "bb", ""]), max_size=3),
)
def test_the_index_finds_what_asking_all_finds(
    books: list[list[str]], labels: dict[str, str]
) -> None:
    runbooks = [runbook(n, *lines) for n, lines in enumerate(books)]
    by_asking_all = [r.name for r in runbooks if r.matches(labels)]
    found = [r.name for r in Index(runbooks).candidates(labels) if r.matches(labels)]
    assert found == by_asking_all


@given(
    st.lists(LINES, min_size=1, max_size=4),
    st.integers(2, 12),
    st.lists(
        st.dictionaries(NAMES, st.sampled_from(["a", "b", "c", "bb", "a1", "a11", ""]), max_size=3),
        min_size=1,
        max_size=8,
    ),
)
def test_the_index_finds_as_much_where_many_share_their_lines(
    books: list[list[str]], times: int, alerts: list[dict[str, str]]
) -> None:
    """Lines that stand in dozens of runbooks are filed by another rule, and values come again."""
    shared = [runbook(n, *lines) for n, lines in enumerate(books * times)]
    own = [
        runbook(1000 + n, f'namespace="a", severity=~"a|b", alertname=~"a{n}(1.*)?"')
        for n in range(times)
    ]
    runbooks = [one for pair in zip(shared, [*own, *shared], strict=False) for one in pair]
    index = Index(runbooks)
    for labels in [*alerts, *alerts]:
        by_asking_all = [r.name for r in runbooks if r.matches(labels)]
        assert [r.name for r in index.candidates(labels) if r.matches(labels)] == by_asking_all


def test_runbooks_that_can_not_match_are_not_asked() -> None:
    many = [runbook(n, f'alertname="Alert{n}", severity=~"x|y"') for n in range(300)]
    index = Index([*many, runbook(999, 'severity="x"'), runbook(1000, 'namespace!="kube-system"')])
    found = [r.name for r in index.candidates({"alertname": "Alert7", "severity": "x"})]
    assert found == ["r7", "r999", "r1000"]


def test_regular_expressions_that_can_not_match_are_not_asked_either() -> None:
    shapes = ('=~"(A{0}|B{0})"', '=~"^A{0}$"', '=~"A{0}Foo.*"', '=~"A{0}.+|C{0}x?"')
    for shape in shapes:
        index = Index([runbook(n, "alertname" + shape.format(n)) for n in range(400)])
        assert index.candidates({"alertname": "Something"}) == []
        assert index.candidates({"severity": "x"}) == []
        found = index.candidates({"alertname": "A7FooBar" if "Foo" in shape else "A7"})
        assert len(found) <= 128


# What thousands of runbooks are told apart by, when they share everything else.
_TOLD_APART = {
    "a name": 'severity="x", alertname="A{0}"',
    "an expression beside a shared value": 'severity=~"x|y", alertname=~"A{0}(B.*)?"',
    "one of two expressions": 'namespace=~"sh.+", alertname=~"A{0}(B.*)?"',
    "a value beside a shared name": 'alertname="Slow", namespace="shop", severity="x", who="A{0}"',
}


@pytest.mark.parametrize("line", _TOLD_APART.values(), ids=_TOLD_APART)
def test_only_what_tells_runbooks_apart_is_asked(line: str) -> None:
    index = Index([runbook(n, line.format(n)) for n in range(600)])
    labels = {"namespace": "shop", "severity": "x"}
    name = {"alertname": "Slow", "who": "A7"} if "who" in line else {"alertname": "A7"}
    assert [r.name for r in index.candidates({**labels, **name})] == ["r7"]
    # Again, and for values that nobody has seen: what is remembered must be true.
    assert [r.name for r in index.candidates({**labels, **name})] == ["r7"]
    for n in range(5000):
        assert index.candidates({**labels, "alertname": f"Other{n}"}) == []
    assert [r.name for r in index.candidates({**labels, **name})] == ["r7"]


def test_equal_lines_that_need_nothing_are_asked_together() -> None:
    index = Index([runbook(n, 'severity!="none", namespace!~"kube-.*"') for n in range(50)])
    assert index.candidates({"namespace": "kube-system"}) == []
    assert len(index.candidates({"namespace": "shop"})) == 50
