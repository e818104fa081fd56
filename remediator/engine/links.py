"""The links of a run beside its runbook's own: what the settings template, and the alert, name.

Called by the announcer for every note, so that all notifiers show the same. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

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
        found: dict[str, str] = {}
        for name, template in self.templates.items():
            if filled := links.expand(template, view.labels):
                found[name] = filled
        for annotation, name in _ANNOTATIONS.items():
            if url := view.annotations.get(annotation):
                found[name] = url
        if self.external_url:
            found["run"] = f"{self.external_url.rstrip('/')}/api/v1/runs/{view.run.id}"
        return replace(view, links={**found, **view.links})
