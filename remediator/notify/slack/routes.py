"""Which channel a run is told in, and whom it rings there: the first route that matches. Pure."""

from collections.abc import Mapping, Sequence

from remediator.clients.slack.routing import Route
from remediator.model.views import RunView


def choose(routes: Sequence[Route], view: RunView) -> Route:
    """Return the route of a run; the last one matches every run."""
    facts = facts_of(view)
    for route in routes:
        if not route.match or any(all(m.matches(facts) for m in line) for line in route.match):
            return route
    return routes[-1]


def facts_of(view: RunView) -> Mapping[str, str]:
    """Return what matchers may ask about: the alert's labels, the runbook and its owner.

    The last two are ours: a label of that name does not stand in for them.
    """
    return {**view.labels, "runbook": view.run.runbook, "owner": view.owner}
