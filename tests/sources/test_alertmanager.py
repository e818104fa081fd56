"""Proves that Alertmanager's payload is read as the sender means it, that nothing but `Rejected`
ever comes out of a bad one, and that a storm is parsed fast enough. The payloads of
`test_real_alertmanager` come from the real one."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.model.alerts import AlertStatus
from remediator.plugin.source import Rejected
from remediator.sources.alertmanager import MAX_ALERTS, Alertmanager

SOURCE = Alertmanager()


def alert(**changes: Any) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": {"alertname": "HighLatency", "namespace": "shop"},
        "annotations": {"summary": "slow"},
        "startsAt": "2026-11-24T02:17:38.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "00000000000000ab",
        **changes,
    }


def payload(*alerts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": '{}:{alertname="HighLatency"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "remediator",
        "groupLabels": {"alertname": "HighLatency"},
        "commonLabels": {"alertname": "HighLatency"},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "alerts": list(alerts) or [alert()],
        **changes,
    }


def without(value: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if key not in names}


def body(value: object) -> bytes:
    return json.dumps(value).encode()


def refusal(given_body: bytes) -> Rejected:
    with pytest.raises(Rejected) as caught:
        SOURCE.parse(given_body)
    return caught.value


def test_reads_every_field() -> None:
    parsed = SOURCE.parse(body(payload(truncatedAlerts=7)))
    assert parsed.receiver == "remediator"
    assert parsed.group_key == '{}:{alertname="HighLatency"}'
    assert parsed.group_labels == {"alertname": "HighLatency"}
    assert parsed.external_url == "http://alertmanager:9093"
    assert parsed.truncated == 7
    (one,) = parsed.alerts
    assert one.labels == {"alertname": "HighLatency", "namespace": "shop"}
    assert one.annotations == {"summary": "slow"}
    assert one.generator_url == "http://prometheus/graph"
    assert one.fingerprint == "00000000000000ab"
    # Nanoseconds round to what datetime holds.
    assert one.starts_at == datetime(2026, 11, 24, 2, 17, 38, 123457, tzinfo=UTC)
    assert one.ends_at is None


def test_each_alert_has_its_own_status() -> None:
    resolved = alert(status="resolved", endsAt="2026-11-24T02:30:00Z")
    parsed = SOURCE.parse(body(payload(alert(), resolved, status="firing")))
    assert [a.status for a in parsed.alerts] == [AlertStatus.FIRING, AlertStatus.RESOLVED]
    assert parsed.alerts[1].ends_at == datetime(2026, 11, 24, 2, 30, tzinfo=UTC)


def test_a_firing_alert_has_no_end_and_a_zero_end_is_none() -> None:
    odd = alert(endsAt="2026-11-24T03:00:00Z")
    zero = alert(status="resolved")
    parsed = SOURCE.parse(body(payload(odd, zero, without(zero, "endsAt"))))
    assert [a.ends_at for a in parsed.alerts] == [None, None, None]


def test_unknown_and_newer_fields_are_ignored_and_old_senders_may_lack_some() -> None:
    newer = payload(alert(silenceURL="x"), notification_reason="r", routeLabels={"a": ["b"]})
    older = without(payload(), "truncatedAlerts", "groupKey", "receiver", "status", "externalURL")
    assert SOURCE.parse(body(newer)).alerts == SOURCE.parse(body(older)).alerts
    nulls = payload(alert(annotations=None), groupLabels=None, commonLabels=None)
    assert SOURCE.parse(body(nulls)).alerts[0].annotations == {}


@pytest.mark.parametrize(
    ("escaped", "name"),
    [
        (r"team\.x", "team.x"),
        (r"a\+b\(c\)\[d\]\{e\}\|\^\$\*\?", "a+b(c)[d]{e}|^$*?"),
        (r"back\\slash", r"back\slash"),
        (r"plain-name_1/ü", "plain-name_1/ü"),
    ],
)
def test_the_receiver_is_unescaped(escaped: str, name: str) -> None:
    assert SOURCE.parse(body(payload(receiver=escaped))).receiver == name


@pytest.mark.parametrize("missing", [True, False])
def test_a_missing_or_empty_fingerprint_is_computed(missing: bool) -> None:
    given_alert = without(alert(), "fingerprint") if missing else alert(fingerprint="")
    # As the real Alertmanager 0.25 fingerprints these labels.
    given_alert["labels"] = {"alertname": "HighLatency", "namespace": "shop"}
    assert SOURCE.parse(body(payload(given_alert))).alerts[0].fingerprint == "f96d4110f459969d"


def test_times_with_other_offsets_are_read_in_utc() -> None:
    parsed = SOURCE.parse(body(payload(alert(startsAt="2026-11-24T04:17:38+02:00"))))
    assert parsed.alerts[0].starts_at == datetime(2026, 11, 24, 2, 17, 38, tzinfo=UTC)
    assert parsed.alerts[0].starts_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (payload(alert(), alert(startsAt="yesterday")), "alerts[1].startsAt"),
        (payload(alert(startsAt="2026-11-24T02:17:38")), "alerts[0].startsAt"),
        (payload(alert(startsAt="0001-01-01T00:00:00+14:00")), "alerts[0].startsAt"),
        (payload(alert(status="pending")), "alerts[0].status"),
        (payload(alert(labels={"a": 1})), "alerts[0].labels[...]"),
        (payload(alert(labels={})), "alerts[0].labels"),
        (payload(without(alert(), "labels")), "alerts[0]"),
        (payload(alert(fingerprint="f" * 65)), "alerts[0].fingerprint"),
        (payload(alerts={}), "alerts"),
        (payload(truncatedAlerts=-1), "truncatedAlerts"),
        (payload(version="3"), "version"),
        (payload(version=4), "version"),
        (without(payload(), "version"), "version"),
        (payload(version="3", alerts="gone"), "version"),
        ({"text": "from a payload: template"}, "version"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(wrong: object, field: str) -> None:
    error = refusal(body(wrong))
    assert error.field == field
    assert error.reason


@pytest.mark.parametrize(
    "not_ours",
    [b"", b"hello", b"[]", b'"4"', b"{", b"\xff\xfe{}", b"null", b"[" * 200_000, b'{"a":1}'],
)
def test_what_is_no_document_of_ours_is_told_what_is_expected(not_ours: bytes) -> None:
    error = refusal(not_ours)
    assert 'version "4"' in error.reason
    assert "`payload:`" in error.reason


def test_too_many_alerts_are_refused_before_they_are_read() -> None:
    storm = body(payload())[:-2] + b"," + b",".join([body(alert())] * MAX_ALERTS) + b"]}"
    assert refusal(storm).field == "alerts"


def test_a_storm_of_20_000_alerts_is_parsed_at_more_than_10_000_a_second() -> None:
    storm = body(payload(*(alert(annotations={"text": "x" * 900}) for _ in range(20_000))))
    began = time.perf_counter()
    parsed = SOURCE.parse(storm)
    took_s = time.perf_counter() - began
    assert len(parsed.alerts) == 20_000
    assert took_s < 2.0


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TIMES = st.datetimes(
    datetime(2, 1, 2),  # noqa: DTZ001 - hypothesis wants bounds without a zone
    datetime(9998, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
ALERTS = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["firing", "resolved"]),
        "labels": st.dictionaries(TEXT, TEXT, min_size=1, max_size=4),
        "annotations": st.dictionaries(TEXT, TEXT, max_size=4),
        "startsAt": TIMES.map(datetime.isoformat),
        "endsAt": TIMES.map(datetime.isoformat),
        "generatorURL": TEXT,
        "fingerprint": st.text("0123456789abcdef", min_size=16, max_size=16),
    }
)


@given(st.lists(ALERTS, max_size=5))
def test_round_trip(alerts: list[dict[str, Any]]) -> None:
    parsed = SOURCE.parse(body(payload(alerts=alerts)))
    again = [
        {
            "status": a.status.value,
            "labels": a.labels,
            "annotations": a.annotations,
            "startsAt": a.starts_at.isoformat(),
            "generatorURL": a.generator_url,
            "fingerprint": a.fingerprint,
        }
        for a in parsed.alerts
    ]
    assert again == [without(a, "endsAt") for a in alerts]
    for a, sent in zip(parsed.alerts, alerts, strict=True):
        assert (a.ends_at is None) is (sent["status"] == "firing")
        assert a.ends_at is None or a.ends_at.isoformat() == sent["endsAt"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELDS = ["status", "labels", "annotations", "startsAt", "endsAt", "fingerprint", "x"]


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_and_nothing_else_happens(noise: bytes) -> None:
    assert refusal(noise).reason


@given(st.sampled_from(FIELDS), JSON, st.sampled_from([*payload(), "y"]), JSON)
def test_any_value_in_any_field_is_read_or_refused(
    inner: str, inner_value: object, outer: str, outer_value: object
) -> None:
    changed = {**payload(alert(**{inner: inner_value})), outer: outer_value}
    try:
        parsed = SOURCE.parse(body(changed))
    except Rejected as error:
        assert error.reason
    else:
        assert all(a.starts_at.tzinfo is UTC for a in parsed.alerts)


@given(st.integers(0, 600), st.integers(1, 40), st.binary(max_size=20))
def test_a_damaged_document_is_read_or_refused(at: int, length: int, noise: bytes) -> None:
    whole = body(payload())
    damaged = whole[:at] + noise + whole[at + length :]
    try:
        SOURCE.parse(damaged)
    except Rejected as error:
        assert str(error)
