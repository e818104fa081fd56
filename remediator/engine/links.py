"""The links of a run beside its runbook's own: what the settings template, and the alert, name.

Called by the announcer for every note, so that all notifiers show the same. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from remediator.model import links
from remediator.model.views import RunView

# Annotations that Prometheus's community uses for links, and what they are called here.
_ANNOTATIONS = {"runbook_url": "runbook", "dashboard_url": "dashboard"}


@dataclass(frozen=True, slots=True)
class Links:
    """Adds links to a run as people see it.

    Args:
        templates: name → template (`remediator.model.links`), as the settings have them.
        external_url: where people reach this daemon; empty: nowhere.
    """

    templates: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""

    def added(self, view: RunView) -> RunView:
        """Return the run with its links; what a runbook names itself stays as it is."""
        labels, annotations = _of_alert(view)
        found: dict[str, str] = {}
        for name, template in self.templates.items():
            url = links.expand(template, labels)
            if url is not None:
                found[name] = url
        for annotation, name in _ANNOTATIONS.items():
            if annotations.get(annotation):
                found[name] = annotations[annotation]
        if self.external_url:
            found["run"] = f"{self.external_url.rstrip('/')}/api/v1/runs/{view.run.id}"
        return replace(view, links={**found, **view.links})


def _of_alert(view: RunView) -> tuple[Mapping[str, str], Mapping[str, str]]:
    if view.incident is not None:
        return view.incident.labels, view.incident.annotations
    alert: Any = view.run.context.get("alert", {})
    return alert.get("labels", {}), alert.get("annotations", {})
