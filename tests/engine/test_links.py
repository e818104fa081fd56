"""Proves which links are added to a run: the settings' templates, the alert's own, the daemon's."""

from dataclasses import replace

from remediator.engine.links import Links
from remediator.model.views import RunView
from tests.notify.views import RUN_ID, view

GRAFANA = "https://grafana.example/d/1?var-namespace=${{ labels.namespace }}"


def with_annotations(**annotations: str) -> RunView:
    made = view(links={"runbook": "https://ours.example"})
    assert made.incident is not None
    return replace(made, incident=replace(made.incident, annotations=annotations))


def test_templates_annotations_and_the_run_itself_are_linked() -> None:
    links = Links({"grafana": GRAFANA, "other": "https://x/${{ labels.nobody }}"}, "https://r.ex/")
    shown = links.added(with_annotations(dashboard_url="https://d.example"))

    assert shown.links == {
        "grafana": "https://grafana.example/d/1?var-namespace=shop",
        "dashboard": "https://d.example",
        "run": f"https://r.ex/api/v1/runs/{RUN_ID}",
        "runbook": "https://ours.example",
    }


def test_what_the_runbook_names_itself_stays() -> None:
    shown = Links().added(with_annotations(runbook_url="https://theirs.example"))

    assert shown.links == {"runbook": "https://ours.example"}


def test_a_run_by_hand_has_its_own_labels() -> None:
    by_hand = view(
        incident=None, links={}, run={"context": {"alert": {"labels": {"namespace": "pay"}}}}
    )

    assert Links({"grafana": GRAFANA}).added(by_hand).links == {
        "grafana": "https://grafana.example/d/1?var-namespace=pay"
    }
    assert Links({"grafana": GRAFANA}).added(replace(by_hand, run=view().run)).links == {}
