"""Proves that a label fills its place in a link and can never decide where the link leads."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.model import links

GRAFANA = "https://grafana.example/d/1?var-namespace=${{ labels.namespace }}&orgId=1"


def test_labels_are_filled_in_encoded() -> None:
    assert links.expand(GRAFANA, {"namespace": "a b&c=d"}) == (
        "https://grafana.example/d/1?var-namespace=a%20b%26c%3Dd&orgId=1"
    )


@pytest.mark.parametrize("labels", [{}, {"namespace": ""}, {"other": "x"}])
def test_a_link_whose_label_is_missing_is_left_out(labels: dict[str, str]) -> None:
    assert links.expand(GRAFANA, labels) is None


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (GRAFANA, ""),
        ("http://x/${{labels.a}}/${{ labels.b }}", ""),
        ("https://${{ labels.host }}/x", "host"),
        ("https://a.${{ labels.host }}?x", "host"),
        ("ftp://x/y", "http"),
        ("javascript:alert(1)", "http"),
        ("https://x/${{ alert.name }}", "labels.NAME"),
        ("https://x/${{ labels.a", "labels.NAME"),
        ("https://x/a b", "character"),
        ("https://x/|<>", "character"),
        ("", "http"),
    ],
)
def test_faults_of_a_template_are_named(template: str, says: str) -> None:
    assert (says in links.fault(template)) if says else links.fault(template) == ""


@given(st.text(min_size=1, max_size=60).filter(lambda s: s.isprintable()))
def test_no_label_changes_where_a_link_leads(value: str) -> None:
    made = links.expand(GRAFANA, {"namespace": value})

    assert made is not None
    parts = urlsplit(made)
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "grafana.example", "/d/1")
    assert not set(made) & set(" <>|\"'`\n")
