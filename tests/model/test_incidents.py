"""An incident is one firing episode: duplicates, stale repeats and moved starts change nothing."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from remediator.model.alerts import Alert, AlertStatus, fingerprint
from remediator.model.incidents import Fate, Incident, fold

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LABELS = {"alertname": "HighLatency", "namespace": "shop"}


def alert(status: str, starts: float, ends: float | None = None) -> Alert:
    return Alert(
        AlertStatus(status),
        LABELS,
        {},
        T0 + timedelta(minutes=starts),
        None if ends is None else T0 + timedelta(minutes=ends),
        "",
        fingerprint(LABELS),
    )


def run(*alerts: Alert) -> tuple[list[Fate], list[Incident]]:
    latest: Incident | None = None
    opened: dict[str, Incident] = {}
    fates = []
    for number, one in enumerate(alerts):
        now = T0 + timedelta(hours=1, seconds=number)
        fate, after = fold(latest, one, sender="am", new_id=f"i{number}", now=now)
        fates.append(fate)
        if after is not None:
            latest = after
            opened[after.id] = after
    return fates, list(opened.values())


def test_firing_opens_and_resolved_closes() -> None:
    fates, incidents = run(alert("firing", 0), alert("resolved", 0, 5))
    assert fates == [Fate.OPENED, Fate.CLOSED]
    assert [i.ends_at for i in incidents] == [T0 + timedelta(minutes=5)]


def test_a_peer_whose_start_differs_by_a_little_is_the_same_incident() -> None:
    fates, incidents = run(alert("firing", 0.0002), alert("firing", 0))
    assert fates == [Fate.OPENED, Fate.REFRESHED]
    assert [i.starts_at for i in incidents] == [T0], "the earliest start is kept"


def test_a_stale_firing_after_resolved_opens_nothing() -> None:
    fates, incidents = run(alert("firing", 0), alert("resolved", 0, 5), alert("firing", 0))
    assert fates == [Fate.OPENED, Fate.CLOSED, Fate.STALE]
    assert len(incidents) == 1


def test_a_new_episode_is_a_new_incident() -> None:
    fates, incidents = run(alert("firing", 0), alert("resolved", 0, 5), alert("firing", 6))
    assert fates == [Fate.OPENED, Fate.CLOSED, Fate.OPENED]
    assert len(incidents) == 2


def test_resolved_for_something_never_seen_is_kept_as_over() -> None:
    fates, (kept,) = run(alert("resolved", 0, 5))
    assert fates == [Fate.UNKNOWN_RESOLVED]
    assert (kept.open, kept.ends_at) == (False, T0 + timedelta(minutes=5))


def test_the_firing_that_comes_after_its_own_resolved_is_stale() -> None:
    fates, incidents = run(alert("resolved", 0, 5), alert("firing", 0), alert("firing", 6))
    assert fates == [Fate.UNKNOWN_RESOLVED, Fate.STALE, Fate.OPENED]
    assert [incident.open for incident in incidents] == [False, True]


def test_an_end_that_was_only_assumed_makes_no_news_stale() -> None:
    """We closed it by our own clock; the sender's may be behind, and the alert fires."""
    fates, incidents = run(alert("firing", 0), alert("resolved", 0), alert("firing", 10))
    assert fates == [Fate.OPENED, Fate.CLOSED, Fate.OPENED]
    assert incidents[0].end_assumed
    assert incidents[0].ends_at is not None
    assert incidents[0].ends_at > T0 + timedelta(minutes=10)


def test_resolved_of_an_earlier_episode_does_not_close_the_present_one() -> None:
    fates, incidents = run(
        alert("firing", 0), alert("resolved", 0, 5), alert("firing", 6), alert("resolved", 0, 5)
    )
    assert fates[-1] is Fate.STALE
    assert incidents[-1].open


@given(
    st.lists(
        st.tuples(st.sampled_from(["firing", "resolved"]), st.integers(0, 20), st.integers(0, 20)),
        max_size=30,
    )
)
def test_at_most_one_incident_is_open_whatever_comes(events: list[tuple[str, int, int]]) -> None:
    _, incidents = run(
        *(
            alert(s, start, start + length if s == "resolved" else None)
            for s, start, length in events
        )
    )
    assert sum(i.open for i in incidents) <= 1
    for incident in incidents:
        assert incident.ends_at is None or incident.ends_at >= incident.starts_at
