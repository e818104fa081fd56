"""The scenarios' runbooks, as a team would write them, with short times."""

SCALE_OUT = """
name: api-latency-scale-out
description: Scale the service out while its latency stays high; take it back when it did not help.
owner: team-shop
match:
  - alertname="HighLatency", severity=~"warning|critical"
mode: approve
approval: {timeout: 10m}
guardrails:
  max_impact: {pods: 10, share: 50%}
steps:
  - id: scale
    action: kubernetes.scale
    with:
      namespace: ${{ labels.namespace }}
      deployment: ${{ labels.deployment }}
      by: +50%
      max: 6
verify: {resolved_within: 20s}
"""

ROLL_BACK = """
name: bad-release-roll-back
description: Roll a release back that never becomes ready.
owner: team-shop
match:
  - alertname="RolloutStuck"
mode: auto
steps:
  - id: roll-back
    action: kubernetes.rollout_undo
    with: {namespace: "${{ labels.namespace }}", deployment: "${{ labels.deployment }}"}
verify: {resolved_within: 20s}
"""

LADDER = """
name: api-latency-ladder
description: Restart first; scale out when that did not help.
owner: team-shop
match:
  - alertname="HighLatency"
mode: auto
steps:
  - id: restart
    action: kubernetes.rollout_restart
    with: {namespace: "${{ labels.namespace }}", deployment: "${{ labels.deployment }}"}
  - id: scale
    if: alert.firing
    action: kubernetes.scale
    with: {namespace: "${{ labels.namespace }}", deployment: "${{ labels.deployment }}", by: +1}
verify: {resolved_within: 3s}
on_failure: {undo: true, escalate: pagerduty}
"""

LOOK = """
name: look
description: Ask again whether it fires; changes nothing.
owner: team-shop
match:
  - alertname="HighLatency"
mode: observe
steps:
  - id: fires
    action: alertmanager.firing
    with: {labels: {alertname: HighLatency, namespace: "${{ labels.namespace }}"}}
"""
