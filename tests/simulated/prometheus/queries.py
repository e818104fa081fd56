"""Series and queries by chance, for Hypothesis; and the queries of the shipped runbooks."""

import re
from pathlib import Path

from hypothesis import strategies as st
from ruamel.yaml import YAML

RUNBOOKS = Path(__file__).parents[3] / "runbooks"


def _one_of(words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words.split())


_NUMBER = st.sampled_from(["0", "1", "-1", "2.5", "100", "0.1", "-7", "1e6", "NaN"])
_NAME = st.sampled_from(["x", "y", "z_total"])
_SPAN = st.sampled_from(["30s", "1m", "90s", "3m", "5m", "10m", "17m"])
_LABELS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=2, unique=True).map(", ".join)
_VALUE = st.sampled_from(["1", "2", "u", "v"])


@st.composite
def _values(draw: st.DrawFn) -> str:
    items = st.one_of(
        _NUMBER,
        st.just("_"),
        st.just("_x3"),
        st.just("stale"),
        st.builds("{}x{}".format, st.integers(-3, 9), st.integers(0, 12)),
        st.builds("{}{:+}x{}".format, st.integers(0, 50), st.integers(-3, 9), st.integers(1, 25)),
    )
    return " ".join(draw(st.lists(items, min_size=1, max_size=8)))


@st.composite
def series(draw: st.DrawFn) -> dict[str, str]:
    """A handful of series with labels in common, and samples with gaps and ends."""
    labels = st.fixed_dictionaries({}, optional={"a": _VALUE, "b": _VALUE, "c": _VALUE})
    found = {}
    for _ in range(draw(st.integers(1, 7))):
        pairs = ", ".join(f'{k}="{v}"' for k, v in sorted(draw(labels).items()))
        found[f"{draw(_NAME)}{{{pairs}}}"] = draw(_values())
    return found


_MATCHER = st.builds(
    '{}{}"{}"'.format,
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["=", "!=", "=~", "!~"]),
    st.sampled_from(["1", "u", "", "1|u", ".*", ".+", "[12]"]),
)
_TIME = st.sampled_from(["", "", "", " offset 2m", " offset -1m", " @ 600", " @ end() offset 3m"])
_SELECTOR = st.builds(
    lambda name, matchers: f"{name}{{{', '.join(matchers)}}}",
    _NAME,
    st.lists(_MATCHER, max_size=2),
)
_VECTORS = st.builds("{}{}".format, _SELECTOR, _TIME)
_OVER_TIME = _one_of(
    "rate increase delta irate idelta deriv resets changes avg_over_time sum_over_time "
    "min_over_time max_over_time count_over_time stddev_over_time last_over_time "
    "present_over_time absent_over_time"
)
_EACH = _one_of("abs ceil floor sqrt exp ln sgn round timestamp -")
_AGGREGATION = _one_of("sum avg min max count group stddev stdvar")
_ARITHMETIC = _one_of("+ - * / % ^")
_COMPARISON = _one_of("== != > < >= <=")
_MATCHING = st.builds("{}({})".format, st.sampled_from(["on ", "ignoring "]), _LABELS)
_OPERATOR = _one_of("+ - * / % ^ == != > < >= <= and or unless")
_SCALAR = st.one_of(_NUMBER, st.builds("scalar({})".format, _VECTORS), st.just("time()"))


_SHAPES = [
    "{over_time}({selector}[{span}]{time})",
    "{over_time}({selector}[{span}]{time})",
    "{over_time}(({inner})[{span}:{step}])",
    "{each}({inner})",
    "{aggregation} by ({labels}) ({inner})",
    "{aggregation} without ({labels}) ({inner})",
    "quantile by ({labels}) ({scalar}, {inner})",
    "({inner}) {operator} ({other})",
    "({inner}) {operator} {matching} ({other})",
    "({inner}) {arithmetic} on ({labels}) {group} () ({other})",
    "({inner}) {arithmetic} ignoring ({labels}) {group} () ({other})",
    "({inner}) {arithmetic} {scalar}",
    "({inner}) {comparison} {scalar}",
    "{scalar} {comparison} bool ({inner})",
    "({inner}) {comparison} bool ({other})",
    "absent({inner})",
    "clamp({inner}, {scalar}, {scalar})",
    'label_replace({inner}, "c", "$1-", "a", "(.).*")',
    'label_join({inner}, "c", "+", "a", "b")',
    "vector({scalar})",
    "topk by ({labels}) (100, {inner})",
    'histogram_quantile(0.5, label_replace({inner}, "le", "$1", "a", "(.*)"))',
]
_PARTS = {
    "over_time": _OVER_TIME,
    "selector": _SELECTOR,
    "span": _SPAN,
    "time": _TIME,
    "step": st.sampled_from(["", "1m", "45s"]),
    "each": _EACH,
    "aggregation": _AGGREGATION,
    "labels": _LABELS,
    "scalar": _SCALAR,
    "operator": _OPERATOR,
    "matching": _MATCHING,
    "arithmetic": _ARITHMETIC,
    "comparison": _COMPARISON,
    "group": _one_of("group_left group_right"),
}


@st.composite
def query(draw: st.DrawFn, depth: int = 3) -> str:
    """A query whose value is a vector; some fail for want of unique labels, as they should."""
    if not depth or draw(st.integers(0, 4)) == 0:
        return draw(_VECTORS)
    shape = draw(st.sampled_from(_SHAPES))
    parts = {name: draw(part) for name, part in _PARTS.items() if f"{{{name}}}" in shape}
    for name in ("inner", "other"):
        if f"{{{name}}}" in shape:
            parts[name] = draw(query(depth - 1))
    return shape.format(**parts)


def shipped() -> list[str]:
    """The queries of the shipped runbooks, with some text where they read the alert."""
    found = []
    for file in sorted(RUNBOOKS.glob("**/*.yaml")):
        for document in YAML(typ="safe", pure=True).load_all(file.read_text()):
            found += _queries(document)
    # Among braces stands a matcher, alone in brackets a metric, elsewhere a figure or a text.
    found = [re.sub(r"\(\$\{\{.*?\}\}\)", "(up)", one) for one in found]
    found = [re.sub(r"\{\$\{\{.*?\}\}(?=[,}])", '{a="5"', one) for one in found]
    return [re.sub(r"\$\{\{.*?\}\}", "5", one) for one in found]


def _queries(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["query"]] if isinstance(value.get("query"), str) else []
        return own + [one for inner in value.values() for one in _queries(inner)]
    if isinstance(value, list):
        return [one for inner in value for one in _queries(inner)]
    return []
