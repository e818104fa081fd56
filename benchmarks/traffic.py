"""Alerts, notifications and runbooks: everything that the benchmarks feed to a server.

The only generator. What it makes looks like what Alertmanager sends for a Kubernetes alert (eight
labels, three annotations, about 1.3 KB a body at one alert) and what a team writes as a runbook.
"""

import json
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from remediator.model.alerts import fingerprint

TOKEN = "s3cret-of-a-benchmark"  # noqa: S105 - of a server on loopback, for as long as it lives
KNOWN, NOISE = "Known", "Noise"
"""Alerts whose names begin so: a runbook matches `Known7`; none matches `Noise7`."""

_ID = "@" * 16
_NUMBER = "@number@"
_USUAL = 'severity=~"warning|critical", namespace!="kube-system"'
_NEVER = "0001-01-01T00:00:00Z"


def alert(name: str, item: str, *, status: str = "firing", at: str = "") -> dict[str, Any]:
    """Return one alert as Alertmanager writes it; `item` makes its identity."""
    labels = {
        "alertname": name,
        "cluster": "eu-1",
        "container": "api",
        "job": "kube-state-metrics",
        "namespace": "shop",
        "pod": f"api-{item}",
        "prometheus": "monitoring/k8s",
        "severity": "warning",
    }
    started = at or datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return {
        "status": status,
        "labels": labels,
        "annotations": {
            "description": f"Pod shop/api-{item} has been in a non-ready state for longer than"
            " 15 minutes on cluster eu-1.",
            "runbook_url": f"https://runbooks.example.com/runbooks/kubernetes/{name.lower()}",
            "summary": "Pod has been in a non-ready state for more than 15 minutes.",
        },
        "startsAt": started,
        "endsAt": _NEVER if status == "firing" else started,
        "generatorURL": "http://prometheus.example.com/graph?g0.expr=sum+by+%28namespace%2C+pod%29"
        "&g0.tab=1",
        "fingerprint": fingerprint(labels),
    }


def notification(alerts: Sequence[dict[str, Any]], group: str = "shop") -> dict[str, Any]:
    """Return one webhook body as Alertmanager writes it."""
    common = {"cluster": "eu-1", "namespace": group, "severity": "warning"}
    return {
        "receiver": "remediator",
        "status": "firing",
        "alerts": list(alerts),
        "groupLabels": {"namespace": group},
        "commonLabels": common,
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.com:9093",
        "version": "4",
        "groupKey": f'{{}}:{{namespace="{group}"}}',
        "truncatedAlerts": 0,
    }


def body(names: Sequence[str], *, status: str = "firing") -> bytes:
    """Return one notification with a new alert of each of these names."""
    alerts = [alert(name, secrets.token_hex(8), status=status) for name in names]
    return json.dumps(notification(alerts)).encode()


class Bodies:
    """Makes notifications of new alerts, quickly: a template, and new identities put into it.

    The fingerprints are random numbers of the right length, since the daemon takes the sender's
    word for them; a generator must not be busier than the server.
    """

    def __init__(self, alerts: int, *, known_of_100: int = 0, names: int = 1000) -> None:
        """Of 100 alerts, `known_of_100` have a name that one of `names` runbooks matches."""
        self._alerts = alerts
        self._known_of_100 = known_of_100
        self._names = names
        self._sent = 0
        one = json.dumps(alert(_NUMBER, _ID))
        made = json.loads(one)["fingerprint"]
        self._one = one.replace(made, _ID).encode()
        whole = json.dumps(notification([])).encode()
        self._head, self._tail = whole.split(b'"alerts": []')

    def next(self) -> bytes:
        """Return a notification whose alerts nobody has seen."""
        return b"".join((self._head, b'"alerts": [', b", ".join(self._each()), b"]", self._tail))

    def _each(self) -> Iterator[bytes]:
        for _ in range(self._alerts):
            number = self._sent
            self._sent += 1
            # Spread evenly, not at random: every round has the same share of them.
            known = (number * 37 + 11) % 100 < self._known_of_100
            name = f"{KNOWN if known else NOISE}{number % self._names}"
            identity = secrets.token_hex(8).encode()
            yield self._one.replace(_NUMBER.encode(), name.encode()).replace(_ID.encode(), identity)


def runbook(name: str, match: Sequence[str], steps: Sequence[str], **more: str) -> str:
    """Return a runbook's YAML; `steps` are lists' items in flow style."""
    lines = [f"name: {name}", "description: Measures.", *(f"{k}: {v}" for k, v in more.items())]
    lines += ["match:", *(f"  - {line}" for line in match)]
    lines += ["steps:", *(f"  - {step}" for step in steps)]
    return "\n".join(lines) + "\n"


def usual_runbooks(count: int, **more: str) -> dict[str, str]:
    """Return runbooks as teams write them: an alert's name each, a severity, not the system's."""
    return {
        f"known-{number}": runbook(
            f"known-{number}",
            [f'alertname="{KNOWN}{number}", {_USUAL}'],
            [step(1)],
            **more,
        )
        for number in range(count)
    }


def step(number: int) -> str:
    """Return one no-op step on the alert's own target."""
    return (
        f"{{id: step-{number}, action: benchmark.noop,"
        f' with: {{name: "${{{{ labels.pod }}}}", number: {number}}}}}'
    )
