"""Proves that a silence is never wider than its alert's scope, and never mutes the alert itself."""

from hypothesis import given
from hypothesis import strategies as st

from remediator.model import matchers
from remediator.model.silences import narrowed, written

ALERT = {"alertname": "HighLatency", "namespace": "shop", "deployment": "api", "severity": "page"}

_NAMES = st.sampled_from(["alertname", "namespace", "deployment", "severity", "pod"])
_VALUES = st.sampled_from(["", "HighLatency", "shop", "api", "page", 'a"b\\c\n'])
_LABELS = st.dictionaries(_NAMES, _VALUES)
_LINES = st.lists(
    st.tuples(
        _NAMES, st.sampled_from(["=", "!=", "=~", "!~"]), st.sampled_from(["", "shop", ".+"])
    ),
    min_size=1,
    max_size=3,
).map(lambda parts: ", ".join(f'{name}{operator}"{value}"' for name, operator, value in parts))


def test_the_scope_is_the_alert_s_own() -> None:
    made = narrowed(matchers.parse('alertname=~"Pod.*"'), ("namespace", "deployment"), ALERT)
    assert not isinstance(made, str)
    assert written(made) == 'alertname=~"Pod.*", namespace="shop", deployment="api"'


def test_a_label_that_the_alert_lacks_makes_no_silence() -> None:
    made = narrowed(matchers.parse('alertname="X"'), ("namespace", "cluster"), ALERT)
    assert made == "the alert has no label cluster, which keeps the silence narrow"


def test_the_alert_itself_is_left_out() -> None:
    made = narrowed(matchers.parse('severity=~".+"'), ("namespace",), ALERT)
    assert not isinstance(made, str)
    assert written(made) == 'severity=~".+", namespace="shop", alertname!="HighLatency"'


def test_a_silence_of_the_alert_alone_is_none() -> None:
    made = narrowed(matchers.parse('alertname="HighLatency"'), ("namespace",), ALERT)
    assert made == "it would mute the alert itself"


@given(line=_LINES, equal=st.sets(_NAMES, min_size=1), alert=_LABELS, other=_LABELS)
def test_whatever_is_silenced_shares_the_alert_s_scope(
    line: str, equal: set[str], alert: dict[str, str], other: dict[str, str]
) -> None:
    made = narrowed(matchers.parse(line), sorted(equal), alert)
    if isinstance(made, str):
        return
    # As it is stored and read again.
    assert matchers.parse(written(made)) == made
    assert not all(one.matches(alert) for one in made)
    if all(one.matches(other) for one in made):
        assert all(other.get(name) == alert[name] for name in equal)
        assert all(one.matches(other) for one in matchers.parse(line))
