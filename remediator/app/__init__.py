"""The only wiring: builds the daemon out of settings, starts it, stops it.

`daemon` (the parts in their order), `rulebook` (the runbooks and the policy in force), `parts`
(clients, notifiers and people as the settings ask for them). Of what is kept in the cluster:
`watching` holds it, `accepting` judges it, `reporting` answers in its status. Called by `cli` and
`testing`.
"""

from remediator.app.daemon import Daemon
from remediator.app.parts import configured_notifiers, make_clients, names_in, people_reached
from remediator.app.rulebook import policy_in

__all__ = [
    "Daemon",
    "configured_notifiers",
    "make_clients",
    "names_in",
    "people_reached",
    "policy_in",
]
