"""Proves that every metric follows Prometheus's conventions and is declared once, with its help."""

import re

from prometheus_client.metrics import MetricWrapperBase

from remediator.observe import metrics

DECLARED = {
    name: value for name, value in vars(metrics).items() if isinstance(value, MetricWrapperBase)
}
UNBOUNDED = {"run", "run_id", "incident", "alert", "alertname", "target", "path", "user", "pod"}


def test_names_units_and_help() -> None:
    assert len(DECLARED) >= 20
    for metric in DECLARED.values():
        (family,) = metric.describe()
        assert re.fullmatch(r"remediator_[a-z][a-z_]*[a-z]", family.name)
        assert family.documentation.endswith(".")
        if family.type == "histogram":
            assert family.name.endswith("_seconds") or family.name.endswith("_size")
        if "duration" in family.name or "timestamp" in family.name:
            assert family.name.endswith("_seconds")
        if family.type == "gauge":
            assert not family.name.endswith("_total")


def test_labels_are_bounded() -> None:
    for name, metric in DECLARED.items():
        assert not UNBOUNDED & set(metric._labelnames), name


def test_what_is_no_longer_there_goes_from_a_shown_gauge() -> None:
    metrics.show(metrics.OUTBOX_PENDING, {"slack": 1, "mail": 2})
    metrics.show(metrics.OUTBOX_PENDING, {"slack": 0})
    value = metrics.REGISTRY.get_sample_value
    assert value("remediator_outbox_pending", {"notifier": "slack"}) == 0
    assert value("remediator_outbox_pending", {"notifier": "mail"}) is None


def test_what_runs_is_shown() -> None:
    page, content_type = metrics.render("")
    assert content_type.startswith("text/plain")
    assert b'remediator_build_info{python="' in page
